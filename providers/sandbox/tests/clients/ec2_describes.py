"""boto3: what clients look at before and after what they do: Terraform's reads, Packer's checks, the waiters of the SDK."""

import boto3
from boto3_refused import refused

EC2 = boto3.client("ec2")
IMAGE = EC2.describe_images(Owners=["136693071363"])["Images"][0]["ImageId"]
SOON = {"Delay": 1, "MaxAttempts": 60}


def only(found):
    """The one of a list, next to which an answer has a page's token and what it says of itself."""
    [items] = [value for value in found.values() if isinstance(value, list)]
    assert len(items) == 1, found
    return items[0]


INSTANCE = EC2.run_instances(
    ImageId=IMAGE,
    InstanceType="t3.small",
    MinCount=1,
    MaxCount=1,
    CreditSpecification={"CpuCredits": "standard"},
    IamInstanceProfile={"Name": "web"},
)["Instances"][0]
NAME = INSTANCE["InstanceId"]
VOLUME = EC2.describe_volumes()["Volumes"][0]["VolumeId"]
INTERFACE = INSTANCE["NetworkInterfaces"][0]["NetworkInterfaceId"]
VPC = INSTANCE["VpcId"]
for waiter, of in {
    "instance_exists": {"InstanceIds": [NAME]},
    "instance_running": {"InstanceIds": [NAME]},
    "instance_status_ok": {"InstanceIds": [NAME]},
    "system_status_ok": {"InstanceIds": [NAME]},
    "image_exists": {"ImageIds": [IMAGE]},
    "image_available": {"ImageIds": [IMAGE]},
    "security_group_exists": {"GroupIds": [INSTANCE["SecurityGroups"][0]["GroupId"]]},
    "internet_gateway_exists": {},
    "subnet_available": {"SubnetIds": [INSTANCE["SubnetId"]]},
    "vpc_exists": {"VpcIds": [VPC]},
    "vpc_available": {"VpcIds": [VPC]},
    "volume_in_use": {"VolumeIds": [VOLUME]},
}.items():
    EC2.get_waiter(waiter).wait(WaiterConfig=SOON, **of)

# An instance's.
credits = EC2.describe_instance_credit_specifications
assert credits(InstanceIds=[NAME])["InstanceCreditSpecifications"] == [{"InstanceId": NAME, "CpuCredits": "standard"}]
assert not credits()["InstanceCreditSpecifications"], "without a name only those that are unlimited"
EC2.modify_instance_credit_specification(
    InstanceCreditSpecifications=[{"InstanceId": NAME, "CpuCredits": "unlimited"}]
)
assert only(credits()) == {"InstanceId": NAME, "CpuCredits": "unlimited"}
profile = only(EC2.describe_iam_instance_profile_associations(Filters=[{"Name": "instance-id", "Values": [NAME]}]))
assert profile["IamInstanceProfile"]["Arn"].endswith(":instance-profile/web"), profile
assert EC2.get_password_data(InstanceId=NAME)["PasswordData"] == ""
attribute = EC2.describe_instance_attribute(InstanceId=NAME, Attribute="disableApiStop")
assert attribute["DisableApiStop"] == {"Value": False}, attribute

# What Terraform takes for a difference where it is not shown.
shown = EC2.describe_instances(InstanceIds=[NAME])["Reservations"][0]["Instances"][0]["MetadataOptions"]
assert shown["HttpProtocolIpv6"] == "disabled", shown
refused("UnsupportedOperation", EC2.get_instance_uefi_data, InstanceId=NAME)
kind = only(EC2.describe_instance_types(InstanceTypes=["t3.small"]))
assert kind["PlacementGroupInfo"]["SupportedStrategies"] and kind["VCpuInfo"]["ValidCores"] == [1], kind

# Its volume's, its interface's, its address's.
status = only(EC2.describe_volume_status(VolumeIds=[VOLUME]))
assert status["VolumeId"] == VOLUME and status["VolumeStatus"]["Status"] == "ok", status
assert EC2.describe_volume_attribute(VolumeId=VOLUME, Attribute="autoEnableIO")["AutoEnableIO"] == {"Value": False}
attribute = EC2.describe_network_interface_attribute(NetworkInterfaceId=INTERFACE, Attribute="attachment")
assert attribute["Attachment"]["InstanceId"] == NAME, attribute
attribute = EC2.describe_network_interface_attribute(NetworkInterfaceId=INTERFACE, Attribute="sourceDestCheck")
assert attribute["SourceDestCheck"] == {"Value": True}, attribute
address = EC2.allocate_address()
named = only(EC2.describe_addresses_attribute(AllocationIds=[address["AllocationId"]], Attribute="domain-name"))
assert (named["PublicIp"], "PtrRecord" in named) == (address["PublicIp"], False), named
refused("InvalidAllocationID.NotFound", EC2.describe_addresses_attribute, AllocationIds=["eipalloc-0123456789abcdef0"])

