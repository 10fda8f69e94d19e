"""google-cloud-compute: a load balancer of instances in two zones, from the health check to the forwarding rule and back."""

import os
import socket
import time
import urllib.error
import urllib.request

import balanced
from balanced import wait
from google.api_core.exceptions import BadRequest, PreconditionFailed
from google.cloud import compute_v1 as compute

PROJECT = os.environ["GOOGLE_CLOUD_PROJECT"]
ENDPOINT = os.environ["CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE"].removesuffix("/compute/v1/")
REGION = "us-central1"
ZONES = ["us-central1-a", "us-central1-b"]
REGIONAL = {"project": PROJECT, "region": REGION}
OPTIONS = {"client_options": {"api_endpoint": ENDPOINT}}
INSTANCES = compute.InstancesClient(**OPTIONS)
ADDRESSES = compute.AddressesClient(**OPTIONS)
CHECKS = compute.RegionHealthChecksClient(**OPTIONS)
GROUPS = compute.InstanceGroupsClient(**OPTIONS)
SERVICES = compute.RegionBackendServicesClient(**OPTIONS)
RULES = compute.ForwardingRulesClient(**OPTIONS)
REGION_OPERATIONS = compute.RegionOperationsClient(**OPTIONS)
ZONE_OPERATIONS = compute.ZoneOperationsClient(**OPTIONS)
# They also greet by bare TCP here.
SAYS = f"""{balanced.SAYS}
    [[tcp]]
    port = 5433
    greeting = "hello"
"""


def done(operation):
    """Waits for an operation, which must end well. The clients' own `result()` would ask Google."""
    here = {"project": PROJECT, "operation": operation.name}
    deadline = time.monotonic() + 60
    while operation.status != compute.Operation.Status.DONE:
        assert time.monotonic() < deadline, operation
        if operation.zone:
            operation = ZONE_OPERATIONS.wait(**here, zone=operation.zone.rsplit("/", 1)[-1])
        else:
            operation = REGION_OPERATIONS.wait(**here, region=REGION)
    assert not operation.error.errors, operation


def launch(name, zone):
    disk = compute.AttachedDisk(
        boot=True,
        auto_delete=True,
        initialize_params=compute.AttachedDiskInitializeParams(
            source_image="projects/ubuntu-os-cloud/global/images/family/ubuntu-2404-lts-amd64"
        ),
    )
    access = compute.AccessConfig(name="External NAT", type_="ONE_TO_ONE_NAT")
    instance = compute.Instance(
        name=name,
        machine_type=f"zones/{zone}/machineTypes/e2-micro",
        disks=[disk],
        network_interfaces=[compute.NetworkInterface(network="global/networks/default", access_configs=[access])],
        metadata=compute.Metadata(items=[compute.Items(key="user-data", value=SAYS)]),
    )
    done(INSTANCES.insert(project=PROJECT, zone=zone, instance_resource=instance))
    return INSTANCES.get(project=PROJECT, zone=zone, instance=name)


def answers(ip, port=8080):
    """What the address answers by whom it asks, or nothing."""
    try:
        with urllib.request.urlopen(f"http://{ip}:{port}/", timeout=10) as answer:
            return answer.read().decode()
    except (urllib.error.URLError, ConnectionError):
        return None


def members(action, zone, *instances):
    request = {"add": compute.InstanceGroupsAddInstancesRequest, "remove": compute.InstanceGroupsRemoveInstancesRequest}
    body = request[action](instances=[compute.InstanceReference(instance=one.self_link) for one in instances])
    call = {"add": GROUPS.add_instances, "remove": GROUPS.remove_instances}[action]
    body = {f"instance_groups_{action}_instances_request_resource": body}
    return call(project=PROJECT, zone=zone, instance_group="web", **body)


