"""DigitalOcean's own Python client, from an SSH key to the last droplet; ends with "pydo: done" when all went as it should.

DIGITALOCEAN_API_URL and DIGITALOCEAN_TOKEN say where the account is; it must be empty.
"""

import os
import time

from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import HttpResponseError
from azure.core.pipeline.policies import AzureKeyCredentialPolicy
from pydo import Client

TOKEN = os.environ["DIGITALOCEAN_TOKEN"]
# The client's default policy sends its token over TLS only, and the sandbox speaks plain HTTP on loopback.
CLIENT = Client(
    token=TOKEN,
    endpoint=os.environ["DIGITALOCEAN_API_URL"],
    authentication_policy=AzureKeyCredentialPolicy(AzureKeyCredential(TOKEN), "Authorization", prefix="Bearer"),
)
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIL1Q2Zc0gYyEvNfSGVEVvjdvQ4v8S1nD0GXPFm0ROiQ+ somebody"
MACHINE = {"region": "nyc3", "size": "s-1vcpu-1gb", "image": "debian-12-x64"}
PATIENCE = 120


def good(answer):
    """An answer that is no error: the client returns those of documented statuses instead of raising them."""
    assert not (isinstance(answer, dict) and "message" in answer and "id" in answer), answer
    return answer


def refused(call, status, *args, **kwargs):
    """The message of a call that must be refused."""
    try:
        answer = call(*args, **kwargs)
    except HttpResponseError as error:
        assert error.status_code == status, (error.status_code, error)
        return str(error)
    assert isinstance(answer, dict) and "message" in answer, f"{call.__name__} was not refused: {answer}"
    return answer["message"]


def wait(what, observe):
    """Waits until something is there, and returns it."""
    deadline = time.monotonic() + PATIENCE
    while True:
        found = observe()
        if found:
            return found
        assert time.monotonic() < deadline, f"timed out waiting for {what}"
        time.sleep(0.05)


def completed(action):
    """Waits until an action is completed."""

    def observe():
        status = good(CLIENT.actions.get(action_id=action["id"]))["action"]["status"]
        assert status != "errored", action
        return status == "completed"

    wait(f"action {action['type']}", observe)


def droplet(number):
    return good(CLIENT.droplets.get(droplet_id=number))["droplet"]


def active(number):
    wait(f"droplet {number}", lambda: droplet(number)["status"] == "active" and not droplet(number)["locked"])


def account():
    assert good(CLIENT.account.get())["account"]["status"] == "active"
    assert any(region["slug"] == "nyc3" for region in good(CLIENT.regions.list())["regions"])
    assert any(size["slug"] == MACHINE["size"] for size in good(CLIENT.sizes.list(per_page=200))["sizes"])
    images = good(CLIENT.images.list(type="distribution", per_page=200))["images"]
    assert any(image["slug"] == MACHINE["image"] for image in images)
    assert good(CLIENT.images.get(image_id=MACHINE["image"]))["image"]["public"]


def keys():
    key = good(CLIENT.ssh_keys.create(body={"name": "one", "public_key": PUBLIC_KEY}))["ssh_key"]
    message = refused(CLIENT.ssh_keys.create, 422, body={"name": "two", "public_key": PUBLIC_KEY})
    assert "already in use" in message, message
    good(CLIENT.ssh_keys.update(ssh_key_identifier=key["id"], body={"name": "renamed"}))
    assert good(CLIENT.ssh_keys.get(ssh_key_identifier=key["fingerprint"]))["ssh_key"]["name"] == "renamed"
    assert [one["id"] for one in good(CLIENT.ssh_keys.list())["ssh_keys"]] == [key["id"]]
    return key


