//! Machine images: taken from instances, copied between regions, described.
//!
//! An AMI is regional, the disk behind it is not: a copy is another name for the engine's image. A disk is deleted when no
//! image and no snapshot names it any more.

use std::collections::BTreeSet;

use super::{
    call::Call,
    catalogue::{self, PublicImage},
    filter::{Filters, page},
    ids,
    launch::ROOT_DEVICE,
    phase::Phase,
    reply::{invalid_value, refuse, unsupported},
    state::{self, Ami, Snapshot, Tags},
    tags,
    xml::{Xml, stamp},
};
use crate::{Cloud, State};
use remint_sandbox_cloud::{
    ApiResult, DelayKind, now,
    state::{Image, Work},
    will_fail,
};

/// The fields of an image that filters may name.
const FIELDS: &[&str] = &[
    "architecture",
    "block-device-mapping.snapshot-id",
    "creation-date",
    "description",
    "ena-support",
    "hypervisor",
    "image-id",
    "image-type",
    "is-public",
    "name",
    "owner-alias",
    "owner-id",
    "platform-details",
    "root-device-name",
    "root-device-type",
    "state",
    "virtualization-type",
];

/// Where the making of an image or a snapshot stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Pending,
    Done,
    Failed,
}

/// An image that instances can be launched from.
pub(super) struct Launchable {
    pub(super) image: Image,
    pub(super) snapshot: String,
    /// The least size of a disk, in GiB.
    pub(super) size: u64,
}

/// An image as it is described, the account's own or a public one.
struct Shown<'a> {
    id: String,
    name: String,
    description: String,
    owner: String,
    alias: Option<&'static str>,
    public: bool,
    created_at: jiff::Timestamp,
    state: Standing,
    snapshot: String,
    size: u64,
    encrypted: bool,
    tags: Tags,
    own: Option<&'a Ami>,
}

/// Where the engine's image stands, which a copy has from `ready_at` on.
pub(super) fn standing(state: &State, image: u64, ready_at: Option<jiff::Timestamp>, doomed: bool) -> Standing {
    let taking = state.actions.values().any(|action| {
        let work = action.pending.as_ref().map(|pending| &pending.work);
        matches!(work, Some(Work::Snapshot { image: taken, .. }) if *taken == image)
    });
    if taking || ready_at.is_some_and(|ready| ready > now()) {
        Standing::Pending
    } else if !doomed && state.image(image).is_ok() {
        Standing::Done
    } else {
        Standing::Failed
    }
}

impl Ami {
    fn standing(&self, state: &State) -> Standing {
        standing(state, self.image, self.ready_at, self.doomed)
    }
}

/// The image of an id, ready to be launched from.
pub(super) fn launchable(state: &State, region: &str, id: &str) -> ApiResult<Launchable> {
    if !ids::is_id("ami", id) {
        return Err(refuse("InvalidAMIID.Malformed", format!("Invalid id: \"{id}\" (expecting \"ami-...\")")));
    }
    if let Some(public) = catalogue::public_images(state, region).into_iter().find(|image| image.id == id) {
        let size = public.image.min_disk_size;
        return Ok(Launchable { image: public.image.clone(), snapshot: public.snapshot, size });
    }
    let ami = own(state, region, id)?;
    match ami.standing(state) {
        Standing::Done => {
            Ok(Launchable { image: state.image(ami.image)?.clone(), snapshot: ami.snapshot.clone(), size: ami.size })
        }
        Standing::Pending => Err(refuse("InvalidAMIID.Unavailable", format!("The image ID '{id}' is pending"))),
        Standing::Failed => Err(refuse("InvalidAMIID.Unavailable", format!("The image ID '{id}' is failed"))),
    }
}

fn not_found(ids: &str) -> remint_sandbox_cloud::ApiError {
    refuse("InvalidAMIID.NotFound", format!("The image id '[{ids}]' does not exist"))
}

/// An image of the account's own.
fn own<'a>(state: &'a State, region: &str, id: &str) -> ApiResult<&'a Ami> {
    state.own.images.get(id).filter(|ami| ami.region == region).ok_or_else(|| not_found(id))
}

