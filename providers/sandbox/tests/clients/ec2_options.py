"""boto3: an option of a launch is shown by what describes the instance, or refused; none is accepted and dropped."""

import boto3
from boto3_refused import refused

EC2 = boto3.client("ec2")
IMAGE = EC2.describe_images(Owners=["136693071363"])["Images"][0]["ImageId"]
UNSUPPORTED = "UnsupportedOperation"
SOON = {"Delay": 1, "MaxAttempts": 60}


def launch(**options):
    request = {"ImageId": IMAGE, "InstanceType": "t3.small", "MinCount": 1, "MaxCount": 1, **options}
    return EC2.run_instances(**request)["Instances"][0]["InstanceId"]


def described(instance):
    return EC2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]


SUBNET = EC2.describe_subnets()["Subnets"][0]
ADDRESS = SUBNET["CidrBlock"].replace("0.0/20", "7.7")
ROOT = {"VolumeSize": 12, "VolumeType": "gp3", "Iops": 4000, "Throughput": 250, "DeleteOnTermination": False}
FIRST = launch(
    PrivateIpAddress=ADDRESS,
    SubnetId=SUBNET["SubnetId"],
    Monitoring={"Enabled": True},
    EbsOptimized=True,
    DisableApiStop=True,
    CpuOptions={"CoreCount": 1, "ThreadsPerCore": 2},
    Placement={"Tenancy": "default"},
    BlockDeviceMappings=[{"DeviceName": "/dev/xvda", "Ebs": ROOT}],
)
EC2.get_waiter("instance_running").wait(InstanceIds=[FIRST], WaiterConfig=SOON)
shown = described(FIRST)
assert shown["PrivateIpAddress"] == ADDRESS, shown
assert shown["NetworkInterfaces"][0]["PrivateIpAddress"] == ADDRESS, shown
assert shown["Monitoring"]["State"] == "enabled" and shown["EbsOptimized"], shown
assert shown["CpuOptions"] == {"CoreCount": 1, "ThreadsPerCore": 2}, shown
volume = EC2.describe_volumes(Filters=[{"Name": "attachment.instance-id", "Values": [FIRST]}])["Volumes"][0]
assert (volume["Size"], volume["Iops"], volume["Throughput"]) == (12, 4000, 250), volume

# Others do not get the address, and an instance does not get two.
refused("InvalidIPAddress.InUse", launch, PrivateIpAddress=ADDRESS, SubnetId=SUBNET["SubnetId"])
refused("InvalidParameterValue", launch, PrivateIpAddress="10.0.0.1")
refused("InvalidParameterCombination", launch, PrivateIpAddress=ADDRESS.replace("7.7", "7.8"), MaxCount=2)

# What can be changed is changed, and what protects protects.
refused("OperationNotPermitted", EC2.stop_instances, InstanceIds=[FIRST])
EC2.modify_instance_attribute(InstanceId=FIRST, DisableApiStop={"Value": False})
EC2.unmonitor_instances(InstanceIds=[FIRST])
EC2.stop_instances(InstanceIds=[FIRST])
EC2.get_waiter("instance_stopped").wait(InstanceIds=[FIRST], WaiterConfig=SOON)
EC2.modify_instance_attribute(InstanceId=FIRST, EbsOptimized={"Value": False})
shown = described(FIRST)
assert shown["Monitoring"]["State"] == "disabled" and not shown["EbsOptimized"], shown

# What it is by itself can be asked for.
launch(
    EbsOptimized=False,
    HibernationOptions={"Configured": False},
    EnclaveOptions={"Enabled": False},
    NetworkInterfaces=[{"DeviceIndex": 0, "DeleteOnTermination": True, "InterfaceType": "interface"}],
    InstanceMarketOptions={"MarketType": "spot", "SpotOptions": {"MaxPrice": "1", "SpotInstanceType": "one-time"}},
)
before = len(EC2.describe_instances()["Reservations"])
for option in [
    {"CpuOptions": {"CoreCount": 2}},
    {"CpuOptions": {"ThreadsPerCore": 1}},
    {"Placement": {"Tenancy": "dedicated"}},
    {"Placement": {"GroupName": "together"}},
    {"LaunchTemplate": {"LaunchTemplateName": "web"}},
    {"HibernationOptions": {"Configured": True}},
    {"EnclaveOptions": {"Enabled": True}},
    {"Ipv6AddressCount": 1},
    {"KernelId": "aki-1"},
    {"NetworkInterfaces": [{"DeviceIndex": 0, "SecondaryPrivateIpAddressCount": 1}]},
    {"BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"KmsKeyId": "alias/own"}}]},
    {"BlockDeviceMappings": [{"DeviceName": "/dev/xvdb", "Ebs": {"VolumeSize": 8}}]},
]:
    refused(UNSUPPORTED, launch, **option)
message = refused(UNSUPPORTED, launch, MetadataOptions={"HttpProtocolIpv6": "enabled"})
assert "MetadataOptions.HttpProtocolIpv6 enabled of RunInstances" in message, message
assert len(EC2.describe_instances()["Reservations"]) == before

# Other operations follow the same rule.
refused(UNSUPPORTED, EC2.stop_instances, InstanceIds=[FIRST], Hibernate=True)
refused(UNSUPPORTED, EC2.create_image, InstanceId=FIRST, Name="an-image", SnapshotLocation="local")
refused(UNSUPPORTED, EC2.copy_image, SourceImageId=IMAGE, SourceRegion="us-east-1", Name="copied", KmsKeyId="alias/own")
refused(UNSUPPORTED, EC2.allocate_address, Address="192.0.2.1")
refused(UNSUPPORTED, EC2.allocate_address, CustomerOwnedIpv4Pool="pool")
address = EC2.allocate_address()["AllocationId"]
refused(UNSUPPORTED, EC2.associate_address, AllocationId=address, InstanceId=FIRST, PrivateIpAddress=ADDRESS)
group = EC2.create_security_group(GroupName="web", Description="web")["GroupId"]
refused(UNSUPPORTED, EC2.authorize_security_group_ingress, GroupId=group, SourceSecurityGroupName="other")
print("done")
