//! Describing instances.

use super::{
    call::Call,
    filter::{Filters, page},
    groups,
    launch::ROOT_DEVICE,
    phase::Phase,
    reply::refuse,
    state::{self, Address, Instance},
    tags,
    xml::{Xml, stamp},
};
use crate::State;
use remint_sandbox_cloud::ApiResult;

/// The fields of an instance that filters may name.
const FIELDS: &[&str] = &[
    "architecture",
    "availability-zone",
    "block-device-mapping.volume-id",
    "client-token",
    "dns-name",
    "image-id",
    "instance-id",
    "instance-lifecycle",
    "instance-state-code",
    "instance-state-name",
    "instance-type",
    "instance.group-id",
    "instance.group-name",
    "ip-address",
    "key-name",
    "launch-time",
    "metadata-options.http-tokens",
    "network-interface.addresses.association.public-ip",
    "network-interface.network-interface-id",
    "network-interface.subnet-id",
    "network-interface.vpc-id",
    "owner-id",
    "private-ip-address",
    "reservation-id",
    "root-device-type",
    "subnet-id",
    "virtualization-type",
    "vpc-id",
];

/// `DescribeInstances`.
pub(super) fn describe(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let filters = Filters::of(&call.params, FIELDS)?;
    let named = call.params.list("InstanceId");
    if !named.is_empty() && call.params.get("MaxResults").is_some() {
        let message = "The parameter instancesSet cannot be used with the parameter maxResults";
        return Err(refuse("InvalidParameterCombination", message));
    }
    call.read(|state| {
        let ec2 = &state.own;
        let found = match named.is_empty() {
            true => ec2.visible(call.config(), call.region),
            false => ec2.named(call.config(), call.region, &named)?,
        };
        let taken =
            |instance: &&Instance| filters.take(&ec2.tags_of(&instance.id), |name| field(state, instance, name));
        let (shown, next) = page(&call.params, 5, found.into_iter().filter(taken).collect())?;
        let mut reservations: Vec<Vec<&Instance>> = Vec::new();
        for instance in shown {
            match reservations.iter_mut().find(|group| group[0].reservation == instance.reservation) {
                Some(group) => group.push(instance),
                None => reservations.push(vec![instance]),
            }
        }
        xml.items("reservationSet", &reservations, |xml, group| write_reservation(xml, state, group));
        xml.maybe("nextToken", next);
        Ok(())
    })
}

/// `DescribeInstanceStatus`: running instances, or all with `IncludeAllInstances`.
pub(super) fn status(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let filters = Filters::of(&call.params, &["availability-zone", "instance-state-name", "instance-state-code"])?;
    let all = call.params.flag("IncludeAllInstances")?;
    let named = call.params.list("InstanceId");
    call.read(|state| {
        let ec2 = &state.own;
        let found = match named.is_empty() {
            true => ec2.visible(call.config(), call.region),
            false => ec2.named(call.config(), call.region, &named)?,
        };
        let taken = |instance: &&Instance| {
            (all || instance.phase(state) == Phase::Running)
                && filters.take(&ec2.tags_of(&instance.id), |name| field(state, instance, name))
        };
        let (shown, next) = page(&call.params, 5, found.into_iter().filter(taken).collect())?;
        xml.items("instanceStatusSet", shown, |xml, instance| {
            let phase = instance.phase(state);
            xml.text("instanceId", &instance.id).text("availabilityZone", &instance.zone);
            write_phase(xml, "instanceState", phase);
            let status = if phase == Phase::Running { "ok" } else { "not-applicable" };
            for name in ["systemStatus", "instanceStatus"] {
                xml.node(name, |xml| {
                    xml.text("status", status);
                    if phase == Phase::Running {
                        xml.items("details", ["reachability"], |xml, name| {
                            xml.text("name", name).text("status", "passed");
                        });
                    }
                });
            }
        });
        xml.maybe("nextToken", next);
        Ok(())
    })
}

