//! Markers of the account.

use remint_core::provider::{Capability, ErrorKind};

use super::table;
use crate::{Case, CaseContext, Cost, Failure, Setting, context::check, steps::refused};

const MARKER: &[Capability] = &[Capability::Marker];

pub(super) const CASES: &[Case] = table! {
    "markers.set", "a marker that was set is read back, also by another client", set, needs(MARKER), costs(Cost::Cheap),
        with(&[Setting::Another]);
    "markers.missing", "a marker that nobody set is none", missing, needs(MARKER), costs(Cost::Free);
    "markers.replace", "a marker that is set again has the new value and no other", replace, needs(MARKER),
        costs(Cost::Cheap);
    "markers.remove", "a removed marker is gone, and removing it again is a success", remove, needs(MARKER),
        costs(Cost::Cheap);
    "markers.neighbours", "markers whose names begin alike are different markers", neighbours, needs(MARKER),
        costs(Cost::Cheap);
    "markers.longest", "the longest name and the longest value are kept whole", longest, needs(MARKER),
        costs(Cost::Cheap);
    "markers.malformed", "what is no name or no value is InvalidInput, and sets nothing", malformed, needs(MARKER),
        costs(Cost::Free);
};

/// A name that is a marker's, and no other run's.
pub(super) fn name(context: &CaseContext, what: &str) -> String {
    context.name(what)
}

async fn set(context: CaseContext) -> Result<(), Failure> {
    let name = name(&context, "mark");
    context.markers()?.set(&name, "since-2026").await?;
    let read = context.markers()?.get(&name).await?;
    check!(read.as_deref() == Some("since-2026"), "set, and read as {read:?}");
    let another = context.another()?;
    let read = another.markers().ok_or_else(|| Failure::new("another client has no markers"))?.get(&name).await?;
    check!(read.as_deref() == Some("since-2026"), "set, and read by another client as {read:?}");
    Ok(())
}

async fn missing(context: CaseContext) -> Result<(), Failure> {
    let read = context.markers()?.get(&name(&context, "never")).await?;
    check!(read.is_none(), "never set, and read as {read:?}");
    Ok(())
}

async fn replace(context: CaseContext) -> Result<(), Failure> {
    let name = name(&context, "mark");
    // The first is the beginning of the second.
    for value in ["on", "on-again", "on", "on"] {
        context.markers()?.set(&name, value).await?;
        let read = context.markers()?.get(&name).await?;
        check!(read.as_deref() == Some(value), "set to {value}, and read as {read:?}");
    }
    context.markers()?.remove(&name).await?;
    let read = context.markers()?.get(&name).await?;
    check!(read.is_none(), "removed, and a former value is there: {read:?}");
    Ok(())
}

async fn remove(context: CaseContext) -> Result<(), Failure> {
    let name = name(&context, "mark");
    context.markers()?.set(&name, "on").await?;
    for _ in 0..2 {
        context.markers()?.remove(&name).await?;
        let read = context.markers()?.get(&name).await?;
        check!(read.is_none(), "removed, and read as {read:?}");
    }
    Ok(())
}

async fn neighbours(context: CaseContext) -> Result<(), Failure> {
    let (short, long) = (name(&context, "mark"), name(&context, "mark-2"));
    context.markers()?.set(&long, "two").await?;
    let read = context.markers()?.get(&short).await?;
    check!(read.is_none(), "{short} was never set, and is {read:?}");
    context.markers()?.set(&short, "one").await?;
    context.markers()?.remove(&short).await?;
    let read = context.markers()?.get(&long).await?;
    check!(read.as_deref() == Some("two"), "removing {short} made {long} be {read:?}");
    Ok(())
}

async fn longest(context: CaseContext) -> Result<(), Failure> {
    let prefix = name(&context, "");
    let name = format!("{prefix}{}", "m".repeat(32 - prefix.len()));
    let value = format!("{}-{}", "v".repeat(31), "0".repeat(32));
    context.markers()?.set(&name, &value).await?;
    let read = context.markers()?.get(&name).await?;
    check!(read.as_deref() == Some(value.as_str()), "set to {value}, and read as {read:?}");
    Ok(())
}

async fn malformed(context: CaseContext) -> Result<(), Failure> {
    let (markers, good) = (context.markers()?, name(&context, "mark"));
    let kinds = &[ErrorKind::InvalidInput];
    let (long_name, long_value) = (format!("{good}{}", "m".repeat(33)), "v".repeat(65));
    for bad in ["", "1st", "Upper", "with space", "a/b", "a:b", &long_name] {
        refused(markers.set(bad, "on").await, kinds, "a malformed name")?;
        refused(markers.get(bad).await, kinds, "reading a malformed name")?;
        refused(markers.remove(bad).await, kinds, "removing a malformed name")?;
    }
    for bad in ["", "Upper", "with space", "a:b", "2026-11-25T08:00:00Z", &long_value] {
        refused(markers.set(&good, bad).await, kinds, "a malformed value")?;
    }
    let read = markers.get(&good).await?;
    check!(read.is_none(), "it was refused, and is {read:?}");
    Ok(())
}
