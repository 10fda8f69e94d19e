//! Starting, stopping, resetting and deleting instances.

use axum::{
    Json, Router,
    extract::State as Axum,
    routing::{delete, post},
};
use serde_json::Value;

use super::{
    call::Call,
    calls::one_path,
    change::{Accepted, Done},
    error::{Refusal, Result},
    instance::{find_instance, find_ready},
    model::Instance,
    reference::full,
    resource::path_of,
};
use crate::{Cloud, State};
use remint_sandbox_cloud::{
    now,
    state::{Status, Work},
};

pub(super) fn routes() -> Router<Cloud> {
    Router::new()
        .route(&one_path::<Instance>(""), delete(remove))
        .route(&one_path::<Instance>("/start"), post(start))
        .route(&one_path::<Instance>("/stop"), post(stop))
        .route(&one_path::<Instance>("/reset"), post(reset))
}

/// A change of power, or nothing where the instance is as it is wanted.
async fn switch(
    cloud: &Cloud,
    call: &Call,
    verb: &'static str,
    choose: impl FnOnce(u64, Status) -> Option<(&'static str, Work)> + Send,
) -> Result<Json<Value>> {
    let (zone, name) = call.names();
    call.mutate(cloud, |state, _| {
        let (machine, instance) = find_ready(state, zone, name)?;
        let (id, zone, target) = (machine.id, zone.to_owned(), path_of(state, machine.id, instance));
        Ok(match choose(id, machine.status) {
            None if verb == "reset" => return Err(Refusal::not_ready(full(&target))),
            None => Accepted::own(verb, target, move |_, _| Done::at_once(id)),
            Some((kind, work)) => Accepted::engine(verb, target, move |state, config| {
                let action = state.begin_on_instance(config, id, &zone, kind, work);
                note(state, id, kind);
                Done::by(id, [action.id])
            }),
        })
    })
    .await
}

fn note(state: &mut State, id: u64, kind: &str) {
    let Some(instance) = state.own.instances.get_mut(&id) else { return };
    match kind {
        "power_on" => instance.started_at = Some(now()),
        "halt" => instance.stopped_at = Some(now()),
        _ => {}
    }
}

async fn start(Axum(cloud): Axum<Cloud>, call: Call) -> Result<Json<Value>> {
    let choose = |instance, status| (status == Status::Off).then_some(("power_on", Work::PowerOn { instance }));
    switch(&cloud, &call, "start", choose).await
}

async fn stop(Axum(cloud): Axum<Cloud>, call: Call) -> Result<Json<Value>> {
    let force = call.flag("noGracefulShutdown")?.unwrap_or_default();
    let choose = |instance, status| (status == Status::Active).then_some(("halt", Work::Halt { instance, force }));
    switch(&cloud, &call, "stop", choose).await
}

/// Switches an instance off and on; one that does not run is refused.
async fn reset(Axum(cloud): Axum<Cloud>, call: Call) -> Result<Json<Value>> {
    let choose =
        |instance, status| (status == Status::Active).then_some(("power_cycle", Work::PowerCycle { instance }));
    switch(&cloud, &call, "reset", choose).await
}

/// Deletes an instance, and its disk unless that is to be kept. One that is being made can be deleted once it is.
async fn remove(Axum(cloud): Axum<Cloud>, call: Call) -> Result<Json<Value>> {
    let (zone, name) = call.names();
    call.mutate(&cloud, |state, _| {
        let (machine, instance) = find_instance(state, zone, name)?;
        let target = path_of(state, machine.id, instance);
        let at = full(&target);
        if instance.deletion_protection {
            let why = format!(
                "Invalid resource usage: 'Resource cannot be deleted if it's protected against deletion. {at}'."
            );
            return Err(Refusal::new(400, "invalidResourceUsage", why));
        }
        if machine.pending.is_some() {
            return Err(Refusal::not_ready(at));
        }
        let (id, auto_delete, zone) = (machine.id, instance.auto_delete, zone.to_owned());
        Ok(Accepted::engine("delete", target, move |state, config| {
            let (kind, work) = if auto_delete {
                ("destroy", Work::Destroy { instance: id })
            } else {
                ("keep", Work::Keep { instance: id, image: state.next_id() })
            };
            let action = state.begin_on_instance(config, id, &zone, kind, work);
            Done::by(id, [action.id])
        }))
    })
    .await
}
