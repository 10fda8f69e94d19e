//! Load balancers with real HAProxies and small servers behind them.

use std::{fs, net::Ipv4Addr, os::unix::fs::PermissionsExt as _, path::Path, sync::Arc, time::Duration};

use axum::{Router, routing::get};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use remint_core::provider::PortMap;
use tokio::net::TcpListener;

use super::{Balancers, control};
use crate::cloud::balancer::{BalancerSnapshot, CheckProtocol, Listener, MemberCheck, MemberHealth, Protocol};

/// A server at an address of its own, on a port that is free there.
async fn server(address: Ipv4Addr) -> u16 {
    let listener = TcpListener::bind((address, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let router = Router::new().fallback(get(move || async move { address.to_string() }));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    port
}

/// A load balancer on a free port of an address of the test's own.
fn balancer(address: Ipv4Addr, member: Ipv4Addr, target_port: u16) -> BalancerSnapshot {
    let free = std::net::TcpListener::bind((address, 0)).unwrap();
    let port = free.local_addr().unwrap().port();
    BalancerSnapshot {
        id: 7,
        address,
        listeners: vec![Listener { port, protocol: Protocol::Http, target_port }],
        check: MemberCheck {
            protocol: CheckProtocol::Http { path: "/it's".to_owned() },
            port: target_port,
            interval: Duration::from_millis(50),
            timeout: Duration::from_secs(5),
            healthy: 2,
            unhealthy: 2,
        },
        sources: Vec::new(),
        members: [(1, member)].into(),
    }
}

/// Waits until something is so; a test that would wait without end fails.
async fn until(observe: impl AsyncFn() -> bool) {
    for _ in 0..3000 {
        if observe().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never was so");
}

async fn until_healthy(balancers: &Arc<Balancers>, members: &[u64]) {
    let wanted = members.iter().map(|id| (*id, MemberHealth::Healthy)).collect();
    until(async || balancers.health(7).await == wanted).await;
}

async fn ask(balancer: &BalancerSnapshot) -> Option<String> {
    let url = format!("http://{}:{}/", balancer.address, balancer.listeners[0].port);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    client.get(url).send().await.ok()?.error_for_status().ok()?.text().await.ok()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn one_whose_process_died_works_again_and_its_files_are_nobody_elses() {
    let dir = tempfile::tempdir().unwrap();
    let balancers = Balancers::new(dir.path().join("balancers"), PortMap::default());
    let member = Ipv4Addr::new(127, 252, 0, 1);
    let balancer = balancer(Ipv4Addr::new(127, 252, 128, 1), member, server(member).await);
    balancers.set(balancer.clone()).await.unwrap();
    until_healthy(&balancers, &[1]).await;
    assert_eq!(ask(&balancer).await, Some(member.to_string()));
    let folder = dir.path().join("balancers/7");
    assert_eq!((mode(&dir.path().join("balancers")), mode(&folder)), (0o700, 0o700));
    assert_eq!((mode(&folder.join("haproxy.cfg")), mode(&folder.join("admin.sock"))), (0o600, 0o600));

    let worker = control::worker(&folder).await.unwrap();
    kill(Pid::from_raw(i32::try_from(worker).unwrap()), Signal::SIGKILL).unwrap();
    until(async || control::worker(&folder).await.is_some_and(|now| now != worker)).await;
    until_healthy(&balancers, &[1]).await;
    assert_eq!(ask(&balancer).await, Some(member.to_string()));
    balancers.remove(7).await;
    assert_eq!(ask(&balancer).await, None);
    assert!(!folder.exists());
}

/// What a killed sandbox leaves: nobody who ends its HAProxy in order.
#[tokio::test]
async fn it_ends_with_the_sandbox_and_its_ports_are_free_for_the_next_one() {
    let dir = tempfile::tempdir().unwrap();
    let member = Ipv4Addr::new(127, 252, 0, 2);
    let balancer = balancer(Ipv4Addr::new(127, 252, 128, 2), member, server(member).await);
    for _ in 0..2 {
        let balancers = Balancers::new(dir.path().join("balancers"), PortMap::default());
        balancers.set(balancer.clone()).await.unwrap();
        until_healthy(&balancers, &[1]).await;
        assert_eq!(ask(&balancer).await, Some(member.to_string()));
        drop(balancers);
    }
    until(async || ask(&balancer).await.is_none()).await;
}

#[tokio::test]
async fn one_that_cannot_have_its_port_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let balancers = Balancers::new(dir.path().join("balancers"), PortMap::default());
    let member = Ipv4Addr::new(127, 252, 0, 3);
    let balancer = balancer(Ipv4Addr::new(127, 252, 128, 3), member, server(member).await);
    let held = std::net::TcpListener::bind((balancer.address, balancer.listeners[0].port)).unwrap();
    let problem = balancers.set(balancer.clone()).await.unwrap_err();
    assert!(problem.contains("cannot bind socket"), "{problem}");
    drop(held);
    // It is tried again without being told.
    until_healthy(&balancers, &[1]).await;
    assert_eq!(ask(&balancer).await, Some(member.to_string()));
    balancers.end().await;
}
