"""boto3: an application and a network load balancer over instances, with the waiters of the SDK."""

import os
import urllib.error
import urllib.request

import boto3
import dns.resolver
from balanced import SAYS, wait
from boto3_refused import refused

EC2, ELB, ROUTE53 = boto3.client("ec2"), boto3.client("elbv2"), boto3.client("route53")
IMAGE = EC2.describe_images(Owners=["136693071363"])["Images"][0]["ImageId"]
SUBNETS = EC2.describe_subnets()["Subnets"]
VPC = SUBNETS[0]["VpcId"]
SOON = {"Delay": 0.1, "MaxAttempts": 600}
INVALID = "ValidationError"


def addresses(name):
    """What the sandbox's DNS server has of a name, and for how long."""
    resolver = dns.resolver.Resolver(configure=False)
    host, port = os.environ["REMINT_SANDBOX_DNS"].rsplit(":", 1)
    resolver.nameservers, resolver.port = [host], int(port)
    try:
        answer = resolver.resolve(name, "A")
    except (dns.resolver.NoAnswer, dns.resolver.NXDOMAIN, dns.resolver.NoNameservers):
        return [], None
    return [record.to_text() for record in answer], answer.rrset.ttl


def ask(address, port=20080):
    """What a load balancer answers; its ports below 1024 are moved."""
    try:
        with urllib.request.urlopen(f"http://{address}:{port}/", timeout=10) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code


def launch(count):
    request = {"ImageId": IMAGE, "InstanceType": "t3.small", "MinCount": count, "MaxCount": count, "UserData": SAYS}
    made = [instance["InstanceId"] for instance in EC2.run_instances(**request)["Instances"]]
    EC2.get_waiter("instance_running").wait(InstanceIds=made, WaiterConfig=SOON)
    return made


def health(group, *ids):
    """The states of targets, with their reasons."""
    named = {"Targets": [{"Id": one} for one in ids]} if ids else {}
    found = ELB.describe_target_health(TargetGroupArn=group, **named)["TargetHealthDescriptions"]
    return {one["Target"]["Id"]: (one["TargetHealth"]["State"], one["TargetHealth"].get("Reason")) for one in found}


def interface(name):
    filters = [{"Name": "description", "Values": [f"ELB {name}"]}]
    return EC2.describe_network_interfaces(Filters=filters)["NetworkInterfaces"]


GUARD = EC2.create_security_group(GroupName="front", Description="front", VpcId=VPC)["GroupId"]
TWO = [subnet["SubnetId"] for subnet in SUBNETS[:2]]
FRONT = {"Name": "front", "Subnets": TWO, "SecurityGroups": [GUARD], "Tags": [{"Key": "role", "Value": "front"}]}
refused("InvalidConfigurationRequest", ELB.create_load_balancer, Name="front", Subnets=TWO[:1])
refused("SubnetNotFound", ELB.create_load_balancer, Name="front", Subnets=["subnet-00000000", *TWO])
refused("InvalidSecurityGroup", ELB.create_load_balancer, Name="front", Subnets=TWO, SecurityGroups=["sg-00000000"])
refused(INVALID, ELB.create_load_balancer, Name="-front", Subnets=TWO)
refused("UnsupportedOperation", ELB.create_load_balancer, Name="front", Subnets=TWO, Scheme="internal")
made = ELB.create_load_balancer(**FRONT)["LoadBalancers"][0]
BALANCER, NAME = made["LoadBalancerArn"], made["DNSName"]
assert made["State"]["Code"] in ("provisioning", "active") and made["Type"] == "application", made
assert {zone["SubnetId"] for zone in made["AvailabilityZones"]} == set(TWO), made
assert ELB.create_load_balancer(**FRONT)["LoadBalancers"][0]["LoadBalancerArn"] == BALANCER
refused("DuplicateLoadBalancerName", ELB.create_load_balancer, Name="front", Subnets=TWO)
ELB.get_waiter("load_balancer_available").wait(LoadBalancerArns=[BALANCER], WaiterConfig=SOON)
assert ELB.describe_load_balancers(Names=["front"])["LoadBalancers"][0]["VpcId"] == VPC
refused("LoadBalancerNotFound", ELB.describe_load_balancers, Names=["front", "back"])
[nic] = interface("app/front/" + BALANCER.rsplit("/", 1)[1])
ADDRESS = nic["Association"]["PublicIp"]
assert nic["RequesterManaged"] and nic["Groups"][0]["GroupId"] == GUARD, nic
assert interface("app/front/*") == [nic] and interface("app/fron") == [], nic
assert addresses(NAME) == ([ADDRESS], 60), addresses(NAME)
refused("DependencyViolation", EC2.delete_security_group, GroupId=GUARD)

