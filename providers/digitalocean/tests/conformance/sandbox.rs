//! A sandbox in this process, and the provider pointed at it.

use std::{
    net::{Ipv4Addr, TcpListener},
    sync::Arc,
    time::Duration,
};

use remint_conformance::{Guarded, Target};
use remint_core::provider::{PortMap, Provider, RatePolicy, RetryPolicy};
use remint_digitalocean::{ClientOptions, DigitalOcean};
use remint_sandbox::{
    api::Server,
    cloud::{AccountLimits, Config, Profile},
    dns::Dns,
    edge::{EdgeHandle, LocalEdge},
    forward::Forwarder,
    machine::{DiskImage, simulated::Simulated},
    rate::RateLimits,
};
use serde_json::json;

use crate::interference::Faults;

const TOKEN: &str = "dop_v1_conformance";
const BASE: &str = "debian-12-x64";
const ZONE: &str = "conformance.example";

/// The port by which running sandboxes show that they have a slot.
const MARK: u16 = 7069;

/// Low ports are moved, so that the suite runs without privileges and beside other servers.
const PORTS: PortMap = PortMap { through: 1023, offset: 20000 };

/// What lives as long as the target.
struct Running {
    _server: Server,
    _dir: tempfile::TempDir,
    _mark: TcpListener,
}

pub(crate) async fn start() -> Guarded {
    let (slot, mark) = free_slot();
    let dir = tempfile::tempdir().unwrap();
    let bases = [BASE, "debian-13-x64", "ubuntu-24-04-x64"].map(|name| DiskImage(name.to_owned()));
    let machines = Simulated::new(dir.path().join("machines"), bases.to_vec()).await.unwrap();
    let edge = LocalEdge::new(
        Dns::bind((Ipv4Addr::LOCALHOST, 0).into()).await.unwrap(),
        Forwarder::new(PORTS, []),
        machines.clone(),
        RateLimits::new(1.0, false),
        Box::new(|_| Ok(())),
    );
    let limits = AccountLimits::default();
    let config = Config {
        record: None,
        state_dir: dir.path().join("state"),
        listen: (Ipv4Addr::LOCALHOST, 0).into(),
        slot,
        profile: Profile::Instant,
        speed: 1.0,
        seed: 1,
        token: TOKEN.into(),
        ports: PORTS,
        open: Vec::new(),
        limits,
    };
    let server = Server::start(config, machines, Arc::new(EdgeHandle(edge))).await.unwrap();
    let url = format!("http://{}", server.addr);

    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let zone = http.post(format!("{url}/v2/domains")).bearer_auth(TOKEN).json(&json!({ "name": ZONE }));
    zone.send().await.unwrap().error_for_status().unwrap();
    let target = Target {
        provider: provider(&url, TOKEN),
        region: "fra1".into(),
        size: "s-1vcpu-1gb".into(),
        base_image: BASE.to_owned(),
        second_region: Some("ams3".into()),
        zone: Some(ZONE.to_owned()),
        stranger: Some(provider(&url, "dop_v1_revoked")),
        interference: Some(Arc::new(Faults { url, token: TOKEN, http })),
        static_ip_limit: u64::try_from(limits.reserved_ips).ok(),
        poll: Duration::from_millis(20),
        // Two minutes for most cases; they take a second or two on an idle machine.
        patience: 0.2,
    };
    Guarded { target, guard: Box::new(Running { _server: server, _dir: dir, _mark: mark }) }
}

fn provider(url: &str, token: &str) -> Arc<dyn Provider> {
    let (first_pause, max_pause) = (Duration::from_millis(20), Duration::from_millis(500));
    let options = ClientOptions {
        ports: PORTS,
        rate: RatePolicy { burst: 10_000, per_second: 1000.0, reserved_for_mutations: 100 },
        retry: RetryPolicy { first_pause, max_pause, ..RetryPolicy::default() },
        grace: Duration::from_secs(5),
        settle: Duration::from_millis(600),
        ..ClientOptions::new(url.parse().unwrap(), token.into())
    };
    Arc::new(DigitalOcean::new(options).unwrap())
}

/// A slot whose addresses no sandbox of this machine has, and what keeps others off it.
fn free_slot() -> (u8, TcpListener) {
    let mark = |slot| TcpListener::bind((Ipv4Addr::new(127, slot, 0, 1), MARK)).ok().map(|mark| (slot, mark));
    (100..=250).find_map(mark).expect("a free slot")
}
