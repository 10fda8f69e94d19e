//! Snapshots of root volumes.

use std::collections::BTreeSet;

use super::{
    call::Call,
    catalogue,
    filter::{Filters, page},
    ids,
    images::{self, Standing},
    phase::Phase,
    reply::{missing, refuse},
    state::{self, Snapshot},
    tags,
    xml::Xml,
};
use crate::State;
use remint_sandbox_cloud::{ApiResult, now, state::Work};

/// The fields of a snapshot that filters may name.
const FIELDS: &[&str] = &[
    "description",
    "encrypted",
    "owner-id",
    "progress",
    "snapshot-id",
    "start-time",
    "status",
    "volume-id",
    "volume-size",
];

/// `DescribeSnapshots`: the account's own, and those of public images where they are named.
pub(super) fn describe(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let filters = Filters::of(&call.params, FIELDS)?;
    let (named, owners) = (call.params.list("SnapshotId"), call.params.list("Owner"));
    call.read(|state| {
        let account = state::account(state);
        let all: Vec<&Snapshot> = state.own.snapshots.values().filter(|s| s.region == call.region).collect();
        let all = remint_sandbox_cloud::seen(all, |snapshot| snapshot.started_at);
        if let Some(other) = named.iter().find(|named| all.iter().all(|snapshot| snapshot.id != **named)) {
            return Err(not_found(other));
        }
        let own = owners.is_empty() || owners.iter().any(|owner| *owner == "self" || *owner == account);
        let taken = |snapshot: &&Snapshot| {
            let field = |name: &str| {
                let text = match name {
                    "description" => snapshot.description.clone(),
                    "encrypted" => snapshot.encrypted.to_string(),
                    "owner-id" => account.clone(),
                    "progress" => progress(snapshot.standing(state)).to_owned(),
                    "snapshot-id" => snapshot.id.clone(),
                    "start-time" => super::xml::stamp(snapshot.started_at),
                    "status" => status(snapshot.standing(state)).to_owned(),
                    "volume-id" => snapshot.volume.clone(),
                    _ => snapshot.size.to_string(),
                };
                vec![text]
            };
            own && (named.is_empty() || named.contains(&snapshot.id.as_str()))
                && filters.take(&state.own.tags_of(&snapshot.id), field)
        };
        let (shown, next) = page(&call.params, 5, all.into_iter().filter(taken).collect())?;
        xml.items("snapshotSet", shown, |xml, snapshot| write(xml, state, snapshot));
        xml.maybe("nextToken", next);
        Ok(())
    })
}

/// `CreateSnapshot`: of an instance's root volume.
pub(super) fn create(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let params = &call.params;
    let volume = params.need("VolumeId")?;
    let mut given = tags::specifications(params, &["snapshot"])?;
    let id = call.change(|state| {
        let found = state.own.standing(state, call.region).find(|instance| instance.volume.id == volume).cloned();
        let instance =
            found.ok_or_else(|| refuse("InvalidVolume.NotFound", format!("The volume '{volume}' does not exist.")))?;
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
        };
        state.own.tag(&id, given.remove("snapshot").unwrap_or_default());
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
        if catalogue::public_images(state, call.region).iter().any(|image| image.snapshot == id) {
            return Err(remint_sandbox_cloud::ApiError {
                status: 403,
                id: "UnauthorizedOperation",
                message: "You are not authorized to perform this operation.".to_owned(),
            });
        }
        if state.own.snapshots.get(id).is_none_or(|snapshot| snapshot.region != call.region) {
            return Err(not_found(id));
        }
        if let Some(ami) = state.own.images.values().find(|ami| ami.snapshot == id) {
            let message = format!("The snapshot {id} is currently in use by {}", ami.id);
            return Err(refuse("InvalidSnapshot.InUse", message));
        }
        state.own.snapshots.remove(id);
        state.own.tags.remove(id);
        Ok(())
    })?;
    images::sweep(call.cloud).await;
    xml.text("return", true);
    Ok(())
}

/// `ModifySnapshotAttribute`: who may use it. It is noted nowhere, because there is nobody else.
pub(super) fn modify_attribute(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let id = call.params.need("SnapshotId")?;
    let named: BTreeSet<&str> = ["UserId", "UserGroup"].iter().flat_map(|name| call.params.list(name)).collect();
    let structured = ["Add", "Remove"]
        .iter()
        .any(|change| !call.params.groups(&format!("CreateVolumePermission.{change}")).is_empty());
    if named.is_empty() && !structured {
        return Err(missing("CreateVolumePermission"));
    }
    call.read(|state| match state.own.snapshots.contains_key(id) {
        true => Ok(()),
        false => Err(not_found(id)),
    })?;
    xml.text("return", true);
    Ok(())
}

impl Snapshot {
    fn standing(&self, state: &State) -> Standing {
        images::standing(state, self.image, self.ready_at, self.doomed)
    }
}

fn not_found(id: &str) -> remint_sandbox_cloud::ApiError {
    if !ids::is_id("snap", id) {
        return refuse(
            "InvalidParameterValue",
            format!("Value ({id}) for parameter snapshotId is invalid. Expected: 'snap-...'."),
        );
    }
    refuse("InvalidSnapshot.NotFound", format!("The snapshot '{id}' does not exist."))
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
    tags::write(xml, &state.own.tags_of(&snapshot.id));
}
