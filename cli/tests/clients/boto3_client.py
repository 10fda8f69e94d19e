"""Amazon's own Python client, from a key pair to the last record; ends with "boto3: done" when all went as it should.

AWS_ENDPOINT_URL, AWS_REGION and the access key's two variables say where the account is; it must be empty. Every answer is
held against the service models that the client brings: an element that a model does not know, or a value of another type,
fails the run.
"""

import base64
import datetime
import os
import pathlib
import subprocess
import tempfile
import time
import xml.etree.ElementTree as ElementTree

import boto3
import dateutil.parser
from botocore.config import Config
from botocore.exceptions import ClientError

CONFIG = Config(retries={"total_max_attempts": 1})
# A wait looks often: nothing takes long here.
SOON = {"Delay": 1, "MaxAttempts": 120}
PATIENCE = 120
CHECKED = set()


def held_against_the_model(http_response, model, **_):
    """Fails for an answer that the service's model does not know."""
    output = model.output_shape
    if http_response.status_code >= 300 or output is None or model.metadata["protocol"] == "json":
        return
    root = ElementTree.fromstring(http_response.content)
    for element in root.iter():
        element.tag = element.tag.split("}")[-1]
    wrapper = output.serialization.get("resultWrapper")
    top = root.find(wrapper) if wrapper else root
    known(top, output, model.name, {"requestId", "return", "ResponseMetadata"})
    CHECKED.add(model.name)


def known(element, shape, path, extra=frozenset()):
    if shape.type_name == "structure":
        names = {member.serialization.get("name", name): member for name, member in shape.members.items()}
        for child in element:
            assert child.tag in names or child.tag in extra, f"{path}: the model knows no <{child.tag}>"
            if child.tag in names:
                known(child, names[child.tag], f"{path}.{child.tag}")
    elif shape.type_name == "list":
        item = shape.member.serialization.get("name", "member")
        for child in element:
            assert child.tag == item, f"{path}: <{child.tag}> where <{item}> is expected"
            known(child, shape.member, f"{path}[]")
    elif shape.type_name in ("integer", "long"):
        int(element.text)
    elif shape.type_name == "boolean":
        assert element.text in ("true", "false"), f"{path}: {element.text}"
    elif shape.type_name == "timestamp":
        assert dateutil.parser.isoparse(element.text).tzinfo, f"{path}: {element.text}"
    elif shape.type_name == "string" and shape.enum and element.text:
        assert element.text in shape.enum, f"{path}: {element.text} is none of the model's values"


def client(service, **more):
    made = boto3.client(service, region_name=os.environ["AWS_REGION"], config=CONFIG, **more)
    made.meta.events.register("after-call", held_against_the_model)
    return made


EC2 = client("ec2")
ROUTE53 = client("route53")
SSM = client("ssm")
STS = client("sts")


def refused(code, call, **parameters):
    """The message of a call that must be refused with this code."""
    try:
        answer = call(**parameters)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error
        assert error.response["ResponseMetadata"]["RequestId"], error.response
        return error.response["Error"]["Message"]
    raise AssertionError(f"not refused: {answer}")


def wait(what, observe):
    """Waits until something is there, and returns it."""
    deadline = time.monotonic() + PATIENCE
    while True:
        found = observe()
        if found:
            return found
        assert time.monotonic() < deadline, f"timed out waiting for {what}"
        time.sleep(0.05)


def moved(port):
    through = int(os.environ["REMINT_SANDBOX_PORT_THROUGH"])
    return port + int(os.environ["REMINT_SANDBOX_PORT_OFFSET"]) if port <= through else port