/// A reservation: the instances of one launch.
pub(super) fn write_reservation(xml: &mut Xml, state: &State, group: &[&Instance]) {
    let Some(first) = group.first() else { return };
    xml.text("reservationId", &first.reservation).text("ownerId", state::account(state));
    xml.node("groupSet", |_| {});
    xml.items("instancesSet", group, |xml, instance| write(xml, state, instance));
}

fn write_phase(xml: &mut Xml, name: &str, phase: Phase) {
    xml.node(name, |xml| {
        xml.text("code", phase.code()).text("name", phase.name());
    });
}

/// The Elastic IP that is associated with an instance.
pub(super) fn elastic<'a>(state: &'a State, instance: &Instance) -> Option<&'a Address> {
    state
        .own
        .addresses
        .values()
        .find(|address| state.static_ips.get(&address.ip).is_some_and(|ip| ip.instance == Some(instance.machine)))
}

/// The public address that an instance has now: its Elastic IP, else one of its own while it runs.
pub(super) fn public_ip(state: &State, instance: &Instance) -> Option<std::net::Ipv4Addr> {
    if let Some(address) = elastic(state, instance) {
        return Some(address.ip);
    }
    let networked = state.instances.get(&instance.machine).is_some_and(|machine| machine.networked);
    let on = matches!(instance.phase(state), Phase::Pending | Phase::Running | Phase::Stopping);
    (instance.public && networked && on).then_some(instance.public_ip)
}

fn write(xml: &mut Xml, state: &State, instance: &Instance) {
    let phase = instance.phase(state);
    let there = phase != Phase::Terminated;
    xml.text("instanceId", &instance.id).text("imageId", &instance.image);
    write_phase(xml, "instanceState", phase);
    let private_dns = if there { private_dns(instance) } else { String::new() };
    xml.text("privateDnsName", private_dns).text("dnsName", "");
    let reason = match (&instance.reason, instance.ended_at) {
        (Some((code, _)), Some(end)) if code == "Client.UserInitiatedShutdown" => {
            format!("User initiated ({})", end.strftime("%Y-%m-%d %H:%M:%S GMT"))
        }
        (Some((_, message)), _) => message.clone(),
        (None, _) => String::new(),
    };
    xml.text("reason", reason).maybe("keyName", instance.key_name.as_ref());
    xml.text("amiLaunchIndex", instance.index).node("productCodes", |_| {}).text("instanceType", &instance.kind);
    xml.time("launchTime", instance.launched_at);
    xml.node("placement", |xml| {
        xml.text("availabilityZone", &instance.zone).text("groupName", "").text("tenancy", "default");
    });
    xml.node("monitoring", |xml| {
        xml.text("state", "disabled");
    });
    if there {
        xml.text("subnetId", state::subnet(state, &instance.zone)).text("vpcId", state::vpc(state, &instance.region));
        xml.text("privateIpAddress", instance.private_ip).maybe("ipAddress", public_ip(state, instance));
        xml.text("sourceDestCheck", instance.source_dest_check);
        write_groups(xml, state, instance);
    }
    if let (Some((code, message)), true) = (&instance.reason, phase != Phase::Running) {
        xml.node("stateReason", |xml| {
            xml.text("code", code).text("message", message);
        });
    }
    xml.text("architecture", "x86_64").text("rootDeviceType", "ebs").text("rootDeviceName", ROOT_DEVICE);
    xml.node("blockDeviceMapping", |xml| {
        if there {
            xml.node("item", |xml| write_device(xml, instance));
        }
    });
    xml.text("virtualizationType", "hvm").text("clientToken", instance.token.as_deref().unwrap_or_default());
    tags::write(xml, &state.own.tags_of(&instance.id));
    xml.text("hypervisor", "xen");
    xml.node("networkInterfaceSet", |xml| {
        if there {
            xml.node("item", |xml| super::network::write_interface(xml, state, instance, false));
        }
    });
    if instance.spot {
        xml.text("instanceLifecycle", "spot");
    }
    if let Some(profile) = &instance.profile {
        xml.node("iamInstanceProfile", |xml| {
            let arn = match profile.starts_with("arn:") {
                true => profile.clone(),
                false => format!("arn:aws:iam::{}:instance-profile/{profile}", state::account(state)),
            };
            xml.text("arn", arn);
        });
    }
    xml.text("ebsOptimized", false).text("enaSupport", true);
    if let Some(size) = State::find_size(&instance.kind) {
        xml.node("cpuOptions", |xml| {
            xml.text("coreCount", size.vcpus.div_ceil(2)).text("threadsPerCore", 2);
        });
    }
    let metadata = &instance.metadata;
    xml.node("metadataOptions", |xml| {
        xml.text("state", "applied")
            .text("httpTokens", &metadata.tokens)
            .text("httpPutResponseHopLimit", metadata.hop_limit)
            .text("httpEndpoint", &metadata.endpoint)
            .text("instanceMetadataTags", &metadata.tags);
    });
    xml.text("platformDetails", "Linux/UNIX").text("usageOperation", "RunInstances");
}

