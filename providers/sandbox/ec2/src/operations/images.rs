//! Machine images: taken from instances, copied between regions, described.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    State,
    call::Call,
    catalogue::{self, IMAGES_ARE},
    image::{Standing, launchable, own, sweep},
    instance::Phase,
    kinds::IMAGE,
    list::{List, keep_named, maybe, one},
    query::Params,
    reply::{done, invalid_value, refuse, unsupported},
    state::{self, Ami, Data, ROOT_DEVICE, Snapshot, Tags},
    tags,
    xml::{Xml, stamp},
};
use remint_sandbox_cloud::{ApiResult, DelayKind, now, state::Work, will_fail};

const LIST: List<Shown> = List {
    element: "imagesSet",
    least: Some(1),
    tags: |state, image| state.own.tags_of(&image.ami.id),
    fields: &[
        ("architecture", |_, _| one(IMAGES_ARE)),
        ("block-device-mapping.delete-on-termination", |_, _| one(true)),
        ("block-device-mapping.device-name", |_, _| one(ROOT_DEVICE)),
        ("block-device-mapping.encrypted", |_, image| one(image.ami.encrypted)),
        ("block-device-mapping.volume-size", |_, image| one(image.ami.size)),
        ("block-device-mapping.volume-type", |_, _| one("gp3")),
        ("boot-mode", |_, _| one(BOOT_MODE)),
        ("kernel-id", |_, _| Vec::new()),
        ("manifest-location", |_, image| one(image.location())),
        ("platform", |_, _| Vec::new()),
        ("product-code", |_, _| Vec::new()),
        ("product-code.type", |_, _| Vec::new()),
        ("ramdisk-id", |_, _| Vec::new()),
        ("source-image-id", |_, image| maybe(image.ami.source_image.as_ref().map(|(_, id)| id))),
        ("source-image-region", |_, image| maybe(image.ami.source_image.as_ref().map(|(region, _)| region))),
        ("source-instance-id", |_, image| maybe(image.ami.source_instance.as_ref())),
        ("block-device-mapping.snapshot-id", |_, image| one(&image.ami.snapshot)),
        ("creation-date", |_, image| one(stamp(image.ami.created_at))),
        ("description", |_, image| one(&image.ami.description)),
        ("ena-support", |_, _| one(true)),
        ("hypervisor", |_, _| one("xen")),
        ("image-id", |_, image| one(&image.ami.id)),
        ("image-type", |_, _| one("machine")),
        ("is-public", |_, image| one(image.is_public())),
        ("name", |_, image| one(&image.ami.name)),
        ("owner-alias", |_, image| maybe(catalogue::alias(&image.owner))),
        ("owner-id", |_, image| one(&image.owner)),
        ("platform-details", |_, _| one("Linux/UNIX")),
        ("root-device-name", |_, _| one(ROOT_DEVICE)),
        ("root-device-type", |_, _| one("ebs")),
        ("state", |state, image| one(state_name(image.ami.standing(state)))),
        ("virtualization-type", |_, _| one("hvm")),
    ],
};

const BOOT_MODE: &str = "uefi-preferred";

/// An image as it is described, the account's own or a public one.
struct Shown {
    ami: Ami,
    owner: String,
}

/// `CreateImage`.
pub(super) fn create(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let params = &call.params;
    let instance_id = params.need("InstanceId")?;
    let name = params.need("Name")?.to_owned();
    let no_reboot = params.flag("NoReboot")?;
    let mut given = tags::specifications(params, &["image", "snapshot"])?;
    let is_root = |mapping: &Params| matches!(mapping.get("DeviceName"), Some(ROOT_DEVICE | "/dev/sda1"));
    if !params.groups("BlockDeviceMapping").iter().all(is_root) {
        return Err(unsupported("images with other volumes than the root volume"));
    }
    let id = call.change(|state| {
        check_name(state, call.region, &name)?;
        let instance = state.own.one(call.config(), call.region, instance_id)?.clone();
        let phase = instance.phase(state);
        let busy = state.instances.get(&instance.machine).is_none_or(|machine| machine.pending.is_some());
        if !matches!(phase, Phase::Running | Phase::Stopped) || busy {
            let message = format!("Instance '{instance_id}' is not in the 'running' or 'stopped' state.");
            return Err(refuse("IncorrectState", message));
        }
        let image = state.next_id();
        let reboot = phase == Phase::Running && !no_reboot;
        let work = Work::Snapshot { instance: instance.machine, image, name: name.clone(), reboot };
        state.begin_on_instance(call.config(), instance.machine, call.region, "snapshot", work);
        let ami = Ami {
            size: instance.volume.size,
            encrypted: instance.volume.encrypted,
            source_instance: Some(instance.id),
            ..new_image(call, &name, image)
        };
        let id = ami.id.clone();
        keep(state, ami, &instance.volume.id, &format!("Created by CreateImage({instance_id}) for {id}"), &mut given);
        Ok(id)
    })?;
    xml.text("imageId", id);
    Ok(())
}

