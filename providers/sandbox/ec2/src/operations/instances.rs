//! Describing instances.

use crate::{
    State,
    call::Call,
    group, ids,
    instance::Phase,
    list::{List, keep, maybe, one},
    reply::{missing, refuse},
    state::{self, Instance, ROOT_DEVICE},
    view, vpc,
    xml::{Xml, stamp},
};
use remint_sandbox_cloud::ApiResult;

const LIST: List<Instance> = List {
    element: "reservationSet",
    least: Some(5),
    tags: |state, instance| state.own.tags_of(&instance.id),
    fields: &[
        ("architecture", |_, _| one("x86_64")),
        ("availability-zone", |_, instance| one(&instance.zone)),
        ("availability-zone-id", |_, instance| one(vpc::zone_id(&instance.zone))),
        ("block-device-mapping.attach-time", |state, instance| there(state, instance, stamp(instance.launched_at))),
        ("block-device-mapping.delete-on-termination", |state, instance| {
            there(state, instance, instance.volume.delete_on_termination)
        }),
        ("block-device-mapping.device-name", |state, instance| there(state, instance, ROOT_DEVICE)),
        ("block-device-mapping.status", |state, instance| there(state, instance, "attached")),
        ("block-device-mapping.volume-id", |state, instance| there(state, instance, &instance.volume.id)),
        ("client-token", |_, instance| maybe(instance.token.as_ref())),
        ("dns-name", |_, _| Vec::new()),
        ("ebs-optimized", |_, instance| one(instance.ebs_optimized)),
        ("ena-support", |_, _| one(true)),
        ("hypervisor", |_, _| one("xen")),
        ("iam-instance-profile.arn", |state, instance| maybe(instance.profile_arn(state))),
        ("image-id", |_, instance| one(&instance.image)),
        ("instance-id", |_, instance| one(&instance.id)),
        ("instance-lifecycle", |_, instance| maybe(instance.spot.then_some("spot"))),
        ("instance-state-code", |state, instance| one(instance.phase(state).code())),
        ("instance-state-name", |state, instance| one(instance.phase(state).name())),
        ("instance-type", |_, instance| one(&instance.kind)),
        ("instance.group-id", |_, instance| instance.groups.clone()),
        ("instance.group-name", |state, instance| group_names(state, instance)),
        ("ip-address", |state, instance| maybe(instance.public_ip(state))),
        ("key-name", |_, instance| maybe(instance.key_name.as_ref())),
        ("launch-index", |_, instance| one(instance.index)),
        ("launch-time", |_, instance| one(stamp(instance.launched_at))),
        ("metadata-options.http-endpoint", |_, instance| one(&instance.metadata.endpoint)),
        ("metadata-options.http-put-response-hop-limit", |_, instance| one(instance.metadata.hop_limit)),
        ("metadata-options.instance-metadata-tags", |_, instance| one(&instance.metadata.tags)),
        ("metadata-options.state", |_, _| one("applied")),
        ("monitoring-state", |_, instance| one(if instance.monitored { "enabled" } else { "disabled" })),
        ("metadata-options.http-tokens", |_, instance| one(&instance.metadata.tokens)),
        ("network-interface.addresses.association.public-ip", |state, instance| maybe(instance.public_ip(state))),
        ("network-interface.addresses.private-ip-address", |state, instance| {
            there(state, instance, instance.private_ip)
        }),
        ("network-interface.association.public-ip", |state, instance| maybe(instance.public_ip(state))),
        ("network-interface.attachment.attachment-id", |state, instance| there(state, instance, &instance.attachment)),
        ("network-interface.attachment.device-index", |state, instance| there(state, instance, 0)),
        ("network-interface.attachment.instance-id", |state, instance| there(state, instance, &instance.id)),
        ("network-interface.attachment.status", |state, instance| there(state, instance, "attached")),
        ("network-interface.availability-zone", |state, instance| there(state, instance, &instance.zone)),
        ("network-interface.group-id", |_, instance| instance.groups.clone()),
        ("network-interface.group-name", |state, instance| group_names(state, instance)),
        ("network-interface.owner-id", |state, instance| there(state, instance, state::account(state))),
        ("network-interface.private-dns-name", |state, instance| there(state, instance, instance.private_dns())),
        ("network-interface.private-ip-address", |state, instance| there(state, instance, instance.private_ip)),
        ("network-interface.source-dest-check", |state, instance| there(state, instance, instance.source_dest_check)),
        ("network-interface.status", |state, instance| there(state, instance, "in-use")),
        ("network-interface.network-interface-id", |state, instance| there(state, instance, &instance.interface)),
        ("network-interface.subnet-id", |state, instance| there(state, instance, instance.subnet(state))),
        ("network-interface.vpc-id", |state, instance| there(state, instance, instance.vpc(state))),
        ("owner-id", |state, _| one(state::account(state))),
        ("placement-group-name", |_, _| Vec::new()),
        ("platform", |_, _| Vec::new()),
        ("platform-details", |_, _| one("Linux/UNIX")),
        ("private-dns-name", |state, instance| there(state, instance, instance.private_dns())),
        ("product-code", |_, _| Vec::new()),
        ("private-ip-address", |state, instance| there(state, instance, instance.private_ip)),
        ("reservation-id", |_, instance| one(&instance.reservation)),
        ("root-device-name", |_, _| one(ROOT_DEVICE)),
        ("source-dest-check", |state, instance| there(state, instance, instance.source_dest_check)),
        ("state-reason-code", |_, instance| maybe(instance.reason.as_ref().map(|(code, _)| code))),
        ("tenancy", |_, _| one("default")),
        ("usage-operation", |_, _| one("RunInstances")),
        ("root-device-type", |_, _| one("ebs")),
        ("subnet-id", |state, instance| there(state, instance, instance.subnet(state))),
        ("virtualization-type", |_, _| one("hvm")),
        ("vpc-id", |state, instance| there(state, instance, instance.vpc(state))),
    ],
};

