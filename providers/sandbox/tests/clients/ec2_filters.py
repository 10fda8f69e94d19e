"""boto3: each filter that EC2 documents is answered, or refused as one that the sandbox does not have; others are not valid."""

import re

import boto3
from botocore import xform_name
from botocore.exceptions import ClientError

EC2 = boto3.client("ec2")
SSM = boto3.client("ssm")
MODEL = EC2.meta.service_model
SOON = {"Delay": 1, "MaxAttempts": 60}
# The documentation lists the values of one filter as it lists filters.
VALUES = {"informational", "low", "medium", "high", "critical"}


def outcome(operation, name, value="x", **more):
    """What a filter leads to: the answer, or the code of the error."""
    try:
        return getattr(EC2, xform_name(operation))(Filters=[{"Name": name, "Values": [value]}], **more)
    except ClientError as error:
        return error.response["Error"]["Code"]


def documented(operation):
    """The names of filters that the SDK's documentation of an operation lists."""
    shape = MODEL.operation_model(operation).input_shape
    if shape is None or shape.required_members or "Filters" not in shape.members:
        return []
    names = []
    for item in re.findall(r"<li>\s*<p>(.*?)</p>", shape.members["Filters"].documentation, re.S):
        head = re.split(r"\s[-–]\s", item)
        found = re.findall(r"<code>([a-zA-Z0-9.-]+)</code>", head[0]) if len(head) > 1 else []
        names += [name for name in found if not name.startswith("tag")]
    return [name for name in names if name not in VALUES]


asked = 0
for operation in MODEL.operation_names:
    names = documented(operation)
    if not names or outcome(operation, "tag:role") == "InvalidAction":
        continue
    for name in names:
        found = outcome(operation, name)
        assert isinstance(found, dict) or found == "UnsupportedOperation", f"{operation} {name}: {found}"
        asked += 1
    assert outcome(operation, "colour") == "InvalidParameterValue", operation
assert asked > 400, asked

# Those that are answered are right.
IMAGE = EC2.describe_images(Owners=["136693071363"])["Images"][0]["ImageId"]
launched = EC2.run_instances(
    # The image that a parameter names, and a version of a parameter of one's own.
    ImageId="resolve:ssm:/aws/service/debian/release/12/latest/amd64",
    InstanceType="t3.small",
    MinCount=1,
    MaxCount=1,
    Monitoring={"Enabled": True},
    UserData="#cloud-config\n{}\n",
)["Instances"][0]
EC2.get_waiter("instance_running").wait(InstanceIds=[launched["InstanceId"]], WaiterConfig=SOON)
interface = launched["NetworkInterfaces"][0]
for operation, name, value, other in [
    ("DescribeInstances", "monitoring-state", "enabled", "disabled"),
    ("DescribeInstances", "availability-zone-id", "use1-az1", "use1-az2"),
    ("DescribeInstances", "network-interface.private-ip-address", launched["PrivateIpAddress"], "10.0.0.1"),
    ("DescribeInstances", "network-interface.group-name", "default", "web"),
    ("DescribeInstances", "tenancy", "default", "host"),
    ("DescribeInstanceStatus", "instance-status.status", "ok", "impaired"),
    ("DescribeImages", "block-device-mapping.volume-type", "gp3", "io1"),
    ("DescribeImages", "boot-mode", "uefi-preferred", "uefi"),
    ("DescribeVolumes", "attachment.device", "/dev/xvda", "/dev/xvdb"),
    ("DescribeVolumes", "encrypted", "false", "true"),
    ("DescribeNetworkInterfaces", "mac-address", interface["MacAddress"], "00:00:00:00:00:00"),
    ("DescribeNetworkInterfaces", "attachment.status", "attached", "detached"),
    ("DescribeSubnets", "availability-zone-id", "use1-az1", "use1-az9"),
    ("DescribeVpcs", "cidr-block-association.cidr-block", "172.31.0.0/16", "10.0.0.0/8"),
    ("DescribeSecurityGroups", "egress.ip-permission.cidr", "0.0.0.0/0", "10.0.0.0/8"),
    ("DescribeSecurityGroups", "ip-permission.protocol", "-1", "tcp"),
    ("DescribeInstanceTypes", "supported-boot-mode", "uefi", "none"),
]:
    for text, full in [(value, True), (other, False)]:
        answer = outcome(operation, name, text)
        [items] = [found for found in answer.values() if isinstance(found, list)]
        assert bool(items) == full, f"{operation} {name}={text}: {items}"

assert launched["ImageId"] == IMAGE, launched
SSM.put_parameter(Name="/web/image", Value=IMAGE, Type="String")
request = {"InstanceType": "t3.small", "MinCount": 1, "MaxCount": 1}
named = EC2.run_instances(ImageId="resolve:ssm:/web/image:1", **request)["Instances"][0]
assert named["ImageId"] == IMAGE, named
for wrong in ["/web/image:2", "/web/other"]:
    try:
        EC2.run_instances(ImageId=f"resolve:ssm:{wrong}", **request)
    except ClientError as error:
        assert wrong in error.response["Error"]["Message"], error
    else:
        raise AssertionError(f"launched from {wrong}")

# What no image and no instance has.
for operation, of in [
    ("describe_instance_attribute", {"InstanceId": named["InstanceId"]}),
    ("describe_volume_attribute", {"VolumeId": EC2.describe_volumes()["Volumes"][0]["VolumeId"]}),
]:
    assert getattr(EC2, operation)(Attribute="productCodes", **of)["ProductCodes"] == []
print("done")
