"""boto3: what modules read of a hosted zone beside its records, and lists that can only be empty."""

import boto3
from boto3_refused import refused

ROUTE53 = boto3.client("route53")


assert ROUTE53.get_hosted_zone_count()["HostedZoneCount"] == 0
ZONE = ROUTE53.create_hosted_zone(Name="example.test", CallerReference="once")["HostedZone"]["Id"].split("/")[-1]
assert ROUTE53.get_hosted_zone_count()["HostedZoneCount"] == 1
signing = ROUTE53.get_dnssec(HostedZoneId=ZONE)
assert signing["Status"]["ServeSignature"] == "NOT_SIGNING" and signing["KeySigningKeys"] == [], signing
tags = ROUTE53.list_tags_for_resource(ResourceType="hostedzone", ResourceId=ZONE)["ResourceTagSet"]
assert tags == {"ResourceType": "hostedzone", "ResourceId": ZONE, "Tags": []}, tags
assert ROUTE53.list_vpc_association_authorizations(HostedZoneId=ZONE)["VPCs"] == []
for call in [ROUTE53.get_dnssec, ROUTE53.list_vpc_association_authorizations]:
    refused("NoSuchHostedZone", call, HostedZoneId="Z0000000000000")
refused("NoSuchHostedZone", ROUTE53.list_tags_for_resource, ResourceType="hostedzone", ResourceId="Z0")
for call, of in {
    "list_cidr_collections": {},
    "list_health_checks": {},
    "list_hosted_zones_by_vpc": {"VPCId": "vpc-0123456789abcdef0", "VPCRegion": "us-east-1"},
    "list_query_logging_configs": {},
    "list_reusable_delegation_sets": {},
    "list_traffic_policies": {},
    "list_traffic_policy_instances": {},
    "list_traffic_policy_instances_by_hosted_zone": {"HostedZoneId": ZONE},
}.items():
    answer = getattr(ROUTE53, call)(**of)
    lists = [value for value in answer.values() if isinstance(value, list)]
    assert lists == [[]], f"{call}: {answer}"
assert list(ROUTE53.get_paginator("list_health_checks").paginate().search("HealthChecks[]")) == []
assert ROUTE53.get_health_check_count()["HealthCheckCount"] == 0
assert ROUTE53.get_traffic_policy_instance_count()["TrafficPolicyInstanceCount"] == 0
refused("NoSuchHealthCheck", ROUTE53.get_health_check, HealthCheckId="00000000-0000-0000-0000-000000000000")
refused("NotImplemented", ROUTE53.list_geo_locations)
print("done")
