"""What stands in an account of Amazon's APIs, as JSON: `make` makes one of everything before, `look` only looks.

Its environment says where the account is, as for boto3_client.py.
"""

import json
import sys

import boto3

EC2 = boto3.client("ec2")
ROUTE53 = boto3.client("route53")
SSM = boto3.client("ssm")
SOON = {"Delay": 1, "MaxAttempts": 120}


def make():
    names = [{"Name": "name", "Values": ["debian-12-*"]}]
    base = EC2.describe_images(Owners=["136693071363"], Filters=names)["Images"][0]["ImageId"]
    EC2.create_key_pair(KeyName="one", KeyType="ed25519")
    group = EC2.create_security_group(GroupName="web", Description="for the web")["GroupId"]
    permission = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    EC2.authorize_security_group_ingress(GroupId=group, IpPermissions=[permission])
    launched = EC2.run_instances(
        ImageId=base,
        MinCount=2,
        MaxCount=2,
        KeyName="one",
        SecurityGroupIds=[group],
        ClientToken="one",
        TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "role", "Value": "web"}]}],
    )["Instances"]
    first, second = (instance["InstanceId"] for instance in launched)
    EC2.get_waiter("instance_running").wait(InstanceIds=[first, second], WaiterConfig=SOON)
    EC2.associate_address(AllocationId=EC2.allocate_address()["AllocationId"], InstanceId=first)
    EC2.stop_instances(InstanceIds=[second])
    EC2.get_waiter("instance_stopped").wait(InstanceIds=[second], WaiterConfig=SOON)
    image = EC2.create_image(InstanceId=second, Name="app")["ImageId"]
    EC2.get_waiter("image_available").wait(ImageIds=[image], WaiterConfig=SOON)
    zone = ROUTE53.create_hosted_zone(Name="example.test", CallerReference="one")["HostedZone"]["Id"]
    record = {"Name": "www.example.test", "Type": "A", "TTL": 60, "ResourceRecords": [{"Value": "192.0.2.1"}]}
    changes = {"Changes": [{"Action": "CREATE", "ResourceRecordSet": record}]}
    ROUTE53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch=changes)
    SSM.put_parameter(Name="/remint/marker", Value="one", Type="String")


def look():
    zones = ROUTE53.list_hosted_zones()
    answers = [
        EC2.describe_instances(),
        EC2.describe_addresses(),
        EC2.describe_images(Owners=["self"]),
        EC2.describe_snapshots(OwnerIds=["self"]),
        EC2.describe_security_groups(),
        EC2.describe_key_pairs(IncludePublicKey=True),
        EC2.describe_tags(),
        zones,
        ROUTE53.list_resource_record_sets(HostedZoneId=zones["HostedZones"][0]["Id"]),
        SSM.get_parameter(Name="/remint/marker"),
    ]
    for answer in answers:
        del answer["ResponseMetadata"]
    print(json.dumps(answers, default=str, indent=1, sort_keys=True))


if sys.argv[1] == "make":
    make()
look()
