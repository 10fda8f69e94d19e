//! Load balancers with real HAProxies and small servers behind them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::Ipv4Addr,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    sync::Arc,
    time::Duration,
};

use axum::{Router, routing::get};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use remint_core::provider::PortMap;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::Instant,
};

use super::{Balancers, control};
use crate::cloud::balancer::{
    BalancerSnapshot, CheckProtocol, Listener, MemberCheck, MemberHealth, NoneHealthy, PoolSnapshot, Protocol,
};

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
        listeners: vec![Listener { port, protocol: Protocol::Http, target_port, pool: None }],
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
        none_healthy: NoneHealthy::Refuse,
        drain: None,
        first_pass: false,
        join: Duration::ZERO,
        leave: Duration::ZERO,
        known: BTreeSet::new(),
        pools: BTreeMap::new(),
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
    assert_eq!(mode(&folder.join("master.sock")), 0o600);

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

/// Connections go to members that fail their checks where none passes, and no longer when one does.
#[tokio::test]
async fn one_that_spreads_uses_all_members_where_none_is_healthy() {
    let dir = tempfile::tempdir().unwrap();
    let balancers = Balancers::new(dir.path().join("balancers"), PortMap::default());
    let (member, other) = (Ipv4Addr::new(127, 252, 0, 6), Ipv4Addr::new(127, 252, 0, 7));
    let mut balancer = balancer(Ipv4Addr::new(127, 252, 128, 6), member, server(member).await);
    let check = balancer.check.port;
    // Nobody answers there yet.
    balancer.check.port = 9;
    balancer.check.protocol = CheckProtocol::Tcp;
    balancers.set(balancer.clone()).await.unwrap();
    let unhealthy = [(1, MemberHealth::Unhealthy)].into();
    until(async || balancers.health(7).await == unhealthy).await;
    assert_eq!(ask(&balancer).await, None);
    balancer.none_healthy = NoneHealthy::Spread;
    balancers.set(balancer.clone()).await.unwrap();
    until(async || balancers.health(7).await == unhealthy).await;
    assert_eq!(ask(&balancer).await, Some(member.to_string()));
    // One that comes while none is healthy gets connections, too.
    balancer.members = [(2, other)].into();
    let listener = TcpListener::bind((other, check)).await.unwrap();
    let router = Router::new().fallback(get(move || async move { other.to_string() }));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    balancers.set(balancer.clone()).await.unwrap();
    assert_eq!(ask(&balancer).await, Some(other.to_string()));
    // One that is healthy gets them all.
    balancer.members = [(1, member), (2, other)].into();
    balancer.check.port = check;
    balancers.set(balancer.clone()).await.unwrap();
    until_healthy(&balancers, &[1, 2]).await;
    balancers.end().await;
}

/// A client that holds a connection to a member.
async fn held(balancer: &BalancerSnapshot) -> TcpStream {
    let mut stream = TcpStream::connect((balancer.address, balancer.listeners[0].port)).await.unwrap();
    // The server waits for the rest of the request.
    stream.write_all(b"GET / HTTP/1.1\r\nhost: front\r\n").await.unwrap();
    stream
}

/// Waits until the member's connection is there.
async fn until_connected(dir: &Path) {
    let folder = dir.join("balancers/7");
    until(async || control::seen(&folder).await.unwrap().iter().any(|one| one.connections > 0)).await;
}

#[tokio::test]
async fn one_that_leaves_drains_until_its_connections_have_ended_or_are_cut() {
    let dir = tempfile::tempdir().unwrap();
    let balancers = Balancers::new(dir.path().join("balancers"), PortMap::default());
    let member = Ipv4Addr::new(127, 252, 0, 8);
    let mut balancer = balancer(Ipv4Addr::new(127, 252, 128, 8), member, server(member).await);
    balancer.listeners[0].protocol = Protocol::Tcp;
    balancer.drain = Some(Duration::from_secs(60));
    balancers.set(balancer.clone()).await.unwrap();
    until_healthy(&balancers, &[1]).await;
    let draining = [(1, MemberHealth::Draining)].into();
    let without = BalancerSnapshot { members: BTreeMap::new(), ..balancer.clone() };

    let connection = held(&balancer).await;
    until_connected(dir.path()).await;
    balancers.set(without.clone()).await.unwrap();
    assert_eq!(balancers.health(7).await, draining);
    assert_eq!(ask(&balancer).await, None, "it gets no new ones");
    // It is still a member for the time after new settings.
    let mut other = without.clone();
    other.check.healthy = 3;
    balancers.set(other).await.unwrap();
    assert_eq!(balancers.health(7).await, draining);
    drop(connection);
    until(async || balancers.health(7).await.is_empty()).await;

    balancer.drain = Some(Duration::from_millis(300));
    balancers.set(balancer.clone()).await.unwrap();
    until_healthy(&balancers, &[1]).await;
    let mut connection = held(&balancer).await;
    until_connected(dir.path()).await;
    balancers.set(BalancerSnapshot { members: BTreeMap::new(), ..balancer.clone() }).await.unwrap();
    assert_eq!(balancers.health(7).await, draining);
    let mut rest = Vec::new();
    let cut = tokio::time::timeout(Duration::from_secs(20), connection.read_to_end(&mut rest)).await;
    assert!(cut.is_ok(), "its connection is cut");
    until(async || balancers.health(7).await.is_empty()).await;
    balancers.end().await;
}