/// `CopyImage`: from a region into the one that is asked.
pub(super) fn copy(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let params = &call.params;
    let (source_id, name) = (params.need("SourceImageId")?, params.need("Name")?.to_owned());
    let source_region = params.need("SourceRegion")?;
    let source_region = State::find_region(source_region)
        .map(|region| region.slug)
        .ok_or_else(|| refuse("InvalidRequest", format!("The source region '{source_region}' is not valid.")))?;
    let mut given = tags::specifications(params, &["image", "snapshot"])?;
    let token = params.get("ClientToken").map(|token| Data::in_region(call.region, &format!("copy {token}")));
    let id = call.change(|state| {
        if let Some(used) = token.as_ref().and_then(|token| state.own.tokens.get(token)) {
            return Ok(used.made.concat());
        }
        let source = launchable(state, source_region, source_id)?;
        check_name(state, call.region, &name)?;
        let delay = state.draw(call.config(), DelayKind::Transfer, source_id.to_owned());
        let copied_tags = if params.flag("CopyImageTags")? { state.own.tags_of(source_id) } else { Tags::new() };
        let ami = Ami {
            size: source.size,
            encrypted: params.flag("Encrypted")? || source.encrypted,
            source_image: Some((source_region.to_owned(), source_id.to_owned())),
            ready_at: now().checked_add(delay).ok(),
            doomed: will_fail(),
            ..new_image(call, &name, source.image)
        };
        let id = ami.id.clone();
        given.entry("image".to_owned()).or_default().extend(copied_tags);
        let description = format!("Copied for DestinationAmi {id} from SourceAmi {source_id}");
        keep(state, ami, "vol-ffffffff", &description, &mut given);
        if let Some(token) = &token {
            let used = state::Token { digest: String::new(), made: vec![id.clone()] };
            state.own.tokens.insert(token.clone(), used);
        }
        Ok(id)
    })?;
    xml.text("imageId", id);
    Ok(())
}

/// `DeregisterImage`, with its snapshots where that is asked for.
pub(super) async fn deregister(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let id = call.params.need("ImageId")?;
    let with_snapshots = call.params.flag("DeleteAssociatedSnapshots")?;
    let deleted = call.change(|state| {
        let snapshot = own(state, call.region, id)?.snapshot.clone();
        state.own.images.remove(id);
        state.own.tags.remove(id);
        if with_snapshots {
            state.own.snapshots.remove(&snapshot);
            state.own.tags.remove(&snapshot);
        }
        Ok(with_snapshots.then_some(snapshot))
    })?;
    sweep(call.cloud).await;
    xml.text("return", true);
    if let Some(snapshot) = deleted {
        xml.items("deleteSnapshotResultSet", [snapshot], |xml, snapshot| {
            xml.text("snapshotId", snapshot).text("returnCode", "success");
        });
    }
    Ok(())
}

/// `DescribeImages`.
pub(super) async fn describe(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    // New machine images may have come.
    call.cloud.refresh_images().await;
    let owners = call.params.list("Owner");
    call.read(|state| {
        let account = state::account(state);
        let public = catalogue::public_images(state, call.region).into_iter();
        let public = public.map(|image| Shown { ami: image.ami, owner: image.owner.to_owned() });
        let own = state.own.images.values().filter(|ami| ami.region == call.region).collect();
        let own = remint_sandbox_cloud::seen(own, |ami: &&Ami| ami.created_at).into_iter();
        let own = own.map(|ami| Shown { ami: ami.clone(), owner: account.clone() });
        let mut all: Vec<Shown> = public.chain(own).collect();
        keep_named(&call.params, "ImageId", &IMAGE, &mut all, |image| &image.ami.id)?;
        let owns = |image: &Shown, owner: &str| {
            let alias = if image.owner == account { Some("self") } else { catalogue::alias(&image.owner) };
            owner == image.owner || Some(owner) == alias
        };
        let may_run = |ami: &Ami, who: &str| ami.shared.contains(if who == "self" { account.as_str() } else { who });
        let runs = call.params.list("ExecutableBy");
        all.retain(|image| runs.is_empty() || runs.iter().any(|who| may_run(&image.ami, who)));
        all.retain(|image| owners.is_empty() || owners.iter().any(|owner| owns(image, owner)));
        LIST.answer(call, state, all, xml, |xml, image| image.write(xml, state))
    })
}

/// `DescribeImageAttribute`.
pub(super) fn describe_attribute(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let (id, attribute) = (call.params.need("ImageId")?, call.params.need("Attribute")?);
    call.read(|state| {
        let ami = own(state, call.region, id)?;
        xml.text("imageId", id);
        match attribute {
            "description" => {
                xml.value("description", &ami.description);
            }
            "launchPermission" => {
                xml.items("launchPermission", &ami.shared, |xml, who| {
                    xml.text(if who == "all" { "group" } else { "userId" }, who);
                });
            }
            "productCodes" => {
                xml.node("productCodes", |_| {});
            }
            "blockDeviceMapping" => {
                xml.items("blockDeviceMapping", [ami], write_mapping);
            }
            other => return Err(invalid_value(format!("Value ({other}) for parameter attribute is invalid."))),
        }
        Ok(())
    })
}

