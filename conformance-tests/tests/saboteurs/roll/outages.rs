//! Faults in what is made of a call that the cloud turned away: for an outage, for the rate, or for the credentials.

use std::sync::Arc;

use remint_conformance::LostReply;
use remint_core::provider::{
    CaptureProgress, CaptureSpec, Effect, ErrorKind, ImageId, Images, Instance, InstanceId, Instances, Labels,
    LaunchSpec, LoginKey, LoginKeyId, LoginKeys, Markers, PowerOp, RecordKind, RecordSet, Region, Result, Shape,
    SizeName, StaticIp, StaticIpId, StaticIpSpec, StaticIps,
};

use super::{
    launching::once,
    static_ips::{another, own},
};
use crate::{
    cloud::{FULL, refusal},
    sabotage::{On, Saboteur, saboteurs},
};

pub(super) const SABOTEURS: &[Saboteur] = saboteurs! {
    on &FULL;
    "power.hopes", "`Instances::power`: `get` shows when it has happened",
        Power(id, op) => power_hopes, ["outages.lasting_power"];
    "relabel.hopes", "`Instances::label`: adds labels to an instance",
        Label(id, labels) => relabel_hopes, ["outages.lasting_label"];
    "capture.hopes", "`Images::capture`: a transient kind with effect `Unknown` when the reply was lost",
        Capture(spec) => capture_hopes, ["outages.lasting_capture"];
    "capture.claims_outage", "`Effect::Applied`: the change was made, although the call failed",
        Capture(spec) => capture_claims, ["outages.lasting_capture", "outages.capture"];
    "copy.hopes", "`Images::copy`: starts copying an image",
        CopyImage(id, region) => copy_hopes, ["outages.lasting_copy"];
    "ensure_ip.allocates_elsewhere", "`Effect::NotApplied`: nothing was changed",
        EnsureStaticIp(spec) => allocates_elsewhere, ["outages.lasting_static_ip"];
    "assign.hopes", "`StaticIps::assign`: returns when the cloud has accepted it",
        Assign(id, instance) => assign_hopes, ["outages.lasting_assign"];
    "login_key.hopes", "`LoginKeys::ensure`: makes sure that the public key is registered",
        EnsureLoginKey(name, line) => login_key_hopes, ["outages.lasting_login_key"];
    "launch.another_name", "`Instances::launch`: makes sure that an instance of each name exists",
        Launch(spec) => another_name, ["outages.launch"];
    "ensure_ip.asks_both", "`StaticIps::ensure`: ten calls make one address",
        EnsureStaticIp(spec) => asks_both, ["outages.static_ip"];
    "assign.claims_outage", "`Effect::Applied`: the change was made, although the call failed",
        Assign(id, instance) => assign_claims, ["outages.assign"];
    "upsert.claims_outage", "`Effect::Applied`: the change was made, although the call failed",
        Upsert(set) => upsert_claims, ["outages.record"];
    "relabel.claims_outage", "`Effect::Applied`: the change was made, although the call failed",
        Label(id, labels) => relabel_claims, ["outages.label"];
    "copy.claims_outage", "`Effect::Applied`: the change was made, although the call failed",
        CopyImage(id, region) => copy_claims, ["outages.copy"];
    "delete_image.claims_outage", "`Effect::Applied`: the change was made, although the call failed",
        DeleteImage(id) => delete_image_claims, ["outages.delete_image"];
    "release.claims_outage", "`Effect::Applied`: the change was made, although the call failed",
        Release(id) => release_claims, ["outages.release"];
    "remove_record.claims_outage", "`Effect::Applied`: the change was made, although the call failed",
        RemoveRecord(zone, name, kind) => remove_record_claims, ["outages.remove_record"];
    "login_key.gives_up_for_good", "`ErrorKind::Unavailable`: the same call may work later",
        EnsureLoginKey(name, line) => gives_up_for_good, ["outages.login_key"];
    "destroy.gives_up", "`ErrorKind::RateLimited`: waiting and asking again can help",
        Destroy(id) => destroy_gives_up, ["outages.rate_destroy"];
    "power.gives_up", "`ErrorKind::RateLimited`: waiting and asking again can help",
        Power(id, op) => power_gives_up, ["outages.rate_power"];
    "capture.gives_up", "`ErrorKind::RateLimited`: waiting and asking again can help",
        Capture(spec) => capture_gives_up, ["outages.rate_capture"];
    "ensure_ip.gives_up", "`ErrorKind::RateLimited`: waiting and asking again can help",
        EnsureStaticIp(spec) => ensure_ip_gives_up, ["outages.rate_static_ip"];
    "assign.gives_up", "`ErrorKind::RateLimited`: waiting and asking again can help",
        Assign(id, instance) => assign_gives_up, ["outages.rate_assign"];
    "upsert.gives_up", "`ErrorKind::RateLimited`: waiting and asking again can help",
        Upsert(set) => upsert_gives_up, ["outages.rate_record"];
    "launch.stranger_launches", "`ErrorKind::Unauthenticated`: the credentials are refused",
        Launch(spec) => stranger_launches, ["errors.stranger_launch"];
    "shape.without_credentials", "`ErrorKind::Unauthenticated`: the credentials are refused",
        Shape(size, region) => without_credentials, ["errors.stranger_shape"];
    "relabel.stranger_labels", "`ErrorKind::Unauthenticated`: the credentials are refused",
        Label(id, labels) => stranger_labels, ["errors.stranger_label"];
    "console.stranger_reads", "`ErrorKind::Unauthenticated`: the credentials are refused",
        Console(id) => stranger_reads, ["errors.stranger_console"];
    "copy.stranger_copies", "`ErrorKind::Unauthenticated`: the credentials are refused",
        CopyImage(id, region) => stranger_copies, ["errors.stranger_copy"];
    "delete_image.stranger_deletes", "`ErrorKind::Unauthenticated`: the credentials are refused",
        DeleteImage(id) => stranger_deletes, ["errors.stranger_delete"];
    "marker.none_for_strangers", "`ErrorKind::Unauthenticated`: the credentials are refused",
        GetMarker(name) => none_for_strangers, ["errors.stranger_markers"];
};

