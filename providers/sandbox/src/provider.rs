//! `provider = "sandbox"`: the DigitalOcean provider, pointed at a sandbox that is started on demand.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::{FutureExt as _, future::BoxFuture};
use remint_core::provider::{
    BuildContext, Capability, Descriptor, Error, ErrorKind, Guest, Limits, Program, Provider, RatePolicy, Registration,
    Result, RetryPolicy,
};
use remint_digitalocean::{ClientOptions, DigitalOcean};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    cloud::{Api, DelayKind, Profile},
    process::{self, AdminClient, DEFAULT_NAME, KindChoice, SandboxError, StartOptions},
};

/// The provider's id, as the manifest names it.
pub const ID: &str = "sandbox";

/// The API that a provider speaks; `None` for a provider of another cloud.
pub fn api_of(provider: &str) -> Option<Api> {
    if provider == ID { Some(Api::DigitalOcean) } else { provider.parse().ok() }
}

/// The program that serves a sandbox which is started on demand; for library users and tests, whose own program cannot.
const EXECUTABLE: &str = "REMINT_EXE";

const OPERATION: &str = "configure sandbox";
const START_HINT: &str = "start it with `remint sandbox start`; `remint deploy` starts it by itself";

/// What QEMU is for.
const MACHINES: &str = "the sandbox's real virtual machines";

const INSTANTLY: Duration = Duration::from_millis(100);

/// What the sandbox can do: what DigitalOcean can, and consoles.
pub static DESCRIPTOR: Descriptor = Descriptor {
    id: ID,
    title: "Sandbox",
    capabilities: &[
        Capability::ImageCopyRegions,
        Capability::InstanceLaunchBatch,
        Capability::InstanceConsole,
        Capability::InstanceRelabel,
        Capability::StaticIp,
        Capability::StaticIpReassign,
        Capability::LoadBalancer,
        Capability::LoadBalancerHttp,
        Capability::LoadBalancerTargetPort,
        Capability::LoadBalancerAddress,
        Capability::Dns,
        Capability::LoginKey,
        Capability::Marker,
        Capability::Strays,
    ],
    limits: Limits {
        // An instant sandbox has done everything by the next look; see `descriptor` for one that takes its time.
        launch_time: INSTANTLY,
        capture_time: INSTANTLY,
        assign_time: INSTANTLY,
        balancer_time: INSTANTLY,
        destroy_time: INSTANTLY,
        settle_time: Limits::MACHINE_SETTLES,
        ..remint_digitalocean::LIMITS
    },
    guest: Guest::CLOUD_INIT,
};

/// The options of `[providers.sandbox.options]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Which sandbox; `REMINT_SANDBOX` when left out, and `default` without either.
    pub name: Option<String>,
    /// What stands behind the instances: `auto`, `qemu` or `simulated`.
    pub kind: KindChoice,
    /// How long things take: `instant` or `realistic`.
    #[schemars(with = "Option<String>")]
    pub profile: Option<Profile>,
    /// By how much the profile's delays are divided.
    pub speed: Option<f64>,
    /// What the delays are drawn from.
    pub seed: Option<u64>,
    /// Whether it is started when it does not run; it is, by default.
    pub autostart: Option<bool>,
    /// Service ports to open beside the usual ones and the service's own.
    pub ports: Vec<u16>,
}

inventory::submit! {
    Registration::new(&DESCRIPTOR, || schemars::schema_for!(Options), build)
        .with_usual(remint_digitalocean::USUAL)
        .with_programs(&[
            Program { name: "qemu-system-x86_64", purpose: MACHINES, package: "qemu-system-x86" },
            Program { name: "qemu-img", purpose: MACHINES, package: "qemu-utils" },
            Program { name: "haproxy", purpose: "the sandbox's load balancers", package: "haproxy" },
            Program { name: "mmdebstrap", purpose: "building the sandbox's base image", package: "mmdebstrap" },
        ])
        .started_on_demand()
}

fn build(context: BuildContext) -> BoxFuture<'static, Result<Arc<dyn Provider>>> {
    async move {
        let provider = connect(context).await?;
        Ok(Arc::new(provider) as Arc<dyn Provider>)
    }
    .boxed()
}