CHECK = {"HealthCheckPath": "/", "HealthCheckIntervalSeconds": 5, "HealthCheckTimeoutSeconds": 2}
WEB = {"Name": "web", "Protocol": "HTTP", "Port": 8080, "VpcId": VPC, **CHECK}
group = ELB.create_target_group(**WEB)["TargetGroups"][0]
GROUP = group["TargetGroupArn"]
assert group["HealthCheckPort"] == "traffic-port" and group["Matcher"] == {"HttpCode": "200"}, group
assert ELB.create_target_group(**WEB)["TargetGroups"][0]["TargetGroupArn"] == GROUP
refused("DuplicateTargetGroupName", ELB.create_target_group, **{**WEB, "Port": 8081})
changed = ELB.modify_target_group(TargetGroupArn=GROUP, UnhealthyThresholdCount=3)["TargetGroups"][0]
assert changed["UnhealthyThresholdCount"] == 3 and changed["HealthCheckIntervalSeconds"] == 5, changed
delay = [{"Key": "deregistration_delay.timeout_seconds", "Value": "20"}]
set_to = ELB.modify_target_group_attributes(TargetGroupArn=GROUP, Attributes=delay)["Attributes"]
assert delay[0] in set_to and delay[0] in ELB.describe_target_group_attributes(TargetGroupArn=GROUP)["Attributes"]

one, two = launch(2)
stopped = launch(1)[0]
TARGETS = [{"Id": one}, {"Id": two}]
refused("InvalidTarget", ELB.register_targets, TargetGroupArn=GROUP, Targets=[{"Id": "i-00000000"}])
ELB.register_targets(TargetGroupArn=GROUP, Targets=[*TARGETS, {"Id": stopped}])
assert health(GROUP, one) == {one: ("unused", "Target.NotInUse")}, health(GROUP)
EC2.stop_instances(InstanceIds=[stopped])
EC2.get_waiter("instance_stopped").wait(InstanceIds=[stopped], WaiterConfig=SOON)
FORWARD = [{"Type": "forward", "TargetGroupArn": GROUP}]
HTTP = {"LoadBalancerArn": BALANCER, "Protocol": "HTTP", "Port": 80, "DefaultActions": FORWARD}
certificate = [{"CertificateArn": "arn:aws:acm:us-east-1:000000000000:certificate/x"}]
secure = {**HTTP, "Protocol": "HTTPS", "Port": 443}
refused("CertificateNotFound", ELB.create_listener, **secure, Certificates=certificate)
refused(INVALID, ELB.create_listener, **secure)
refused(INVALID, ELB.create_listener, **{**HTTP, "Protocol": "TCP"})
LISTENER = ELB.create_listener(**HTTP)["Listeners"][0]["ListenerArn"]
assert ELB.create_listener(**HTTP)["Listeners"][0]["ListenerArn"] == LISTENER
ELB.get_waiter("target_in_service").wait(TargetGroupArn=GROUP, Targets=TARGETS, WaiterConfig=SOON)
assert health(GROUP, stopped) == {stopped: ("unused", "Target.InvalidState")}, health(GROUP)
assert health(GROUP, one) == {one: ("healthy", None)}, health(GROUP)
answers = {ask(ADDRESS) for _ in range(10)}
assert len(answers) == 2 and 503 not in answers, answers
refused("InvalidTarget", ELB.register_targets, TargetGroupArn=GROUP, Targets=[{"Id": stopped}])
ELB.deregister_targets(TargetGroupArn=GROUP, Targets=[{"Id": stopped}])
refused("ResourceInUse", ELB.delete_target_group, TargetGroupArn=GROUP)
assert ELB.describe_target_groups(LoadBalancerArn=BALANCER)["TargetGroups"][0]["LoadBalancerArns"] == [BALANCER]

