"""Apache Libcloud's driver for Compute Engine: what there is, a node with a static address, an image of its disk, the end of all."""

import json
import os
import urllib.parse

from libcloud.common.base import Connection
from libcloud.common.google import GoogleBaseConnection, GoogleResponse
from libcloud.compute.drivers.gce import GCENodeDriver
from libcloud.compute.types import NodeState
from libcloud.dns.drivers.google import GoogleDNSDriver

# The driver takes no address of an API, and knows links by their `https`.
PROJECT = os.environ["GOOGLE_CLOUD_PROJECT"]
API = urllib.parse.urlsplit(os.environ["CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE"])
CONNECT = Connection.connect


def connect(self, **_):
    """A connection to the sandbox, wherever it was to lead."""
    self.host, self.secure = API.netloc, False
    CONNECT(self, base_url=f"http://{API.netloc}")


def parse_body(self):
    """An answer whose links are Google's."""
    self.body = self.body.replace(f"http://{API.netloc}", "https://www.googleapis.com")
    return PARSE(self)


PARSE = GoogleResponse.parse_body
GoogleResponse.parse_body = parse_body
Connection.connect = connect
GoogleBaseConnection.poll_interval = 0.05
KEY = json.load(open(os.environ["GOOGLE_APPLICATION_CREDENTIALS"]))
driver = GCENodeDriver(
    KEY["client_email"], KEY["private_key"], project=PROJECT, datacenter="us-central1-a", auth_type="SA", secure=False
)

assert [zone.name for zone in driver.ex_list_zones()][:1] == ["europe-west3-a"]
assert {size.name for size in driver.list_sizes()} == {"e2-micro", "e2-small", "e2-medium"}
assert not driver.list_nodes() and not driver.list_volumes() and not driver.ex_list_snapshots()
image = driver.ex_get_image_from_family("ubuntu-2404-lts-amd64", ex_project_list=["ubuntu-os-cloud"])
address = driver.ex_create_address("web", region="us-central1")
node = driver.create_node("web", "e2-micro", image, external_ip=address, ex_metadata={"role": "web"}, ex_tags=["http"])
assert node.state == NodeState.RUNNING and node.public_ips == [address.address], node
[shown] = driver.list_nodes()
assert shown.name == "web" and shown.extra["tags"] == ["http"], shown.extra
assert driver.ex_set_node_labels(node, {"role": "web"})
assert driver.ex_get_node("web").extra["labels"] == {"role": "web"}
assert driver.ex_stop_node(node) and driver.ex_start_node(node) and driver.reboot_node(node)
assert driver.ex_stop_node(node)
made = driver.ex_create_image("web-1", driver.ex_get_volume("web"), family="web", use_existing=False)
assert driver.ex_get_image("web-1").extra["family"] == "web"
assert driver.ex_delete_image(made)
assert driver.destroy_node(node)
assert driver.ex_destroy_address(driver.ex_get_address("web"))
assert not driver.list_nodes() and not driver.ex_list_addresses()
rule = driver.ex_create_firewall("http", [{"IPProtocol": "tcp", "ports": ["80"]}], source_ranges=["0.0.0.0/0"])
assert driver.ex_destroy_firewall(rule)
volume = driver.create_volume(10, "data", image=image, ex_disk_type="pd-ssd")
assert [one.name for one in driver.list_volumes()] == ["data"] and driver.destroy_volume(volume)
for listed in (driver.ex_list_healthchecks, driver.ex_list_targetpools, driver.ex_list_urlmaps):
    assert not listed(), listed

names = GoogleDNSDriver(KEY["client_email"], KEY["private_key"], project=PROJECT)
zone = names.create_zone("example.test.", extra={"name": "example", "description": ""})
record = names.create_record("www.example.test.", zone, "A", {"ttl": 300, "rrdatas": ["192.0.2.1"]})
assert {(one.name, one.type) for one in names.list_records(zone)} >= {("www.example.test.", "A")}
assert names.get_record(zone.id, "A:www.example.test.").data["rrdatas"] == ["192.0.2.1"]
assert names.delete_record(record) and names.delete_zone(zone)
assert not names.list_zones()
print("done")