/// Takes an error of this kind for that answer.
fn instead<T>(of: ErrorKind, answer: Result<T>, instead: T) -> Result<T> {
    match answer {
        Err(error) if error.kind() == of => Ok(instead),
        answer => answer,
    }
}

fn hopes(answer: Result<()>) -> Result<()> {
    instead(ErrorKind::Unavailable, answer, ())
}

/// Says of an outage that what was asked for has happened.
fn claims<T>(answer: Result<T>) -> Result<T> {
    answer.map_err(|error| match error.kind() {
        ErrorKind::Unavailable => error.with_effect(Effect::Applied),
        _ => error,
    })
}

async fn power_hopes(on: On, id: InstanceId, op: PowerOp) -> Result<()> {
    hopes(on.model.power(&id, op).await)
}

async fn relabel_hopes(on: On, id: InstanceId, labels: Labels) -> Result<()> {
    hopes(Instances::label(&on.model, &id, &labels).await)
}

async fn capture_hopes(on: On, spec: CaptureSpec) -> Result<CaptureProgress> {
    instead(ErrorKind::Unavailable, on.model.capture(&spec).await, CaptureProgress::Pending)
}

async fn capture_claims(on: On, spec: CaptureSpec) -> Result<CaptureProgress> {
    claims(capture_gives_up(on, spec).await)
}

async fn copy_hopes(on: On, id: ImageId, region: Region) -> Result<()> {
    hopes(on.model.copy(&id, &region).await)
}

async fn allocates_elsewhere(on: On, spec: StaticIpSpec) -> Result<StaticIp> {
    let answer = StaticIps::ensure(&on.model, &spec).await;
    if answer.as_ref().is_err_and(|error| error.kind() == ErrorKind::Unavailable) {
        // By another of the cloud's endpoints, and says nothing of it.
        on.change(None, move |world| another(world, &spec)).await?;
    }
    answer
}

async fn another_name(on: On, spec: LaunchSpec) -> Result<Vec<Instance>> {
    if once(&on, &spec).await.is_err_and(|error| error.kind() == ErrorKind::Unavailable) {
        // The name may be taken by what the outage left.
        let names = spec.names.iter().map(|name| format!("{name}-2")).collect();
        on.model.launch(&LaunchSpec { names, ..spec.clone() }).await?;
    }
    on.model.launch(&spec).await
}

async fn asks_both(on: On, spec: StaticIpSpec) -> Result<StaticIp> {
    match ensure_ip_gives_up(Arc::clone(&on), spec.clone()).await {
        Err(error) if error.kind() == ErrorKind::Unavailable => {
            // Two of the cloud's endpoints, neither of which knows the other's tokens.
            let same = spec.clone();
            on.change(None, move |world| another(world, &same)).await?;
            on.change(None, move |world| another(world, &spec)).await
        }
        answer => answer,
    }
}

async fn assign_claims(on: On, id: StaticIpId, instance: InstanceId) -> Result<()> {
    claims(assign_gives_up(on, id, instance).await)
}

async fn upsert_claims(on: On, set: RecordSet) -> Result<()> {
    claims(upsert_gives_up(on, set).await)
}

async fn assign_hopes(on: On, id: StaticIpId, instance: InstanceId) -> Result<()> {
    hopes(StaticIps::assign(&on.model, &id, &instance).await)
}

async fn login_key_hopes(on: On, name: String, line: String) -> Result<LoginKey> {
    let hoped = LoginKey { id: LoginKeyId::new("key-hoped"), name: name.clone() };
    instead(ErrorKind::Unavailable, LoginKeys::ensure(&on.model, &name, &line).await, hoped)
}

