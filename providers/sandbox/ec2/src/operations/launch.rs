//! `RunInstances`.

use std::{collections::BTreeMap, io::Read as _, net::Ipv4Addr};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{
    State,
    call::Call,
    catalogue::{self, IMAGES_ARE, architecture},
    group, ids,
    image::launchable,
    kinds::{KEY_PAIR, SUBNET},
    query::Params,
    reply::{invalid_value, not_a, refuse, unsupported},
    state::{Data, Instance, MetadataOptions, ROOT_DEVICE, Tags, Token, Volume},
    tags, view, vpc,
    xml::Xml,
};
use remint_sandbox_cloud::{ApiError, ApiResult, NewInstances, NoRoom, catalogue::Size, now, state::Image};

/// The longest user data, in bytes.
const USER_DATA: usize = 16 * 1024;
/// What user data may unpack to.
const UNPACKED: u64 = 16 << 20;
/// The instance type where a launch names none.
const DEFAULT_TYPE: &str = "t3.micro";
/// The size of a volume where a launch names none and the image needs less, in GiB.
const DEFAULT_DISK: u64 = 8;

/// What a launch asks for, found to be right.
struct Launch {
    /// What all of the instances are like, without the ids and addresses that each has of its own.
    model: Instance,
    image: Image,
    size: &'static Size,
    count: usize,
    ssh_keys: Vec<String>,
    user_data: Option<String>,
    tags: BTreeMap<String, Tags>,
}

/// `RunInstances`: makes instances, or gives those that the same token made before.
pub(super) fn run(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let params = &call.params;
    let token = params.get("ClientToken").map(str::to_owned);
    if token.as_ref().is_some_and(|token| token.len() > 64) {
        return Err(invalid_value("Client token is too long (maximum is 64 characters)"));
    }
    let digest = params.digest(&["ClientToken", "Version"]);
    let made = call.change(|state| {
        if let Some(token) = &token
            && let Some(used) = state.own.tokens.get(&Data::in_region(call.region, token))
        {
            if used.digest != digest {
                let message = "Arguments on this idempotent request are inconsistent with arguments used in previous \
                               request(s).";
                return Err(refuse("IdempotentParameterMismatch", message));
            }
            return Ok(used.made.clone());
        }
        state.own.forget_old(call.config());
        let launch = Launch::read(call, state)?;
        let made = launch.carry_out(call, state);
        if let Some(token) = &token {
            let used = Token { digest: digest.clone(), made: made.clone() };
            state.own.tokens.insert(Data::in_region(call.region, token), used);
        }
        Ok(made)
    })?;
    call.read(|state| {
        let found: Vec<&Instance> = made.iter().filter_map(|id| state.own.instances.get(id)).collect();
        view::reservation(xml, state, &found);
    });
    Ok(())
}

