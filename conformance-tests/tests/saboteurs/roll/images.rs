//! Faults in the other methods of `Images`.

use remint_conformance::LostReply;
use remint_core::fake::Transaction;
use remint_core::provider::{
    ErrorKind, Image, ImageId, ImageState, Images, Instances, Region, Regions, Result, Selector,
};

use crate::{
    cloud::{ELSEWHERE, FULL, HOME},
    sabotage::{On, Saboteur, saboteurs},
};

pub(super) const SABOTEURS: &[Saboteur] = saboteurs! {
    on &FULL;
    "resolve.nearest", "`Images::resolve`: `NotFound` with the nearest names as a hint",
        Resolve(base, region) => nearest, ["refusals.base_hint"];
    "resolve.ignores_region", "`Images::resolve`: `InvalidInput` when it is not to be had in the region",
        Resolve(base, region) => ignores_region, ["refusals.base_region"];
    "resolve.public_only", "`Images::resolve`: or an image of the account by its id",
        Resolve(base, region) => public_only, ["images.resolve_own"];
    "resolve.changing", "`Images::resolve`: returns the concrete image that the name means now",
        Resolve(base, region) => changing, ["images.resolve"];
    "list_images.public_too", "`Images::list`: public images are never listed",
        ListImages(selector) => public_too, ["images.public_unlisted"];
    "list_images.newest_only", "`Images::list`: images of the account that carry the labels, all pages",
        ListImages(selector) => newest_only, ["images.list_selects"];
    "list_images.ignores_labels", "`Selector`: those that carry all of these labels",
        ListImages(selector) => ignores_labels, ["images.list_selects", "labels.image_fingerprint"];
    "resolve.keeps_deleted", "`Images::resolve`: `NotFound`",
        Resolve(base, region) => keeps_deleted, ["deletion.image_resolve"];
    "get_image.pending_for_ever", "`ImageState::Available`: ready to launch",
        GetImage(id) => pending_for_ever, ["images.copy"];
    "copy.never_arrives", "`Images::copy`: `get` shows the region once it is there",
        CopyImage(id, region) => never_arrives, ["images.copy", "lost_replies.copy"];
    "copy.moves", "`Images::copy`: copies an image to a region",
        CopyImage(id, region) => moves, ["images.copy"];
    "copy.another_image", "`Images::copy`: `get` shows the region",
        CopyImage(id, region) => another_image, ["images.copy"];
    "copy.always_mutates", "`Images::copy`: a region that has it is left alone",
        CopyImage(id, region) => always_mutates, ["idempotency.copy"];
    "copy.any_region", "`Images::copy`: `InvalidInput` for an unknown region",
        CopyImage(id, region) => any_region, ["images.copy_unknown"];
    "delete_image.only_says_so", "`Images::delete`: deletes an image",
        DeleteImage(id) => only_says_so, ["deletion.image", "lost_replies.delete_image"];
    "delete_image.gone_is_error", "`Images::delete`: an image that is gone is a success",
        DeleteImage(id) => gone_is_error, ["deletion.image", "idempotency.delete_image", "concurrency.delete_image"];
    "delete_image.leaves_copies", "`Images::delete`: with whatever the cloud keeps for it alone",
        DeleteImage(id) => leaves_copies, ["images.copy_deleted"];
    "delete_image.instances_too", "`Images::delete`: deletes an image",
        DeleteImage(id) => instances_too, ["deletion.image_in_use"];
    "delete_image.neighbours_too", "`Images::delete`: deletes an image",
        DeleteImage(id) => neighbours_too, ["deletion.image_neighbour"];
};

async fn nearest(on: On, base: String, region: Region) -> Result<Image> {
    match on.model.resolve(&base, &region).await {
        Err(error) if error.kind() == ErrorKind::NotFound => on.model.resolve("debian-12", &region).await,
        answer => answer,
    }
}

async fn ignores_region(on: On, base: String, _: Region) -> Result<Image> {
    on.model.resolve(&base, &HOME.into()).await
}

async fn public_only(on: On, base: String, region: Region) -> Result<Image> {
    let base = if base.starts_with("image-") { "unknown".to_owned() } else { base };
    on.model.resolve(&base, &region).await
}

async fn changing(on: On, base: String, region: Region) -> Result<Image> {
    let image = on.model.resolve(&base, &region).await?;
    let before = on.recall::<u32>("resolved").unwrap_or_default();
    on.note("resolved", &(before + 1));
    Ok(if before.is_multiple_of(2) { image } else { on.model.resolve("debian-13", &region).await? })
}

