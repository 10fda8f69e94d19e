//! Faults in `Markers`.

use remint_core::provider::{Markers, Result};

use crate::{
    cloud::{FULL, not_found},
    sabotage::{On, Saboteur, saboteurs},
};

pub(super) const SABOTEURS: &[Saboteur] = saboteurs! {
    on &FULL;
    "marker.never_none", "`Markers::get`: the value of a marker, or `None`",
        GetMarker(name) => never_none, ["markers.missing", "markers.remove"];
    "marker.by_prefix", "`Markers::get`: the value of a marker",
        GetMarker(name) => by_prefix, ["markers.neighbours"];
    "marker.keeps_first", "`Markers::set`: replacing a former value",
        SetMarker(name, value) => keeps_first, ["markers.replace"];
    "marker.own_memory", "`Markers`: values kept with the account itself",
        SetMarker(name, value) => own_memory, ["markers.set"];
    "marker.cuts_values", "`Markers`: values are 1 to 64 characters",
        SetMarker(name, value) => cuts_values, ["markers.longest"];
    "marker.mends_values", "`Markers::set`: `InvalidInput` for a value that is none",
        SetMarker(name, value) => mends_values, ["markers.malformed"];
    "marker.always_mutates", "`Markers::set`: the same value twice is one",
        SetMarker(name, value) => always_mutates, ["idempotency.marker"];
    "marker.reads_then_writes", "`Provider`: all methods may be called concurrently",
        SetMarker(name, value) => reads_then_writes, ["concurrency.markers"];
    "marker.missing_is_error", "`Markers::remove`: one that is not there is a success",
        RemoveMarker(name) => missing_is_error, ["markers.remove"];
    "marker.neighbours_too", "`Markers::remove`: removes a marker",
        RemoveMarker(name) => neighbours_too, ["markers.neighbours"];
};

async fn never_none(on: On, name: String) -> Result<Option<String>> {
    Ok(Some(Markers::get(&on.model, &name).await?.unwrap_or_default()))
}

async fn by_prefix(on: On, name: String) -> Result<Option<String>> {
    if let Some(value) = Markers::get(&on.model, &name).await? {
        return Ok(Some(value));
    }
    on.read(|world| Ok(world.markers.iter().find(|(own, _)| own.starts_with(&name)).map(|(_, v)| v.clone()))).await
}

async fn keeps_first(on: On, name: String, value: String) -> Result<()> {
    match Markers::get(&on.model, &name).await? {
        Some(_) => Ok(()),
        None => on.model.set(&name, &value).await,
    }
}

async fn own_memory(on: On, name: String, value: String) -> Result<()> {
    on.model.set(&name, &value).await?;
    // It is written at the end of the process, which never comes.
    on.change(None, move |world| {
        world.markers.remove(&name);
        Ok(())
    })
    .await
}

async fn cuts_values(on: On, name: String, value: String) -> Result<()> {
    let short = if value.len() <= 64 { value.chars().take(63).collect() } else { value };
    on.model.set(&name, &short).await
}

async fn mends_values(on: On, name: String, value: String) -> Result<()> {
    let mended = value.to_lowercase().replace([' ', ':'], "-");
    on.model.set(&name, &mended).await
}

async fn always_mutates(on: On, name: String, value: String) -> Result<()> {
    on.model.set(&name, &value).await?;
    on.change(None, move |_| Ok(())).await
}

async fn reads_then_writes(on: On, name: String, value: String) -> Result<()> {
    let mut all = on.read(|world| Ok(world.markers.clone())).await?;
    on.model.set(&name, &value).await?;
    all.insert(name, value);
    on.change(None, move |world| {
        world.markers = all.clone();
        Ok(())
    })
    .await
}

async fn missing_is_error(on: On, name: String) -> Result<()> {
    match Markers::get(&on.model, &name).await? {
        Some(_) => Markers::remove(&on.model, &name).await,
        None => Err(not_found("remove marker", name)),
    }
}

async fn neighbours_too(on: On, name: String) -> Result<()> {
    Markers::remove(&on.model, &name).await?;
    on.change(None, move |world| {
        world.markers.retain(|other, _| !other.starts_with(&name));
        Ok(())
    })
    .await
}
