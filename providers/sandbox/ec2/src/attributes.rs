//! Attributes and the console of one instance.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{
    call::Call,
    groups,
    instances::{write_device, write_groups},
    launch::ROOT_DEVICE,
    phase::Phase,
    reply::{invalid_value, refuse, unsupported},
    state::Instance,
    xml::Xml,
};
use crate::State;
use remint_sandbox_cloud::{ApiError, ApiResult, now};

/// `DescribeInstanceAttribute`.
pub(super) fn describe(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let id = call.params.need("InstanceId")?;
    let attribute = call.params.need("Attribute")?;
    call.read(|state| {
        let instance = one(state, call, id)?;
        xml.text("instanceId", id);
        let mut value = |value: &dyn std::fmt::Display| {
            xml.node(attribute, |xml| {
                xml.text("value", value);
            });
        };
        match attribute {
            "instanceType" => value(&instance.kind),
            "disableApiTermination" => value(&instance.protected),
            "disableApiStop" | "ebsOptimized" => value(&false),
            "enaSupport" => value(&true),
            "sourceDestCheck" => value(&instance.source_dest_check),
            "rootDeviceName" => value(&ROOT_DEVICE),
            "instanceInitiatedShutdownBehavior" => {
                value(&if instance.shutdown_terminates { "terminate" } else { "stop" });
            }
            // It may hold secrets, and is forgotten once the machine has it.
            "userData" | "kernel" | "ramdisk" | "sriovNetSupport" => {
                xml.node(attribute, |_| {});
            }
            "groupSet" => write_groups(xml, state, instance),
            "blockDeviceMapping" => {
                xml.items("blockDeviceMapping", [instance], write_device);
            }
            other => return Err(invalid_value(format!("Value ({other}) for parameter attribute is invalid."))),
        }
        Ok(())
    })
}

/// `ModifyInstanceAttribute`: one attribute of an instance.
pub(super) fn modify(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let (params, id) = (&call.params, call.params.need("InstanceId")?);
    // Either `InstanceType.Value=…` or `Attribute=instanceType&Value=…`.
    let sent = |capital: &str, small: &str| {
        let named = params.get("Attribute").filter(|attribute| *attribute == small).and_then(|_| params.get("Value"));
        params.get(&format!("{capital}.Value")).or(named)
    };
    let flag = |value: &str| match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(invalid_value(format!("Invalid value '{value}' for an attribute that is true or false."))),
    };
    call.change(|state| {
        let before = one(state, call, id)?.clone();
        let mut after = before.clone();
        let mut size = None;
        if let Some(kind) = sent("InstanceType", "instanceType") {
            let known = State::find_size(kind)
                .ok_or_else(|| invalid_value(format!("Invalid value '{kind}' for InstanceType.")))?;
            if before.phase(state) != Phase::Stopped {
                return Err(refuse(
                    "IncorrectInstanceState",
                    format!("The instance '{id}' is not in the 'stopped' state."),
                ));
            }
            kind.clone_into(&mut after.kind);
            size = Some(known);
        } else if let Some(value) = sent("DisableApiTermination", "disableApiTermination") {
            after.protected = flag(value)?;
        } else if let Some(value) = sent("SourceDestCheck", "sourceDestCheck") {
            after.source_dest_check = flag(value)?;
        } else if let Some(value) = sent("InstanceInitiatedShutdownBehavior", "instanceInitiatedShutdownBehavior") {
            after.shutdown_terminates = match value {
                "stop" => false,
                "terminate" => true,
                _ => {
                    return Err(invalid_value(format!(
                        "Invalid value '{value}' for InstanceInitiatedShutdownBehavior."
                    )));
                }
            };
        } else if !params.list("GroupId").is_empty() {
            let find = |group: &&str| groups::by_id(state, call.region, group).map(|group| group.id);
            after.groups = params.list("GroupId").iter().map(find).collect::<ApiResult<_>>()?;
        } else if let Some(value) = sent("EnaSupport", "enaSupport").or(sent("EbsOptimized", "ebsOptimized")) {
            flag(value)?;
        } else {
            return Err(unsupported("this change of an instance's attributes"));
        }
        if let Some(size) = size {
            state.resize_stopped(call.config(), before.machine, size);
        }
        state.own.instances.insert(id.to_owned(), after);
        Ok(())
    })?;
    xml.text("return", true);
    Ok(())
}

/// `ModifyInstanceMetadataOptions`.
pub(super) fn modify_metadata(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let id = call.params.need("InstanceId")?;
    let sent = call.params.under("MetadataOptions");
    let options = call.change(|state| {
        let before = one(state, call, id)?.metadata.clone();
        let after = super::launch::metadata(&sent, before)?;
        if let Some(instance) = state.own.instances.get_mut(id) {
            instance.metadata = after.clone();
        }
        Ok(after)
    })?;
    xml.text("instanceId", id).node("instanceMetadataOptions", |xml| {
        xml.text("state", "pending")
            .text("httpTokens", options.tokens)
            .text("httpPutResponseHopLimit", options.hop_limit)
            .text("httpEndpoint", options.endpoint)
            .text("instanceMetadataTags", options.tags);
    });
    Ok(())
}

/// `GetConsoleOutput`: the last 64 KiB.
pub(super) async fn console(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let id = call.params.need("InstanceId")?;
    let (machine, phase) = call.read(|state| {
        let instance = one(state, call, id)?;
        Ok::<_, ApiError>((instance.machine, instance.phase(state)))
    })?;
    let output = match phase {
        // Not there yet, or not any more.
        Phase::Pending | Phase::Terminated => None,
        _ => call.cloud.hypervisor().console(machine).await.ok(),
    };
    xml.text("instanceId", id).time("timestamp", now()).maybe("output", output.map(|text| STANDARD.encode(text)));
    Ok(())
}

fn one<'a>(state: &'a State, call: &'a Call<'_>, id: &str) -> ApiResult<&'a Instance> {
    let found = state.own.named(call.config(), call.region, &[id])?;
    found.into_iter().next().ok_or_else(|| refuse("InvalidInstanceID.NotFound", format!("no instance {id}")))
}