# A second listener on the same targets, which moves to another port.
further = ELB.create_listener(**{**HTTP, "Port": 8081})["Listeners"][0]["ListenerArn"]
ELB.modify_listener(ListenerArn=further, Port=8082)
refused("DuplicateListener", ELB.modify_listener, ListenerArn=further, Port=80)
pages = ELB.get_paginator("describe_listeners").paginate(LoadBalancerArn=BALANCER, PaginationConfig={"PageSize": 1})
assert [page["Listeners"][0]["Port"] for page in pages] == [80, 8082]


def answers_at(port):
    try:
        return ask(ADDRESS, port) in answers
    except OSError:
        return False


wait("the other listener", lambda: answers_at(8082))
ELB.delete_listener(ListenerArn=further)
wait("the other listener to go", lambda: not answers_at(8082))

# An alias of Route 53 leads to it.
zone = ROUTE53.create_hosted_zone(Name="example.test", CallerReference="one")["HostedZone"]["Id"]


def change(action, name=NAME, target=None):
    alias = {"HostedZoneId": target or made["CanonicalHostedZoneId"], "DNSName": name, "EvaluateTargetHealth": False}
    set_ = {"Name": "example.test.", "Type": "A", "AliasTarget": alias}
    batch = {"Changes": [{"Action": action, "ResourceRecordSet": set_}]}
    return ROUTE53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch=batch)


