//! The default VPC of each region, its subnets, and the interfaces of instances. They can be looked at; none can be made or
//! deleted by itself.

use crate::{
    call::Call,
    kinds::{INTERFACE, SUBNET, VPC},
    list::{List, keep_named, maybe, one},
    state::{self, Instance},
    tags, view,
    vpc::{self, Subnet},
    xml::Xml,
};
use remint_sandbox_cloud::ApiResult;

/// Of ids: there is one.
const VPCS: List<String> = List {
    element: "vpcSet",
    least: None,
    tags: |state, id| state.own.tags_of(id),
    fields: &[
        ("cidr", |_, _| one(vpc::CIDR)),
        ("cidr-block", |_, _| one(vpc::CIDR)),
        ("cidr-block-association.cidr-block", |_, _| one(vpc::CIDR)),
        ("cidr-block-association.state", |_, _| one("associated")),
        ("is-default", |_, _| one(true)),
        ("isDefault", |_, _| one(true)),
        ("owner-id", |state, _| one(state::account(state))),
        ("state", |_, _| one("available")),
        ("vpc-id", |_, id| one(id)),
    ],
};

const SUBNETS: List<Subnet> = List {
    element: "subnetSet",
    least: Some(5),
    tags: |state, subnet| state.own.tags_of(&subnet.id),
    fields: &[
        ("availability-zone", |_, subnet| one(&subnet.zone)),
        ("availabilityZone", |_, subnet| one(&subnet.zone)),
        ("availability-zone-id", |_, subnet| one(vpc::zone_id(&subnet.zone))),
        ("available-ip-address-count", |_, _| one(4091)),
        ("ipv6-native", |_, _| one(false)),
        ("cidr-block", |_, subnet| one(&subnet.cidr)),
        ("default-for-az", |_, _| one(true)),
        ("defaultForAz", |_, _| one(true)),
        ("map-public-ip-on-launch", |_, _| one(true)),
        ("owner-id", |state, _| one(state::account(state))),
        ("state", |_, _| one("available")),
        ("subnet-id", |_, subnet| one(&subnet.id)),
        ("vpc-id", |_, subnet| one(&subnet.vpc)),
    ],
};

const INTERFACES: List<Instance> = List {
    element: "networkInterfaceSet",
    least: Some(5),
    tags: |state, instance| state.own.tags_of(&instance.interface),
    fields: &[
        ("addresses.association.public-ip", |state, instance| maybe(instance.public_ip(state))),
        ("addresses.primary", |_, _| one(true)),
        ("addresses.private-ip-address", |_, instance| one(instance.private_ip)),
        ("association.allocation-id", |state, instance| maybe(instance.elastic(state).map(|address| &address.id))),
        ("association.association-id", |state, instance| {
            maybe(instance.elastic(state).and_then(|address| address.association.as_ref()))
        }),
        ("attachment.attachment-id", |_, instance| one(&instance.attachment)),
        ("attachment.delete-on-termination", |_, _| one(true)),
        ("attachment.device-index", |_, _| one(0)),
        ("attachment.instance-owner-id", |state, _| one(state::account(state))),
        ("attachment.status", |_, _| one("attached")),
        ("availability-zone-id", |_, instance| one(vpc::zone_id(&instance.zone))),
        ("description", |_, _| one("")),
        ("interface-type", |_, _| one("interface")),
        ("mac-address", |_, instance| one(instance.mac())),
        ("owner-id", |state, _| one(state::account(state))),
        ("private-dns-name", |_, instance| one(instance.private_dns())),
        ("requester-managed", |_, _| one(false)),
        ("source-dest-check", |_, instance| one(instance.source_dest_check)),
        ("association.public-ip", |state, instance| maybe(instance.public_ip(state))),
        ("attachment.instance-id", |_, instance| one(&instance.id)),
        ("availability-zone", |_, instance| one(&instance.zone)),
        ("group-id", |_, instance| instance.groups.clone()),
        ("network-interface-id", |_, instance| one(&instance.interface)),
        ("private-ip-address", |_, instance| one(instance.private_ip)),
        ("status", |_, _| one("in-use")),
        ("subnet-id", |state, instance| one(instance.subnet(state))),
        ("vpc-id", |state, instance| one(instance.vpc(state))),
    ],
};

/// `DescribeVpcs`.
pub(super) fn vpcs(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    call.read(|state| {
        let mut all = vec![vpc::id(state, call.region)];
        keep_named(&call.params, "VpcId", &VPC, &mut all, |id| id)?;
        VPCS.answer(call, state, all, xml, |xml, id| {
            xml.text("vpcId", id).text("ownerId", state::account(state)).text("state", "available");
            xml.text("dhcpOptionsId", vpc::own(state, "dopt", call.region));
            xml.items("cidrBlockAssociationSet", [vpc::CIDR], |xml, cidr| {
                xml.text("associationId", vpc::own(state, "vpc-cidr-assoc", call.region)).text("cidrBlock", cidr);
                xml.node("cidrBlockState", |xml| {
                    xml.text("state", "associated");
                });
            });
            xml.text("cidrBlock", vpc::CIDR).text("instanceTenancy", "default").text("isDefault", true);
            tags::write(xml, state, id);
        })
    })
}

/// `DescribeSubnets`.
pub(super) fn subnets(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    call.read(|state| {
        let mut all = vpc::subnets(state, call.region);
        keep_named(&call.params, "SubnetId", &SUBNET, &mut all, |subnet| &subnet.id)?;
        SUBNETS.answer(call, state, all, xml, |xml, subnet| {
            xml.text("subnetId", &subnet.id).text("state", "available").text("vpcId", &subnet.vpc);
            xml.text("cidrBlock", &subnet.cidr).text("availableIpAddressCount", 4091);
            xml.text("availabilityZone", &subnet.zone)
                .text("availabilityZoneId", vpc::zone_id(&subnet.zone))
                .text("defaultForAz", true)
                .text("mapPublicIpOnLaunch", true);
            xml.text("ownerId", state::account(state)).text("assignIpv6AddressOnCreation", false);
            tags::write(xml, state, &subnet.id);
        })
    })
}

/// `DescribeNetworkInterfaces`: those of instances.
pub(super) fn interfaces(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    call.read(|state| {
        let mut all: Vec<&Instance> = state.own.standing(state, call.region).collect();
        keep_named(&call.params, "NetworkInterfaceId", &INTERFACE, &mut all, |instance| &instance.interface)?;
        INTERFACES.answer(call, state, all, xml, |xml, instance| view::interface(xml, state, instance, true))
    })
}

/// `DescribeNetworkInterfaceAttribute`.
pub(super) fn interface_attribute(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let id = call.params.need("NetworkInterfaceId")?;
    let allowed = ["attachment", "description", "groupSet", "sourceDestCheck"];
    let attribute = call.params.choice("Attribute", &allowed)?.unwrap_or("description");
    call.read(|state| {
        let found = state.own.standing(state, call.region).find(|instance| instance.interface == id);
        let instance = found.ok_or_else(|| INTERFACE.absent(&[id]))?;
        xml.text("networkInterfaceId", id);
        match attribute {
            "attachment" => view::attachment(xml, state, instance, true),
            "groupSet" => view::groups(xml, state, instance),
            "sourceDestCheck" => xml.value(attribute, instance.source_dest_check),
            _ => xml.value(attribute, ""),
        };
        Ok(())
    })
}
