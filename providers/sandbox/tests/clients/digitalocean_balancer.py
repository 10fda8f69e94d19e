"""pydo and python-digitalocean: a load balancer of tagged droplets, and one of droplets by id."""

import os
import time
import urllib.error
import urllib.request

import digitalocean
from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import HttpResponseError
from azure.core.pipeline.policies import AzureKeyCredentialPolicy
from balanced import SAYS, wait
from pydo import Client

TOKEN = os.environ["DIGITALOCEAN_TOKEN"]
POLICY = AzureKeyCredentialPolicy(AzureKeyCredential(TOKEN), "Authorization", prefix="Bearer")
CLIENT = Client(TOKEN, endpoint=os.environ["DIGITALOCEAN_API_URL"], authentication_policy=POLICY)
RULE = {"entry_protocol": "http", "entry_port": 80, "target_protocol": "http", "target_port": 8080}


def when_free(call):
    """Does what is refused while the load balancer is at work."""
    def attempt():
        try:
            return call() or True
        except HttpResponseError as error:
            assert error.status_code == 403 and "previous actions" in str(error), error
            return None
    return wait("the load balancer to be free", attempt)


def answers(ip):
    """What a load balancer answers, by whom it asks; its ports below 1024 are moved."""
    try:
        with urllib.request.urlopen(f"http://{ip}:20080/", timeout=10) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code


CLIENT.tags.create(body={"name": "web"})
made = CLIENT.load_balancers.create(
    body={
        "name": "front",
        "region": "fra1",
        "forwarding_rules": [RULE],
        "health_check": {"protocol": "http", "port": 8080, "path": "/", "healthy_threshold": 2},
        "tag": "web",
    }
)["load_balancer"]
assert made["status"] == "new" and made["ip"] == "", made
BALANCER = made["id"]


def shown():
    return CLIENT.load_balancers.get(BALANCER)["load_balancer"]


wait("the load balancer", lambda: shown()["status"] == "active")
address = shown()["ip"]
assert answers(address) == 503
droplets = CLIENT.droplets.create(
    body={
        "names": ["one", "two"],
        "region": "fra1",
        "size": "s-1vcpu-1gb",
        "image": "debian-12-x64",
        "tags": ["web"],
        "user_data": SAYS,
    }
)["droplets"]
ids = [droplet["id"] for droplet in droplets]
wait("the members", lambda: shown()["droplet_ids"] == ids)


def healthy():
    now = int(time.time())
    data = CLIENT.monitoring.get_lb_droplets_health_checks(lb_id=BALANCER, start=str(now - 60), end=str(now))["data"]
    return [int(one["metric"]["droplet_id"]) for one in data["result"] if one["values"][-1][1] == "1"] == ids


wait("the checks to pass", healthy)
assert {answers(address) for _ in range(10)} == {"one", "two"}

try:
    CLIENT.load_balancers.add_droplets(BALANCER, body={"droplet_ids": ids})
    raise AssertionError("added by id to one with a tag")
except HttpResponseError as error:
    assert error.status_code == 422, error
CLIENT.tags.unassign_resources("web", body={"resources": [{"resource_id": str(ids[1]), "resource_type": "droplet"}]})
wait("one to leave", lambda: shown()["droplet_ids"] == ids[:1])
assert {answers(address) for _ in range(10)} == {"one"}

# Replaced, and with that without a tag.
replaced = when_free(lambda: CLIENT.load_balancers.update(
    BALANCER, body={"name": "front", "region": "fra1", "forwarding_rules": [RULE], "droplet_ids": [ids[1]]}
))["load_balancer"]
assert replaced["tag"] == "" and replaced["health_check"]["healthy_threshold"] == 3, replaced
wait("the other member", lambda: shown()["droplet_ids"] == ids[1:])
when_free(lambda: CLIENT.load_balancers.add_droplets(BALANCER, body={"droplet_ids": ids[:1]}))
when_free(lambda: CLIENT.load_balancers.remove_droplets(BALANCER, body={"droplet_ids": ids[1:]}))
wait("one to come and one to leave", lambda: shown()["droplet_ids"] == ids[:1])
further = {**RULE, "entry_port": 8080}
when_free(lambda: CLIENT.load_balancers.add_forwarding_rules(BALANCER, body={"forwarding_rules": [further]}))
when_free(lambda: CLIENT.load_balancers.remove_forwarding_rules(BALANCER, body={"forwarding_rules": [further]}))
assert [balancer["id"] for balancer in CLIENT.load_balancers.list()["load_balancers"]] == [BALANCER]

# The older client reads all of it, and writes it back.
manager = digitalocean.Manager(token=TOKEN)
[balancer] = manager.get_all_load_balancers()
assert balancer.id == BALANCER and balancer.droplet_ids == ids[:1], vars(balancer)
balancer.name = "renamed"


def saved():
    """Whether the older client may write now."""
    try:
        return balancer.save()
    except digitalocean.DataReadError as error:
        assert "previous actions" in str(error), error
        return None


wait("the load balancer to be free", saved)
assert shown()["name"] == "renamed" and shown()["droplet_ids"] == ids[:1], shown()
when_free(lambda: CLIENT.load_balancers.delete(BALANCER))
wait("the load balancer to go", lambda: not CLIENT.load_balancers.list()["load_balancers"])
print("done")