async fn public_too(on: On, selector: Selector) -> Result<Vec<Image>> {
    let mut listed = Images::list(&on.model, &selector).await?;
    if selector.0.is_empty() {
        listed.push(on.model.resolve("debian-12", &HOME.into()).await?);
    }
    Ok(listed)
}

async fn pending_for_ever(on: On, id: ImageId) -> Result<Image> {
    Ok(Image { state: ImageState::Pending, ..Images::get(&on.model, &id).await? })
}

async fn never_arrives(on: On, id: ImageId, region: Region) -> Result<()> {
    on.model.resolve("debian-12", &region).await?;
    on.change(LostReply::CopyImage, move |world| world.image("copy image", &id).map(drop)).await
}

async fn moves(on: On, id: ImageId, region: Region) -> Result<()> {
    on.model.resolve("debian-12", &region).await?;
    on.change(LostReply::CopyImage, move |world| {
        world.image_mut("copy image", &id)?.regions = Regions::Only(vec![region.clone()]);
        Ok(())
    })
    .await
}

async fn another_image(on: On, id: ImageId, region: Region) -> Result<()> {
    on.model.copy(&id, &region).await?;
    on.change(None, move |world| {
        let mut copy = world.image("copy image", &id)?.clone();
        copy.id = ImageId::new(format!("{id}-{region}"));
        copy.regions = Regions::Only(vec![region.clone()]);
        world.images.insert(copy.id.clone(), copy);
        Ok(())
    })
    .await
}

async fn any_region(on: On, id: ImageId, region: Region) -> Result<()> {
    match on.model.copy(&id, &region).await {
        Err(error) if error.kind() == ErrorKind::InvalidInput => Ok(()),
        answer => answer,
    }
}

async fn only_says_so(on: On, id: ImageId) -> Result<()> {
    on.change(LostReply::DeleteImage, move |world| Ok(world.images.contains_key(&id))).await.map(drop)
}

async fn gone_is_error(on: On, id: ImageId) -> Result<()> {
    Images::get(&on.model, &id).await?;
    on.model.delete(&id).await
}

async fn newest_only(on: On, selector: Selector) -> Result<Vec<Image>> {
    let mut listed = Images::list(&on.model, &selector).await?;
    listed.sort_by(|one, other| other.id.cmp(&one.id));
    listed.truncate(1);
    Ok(listed)
}

async fn ignores_labels(on: On, _: Selector) -> Result<Vec<Image>> {
    Images::list(&on.model, &Selector::all()).await
}

async fn keeps_deleted(on: On, base: String, region: Region) -> Result<Image> {
    match on.model.resolve(&base, &region).await {
        // The catalogue is a day old.
        Err(error) if error.kind() == ErrorKind::NotFound && base.starts_with("image-") => {
            let image = on.model.resolve("debian-12", &region).await?;
            Ok(Image { id: ImageId::from(base), ..image })
        }
        answer => answer,
    }
}

async fn always_mutates(on: On, id: ImageId, region: Region) -> Result<()> {
    on.change(LostReply::CopyImage, move |world| world.copy(&id, &region)).await
}

async fn leaves_copies(on: On, id: ImageId) -> Result<()> {
    // Region by region: what is asked for once is gone from one.
    let known = id.clone();
    let leave = move |world: &mut Transaction<'_>| {
        let image = world.image_mut("delete image", &known)?;
        let (here, there) = (HOME.into(), ELSEWHERE.into());
        let is_copied = image.regions.contains(&here) && image.regions.contains(&there);
        if is_copied {
            image.regions = Regions::Only(vec![there]);
        }
        Ok(is_copied)
    };
    match on.change(LostReply::DeleteImage, leave).await {
        Ok(true) => Ok(()),
        _ => on.model.delete(&id).await,
    }
}

async fn instances_too(on: On, id: ImageId) -> Result<()> {
    // What was launched from it, so that it can be deleted.
    for instance in Instances::list(&on.model, &Selector::all()).await? {
        if instance.image.as_ref() == Some(&id) {
            on.model.destroy(&instance.id).await?;
        }
    }
    on.model.delete(&id).await
}

async fn neighbours_too(on: On, id: ImageId) -> Result<()> {
    let Ok(image) = Images::get(&on.model, &id).await else { return Ok(()) };
    for other in Images::list(&on.model, &Selector(image.labels.0)).await? {
        on.model.delete(&other.id).await?;
    }
    Ok(())
}
