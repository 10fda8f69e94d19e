"""Apache Libcloud's drivers for DigitalOcean: a node with a floating IP, a zone with a record. Each identifier is text there."""

import os
import time

from libcloud.compute.providers import get_driver as compute_driver
from libcloud.compute.types import NodeState
from libcloud.compute.types import Provider as Compute
from libcloud.dns.providers import get_driver as dns_driver
from libcloud.dns.types import Provider as Dns
from libcloud.dns.types import RecordType

def driver(known):
    """A driver of the sandbox: its class takes no address of an API."""
    made = known(os.environ["DIGITALOCEAN_TOKEN"], api_version="v2")
    made.connection.secure = 0
    made.connection.connect(base_url=os.environ["DIGITALOCEAN_API_URL"])
    return made


MACHINES = driver(compute_driver(Compute.DIGITAL_OCEAN))
NAMES = driver(dns_driver(Dns.DIGITAL_OCEAN))


def wait(what, observe):
    """Waits until something is so."""
    deadline = time.monotonic() + 60
    while not observe():
        assert time.monotonic() < deadline, f"timed out waiting for {what}"
        time.sleep(0.05)


[size] = [size for size in MACHINES.list_sizes() if size.name == "s-1vcpu-1gb"]
[image] = [image for image in MACHINES.list_images() if image.extra["slug"] == "debian-12-x64"]
[location] = [location for location in MACHINES.list_locations() if location.id == "nyc3"]
node = MACHINES.create_node("web", size, image, location)
wait("the node", lambda: MACHINES.list_nodes()[0].state == NodeState.RUNNING)
[shown] = MACHINES.list_nodes()
assert shown.id == node.id and shown.public_ips, shown

ip = MACHINES.ex_create_floating_ip(location)
assert MACHINES.ex_attach_floating_ip_to_node(node, ip)
wait("the address", lambda: MACHINES.ex_list_floating_ips()[0].node_id is not None)
assert MACHINES.ex_detach_floating_ip_from_node(node, ip)
wait("the address to be free", lambda: MACHINES.ex_list_floating_ips()[0].node_id is None)
assert MACHINES.ex_delete_floating_ip(ip)
assert MACHINES.destroy_node(node)
wait("the node to go", lambda: not MACHINES.list_nodes())

zone = NAMES.create_zone("example.test")
record = NAMES.create_record("www", zone, RecordType.A, "192.0.2.1", extra={"ttl": 300})
record = NAMES.update_record(record, data="192.0.2.2")
assert [one.data for one in NAMES.list_records(zone) if one.name == "www"] == ["192.0.2.2"]
assert NAMES.delete_record(record) and NAMES.delete_zone(zone)
print("done")
