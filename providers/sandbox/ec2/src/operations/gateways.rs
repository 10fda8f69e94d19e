//! What comes with the default VPC of each region: its route table, internet gateway, access list and DHCP options, and what the
//! VPC is set to. They can be looked at; none can be made or changed.

use crate::{
    State,
    call::Call,
    ids,
    kinds::{Kind, VPC, kind},
    list::{List, keep_named, one},
    reply::missing,
    state::{self, Tags},
    vpc::{self, own},
    xml::Xml,
};
use remint_sandbox_cloud::ApiResult;

const ROUTE_TABLE: Kind =
    kind("rtb", "route-table", "InvalidRouteTableID.NotFound", "The routeTable ID '{}' does not exist");
const GATEWAY: Kind =
    kind("igw", "internet-gateway", "InvalidInternetGatewayID.NotFound", "The internetGateway ID '{}' does not exist");
const OPTIONS: Kind =
    kind("dopt", "dhcp-options", "InvalidDhcpOptionID.NotFound", "The dhcpOption ID '{}' does not exist");
const ACCESS_LIST: Kind =
    kind("acl", "network-acl", "InvalidNetworkAclID.NotFound", "The networkAcl ID '{}' does not exist");

/// What a region's VPC has one of.
struct One {
    region: &'static str,
    id: String,
}

const ROUTE_TABLES: List<One> = List {
    element: "routeTableSet",
    least: Some(5),
    tags: |_, _| Tags::new(),
    fields: &[
        ("association.main", |_, _| one(true)),
        ("association.route-table-association-id", |state, table| one(own(state, "rtbassoc", table.region))),
        ("association.route-table-id", |_, table| one(&table.id)),
        ("association.subnet-id", |_, _| Vec::new()),
        ("owner-id", |state, _| one(state::account(state))),
        ("route-table-id", |_, table| one(&table.id)),
        ("route.destination-cidr-block", |_, _| vec![vpc::CIDR.to_owned(), EVERYWHERE.to_owned()]),
        ("route.gateway-id", |state, table| vec!["local".to_owned(), own(state, "igw", table.region)]),
        ("vpc-id", |state, table| one(vpc::id(state, table.region))),
    ],
};

const GATEWAYS: List<One> = List {
    element: "internetGatewaySet",
    least: Some(5),
    tags: |_, _| Tags::new(),
    fields: &[
        ("attachment.state", |_, _| one("available")),
        ("attachment.vpc-id", |state, gateway| one(vpc::id(state, gateway.region))),
        ("internet-gateway-id", |_, gateway| one(&gateway.id)),
        ("owner-id", |state, _| one(state::account(state))),
    ],
};

const ACCESS_LISTS: List<One> = List {
    element: "networkAclSet",
    least: Some(5),
    tags: |_, _| Tags::new(),
    fields: &[
        ("association.network-acl-id", |_, list| one(&list.id)),
        ("association.subnet-id", |state, list| {
            vpc::subnets(state, list.region).into_iter().map(|subnet| subnet.id).collect()
        }),
        ("default", |_, _| one(true)),
        ("network-acl-id", |_, list| one(&list.id)),
        ("owner-id", |state, _| one(state::account(state))),
        ("vpc-id", |state, list| one(vpc::id(state, list.region))),
    ],
};

const DHCP_OPTIONS: List<One> = List {
    element: "dhcpOptionsSet",
    least: Some(5),
    tags: |_, _| Tags::new(),
    fields: &[
        ("dhcp-options-id", |_, options| one(&options.id)),
        ("key", |_, options| dhcp(options.region).into_iter().map(|(key, _)| key.to_owned()).collect()),
        ("owner-id", |state, _| one(state::account(state))),
        ("value", |_, options| dhcp(options.region).into_iter().map(|(_, value)| value).collect()),
    ],
};

const EVERYWHERE: &str = "0.0.0.0/0";

