"""Google's own Python clients, from a first instance to the last record; ends with "gce: done" when all went as it should.

GOOGLE_APPLICATION_CREDENTIALS, GOOGLE_CLOUD_PROJECT and CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE say where the account is,
REMINT_PORT_MAP and REMINT_SANDBOX_DNS where its machines and names are; it must be empty.
"""

import os
import pathlib
import subprocess
import tempfile
import time
import uuid

import google.auth
import google_auth_httplib2
import httplib2
from google.api_core import exceptions
from google.cloud import compute_v1
from googleapiclient.discovery import build

PROJECT = os.environ["GOOGLE_CLOUD_PROJECT"]
ENDPOINT = os.environ["CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE"].removesuffix("/compute/v1/")
ZONE, REGION = "us-central1-a", "us-central1"
PATIENCE = 120
FOLDER = pathlib.Path(tempfile.mkdtemp(prefix="gce-client-"))


def client(kind):
    """A client of Compute Engine at the sandbox; it finds its credentials as it does everywhere."""
    return kind(client_options={"api_endpoint": ENDPOINT})


INSTANCES = client(compute_v1.InstancesClient)
IMAGES = client(compute_v1.ImagesClient)
DISKS = client(compute_v1.DisksClient)
ADDRESSES = client(compute_v1.AddressesClient)
RULES = client(compute_v1.ForwardingRulesClient)
TARGETS = client(compute_v1.TargetInstancesClient)
FIREWALLS = client(compute_v1.FirewallsClient)
PROJECTS = client(compute_v1.ProjectsClient)
GLOBAL_OPERATIONS = client(compute_v1.GlobalOperationsClient)
REGION_OPERATIONS = client(compute_v1.RegionOperationsClient)
ZONE_OPERATIONS = client(compute_v1.ZoneOperationsClient)


def finish(operation):
    """Waits until an operation is done. The clients' own `result()` would ask Google, whatever endpoint they were given."""
    here = {"project": PROJECT, "operation": operation.name}
    deadline = time.monotonic() + PATIENCE
    while operation.status != compute_v1.Operation.Status.DONE:
        assert time.monotonic() < deadline, operation
        if operation.zone:
            operation = ZONE_OPERATIONS.wait(**here, zone=ZONE)
        elif operation.region:
            operation = REGION_OPERATIONS.wait(**here, region=REGION)
        else:
            operation = GLOBAL_OPERATIONS.wait(**here)
    assert not operation.error.errors, operation


def port(number):
    """Where the sandbox has a port of its machines."""
    through, offset = (int(part) for part in os.environ.get("REMINT_PORT_MAP", "0+0").split("+"))
    return number + offset if number <= through else number


def key(name):
    """The file of a new key."""
    path = FOLDER / name
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", path], check=True)
    return path


LOGIN, HOST = key("login"), key("host")


def user_data(text):
    """Gives the machine a host key and a login key that are known, and writes a file."""
    private = HOST.read_text().replace("\n", "\n    ")
    return f"""#cloud-config
disable_root: false
ssh_keys:
  ed25519_private: |
    {private}
  ed25519_public: {HOST.with_suffix(".pub").read_text().strip()}
ssh_authorized_keys:
  - {LOGIN.with_suffix(".pub").read_text().strip()}
write_files:
  - path: /root/made-by
    content: {text}
"""


def ssh(ip, command):
    """What a command says on the machine at an address, tried until SSH answers there."""
    known = FOLDER / "known_hosts"
    kind, public, *_ = HOST.with_suffix(".pub").read_text().split()
    known.write_text(f"[{ip}]:{port(22)} {kind} {public}\n{ip} {kind} {public}\n")
    deadline = time.monotonic() + PATIENCE
    options = ["-oBatchMode=yes", f"-oUserKnownHostsFile={known}", "-oStrictHostKeyChecking=yes", "-oConnectTimeout=5"]
    while True:
        words = ["ssh", "-F", "/dev/null", "-i", str(LOGIN), "-p", str(port(22)), *options, f"root@{ip}", command]
        ran = subprocess.run(words, capture_output=True, text=True, check=False)
        if ran.returncode == 0:
            return ran.stdout.strip()
        assert time.monotonic() < deadline, ran.stderr
        time.sleep(0.2)


