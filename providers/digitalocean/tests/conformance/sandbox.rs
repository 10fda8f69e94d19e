//! A sandbox in this process, and the provider pointed at it.

use std::{sync::Arc, time::Duration};

use remint_conformance::{Guarded, Target, Tenancy};
use remint_core::provider::{Provider, RatePolicy, RetryPolicy};
use remint_digitalocean::{ClientOptions, DigitalOcean};
use remint_sandbox::{
    cloud::{AccountLimits, Api},
    embedded::{Embedded, Options},
};
use secrecy::SecretString;

use crate::interference::Faults;

const ZONE: &str = "conformance.example";
/// Long enough for the next call to come by, when a change is dropped.
const HOLD: Duration = Duration::from_millis(20);

pub(crate) async fn start(tenancy: Tenancy) -> Guarded {
    let limits = match tenancy {
        Tenancy::Alone => AccountLimits::default(),
        Tenancy::Shared => AccountLimits { instances: 500, static_ips: 100 },
    };
    let sandbox = Arc::new(Embedded::start(Options { limits, hold: HOLD, ..Options::default() }).await.unwrap());
    sandbox.add_zone(Api::DigitalOcean, ZONE).await.unwrap();
    let another = {
        let sandbox = sandbox.clone();
        move || provider(&sandbox, sandbox.token().clone())
    };
    let target = Target {
        second_region: Some("ams3".into()),
        zone: Some(ZONE.to_owned()),
        stranger: Some(provider(&sandbox, "dop_v1_revoked".into())),
        interference: Some(Arc::new(Faults(sandbox.clone()))),
        static_ip_limit: u64::try_from(limits.static_ips(Api::DigitalOcean)).ok(),
        poll: Duration::from_millis(20),
        // Two minutes for most cases; they take a second or two on an idle machine.
        patience: 0.2,
        ..Target::new(another(), "fra1".into(), "s-1vcpu-1gb".into(), "debian-12-x64")
    };
    Guarded { target: Target { another: Some(Arc::new(another)), ..target }, guard: Box::new(sandbox) }
}

fn provider(sandbox: &Embedded, token: SecretString) -> Arc<dyn Provider> {
    let (first_pause, max_pause) = (Duration::from_millis(20), Duration::from_millis(500));
    let options = ClientOptions {
        ports: sandbox.ports(),
        rate: RatePolicy { burst: 10_000, per_second: 1000.0, reserved_for_mutations: 100 },
        retry: RetryPolicy { first_pause, max_pause, ..RetryPolicy::default() },
        grace: Duration::from_secs(5),
        settle: Duration::from_millis(600),
        ..ClientOptions::new(sandbox.url().parse().unwrap(), token)
    };
    Arc::new(DigitalOcean::new(options).unwrap())
}
