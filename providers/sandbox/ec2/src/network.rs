//! The default VPC of each region, its subnets, and the interfaces and volumes of instances. They can be looked at; none can
//! be made or deleted by itself.

use std::net::Ipv4Addr;

use super::{
    call::Call,
    filter::{Filters, page},
    instances::{elastic, private_dns, public_ip, write_groups},
    reply::refuse,
    state::{self, Instance, Tags},
    tags,
    xml::Xml,
};
use crate::State;
use remint_sandbox_cloud::ApiResult;

/// The letters of every region's availability zones.
pub(super) const ZONES: &[&str] = &["a", "b", "c"];

/// A default subnet.
#[derive(Debug, Clone)]
pub(super) struct Subnet {
    pub(super) id: String,
    pub(super) zone: String,
    pub(super) cidr: String,
}

/// Whether a text names an availability zone of the region.
pub(super) fn is_zone(region: &str, zone: &str) -> bool {
    zone.strip_prefix(region).is_some_and(|letter| ZONES.contains(&letter))
}

/// The default subnets of a region: one for each zone.
pub(super) fn subnets(state: &State, region: &str) -> Vec<Subnet> {
    let subnet = |(index, letter): (usize, &&str)| {
        let zone = format!("{region}{letter}");
        Subnet { id: state::subnet(state, &zone), zone, cidr: format!("172.31.{}.0/20", 16 * index) }
    };
    ZONES.iter().enumerate().map(subnet).collect()
}

/// The address that an instance shows in its VPC. Nothing answers there.
pub(super) fn private_address(zone: &str, address: Ipv4Addr) -> Ipv4Addr {
    let [_, _, c, d] = address.octets();
    let index = ZONES.iter().position(|letter| zone.ends_with(letter)).unwrap_or_default();
    Ipv4Addr::new(172, 31, 16 * u8::try_from(index).unwrap_or_default() + c % 16, d)
}

/// `DescribeVpcs`.
pub(super) fn vpcs(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let fields = ["cidr", "cidr-block", "is-default", "isDefault", "owner-id", "state", "vpc-id"];
    let filters = Filters::of(&call.params, &fields)?;
    let named = call.params.list("VpcId");
    call.read(|state| {
        let (id, owner) = (state::vpc(state, call.region), state::account(state));
        if let Some(other) = named.iter().find(|named| **named != id) {
            return Err(refuse("InvalidVpcID.NotFound", format!("The vpc ID '{other}' does not exist")));
        }
        let tags = state.own.tags_of(&id);
        let field = |name: &str| match name {
            "cidr" | "cidr-block" => vec!["172.31.0.0/16".to_owned()],
            "is-default" | "isDefault" => vec!["true".to_owned()],
            "owner-id" => vec![owner.clone()],
            "state" => vec!["available".to_owned()],
            _ => vec![id.clone()],
        };
        let shown = filters.take(&tags, field).then_some(()).into_iter();
        xml.items("vpcSet", shown, |xml, ()| {
            xml.text("vpcId", &id).text("ownerId", &owner).text("state", "available");
            xml.text("cidrBlock", "172.31.0.0/16").text("instanceTenancy", "default").text("isDefault", true);
            tags::write(xml, &tags);
        });
        Ok(())
    })
}

