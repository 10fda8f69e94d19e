"""google-cloud-dns: a zone, its records, a change, and the end of both."""

import os
import time

from google.cloud import dns

ENDPOINT = os.environ["CLOUDSDK_API_ENDPOINT_OVERRIDES_DNS"].removesuffix("/dns/v1/")
client = dns.Client(client_options={"api_endpoint": ENDPOINT})


def carry_out(change):
    """Asks for a change, and waits until it is done."""
    change.create()
    deadline = time.monotonic() + 60
    while change.status != "done":
        assert time.monotonic() < deadline, change.status
        time.sleep(0.05)
        change.reload()


assert client.quotas()["managedZones"] > 0
zone = client.zone("example", "example.test.", description="An example")
assert not zone.exists()
zone.create()
assert zone.exists() and len(zone.name_servers) == 4
zone.reload()
assert [one.name for one in client.list_zones()] == ["example"]

first = zone.resource_record_set("www.example.test.", "A", 300, ["192.0.2.1", "192.0.2.2"])
text = zone.resource_record_set("example.test.", "TXT", 60, ['"v=spf1 -all"'])
change = zone.changes()
change.add_record_set(first)
change.add_record_set(text)
carry_out(change)

second = zone.resource_record_set("www.example.test.", "A", 60, ["192.0.2.3"])
change = zone.changes()
change.delete_record_set(first)
change.add_record_set(second)
carry_out(change)
shown = {(one.name, one.record_type): one for one in zone.list_resource_record_sets()}
assert shown["www.example.test.", "A"].rrdatas == ["192.0.2.3"], shown
assert shown["www.example.test.", "A"].ttl == 60
assert set(kind for _, kind in shown) == {"A", "NS", "SOA", "TXT"}
assert len(list(zone.list_changes())) == 3

change = zone.changes()
change.delete_record_set(second)
change.delete_record_set(text)
carry_out(change)
zone.delete()
assert not list(client.list_zones())
print("done")
