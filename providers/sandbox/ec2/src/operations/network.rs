//! The default VPC of each region, its subnets, and the interfaces of instances and load balancers. They can be looked at; none can be made or
//! deleted by itself.

use std::net::Ipv4Addr;

use crate::{
    State,
    call::Call,
    elbv2::{self, Nic},
    group, ids,
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

/// A network interface: of an instance, or of a load balancer.
enum Interface {
    Instance(Box<Instance>),
    Balancer(Nic),
}

impl Interface {
    fn instance(&self) -> Option<&Instance> {
        if let Self::Instance(instance) = self { Some(instance) } else { None }
    }

    fn id(&self) -> &str {
        match self {
            Self::Instance(instance) => &instance.interface,
            Self::Balancer(nic) => &nic.id,
        }
    }

    fn zone(&self) -> &str {
        match self {
            Self::Instance(instance) => &instance.zone,
            Self::Balancer(nic) => &nic.zone,
        }
    }

    fn public_ip(&self, state: &State) -> Option<Ipv4Addr> {
        match self {
            Self::Instance(instance) => instance.public_ip(state),
            Self::Balancer(nic) => Some(nic.public_ip),
        }
    }

    fn private_ip(&self) -> Ipv4Addr {
        match self {
            Self::Instance(instance) => instance.private_ip,
            Self::Balancer(nic) => nic.private_ip,
        }
    }
}

/// What a filter finds of an instance's interface; nothing where it is a load balancer's.
fn of_instance<T: ToString>(interface: &Interface, held: impl FnOnce(&Instance) -> T) -> Vec<String> {
    maybe(interface.instance().map(held))
}

const INTERFACES: List<Interface> = List {
    element: "networkInterfaceSet",
    least: Some(5),
    tags: |state, interface| state.own.tags_of(interface.id()),
    fields: &[
        ("addresses.association.public-ip", |state, interface| maybe(interface.public_ip(state))),
        ("addresses.primary", |_, _| one(true)),
        ("addresses.private-ip-address", |_, interface| one(interface.private_ip())),
        ("association.allocation-id", |state, interface| {
            maybe(interface.instance().and_then(|instance| Some(instance.elastic(state)?.id.clone())))
        }),
        ("association.association-id", |state, interface| {
            maybe(interface.instance().and_then(|instance| instance.elastic(state)?.association.clone()))
        }),
        ("attachment.attachment-id", |_, interface| of_instance(interface, |instance| instance.attachment.clone())),
        ("attachment.delete-on-termination", |_, interface| one(interface.instance().is_some())),
        ("attachment.device-index", |_, interface| one(u8::from(interface.instance().is_none()))),
        ("attachment.instance-owner-id", |state, interface| match interface {
            Interface::Instance(_) => one(state::account(state)),
            Interface::Balancer(_) => one(BALANCERS),
        }),
        ("attachment.status", |_, _| one("attached")),
        ("availability-zone-id", |_, interface| one(vpc::zone_id(interface.zone()))),
        ("description", |_, interface| match interface {
            Interface::Instance(_) => one(""),
            Interface::Balancer(nic) => one(&nic.description),
        }),
        ("interface-type", |_, interface| match interface {
            Interface::Instance(_) => one("interface"),
            Interface::Balancer(nic) => one(nic.kind),
        }),
        ("mac-address", |_, interface| of_instance(interface, Instance::mac)),
        ("owner-id", |state, _| one(state::account(state))),
        ("private-dns-name", |_, interface| of_instance(interface, Instance::private_dns)),
        ("requester-managed", |_, interface| one(interface.instance().is_none())),
        ("source-dest-check", |_, interface| match interface {
            Interface::Instance(instance) => one(instance.source_dest_check),
            Interface::Balancer(_) => one(false),
        }),
        ("association.public-ip", |state, interface| maybe(interface.public_ip(state))),
        ("attachment.instance-id", |_, interface| of_instance(interface, |instance| instance.id.clone())),
        ("availability-zone", |_, interface| one(interface.zone())),
        ("group-id", |_, interface| match interface {
            Interface::Instance(instance) => instance.groups.clone(),
            Interface::Balancer(nic) => nic.groups.clone(),
        }),
        ("network-interface-id", |_, interface| one(interface.id())),
        ("private-ip-address", |_, interface| one(interface.private_ip())),
        ("status", |_, _| one("in-use")),
        ("subnet-id", |state, interface| match interface {
            Interface::Instance(instance) => one(instance.subnet(state)),
            Interface::Balancer(nic) => one(&nic.subnet),
        }),
        ("vpc-id", |state, interface| match interface {
            Interface::Instance(instance) => one(instance.vpc(state)),
            Interface::Balancer(nic) => one(&nic.vpc),
        }),
    ],
};

/// Who the interfaces of load balancers are attached by.
const BALANCERS: &str = "amazon-elb";

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

/// `DescribeNetworkInterfaces`: those of instances and of load balancers.
pub(super) fn interfaces(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    call.read(|state| {
        let instances =
            state.own.standing(state, call.region).map(|instance| Interface::Instance(Box::new(instance.clone())));
        let balancers = elbv2::interfaces(state, call.region).into_iter().map(Interface::Balancer);
        let mut all: Vec<Interface> = instances.chain(balancers).collect();
        keep_named(&call.params, "NetworkInterfaceId", &INTERFACE, &mut all, Interface::id)?;
        INTERFACES.answer(call, state, all, xml, |xml, interface| match interface {
            Interface::Instance(instance) => view::interface(xml, state, instance, true),
            Interface::Balancer(nic) => balancer_interface(xml, state, nic),
        })
    })
}

/// A load balancer's interface. Its address is where the load balancer's clients connect.
fn balancer_interface(xml: &mut Xml, state: &State, nic: &Nic) {
    let association = |xml: &mut Xml| {
        xml.node("association", |xml| {
            xml.text("publicIp", nic.public_ip).text("publicDnsName", "").text("ipOwnerId", BALANCERS);
        });
    };
    xml.text("networkInterfaceId", &nic.id).text("subnetId", &nic.subnet).text("vpcId", &nic.vpc);
    xml.text("availabilityZone", &nic.zone).text("description", &nic.description);
    xml.text("ownerId", state::account(state)).text("requesterId", BALANCERS).text("requesterManaged", true);
    xml.text("status", "in-use").text("privateIpAddress", nic.private_ip).text("sourceDestCheck", false);
    let all = group::all(state, &nic.region);
    xml.items("groupSet", &nic.groups, |xml, id| {
        let name = all.iter().find(|group| group.id == *id).map(|group| group.name.as_str());
        xml.text("groupId", id).text("groupName", name.unwrap_or_default());
    });
    xml.node("attachment", |xml| {
        xml.text("attachmentId", ids::fixed("ela-attach", &nic.id)).text("deviceIndex", 1);
        xml.text("instanceOwnerId", BALANCERS).text("status", "attached").text("deleteOnTermination", false);
    });
    association(xml);
    xml.items("privateIpAddressesSet", [nic], |xml, nic| {
        xml.text("privateIpAddress", nic.private_ip).text("primary", true);
        association(xml);
    });
    xml.text("interfaceType", nic.kind);
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