impl Launch {
    /// Reads a call, and refuses it where EC2 would.
    fn read(call: &Call<'_>, state: &State) -> ApiResult<Self> {
        let (params, region) = (&call.params, call.region);
        let image = launchable(state, region, &image_id(params.need("ImageId")?, state, region)?)?;
        let kind = params.get("InstanceType").unwrap_or(DEFAULT_TYPE);
        let size = State::find_size(kind).ok_or_else(|| not_a(kind, "InstanceType"))?;
        let runs = architecture(kind);
        if runs != IMAGES_ARE {
            return Err(invalid_value(format!(
                "The architecture '{runs}' of the specified instance type does not match the architecture '{IMAGES_ARE}' of the \
                 specified AMI. Specify an instance type and an AMI that have matching architectures, and try again."
            )));
        }
        let (cores, threads) = (params.number("CpuOptions.CoreCount")?, params.number("CpuOptions.ThreadsPerCore")?);
        if cores.is_some_and(|cores| cores != u64::from(size.vcpus.div_ceil(2)))
            || threads.is_some_and(|threads| threads != 2)
        {
            return Err(unsupported("CPU options other than those of the instance type"));
        }
        let count = count(call, state)?;
        let interface = interface(params)?;
        let place = |name: &str| interface.get(name).or(params.get(name));
        let zone = zone(params, state, region, place("SubnetId"))?;
        if let Some(NoRoom { zone: full }) = &call.no_room
            && full.as_ref().is_none_or(|full| *full == zone)
        {
            return Err(no_room(kind, &zone));
        }
        let key_name = params.get("KeyName").map(str::to_owned);
        let key = |name| {
            let key = state.own.keys.get(&Data::in_region(region, name)).ok_or_else(|| KEY_PAIR.unknown(name))?;
            Ok(key.public_key.clone())
        };
        let ssh_keys = key_name.iter().map(|name| key(name)).collect::<ApiResult<_>>()?;
        let market = params.choice("InstanceMarketOptions.MarketType", &["on-demand", "spot"])?;
        let shutdown = params.choice("InstanceInitiatedShutdownBehavior", &["stop", "terminate"])?;
        let profile = params.get("IamInstanceProfile.Arn").or(params.get("IamInstanceProfile.Name")).map(str::to_owned);
        let private_ip = match place("PrivateIpAddress") {
            None => None,
            Some(_) if count > 1 => {
                let message = "A private IP address can be given to one instance only.";
                return Err(refuse("InvalidParameterCombination", message));
            }
            Some(text) => Some(private_ip(text, state, region, &zone)?),
        };
        let model = Instance {
            id: String::new(),
            machine: 0,
            reservation: ids::fresh("r"),
            index: 0,
            region: region.to_owned(),
            zone,
            kind: kind.to_owned(),
            key_name,
            groups: groups_of(params, &interface, state, region)?,
            public_ip: Ipv4Addr::UNSPECIFIED,
            private_ip: private_ip.unwrap_or(Ipv4Addr::UNSPECIFIED),
            public: interface.maybe_flag("AssociatePublicIpAddress")?.unwrap_or(true),
            launched_at: now(),
            token: params.get("ClientToken").map(str::to_owned),
            interface: String::new(),
            attachment: String::new(),
            volume: volume(params, image.size, &image.snapshot)?,
            metadata: MetadataOptions::default().with(&params.below("MetadataOptions"))?,
            spot: market == Some("spot"),
            shutdown_terminates: shutdown == Some("terminate"),
            protected: params.flag("DisableApiTermination")?,
            stop_protected: params.flag("DisableApiStop")?,
            source_dest_check: true,
            monitored: params.flag("Monitoring.Enabled")?,
            ebs_optimized: params.flag("EbsOptimized")?,
            credits: params.choice("CreditSpecification.CpuCredits", &["standard", "unlimited"])?.map(str::to_owned),
            profile,
            next: None,
            reason: None,
            ended_at: None,
            image: image.id,
        };
        Ok(Self {
            model,
            image: state.image(image.image)?.clone(),
            size,
            count,
            ssh_keys,
            user_data: user_data(params)?,
            tags: tags::specifications(params, &["instance", "volume", "network-interface", "spot-instances-request"])?,
        })
    }