#[tokio::test]
async fn one_that_is_late_lets_members_in_and_go_after_a_while() {
    let dir = tempfile::tempdir().unwrap();
    let balancers = Balancers::new(dir.path().join("balancers"), PortMap::default());
    let member = Ipv4Addr::new(127, 252, 0, 9);
    let mut balancer = balancer(Ipv4Addr::new(127, 252, 128, 9), member, server(member).await);
    balancer.drain = Some(Duration::ZERO);
    (balancer.join, balancer.leave) = (Duration::from_millis(1500), Duration::from_millis(1500));
    let begun = Instant::now();
    balancers.set(balancer.clone()).await.unwrap();
    assert_eq!(balancers.health(7).await, [(1, MemberHealth::Unchecked)].into());
    // Another change does not make it a member that was there.
    balancer.known = [1].into();
    balancer.check.healthy = 1;
    balancers.set(balancer.clone()).await.unwrap();
    assert_eq!(balancers.health(7).await, [(1, MemberHealth::Unchecked)].into());
    until_healthy(&balancers, &[1]).await;
    assert!(begun.elapsed() >= balancer.join, "{:?}", begun.elapsed());

    let without = BalancerSnapshot { members: BTreeMap::new(), ..balancer.clone() };
    let left = Instant::now();
    balancers.set(without).await.unwrap();
    assert_eq!(balancers.health(7).await, [(1, MemberHealth::Draining)].into());
    assert_eq!(ask(&balancer).await, Some(member.to_string()), "it still gets connections");
    until(async || balancers.health(7).await.is_empty()).await;
    assert!(left.elapsed() >= balancer.leave, "{:?}", left.elapsed());
    assert_eq!(ask(&balancer).await, None);
    balancers.end().await;
}

#[tokio::test]
async fn the_first_check_that_passes_is_enough_where_that_is_so() {
    let dir = tempfile::tempdir().unwrap();
    let balancers = Balancers::new(dir.path().join("balancers"), PortMap::default());
    let member = Ipv4Addr::new(127, 252, 0, 10);
    let mut balancer = balancer(Ipv4Addr::new(127, 252, 128, 10), member, server(member).await);
    balancer.check.healthy = 100_000;
    balancers.set(balancer.clone()).await.unwrap();
    until(async || balancers.health(7).await == [(1, MemberHealth::Unhealthy)].into()).await;
    balancer.first_pass = true;
    // It is new to a process that has not had it.
    balancers.set(BalancerSnapshot { members: BTreeMap::new(), ..balancer.clone() }).await.unwrap();
    until(async || balancers.health(7).await.is_empty()).await;
    balancers.set(balancer.clone()).await.unwrap();
    until_healthy(&balancers, &[1]).await;
    assert_eq!(ask(&balancer).await, Some(member.to_string()));
    balancers.end().await;
}

#[tokio::test]
async fn each_listener_has_the_members_of_its_pool() {
    let dir = tempfile::tempdir().unwrap();
    let balancers = Balancers::new(dir.path().join("balancers"), PortMap::default());
    let (member, other) = (Ipv4Addr::new(127, 252, 0, 11), Ipv4Addr::new(127, 252, 0, 12));
    let mut balancer = balancer(Ipv4Addr::new(127, 252, 128, 11), member, server(member).await);
    let target_port = server(other).await;
    let free = std::net::TcpListener::bind((balancer.address, 0)).unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    balancer.listeners.push(Listener { port, protocol: Protocol::Http, target_port, pool: Some(3) });
    let check = MemberCheck { port: target_port, ..balancer.check.clone() };
    let members = [(2, other)].into();
    balancer.pools.insert(3, PoolSnapshot { check, members, drain: None, cuts: true, known: BTreeSet::new() });
    balancers.set(balancer.clone()).await.unwrap();
    until_healthy(&balancers, &[1, 2]).await;
    let health = balancers.listener_health(7).await;
    assert_eq!(health[&port], [(2, MemberHealth::Healthy)].into());
    assert_eq!(ask(&balancer).await, Some(member.to_string()));
    balancer.listeners.reverse();
    assert_eq!(ask(&balancer).await, Some(other.to_string()));
    balancers.end().await;
}

/// It comes back together with new settings, before it was let go.
#[tokio::test]
async fn one_that_left_a_moment_ago_is_a_member_with_new_settings() {
    let dir = tempfile::tempdir().unwrap();
    let balancers = Balancers::new(dir.path().join("balancers"), PortMap::default());
    let member = Ipv4Addr::new(127, 252, 0, 13);
    let mut balancer = balancer(Ipv4Addr::new(127, 252, 128, 13), member, server(member).await);
    balancer.drain = Some(Duration::from_secs(60));
    balancers.set(balancer.clone()).await.unwrap();
    until_healthy(&balancers, &[1]).await;
    balancers.set(BalancerSnapshot { members: BTreeMap::new(), ..balancer.clone() }).await.unwrap();
    balancer.check.healthy = 1;
    balancers.set(balancer.clone()).await.unwrap();
    // Longer than it takes until those are let go that have no connections.
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(balancers.health(7).await.contains_key(&1), "it is a member");
    }
    until_healthy(&balancers, &[1]).await;
    balancers.end().await;
}
