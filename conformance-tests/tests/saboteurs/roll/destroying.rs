//! Faults in `Instances::destroy`.

use remint_conformance::LostReply;
use remint_core::provider::{ErrorKind, Images, InstanceId, InstanceState, Instances, Result, Selector};

use crate::{
    cloud::{FULL, refusal},
    sabotage::{On, Saboteur, saboteurs},
};

pub(super) const SABOTEURS: &[Saboteur] = saboteurs! {
    on &FULL;
    "destroy.only_says_so", "`Instances::destroy`: done when `get` answers `NotFound`",
        Destroy(id) => only_says_so, ["deletion.instance"];
    "destroy.gone_is_error", "`Instances::destroy`: an instance that is gone is a success",
        Destroy(id) => gone_is_error, ["deletion.instance"];
    "destroy.neighbours_too", "`Instances::destroy`: destroys an instance",
        Destroy(id) => neighbours_too, ["deletion.instance_neighbour", "journeys.failed_release"];
    "destroy.refuses_pending", "`Instances::destroy`: `Busy` when the cloud will not yet",
        Destroy(id) => refuses_pending, ["deletion.instance_pending"];
    "destroy.refuses_stopped", "`Instances::destroy`: destroys an instance and its disk",
        Destroy(id) => refuses_stopped, ["deletion.instance_stopped"];
    "destroy.images_too", "`Instances::destroy`: an instance and its disk",
        Destroy(id) => images_too, ["deletion.instance_keeps_image"];
    "destroy.claims_outage", "`Instances::destroy`: returns when the cloud has accepted it",
        Destroy(id) => claims_outage, ["outages.destroy"];
};

async fn only_says_so(on: On, id: InstanceId) -> Result<()> {
    on.change(None, move |world| Ok(world.machines.contains_key(&id))).await.map(drop)
}

async fn gone_is_error(on: On, id: InstanceId) -> Result<()> {
    Instances::get(&on.model, &id).await?;
    on.model.destroy(&id).await
}

async fn neighbours_too(on: On, id: InstanceId) -> Result<()> {
    // By label, as clouds offer it, and the label is the whole run's.
    if let Ok(instance) = Instances::get(&on.model, &id).await {
        for other in Instances::list(&on.model, &Selector(instance.labels.0)).await? {
            on.model.destroy(&other.id).await?;
        }
    }
    on.model.destroy(&id).await
}

async fn refuses_in(on: On, state: InstanceState, id: InstanceId) -> Result<()> {
    if Instances::get(&on.model, &id).await.is_ok_and(|instance| instance.state == state) {
        return Err(refusal(ErrorKind::Conflict, "destroy", "not in this state").with_resource(id));
    }
    on.model.destroy(&id).await
}

async fn refuses_pending(on: On, id: InstanceId) -> Result<()> {
    refuses_in(on, InstanceState::Pending, id).await
}

async fn refuses_stopped(on: On, id: InstanceId) -> Result<()> {
    refuses_in(on, InstanceState::Stopped, id).await
}

async fn images_too(on: On, id: InstanceId) -> Result<()> {
    for image in Images::list(&on.model, &Selector::all()).await? {
        on.model.delete(&image.id).await?;
    }
    on.model.destroy(&id).await
}

async fn claims_outage(on: On, id: InstanceId) -> Result<()> {
    match on.serve(LostReply::Destroy, move |world| world.destroy(&id)).await {
        Err(error) if error.kind() == ErrorKind::Unavailable => Ok(()),
        answer => answer,
    }
}
