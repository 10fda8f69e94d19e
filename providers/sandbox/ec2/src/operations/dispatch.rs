//! Which operation is answered where.

use super::{
    addresses, attributes, groups, images, instances, key_pairs, launch, network, offers, power, snapshots, tags,
};
use crate::{
    call::Call,
    reply::{refuse, unknown_action},
    xml::Xml,
};
use remint_sandbox_cloud::ApiResult;

/// Answers a call of EC2's.
///
/// # Errors
///
/// `InvalidAction` for what the sandbox does not have; else what the operation refuses.
pub(crate) async fn answer(call: &Call<'_>, operation: &str, xml: &mut Xml) -> ApiResult<()> {
    match operation {
        "" => Err(refuse("MissingAction", "The request must contain the parameter Action")),
        "RunInstances" => launch::run(call, xml),
        "DescribeInstances" => instances::describe(call, xml),
        "DescribeInstanceStatus" => instances::status(call, xml),
        "StartInstances" => power::start(call, xml),
        "StopInstances" => power::stop(call, xml),
        "RebootInstances" => power::reboot(call, xml),
        "TerminateInstances" => power::terminate(call, xml),
        "DescribeInstanceAttribute" => attributes::describe(call, xml),
        "ModifyInstanceAttribute" => attributes::modify(call, xml),
        "ModifyInstanceMetadataOptions" => attributes::modify_metadata(call, xml),
        "GetConsoleOutput" => attributes::console(call, xml).await,
        "CreateImage" => images::create(call, xml),
        "CopyImage" => images::copy(call, xml),
        "DeregisterImage" => images::deregister(call, xml).await,
        "DescribeImages" => {
            call.cloud.refresh_images().await;
            images::describe(call, xml)
        }
        "DescribeImageAttribute" => images::describe_attribute(call, xml),
        "ModifyImageAttribute" => images::modify_attribute(call, xml),
        "DescribeSnapshots" => snapshots::describe(call, xml),
        "CreateSnapshot" => snapshots::create(call, xml),
        "DeleteSnapshot" => snapshots::delete(call, xml).await,
        "ModifySnapshotAttribute" => snapshots::modify_attribute(call, xml),
        "AllocateAddress" => addresses::allocate(call, xml),
        "DescribeAddresses" => addresses::describe(call, xml),
        "AssociateAddress" => addresses::associate(call, xml).await,
        "DisassociateAddress" => addresses::disassociate(call, xml).await,
        "ReleaseAddress" => addresses::release(call, xml).await,
        "CreateKeyPair" => key_pairs::create(call, xml).await,
        "ImportKeyPair" => key_pairs::import(call, xml),
        "DescribeKeyPairs" => key_pairs::describe(call, xml),
        "DeleteKeyPair" => key_pairs::delete(call, xml),
        "CreateSecurityGroup" => groups::create(call, xml),
        "DeleteSecurityGroup" => groups::delete(call, xml),
        "DescribeSecurityGroups" => groups::describe(call, xml),
        "AuthorizeSecurityGroupIngress" => groups::authorize(call, xml, false),
        "AuthorizeSecurityGroupEgress" => groups::authorize(call, xml, true),
        "RevokeSecurityGroupIngress" => groups::revoke(call, xml, false),
        "RevokeSecurityGroupEgress" => groups::revoke(call, xml, true),
        "CreateTags" => tags::create(call, xml),
        "DeleteTags" => tags::delete(call, xml),
        "DescribeTags" => tags::describe(call, xml),
        "DescribeVpcs" => network::vpcs(call, xml),
        "DescribeSubnets" => network::subnets(call, xml),
        "DescribeNetworkInterfaces" => network::interfaces(call, xml),
        "DescribeVolumes" => network::volumes(call, xml),
        "DescribeRegions" => offers::regions(call, xml),
        "DescribeAvailabilityZones" => offers::zones(call, xml),
        "DescribeInstanceTypes" => offers::types(call, xml),
        "DescribeInstanceTypeOfferings" => offers::offerings(call, xml),
        "DescribeAccountAttributes" => offers::attributes(call, xml),
        other => Err(unknown_action(other)),
    }
}
