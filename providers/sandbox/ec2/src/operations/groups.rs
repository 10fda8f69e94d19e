//! Security groups. Their rules are kept and shown, and do nothing: all machines are on this machine's loopback.

use crate::{
    State,
    call::Call,
    elbv2,
    group::{all, by_id, by_name, open_to_all},
    ids,
    kinds::{GROUP, GROUP_RULE, VPC},
    list::{List, keep, keep_named, one},
    query::Params,
    reply::{done, invalid_value, missing, refuse, unsupported},
    state::{self, Group, Rule, Source},
    tags, vpc,
    xml::Xml,
};
use remint_sandbox_cloud::ApiResult;

const LIST: List<Group> = List {
    element: "securityGroupInfo",
    least: Some(5),
    tags: |state, group| state.own.tags_of(&group.id),
    fields: &[
        ("description", |_, group| one(&group.description)),
        ("group-id", |_, group| one(&group.id)),
        ("group-name", |_, group| one(&group.name)),
        ("ip-permission.cidr", |_, group| of_rules(group, false, |rule| rule.cidr())),
        ("ip-permission.from-port", |_, group| of_rules(group, false, |rule| rule.from.map(|port| port.to_string()))),
        ("ip-permission.to-port", |_, group| of_rules(group, false, |rule| rule.to.map(|port| port.to_string()))),
        ("ip-permission.protocol", |_, group| of_rules(group, false, |rule| Some(rule.protocol.clone()))),
        ("ip-permission.group-id", |_, group| of_rules(group, false, |rule| rule.group())),
        ("egress.ip-permission.cidr", |_, group| of_rules(group, true, |rule| rule.cidr())),
        ("egress.ip-permission.from-port", |_, group| {
            of_rules(group, true, |rule| rule.from.map(|port| port.to_string()))
        }),
        ("egress.ip-permission.to-port", |_, group| of_rules(group, true, |rule| rule.to.map(|port| port.to_string()))),
        ("egress.ip-permission.protocol", |_, group| of_rules(group, true, |rule| Some(rule.protocol.clone()))),
        ("egress.ip-permission.group-id", |_, group| of_rules(group, true, |rule| rule.group())),
        ("owner-id", |state, _| one(state::account(state))),
        ("vpc-id", |_, group| one(&group.vpc)),
    ],
};

/// What a group's rules of one direction have of something.
fn of_rules(group: &Group, egress: bool, held: fn(&Rule) -> Option<String>) -> Vec<String> {
    group.rules.iter().filter(|rule| rule.egress == egress).filter_map(held).collect()
}

impl Rule {
    fn cidr(&self) -> Option<String> {
        if let Source::Ipv4(cidr) = &self.source { Some(cidr.clone()) } else { None }
    }

    fn group(&self) -> Option<String> {
        if let Source::Group(id) = &self.source { Some(id.clone()) } else { None }
    }
}

/// Of the ids of groups, and their rules.
const RULES: List<(String, Rule)> = List {
    element: "securityGroupRuleSet",
    least: Some(5),
    tags: |state, (_, rule)| state.own.tags_of(&rule.id),
    fields: &[("group-id", |_, (group, _)| one(group)), ("security-group-rule-id", |_, (_, rule)| one(&rule.id))],
};

/// `CreateSecurityGroup`.
pub(super) fn create(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let params = &call.params;
    let (name, description) = (params.need("GroupName")?.to_owned(), params.need("GroupDescription")?.to_owned());
    let good = |c: char| c.is_ascii_alphanumeric() || " ._-:/()#,@[]+=&;{}!$*".contains(c);
    if name.starts_with("sg-") || name.len() > 255 || !name.chars().all(good) || !description.chars().all(good) {
        return Err(invalid_value(format!("Value ({name}) for parameter GroupName is invalid.")));
    }
    let given = tags::given(params, "security-group")?;
    let id = call.change(|state| {
        let vpc = vpc::id(state, call.region);
        if let Some(other) = params.get("VpcId").filter(|id| *id != vpc) {
            return Err(VPC.absent(&[other]));
        }
        if all(state, call.region).iter().any(|group| group.name == name) {
            let message = format!("The security group '{name}' already exists for VPC '{vpc}'");
            return Err(refuse("InvalidGroup.Duplicate", message));
        }
        let id = ids::fresh("sg");
        let rules = vec![open_to_all(&id, true)];
        let group = Group { id: id.clone(), region: call.region.to_owned(), name, description, vpc, rules };
        state.own.tag(&id, given);
        state.own.groups.insert(id.clone(), group);
        Ok(id)
    })?;
    xml.text("return", true).text("groupId", &id);
    call.read(|state| tags::write(xml, state, &id));
    Ok(())
}

