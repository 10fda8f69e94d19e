//! A sandbox in this process, and the provider pointed at it.

use std::{sync::Arc, time::Duration};

use google_cloud_auth::credentials::{Credentials, anonymous};
use remint_conformance::{Guarded, Target, Tenancy};
use remint_core::provider::{Provider, RatePolicy, RetryPolicy};
use remint_gcp::{ClientOptions, Gcp, credentials_from_file};
use remint_sandbox::{
    cloud::{AccountLimits, Api},
    embedded::{Embedded, Options},
    gce::PROJECT,
};

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
    sandbox.add_zone(Api::Gce, ZONE).await.unwrap();
    let key = sandbox.service_account().unwrap().path;
    let another = {
        let sandbox = sandbox.clone();
        // Its clients are set up without a call, so nothing is waited for.
        move || futures::executor::block_on(provider(&sandbox, credentials_from_file(&key).unwrap().credentials))
    };
    let target = Target {
        second_region: Some("europe-west3-a".into()),
        zone: Some(ZONE.to_owned()),
        stranger: Some(provider(&sandbox, anonymous::Builder::new().build()).await),
        interference: Some(Arc::new(Faults(sandbox.clone()))),
        static_ip_limit: u64::try_from(limits.static_ips(Api::Gce)).ok(),
        poll: Duration::from_millis(20),
        // Two minutes for most cases; they take a second or two on an idle machine.
        patience: 0.2,
        ..Target::new(another(), "us-central1-a".into(), "e2-small".into(), "ubuntu-os-cloud/ubuntu-2404-lts-amd64")
    };
    Guarded { target: Target { another: Some(Arc::new(another)), ..target }, guard: Box::new(sandbox) }
}

async fn provider(sandbox: &Embedded, credentials: Credentials) -> Arc<dyn Provider> {
    let (first_pause, max_pause) = (Duration::from_millis(20), Duration::from_millis(500));
    let options = ClientOptions {
        compute_url: sandbox.url(),
        dns_url: sandbox.url(),
        ports: sandbox.ports(),
        rate: RatePolicy { burst: 10_000, per_second: 1000.0, reserved_for_mutations: 100 },
        retry: RetryPolicy { first_pause, max_pause, ..RetryPolicy::default() },
        grace: Duration::from_secs(5),
        look: Duration::from_millis(20),
        patience: Duration::from_secs(30),
        ..ClientOptions::new(PROJECT, credentials)
    };
    Arc::new(Gcp::new(options).await.unwrap())
}
