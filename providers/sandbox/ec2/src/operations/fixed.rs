//! Operations whose answer is always the same: they describe what nobody can make in the sandbox, or a setting that nobody can
//! change.

use crate::{
    call::Call,
    list::{Filters, is_documented, page},
    reply::refuse,
    xml::Xml,
};
use remint_sandbox_cloud::ApiResult;

/// What there can be none of: the operation, the element of its answer, the parameters that it takes beside filters and pages, and
/// the error for what one of them names, or one for each.
const NONE: &[(&str, &str, &str, &str)] = &[
    ("DescribeAddressTransfers", "addressTransferSet", "AllocationId.N", "InvalidAllocationID.NotFound"),
    ("DescribeBundleTasks", "bundleInstanceTasksSet", "BundleId.N", "InvalidBundleID.NotFound"),
    (
        "DescribeCapacityReservations",
        "capacityReservationSet",
        "CapacityReservationId.N",
        "InvalidCapacityReservationId.NotFound",
    ),
    ("DescribeCarrierGateways", "carrierGatewaySet", "CarrierGatewayId.N", "InvalidCarrierGatewayID.NotFound"),
    ("DescribeConversionTasks", "conversionTasks", "ConversionTaskId.N", "InvalidConversionTaskId"),
    ("DescribeCustomerGateways", "customerGatewaySet", "CustomerGatewayId.N", "InvalidCustomerGatewayID.NotFound"),
    (
        "DescribeEgressOnlyInternetGateways",
        "egressOnlyInternetGatewaySet",
        "EgressOnlyInternetGatewayId.N",
        "InvalidGatewayID.NotFound",
    ),
    ("DescribeExportTasks", "exportTaskSet", "ExportTaskId.N", "InvalidExportTaskID.NotFound"),
    ("DescribeFastSnapshotRestores", "fastSnapshotRestoreSet", "", ""),
    ("DescribeFleets", "fleetSet", "FleetId.N", "InvalidFleetId.NotFound"),
    ("DescribeFlowLogs", "flowLogSet", "FlowLogId.N", "InvalidFlowLogId.NotFound"),
    ("DescribeHosts", "hostSet", "HostId.N", "InvalidHostID.NotFound"),
    ("DescribeImportImageTasks", "importImageTaskSet", "ImportTaskId.N", "InvalidConversionTaskId"),
    ("DescribeImportSnapshotTasks", "importSnapshotTaskSet", "ImportTaskId.N", "InvalidConversionTaskId"),
    (
        "DescribeInstanceConnectEndpoints",
        "instanceConnectEndpointSet",
        "InstanceConnectEndpointId.N",
        "InvalidInstanceConnectEndpointId.NotFound",
    ),
    (
        "DescribeInstanceEventWindows",
        "instanceEventWindowSet",
        "InstanceEventWindowId.N",
        "InvalidInstanceEventWindowID.NotFound",
    ),
    (
        "DescribeLaunchTemplates",
        "launchTemplates",
        "LaunchTemplateId.N LaunchTemplateName.N IncludeManagedResources",
        "InvalidLaunchTemplateId.NotFound InvalidLaunchTemplateName.NotFoundException",
    ),
    ("DescribeMovingAddresses", "movingAddressStatusSet", "PublicIp.N", "InvalidAddress.NotFound"),
    ("DescribeNatGateways", "natGatewaySet", "NatGatewayId.N", "NatGatewayNotFound"),
    ("DescribePlacementGroups", "placementGroupSet", "GroupId.N GroupName.N", "InvalidPlacementGroup.Unknown"),
    ("DescribePublicIpv4Pools", "publicIpv4PoolSet", "PoolId.N", "InvalidPublicIpv4PoolID.NotFound"),
    (
        "DescribeReplaceRootVolumeTasks",
        "replaceRootVolumeTaskSet",
        "ReplaceRootVolumeTaskId.N",
        "InvalidReplaceRootVolumeTaskID.NotFound",
    ),
    (
        "DescribeReservedInstances",
        "reservedInstancesSet",
        "ReservedInstancesId.N OfferingClass OfferingType",
        "InvalidReservationID.NotFound",
    ),
    (
        "DescribeSpotFleetRequests",
        "spotFleetRequestConfigSet",
        "SpotFleetRequestId.N",
        "InvalidSpotFleetRequestId.NotFound",
    ),
    ("DescribeStoreImageTasks", "storeImageTaskResultSet", "ImageId.N", "InvalidAMIID.NotFound"),
    (
        "DescribeTransitGatewayAttachments",
        "transitGatewayAttachments",
        "TransitGatewayAttachmentIds.N",
        "InvalidTransitGatewayAttachmentID.NotFound",
    ),
    ("DescribeTransitGateways", "transitGatewaySet", "TransitGatewayIds.N", "InvalidTransitGatewayID.NotFound"),
    ("DescribeVolumesModifications", "volumeModificationSet", "VolumeId.N", "InvalidVolumeModification.NotFound"),
    ("DescribeVpcEndpoints", "vpcEndpointSet", "VpcEndpointId.N", "InvalidVpcEndpointId.NotFound"),
    (
        "DescribeVpcPeeringConnections",
        "vpcPeeringConnectionSet",
        "VpcPeeringConnectionId.N",
        "InvalidVpcPeeringConnectionID.NotFound",
    ),
    ("DescribeVpnConnections", "vpnConnectionSet", "VpnConnectionId.N", "InvalidVpnConnectionID.NotFound"),
    ("DescribeVpnGateways", "vpnGatewaySet", "VpnGatewayId.N", "InvalidVpnGatewayID.NotFound"),
    ("ListImagesInRecycleBin", "imageSet", "ImageId.N", "InvalidAMIID.NotFound"),
    ("ListSnapshotsInRecycleBin", "snapshotSet", "SnapshotId.N", "InvalidSnapshot.NotFound"),
];