/// `ModifyImageAttribute`: the description, and who may launch.
pub(super) fn modify_attribute(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let (params, id) = (&call.params, call.params.need("ImageId")?);
    let (add, remove) = params.permissions("LaunchPermission")?;
    let set = params.attributes();
    call.change(|state| {
        own(state, call.region, id)?;
        if let Some(ami) = state.own.images.get_mut(id) {
            ami.shared.extend(add);
            ami.shared.retain(|who| !remove.contains(who));
            if let Some(description) = set.given("Description") {
                description.clone_into(&mut ami.description);
            }
        }
        Ok(())
    })?;
    done(xml)
}

/// A new image of a disk of the engine's.
fn new_image(call: &Call<'_>, name: &str, image: u64) -> Ami {
    let description = call.params.get("Description").unwrap_or_default().to_owned();
    Ami { description, ..Ami::new(call.region, name, image) }
}

/// Keeps a new image, its snapshot and their tags.
fn keep(state: &mut State, ami: Ami, volume: &str, description: &str, given: &mut BTreeMap<String, Tags>) {
    let snapshot = Snapshot {
        id: ami.snapshot.clone(),
        region: ami.region.clone(),
        image: ami.image,
        volume: volume.to_owned(),
        size: ami.size,
        encrypted: ami.encrypted,
        description: description.to_owned(),
        started_at: ami.created_at,
        ready_at: ami.ready_at,
        doomed: ami.doomed,
        shared: BTreeSet::new(),
    };
    for (kind, id) in [("image", &ami.id), ("snapshot", &snapshot.id)] {
        state.own.tag(id, given.remove(kind).unwrap_or_default());
    }
    state.own.snapshots.insert(snapshot.id.clone(), snapshot);
    state.own.images.insert(ami.id.clone(), ami);
}

/// Refuses a name that an image cannot have, or that one has already.
fn check_name(state: &State, region: &str, name: &str) -> ApiResult<()> {
    let good = |c: char| c.is_ascii_alphanumeric() || "()[] ./-'@_".contains(c);
    if !(3..=128).contains(&name.chars().count()) || !name.chars().all(good) {
        let message = "AMI names must be between 3 and 128 characters long, and may contain letters, numbers, '(', ')', '.', \
                       '-', '/' and '_'";
        return Err(refuse("InvalidAMIName.Malformed", message));
    }
    match state.own.images.values().find(|ami| ami.region == region && ami.name == name) {
        Some(ami) => {
            let message = format!("AMI name {name} is already in use by AMI {}", ami.id);
            Err(refuse("InvalidAMIName.Duplicate", message))
        }
        None => Ok(()),
    }
}

fn state_name(standing: Standing) -> &'static str {
    match standing {
        Standing::Pending => "pending",
        Standing::Done => "available",
        Standing::Failed => "failed",
    }
}

impl Shown {
    fn location(&self) -> String {
        format!("{}/{}", self.owner, self.ami.name)
    }

    fn is_public(&self) -> bool {
        self.ami.shared.contains("all")
    }

    fn write(&self, xml: &mut Xml, state: &State) {
        let Self { ami, owner } = self;
        let standing = ami.standing(state);
        xml.text("imageId", &ami.id).text("imageLocation", self.location());
        xml.text("imageState", state_name(standing))
            .text("imageOwnerId", owner)
            .maybe("imageOwnerAlias", catalogue::alias(owner));
        xml.time("creationDate", ami.created_at).text("isPublic", self.is_public()).text("architecture", IMAGES_ARE);
        xml.text("imageType", "machine").text("name", &ami.name).text("description", &ami.description);
        xml.text("rootDeviceType", "ebs").text("rootDeviceName", ROOT_DEVICE);
        xml.items("blockDeviceMapping", [ami], write_mapping);
        xml.text("virtualizationType", "hvm").text("hypervisor", "xen").text("enaSupport", true);
        xml.text("platformDetails", "Linux/UNIX").text("usageOperation", "RunInstances").text("bootMode", BOOT_MODE);
        if standing == Standing::Failed {
            xml.node("stateReason", |xml| {
                let message = "Server.InternalError: Image creation failed";
                xml.text("code", "Server.InternalError").text("message", message);
            });
        }
        xml.maybe("sourceInstanceId", ami.source_instance.as_ref());
        if let Some((region, id)) = &ami.source_image {
            xml.text("sourceImageRegion", region).text("sourceImageId", id);
        }
        tags::write(xml, state, &ami.id);
    }
}

fn write_mapping(xml: &mut Xml, ami: &Ami) {
    xml.text("deviceName", ROOT_DEVICE).node("ebs", |xml| {
        xml.text("snapshotId", &ami.snapshot).text("volumeSize", ami.size).text("deleteOnTermination", true);
        xml.text("volumeType", "gp3").text("encrypted", ami.encrypted);
    });
}