def launch(name, image, text):
    """Makes an instance, and waits until it runs."""
    disk = compute_v1.AttachedDisk(
        boot=True,
        auto_delete=True,
        initialize_params=compute_v1.AttachedDiskInitializeParams(source_image=image, disk_size_gb=10),
    )
    access = compute_v1.AccessConfig(type_="ONE_TO_ONE_NAT", name="External NAT")
    instance = compute_v1.Instance(
        name=name,
        machine_type=f"zones/{ZONE}/machineTypes/e2-micro",
        disks=[disk],
        network_interfaces=[compute_v1.NetworkInterface(network="global/networks/default", access_configs=[access])],
        labels={"remint_service": "web"},
        metadata=compute_v1.Metadata(items=[compute_v1.Items(key="user-data", value=user_data(text))]),
    )
    request = compute_v1.InsertInstanceRequest(
        project=PROJECT, zone=ZONE, instance_resource=instance, request_id=str(uuid.uuid4())
    )
    finish(INSTANCES.insert_unary(request=request))
    # The same call again, as after a lost answer, is the same instance.
    finish(INSTANCES.insert_unary(request=request))
    return show(name)


def show(name):
    return INSTANCES.get(project=PROJECT, zone=ZONE, instance=name)


def address_of(instance):
    return instance.network_interfaces[0].access_configs[0].nat_i_p


def refused(kind, call, **arguments):
    """The error of a call that must be refused."""
    try:
        call(**arguments)
    except kind as error:
        return error
    raise AssertionError(f"{call} was not refused")


def look_around():
    zones = client(compute_v1.ZonesClient)
    assert ZONE in [zone.name for zone in zones.list(project=PROJECT)]
    types = client(compute_v1.MachineTypesClient)
    assert types.get(project=PROJECT, zone=ZONE, machine_type="e2-small").memory_mb == 2048
    debian = IMAGES.get_from_family(project="debian-cloud", family="debian-12")
    assert debian.status == "READY" and debian.disk_size_gb == 10, debian
    # Google's Debian would ignore user data, so the sandbox says so.
    error = refused(exceptions.BadRequest, launch, name="bare", image=debian.self_link, text="nothing")
    assert "no cloud-init" in str(error), error
    image = IMAGES.get_from_family(project="ubuntu-os-cloud", family="ubuntu-2404-lts-amd64")
    assert image.status == "READY" and image.disk_size_gb == 10, image
    project = PROJECTS.get(project=PROJECT)
    metadata = project.common_instance_metadata
    metadata.items.append(compute_v1.Items(key="remint-mark", value="here"))
    finish(PROJECTS.set_common_instance_metadata_unary(project=PROJECT, metadata_resource=metadata))
    assert PROJECTS.get(project=PROJECT).common_instance_metadata.items[0].value == "here"
    firewall = compute_v1.Firewall(
        name="ssh", allowed=[compute_v1.Allowed(I_p_protocol="tcp", ports=["22"])], source_ranges=["0.0.0.0/0"]
    )
    finish(FIREWALLS.insert_unary(project=PROJECT, firewall_resource=firewall))
    assert FIREWALLS.get(project=PROJECT, firewall="ssh").allowed[0].ports == ["22"]
    return image.self_link


def bake(base):
    """Launches a builder, looks into it, and takes an image of it."""
    builder = launch("builder", base, "the builder")
    assert builder.status == "RUNNING" and builder.labels["remint_service"] == "web", builder
    assert ssh(address_of(builder), "cat /root/made-by") == "the builder"
    ssh(address_of(builder), "echo v1 > /root/version && sync")
    finish(INSTANCES.stop_unary(project=PROJECT, zone=ZONE, instance="builder"))
    assert show("builder").status == "TERMINATED"
    image = compute_v1.Image(
        name="web-1", family="web", source_disk=f"zones/{ZONE}/disks/builder", labels={"remint_fingerprint": "abc"}
    )
    finish(IMAGES.insert_unary(project=PROJECT, image_resource=image))
    refused(exceptions.Conflict, IMAGES.insert, project=PROJECT, image_resource=image)
    found = list(IMAGES.list(request={"project": PROJECT, "filter": "labels.remint_fingerprint=abc"}))
    assert [image.name for image in found] == ["web-1"], found
    finish(INSTANCES.delete_unary(project=PROJECT, zone=ZONE, instance="builder"))
    refused(exceptions.NotFound, INSTANCES.get, project=PROJECT, zone=ZONE, instance="builder")


