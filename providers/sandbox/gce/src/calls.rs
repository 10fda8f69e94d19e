//! The calls that the kinds of resources have in common: lists, one by its name, labels, deletion.

use axum::{Json, Router, extract::State as Axum, routing::get};
use serde_json::Value;

use super::{
    call::{Body, Call},
    change::{Accepted, Done, Tell},
    error::Result,
    labels::{SetLabels, check_label_fingerprint, check_labels},
    resource::{Labelled, Resource, find, path_of},
};
use crate::{Cloud, State};

/// A resource that the API shows.
pub(super) trait Shown: Resource {
    fn view(&self, id: u64, call: &Call, state: &State) -> Value;
}

/// The path of the list of a kind in one place.
pub(super) fn all_path<R: Resource>() -> String {
    let place = match R::PLACES {
        "zones" => "zones/{zone}",
        "regions" => "regions/{region}",
        global => global,
    };
    format!("/compute/v1/projects/{{project}}/{place}/{}", R::PLURAL)
}

/// The path of one of a kind, and what follows it: `/setLabels`.
pub(super) fn one_path<R: Resource>(after: &str) -> String {
    format!("{}/{{{}}}{after}", all_path::<R>(), R::ITEM)
}

/// The reading calls of a kind.
pub(super) fn reads<R: Shown>() -> Router<Cloud> {
    let one = Router::new().route(&all_path::<R>(), get(list::<R>)).route(&one_path::<R>(""), get(show::<R>));
    match R::PLACES {
        "global" => one,
        _ => one.route(&format!("/compute/v1/projects/{{project}}/aggregated/{}", R::PLURAL), get(aggregated::<R>)),
    }
}

/// The kind's resources as the API shows them, of one place or of all.
fn views<R: Shown>(call: &Call, state: &State, place: Option<&str>) -> Vec<Value> {
    let here = |id: u64, one: &R| one.names(id, state).is_some_and(|(at, _)| place.is_none_or(|place| place == at));
    let all = R::all(&state.own).iter().filter(|(id, one)| here(**id, one));
    all.map(|(id, one)| one.view(*id, call, state)).collect()
}

async fn list<R: Shown>(Axum(cloud): Axum<Cloud>, call: Call) -> Result<Json<Value>> {
    let items = cloud.read(|state| views::<R>(&call, state, Some(call.names().0)));
    call.list(&format!("{}List", R::KIND), items)
}

async fn aggregated<R: Shown>(Axum(cloud): Axum<Cloud>, call: Call) -> Result<Json<Value>> {
    let items = cloud.read(|state| views::<R>(&call, state, None));
    call.aggregated(&format!("{}AggregatedList", R::KIND), items)
}

async fn show<R: Shown>(Axum(cloud): Axum<Cloud>, call: Call) -> Result<Json<Value>> {
    let (place, name) = call.names();
    cloud.read(|state| find::<R>(state, place, name).map(|(id, one)| Json(one.view(id, &call, state))))
}

/// A change of what is said of a resource, which needs nothing of the engine. `plan` checks it, and gives what it does.
pub(super) async fn describe<R: Resource, F: FnOnce(&mut R) + Send + 'static>(
    cloud: &Cloud,
    call: &Call,
    verb: &'static str,
    plan: impl FnOnce(&R) -> Result<F> + Send,
) -> Result<Json<Value>> {
    let (place, name) = call.names();
    call.mutate(cloud, |state, _| {
        let (id, one) = find::<R>(state, place, name)?;
        let change = plan(one)?;
        Ok(Accepted::own(verb, path_of(state, id, one), move |state, _| {
            if let Some(one) = R::all_mut(&mut state.own).get_mut(&id) {
                change(one);
            }
            Done::at_once(id)
        }))
    })
    .await
}

pub(super) async fn set_labels<R: Labelled>(
    Axum(cloud): Axum<Cloud>,
    call: Call,
    Body(sent): Body<SetLabels>,
) -> Result<Json<Value>> {
    check_labels(&sent.labels)?;
    describe(&cloud, &call, "setLabels", |one: &R| {
        check_label_fingerprint(one.labels(), sent.label_fingerprint.as_deref())?;
        Ok(|one: &mut R| *one.labels_mut() = sent.labels)
    })
    .await
}

/// Deletes a resource of which the engine has nothing that takes time. `after` says what the world has to hear of it.
pub(super) async fn remove<R: Resource>(
    cloud: &Cloud,
    call: &Call,
    check: impl FnOnce(&State, u64, &R) -> Result<()> + Send,
    after: impl FnOnce(&mut State, R) -> Option<Tell> + Send + 'static,
) -> Result<Json<Value>> {
    let (place, name) = call.names();
    call.mutate(cloud, |state, _| {
        let (id, one) = find::<R>(state, place, name)?;
        check(state, id, one)?;
        Ok(Accepted::own("delete", path_of(state, id, one), move |state, _| {
            let gone = R::all_mut(&mut state.own).remove(&id);
            let tell = gone.and_then(|gone| after(state, gone));
            tell.into_iter().fold(Done::at_once(id), Done::tell)
        }))
    })
    .await
}
