//! The operations: what each takes, and where it is answered.

use std::pin::Pin;

use super::{
    addresses, attributes, fixed, gateways, groups, images, instances, key_pairs, launch, network, offers, power,
    snapshots, tags, volumes,
};
use crate::{
    call::Call,
    reply::{refuse, unknown_action},
    xml::Xml,
};
use Run::{Later, Now};
use remint_sandbox_cloud::{ApiError, ApiResult};

type Waiting<'a> = Pin<Box<dyn Future<Output = ApiResult<()>> + Send + 'a>>;

/// How an operation is carried out: at once, or with a wait.
enum Run {
    Now(fn(&Call<'_>, &mut Xml) -> ApiResult<()>),
    Later(for<'a> fn(&'a Call<'a>, &'a mut Xml) -> Waiting<'a>),
}

/// The parameters of calls that filter what they describe.
const FILTERED: &str = "Filter.N.Name Filter.N.Value.N";
/// The same where there are pages.
const LISTED: &str = "Filter.N.Name Filter.N.Value.N MaxResults NextToken";
/// The parameters of calls that give tags to what they make.
const TAGGED: &str = "TagSpecification.N.ResourceType TagSpecification.N.Tag.N.Key TagSpecification.N.Tag.N.Value";
/// The parameters of calls about rules of security groups.
const PERMISSIONS: &str = "GroupId GroupName IpProtocol FromPort ToPort CidrIp IpPermissions.N.IpProtocol \
                           IpPermissions.N.FromPort IpPermissions.N.ToPort IpPermissions.N.IpRanges.N.CidrIp \
                           IpPermissions.N.IpRanges.N.Description IpPermissions.N.Ipv6Ranges.N.CidrIpv6 \
                           IpPermissions.N.Ipv6Ranges.N.Description IpPermissions.N.Groups.N.GroupId \
                           IpPermissions.N.Groups.N.UserId IpPermissions.N.Groups.N.Description \
                           IpPermissions.N.PrefixListIds.N.PrefixListId IpPermissions.N.PrefixListIds.N.Description";

/// The operations, and the parameters that each takes: see [`Params::only`](crate::query::Params::only).
const OPERATIONS: &[(&str, &[&str], Run)] = &[
    (
        "RunInstances",
        &[
            TAGGED,
            "ImageId InstanceType MinCount MaxCount KeyName UserData ClientToken SubnetId SecurityGroupId.N SecurityGroup.N",
            "PrivateIpAddress Monitoring.Enabled EbsOptimized DisableApiTermination DisableApiStop",
            "InstanceInitiatedShutdownBehavior IamInstanceProfile.Arn IamInstanceProfile.Name CreditSpecification.CpuCredits",
            "Placement.AvailabilityZone Placement.Tenancy=default CpuOptions.CoreCount CpuOptions.ThreadsPerCore",
            "BlockDeviceMapping.N.DeviceName BlockDeviceMapping.N.NoDevice BlockDeviceMapping.N.VirtualName",
            "BlockDeviceMapping.N.Ebs.VolumeSize BlockDeviceMapping.N.Ebs.VolumeType BlockDeviceMapping.N.Ebs.Encrypted",
            "BlockDeviceMapping.N.Ebs.DeleteOnTermination BlockDeviceMapping.N.Ebs.Iops BlockDeviceMapping.N.Ebs.Throughput",
            "BlockDeviceMapping.N.Ebs.SnapshotId NetworkInterface.N.DeviceIndex NetworkInterface.N.SubnetId",
            "NetworkInterface.N.SecurityGroupId.N NetworkInterface.N.AssociatePublicIpAddress",
            "NetworkInterface.N.PrivateIpAddress NetworkInterface.N.DeleteOnTermination=true",
            "NetworkInterface.N.InterfaceType=interface NetworkInterface.N.NetworkCardIndex=0",
            "MetadataOptions.HttpTokens MetadataOptions.HttpEndpoint MetadataOptions.HttpPutResponseHopLimit",
            "MetadataOptions.InstanceMetadataTags MetadataOptions.HttpProtocolIpv6=disabled Ipv6AddressCount=0",
            // A spot instance is never interrupted, and its request is not kept.
            "InstanceMarketOptions.MarketType InstanceMarketOptions.SpotOptions.MaxPrice",
            "InstanceMarketOptions.SpotOptions.SpotInstanceType InstanceMarketOptions.SpotOptions.ValidUntil",
            "InstanceMarketOptions.SpotOptions.InstanceInterruptionBehavior HibernationOptions.Configured=false",
            "EnclaveOptions.Enabled=false MaintenanceOptions.AutoRecovery=default",
            "CapacityReservationSpecification.CapacityReservationPreference=open PrivateDnsNameOptions.HostnameType=ip-name",
            "PrivateDnsNameOptions.EnableResourceNameDnsARecord=false",
            "PrivateDnsNameOptions.EnableResourceNameDnsAAAARecord=false",
        ],
        Now(launch::run),
    ),
    ("DescribeInstances", &[LISTED, "InstanceId.N IncludeManagedResources"], Now(instances::describe)),
    (
        "DescribeInstanceStatus",
        &[LISTED, "InstanceId.N IncludeAllInstances IncludeManagedResources"],
        Now(instances::status),
    ),
    ("StartInstances", &["InstanceId.N"], Now(power::start)),
    ("StopInstances", &["InstanceId.N Force Hibernate=false SkipOsShutdown=false"], Now(power::stop)),
    ("RebootInstances", &["InstanceId.N"], Now(power::reboot)),
    ("TerminateInstances", &["InstanceId.N Force SkipOsShutdown"], Now(power::terminate)),
    ("MonitorInstances", &["InstanceId.N"], Now(|call, xml| power::monitor(call, xml, true))),
    ("UnmonitorInstances", &["InstanceId.N"], Now(|call, xml| power::monitor(call, xml, false))),
    ("DescribeInstanceCreditSpecifications", &[LISTED, "InstanceId.N"], Now(instances::credits)),
    (
        "ModifyInstanceCreditSpecification",
        &["InstanceCreditSpecification.N.InstanceId InstanceCreditSpecification.N.CpuCredits ClientToken"],
        Now(instances::modify_credits),
    ),
    ("DescribeIamInstanceProfileAssociations", &[LISTED, "AssociationId.N"], Now(instances::profiles)),
    ("GetInstanceUefiData", &["InstanceId"], Now(attributes::uefi_data)),
    ("GetPasswordData", &["InstanceId"], Now(attributes::password)),
    ("DescribeInstanceAttribute", &["InstanceId Attribute"], Now(attributes::describe)),
    (
        "ModifyInstanceAttribute",
        &[
            "InstanceId Attribute Value InstanceType.Value DisableApiTermination.Value DisableApiStop.Value SourceDestCheck.Value",
            "InstanceInitiatedShutdownBehavior.Value GroupId.N EbsOptimized.Value EnaSupport.Value=true",
        ],
        Now(attributes::modify),
    ),
    (
        "ModifyInstanceMetadataOptions",
        &["InstanceId HttpTokens HttpEndpoint HttpPutResponseHopLimit InstanceMetadataTags HttpProtocolIpv6=disabled"],
        Now(attributes::modify_metadata),
    ),
    ("GetConsoleOutput", &["InstanceId Latest"], Later(|call, xml| Box::pin(attributes::console(call, xml)))),
    (
        "CreateImage",
        &[
            TAGGED,
            "InstanceId Name Description NoReboot BlockDeviceMapping.N.DeviceName BlockDeviceMapping.N.NoDevice",
            "BlockDeviceMapping.N.VirtualName SnapshotLocation=regional",
        ],
        Now(images::create),
    ),
    (
        "CopyImage",
        &[TAGGED, "SourceImageId SourceRegion Name Description Encrypted CopyImageTags ClientToken"],
        Now(images::copy),
    ),
    (
        "DeregisterImage",
        &["ImageId DeleteAssociatedSnapshots"],
        Later(|call, xml| Box::pin(images::deregister(call, xml))),
    ),
    (
        "DescribeImages",
        &[LISTED, "ImageId.N Owner.N ExecutableBy.N IncludeDeprecated IncludeDisabled"],
        Later(|call, xml| Box::pin(images::describe(call, xml))),
    ),
    ("DescribeImageAttribute", &["ImageId Attribute"], Now(images::describe_attribute)),
    (
        "ModifyImageAttribute",
        &[
            "ImageId Attribute Value Description.Value OperationType UserId.N UserGroup.N LaunchPermission.Add.N.UserId",
            "LaunchPermission.Add.N.Group LaunchPermission.Remove.N.UserId LaunchPermission.Remove.N.Group",
        ],
        Now(images::modify_attribute),
    ),
    ("DescribeSnapshots", &[LISTED, "SnapshotId.N Owner.N RestorableBy.N"], Now(snapshots::describe)),
    ("CreateSnapshot", &[TAGGED, "VolumeId Description Location=regional"], Now(snapshots::create)),
    ("DeleteSnapshot", &["SnapshotId"], Later(|call, xml| Box::pin(snapshots::delete(call, xml)))),
    ("DescribeSnapshotAttribute", &["SnapshotId Attribute"], Now(snapshots::describe_attribute)),
    (
        "ModifySnapshotAttribute",
        &[
            "SnapshotId Attribute=createVolumePermission OperationType UserId.N UserGroup.N CreateVolumePermission.Add.N.UserId",
            "CreateVolumePermission.Add.N.Group CreateVolumePermission.Remove.N.UserId CreateVolumePermission.Remove.N.Group",
        ],
        Now(snapshots::modify_attribute),
    ),
    ("AllocateAddress", &[TAGGED, "Domain PublicIpv4Pool=amazon NetworkBorderGroup"], Now(addresses::allocate)),
    ("DescribeAddresses", &[FILTERED, "AllocationId.N PublicIp.N"], Now(addresses::describe)),
    (
        "DescribeAddressesAttribute",
        &["AllocationId.N Attribute=domain-name MaxResults NextToken"],
        Now(addresses::attributes),
    ),
    (
        "AssociateAddress",
        &["AllocationId PublicIp InstanceId NetworkInterfaceId AllowReassociation"],
        Later(|call, xml| Box::pin(addresses::associate(call, xml))),
    ),
    (
        "DisassociateAddress",
        &["AssociationId PublicIp"],
        Later(|call, xml| Box::pin(addresses::disassociate(call, xml))),
    ),
    (
        "ReleaseAddress",
        &["AllocationId PublicIp NetworkBorderGroup"],
        Later(|call, xml| Box::pin(addresses::release(call, xml))),
    ),
    (
        "CreateKeyPair",
        &[TAGGED, "KeyName KeyType KeyFormat"],
        Later(|call, xml| Box::pin(key_pairs::create(call, xml))),
    ),
    ("ImportKeyPair", &[TAGGED, "KeyName PublicKeyMaterial"], Now(key_pairs::import)),
    ("DescribeKeyPairs", &[FILTERED, "KeyName.N KeyPairId.N IncludePublicKey"], Now(key_pairs::describe)),
    ("DeleteKeyPair", &["KeyName KeyPairId"], Now(key_pairs::delete)),
    ("CreateSecurityGroup", &[TAGGED, "GroupName GroupDescription VpcId"], Now(groups::create)),
    ("DeleteSecurityGroup", &["GroupId GroupName"], Now(groups::delete)),
    ("DescribeSecurityGroups", &[LISTED, "GroupId.N GroupName.N"], Now(groups::describe)),
    ("DescribeSecurityGroupRules", &[LISTED, "SecurityGroupRuleId.N"], Now(groups::describe_rules)),
    ("AuthorizeSecurityGroupIngress", &[TAGGED, PERMISSIONS], Now(|call, xml| groups::authorize(call, xml, false))),
    ("AuthorizeSecurityGroupEgress", &[TAGGED, PERMISSIONS], Now(|call, xml| groups::authorize(call, xml, true))),
    (
        "RevokeSecurityGroupIngress",
        &[PERMISSIONS, "SecurityGroupRuleId.N"],
        Now(|call, xml| groups::revoke(call, xml, false)),
    ),
    (
        "RevokeSecurityGroupEgress",
        &[PERMISSIONS, "SecurityGroupRuleId.N"],
        Now(|call, xml| groups::revoke(call, xml, true)),
    ),
    ("CreateTags", &["ResourceId.N Tag.N.Key Tag.N.Value"], Now(tags::create)),
    ("DeleteTags", &["ResourceId.N Tag.N.Key Tag.N.Value"], Now(tags::delete)),
    ("DescribeTags", &[LISTED], Now(tags::describe)),
    ("DescribeVpcs", &[LISTED, "VpcId.N"], Now(network::vpcs)),
    ("DescribeSubnets", &[LISTED, "SubnetId.N"], Now(network::subnets)),
    ("DescribeNetworkInterfaces", &[LISTED, "NetworkInterfaceId.N IncludeManagedResources"], Now(network::interfaces)),
    ("DescribeVolumes", &[LISTED, "VolumeId.N IncludeManagedResources"], Now(volumes::describe)),
    ("DescribeVolumeStatus", &[LISTED, "VolumeId.N IncludeManagedResources"], Now(volumes::status)),
    ("DescribeVolumeAttribute", &["VolumeId Attribute"], Now(volumes::attribute)),
    ("DescribeNetworkInterfaceAttribute", &["NetworkInterfaceId Attribute"], Now(network::interface_attribute)),
    ("DescribeVpcAttribute", &["VpcId Attribute"], Now(gateways::attribute)),
    ("DescribeRouteTables", &[LISTED, "RouteTableId.N"], Now(gateways::route_tables)),
    ("DescribeInternetGateways", &[LISTED, "InternetGatewayId.N"], Now(gateways::internet_gateways)),
    ("DescribeNetworkAcls", &[LISTED, "NetworkAclId.N"], Now(gateways::access_lists)),
    ("DescribeDhcpOptions", &[LISTED, "DhcpOptionsId.N"], Now(gateways::dhcp_options)),
    ("DescribeRegions", &[FILTERED, "RegionName.N AllRegions"], Now(offers::regions)),
    ("DescribeAvailabilityZones", &[FILTERED, "ZoneName.N ZoneId.N AllAvailabilityZones"], Now(offers::zones)),
    ("DescribeInstanceTypes", &[LISTED, "InstanceType.N IncludeUnsupportedInRegion"], Now(offers::types)),
    ("DescribeInstanceTypeOfferings", &[LISTED, "LocationType"], Now(offers::offerings)),
    ("DescribeAccountAttributes", &["AttributeName.N"], Now(offers::attributes)),
];

/// Answers a call of EC2's.
///
/// # Errors
///
/// `InvalidAction` for what the sandbox does not have, `UnsupportedOperation` for a parameter that the operation does not take;
/// else what the operation refuses.
pub(crate) async fn answer(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let operation = call.operation;
    if operation.is_empty() {
        return Err(refuse("MissingAction", "The request must contain the parameter Action"));
    }
    let known = OPERATIONS.iter().find(|(name, ..)| *name == operation);
    match (known, fixed::takes(operation)) {
        (Some((_, taken, _)), _) => call.params.only(operation, taken)?,
        (None, Some(taken)) => call.params.only(operation, &[LISTED, taken])?,
        (None, None) => return Err(unknown_action(operation)),
    }
    if call.params.flag("DryRun")? {
        let message = "Request would have succeeded, but DryRun flag is set.";
        return Err(ApiError { status: 412, id: "DryRunOperation", message: message.to_owned() });
    }
    match known {
        Some((.., Now(run))) => run(call, xml),
        Some((.., Later(run))) => run(call, xml).await,
        None => fixed::answer(call, xml),
    }
}
