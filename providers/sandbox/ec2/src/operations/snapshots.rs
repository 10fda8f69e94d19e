//! Snapshots of root volumes.

use std::collections::BTreeSet;

use crate::{
    State,
    call::Call,
    catalogue, ids,
    image::{Standing, sweep},
    instance::Phase,
    kinds::{SNAPSHOT, VOLUME},
    list::{List, keep_named, one},
    reply::{done, missing, refuse},
    state::{self, Snapshot},
    tags,
    xml::{Xml, stamp},
};
use remint_sandbox_cloud::{ApiError, ApiResult, now, state::Work};

const LIST: List<Snapshot> = List {
    element: "snapshotSet",
    least: Some(5),
    tags: |state, snapshot| state.own.tags_of(&snapshot.id),
    fields: &[
        ("description", |_, snapshot| one(&snapshot.description)),
        ("encrypted", |_, snapshot| one(snapshot.encrypted)),
        ("owner-alias", |_, _| Vec::new()),
        ("storage-tier", |_, _| one("standard")),
        ("owner-id", |state, _| one(state::account(state))),
        ("progress", |state, snapshot| one(progress(snapshot.standing(state)))),
        ("snapshot-id", |_, snapshot| one(&snapshot.id)),
        ("start-time", |_, snapshot| one(stamp(snapshot.started_at))),
        ("status", |state, snapshot| one(status(snapshot.standing(state)))),
        ("volume-id", |_, snapshot| one(&snapshot.volume)),
        ("volume-size", |_, snapshot| one(snapshot.size)),
    ],
};

/// `DescribeSnapshots`: the account's own, and those of public images where they are named.
pub(super) fn describe(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let owners = call.params.list("Owner");
    call.read(|state| {
        let all = state.own.snapshots.values().filter(|snapshot| snapshot.region == call.region).collect();
        let mut all = remint_sandbox_cloud::seen(all, |snapshot: &&Snapshot| snapshot.started_at);
        keep_named(&call.params, "SnapshotId", &SNAPSHOT, &mut all, |snapshot| &snapshot.id)?;
        let runs = call.params.list("RestorableBy");
        all.retain(|snapshot| {
            runs.is_empty() || runs.iter().any(|who| *who == "self" || snapshot.shared.contains(*who))
        });
        if !owners.is_empty() && !owners.iter().any(|owner| *owner == "self" || *owner == state::account(state)) {
            all.clear();
        }
        LIST.answer(call, state, all, xml, |xml, snapshot| write(xml, state, snapshot))
    })
}

/// `CreateSnapshot`: of an instance's root volume.
pub(super) fn create(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let params = &call.params;
    let volume = params.need("VolumeId")?;
    let given = tags::given(params, "snapshot")?;
    let id = call.change(|state| {
        let found = state.own.standing(state, call.region).find(|instance| instance.volume.id == volume).cloned();
        let instance = found.ok_or_else(|| VOLUME.absent(&[volume]))?;
        let busy = state.instances.get(&instance.machine).is_none_or(|machine| machine.pending.is_some());
        if busy || !matches!(instance.phase(state), Phase::Running | Phase::Stopped) {
            return Err(refuse("IncorrectState", format!("The volume '{volume}' is busy.")));
        }
        let image = state.next_id();
        let id = ids::fresh("snap");
        let work = Work::Snapshot { instance: instance.machine, image, name: id.clone(), reboot: false };
        state.begin_on_instance(call.config(), instance.machine, call.region, "snapshot", work);
        let snapshot = Snapshot {
            id: id.clone(),
            region: call.region.to_owned(),
            image,
            volume: volume.to_owned(),
            size: instance.volume.size,
            encrypted: instance.volume.encrypted,
            description: params.get("Description").unwrap_or_default().to_owned(),
            started_at: now(),
            ready_at: None,
            doomed: false,
            shared: BTreeSet::new(),
        };
        state.own.tag(&id, given);
        state.own.snapshots.insert(id.clone(), snapshot);
        Ok(id)
    })?;
    call.read(|state| {
        if let Some(snapshot) = state.own.snapshots.get(&id) {
            write(xml, state, snapshot);
        }
    });
    Ok(())
}

/// `DeleteSnapshot`: not while an image uses it.
pub(super) async fn delete(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let id = call.params.need("SnapshotId")?;
    call.change(|state| {
        if catalogue::public_images(state, call.region).iter().any(|image| image.ami.snapshot == id) {
            return Err(ApiError {
                status: 403,
                id: "UnauthorizedOperation",
                message: "You are not authorized to perform this operation.".to_owned(),
            });
        }
        if state.own.snapshots.get(id).is_none_or(|snapshot| snapshot.region != call.region) {
            return Err(SNAPSHOT.absent(&[id]));
        }
        if let Some(ami) = state.own.images.values().find(|ami| ami.snapshot == id) {
            let message = format!("The snapshot {id} is currently in use by {}", ami.id);
            return Err(refuse("InvalidSnapshot.InUse", message));
        }
        state.own.snapshots.remove(id);
        state.own.tags.remove(id);
        Ok(())
    })?;
    sweep(call.cloud).await;
    done(xml)
}

/// `ModifySnapshotAttribute`: who may make volumes of it.
pub(super) fn modify_attribute(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let id = call.params.need("SnapshotId")?;
    let (add, remove) = call.params.permissions("CreateVolumePermission")?;
    if add.is_empty() && remove.is_empty() {
        return Err(missing("CreateVolumePermission"));
    }
    call.change(|state| {
        let snapshot = state.own.snapshots.get_mut(id).filter(|snapshot| snapshot.region == call.region);
        let snapshot = snapshot.ok_or_else(|| SNAPSHOT.absent(&[id]))?;
        snapshot.shared.extend(add);
        snapshot.shared.retain(|who| !remove.contains(who));
        Ok(())
    })?;
    done(xml)
}

/// `DescribeSnapshotAttribute`.
pub(super) fn describe_attribute(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let id = call.params.need("SnapshotId")?;
    let attribute = call.params.choice("Attribute", &["createVolumePermission", "productCodes"])?;
    let attribute = attribute.ok_or_else(|| missing("Attribute"))?;
    call.read(|state| {
        let snapshot = state.own.snapshots.get(id).filter(|snapshot| snapshot.region == call.region);
        let snapshot = snapshot.ok_or_else(|| SNAPSHOT.absent(&[id]))?;
        xml.text("snapshotId", id);
        let shared = snapshot.shared.iter().filter(|_| attribute == "createVolumePermission");
        xml.items(attribute, shared, |xml, who| {
            xml.text(if who == "all" { "group" } else { "userId" }, who);
        });
        Ok(())
    })
}

fn status(standing: Standing) -> &'static str {
    match standing {
        Standing::Pending => "pending",
        Standing::Done => "completed",
        Standing::Failed => "error",
    }
}

fn progress(standing: Standing) -> &'static str {
    match standing {
        Standing::Pending => "0%",
        Standing::Done | Standing::Failed => "100%",
    }
}

fn write(xml: &mut Xml, state: &State, snapshot: &Snapshot) {
    let standing = snapshot.standing(state);
    xml.text("snapshotId", &snapshot.id).text("volumeId", &snapshot.volume).text("status", status(standing));
    xml.time("startTime", snapshot.started_at).text("progress", progress(standing));
    xml.text("ownerId", state::account(state)).text("volumeSize", snapshot.size);
    xml.text("description", &snapshot.description)
        .text("encrypted", snapshot.encrypted)
        .text("storageTier", "standard");
    tags::write(xml, state, &snapshot.id);
}