const STATUS: List<Instance> = List {
    element: "instanceStatusSet",
    least: Some(5),
    tags: LIST.tags,
    fields: &[
        ("availability-zone", |_, instance| one(&instance.zone)),
        ("availability-zone-id", |_, instance| one(vpc::zone_id(&instance.zone))),
        ("event.code", |_, _| Vec::new()),
        ("instance-state-code", |state, instance| one(instance.phase(state).code())),
        ("instance-state-name", |state, instance| one(instance.phase(state).name())),
        ("instance-status.reachability", |state, instance| maybe(is_running(state, instance).then_some("passed"))),
        ("instance-status.status", |state, instance| one(health(state, instance))),
        ("system-status.reachability", |state, instance| maybe(is_running(state, instance).then_some("passed"))),
        ("system-status.status", |state, instance| one(health(state, instance))),
    ],
};

const CREDITS: List<Instance> = List {
    element: "instanceCreditSpecificationSet",
    least: Some(5),
    tags: LIST.tags,
    fields: &[("instance-id", |_, instance| one(&instance.id))],
};

const PROFILES: List<Instance> = List {
    element: "iamInstanceProfileAssociationSet",
    least: Some(5),
    tags: LIST.tags,
    fields: &[("instance-id", |_, instance| one(&instance.id)), ("state", |_, _| one("associated"))],
};

fn is_running(state: &State, instance: &Instance) -> bool {
    instance.phase(state) == Phase::Running
}

fn health(state: &State, instance: &Instance) -> &'static str {
    if is_running(state, instance) { "ok" } else { "not-applicable" }
}

fn group_names(state: &State, instance: &Instance) -> Vec<String> {
    let all = group::all(state, &instance.region).into_iter();
    all.filter(|group| instance.groups.contains(&group.id)).map(|group| group.name).collect()
}

/// What an instance has until it is gone.
fn there(state: &State, instance: &Instance, value: impl ToString) -> Vec<String> {
    maybe((instance.phase(state) != Phase::Terminated).then_some(value))
}