refused("InvalidChangeBatch", change, action="CREATE", target="Z00000000000000000000")
refused("InvalidChangeBatch", change, action="CREATE", name="other-1.us-east-1.elb.amazonaws.com")
change("UPSERT")
[shown] = [one for one in ROUTE53.list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"] if "AliasTarget" in one]
assert shown["AliasTarget"]["DNSName"] == NAME + "." and "TTL" not in shown and "ResourceRecords" not in shown, shown
wait("the alias", lambda: addresses("example.test") == ([ADDRESS], 60))

# One leaves, and no request is lost.
ELB.deregister_targets(TargetGroupArn=GROUP, Targets=[{"Id": two}])
ELB.deregister_targets(TargetGroupArn=GROUP, Targets=[{"Id": two}])
ELB.get_waiter("target_deregistered").wait(TargetGroupArn=GROUP, Targets=[{"Id": two}], WaiterConfig=SOON)
assert health(GROUP, two) == {two: ("unused", "Target.NotRegistered")}, health(GROUP)
assert set(health(GROUP)) == {one}
answers = {ask(ADDRESS) for _ in range(10)}
assert len(answers) == 1 and 503 not in answers, answers

# Tags of each kind of resource.
ELB.add_tags(ResourceArns=[BALANCER, GROUP, LISTENER], Tags=[{"Key": "a", "Value": "b"}])
ELB.remove_tags(ResourceArns=[GROUP], TagKeys=["a"])
tags = ELB.describe_tags(ResourceArns=[BALANCER, GROUP, LISTENER])["TagDescriptions"]
tags = [{tag["Key"]: tag["Value"] for tag in resource["Tags"]} for resource in tags]
assert tags == [{"role": "front", "a": "b"}, {}, {"a": "b"}], tags
refused("TargetGroupNotFound", ELB.describe_tags, ResourceArns=[GROUP + "0"])
assert {limit["Name"]: limit["Max"] for limit in ELB.describe_account_limits()["Limits"]}["target-groups"] == "3000"
refused("InvalidAction", ELB.describe_rules, ListenerArn=LISTENER)
refused("UnsupportedOperation", ELB.modify_load_balancer_attributes, LoadBalancerArn=BALANCER,
        Attributes=[{"Key": "access_logs.s3.enabled", "Value": "true"}])
protect = {"Key": "deletion_protection.enabled", "Value": "true"}
ELB.modify_load_balancer_attributes(LoadBalancerArn=BALANCER, Attributes=[protect])
assert protect in ELB.describe_load_balancer_attributes(LoadBalancerArn=BALANCER)["Attributes"]
refused("OperationNotPermitted", ELB.delete_load_balancer, LoadBalancerArn=BALANCER)
ELB.modify_load_balancer_attributes(LoadBalancerArn=BALANCER, Attributes=[{**protect, "Value": "false"}])
other = EC2.create_security_group(GroupName="other", Description="other", VpcId=VPC)["GroupId"]
assert ELB.set_security_groups(LoadBalancerArn=BALANCER, SecurityGroups=[other])["SecurityGroupIds"] == [other]
EC2.delete_security_group(GroupId=GUARD)
three = [subnet["SubnetId"] for subnet in SUBNETS]
zones = ELB.set_subnets(LoadBalancerArn=BALANCER, Subnets=three)["AvailabilityZones"]
assert {zone["SubnetId"] for zone in zones} == set(three), zones

# A network load balancer has target groups of its own.
net = ELB.create_load_balancer(Name="net", Type="network", SubnetMappings=[{"SubnetId": TWO[0]}])["LoadBalancers"][0]
NET = net["LoadBalancerArn"]
refused("InvalidConfigurationRequest", ELB.set_security_groups, LoadBalancerArn=NET, SecurityGroups=[other])
tcp = ELB.create_target_group(Name="tcp", Protocol="TCP", Port=8080, VpcId=VPC, HealthCheckIntervalSeconds=10,
                              HealthyThresholdCount=2)["TargetGroups"][0]["TargetGroupArn"]
through = {"LoadBalancerArn": NET, "Protocol": "TCP", "Port": 80}
refused("IncompatibleProtocols", ELB.create_listener, **through, DefaultActions=FORWARD)
ELB.create_listener(**through, DefaultActions=[{"Type": "forward", "TargetGroupArn": tcp}])
ELB.register_targets(TargetGroupArn=tcp, Targets=TARGETS)
ELB.get_waiter("load_balancer_available").wait(LoadBalancerArns=[NET], WaiterConfig=SOON)
ELB.get_waiter("target_in_service").wait(TargetGroupArn=tcp, WaiterConfig=SOON)
[nic] = interface("net/net/*")
assert nic["InterfaceType"] == "network_load_balancer" and len({ask(nic["Association"]["PublicIp"]) for _ in range(10)}) == 2
EC2.terminate_instances(InstanceIds=[two])
EC2.get_waiter("instance_terminated").wait(InstanceIds=[two], WaiterConfig=SOON)
assert set(health(tcp)) == {one}, health(tcp)

# All of it goes.
for balancer in (BALANCER, NET):
    ELB.delete_load_balancer(LoadBalancerArn=balancer)
    ELB.delete_load_balancer(LoadBalancerArn=balancer)
ELB.get_waiter("load_balancers_deleted").wait(LoadBalancerArns=[BALANCER, NET], WaiterConfig=SOON)
wait("the alias to lead nowhere", lambda: addresses("example.test") == ([], None))
wait("the name to be gone", lambda: addresses(NAME) == ([], None))
change("DELETE")
refused("ListenerNotFound", ELB.describe_listeners, ListenerArns=[LISTENER])
for arn in (GROUP, tcp, tcp):
    ELB.delete_target_group(TargetGroupArn=arn)
assert ELB.describe_target_groups()["TargetGroups"] == []
wait("the interfaces to go", lambda: not interface("*"))


def removed():
    """Whether the security group can go."""
    try:
        return EC2.delete_security_group(GroupId=other)
    except EC2.exceptions.ClientError as error:
        assert error.response["Error"]["Code"] == "DependencyViolation", error
        return None


wait("the security group to be free", removed)
print("done")