def move_an_address():
    """Points a static address at one instance and then, in one call, at another."""
    for name in ["one", "two"]:
        instance = launch(name, "global/images/family/web", name)
        assert ssh(address_of(instance), "cat /root/version") == "v1"
        target = compute_v1.TargetInstance(name=name, instance=instance.self_link)
        finish(TARGETS.insert_unary(project=PROJECT, zone=ZONE, target_instance_resource=target))
    address = compute_v1.Address(name="web", labels={"remint_service": "web"})
    finish(ADDRESSES.insert_unary(project=PROJECT, region=REGION, address_resource=address))
    ip = ADDRESSES.get(project=PROJECT, region=REGION, address="web").address
    rule = compute_v1.ForwardingRule(
        name="web", I_p_address=ip, I_p_protocol="TCP", port_range="1-65535", target=f"zones/{ZONE}/targetInstances/one"
    )
    finish(RULES.insert_unary(project=PROJECT, region=REGION, forwarding_rule_resource=rule))
    assert ssh(ip, "cat /root/made-by") == "one"
    target = compute_v1.TargetReference(target=f"zones/{ZONE}/targetInstances/two")
    arguments = {"forwarding_rule": "web", "target_reference_resource": target}
    finish(RULES.set_target_unary(project=PROJECT, region=REGION, **arguments))
    assert ssh(ip, "cat /root/made-by") == "two"
    scopes = dict(INSTANCES.aggregated_list(project=PROJECT))
    assert {instance.name for instance in scopes[f"zones/{ZONE}"].instances} == {"one", "two"}
    refused(exceptions.BadRequest, ADDRESSES.delete, project=PROJECT, region=REGION, address="web")
    return ip


def relabel():
    instance = show("one")
    labels = compute_v1.InstancesSetLabelsRequest(
        labels={"remint_service": "db"}, label_fingerprint=instance.label_fingerprint
    )
    arguments = {"project": PROJECT, "zone": ZONE, "instance": "one", "instances_set_labels_request_resource": labels}
    finish(INSTANCES.set_labels_unary(**arguments))
    refused(exceptions.PreconditionFailed, INSTANCES.set_labels, **arguments)
    found = INSTANCES.list(request={"project": PROJECT, "zone": ZONE, "filter": "labels.remint_service=db"})
    assert [instance.name for instance in found] == ["one"]
    output = INSTANCES.get_serial_port_output(project=PROJECT, zone=ZONE, instance="one")
    assert output.kind == "compute#serialPortOutput"


def records(ip):
    """A zone with a record that resolves, and back to nothing."""
    credentials, _ = google.auth.default(scopes=["https://www.googleapis.com/auth/ndev.clouddns.readwrite"])
    http = google_auth_httplib2.AuthorizedHttp(credentials, http=httplib2.Http())
    dns = build("dns", "v1", http=http, client_options={"api_endpoint": f"{ENDPOINT}/"}, static_discovery=True)
    zone = {"name": "example", "dnsName": "example.com.", "description": "a test"}
    dns.managedZones().create(project=PROJECT, body=zone).execute()
    found = dns.managedZones().list(project=PROJECT, dnsName="example.com.").execute()["managedZones"]
    assert [zone["name"] for zone in found] == ["example"], found
    here = {"project": PROJECT, "managedZone": "example"}

    def change(body):
        made = dns.changes().create(**here, body=body).execute()
        deadline = time.monotonic() + PATIENCE
        while dns.changes().get(**here, changeId=made["id"]).execute()["status"] != "done":
            assert time.monotonic() < deadline, made
            time.sleep(0.05)

    www = {"name": "www.example.com.", "type": "A", "ttl": 60, "rrdatas": [ip]}
    change({"additions": [www]})
    server, number = os.environ["REMINT_SANDBOX_DNS"].rsplit(":", 1)
    dig = ["dig", f"@{server}", "-p", number, "+short", "www.example.com", "A"]
    assert subprocess.run(dig, capture_output=True, text=True, check=True).stdout.split() == [ip]
    sets = dns.resourceRecordSets().list(**here, name="www.example.com.", type="A").execute()["rrsets"]
    assert sets[0]["rrdatas"] == [ip], sets
    change({"deletions": sets})
    dns.managedZones().delete(**here).execute()
    assert dns.managedZones().list(project=PROJECT).execute().get("managedZones", []) == []


def destroy():
    here = {"project": PROJECT, "region": REGION}
    finish(RULES.delete_unary(**here, forwarding_rule="web"))
    finish(ADDRESSES.delete_unary(**here, address="web"))
    for name in ["one", "two"]:
        finish(TARGETS.delete_unary(project=PROJECT, zone=ZONE, target_instance=name))
        finish(INSTANCES.delete_unary(project=PROJECT, zone=ZONE, instance=name))
    finish(IMAGES.delete_unary(project=PROJECT, image="web-1"))
    finish(FIREWALLS.delete_unary(project=PROJECT, firewall="ssh"))
    for left in [
        INSTANCES.list(project=PROJECT, zone=ZONE),
        DISKS.list(project=PROJECT, zone=ZONE),
        IMAGES.list(project=PROJECT),
        ADDRESSES.list(**here),
        RULES.list(**here),
        TARGETS.list(project=PROJECT, zone=ZONE),
        FIREWALLS.list(project=PROJECT),
    ]:
        assert list(left) == [], left


def main():
    bake(look_around())
    ip = move_an_address()
    relabel()
    records(ip)
    destroy()
    print("gce: done")


main()