/// `CreateImage`.
pub(super) fn create(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let params = &call.params;
    let instance_id = params.need("InstanceId")?;
    let name = params.need("Name")?.to_owned();
    let no_reboot = params.flag("NoReboot")?;
    let mut given = tags::specifications(params, &["image", "snapshot"])?;
    if params
        .groups("BlockDeviceMapping")
        .iter()
        .any(|m| !matches!(m.get("DeviceName"), Some(ROOT_DEVICE | "/dev/sda1")))
    {
        return Err(unsupported("images with other volumes than the root volume"));
    }
    let id = call.change(|state| {
        check_name(state, call.region, &name)?;
        let instance = state.own.named(call.config(), call.region, &[instance_id])?[0].clone();
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
            id: ids::fresh("ami"),
            name: name.clone(),
            description: params.get("Description").unwrap_or_default().to_owned(),
            region: call.region.to_owned(),
            created_at: now(),
            image,
            snapshot: ids::fresh("snap"),
            size: instance.volume.size,
            encrypted: instance.volume.encrypted,
            source_instance: Some(instance.id.clone()),
            source_image: None,
            ready_at: None,
            doomed: false,
            shared: BTreeSet::new(),
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
    let token = params.get("ClientToken").map(|token| state::Data::in_region(call.region, &format!("copy {token}")));
    let id = call.change(|state| {
        if let Some(used) = token.as_ref().and_then(|token| state.own.tokens.get(token)) {
            return Ok(used.made.concat());
        }
        let source = launchable(state, source_region, source_id)?;
        check_name(state, call.region, &name)?;
        let delay = state.draw(call.config(), DelayKind::Transfer, source_id.to_owned());
        let copied_tags = if params.flag("CopyImageTags")? { state.own.tags_of(source_id) } else { Tags::new() };
        let own = state.own.images.get(source_id);
        let ami = Ami {
            id: ids::fresh("ami"),
            name: name.clone(),
            description: params.get("Description").unwrap_or_default().to_owned(),
            region: call.region.to_owned(),
            created_at: now(),
            image: source.image.id,
            snapshot: ids::fresh("snap"),
            size: source.size,
            encrypted: params.flag("Encrypted")? || own.is_some_and(|ami| ami.encrypted),
            source_instance: None,
            source_image: Some((source_region.to_owned(), source_id.to_owned())),
            ready_at: now().checked_add(delay).ok(),
            doomed: will_fail(),
            shared: BTreeSet::new(),
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
pub(super) fn describe(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let filters = Filters::of(&call.params, FIELDS)?;
    let (named, owners) = (call.params.list("ImageId"), call.params.list("Owner"));
    for id in &named {
        if !ids::is_id("ami", id) {
            return Err(refuse("InvalidAMIID.Malformed", format!("Invalid id: \"{id}\"")));
        }
    }
    call.read(|state| {
        let account = state::account(state);
        let mut all: Vec<Shown<'_>> = catalogue::public_images(state, call.region).iter().map(shown_public).collect();
        let own = state.own.images.values().filter(|ami| ami.region == call.region).collect();
        all.extend(
            remint_sandbox_cloud::seen(own, |ami: &&Ami| ami.created_at)
                .into_iter()
                .map(|ami| shown_own(state, ami, &account)),
        );
        let missing: Vec<&str> = named.iter().copied().filter(|id| all.iter().all(|image| image.id != **id)).collect();
        if !missing.is_empty() {
            return Err(not_found(&missing.join(", ")));
        }
        let owned = |image: &Shown<'_>| {
            owners.is_empty()
                || owners.iter().any(|owner| {
                    *owner == image.owner || Some(*owner) == image.alias || (*owner == "self" && image.own.is_some())
                })
        };
        let taken = |image: &Shown<'_>| {
            (named.is_empty() || named.contains(&image.id.as_str()))
                && owned(image)
                && filters.take(&image.tags, |name| image.field(name))
        };
        let (shown, next) = page(&call.params, 1, all.into_iter().filter(taken).collect())?;
        xml.items("imagesSet", shown, |xml, image| image.write(xml));
        xml.maybe("nextToken", next);
        Ok(())
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
                xml.node("description", |xml| {
                    xml.text("value", &ami.description);
                });
            }
            "launchPermission" => {
                xml.items("launchPermission", &ami.shared, |xml, who| {
                    xml.text(if who == "all" { "group" } else { "userId" }, who);
                });
            }
            "blockDeviceMapping" => {
                xml.items("blockDeviceMapping", [ami], |xml, ami| {
                    write_mapping(xml, &ami.snapshot, ami.size, ami.encrypted);
                });
            }
            other => return Err(invalid_value(format!("Value ({other}) for parameter attribute is invalid."))),
        }
        Ok(())
    })
}

/// `ModifyImageAttribute`: the description, and who may launch.
pub(super) fn modify_attribute(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let (params, id) = (&call.params, call.params.need("ImageId")?);
    let permission = |change: &str| {
        let structured = params.groups(&format!("LaunchPermission.{change}"));
        structured
            .iter()
            .filter_map(|one| one.get("UserId").or(one.get("Group")).map(str::to_owned))
            .collect::<Vec<_>>()
    };
    let (mut add, mut remove) = (permission("Add"), permission("Remove"));
    let flat = ["UserId", "UserGroup"].iter().flat_map(|name| params.list(name)).map(str::to_owned);
    match params.get("OperationType") {
        Some("remove") => remove.extend(flat),
        _ => add.extend(flat),
    }
    let description = params.get("Description.Value").or_else(|| {
        params.get("Attribute").filter(|attribute| *attribute == "description").and_then(|_| params.given("Value"))
    });
    call.change(|state| {
        own(state, call.region, id)?;
        if let Some(ami) = state.own.images.get_mut(id) {
            ami.shared.extend(add);
            ami.shared.retain(|who| !remove.contains(who));
            if let Some(description) = description {
                description.clone_into(&mut ami.description);
            }
        }
        Ok(())
    })?;
    xml.text("return", true);
    Ok(())
}

/// Deletes the disks that no image and no snapshot names any more.
pub(crate) async fn sweep(cloud: &Cloud) {
    let orphans: Vec<u64> = cloud.read(|state| {
        let named: BTreeSet<u64> = state
            .own
            .images
            .values()
            .map(|ami| ami.image)
            .chain(state.own.snapshots.values().map(|snapshot| snapshot.image))
            .collect();
        let orphan = |image: &&Image| !image.public() && image.available && !named.contains(&image.id);
        state.images.values().filter(orphan).map(|image| image.id).collect()
    });
    for image in orphans {
        if let Err(error) = cloud.delete_image(image).await {
            tracing::warn!(image, %error, "a disk that nothing names cannot be deleted");
        }
    }
}

/// Keeps a new image, its snapshot and their tags.
fn keep(
    state: &mut State,
    ami: Ami,
    volume: &str,
    description: &str,
    given: &mut std::collections::BTreeMap<String, Tags>,
) {
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

fn shown_public<'a>(public: &PublicImage<'_>) -> Shown<'a> {
    Shown {
        id: public.id.clone(),
        name: public.name.clone(),
        description: format!("{} {}", public.image.distribution, public.image.name),
        owner: public.owner.to_owned(),
        alias: catalogue::alias(public.owner),
        public: true,
        created_at: public.image.created_at,
        state: Standing::Done,
        snapshot: public.snapshot.clone(),
        size: public.image.min_disk_size.max(1),
        encrypted: false,
        tags: Tags::new(),
        own: None,
    }
}

fn shown_own<'a>(state: &State, ami: &'a Ami, account: &str) -> Shown<'a> {
    Shown {
        id: ami.id.clone(),
        name: ami.name.clone(),
        description: ami.description.clone(),
        owner: account.to_owned(),
        alias: None,
        public: ami.shared.contains("all"),
        created_at: ami.created_at,
        state: ami.standing(state),
        snapshot: ami.snapshot.clone(),
        size: ami.size,
        encrypted: ami.encrypted,
        tags: state.own.tags_of(&ami.id),
        own: Some(ami),
    }
}