def droplets(key):
    request = {"name": "web-0", "ssh_keys": [key["fingerprint"]], "tags": ["web"], "user_data": "#cloud-config\n{}\n"}
    first = good(CLIENT.droplets.create(body={**MACHINE, **request}))["droplet"]
    names = [f"web-{number}" for number in range(1, 5)]
    several = good(CLIENT.droplets.create(body={**MACHINE, "names": names, "tags": ["web"]}))["droplets"]
    assert [one["name"] for one in several] == names
    numbers = [first["id"], *(one["id"] for one in several)]
    for number in numbers:
        active(number)
    networks = droplet(numbers[0])["networks"]["v4"]
    assert {network["type"] for network in networks} == {"public", "private"}, networks

    # Pages: two a page, and each droplet on one of them.
    seen, pages = [], 0
    while True:
        pages += 1
        answer = good(CLIENT.droplets.list(tag_name="web", per_page=2, page=pages))
        assert answer["meta"]["total"] == 5, answer["meta"]
        seen += [one["id"] for one in answer["droplets"]]
        if "next" not in answer["links"].get("pages", {}):
            break
    assert (pages, sorted(seen)) == (3, sorted(numbers)), (pages, seen)
    assert [one["id"] for one in good(CLIENT.droplets.list(name="web-3"))["droplets"]] == [numbers[3]]
    assert refused(CLIENT.droplets.get, 404, droplet_id=1)
    assert refused(CLIENT.droplets.create, 422, body={**MACHINE, "name": "x", "size": "no-such-size"})
    return numbers


def snapshots(number):
    completed(good(CLIENT.droplet_actions.post(droplet_id=number, body={"type": "power_off"}))["action"])
    wait("the droplet to be off", lambda: droplet(number)["status"] == "off")
    action = good(CLIENT.droplet_actions.post(droplet_id=number, body={"type": "snapshot", "name": "kept"}))["action"]
    completed(action)
    listed = wait("the snapshot", lambda: good(CLIENT.droplets.list_snapshots(droplet_id=number))["snapshots"])
    assert [one["name"] for one in listed] == ["kept"], listed
    snapshot = listed[0]["id"]
    assert [one["id"] for one in good(CLIENT.snapshots.list(resource_type="droplet"))["snapshots"]] == [str(snapshot)]
    assert good(CLIENT.snapshots.get(snapshot_id=snapshot))["snapshot"]["resource_id"] == str(number)
    good(CLIENT.images.update(image_id=snapshot, body={"name": "renamed"}))
    assert [one["name"] for one in good(CLIENT.images.list(private=True))["images"]] == ["renamed"]
    good(CLIENT.tags.create(body={"name": "baked"}))
    assign = {"resources": [{"resource_id": str(snapshot), "resource_type": "image"}]}
    good(CLIENT.tags.assign_resources(tag_id="baked", body=assign))
    assert good(CLIENT.images.list(tag_name="baked"))["images"][0]["id"] == snapshot
    completed(good(CLIENT.droplet_actions.post(droplet_id=number, body={"type": "power_on"}))["action"])
    again = good(CLIENT.droplets.create(body={**MACHINE, "name": "again", "image": snapshot}))["droplet"]
    active(again["id"])
    assert droplet(again["id"])["image"]["id"] == snapshot
    good(CLIENT.droplets.destroy(droplet_id=again["id"]))
    wait("the droplet to be gone", lambda: gone(again["id"]))
    return snapshot


def gone(number):
    return all(one["id"] != number for one in good(CLIENT.droplets.list(per_page=200))["droplets"])


def reserved_ips(one, other):
    address = good(CLIENT.reserved_ips.create(body={"region": "nyc3"}))["reserved_ip"]["ip"]

    def assigned_to():
        found = good(CLIENT.reserved_ips.get(reserved_ip=address))["reserved_ip"]
        return None if found.get("locked") else (found["droplet"] or {}).get("id")

    for number in (one, other):
        body = {"type": "assign", "droplet_id": number}
        action = wait("the address to be free for a move", lambda: move(address, body))
        completed(action)
        wait(f"the address to be at {number}", lambda: assigned_to() == number)
    assert refused(CLIENT.reserved_ips_actions.post, 422, reserved_ip=address, body={"type": "assign", "droplet_id": 1})
    completed(good(CLIENT.reserved_ips_actions.post(reserved_ip=address, body={"type": "unassign"}))["action"])
    assert [found["ip"] for found in good(CLIENT.reserved_ips.list())["reserved_ips"]] == [address]
    assert good(CLIENT.reserved_ips_actions.list(reserved_ip=address))["actions"]
    good(CLIENT.reserved_ips.delete(reserved_ip=address))
    assert good(CLIENT.reserved_ips.list())["meta"]["total"] == 0