def tagged(kind, **tags):
    return [{"ResourceType": kind, "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}]


class Login:
    """SSH to machines as root."""

    def __init__(self, folder, private):
        self.key = folder / "key"
        self.known = folder / "known_hosts"
        self.key.touch(mode=0o600)
        self.key.write_text(private)

    def run(self, address, command):
        # Each machine makes its own host key at its first boot, and an address moves from one to another.
        self.known.unlink(missing_ok=True)
        options = ["StrictHostKeyChecking=accept-new", f"UserKnownHostsFile={self.known}", "BatchMode=yes"]
        line = ["ssh", "-i", str(self.key), "-p", str(moved(22)), f"root@{address}", command]
        for option in options:
            line[1:1] = ["-o", option]

        def once():
            done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
            return [done.stdout] if done.returncode == 0 else None

        return wait(f"{command} at {address}", once)[0]


def account():
    identity = STS.get_caller_identity()
    assert len(identity["Account"]) == 12 and identity["Account"] in identity["Arn"], identity
    stranger = client("sts", aws_access_key_id="AKIASTRANGER", aws_secret_access_key="x")
    refused("InvalidClientTokenId", stranger.get_caller_identity)
    forger = client("ec2", aws_access_key_id=os.environ["AWS_ACCESS_KEY_ID"], aws_secret_access_key="x")
    refused("SignatureDoesNotMatch", forger.describe_regions)
    regions = [region["RegionName"] for region in EC2.describe_regions()["Regions"]]
    assert os.environ["AWS_REGION"] in regions, regions
    zones = EC2.describe_availability_zones()["AvailabilityZones"]
    assert all(zone["State"] == "available" for zone in zones) and zones, zones
    types = EC2.describe_instance_types(InstanceTypes=["t3.small"])["InstanceTypes"]
    assert types[0]["MemoryInfo"]["SizeInMiB"] == 2048, types
    offered = EC2.describe_instance_type_offerings(Filters=[{"Name": "instance-type", "Values": ["t3.*"]}])
    assert len(offered["InstanceTypeOfferings"]) == 4, offered
    assert EC2.describe_account_attributes()["AccountAttributes"]
    name = "/aws/service/debian/release/12/latest/amd64"
    public = SSM.get_parameter(Name=name)["Parameter"]["Value"]
    found = EC2.describe_images(
        Owners=["136693071363"],
        Filters=[
            {"Name": "name", "Values": ["debian-12-amd64-*"]},
            {"Name": "state", "Values": ["available"]},
            {"Name": "architecture", "Values": ["x86_64"]},
        ],
    )["Images"]
    assert [image["ImageId"] for image in found] == [public], found
    return public


def parameters():
    name = "/remint/marker"
    refused("ParameterNotFound", SSM.get_parameter, Name=name)
    assert SSM.put_parameter(Name=name, Value="one", Type="String")["Version"] == 1
    refused("ParameterAlreadyExists", SSM.put_parameter, Name=name, Value="two", Type="String")
    assert SSM.put_parameter(Name=name, Value="two", Type="String", Overwrite=True)["Version"] == 2
    parameter = SSM.get_parameter(Name=name)["Parameter"]
    assert parameter["Value"] == "two" and isinstance(parameter["LastModifiedDate"], datetime.datetime), parameter
    SSM.delete_parameter(Name=name)
    refused("ParameterNotFound", SSM.delete_parameter, Name=name)


def network():
    vpc = EC2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"][0]["VpcId"]
    subnets = EC2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["Subnets"]
    assert all(subnet["DefaultForAz"] for subnet in subnets) and len(subnets) == 3, subnets
    group = EC2.create_security_group(
        GroupName="web", Description="for the web", VpcId=vpc, TagSpecifications=tagged("security-group", role="web")
    )["GroupId"]
    permission = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    rules = EC2.authorize_security_group_ingress(GroupId=group, IpPermissions=[permission])["SecurityGroupRules"]
    assert rules[0]["CidrIpv4"] == "0.0.0.0/0", rules
    refused("InvalidPermission.Duplicate", EC2.authorize_security_group_ingress, GroupId=group, IpPermissions=[permission])
    described = EC2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]
    assert described["IpPermissions"][0]["FromPort"] == 22, described
    return group, subnets[1]["SubnetId"]


def keys(folder):
    made = EC2.create_key_pair(KeyName="one", KeyType="ed25519", TagSpecifications=tagged("key-pair", role="web"))
    public = EC2.describe_key_pairs(KeyNames=["one"], IncludePublicKey=True)["KeyPairs"][0]["PublicKey"]
    refused("InvalidKeyPair.Duplicate", EC2.import_key_pair, KeyName="one", PublicKeyMaterial=public.encode())
    EC2.import_key_pair(KeyName="two", PublicKeyMaterial=public.encode())
    EC2.delete_key_pair(KeyName="two")
    return Login(folder, made["KeyMaterial"])


def launch(image, **more):
    request = {"ImageId": image, "InstanceType": "t3.small", "MinCount": 1, "MaxCount": 1, "KeyName": "one", **more}
    return EC2.run_instances(**request)["Instances"][0]["InstanceId"]


def instance(number):
    return EC2.describe_instances(InstanceIds=[number])["Reservations"][0]["Instances"][0]


def running(number):
    EC2.get_waiter("instance_running").wait(InstanceIds=[number], WaiterConfig=SOON)
    EC2.get_waiter("instance_status_ok").wait(InstanceIds=[number], WaiterConfig=SOON)


def instances(image, group, subnet, login):
    user_data = "#cloud-config\nwrite_files:\n- path: /opt/greeting\n  content: hello from user data\n"
    request = {
        "UserData": user_data,
        "ClientToken": "the-first",
        "TagSpecifications": tagged("instance", role="web", Name="first") + tagged("volume", role="web"),
        "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 2},
        "NetworkInterfaces": [
            {"DeviceIndex": 0, "SubnetId": subnet, "Groups": [group], "AssociatePublicIpAddress": True}
        ],
        "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 12, "VolumeType": "gp3"}}],
        "InstanceInitiatedShutdownBehavior": "stop",
    }
    first = launch(image, **request)
    assert launch(image, **request) == first, "a token gives the same instance again"
    refused("IdempotentParameterMismatch", launch, image=image, **{**request, "InstanceType": "t3.nano"})
    running(first)
    found = instance(first)
    assert found["MetadataOptions"]["HttpTokens"] == "required", found
    assert {group["GroupId"] for group in found["SecurityGroups"]} == {group}, found
    assert {tag["Key"]: tag["Value"] for tag in found["Tags"]} == {"role": "web", "Name": "first"}, found
    assert login.run(found["PublicIpAddress"], "cat /opt/greeting").strip() == "hello from user data"
    volume = EC2.describe_volumes(VolumeIds=[found["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]])["Volumes"][0]
    assert (volume["Size"], volume["State"]) == (12, "in-use"), volume
    console = EC2.get_console_output(InstanceId=first)["Output"]
    assert "login:" in console, console
    assert base64.b64encode(console.encode())
    interfaces = EC2.describe_network_interfaces(Filters=[{"Name": "attachment.instance-id", "Values": [first]}])
    assert interfaces["NetworkInterfaces"][0]["Status"] == "in-use", interfaces

    EC2.create_tags(Resources=[first], Tags=[{"Key": "odd", "Value": "<&\" \u00e9>"}])
    tags = EC2.describe_tags(Filters=[{"Name": "resource-id", "Values": [first]}])["Tags"]
    assert {tag["Key"]: tag["Value"] for tag in tags}["odd"] == "<&\" \u00e9>", tags
    EC2.delete_tags(Resources=[first], Tags=[{"Key": "odd"}])
    refused("InvalidInstanceID.NotFound", EC2.describe_instances, InstanceIds=["i-0123456789abcdef0"])
    refused("InvalidAMIID.NotFound", launch, image="ami-0123456789abcdef0")
    return first


def images(first, login):
    login.run(instance(first)["PublicIpAddress"], "echo baked > /opt/baked")
    EC2.stop_instances(InstanceIds=[first])
    EC2.get_waiter("instance_stopped").wait(InstanceIds=[first], WaiterConfig=SOON)
    image = EC2.create_image(
        InstanceId=first, Name="app 1", TagSpecifications=tagged("image", role="web") + tagged("snapshot", role="web")
    )["ImageId"]
    EC2.get_waiter("image_available").wait(ImageIds=[image], WaiterConfig=SOON)
    refused("InvalidAMIName.Duplicate", EC2.create_image, InstanceId=first, Name="app 1")
    own = EC2.describe_images(Owners=["self"], Filters=[{"Name": "tag:role", "Values": ["web"]}])["Images"]
    assert [one["ImageId"] for one in own] == [image], own
    snapshot = own[0]["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    EC2.get_waiter("snapshot_completed").wait(SnapshotIds=[snapshot], WaiterConfig=SOON)
    refused("InvalidSnapshot.InUse", EC2.delete_snapshot, SnapshotId=snapshot)

    elsewhere = boto3.client("ec2", region_name="eu-central-1", config=CONFIG)
    copy = elsewhere.copy_image(SourceImageId=image, SourceRegion=os.environ["AWS_REGION"], Name="app 1")["ImageId"]
    elsewhere.get_waiter("image_available").wait(ImageIds=[copy], WaiterConfig=SOON)
    elsewhere.deregister_image(ImageId=copy, DeleteAssociatedSnapshots=True)

    second = launch(image, TagSpecifications=tagged("instance", role="web"))
    running(second)
    address = instance(second)["PublicIpAddress"]
    assert login.run(address, "cat /opt/baked").strip() == "baked"
    EC2.start_instances(InstanceIds=[first])
    running(first)
    return image, snapshot, second


def addresses(first, second, login):
    allocated = EC2.allocate_address(Domain="vpc", TagSpecifications=tagged("elastic-ip", role="web"))
    allocation, ip = allocated["AllocationId"], allocated["PublicIp"]
    EC2.associate_address(AllocationId=allocation, InstanceId=first)
    names = {number: instance(number)["PrivateIpAddress"].replace(".", "-") for number in (first, second)}
    assert names[first] in login.run(ip, "hostname")
    refused("Resource.AlreadyAssociated", EC2.associate_address, AllocationId=allocation, InstanceId=second)
    EC2.associate_address(AllocationId=allocation, InstanceId=second, AllowReassociation=True)
    assert names[second] in login.run(ip, "hostname"), "the address is at the other instance when the call returns"
    found = EC2.describe_addresses(Filters=[{"Name": "instance-id", "Values": [second]}])["Addresses"]
    assert [address["PublicIp"] for address in found] == [ip], found
    assert instance(second)["PublicIpAddress"] == ip and instance(first)["PublicIpAddress"] != ip
    refused("InvalidIPAddress.InUse", EC2.release_address, AllocationId=allocation)
    EC2.disassociate_address(AssociationId=found[0]["AssociationId"])
    EC2.release_address(AllocationId=allocation)
    assert EC2.describe_addresses()["Addresses"] == []


def records():
    made = ROUTE53.create_hosted_zone(Name="example.test", CallerReference="one", HostedZoneConfig={"Comment": "c"})
    zone = made["HostedZone"]["Id"]
    refused("HostedZoneAlreadyExists", ROUTE53.create_hosted_zone, Name="example.test", CallerReference="one")
    listed = ROUTE53.list_hosted_zones_by_name(DNSName="example.test.")["HostedZones"]
    assert [one["Id"] for one in listed] == [zone], listed
    assert ROUTE53.get_hosted_zone(Id=zone)["DelegationSet"]["NameServers"]

    def change(action, name, kind, values):
        answer = ROUTE53.change_resource_record_sets(
            HostedZoneId=zone,
            ChangeBatch={
                "Changes": [
                    {
                        "Action": action,
                        "ResourceRecordSet": {
                            "Name": name,
                            "Type": kind,
                            "TTL": 60,
                            "ResourceRecords": [{"Value": value} for value in values],
                        },
                    }
                ]
            },
        )
        assert answer["ChangeInfo"]["Status"] == "PENDING", answer
        waiter = ROUTE53.get_waiter("resource_record_sets_changed")
        waiter.wait(Id=answer["ChangeInfo"]["Id"], WaiterConfig=SOON)

    change("CREATE", "www.example.test", "A", ["192.0.2.1"])
    assert dig("www.example.test") == ["192.0.2.1"]
    again = {"action": "CREATE", "name": "www.example.test", "kind": "A", "values": ["192.0.2.1"]}
    assert "already exists" in refused("InvalidChangeBatch", change, **again)
    change("UPSERT", "www.example.test", "A", ["192.0.2.2", "192.0.2.3"])
    assert sorted(dig("www.example.test")) == ["192.0.2.2", "192.0.2.3"]
    change("UPSERT", "*.example.test", "TXT", ['"v=1; <&>"'])
    pages = ROUTE53.get_paginator("list_resource_record_sets").paginate(
        HostedZoneId=zone, PaginationConfig={"PageSize": 1}
    )
    names = [found["Name"] for page in pages for found in page["ResourceRecordSets"]]
    assert names == ["example.test.", "example.test.", "\\052.example.test.", "www.example.test."], names
    refused("HostedZoneNotEmpty", ROUTE53.delete_hosted_zone, Id=zone)
    change("DELETE", "www.example.test", "A", ["192.0.2.2", "192.0.2.3"])
    change("DELETE", "*.example.test", "TXT", ['"v=1; <&>"'])
    assert dig("www.example.test") == []
    ROUTE53.delete_hosted_zone(Id=zone)
    assert ROUTE53.list_hosted_zones()["HostedZones"] == []


def dig(name):
    host, port = os.environ["REMINT_SANDBOX_DNS"].rsplit(":", 1)
    line = ["dig", f"@{host}", "-p", port, "+short", name, "A"]
    return subprocess.run(line, capture_output=True, text=True, timeout=30, check=True).stdout.split()


def pages(image):
    many = [launch(image, TagSpecifications=tagged("instance", role="many")) for _ in range(7)]
    role = [{"Name": "tag:role", "Values": ["many"]}]
    found = EC2.get_paginator("describe_instances").paginate(Filters=role, PaginationConfig={"PageSize": 5})
    listed = [page["Reservations"] for page in found]
    assert [len(page) for page in listed] == [5, 2], listed
    assert {one["Instances"][0]["InstanceId"] for page in listed for one in page} == set(many)
    EC2.terminate_instances(InstanceIds=many)
    EC2.get_waiter("instance_terminated").wait(InstanceIds=many, WaiterConfig=SOON)


def main():
    with tempfile.TemporaryDirectory() as folder:
        base = account()
        parameters()
        group, subnet = network()
        login = keys(pathlib.Path(folder))
        first = instances(base, group, subnet, login)
        image, snapshot, second = images(first, login)
        EC2.reboot_instances(InstanceIds=[second])
        addresses(first, second, login)
        records()
        pages(image)
    EC2.terminate_instances(InstanceIds=[first, second])
    EC2.get_waiter("instance_terminated").wait(InstanceIds=[first, second], WaiterConfig=SOON)
    refused("IncorrectInstanceState", EC2.start_instances, InstanceIds=[first])
    EC2.deregister_image(ImageId=image)
    EC2.delete_snapshot(SnapshotId=snapshot)
    EC2.delete_security_group(GroupId=group)
    EC2.delete_key_pair(KeyName="one")
    assert EC2.describe_images(Owners=["self"])["Images"] == []
    assert EC2.describe_snapshots(OwnerIds=["self"])["Snapshots"] == []
    assert len(CHECKED) > 35, sorted(CHECKED)
    print("boto3: done")


main()