# One address, which the rule keeps when it is made again.
done(ADDRESSES.insert(**REGIONAL, address_resource=compute.Address(name="web")))
ip = ADDRESSES.get(**REGIONAL, address="web").address
check = compute.HealthCheck(
    name="web", type_="HTTP", http_health_check=compute.HTTPHealthCheck(port=8080, request_path="/"), timeout_sec=2
)
done(CHECKS.insert(**REGIONAL, health_check_resource=check))
check = CHECKS.get(**REGIONAL, health_check="web")
assert check.check_interval_sec == 5 and check.healthy_threshold == 2, check
for zone in ZONES:
    done(GROUPS.insert(project=PROJECT, zone=zone, instance_group_resource=compute.InstanceGroup(name="web")))
groups = [GROUPS.get(project=PROJECT, zone=zone, instance_group="web") for zone in ZONES]
service = compute.BackendService(
    name="web",
    protocol="TCP",
    load_balancing_scheme="EXTERNAL",
    health_checks=[check.self_link],
    backends=[
        compute.Backend(group=group.self_link.replace(ENDPOINT, "https://www.googleapis.com"), balancing_mode="CONNECTION")
        for group in groups
    ],
    connection_draining=compute.ConnectionDraining(draining_timeout_sec=300),
)
done(SERVICES.insert(**REGIONAL, backend_service_resource=service))
service = SERVICES.get(**REGIONAL, backend_service="web")
assert service.connection_draining.draining_timeout_sec == 300 and len(service.backends) == 2, service


def rule(*ports):
    return compute.ForwardingRule(
        name="web",
        I_p_address=ip,
        I_p_protocol="TCP",
        ports=[str(port) for port in ports],
        load_balancing_scheme="EXTERNAL",
        backend_service=service.self_link,
    )


done(RULES.insert(**REGIONAL, forwarding_rule_resource=rule(8080)))
made = RULES.get(**REGIONAL, forwarding_rule="web")
assert made.I_p_address == ip and list(made.ports) == ["8080"] and made.backend_service == service.self_link, made
assert ADDRESSES.get(**REGIONAL, address="web").status == "IN_USE"

one, two = launch("one", ZONES[0]), launch("two", ZONES[1])
done(members("add", ZONES[0], one))
done(members("add", ZONES[1], two))


def health():
    """The state of each instance by its name, over both groups."""
    seen = {}
    for group in groups:
        reference = compute.ResourceGroupReference(group=group.self_link)
        found = SERVICES.get_health(**REGIONAL, backend_service="web", resource_group_reference_resource=reference)
        for status in found.health_status:
            assert status.forwarding_rule == made.self_link and status.forwarding_rule_ip == ip, status
            seen[status.instance.rsplit("/", 1)[-1]] = status.health_state
    return seen


wait("both to be healthy", lambda: health() == {"one": "HEALTHY", "two": "HEALTHY"})
assert {answers(ip) for _ in range(10)} == {"one", "two"}
listed = GROUPS.list_instances(
    project=PROJECT,
    zone=ZONES[0],
    instance_group="web",
    instance_groups_list_instances_request_resource=compute.InstanceGroupsListInstancesRequest(),
)
assert [item.instance for item in listed] == [one.self_link]
try:
    members("add", ZONES[0], one)
    raise AssertionError("added twice")
except BadRequest as error:
    assert error.errors[0]["reason"] == "memberAlreadyExists", error

class Kept:
    """A connection that a client keeps, and the name of the instance that it goes to."""

    def __init__(self):
        self.connection = socket.create_connection((ip, 8080), timeout=10)
        self.name = self.ask()

    def ask(self):
        """What is answered now; nothing on a connection that was cut."""
        try:
            self.connection.sendall(b"GET / HTTP/1.1\r\nhost: web\r\n\r\n")
            return self.connection.recv(4096).decode().rsplit("\n", 1)[-1].strip()
        except ConnectionError:
            return ""


