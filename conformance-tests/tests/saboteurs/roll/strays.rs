//! Faults in `Strays`.

use remint_core::provider::{ErrorKind, Owner, Result, Stray, StrayKind, Strays};

use crate::{
    cloud::{FULL, refusal},
    sabotage::{On, Saboteur, saboteurs},
};

pub(super) const SABOTEURS: &[Saboteur] = saboteurs! {
    on &FULL;
    "list_strays.in_use", "`Strays::list`: lists what is used by nothing",
        ListStrays(owner) => lists_used, ["strays.in_use"];
    "list_strays.everybodys", "`Strays::list`: never lists what carries another id",
        ListStrays(owner) => lists_everybodys, ["strays.others"];
    "list_strays.forgets_captures", "`Strays::list`: a capture that was never labelled",
        ListStrays(owner) => forgets_captures, ["strays.unfinished_capture"];
    "remove_stray.trusts_the_list", "`Strays::remove`: reads it again first",
        RemoveStray(owner, stray) => trusts_the_list, ["strays.used_again"];
    "remove_stray.anybodys", "`Strays::remove`: `Conflict` when it is not the owner's",
        RemoveStray(owner, stray) => anybodys, ["strays.others"];
    "remove_stray.only_says_so", "`Strays::remove`: after it, `list` does not show it",
        RemoveStray(owner, stray) => only_says_so, ["strays.left", "strays.unfinished_capture"];
    "remove_stray.gone_is_error", "`Strays::remove`: one that is gone is a success",
        RemoveStray(owner, stray) => gone_is_error, ["strays.left"];
    "remove_stray.nonsense_is_gone", "`Strays::remove`: `InvalidInput` for an id that is none",
        RemoveStray(owner, stray) => nonsense_is_gone, ["strays.nonsense"];
};

async fn lists_used(on: On, owner: Owner) -> Result<Vec<Stray>> {
    on.read(|world| Ok(world.strays(Some(&owner), true))).await
}

async fn lists_everybodys(on: On, _: Owner) -> Result<Vec<Stray>> {
    on.read(|world| Ok(world.strays(None, false))).await
}

async fn forgets_captures(on: On, owner: Owner) -> Result<Vec<Stray>> {
    let mut found = Strays::list(&on.model, &owner).await?;
    found.retain(|stray| stray.kind != StrayKind::Image);
    Ok(found)
}

async fn trusts_the_list(on: On, owner: Owner, stray: Stray) -> Result<()> {
    let ours = on.read(|world| Ok(world.strays(Some(&owner), true).contains(&stray))).await?;
    if ours {
        on.change(None, move |world| Ok(world.take_away(&stray))).await?;
        return Ok(());
    }
    Strays::remove(&on.model, &owner, &stray).await
}

async fn anybodys(on: On, owner: Owner, stray: Stray) -> Result<()> {
    let is_stray = on.read(|world| Ok(world.strays(None, false).contains(&stray))).await?;
    if is_stray {
        on.change(None, move |world| Ok(world.take_away(&stray))).await?;
        return Ok(());
    }
    Strays::remove(&on.model, &owner, &stray).await
}

async fn only_says_so(on: On, owner: Owner, stray: Stray) -> Result<()> {
    let is_stray = on.read(|world| Ok(world.strays(Some(&owner), false).contains(&stray))).await?;
    if is_stray { Ok(()) } else { Strays::remove(&on.model, &owner, &stray).await }
}

async fn gone_is_error(on: On, owner: Owner, stray: Stray) -> Result<()> {
    let is_there = on.read(|world| Ok(world.strays(None, true).contains(&stray))).await?;
    Strays::remove(&on.model, &owner, &stray).await?;
    if is_there { Ok(()) } else { Err(refusal(ErrorKind::NotFound, "remove stray", "it is gone")) }
}

async fn nonsense_is_gone(on: On, owner: Owner, stray: Stray) -> Result<()> {
    match Strays::remove(&on.model, &owner, &stray).await {
        Err(error) if error.kind() == ErrorKind::InvalidInput => Ok(()),
        answer => answer,
    }
}