/// The settings of a region: the operation, and the element and the text of its answer.
const SETTINGS: &[(&str, &str, &str)] = &[
    ("GetAllowedImagesSettings", "state", "disabled"),
    ("GetEbsDefaultKmsKeyId", "kmsKeyId", "alias/aws/ebs"),
    ("GetEbsEncryptionByDefault", "ebsEncryptionByDefault", "false"),
    ("GetImageBlockPublicAccessState", "imageBlockPublicAccessState", "unblocked"),
    ("GetInstanceMetadataDefaults", "accountLevel", ""),
    ("GetSerialConsoleAccessStatus", "serialConsoleAccessEnabled", "false"),
    ("GetSnapshotBlockPublicAccessState", "state", "unblocked"),
];

/// The parameters that an operation of these takes beside filters and pages.
pub(super) fn takes(operation: &str) -> Option<&'static str> {
    let setting = || SETTINGS.iter().find(|(name, ..)| *name == operation).map(|_| "");
    NONE.iter().find(|(name, ..)| *name == operation).map(|(_, _, takes, _)| *takes).or_else(setting)
}

/// Answers an operation of these.
pub(super) fn answer(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let operation = call.operation;
    for (_, element, text) in SETTINGS.iter().filter(|(name, ..)| *name == operation) {
        xml.text(element, text);
    }
    for (_, element, takes, absent) in NONE.iter().filter(|(name, ..)| *name == operation) {
        let lists = takes.split(' ').filter_map(|name| name.strip_suffix(".N"));
        for (name, code) in lists.zip(absent.split(' ').cycle()) {
            if let Some(id) = call.params.list(name).first() {
                return Err(refuse(code, format!("The ID '{id}' does not exist")));
            }
        }
        // All that EC2 knows can be asked for: nothing has any of it.
        let names: Vec<String> =
            call.params.groups("Filter").iter().filter_map(|one| Some(one.get("Name")?.to_owned())).collect();
        let known: Vec<&str> = names.iter().map(String::as_str).filter(|name| is_documented(operation, name)).collect();
        Filters::of(operation, &call.params, &known)?;
        page(&call.params, 1, Vec::<()>::new())?;
        xml.node(element, |_| {});
    }
    Ok(())
}
