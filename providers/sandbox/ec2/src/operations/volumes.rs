//! The root volumes of instances. They can be looked at; none can be made or deleted by itself.

use crate::{
    State,
    call::Call,
    kinds::VOLUME,
    list::{List, keep_named, one},
    reply::missing,
    state::{Instance, ROOT_DEVICE},
    tags, vpc,
    xml::{Xml, stamp},
};
use remint_sandbox_cloud::ApiResult;

const VOLUMES: List<Instance> = List {
    element: "volumeSet",
    least: Some(5),
    tags: |state, instance| state.own.tags_of(&instance.volume.id),
    fields: &[
        ("attachment.instance-id", |_, instance| one(&instance.id)),
        ("attachment.attach-time", |_, instance| one(stamp(instance.launched_at))),
        ("attachment.delete-on-termination", |_, instance| one(instance.volume.delete_on_termination)),
        ("attachment.device", |_, _| one(ROOT_DEVICE)),
        ("attachment.status", |_, _| one("attached")),
        ("availability-zone", |_, instance| one(&instance.zone)),
        ("availability-zone-id", |_, instance| one(vpc::zone_id(&instance.zone))),
        ("create-time", |_, instance| one(stamp(instance.launched_at))),
        ("encrypted", |_, instance| one(instance.volume.encrypted)),
        ("multi-attach-enabled", |_, _| one(false)),
        ("size", |_, instance| one(instance.volume.size)),
        ("snapshot-id", |_, instance| one(&instance.volume.snapshot)),
        ("status", |_, _| one("in-use")),
        ("volume-id", |_, instance| one(&instance.volume.id)),
        ("volume-type", |_, instance| one(&instance.volume.kind)),
    ],
};

const STATUS: List<Instance> = List {
    element: "volumeStatusSet",
    least: Some(5),
    tags: VOLUMES.tags,
    fields: &[
        ("availability-zone", |_, instance| one(&instance.zone)),
        ("volume-status.details-name", |_, _| vec!["io-enabled".to_owned(), "io-performance".to_owned()]),
        ("volume-status.details-status", |_, _| vec!["passed".to_owned(), "not-applicable".to_owned()]),
        ("volume-status.status", |_, _| one("ok")),
    ],
};

/// `DescribeVolumes`.
pub(super) fn describe(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    call.read(|state| {
        VOLUMES.answer(call, state, asked_for(state, call)?, xml, |xml, instance| {
            let volume = &instance.volume;
            xml.text("volumeId", &volume.id).text("size", volume.size).text("snapshotId", &volume.snapshot);
            xml.text("availabilityZone", &instance.zone)
                .text("status", "in-use")
                .time("createTime", instance.launched_at);
            xml.items("attachmentSet", [instance], |xml, instance| {
                xml.text("volumeId", &volume.id).text("instanceId", &instance.id);
                xml.text("device", ROOT_DEVICE).text("status", "attached");
                xml.time("attachTime", instance.launched_at).text("deleteOnTermination", volume.delete_on_termination);
            });
            xml.maybe("iops", volume.iops).maybe("throughput", volume.throughput);
            xml.text("volumeType", &volume.kind).text("encrypted", volume.encrypted).text("multiAttachEnabled", false);
            tags::write(xml, state, &volume.id);
        })
    })
}

/// `DescribeVolumeStatus`.
pub(super) fn status(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    call.read(|state| {
        STATUS.answer(call, state, asked_for(state, call)?, xml, |xml, instance| {
            xml.text("volumeId", &instance.volume.id).text("availabilityZone", &instance.zone);
            xml.node("volumeStatus", |xml| {
                let details = [("io-enabled", "passed"), ("io-performance", "not-applicable")];
                xml.text("status", "ok").items("details", details, |xml, (name, status)| {
                    xml.text("name", name).text("status", status);
                });
            });
            xml.node("eventsSet", |_| {}).node("actionsSet", |_| {});
        })
    })
}

/// `DescribeVolumeAttribute`.
pub(super) fn attribute(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let id = call.params.need("VolumeId")?;
    let attribute = call.params.choice("Attribute", &["autoEnableIO", "productCodes"])?;
    let attribute = attribute.ok_or_else(|| missing("Attribute"))?;
    if call.read(|state| state.own.standing(state, call.region).all(|instance| instance.volume.id != id)) {
        return Err(VOLUME.absent(&[id]));
    }
    xml.text("volumeId", id);
    match attribute {
        "autoEnableIO" => xml.value(attribute, false),
        _ => xml.node(attribute, |_| {}),
    };
    Ok(())
}

/// The instances whose volumes a call names, or all.
fn asked_for<'a>(state: &'a State, call: &'a Call<'_>) -> ApiResult<Vec<&'a Instance>> {
    let mut all: Vec<&Instance> = state.own.standing(state, call.region).collect();
    keep_named(&call.params, "VolumeId", &VOLUME, &mut all, |instance| &instance.volume.id)?;
    Ok(all)
}