fn dhcp(region: &str) -> [(&'static str, String); 2] {
    [("domain-name", vpc::domain(region)), ("domain-name-servers", "AmazonProvidedDNS".to_owned())]
}

/// Answers with the one that there is, if the call does not ask for others.
fn answer(
    call: &Call<'_>,
    xml: &mut Xml,
    (list, parameter, kind): (&List<One>, &str, &Kind),
    write: impl Fn(&mut Xml, &State, &One),
) -> ApiResult<()> {
    call.read(|state| {
        let mut all = vec![One { region: call.region, id: own(state, kind.prefix, call.region) }];
        keep_named(&call.params, parameter, kind, &mut all, |one| &one.id)?;
        list.answer(call, state, all, xml, |xml, one| write(xml, state, one))
    })
}

/// `DescribeRouteTables`: the main one, which leads to the internet gateway.
pub(super) fn route_tables(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    answer(call, xml, (&ROUTE_TABLES, "RouteTableId", &ROUTE_TABLE), |xml, state, table| {
        xml.text("routeTableId", &table.id).text("vpcId", vpc::id(state, table.region));
        xml.text("ownerId", state::account(state));
        let routes = [
            (vpc::CIDR, "local".to_owned(), "CreateRouteTable"),
            (EVERYWHERE, own(state, "igw", table.region), "CreateRoute"),
        ];
        xml.items("routeSet", routes, |xml, (to, through, origin)| {
            xml.text("destinationCidrBlock", to).text("gatewayId", through).text("state", "active");
            xml.text("origin", origin);
        });
        xml.items("associationSet", [table], |xml, table| {
            xml.text("routeTableAssociationId", own(state, "rtbassoc", table.region));
            xml.text("routeTableId", &table.id).text("main", true).node("associationState", |xml| {
                xml.text("state", "associated");
            });
        });
        xml.node("propagatingVgwSet", |_| {});
    })
}

/// `DescribeInternetGateways`.
pub(super) fn internet_gateways(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    answer(call, xml, (&GATEWAYS, "InternetGatewayId", &GATEWAY), |xml, state, gateway| {
        xml.text("internetGatewayId", &gateway.id).text("ownerId", state::account(state));
        xml.items("attachmentSet", [gateway], |xml, gateway| {
            xml.text("vpcId", vpc::id(state, gateway.region)).text("state", "available");
        });
    })
}

/// `DescribeNetworkAcls`: the default one, which lets everything through.
pub(super) fn access_lists(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    answer(call, xml, (&ACCESS_LISTS, "NetworkAclId", &ACCESS_LIST), |xml, state, list| {
        xml.text("networkAclId", &list.id).text("vpcId", vpc::id(state, list.region));
        xml.text("ownerId", state::account(state)).text("default", true);
        let entries = [(100, "allow", false), (32767, "deny", false), (100, "allow", true), (32767, "deny", true)];
        xml.items("entrySet", entries, |xml, (number, action, egress)| {
            xml.text("ruleNumber", number).text("protocol", "-1").text("ruleAction", action);
            xml.text("egress", egress).text("cidrBlock", EVERYWHERE);
        });
        xml.items("associationSet", vpc::subnets(state, list.region), |xml, subnet| {
            xml.text("networkAclAssociationId", ids::fixed("aclassoc", &subnet.id));
            xml.text("networkAclId", &list.id).text("subnetId", &subnet.id);
        });
    })
}

/// `DescribeDhcpOptions`.
pub(super) fn dhcp_options(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    answer(call, xml, (&DHCP_OPTIONS, "DhcpOptionsId", &OPTIONS), |xml, state, options| {
        xml.text("dhcpOptionsId", &options.id).text("ownerId", state::account(state));
        xml.items("dhcpConfigurationSet", dhcp(options.region), |xml, (key, value)| {
            xml.text("key", key).items("valueSet", [value], |xml, value| {
                xml.text("value", value);
            });
        });
    })
}

/// `DescribeVpcAttribute`.
pub(super) fn attribute(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let id = call.params.need("VpcId")?;
    let allowed = ["enableDnsHostnames", "enableDnsSupport", "enableNetworkAddressUsageMetrics"];
    let attribute = call.params.choice("Attribute", &allowed)?.ok_or_else(|| missing("Attribute"))?;
    if call.read(|state| vpc::id(state, call.region)) != id {
        return Err(VPC.absent(&[id]));
    }
    xml.text("vpcId", id).value(attribute, attribute != "enableNetworkAddressUsageMetrics");
    Ok(())
}