/// The root device of an instance, as it lists it.
pub(super) fn write_device(xml: &mut Xml, instance: &Instance) {
    xml.text("deviceName", ROOT_DEVICE).node("ebs", |xml| {
        xml.text("volumeId", &instance.volume.id)
            .text("status", "attached")
            .time("attachTime", instance.launched_at)
            .text("deleteOnTermination", instance.volume.delete_on_termination);
    });
}

/// The security groups of an instance.
pub(super) fn write_groups(xml: &mut Xml, state: &State, instance: &Instance) {
    let all = groups::all(state, &instance.region);
    xml.items("groupSet", &instance.groups, |xml, id| {
        let name = all.iter().find(|group| group.id == *id).map(|group| group.name.as_str());
        xml.text("groupId", id).text("groupName", name.unwrap_or_default());
    });
}

/// The name that an instance has in its VPC.
pub(super) fn private_dns(instance: &Instance) -> String {
    let domain = match instance.region.as_str() {
        "us-east-1" => "ec2.internal".to_owned(),
        region => format!("{region}.compute.internal"),
    };
    format!("ip-{}.{domain}", instance.private_ip.to_string().replace('.', "-"))
}

/// What a filter's field holds.
fn field(state: &State, instance: &Instance, name: &str) -> Vec<String> {
    let phase = instance.phase(state);
    let one = |value: &dyn ToString| vec![value.to_string()];
    let there = |value: &dyn ToString| if phase == Phase::Terminated { Vec::new() } else { vec![value.to_string()] };
    match name {
        "architecture" => one(&"x86_64"),
        "availability-zone" => one(&instance.zone),
        "block-device-mapping.volume-id" => there(&instance.volume.id),
        "client-token" => instance.token.clone().into_iter().collect(),
        "image-id" => one(&instance.image),
        "instance-id" => one(&instance.id),
        "instance-lifecycle" => instance.spot.then(|| "spot".to_owned()).into_iter().collect(),
        "instance-state-code" => one(&phase.code()),
        "instance-state-name" => one(&phase.name()),
        "instance-type" => one(&instance.kind),
        "instance.group-id" => instance.groups.clone(),
        "instance.group-name" => groups::all(state, &instance.region)
            .into_iter()
            .filter(|group| instance.groups.contains(&group.id))
            .map(|group| group.name)
            .collect(),
        "ip-address" | "network-interface.addresses.association.public-ip" => {
            public_ip(state, instance).map(|ip| ip.to_string()).into_iter().collect()
        }
        "key-name" => instance.key_name.clone().into_iter().collect(),
        "launch-time" => one(&stamp(instance.launched_at)),
        "metadata-options.http-tokens" => one(&instance.metadata.tokens),
        "network-interface.network-interface-id" => there(&instance.interface),
        "owner-id" => one(&state::account(state)),
        "private-ip-address" => there(&instance.private_ip),
        "reservation-id" => one(&instance.reservation),
        "root-device-type" => one(&"ebs"),
        "subnet-id" | "network-interface.subnet-id" => there(&state::subnet(state, &instance.zone)),
        "virtualization-type" => one(&"hvm"),
        "vpc-id" | "network-interface.vpc-id" => there(&state::vpc(state, &instance.region)),
        _ => Vec::new(),
    }
}