# Its VPC's.
of_vpc = {"Filters": [{"Name": "vpc-id", "Values": [VPC]}]}
table = only(EC2.describe_route_tables(**of_vpc))
gateway = only(EC2.describe_internet_gateways(Filters=[{"Name": "attachment.vpc-id", "Values": [VPC]}]))
assert table["Associations"][0]["Main"], table
assert [route["GatewayId"] for route in table["Routes"]] == ["local", gateway["InternetGatewayId"]], table
access = only(EC2.describe_network_acls(**of_vpc))
assert access["IsDefault"] and len(access["Entries"]) == 4 and len(access["Associations"]) == 3, access
options = only(EC2.describe_dhcp_options())
assert options["DhcpOptionsId"] == only(EC2.describe_vpcs())["DhcpOptionsId"], options
assert INSTANCE["PrivateDnsName"].endswith(options["DhcpConfigurations"][0]["Values"][0]["Value"]), options
support = EC2.describe_vpc_attribute(VpcId=VPC, Attribute="enableDnsSupport")
assert support["EnableDnsSupport"] == {"Value": True}, support
refused("InvalidRouteTableID.NotFound", EC2.describe_route_tables, RouteTableIds=["rtb-0123456789abcdef0"])

# The rules of a group by themselves, with tags, as Terraform reads them.
group = EC2.create_security_group(GroupName="web", Description="web")["GroupId"]
EC2.get_waiter("security_group_exists").wait(GroupIds=[group])
tagged = [{"ResourceType": "security-group-rule", "Tags": [{"Key": "role", "Value": "web"}]}]
open_80 = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
made = EC2.authorize_security_group_ingress(GroupId=group, IpPermissions=[open_80], TagSpecifications=tagged)
rule = made["SecurityGroupRules"][0]
assert rule["Tags"] == [{"Key": "role", "Value": "web"}], rule
in_group = EC2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group]}])["SecurityGroupRules"]
assert rule in in_group and len(in_group) == 2, in_group
by_name = EC2.describe_security_group_rules(SecurityGroupRuleIds=[rule["SecurityGroupRuleId"]])
assert only(by_name) == rule, by_name

# A snapshot's permissions.
snapshot = EC2.create_snapshot(VolumeId=VOLUME)["SnapshotId"]
EC2.get_waiter("snapshot_completed").wait(SnapshotIds=[snapshot], WaiterConfig=SOON)
EC2.modify_snapshot_attribute(SnapshotId=snapshot, OperationType="add", GroupNames=["all"])
shared = EC2.describe_snapshot_attribute(SnapshotId=snapshot, Attribute="createVolumePermission")
assert shared["CreateVolumePermissions"] == [{"Group": "all"}], shared

# What nobody can have here, by what the SDK calls it: each is answered with nothing.
NONE = """
describe_address_transfers describe_bundle_tasks describe_capacity_reservations describe_carrier_gateways
describe_conversion_tasks describe_customer_gateways describe_egress_only_internet_gateways describe_export_tasks
describe_fast_snapshot_restores describe_fleets describe_flow_logs describe_hosts describe_import_image_tasks
describe_import_snapshot_tasks describe_instance_connect_endpoints describe_instance_event_windows
describe_launch_templates describe_moving_addresses describe_nat_gateways describe_placement_groups
describe_public_ipv4_pools describe_replace_root_volume_tasks describe_reserved_instances
describe_spot_fleet_requests describe_store_image_tasks describe_transit_gateway_attachments
describe_transit_gateways describe_volumes_modifications describe_vpc_endpoints describe_vpc_peering_connections
describe_vpn_connections describe_vpn_gateways list_images_in_recycle_bin list_snapshots_in_recycle_bin
"""
for call in NONE.split():
    answer = getattr(EC2, call)()
    lists = [value for value in answer.values() if isinstance(value, list)]
    assert lists == [[]], f"{call}: {answer}"
refused("NatGatewayNotFound", EC2.describe_nat_gateways, NatGatewayIds=["nat-0123456789abcdef0"])
refused("InvalidLaunchTemplateName.NotFoundException", EC2.describe_launch_templates, LaunchTemplateNames=["web"])

# Settings of the region.
assert EC2.get_ebs_encryption_by_default()["EbsEncryptionByDefault"] is False
assert EC2.get_ebs_default_kms_key_id()["KmsKeyId"] == "alias/aws/ebs"
assert EC2.get_serial_console_access_status()["SerialConsoleAccessEnabled"] is False
assert EC2.get_image_block_public_access_state()["ImageBlockPublicAccessState"] == "unblocked"
assert EC2.get_snapshot_block_public_access_state()["State"] == "unblocked"
assert EC2.get_allowed_images_settings()["State"] == "disabled"
assert EC2.get_instance_metadata_defaults()["AccountLevel"] == {}

# The resources of the SDK read through all of it.
instance = boto3.resource("ec2").Instance(NAME)
assert [volume.id for volume in instance.volumes.all()] == [VOLUME]
assert instance.vpc.id == VPC and list(instance.vpc.route_tables.all())[0].id == table["RouteTableId"]
instance.terminate()
instance.wait_until_terminated(WaiterConfig=SOON)
assert not EC2.describe_iam_instance_profile_associations()["IamInstanceProfileAssociations"]
print("done")