/// `DeleteSecurityGroup`: not while an instance or a load balancer is in it.
pub(super) fn delete(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let id = call.change(|state| {
        let group = named(state, call)?;
        if group.name == "default" {
            let message =
                format!("the specified group: \"{}\" name: \"default\" cannot be deleted by a user", group.id);
            return Err(refuse("CannotDelete", message));
        }
        let used = state.own.standing(state, call.region).any(|instance| instance.groups.contains(&group.id));
        let named_elsewhere = all(state, call.region).iter().any(|other| {
            other.id != group.id && other.rules.iter().any(|rule| rule.source == Source::Group(group.id.clone()))
        });
        if used || named_elsewhere || elbv2::uses_group(state, &group.id) {
            return Err(refuse("DependencyViolation", format!("resource {} has a dependent object", group.id)));
        }
        state.own.groups.remove(&group.id);
        state.own.tags.remove(&group.id);
        Ok(group.id)
    })?;
    xml.text("return", true).text("groupId", id);
    Ok(())
}

/// `DescribeSecurityGroups`.
pub(super) fn describe(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    call.read(|state| {
        let mut found = all(state, call.region);
        keep_named(&call.params, "GroupId", &GROUP, &mut found, |group| &group.id)?;
        keep(
            &call.params,
            "GroupName",
            &mut found,
            |group| group.name.clone(),
            |names| GROUP.unknown(&names.join(", ")),
        )?;
        let account = state::account(state);
        LIST.answer(call, state, found, xml, |xml, group| {
            xml.text("ownerId", &account).text("groupId", &group.id).text("groupName", &group.name);
            xml.text("groupDescription", &group.description).text("vpcId", &group.vpc);
            for (name, egress) in [("ipPermissions", false), ("ipPermissionsEgress", true)] {
                write_permissions(xml, name, &account, group.rules.iter().filter(|rule| rule.egress == egress));
            }
            tags::write(xml, state, &group.id);
        })
    })
}

/// `AuthorizeSecurityGroupIngress` and `…Egress`.
pub(super) fn authorize(call: &Call<'_>, xml: &mut Xml, egress: bool) -> ApiResult<()> {
    let given = tags::given(&call.params, "security-group-rule")?;
    let (group, added) = call.change(|state| {
        let mut group = named(state, call)?;
        let rules = rules(state, &call.params, egress)?;
        if let Some(rule) = rules.iter().find(|rule| group.rules.iter().any(|known| same(known, rule))) {
            let message =
                format!("the specified rule \"peer: {}, {}\" already exists", rule.source.text(), rule.protocol);
            return Err(refuse("InvalidPermission.Duplicate", message));
        }
        group.rules.extend(rules.iter().cloned());
        state.own.groups.insert(group.id.clone(), group.clone());
        rules.iter().for_each(|rule| state.own.tag(&rule.id, given.clone()));
        Ok((group.id, rules))
    })?;
    xml.text("return", true);
    call.read(|state| {
        xml.items(RULES.element, added, |xml, rule| write_rule(xml, state, &group, &rule));
    });
    Ok(())
}

