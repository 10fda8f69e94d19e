//! `remint conformance run --target sandbox`: on a sandbox that is there for the run alone.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use remint_conformance::{Report, Runner, Suite, Target};
use remint_core::provider::{BuildContext, Provider, Registration, Registry};
use remint_sandbox::{
    cloud::{AccountLimits, Api},
    process::{self, AdminClient, KindChoice, StartOptions},
    provider::api_of,
};
use tokio_util::sync::CancellationToken;

use super::{
    bundle::Recording,
    chosen::{Place, another, place, registration},
    progress::Progressing,
};
use crate::{
    args::conformance::{RunArgs, TargetKind},
    exit::{ExitStatus, Failure},
    printer::Printer,
    settings::Settings,
};

/// The zone that the account has.
const ZONE: &str = "conformance.test";

/// What the timeouts of cases are multiplied by; on an idle machine they take a second or two.
const PATIENCE: f64 = 0.2;

pub(super) async fn run(
    args: &RunArgs,
    settings: &Settings,
    printer: &Printer,
    cancel: CancellationToken,
    recording: &Recording,
) -> Result<Report, Failure> {
    let registration = registration(settings)?;
    let id = registration.descriptor.id;
    let Some(api) = api_of(id) else {
        let failure = Failure::new(ExitStatus::Usage, anyhow::anyhow!("the sandbox does not speak the API of {id}"));
        return Err(failure.hint("run it on an account: --target account"));
    };
    let place = place(registration, args, None, &BuildContext::default())?;
    let name = format!("conformance-{}", &uuid::Uuid::new_v4().simple().to_string()[..8]);
    let work = async {
        let kind = KindChoice::Simulated;
        let start =
            StartOptions { name: Some(name.clone()), kind, rate_limits: Some(false), ..StartOptions::default() };
        process::start(start).await?;
        AdminClient::of(&name)?.add_zone(ZONE, api).await?;
        let variables = process::env(&name)?.variables(api)?;
        let mut env: BTreeMap<String, String> = settings.process_env.clone();
        env.retain(|name, _| !leads_to_a_cloud(name));
        env.extend(variables.into_iter().map(|one| (one.name.to_owned(), one.value)));
        env.insert("REMINT_SANDBOX".to_owned(), name.clone());
        let target = target(registration, api, place, env, recording).await?;
        let suite = Suite::of(registration.descriptor, &target.settings());
        let suite = suite.only(&args.only).map_err(|error| Failure::new(ExitStatus::Usage, error))?;
        let started = Timestamp::now();
        let mut progressing = Progressing::new(printer);
        let runner = Runner::new(target).cancelled_by(cancel);
        let ended = suite
            .run(&runner, &mut |progress| {
                recording.hear(&progress);
                progressing.hear(progress);
            })
            .await;
        Ok::<_, Failure>(Report::new(registration.descriptor, &TargetKind::Sandbox.name(), started, &ended))
    };
    let report = work.await;
    // It goes whatever came of the run; why the run failed is worth more than why it did not go.
    let gone = process::reset(&name).await;
    let report = report?;
    gone?;
    Ok(report)
}

/// Whether a variable is one of the user's own settings for a cloud: none of them may lead a client away from the sandbox.
fn leads_to_a_cloud(name: &str) -> bool {
    let prefixes = Registry::all().into_iter().flat_map(|registration| registration.environment.prefixes);
    prefixes.copied().any(|prefix| name.starts_with(prefix))
}

async fn target(
    registration: &'static Registration,
    api: Api,
    place: Place,
    env: BTreeMap<String, String>,
    recording: &Recording,
) -> Result<Target, Failure> {
    let context = BuildContext { env, region: Some(place.region.clone()), ..BuildContext::default() };
    let provider = (registration.build)(context.clone()).await?;
    Ok(Target {
        second_region: place.second_region,
        zone: Some(ZONE.to_owned()),
        stranger: stranger(registration, &context).await?,
        another: Some(recording.further(another(registration, context, &provider))),
        static_ip_limit: u64::try_from(AccountLimits::default().static_ips(api)).ok(),
        poll: std::time::Duration::from_millis(50),
        patience: PATIENCE,
        ..Target::new(recording.around(provider), place.region, place.size, place.base)
    })
}

/// The same provider with a secret that is not the account's; none where the secret is in no variable.
async fn stranger(registration: &Registration, context: &BuildContext) -> Result<Option<Arc<dyn Provider>>, Failure> {
    let mut context = context.clone();
    let Some(secret) = registration.environment.secret.and_then(|name| context.env.get_mut(name)) else {
        return Ok(None);
    };
    // Of the same length and of letters that occur in it.
    *secret = secret.chars().rev().collect();
    Ok(Some((registration.build)(context).await?))
}