impl Shown<'_> {
    fn state_name(&self) -> &'static str {
        match self.state {
            Standing::Pending => "pending",
            Standing::Done => "available",
            Standing::Failed => "failed",
        }
    }

    fn field(&self, name: &str) -> Vec<String> {
        let text = match name {
            "architecture" => "x86_64".to_owned(),
            "block-device-mapping.snapshot-id" => self.snapshot.clone(),
            "creation-date" => stamp(self.created_at),
            "description" => self.description.clone(),
            "ena-support" => "true".to_owned(),
            "hypervisor" => "xen".to_owned(),
            "image-id" => self.id.clone(),
            "image-type" => "machine".to_owned(),
            "is-public" => self.public.to_string(),
            "name" => self.name.clone(),
            "owner-alias" => return self.alias.map(str::to_owned).into_iter().collect(),
            "owner-id" => self.owner.clone(),
            "platform-details" => "Linux/UNIX".to_owned(),
            "root-device-name" => ROOT_DEVICE.to_owned(),
            "root-device-type" => "ebs".to_owned(),
            "state" => self.state_name().to_owned(),
            "virtualization-type" => "hvm".to_owned(),
            _ => return Vec::new(),
        };
        vec![text]
    }

    fn write(&self, xml: &mut Xml) {
        xml.text("imageId", &self.id).text("imageLocation", format!("{}/{}", self.owner, self.name));
        xml.text("imageState", self.state_name())
            .text("imageOwnerId", &self.owner)
            .maybe("imageOwnerAlias", self.alias);
        xml.time("creationDate", self.created_at).text("isPublic", self.public).text("architecture", "x86_64");
        xml.text("imageType", "machine").text("name", &self.name).text("description", &self.description);
        xml.text("rootDeviceType", "ebs").text("rootDeviceName", ROOT_DEVICE);
        xml.items("blockDeviceMapping", [self], |xml, image| {
            write_mapping(xml, &image.snapshot, image.size, image.encrypted);
        });
        xml.text("virtualizationType", "hvm").text("hypervisor", "xen").text("enaSupport", true);
        xml.text("platformDetails", "Linux/UNIX")
            .text("usageOperation", "RunInstances")
            .text("bootMode", "uefi-preferred");
        if self.state == Standing::Failed {
            xml.node("stateReason", |xml| {
                let message = "Server.InternalError: Image creation failed";
                xml.text("code", "Server.InternalError").text("message", message);
            });
        }
        if let Some(ami) = self.own {
            xml.maybe("sourceInstanceId", ami.source_instance.as_ref());
            if let Some((region, id)) = &ami.source_image {
                xml.text("sourceImageRegion", region).text("sourceImageId", id);
            }
        }
        tags::write(xml, &self.tags);
    }
}

fn write_mapping(xml: &mut Xml, snapshot: &str, size: u64, encrypted: bool) {
    xml.text("deviceName", ROOT_DEVICE).node("ebs", |xml| {
        xml.text("snapshotId", snapshot).text("volumeSize", size).text("deleteOnTermination", true);
        xml.text("volumeType", "gp3").text("encrypted", encrypted);
    });
}