/// `DescribeSecurityGroupRules`.
pub(super) fn describe_rules(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    call.read(|state| {
        let of = |group: Group| group.rules.into_iter().map(move |rule| (group.id.clone(), rule));
        let mut found: Vec<(String, Rule)> = all(state, call.region).into_iter().flat_map(of).collect();
        keep_named(&call.params, "SecurityGroupRuleId", &GROUP_RULE, &mut found, |(_, rule)| &rule.id)?;
        RULES.answer(call, state, found, xml, |xml, (group, rule)| write_rule(xml, state, group, rule))
    })
}

fn write_rule(xml: &mut Xml, state: &State, group: &str, rule: &Rule) {
    let account = state::account(state);
    xml.text("securityGroupRuleId", &rule.id).text("groupId", group).text("groupOwnerId", &account);
    xml.text("isEgress", rule.egress).text("ipProtocol", &rule.protocol);
    xml.text("fromPort", rule.from.unwrap_or(-1)).text("toPort", rule.to.unwrap_or(-1));
    match &rule.source {
        Source::Ipv4(cidr) => xml.text("cidrIpv4", cidr),
        Source::Ipv6(cidr) => xml.text("cidrIpv6", cidr),
        Source::PrefixList(id) => xml.text("prefixListId", id),
        Source::Group(id) => xml.node("referencedGroupInfo", |xml| {
            xml.text("groupId", id).text("userId", &account);
        }),
    };
    xml.maybe("description", rule.description.as_ref());
    tags::write(xml, state, &rule.id);
}

/// `RevokeSecurityGroupIngress` and `…Egress`.
pub(super) fn revoke(call: &Call<'_>, xml: &mut Xml, egress: bool) -> ApiResult<()> {
    call.change(|state| {
        let mut group = named(state, call)?;
        let ids = call.params.list("SecurityGroupRuleId");
        let doomed = if ids.is_empty() { rules(state, &call.params, egress)? } else { Vec::new() };
        let goes = |rule: &Rule| {
            rule.egress == egress && (ids.contains(&rule.id.as_str()) || doomed.iter().any(|other| same(rule, other)))
        };
        let (gone, left): (Vec<Rule>, Vec<Rule>) = group.rules.into_iter().partition(goes);
        if gone.len() < ids.len().max(doomed.len()) {
            let message = "The specified rule does not exist in this security group.";
            return Err(refuse("InvalidPermission.NotFound", message));
        }
        group.rules = left;
        gone.iter().for_each(|rule| drop(state.own.tags.remove(&rule.id)));
        state.own.groups.insert(group.id.clone(), group);
        Ok(())
    })?;
    done(xml)
}

/// The group that a call names.
fn named(state: &State, call: &Call<'_>) -> ApiResult<Group> {
    match (call.params.get("GroupId"), call.params.get("GroupName")) {
        (Some(id), _) => by_id(state, call.region, id),
        (None, Some(name)) => by_name(state, call.region, name),
        (None, None) => Err(missing("GroupId")),
    }
}

fn same(one: &Rule, other: &Rule) -> bool {
    (one.egress, &one.protocol, one.from, one.to, &one.source)
        == (other.egress, &other.protocol, other.from, other.to, &other.source)
}