/// A provider for the sandbox of the options, which runs then and has the service's ports open.
async fn connect(context: BuildContext) -> Result<DigitalOcean> {
    let options: Options = context.options.clone().try_into().map_err(|error: toml::de::Error| {
        Error::new(ErrorKind::InvalidInput, OPERATION, error.message().trim())
            .with_resource("[providers.sandbox.options]")
    })?;
    let variable = |name: &str| context.env.get(name).filter(|value| !value.is_empty()).cloned();
    let name = options.name.or_else(|| variable("REMINT_SANDBOX")).unwrap_or_else(|| DEFAULT_NAME.to_owned());
    let mut ports = context.service_ports.clone();
    ports.extend(&options.ports);
    ports.retain(|port| *port != 22);
    let start = StartOptions {
        name: Some(name.clone()),
        kind: options.kind,
        profile: options.profile,
        speed: options.speed,
        seed: options.seed,
        ports: ports.clone(),
        executable: variable(EXECUTABLE).map(PathBuf::from),
        ..StartOptions::default()
    };
    let running = if context.only_look {
        // A command that only looks starts nothing, and opens no ports.
        process::find(&name).map_err(|error| failed(&name, error).with_hint(START_HINT))?
    } else if options.autostart.unwrap_or(true) {
        process::start(start).await.map_err(|error| failed(&name, error))?
    } else {
        let running = process::find(&name).map_err(|error| failed(&name, error))?;
        let client = AdminClient::of(&name).map_err(|error| failed(&name, error))?;
        client.open_ports(&ports).await.map_err(|error| failed(&name, error))?;
        running
    };
    if !running.settings.apis.contains(&Api::DigitalOcean) {
        return Err(failed(&name, SandboxError::NotSpoken { name: name.clone(), api: Api::DigitalOcean }));
    }
    let api_url = running.record.api_url().parse().map_err(|error: url::ParseError| {
        Error::new(ErrorKind::Unexpected, OPERATION, "the sandbox's address is no URL").with_source(error)
    })?;
    let rate = remint_digitalocean::RATE;
    let retry = RetryPolicy::from_env(&context.env)?;
    DigitalOcean::new(ClientOptions {
        ports: running.record.ports,
        descriptor: descriptor(running.settings.profile, running.settings.speed),
        // The limits' windows are shorter by the speed, so that much faster there is room again.
        rate: RatePolicy { per_second: rate.per_second * running.settings.speed.max(1.0), ..rate },
        // What the sandbox has accepted, its next answer shows, unless a fault rule says otherwise.
        grace: Duration::from_secs(10),
        settle: Duration::from_secs(3),
        retry,
        console_path: Some("/sandbox/v1/droplets/{id}/console"),
        ..ClientOptions::new(api_url, running.token)
    })
}

/// The descriptor of a sandbox whose work takes as long as its profile says, at best. One is made for each pair of
/// settings that this process meets, and lives as long as it.
fn descriptor(profile: Profile, speed: f64) -> &'static Descriptor {
    static MADE: Mutex<Vec<&'static Descriptor>> = Mutex::new(Vec::new());
    let at_best = |kind| {
        let seconds = profile.range(kind).0 / if speed > 0.0 { speed } else { 1.0 };
        Duration::try_from_secs_f64(seconds).unwrap_or_default().max(INSTANTLY)
    };
    let limits = Limits {
        launch_time: at_best(DelayKind::Create),
        capture_time: at_best(DelayKind::Snapshot),
        assign_time: at_best(DelayKind::StaticIp),
        balancer_time: at_best(DelayKind::LoadBalancer),
        destroy_time: at_best(DelayKind::Destroy),
        ..DESCRIPTOR.limits
    };
    if limits == DESCRIPTOR.limits {
        return &DESCRIPTOR;
    }
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    match made.iter().find(|descriptor| descriptor.limits == limits) {
        Some(descriptor) => descriptor,
        None => {
            let descriptor: &'static Descriptor = Box::leak(Box::new(Descriptor { limits, ..DESCRIPTOR }));
            made.push(descriptor);
            descriptor
        }
    }
}

fn failed(name: &str, error: SandboxError) -> Error {
    let kind = match &error {
        SandboxError::Name(_) | SandboxError::Setting(_) => ErrorKind::InvalidInput,
        SandboxError::Differs { .. }
        | SandboxError::OtherKind { .. }
        | SandboxError::SlotTaken { .. }
        | SandboxError::NotSpoken { .. } => ErrorKind::Conflict,
        SandboxError::NoSlot => ErrorKind::Quota,
        _ => ErrorKind::Unavailable,
    };
    let error_text = error.to_string();
    Error::new(kind, "start sandbox", error_text).with_resource(name)
}

#[cfg(test)]
mod tests {
    use remint_core::provider::Registry;

    use super::*;

    #[test]
    fn the_sandbox_is_registered_with_its_options() {
        let registration = Registry::find(ID).unwrap();
        let schema = serde_json::to_value((registration.options_schema)()).unwrap();
        let mut keys: Vec<_> = schema["properties"].as_object().unwrap().keys().cloned().collect();
        keys.sort();
        assert_eq!(keys, ["autostart", "kind", "name", "ports", "profile", "seed", "speed"]);
    }

    #[test]
    fn nobody_looks_before_the_profile_lets_anything_be_done() {
        assert!(std::ptr::eq(descriptor(Profile::Instant, 1.0), &DESCRIPTOR));
        let real = descriptor(Profile::Realistic, 1.0);
        let settle_time = Limits::MACHINE_SETTLES;
        let at_best = Limits { launch_time: Duration::from_secs(20), settle_time, ..remint_digitalocean::LIMITS };
        assert_eq!(real.limits, at_best);
        assert_eq!(descriptor(Profile::Realistic, 10.0).limits.capture_time, Duration::from_secs(6));
        assert!(std::ptr::eq(real, descriptor(Profile::Realistic, 1.0)), "one descriptor for the same settings");
    }

    #[tokio::test]
    async fn unknown_options_are_refused_before_anything_is_started() {
        let options: toml::Table = "colour = 'red'".parse().unwrap();
        let error = connect(BuildContext { options, ..BuildContext::default() }).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("colour"), "{error}");
    }
}
