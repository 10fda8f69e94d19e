//! Faults in what a provider says of itself, and in its errors.

use remint_core::provider::{Account, Capability, Descriptor, Effect, Error, ErrorKind, Limits, Provider, Result};

use crate::{
    cloud::{FULL, LIMITS, WHOLE},
    sabotage::{Fault, On, Saboteur, saboteurs},
};

/// Without static IPs, which the model has.
const WITHOUT_STATIC_IPS: &[Capability] = &[
    Capability::ImageCopyRegions,
    Capability::InstanceLaunchBatch,
    Capability::InstanceConsole,
    Capability::InstanceRelabel,
    Capability::Dns,
    Capability::LoginKey,
];

const TWICE: &[Capability] = &[Capability::InstanceLaunchBatch, Capability::InstanceLaunchBatch];

static CONCEALING: Descriptor = Descriptor { capabilities: WITHOUT_STATIC_IPS, ..WHOLE };
static REPEATING: Descriptor = Descriptor { capabilities: TWICE, ..WHOLE };
static ALONE: Descriptor = Descriptor { limits: Limits { launch_batch: 1, ..LIMITS }, ..WHOLE };

pub(super) const SABOTEURS: &[Saboteur] = saboteurs! {
    on &FULL;
    "account.nameless", "`Provider::account`: returns who the credentials belong to",
        Account() => nameless, ["account.tells_owner"];
    "account.uncounted", "`Provider::calls`: the meter that every call goes through",
        = Fault::Uncounted, ["account.counted"];
    "descriptor.declared_and_none", "`Provider::dns_zones`: `Some` exactly when it is declared",
        = Fault::Without(Capability::Dns), ["descriptor.concerns"];
    "descriptor.undeclared_and_some", "`Provider::static_ips`: `Some` exactly when it is declared",
        = Fault::Descriptor(&CONCEALING), ["descriptor.concerns"];
    "descriptor.declared_twice", "`Descriptor::capabilities`: each is declared once",
        = Fault::Descriptor(&REPEATING), ["descriptor.capabilities"];
    "descriptor.batch_of_one", "`Limits::launch_batch`: how many instances one launch call can make",
        = Fault::Descriptor(&ALONE), ["descriptor.limits"];
    "errors.unauthenticated_as_forbidden", "`ErrorKind::Unauthenticated`: the credentials are refused",
        = Fault::Errors(|error| rename(error, ErrorKind::Unauthenticated, ErrorKind::Forbidden)),
        ["account.refused_credentials", "errors.stranger_mutations", "errors.stranger_images", "errors.stranger_static_ips", "errors.stranger_load_balancers", "errors.stranger_dns", "errors.stranger_login_keys"];
    "errors.not_found_as_unexpected", "`ErrorKind::NotFound`: the named resource does not exist",
        = Fault::Errors(|error| rename(error, ErrorKind::NotFound, ErrorKind::Unexpected)),
        ["refusals.nonsense_ids", "dns.unknown_zone"];
    "errors.quota_as_invalid_input", "`ErrorKind::Quota`: an account limit is reached",
        = Fault::Errors(|error| rename(error, ErrorKind::Quota, ErrorKind::InvalidInput)), ["static_ips.quota"];
    "errors.conflict_as_busy", "`ErrorKind::Busy`: the same call will work later",
        = Fault::Errors(|error| rename(error, ErrorKind::Conflict, ErrorKind::Busy)),
        ["refusals.name_taken", "refusals.capture_running", "dns.cname_conflict"];
    "errors.effect_unknown", "`Effect::NotApplied`: a refused call is safe to repeat",
        = Fault::Errors(|error| error.with_effect(Effect::Unknown)),
        ["user_data.limit_exceeded", "refusals.unknown_size", "power.unknown", "dns.short_ttl", "static_ips.quota"];
    "errors.request_ids_dropped", "`Error::request_id`: the cloud's own request id",
        = Fault::Errors(|error| rename(error, ErrorKind::NotFound, ErrorKind::NotFound)), ["errors.request_id"];
    "errors.sentences", "`Error`: a lowercase fragment without a period",
        = Fault::Errors(sentence), ["errors.words"];
    "errors.hints_dropped", "`Error::hint`: what the user can do about it",
        = Fault::Errors(without_hint),
        ["refusals.shape_hints", "refusals.base_hint", "dns.unknown_zone", "static_ips.quota"];
};

/// A kind of error taken for another one.
fn rename(error: Error, from: ErrorKind, to: ErrorKind) -> Error {
    if error.kind() != from {
        return error;
    }
    let mut other = Error::new(to, error.operation(), error.message()).with_effect(error.effect());
    if let Some(hint) = error.hint() {
        other = other.with_hint(hint);
    }
    if let Some(resource) = error.resource() {
        other = other.with_resource(resource);
    }
    other
}

fn sentence(error: Error) -> Error {
    let text = format!("{}. Please try again.", error.message());
    let other = Error::new(error.kind(), error.operation(), text).with_effect(error.effect());
    match error.resource() {
        Some(resource) => other.with_resource(resource),
        None => other,
    }
}

fn without_hint(error: Error) -> Error {
    Error::new(error.kind(), error.operation(), error.message()).with_effect(error.effect())
}

async fn nameless(on: On) -> Result<Account> {
    Ok(Account { name: String::new(), ..on.model.account().await? })
}
