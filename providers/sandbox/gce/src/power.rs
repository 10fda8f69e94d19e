//! Starting, stopping, resetting and deleting instances.

use axum::{
    Json,
    extract::{Path, State as Axum},
};
use serde_json::Value;

use super::{
    call::{Accepted, Call, Done},
    error::{Refusal, Result},
    instances::{Named, find, find_ready, path},
    reference::full,
};
use crate::{Cloud, State};
use remint_sandbox_cloud::{
    now,
    state::{Status, Work},
};

/// A change of power, or nothing where the instance is as it is wanted.
async fn switch(
    cloud: &Cloud,
    call: &Call,
    (zone, name): (String, String),
    verb: &'static str,
    choose: impl FnOnce(u64, Status) -> Result<Option<(&'static str, Work)>> + Send,
) -> Result<Json<Value>> {
    call.mutate(cloud, |state, _| {
        let (machine, _) = find_ready(state, &zone, &name)?;
        let (id, name) = (machine.id, machine.name.clone());
        let chosen = choose(id, machine.status)?;
        Ok(match chosen {
            None => Accepted::own(verb, path(&zone, &name), move |_, _| Done::at_once(id)),
            Some((kind, work)) => Accepted::engine(verb, path(&zone, &name), move |state, config| {
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

pub(super) async fn start(Axum(cloud): Axum<Cloud>, call: Call, Path((_, zone, name)): Named) -> Result<Json<Value>> {
    let choose =
        |machine, status| Ok((status == Status::Off).then_some(("power_on", Work::PowerOn { instance: machine })));
    switch(&cloud, &call, (zone, name), "start", choose).await
}

pub(super) async fn stop(Axum(cloud): Axum<Cloud>, call: Call, Path((_, zone, name)): Named) -> Result<Json<Value>> {
    let force = call.is("noGracefulShutdown");
    let choose = move |machine, status| {
        Ok((status == Status::Active).then_some(("halt", Work::Halt { instance: machine, force })))
    };
    switch(&cloud, &call, (zone, name), "stop", choose).await
}

pub(super) async fn reset(Axum(cloud): Axum<Cloud>, call: Call, Path((_, zone, name)): Named) -> Result<Json<Value>> {
    let at = full(&path(&zone, &name));
    let choose = |machine, status| match status {
        Status::Active => Ok(Some(("power_cycle", Work::PowerCycle { instance: machine }))),
        _ => Err(Refusal::not_ready(at)),
    };
    switch(&cloud, &call, (zone, name), "reset", choose).await
}

/// Deletes an instance, and its disk unless that is to be kept. One that is being made can be deleted once it is.
pub(super) async fn delete(Axum(cloud): Axum<Cloud>, call: Call, Path((_, zone, name)): Named) -> Result<Json<Value>> {
    call.mutate(&cloud, |state, _| {
        let (machine, instance) = find(state, &zone, &name)?;
        let name = machine.name.clone();
        let at = full(&path(&zone, &name));
        if instance.deletion_protection {
            let why = format!(
                "Invalid resource usage: 'Resource cannot be deleted if it's protected against deletion. {at}'."
            );
            return Err(Refusal::new(400, "invalidResourceUsage", why));
        }
        if machine.pending.is_some() {
            return Err(Refusal::not_ready(at));
        }
        let (id, auto_delete) = (machine.id, instance.auto_delete);
        Ok(Accepted::engine("delete", path(&zone, &name), move |state, config| {
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
