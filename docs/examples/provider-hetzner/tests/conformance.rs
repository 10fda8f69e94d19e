//! The suite that every Remint provider passes, against a fake of the API. Cases that interfere get a project of their
//! own, all others share one.

#![expect(clippy::unwrap_used, reason = "a test whose fake does not start has failed")]

mod fake;

use std::{process::ExitCode, sync::Arc, time::Duration};

use async_trait::async_trait;
use axum::http::Method;
use fake::{Fake, Fault, TOKEN};
use remint_conformance::{Guarded, Interference, LostReply, Refusal, Setting, Settings, Target, Tenancy, libtest};
use remint_core::provider::{Provider, RatePolicy, RetryPolicy};
use remint_hetzner::{Cloud, DESCRIPTOR, Options};

// ANCHOR: harness
const ZONE: &str = "conformance.example";

/// What the fake brings. Its machines do not boot, so the cases that look inside of one are blocked.
const SETTINGS: Settings = &[
    Setting::SecondRegion,
    Setting::Zone,
    Setting::Stranger,
    Setting::Another,
    Setting::LostReplies,
    Setting::StaticIpLimit,
];

fn main() -> ExitCode {
    libtest(&DESCRIPTOR, SETTINGS, &[], |tenancy| Box::pin(start(tenancy)))
}

async fn start(tenancy: Tenancy) -> Guarded {
    let limit = if tenancy == Tenancy::Alone { 3 } else { 100 };
    let fake = Arc::new(Fake::start(ZONE, limit).await.unwrap());
    let endpoint = fake.endpoint.clone();
    let target = Target {
        second_region: Some("nbg1".into()),
        zone: Some(ZONE.to_owned()),
        stranger: Some(provider(&endpoint, "revoked")),
        boots: false,
        interference: Some(Arc::new(Faults(Arc::clone(&fake)))),
        static_ip_limit: u64::try_from(limit).ok(),
        poll: Duration::from_millis(5),
        patience: 0.05,
        ..Target::new(provider(&endpoint, TOKEN), "fsn1".into(), "cx22".into(), "debian-12")
    };
    let another = move || provider(&endpoint, TOKEN);
    Guarded { target: Target { another: Some(Arc::new(another)), ..target }, guard: Box::new(fake) }
}
// ANCHOR_END: harness

/// The provider as users have it, but quick. It repeats more often: the cases side by side share one zone, which every
/// change locks, and together the pauses must outlast a queue of them.
fn provider(endpoint: &str, token: &str) -> Arc<dyn Provider> {
    let (first_pause, max_pause) = (Duration::from_millis(10), Duration::from_millis(500));
    let options = Options {
        rate: RatePolicy { burst: 10_000, per_second: 1000.0, reserved_for_mutations: 100 },
        retry: RetryPolicy { attempts: 12, first_pause, max_pause, ..RetryPolicy::default() },
        poll: Duration::from_millis(5),
        ..Options::new(endpoint.parse().unwrap(), token.into(), "conformance".to_owned())
    };
    Arc::new(Cloud::new(options).unwrap())
}

struct Faults(Arc<Fake>);

/// The calls that a mutation may be.
fn calls(reply: LostReply) -> Result<(Method, &'static [&'static str]), String> {
    Ok(match reply {
        LostReply::Launch => (Method::POST, &["servers"]),
        LostReply::Power => (Method::POST, &["servers/*/actions/poweroff"]),
        LostReply::Destroy => (Method::DELETE, &["servers/*"]),
        LostReply::Label => (Method::PUT, &["servers/*"]),
        LostReply::Capture => (Method::POST, &["servers/*/actions/create_image"]),
        LostReply::DeleteImage => (Method::DELETE, &["images/*"]),
        LostReply::EnsureStaticIp => (Method::POST, &["floating_ips"]),
        LostReply::AssignStaticIp => (Method::POST, &["floating_ips/*/actions/assign"]),
        LostReply::ReleaseStaticIp => (Method::DELETE, &["floating_ips/*"]),
        LostReply::UpsertRecord => (Method::POST, &["zones/*/rrsets", "zones/*/rrsets/*/*/actions/set_records"]),
        LostReply::RemoveRecord => (Method::DELETE, &["zones/*/rrsets/*/*"]),
        LostReply::EnsureLoginKey => (Method::POST, &["ssh_keys"]),
        LostReply::CopyImage => return Err("images are not copied here".to_owned()),
        LostReply::EnsureLoadBalancer
        | LostReply::AttachMembers
        | LostReply::DetachMembers
        | LostReply::DestroyLoadBalancer => return Err("there are no load balancers here".to_owned()),
    })
}

#[async_trait]
impl Interference for Faults {
    async fn lose_next(&self, reply: LostReply) -> Result<(), String> {
        let (method, paths) = calls(reply)?;
        self.0.fail(method, paths, Fault::LostReply, 1);
        Ok(())
    }

    async fn refuse_next(&self, call: LostReply, refusal: Refusal, times: u64) -> Result<(), String> {
        let (method, paths) = calls(call)?;
        let fault = match refusal {
            Refusal::RateLimited => Fault::RateLimited,
            Refusal::Unavailable => Fault::Unavailable,
        };
        self.0.fail(method, paths, fault, times);
        Ok(())
    }

    async fn recover(&self) -> Result<(), String> {
        self.0.mend();
        Ok(())
    }

    async fn lost(&self) -> Result<u64, String> {
        Ok(self.0.hit())
    }
}