    /// Makes the instances. Gives their ids.
    fn carry_out(&self, call: &Call<'_>, state: &mut State) -> Vec<String> {
        let model = &self.model;
        let mut made = Vec::new();
        for index in 0..self.count {
            let new = NewInstances {
                names: vec![String::new()],
                region: model.region.clone(),
                size: self.size,
                disk: model.volume.size,
                image: self.image.clone(),
                ssh_keys: self.ssh_keys.clone(),
                tags: Default::default(),
                user_data: self.user_data.clone(),
                features: Default::default(),
            };
            for (machine, _) in state.make_instances(call.config(), &new) {
                let private_ip = match model.private_ip {
                    Ipv4Addr::UNSPECIFIED => vpc::private_address(state, &model.zone, machine.address),
                    asked => asked,
                };
                if let Some(machine) = state.instances.get_mut(&machine.id) {
                    // A host is named after its address, which is not known before.
                    machine.name = format!("ip-{}", private_ip.to_string().replace('.', "-"));
                }
                let instance = Instance {
                    id: ids::fresh("i"),
                    machine: machine.id,
                    index,
                    public_ip: machine.address,
                    private_ip,
                    launched_at: machine.created_at,
                    interface: ids::fresh("eni"),
                    attachment: ids::fresh("eni-attach"),
                    volume: Volume { id: ids::fresh("vol"), ..model.volume.clone() },
                    ..model.clone()
                };
                for (kind, id) in [
                    ("instance", &instance.id),
                    ("volume", &instance.volume.id),
                    ("network-interface", &instance.interface),
                ] {
                    state.own.tag(id, self.tags.get(kind).cloned().unwrap_or_default());
                }
                made.push(instance.id.clone());
                state.own.instances.insert(instance.id.clone(), instance);
            }
        }
        made
    }
}

/// The id of the image that is named, also by a parameter of SSM's: `resolve:ssm:NAME`, with a version behind a colon.
fn image_id(named: &str, state: &State, region: &str) -> ApiResult<String> {
    let Some(parameter) = named.strip_prefix("resolve:ssm:") else { return Ok(named.to_owned()) };
    let (name, version) = parameter.split_once(':').map_or((parameter, None), |(name, version)| (name, Some(version)));
    let public = || Some((catalogue::parameter(state, region, name)?, 1));
    let own = state.own.parameters.get(&Data::in_region(region, name)).map(|own| (own.value.clone(), own.version));
    let found = own.or_else(public).filter(|(_, is)| version.is_none_or(|version| *version == is.to_string()));
    found.map(|(id, _)| id).ok_or_else(|| {
        invalid_value(format!(
            "The SSM parameter '{parameter}' does not exist in the region {region}, or not in this version."
        ))
    })
}

/// How many to make: as many as there is room for, from the least to the most.
fn count(call: &Call<'_>, state: &State) -> ApiResult<usize> {
    call.params.need("MinCount")?;
    call.params.need("MaxCount")?;
    let number = |name| call.params.number(name).map(|n| usize::try_from(n.unwrap_or_default()).unwrap_or(usize::MAX));
    let (least, most) = (number("MinCount")?, number("MaxCount")?);
    if least == 0 || most < least {
        return Err(invalid_value(format!("Invalid values for MinCount ({least}) and MaxCount ({most}).")));
    }
    let limit = call.config().limits.instances;
    let room = limit.saturating_sub(state.instances.len());
    if room < least {
        return Err(refuse(
            "InstanceLimitExceeded",
            format!(
                "You have requested more instances ({}) than your current instance limit of {limit} allows.",
                state.instances.len() + least
            ),
        ));
    }
    Ok(most.min(room))
}

/// The one network interface that a call may describe.
fn interface(params: &Params) -> ApiResult<Params> {
    let mut all = params.groups("NetworkInterface");
    if all.is_empty() {
        return Ok(Params::default());
    }
    for name in ["SecurityGroupId", "SecurityGroup"] {
        if !params.list(name).is_empty() {
            return Err(refuse(
                "InvalidParameterCombination",
                "Network interfaces and an instance-level security groups may not be specified on the same request",
            ));
        }
    }
    if params.get("SubnetId").is_some() {
        return Err(refuse(
            "InvalidParameterCombination",
            "Network interfaces and an instance-level subnet ID may not be specified on the same request",
        ));
    }
    if all.len() > 1 || all[0].get("NetworkInterfaceId").is_some() || all[0].number("DeviceIndex")?.unwrap_or(0) != 0 {
        return Err(unsupported("instances with another than one new network interface"));
    }
    Ok(all.remove(0))
}

