//! What several operations show alike: instances and what belongs to them.

use super::{
    group, ids,
    instance::Phase,
    state::{self, Instance, MetadataOptions, ROOT_DEVICE},
    tags,
    xml::Xml,
};
use crate::State;

/// A reservation: the instances of one launch.
pub(super) fn reservation(xml: &mut Xml, state: &State, group: &[&Instance]) {
    let Some(first) = group.first() else { return };
    xml.text("reservationId", &first.reservation).text("ownerId", state::account(state));
    xml.node("groupSet", |_| {});
    xml.items("instancesSet", group, |xml, instance| self::instance(xml, state, instance));
}

/// An instance's state.
pub(super) fn phase(xml: &mut Xml, name: &str, phase: Phase) {
    xml.node(name, |xml| {
        xml.text("code", phase.code()).text("name", phase.name());
    });
}

/// How an instance's metadata service answers.
pub(super) fn metadata(xml: &mut Xml, name: &str, state: &str, options: &MetadataOptions) {
    xml.node(name, |xml| {
        xml.text("state", state)
            .text("httpTokens", &options.tokens)
            .text("httpPutResponseHopLimit", options.hop_limit)
            .text("httpEndpoint", &options.endpoint)
            .text("httpProtocolIpv6", "disabled")
            .text("instanceMetadataTags", &options.tags);
    });
}

fn instance(xml: &mut Xml, state: &State, instance: &Instance) {
    let phase = instance.phase(state);
    let there = phase != Phase::Terminated;
    xml.text("instanceId", &instance.id).text("imageId", &instance.image);
    self::phase(xml, "instanceState", phase);
    let private_dns = if there { instance.private_dns() } else { String::new() };
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
        xml.text("state", if instance.monitored { "enabled" } else { "disabled" });
    });
    if there {
        xml.text("subnetId", instance.subnet(state)).text("vpcId", instance.vpc(state));
        xml.text("privateIpAddress", instance.private_ip).maybe("ipAddress", instance.public_ip(state));
        xml.text("sourceDestCheck", instance.source_dest_check);
        groups(xml, state, instance);
    }
    if let (Some((code, message)), true) = (&instance.reason, phase != Phase::Running) {
        xml.node("stateReason", |xml| {
            xml.text("code", code).text("message", message);
        });
    }
    xml.text("architecture", "x86_64").text("rootDeviceType", "ebs").text("rootDeviceName", ROOT_DEVICE);
    xml.node("blockDeviceMapping", |xml| {
        if there {
            xml.node("item", |xml| device(xml, instance));
        }
    });
    xml.text("virtualizationType", "hvm").text("clientToken", instance.token.as_deref().unwrap_or_default());
    tags::write(xml, state, &instance.id);
    xml.text("hypervisor", "xen");
    xml.node("networkInterfaceSet", |xml| {
        if there {
            xml.node("item", |xml| interface(xml, state, instance, false));
        }
    });
    if instance.spot {
        xml.text("instanceLifecycle", "spot");
    }
    profile(xml, state, instance);
    xml.text("ebsOptimized", instance.ebs_optimized).text("enaSupport", true);
    if let Some(size) = State::find_size(&instance.kind) {
        xml.node("cpuOptions", |xml| {
            xml.text("coreCount", size.vcpus.div_ceil(2)).text("threadsPerCore", 2);
        });
    }
    metadata(xml, "metadataOptions", "applied", &instance.metadata);
    xml.text("platformDetails", "Linux/UNIX").text("usageOperation", "RunInstances");
}

/// The instance profile that an instance was launched with.
pub(super) fn profile(xml: &mut Xml, state: &State, instance: &Instance) {
    let Some(arn) = instance.profile_arn(state) else { return };
    xml.node("iamInstanceProfile", |xml| {
        // An id is of the shape of a user's.
        xml.text("id", format!("AIPA{}", &ids::fixed("p", &arn).to_ascii_uppercase()[3..19])).text("arn", arn);
    });
}

/// The root device of an instance, as it lists it.
pub(super) fn device(xml: &mut Xml, instance: &Instance) {
    xml.text("deviceName", ROOT_DEVICE).node("ebs", |xml| {
        xml.text("volumeId", &instance.volume.id)
            .text("status", "attached")
            .time("attachTime", instance.launched_at)
            .text("deleteOnTermination", instance.volume.delete_on_termination);
    });
}

/// The security groups of an instance.
pub(super) fn groups<'a>(xml: &'a mut Xml, state: &State, instance: &Instance) -> &'a mut Xml {
    let all = group::all(state, &instance.region);
    xml.items("groupSet", &instance.groups, |xml, id| {
        let name = all.iter().find(|group| group.id == *id).map(|group| group.name.as_str());
        xml.text("groupId", id).text("groupName", name.unwrap_or_default());
    })
}

/// An instance's interface, as the instance lists it; by itself it shows where it is and its tags.
pub(super) fn interface(xml: &mut Xml, state: &State, instance: &Instance, alone: bool) {
    let owner = state::account(state);
    xml.text("networkInterfaceId", &instance.interface).text("subnetId", instance.subnet(state));
    xml.text("vpcId", instance.vpc(state)).text("description", "").text("ownerId", &owner);
    xml.text("status", "in-use").text("macAddress", instance.mac());
    xml.text("privateIpAddress", instance.private_ip).text("privateDnsName", instance.private_dns());
    xml.text("sourceDestCheck", instance.source_dest_check);
    groups(xml, state, instance);
    attachment(xml, state, instance, alone);
    association(xml, state, instance, alone);
    xml.items("privateIpAddressesSet", [instance], |xml, instance| {
        xml.text("privateIpAddress", instance.private_ip).text("privateDnsName", instance.private_dns());
        xml.text("primary", true);
        association(xml, state, instance, alone);
    });
    xml.text("interfaceType", "interface");
    if alone {
        xml.text("availabilityZone", &instance.zone).text("requesterManaged", false);
        tags::write(xml, state, &instance.interface);
    }
}

/// How an interface hangs on its instance, which is named where the interface is shown by itself.
pub(super) fn attachment<'a>(xml: &'a mut Xml, state: &State, instance: &Instance, alone: bool) -> &'a mut Xml {
    xml.node("attachment", |xml| {
        xml.text("attachmentId", &instance.attachment).text("deviceIndex", 0).text("networkCardIndex", 0);
        if alone {
            xml.text("instanceId", &instance.id).text("instanceOwnerId", state::account(state));
        }
        xml.text("status", "attached").time("attachTime", instance.launched_at).text("deleteOnTermination", true);
    })
}

fn association(xml: &mut Xml, state: &State, instance: &Instance, alone: bool) {
    let Some(ip) = instance.public_ip(state) else { return };
    let elastic = instance.elastic(state);
    xml.node("association", |xml| {
        xml.text("publicIp", ip).text("publicDnsName", "");
        match elastic {
            Some(address) => {
                xml.text("ipOwnerId", state::account(state));
                if alone {
                    xml.text("allocationId", &address.id).maybe("associationId", address.association.as_ref());
                }
            }
            None => {
                xml.text("ipOwnerId", "amazon");
            }
        }
    });
}