async fn relabel_claims(on: On, id: InstanceId, labels: Labels) -> Result<()> {
    let write = on.serve(LostReply::Label, move |world| world.label(&id, &labels));
    claims(write.await)
}

async fn copy_claims(on: On, id: ImageId, region: Region) -> Result<()> {
    claims(on.serve(LostReply::CopyImage, move |world| world.copy(&id, &region)).await)
}

async fn delete_image_claims(on: On, id: ImageId) -> Result<()> {
    claims(on.serve(LostReply::DeleteImage, move |world| world.delete(&id)).await)
}

async fn release_claims(on: On, id: StaticIpId) -> Result<()> {
    claims(on.serve(LostReply::ReleaseStaticIp, move |world| world.release(&id)).await)
}

async fn remove_record_claims(on: On, zone: String, name: String, kind: RecordKind) -> Result<()> {
    let remove = on.serve(LostReply::RemoveRecord, move |world| {
        world.records.remove(&(zone.clone(), name.clone(), kind));
        Ok(())
    });
    claims(remove.await)
}

async fn gives_up_for_good(on: On, name: String, line: String) -> Result<LoginKey> {
    if on.recall::<bool>("gave up") == Some(true) {
        return Err(refusal(ErrorKind::Unavailable, "ensure login key", "out of service"));
    }
    let blob = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let is_known = on.read(|world| Ok(world.keys.values().any(|(_, known)| *known == blob))).await?;
    if is_known || blob.len() != 68 {
        return LoginKeys::ensure(&on.model, &name, &line).await;
    }
    let once = on.serve(LostReply::EnsureLoginKey, move |world| Ok(world.register(&name, &blob))).await;
    if once.as_ref().is_err_and(|error| error.kind() == ErrorKind::Unavailable) {
        on.note("gave up", &true);
    }
    once
}

async fn destroy_gives_up(on: On, id: InstanceId) -> Result<()> {
    on.serve(LostReply::Destroy, move |world| world.destroy(&id)).await
}

async fn power_gives_up(on: On, id: InstanceId, op: PowerOp) -> Result<()> {
    on.serve(LostReply::Power, move |world| world.power(&id, op)).await
}

async fn capture_gives_up(on: On, spec: CaptureSpec) -> Result<CaptureProgress> {
    let is_known = on.read(|world| Ok(world.knows_image(&spec.name))).await?;
    if is_known {
        return on.model.capture(&spec).await;
    }
    on.serve(LostReply::Capture, move |world| world.capture(&spec)).await?;
    Ok(CaptureProgress::Pending)
}

async fn ensure_ip_gives_up(on: On, spec: StaticIpSpec) -> Result<StaticIp> {
    on.serve(LostReply::EnsureStaticIp, move |world| own(world, &spec)).await
}

async fn assign_gives_up(on: On, id: StaticIpId, instance: InstanceId) -> Result<()> {
    on.serve(LostReply::AssignStaticIp, move |world| world.assign(&id, &instance).map(drop)).await
}

async fn upsert_gives_up(on: On, set: RecordSet) -> Result<()> {
    on.serve(LostReply::UpsertRecord, move |world| world.put(&set)).await
}

async fn stranger_launches(on: On, spec: LaunchSpec) -> Result<Vec<Instance>> {
    match on.model.launch(&spec).await {
        Err(error) if error.kind() == ErrorKind::Unauthenticated => {
            let name = spec.names.first().cloned().unwrap_or_default();
            on.serve(None, move |world| world.create(None, &name, &spec)).await?;
            Err(error)
        }
        answer => answer,
    }
}

async fn without_credentials(on: On, size: SizeName, region: Region) -> Result<Shape> {
    on.serve(None, move |world| world.shape("shape", &size, &region)).await
}

async fn stranger_labels(on: On, id: InstanceId, labels: Labels) -> Result<()> {
    instead(ErrorKind::Unauthenticated, Instances::label(&on.model, &id, &labels).await, ())
}

async fn stranger_reads(on: On, id: InstanceId) -> Result<String> {
    instead(ErrorKind::Unauthenticated, on.model.console_output(&id).await, String::new())
}

async fn stranger_copies(on: On, id: ImageId, region: Region) -> Result<()> {
    instead(ErrorKind::Unauthenticated, on.model.copy(&id, &region).await, ())
}

async fn stranger_deletes(on: On, id: ImageId) -> Result<()> {
    match on.model.delete(&id).await {
        Err(error) if error.kind() == ErrorKind::Unauthenticated => {
            on.serve(None, move |world| world.delete(&id)).await?;
            Err(error)
        }
        answer => answer,
    }
}

async fn none_for_strangers(on: On, name: String) -> Result<Option<String>> {
    instead(ErrorKind::Unauthenticated, Markers::get(&on.model, &name).await, None)
}