/// `DescribeSubnets`.
pub(super) fn describe_subnets(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let fields = [
        "availability-zone",
        "availabilityZone",
        "cidr-block",
        "default-for-az",
        "defaultForAz",
        "map-public-ip-on-launch",
        "owner-id",
        "state",
        "subnet-id",
        "vpc-id",
    ];
    let filters = Filters::of(&call.params, &fields)?;
    let named = call.params.list("SubnetId");
    call.read(|state| {
        let (all, vpc, owner) = (subnets(state, call.region), state::vpc(state, call.region), state::account(state));
        if let Some(other) = named.iter().find(|named| all.iter().all(|subnet| subnet.id != **named)) {
            return Err(refuse("InvalidSubnetID.NotFound", format!("The subnet ID '{other}' does not exist")));
        }
        let taken = |subnet: &Subnet| {
            let field = |name: &str| match name {
                "availability-zone" | "availabilityZone" => vec![subnet.zone.clone()],
                "cidr-block" => vec![subnet.cidr.clone()],
                "owner-id" => vec![owner.clone()],
                "state" => vec!["available".to_owned()],
                "subnet-id" => vec![subnet.id.clone()],
                "vpc-id" => vec![vpc.clone()],
                _ => vec!["true".to_owned()],
            };
            (named.is_empty() || named.contains(&subnet.id.as_str()))
                && filters.take(&state.own.tags_of(&subnet.id), field)
        };
        let (shown, next) = page(&call.params, 5, all.into_iter().filter(taken).collect())?;
        xml.items("subnetSet", shown, |xml, subnet| {
            xml.text("subnetId", &subnet.id).text("state", "available").text("vpcId", &vpc);
            xml.text("cidrBlock", &subnet.cidr).text("availableIpAddressCount", 4091);
            xml.text("availabilityZone", &subnet.zone).text("defaultForAz", true).text("mapPublicIpOnLaunch", true);
            xml.text("ownerId", &owner).text("assignIpv6AddressOnCreation", false);
            tags::write(xml, &state.own.tags_of(&subnet.id));
        });
        xml.maybe("nextToken", next);
        Ok(())
    })
}

/// `DescribeNetworkInterfaces`: those of instances.
pub(super) fn interfaces(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let fields = [
        "association.public-ip",
        "attachment.instance-id",
        "availability-zone",
        "group-id",
        "network-interface-id",
        "private-ip-address",
        "status",
        "subnet-id",
        "vpc-id",
    ];
    let filters = Filters::of(&call.params, &fields)?;
    let named = call.params.list("NetworkInterfaceId");
    call.read(|state| {
        let all: Vec<&Instance> = state.own.standing(state, call.region).collect();
        if let Some(other) = named.iter().find(|named| all.iter().all(|instance| instance.interface != **named)) {
            let message = format!("The networkInterface ID '{other}' does not exist");
            return Err(refuse("InvalidNetworkInterfaceID.NotFound", message));
        }
        let taken = |instance: &&Instance| {
            let field = |name: &str| match name {
                "association.public-ip" => public_ip(state, instance).map(|ip| ip.to_string()).into_iter().collect(),
                "attachment.instance-id" => vec![instance.id.clone()],
                "availability-zone" => vec![instance.zone.clone()],
                "group-id" => instance.groups.clone(),
                "network-interface-id" => vec![instance.interface.clone()],
                "private-ip-address" => vec![instance.private_ip.to_string()],
                "status" => vec!["in-use".to_owned()],
                "subnet-id" => vec![state::subnet(state, &instance.zone)],
                _ => vec![state::vpc(state, &instance.region)],
            };
            (named.is_empty() || named.contains(&instance.interface.as_str()))
                && filters.take(&state.own.tags_of(&instance.interface), field)
        };
        let (shown, next) = page(&call.params, 5, all.into_iter().filter(taken).collect())?;
        xml.items("networkInterfaceSet", shown, |xml, instance| write_interface(xml, state, instance, true));
        xml.maybe("nextToken", next);
        Ok(())
    })
}