/// The availability zone: the subnet's, the one that is named, or the first.
fn zone(params: &Params, state: &State, region: &str, subnet: Option<&str>) -> ApiResult<String> {
    let named = params.get("Placement.AvailabilityZone");
    if let Some(zone) = named.filter(|zone| vpc::zones(region).iter().all(|known| known != zone)) {
        return Err(invalid_value(format!("Invalid availability zone: [{zone}]")));
    }
    match subnet {
        Some(id) => {
            let found = vpc::subnets(state, region).into_iter().find(|subnet| subnet.id == id);
            found.map(|subnet| subnet.zone).ok_or_else(|| SUBNET.absent(&[id]))
        }
        None => Ok(named.map_or_else(|| format!("{region}a"), str::to_owned)),
    }
}

/// A private address that a launch names: one of the zone's subnet that is free.
fn private_ip(text: &str, state: &State, region: &str, zone: &str) -> ApiResult<Ipv4Addr> {
    let ip = text.parse().map_err(|_| not_a(text, "PrivateIpAddress"))?;
    if !vpc::subnets(state, region).iter().any(|subnet| subnet.zone == zone && subnet.has(ip)) {
        return Err(invalid_value(format!("Address {ip} does not fall within the subnet's address range")));
    }
    match vpc::is_taken(state, zone, ip) {
        true => Err(refuse("InvalidIPAddress.InUse", format!("Address {ip} is in use."))),
        false => Ok(ip),
    }
}

/// 500, as EC2 refuses a launch for which a zone has no room.
fn no_room(kind: &str, zone: &str) -> ApiError {
    let message = format!(
        "We currently do not have sufficient {kind} capacity in the Availability Zone you requested ({zone}). Our system will \
         be working on provisioning additional capacity."
    );
    ApiError { status: 500, id: "InsufficientInstanceCapacity", message }
}

fn groups_of(params: &Params, interface: &Params, state: &State, region: &'static str) -> ApiResult<Vec<String>> {
    let mut groups = Vec::new();
    for id in params.list("SecurityGroupId").into_iter().chain(interface.list("SecurityGroupId")) {
        groups.push(group::by_id(state, region, id)?.id);
    }
    for name in params.list("SecurityGroup") {
        groups.push(group::by_name(state, region, name)?.id);
    }
    if groups.is_empty() {
        groups.push(group::default_id(state, region));
    }
    Ok(groups)
}

/// The root volume; other devices are not there to be had.
fn volume(params: &Params, least: u64, snapshot: &str) -> ApiResult<Volume> {
    let mut spec = Volume {
        id: String::new(),
        snapshot: snapshot.to_owned(),
        size: least.max(DEFAULT_DISK),
        kind: "gp3".to_owned(),
        encrypted: false,
        delete_on_termination: true,
        iops: None,
        throughput: None,
    };
    for mapping in params.groups("BlockDeviceMapping") {
        let device = mapping.need("DeviceName")?;
        let root = matches!(device, ROOT_DEVICE | "/dev/sda1");
        // What is not there is left out, and an instance store is not among what an instance type has: as on EC2.
        if !root && (mapping.given("NoDevice").is_some() || mapping.get("VirtualName").is_some()) {
            continue;
        }
        if !root || mapping.given("NoDevice").is_some() {
            return Err(unsupported("other volumes than the root volume"));
        }
        let ebs = mapping.below("Ebs");
        if let Some(size) = ebs.number("VolumeSize")? {
            if size < least {
                return Err(refuse(
                    "InvalidBlockDeviceMapping",
                    format!("Volume of size {size}GB is smaller than the image's snapshot, expect size >= {least}GB"),
                ));
            }
            spec.size = size;
        }
        if let Some(kind) = ebs.choice("VolumeType", &["standard", "gp2", "gp3", "io1", "io2", "st1", "sc1"])? {
            kind.clone_into(&mut spec.kind);
        }
        if ebs.get("SnapshotId").is_some_and(|id| id != snapshot) {
            return Err(unsupported("root volumes of other snapshots than the image's"));
        }
        (spec.iops, spec.throughput) = (ebs.number("Iops")?, ebs.number("Throughput")?);
        spec.encrypted = ebs.flag("Encrypted")?;
        spec.delete_on_termination = ebs.maybe_flag("DeleteOnTermination")?.unwrap_or(true);
    }
    match spec.kind.as_str() {
        "gp3" => {
            spec.iops.get_or_insert(3000);
            spec.throughput.get_or_insert(125);
        }
        kind if spec.throughput.is_some() => return Err(no_such("throughput", kind)),
        "io1" | "io2" if spec.iops.is_none() => {
            return Err(refuse("MissingParameter", "The request must contain the parameter iops"));
        }
        "io1" | "io2" => {}
        kind if spec.iops.is_some() => return Err(no_such("iops", kind)),
        "gp2" => spec.iops = Some((3 * spec.size).clamp(100, 16_000)),
        _ => {}
    }
    Ok(spec)
}

