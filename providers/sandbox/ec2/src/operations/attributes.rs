//! Attributes and the console of one instance.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{
    State,
    call::Call,
    group,
    instance::Phase,
    reply::{done, not_a, refuse, unsupported},
    state::ROOT_DEVICE,
    view,
    xml::Xml,
};
use remint_sandbox_cloud::{ApiError, ApiResult, now};

/// `DescribeInstanceAttribute`.
pub(super) fn describe(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let id = call.params.need("InstanceId")?;
    let attribute = call.params.need("Attribute")?;
    call.read(|state| {
        let instance = state.own.one(call.config(), call.region, id)?;
        xml.text("instanceId", id);
        match attribute {
            "instanceType" => xml.value(attribute, &instance.kind),
            "disableApiTermination" => xml.value(attribute, instance.protected),
            "disableApiStop" => xml.value(attribute, instance.stop_protected),
            "ebsOptimized" => xml.value(attribute, instance.ebs_optimized),
            "enaSupport" => xml.value(attribute, true),
            "sourceDestCheck" => xml.value(attribute, instance.source_dest_check),
            "rootDeviceName" => xml.value(attribute, ROOT_DEVICE),
            "instanceInitiatedShutdownBehavior" => {
                xml.value(attribute, if instance.shutdown_terminates { "terminate" } else { "stop" })
            }
            // It may hold secrets, and is forgotten once the machine has it.
            "userData" | "kernel" | "ramdisk" | "sriovNetSupport" | "productCodes" => xml.node(attribute, |_| {}),
            "enclaveOptions" => xml.node(attribute, |xml| {
                xml.text("enabled", false);
            }),
            "groupSet" => view::groups(xml, state, instance),
            "blockDeviceMapping" => xml.items(attribute, [instance], view::device),
            other => return Err(not_a(other, "Attribute")),
        };
        Ok(())
    })
}

/// `ModifyInstanceAttribute`: one attribute of an instance.
pub(super) fn modify(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let (id, groups) = (call.params.need("InstanceId")?, call.params.list("GroupId"));
    let set = call.params.attributes();
    if set.len() + usize::from(!groups.is_empty()) > 1 {
        return Err(refuse("InvalidParameterCombination", "Fields for multiple attribute types specified"));
    }
    call.change(|state| {
        let before = state.own.one(call.config(), call.region, id)?;
        let mut after = before.clone();
        let mut size = None;
        if let Some(kind) = set.get("InstanceType") {
            size = Some(State::find_size(kind).ok_or_else(|| not_a(kind, "InstanceType"))?);
            if before.phase(state) != Phase::Stopped {
                let message = format!("The instance '{id}' is not in the 'stopped' state.");
                return Err(refuse("IncorrectInstanceState", message));
            }
            kind.clone_into(&mut after.kind);
        } else if let Some(protected) = set.maybe_flag("DisableApiTermination")? {
            after.protected = protected;
        } else if let Some(protected) = set.maybe_flag("DisableApiStop")? {
            after.stop_protected = protected;
        } else if let Some(optimized) = set.maybe_flag("EbsOptimized")? {
            after.ebs_optimized = optimized;
        } else if let Some(check) = set.maybe_flag("SourceDestCheck")? {
            after.source_dest_check = check;
        } else if let Some(does) = set.choice("InstanceInitiatedShutdownBehavior", &["stop", "terminate"])? {
            after.shutdown_terminates = does == "terminate";
        } else if !groups.is_empty() {
            let find = |id: &&str| group::by_id(state, call.region, id).map(|group| group.id);
            after.groups = groups.iter().map(find).collect::<ApiResult<_>>()?;
        } else if set.maybe_flag("EnaSupport")? != Some(true) {
            return Err(unsupported("this change of an instance's attributes"));
        }
        if let Some(size) = size {
            state.resize_stopped(call.config(), after.machine, size);
        }
        state.own.instances.insert(id.to_owned(), after);
        Ok(())
    })?;
    done(xml)
}

/// `ModifyInstanceMetadataOptions`.
pub(super) fn modify_metadata(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let id = call.params.need("InstanceId")?;
    let options = call.change(|state| {
        let before = state.own.one(call.config(), call.region, id)?.metadata.clone();
        let after = before.with(&call.params)?;
        if let Some(instance) = state.own.instances.get_mut(id) {
            instance.metadata = after.clone();
        }
        Ok(after)
    })?;
    xml.text("instanceId", id);
    view::metadata(xml, "instanceMetadataOptions", "pending", &options);
    Ok(())
}

/// `GetConsoleOutput`: the last 64 KiB.
pub(super) async fn console(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let id = call.params.need("InstanceId")?;
    let (machine, phase) = call.read(|state| {
        let instance = state.own.one(call.config(), call.region, id)?;
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

/// `GetPasswordData`: no instance runs Windows.
pub(super) fn password(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let id = call.params.need("InstanceId")?;
    call.read(|state| state.own.one(call.config(), call.region, id).map(drop))?;
    xml.text("instanceId", id).time("timestamp", now()).text("passwordData", "");
    Ok(())
}

/// `GetInstanceUefiData`: refused as for an instance that boots in another way.
pub(super) fn uefi_data(call: &Call<'_>, _: &mut Xml) -> ApiResult<()> {
    let id = call.params.need("InstanceId")?;
    call.read(|state| state.own.one(call.config(), call.region, id).map(drop))?;
    Err(unsupported("the UEFI variables of instances"))
}