/// `DescribeVolumes`: the root volumes of instances.
pub(super) fn volumes(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let fields =
        ["attachment.instance-id", "availability-zone", "size", "snapshot-id", "status", "volume-id", "volume-type"];
    let filters = Filters::of(&call.params, &fields)?;
    let named = call.params.list("VolumeId");
    call.read(|state| {
        let all: Vec<&Instance> = state.own.standing(state, call.region).collect();
        if let Some(other) = named.iter().find(|named| all.iter().all(|instance| instance.volume.id != **named)) {
            return Err(refuse("InvalidVolume.NotFound", format!("The volume '{other}' does not exist.")));
        }
        let taken = |instance: &&Instance| {
            let volume = &instance.volume;
            let field = |name: &str| match name {
                "attachment.instance-id" => vec![instance.id.clone()],
                "availability-zone" => vec![instance.zone.clone()],
                "size" => vec![volume.size.to_string()],
                "snapshot-id" => vec![volume.snapshot.clone()],
                "status" => vec!["in-use".to_owned()],
                "volume-id" => vec![volume.id.clone()],
                _ => vec![volume.kind.clone()],
            };
            (named.is_empty() || named.contains(&volume.id.as_str()))
                && filters.take(&state.own.tags_of(&volume.id), field)
        };
        let (shown, next) = page(&call.params, 5, all.into_iter().filter(taken).collect())?;
        xml.items("volumeSet", shown, |xml, instance| {
            let volume = &instance.volume;
            xml.text("volumeId", &volume.id).text("size", volume.size).text("snapshotId", &volume.snapshot);
            xml.text("availabilityZone", &instance.zone)
                .text("status", "in-use")
                .time("createTime", instance.launched_at);
            xml.items("attachmentSet", [instance], |xml, instance| {
                xml.text("volumeId", &volume.id).text("instanceId", &instance.id);
                xml.text("device", super::launch::ROOT_DEVICE).text("status", "attached");
                xml.time("attachTime", instance.launched_at).text("deleteOnTermination", volume.delete_on_termination);
            });
            xml.text("volumeType", &volume.kind).text("encrypted", volume.encrypted).text("multiAttachEnabled", false);
            tags::write(xml, &state.own.tags_of(&volume.id));
        });
        xml.maybe("nextToken", next);
        Ok(())
    })
}

/// An instance's interface, as the instance lists it; by itself it shows where it is and its tags.
pub(super) fn write_interface(xml: &mut Xml, state: &State, instance: &Instance, alone: bool) {
    let owner = state::account(state);
    xml.text("networkInterfaceId", &instance.interface).text("subnetId", state::subnet(state, &instance.zone));
    xml.text("vpcId", state::vpc(state, &instance.region)).text("description", "").text("ownerId", &owner);
    xml.text("status", "in-use").text("macAddress", mac(instance.private_ip));
    xml.text("privateIpAddress", instance.private_ip).text("privateDnsName", private_dns(instance));
    xml.text("sourceDestCheck", instance.source_dest_check);
    write_groups(xml, state, instance);
    xml.node("attachment", |xml| {
        xml.text("attachmentId", &instance.attachment).text("deviceIndex", 0).text("networkCardIndex", 0);
        if alone {
            xml.text("instanceId", &instance.id).text("instanceOwnerId", &owner);
        }
        xml.text("status", "attached").time("attachTime", instance.launched_at).text("deleteOnTermination", true);
    });
    write_association(xml, state, instance, alone);
    xml.items("privateIpAddressesSet", [instance], |xml, instance| {
        xml.text("privateIpAddress", instance.private_ip).text("privateDnsName", private_dns(instance));
        xml.text("primary", true);
        write_association(xml, state, instance, alone);
    });
    xml.text("interfaceType", "interface");
    if alone {
        let tags: Tags = state.own.tags_of(&instance.interface);
        xml.text("availabilityZone", &instance.zone).text("requesterManaged", false);
        tags::write(xml, &tags);
    }
}

fn write_association(xml: &mut Xml, state: &State, instance: &Instance, alone: bool) {
    let Some(ip) = public_ip(state, instance) else { return };
    let elastic = elastic(state, instance);
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

/// A hardware address that goes with the address in the VPC.
fn mac(ip: Ipv4Addr) -> String {
    let [a, b, c, d] = ip.octets();
    format!("0a:ff:{a:02x}:{b:02x}:{c:02x}:{d:02x}")
}