/// `DescribeInstances`.
pub(super) fn describe(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    if !call.params.list("InstanceId").is_empty() && call.params.get("MaxResults").is_some() {
        let message = "The parameter instancesSet cannot be used with the parameter maxResults";
        return Err(refuse("InvalidParameterCombination", message));
    }
    call.read(|state| {
        let (shown, next) = LIST.page(call, state, asked_for(state, call)?)?;
        let mut reservations: Vec<Vec<&Instance>> = Vec::new();
        for instance in shown {
            match reservations.iter_mut().find(|group| group[0].reservation == instance.reservation) {
                Some(group) => group.push(instance),
                None => reservations.push(vec![instance]),
            }
        }
        xml.items(LIST.element, &reservations, |xml, group| view::reservation(xml, state, group));
        xml.maybe("nextToken", next);
        Ok(())
    })
}

/// `DescribeInstanceStatus`: running instances, or all with `IncludeAllInstances`.
pub(super) fn status(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let all = call.params.flag("IncludeAllInstances")?;
    call.read(|state| {
        let mut found = asked_for(state, call)?;
        found.retain(|instance| all || is_running(state, instance));
        STATUS.answer(call, state, found, xml, |xml, instance| {
            xml.text("instanceId", &instance.id).text("availabilityZone", &instance.zone);
            view::phase(xml, "instanceState", instance.phase(state));
            for name in ["systemStatus", "instanceStatus"] {
                xml.node(name, |xml| {
                    xml.text("status", health(state, instance));
                    if is_running(state, instance) {
                        xml.items("details", ["reachability"], |xml, name| {
                            xml.text("name", name).text("status", "passed");
                        });
                    }
                });
            }
        })
    })
}

/// The instances that a call names, or all.
fn asked_for<'a>(state: &'a State, call: &Call<'_>) -> ApiResult<Vec<&'a Instance>> {
    let named = call.params.list("InstanceId");
    match named.is_empty() {
        true => Ok(state.own.visible(call.config(), call.region)),
        false => state.own.named(call.config(), call.region, &named),
    }
}

/// `DescribeInstanceCreditSpecifications`: where none is named, of those that are unlimited.
pub(super) fn credits(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let credits = |instance: &Instance| instance.credits.clone().unwrap_or_else(|| "unlimited".to_owned());
    call.read(|state| {
        let mut all = asked_for(state, call)?;
        if call.params.list("InstanceId").is_empty() {
            all.retain(|instance| instance.phase(state) != Phase::Terminated && credits(instance) == "unlimited");
        }
        CREDITS.answer(call, state, all, xml, |xml, instance| {
            xml.text("instanceId", &instance.id).text("cpuCredits", credits(instance));
        })
    })
}

/// `ModifyInstanceCreditSpecification`.
pub(super) fn modify_credits(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let mut wanted = Vec::new();
    for one in call.params.groups("InstanceCreditSpecification") {
        let credits = one.choice("CpuCredits", &["standard", "unlimited"])?.ok_or_else(|| missing("CpuCredits"))?;
        wanted.push((one.need("InstanceId")?.to_owned(), credits.to_owned()));
    }
    call.change(|state| {
        let named: Vec<&str> = wanted.iter().map(|(id, _)| id.as_str()).collect();
        state.own.named(call.config(), call.region, &named)?;
        for (id, credits) in &wanted {
            if let Some(instance) = state.own.instances.get_mut(id) {
                instance.credits = Some(credits.clone());
            }
        }
        Ok(())
    })?;
    xml.items("successfulInstanceCreditSpecificationSet", wanted, |xml, (id, _)| {
        xml.text("instanceId", id);
    });
    xml.node("unsuccessfulInstanceCreditSpecificationSet", |_| {});
    Ok(())
}

/// `DescribeIamInstanceProfileAssociations`.
pub(super) fn profiles(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let id = |instance: &Instance| ids::fixed("iip-assoc", &instance.id);
    call.read(|state| {
        let all = state.own.standing(state, call.region);
        let mut all: Vec<&Instance> = all.filter(|instance| instance.profile.is_some()).collect();
        keep(
            &call.params,
            "AssociationId",
            &mut all,
            |instance| id(instance),
            |others| {
                refuse("NoSuchAssociation", format!("An invalid association-id of '{}' was given", others.join(", ")))
            },
        )?;
        PROFILES.answer(call, state, all, xml, |xml, instance| {
            xml.text("associationId", id(instance)).text("instanceId", &instance.id);
            view::profile(xml, state, instance);
            xml.text("state", "associated");
        })
    })
}