def move(address, body):
    answer = CLIENT.reserved_ips_actions.post(reserved_ip=address, body=body)
    return answer.get("action")


def records():
    zone = "example.test"
    good(CLIENT.domains.create(body={"name": zone}))
    body = {"type": "A", "name": "www", "data": "192.0.2.1", "ttl": 60}
    record = good(CLIENT.domains.create_record(domain_name=zone, body=body))["domain_record"]
    change = {"type": "A", "data": "192.0.2.2"}
    good(CLIENT.domains.update_record(domain_name=zone, domain_record_id=record["id"], body=change))
    found = good(CLIENT.domains.get_record(domain_name=zone, domain_record_id=record["id"]))["domain_record"]
    assert (found["name"], found["data"], found["ttl"]) == ("www", "192.0.2.2", 60), found
    extra = {"type": "MX", "name": "@", "data": "mail.example.test.", "priority": 10}
    good(CLIENT.domains.create_record(domain_name=zone, body=extra))
    listed = good(CLIENT.domains.list_records(domain_name=zone, name=f"www.{zone}", type="A"))["domain_records"]
    assert [one["id"] for one in listed] == [record["id"]], listed
    assert refused(CLIENT.domains.create_record, 422, domain_name=zone, body={**body, "data": "no address"})
    good(CLIENT.domains.delete_record(domain_name=zone, domain_record_id=record["id"]))
    left = good(CLIENT.domains.list_records(domain_name=zone, per_page=200))["domain_records"]
    assert all(one["type"] != "A" for one in left), left
    good(CLIENT.domains.delete(domain_name=zone))
    assert good(CLIENT.domains.list())["domains"] == []


def tags(number):
    resources = {"resources": [{"resource_id": str(number), "resource_type": "droplet"}]}
    good(CLIENT.tags.create(body={"name": "canary"}))
    good(CLIENT.tags.assign_resources(tag_id="canary", body=resources))
    assert set(droplet(number)["tags"]) == {"web", "canary"}
    assert good(CLIENT.tags.get(tag_id="canary"))["tag"]["resources"]["droplets"]["count"] == 1
    good(CLIENT.tags.unassign_resources(tag_id="canary", body=resources))
    assert droplet(number)["tags"] == ["web"]
    good(CLIENT.tags.delete(tag_id="canary"))
    assert "canary" not in {tag["name"] for tag in good(CLIENT.tags.list(per_page=200))["tags"]}


def main():
    account()
    key = keys()
    numbers = droplets(key)
    snapshot = snapshots(numbers[0])
    reserved_ips(numbers[0], numbers[1])
    records()
    tags(numbers[2])
    good(CLIENT.droplets.destroy(droplet_id=numbers[0]))
    wait("the droplet to be gone", lambda: gone(numbers[0]))
    good(CLIENT.droplets.destroy_by_tag(tag_name="web"))
    wait("all droplets to be gone", lambda: good(CLIENT.droplets.list())["meta"]["total"] == 0)
    good(CLIENT.snapshots.delete(snapshot_id=snapshot))
    assert good(CLIENT.images.list(private=True))["images"] == []
    good(CLIENT.ssh_keys.delete(ssh_key_identifier=key["id"]))
    assert good(CLIENT.ssh_keys.list())["ssh_keys"] == []
    print("pydo: done")


main()