fn no_such(parameter: &str, kind: &str) -> ApiError {
    let message = format!("The parameter {parameter} is not supported for {kind} volumes.");
    refuse("InvalidParameterCombination", message)
}

/// The user data as the guest sees it after cloud-init has unpacked it.
fn user_data(params: &Params) -> ApiResult<Option<String>> {
    let Some(encoded) = params.get("UserData") else { return Ok(None) };
    let malformed = || refuse("InvalidUserData.Malformed", "Invalid BASE64 encoding of user data.");
    let packed: String = encoded.split_ascii_whitespace().collect();
    let data = STANDARD.decode(packed).map_err(|_| malformed())?;
    if data.len() > USER_DATA {
        return Err(invalid_value(format!("User data is limited to {USER_DATA} bytes")));
    }
    match String::from_utf8(data) {
        Ok(text) => Ok(Some(text)),
        Err(error) => {
            let mut text = String::new();
            let unpacked = flate2::read::MultiGzDecoder::new(error.as_bytes()).take(UNPACKED).read_to_string(&mut text);
            unpacked
                .map(|_| Some(text))
                .map_err(|_| -> ApiError { unsupported("user data that is neither text nor gzip") })
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn data(bytes: &[u8]) -> ApiResult<Option<String>> {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("UserData", &STANDARD.encode(bytes));
        user_data(&Params::parse(form.finish().as_bytes()).unwrap())
    }

    #[test]
    fn user_data_is_sixteen_kibibytes_at_most_and_may_be_compressed() {
        assert_eq!(data(&vec![b'x'; USER_DATA]).unwrap().unwrap().len(), USER_DATA);
        assert_eq!(data(&vec![b'x'; USER_DATA + 1]).unwrap_err().id, "InvalidParameterValue");
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        gzip.write_all(&vec![b'x'; 100_000]).unwrap();
        assert_eq!(data(&gzip.finish().unwrap()).unwrap().unwrap().len(), 100_000);
        assert_eq!(data(b"").unwrap(), None);
        assert_eq!(user_data(&Params::parse(b"UserData=!").unwrap()).unwrap_err().id, "InvalidUserData.Malformed");
    }

    #[test]
    fn a_volume_is_no_smaller_than_its_image() {
        let read = |text: &str, least| volume(&Params::parse(text.as_bytes()).unwrap(), least, "snap-0");
        assert_eq!(read("", 2).unwrap().size, 8);
        assert_eq!(read("", 20).unwrap().size, 20);
        let set = "BlockDeviceMapping.1.DeviceName=/dev/xvda&BlockDeviceMapping.1.Ebs.VolumeSize=12";
        assert_eq!(read(set, 8).unwrap().size, 12);
        assert_eq!(read(set, 20).map(|spec| spec.size).unwrap_err().id, "InvalidBlockDeviceMapping");
        let other = "BlockDeviceMapping.1.DeviceName=/dev/xvdb&BlockDeviceMapping.1.Ebs.VolumeSize=12";
        assert_eq!(read(other, 8).map(|spec| spec.size).unwrap_err().id, "UnsupportedOperation");
    }
}