def leave():
    """Removes an instance that has a connection. Gives that connection, and the other instance's."""
    kept = {one.name: one for one in (Kept(), Kept())}
    assert set(kept) == {"one", "two"}, kept
    done(members("remove", ZONES[1], two))
    wait("two to leave", lambda: health() == {"one": "HEALTHY"})
    return kept["two"], kept["one"]


# One that leaves gets no new connections when it is not shown any more, and keeps those that it has for as long as it drains.
leaving, staying = leave()
assert {answers(ip) for _ in range(10)} == {"one"}
for _ in range(15):
    assert leaving.ask() == "two" and staying.ask() == "one"
    time.sleep(0.1)

# With nobody healthy, connections go to all.
check.http_health_check.request_path = "/"
check.http_health_check.port = 8099
done(CHECKS.patch(**REGIONAL, health_check="web", health_check_resource=check))
wait("one to be unhealthy", lambda: health() == {"one": "UNHEALTHY"})
wait("one to answer all the same", lambda: answers(ip) == "one")
check.http_health_check.port = 8080
done(CHECKS.patch(**REGIONAL, health_check="web", health_check_resource=check))
wait("one to be healthy again", lambda: health() == {"one": "HEALTHY"})

# A change of the service by a fingerprint that is the newest, and by one that is not.
change = compute.BackendService(
    fingerprint=service.fingerprint, connection_draining=compute.ConnectionDraining(draining_timeout_sec=0)
)
done(SERVICES.patch(**REGIONAL, backend_service="web", backend_service_resource=change))
try:
    SERVICES.patch(**REGIONAL, backend_service="web", backend_service_resource=change)
    raise AssertionError("patched over what it had not seen")
except PreconditionFailed as error:
    assert "fingerprint" in error.message, error

# It does not drain any more: connections are cut.
done(members("add", ZONES[1], two))
wait("both to be healthy", lambda: health() == {"one": "HEALTHY", "two": "HEALTHY"})
leaving, staying = leave()
wait("the connection to be cut", lambda: leaving.ask() == "")
assert staying.ask() == "one"

# Other ports: the rule goes and comes again, at the same address.
done(RULES.delete(**REGIONAL, forwarding_rule="web"))
assert answers(ip) is None
done(RULES.insert(**REGIONAL, forwarding_rule_resource=rule(8080, 5433)))
made = RULES.get(**REGIONAL, forwarding_rule="web")
wait("the address to answer again", lambda: answers(ip) == "one")


def greeting():
    try:
        with socket.create_connection((ip, 5433), timeout=10) as connection:
            return connection.recv(100).decode()
    except ConnectionError:
        return None


wait("the other port", lambda: greeting() == "hello")

# What is used by something cannot go; in this order everything goes.
for call in [
    lambda: SERVICES.delete(**REGIONAL, backend_service="web"),
    lambda: CHECKS.delete(**REGIONAL, health_check="web"),
    lambda: GROUPS.delete(project=PROJECT, zone=ZONES[0], instance_group="web"),
]:
    try:
        call()
        raise AssertionError("what is used was deleted")
    except BadRequest as error:
        assert error.errors[0]["reason"] == "resourceInUseByAnotherResource", error
done(INSTANCES.delete(project=PROJECT, zone=ZONES[0], instance="one"))
assert GROUPS.get(project=PROJECT, zone=ZONES[0], instance_group="web").size == 0
wait("nobody to answer", lambda: answers(ip) is None)
done(RULES.delete(**REGIONAL, forwarding_rule="web"))
done(SERVICES.delete(**REGIONAL, backend_service="web"))
for zone in ZONES:
    done(GROUPS.delete(project=PROJECT, zone=zone, instance_group="web"))
done(CHECKS.delete(**REGIONAL, health_check="web"))
done(ADDRESSES.delete(**REGIONAL, address="web"))
assert not list(RULES.list(**REGIONAL)) and not list(CHECKS.list(**REGIONAL)) and not list(SERVICES.list(**REGIONAL))
print("done")