/// The rules of `IpPermissions.N`, or of the older parameters beside it: one for each source.
fn rules(state: &State, params: &Params, egress: bool) -> ApiResult<Vec<Rule>> {
    let mut permissions = params.groups("IpPermissions");
    if permissions.is_empty() {
        permissions.push(params.clone());
    }
    let mut rules = Vec::new();
    for permission in permissions {
        let protocol = match permission.need("IpProtocol")? {
            "tcp" | "6" => "tcp",
            "udp" | "17" => "udp",
            "icmp" | "1" => "icmp",
            "icmpv6" | "58" => "icmpv6",
            "-1" => "-1",
            other => return Err(invalid_value(format!("Invalid value '{other}' for IP protocol."))),
        };
        let port = |name: &str| match permission.get(name) {
            Some(text) if protocol != "-1" => text
                .parse::<i64>()
                .ok()
                .filter(|port| (-1..=65535).contains(port))
                .map(Some)
                .ok_or_else(|| invalid_value(format!("Invalid value '{text}' for port. Must be 0 to 65535."))),
            None if matches!(protocol, "tcp" | "udp") => Err(missing(name)),
            _ => Ok(None),
        };
        let (from, to) = (port("FromPort")?, port("ToPort")?);
        if matches!(protocol, "tcp" | "udp") && from > to {
            return Err(invalid_value(format!("Invalid TCP port range ({from:?}:{to:?})")));
        }
        let mut sources: Vec<(Source, Option<String>)> = Vec::new();
        let described = |range: &Params| range.get("Description").map(str::to_owned);
        for range in permission.groups("IpRanges") {
            sources.push((Source::Ipv4(cidr(range.need("CidrIp")?)?), described(&range)));
        }
        for range in permission.groups("Ipv6Ranges") {
            sources.push((Source::Ipv6(range.need("CidrIpv6")?.to_owned()), described(&range)));
        }
        for pair in permission.groups("Groups") {
            if pair.get("UserId").is_some_and(|id| id != state::account(state)) {
                return Err(unsupported("groups of other accounts"));
            }
            sources.push((Source::Group(pair.need("GroupId")?.to_owned()), described(&pair)));
        }
        for list in permission.groups("PrefixListIds") {
            sources.push((Source::PrefixList(list.need("PrefixListId")?.to_owned()), described(&list)));
        }
        if let Some(range) = permission.get("CidrIp") {
            sources.push((Source::Ipv4(cidr(range)?), None));
        }
        if sources.is_empty() {
            return Err(missing("CidrIp"));
        }
        rules.extend(sources.into_iter().map(|(source, description)| Rule {
            id: ids::fresh("sgr"),
            egress,
            protocol: protocol.to_owned(),
            from,
            to,
            source,
            description,
        }));
    }
    Ok(rules)
}

fn cidr(text: &str) -> ApiResult<String> {
    let valid = text.split_once('/').is_some_and(|(ip, bits)| {
        ip.parse::<std::net::Ipv4Addr>().is_ok() && bits.parse::<u8>().is_ok_and(|bits| bits <= 32)
    });
    if valid { Ok(text.to_owned()) } else { Err(invalid_value(format!("CIDR block {text} is malformed"))) }
}

impl Source {
    fn text(&self) -> &str {
        match self {
            Self::Ipv4(text) | Self::Ipv6(text) | Self::Group(text) | Self::PrefixList(text) => text,
        }
    }
}

/// Rules as permissions: those of one protocol and range of ports together.
fn write_permissions<'a>(xml: &mut Xml, name: &str, account: &str, rules: impl Iterator<Item = &'a Rule>) {
    let mut permissions: Vec<Vec<&Rule>> = Vec::new();
    for rule in rules {
        let key = |rule: &Rule| (rule.protocol.clone(), rule.from, rule.to);
        match permissions.iter_mut().find(|group| key(group[0]) == key(rule)) {
            Some(group) => group.push(rule),
            None => permissions.push(vec![rule]),
        }
    }
    xml.items(name, permissions, |xml, group| {
        let first = group[0];
        xml.text("ipProtocol", &first.protocol).maybe("fromPort", first.from).maybe("toPort", first.to);
        let mut list = |name: &str, field: &str, take: fn(&Source) -> Option<&String>| {
            let taken = group.iter().filter_map(|rule| Some((*rule, take(&rule.source)?)));
            xml.items(name, taken, |xml, (rule, value)| {
                if field == "groupId" {
                    xml.text("userId", account);
                }
                xml.text(field, value).maybe("description", rule.description.as_ref());
            });
        };
        list("groups", "groupId", |source| if let Source::Group(id) = source { Some(id) } else { None });
        list("ipRanges", "cidrIp", |source| if let Source::Ipv4(cidr) = source { Some(cidr) } else { None });
        list("ipv6Ranges", "cidrIpv6", |source| if let Source::Ipv6(cidr) = source { Some(cidr) } else { None });
        list("prefixListIds", "prefixListId", |s| if let Source::PrefixList(id) = s { Some(id) } else { None });
    });
}
