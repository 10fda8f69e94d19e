#!/usr/bin/env python3
"""Replaces droplets behind a load balancer by the calls that Terraform makes, in its order.

    terraform_order.py create STATE IMAGE COUNT GREETING     what the first `terraform apply` does
    terraform_order.py replace STATE GREETING                what the next one does when the user data has changed

The configuration, of which STATE is the state file:

    resource "digitalocean_droplet" "web" {
      count     = COUNT
      image     = IMAGE
      user_data = "…GREETING…"
      # name, region, size
      lifecycle { create_before_destroy = true }
    }
    resource "digitalocean_loadbalancer" "web" {
      droplet_ids = digitalocean_droplet.web[*].id
      # name, region, forwarding_rule, healthcheck
    }

The API is `$DIGITALOCEAN_API_URL`, with `$DIGITALOCEAN_TOKEN`. Sources, each named where it is followed:

- provider: github.com/digitalocean/terraform-provider-digitalocean, `digitalocean/droplet/resource_droplet.go` and
  `digitalocean/loadbalancer/resource_loadbalancer.go`
- SDK: github.com/hashicorp/terraform-plugin-sdk, `helper/retry/state.go`
- Terraform: github.com/hashicorp/terraform, `docs/destroying.md`, and the documentation of its command line
"""

import concurrent.futures
import json
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

REGION, SIZE = "nyc3", "s-1vcpu-1gb"

# Terraform's documentation, `terraform apply`: -parallelism, ten operations at a time by default.
PARALLELISM = 10


class Failed(Exception):
    """Terraform would end with an error here."""


def api(method: str, path: str, body: object = None) -> tuple[int, dict]:
    """One call. Neither provider nor SDK repeats it where it fails for good."""
    request = urllib.request.Request(os.environ["DIGITALOCEAN_API_URL"] + path, method=method)
    request.add_header("Authorization", f"Bearer {os.environ['DIGITALOCEAN_TOKEN']}")
    request.add_header("Content-Type", "application/json")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, None if body is None else json.dumps(body).encode(), timeout=60) as answer:
            return answer.status, json.loads(answer.read() or "{}")
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or "{}")


def expect(method: str, path: str, body: object = None) -> dict:
    status, answer = api(method, path, body)
    if status >= 300:
        raise Failed(f"{method} {path}: {status} {answer}")
    return answer


def wait(look: Callable[[], bool], delay: float, at_least: float) -> None:
    """SDK, `StateChangeConf.WaitForStateContext`: waits for `Delay`, and looks. The pause after a look is twice the one before,
    `MinTimeout` at least, and ten seconds at most."""
    time.sleep(delay)
    pause = 0.0
    while not look():
        pause = min(max(2 * pause, at_least), 10.0)
        time.sleep(pause)


def user_data(greeting: str) -> str:
    """What the example's manifest has in `[config]`, as anybody would write it for cloud-init."""
    return f"""#cloud-config
write_files:
  - path: /etc/hello/hello.env
    permissions: "0600"
    content: |
      HELLO_GREETING="{greeting}"
runcmd:
  - systemctl restart hello.service
"""


def create_droplet(name: str, image: int, greeting: str) -> int:
    """Provider, `resourceDigitalOceanDropletCreate`: one create call for each droplet, then a wait until it is `active`. Nobody waits
    until it has booted, or until the service answers."""
    wish = {"name": name, "region": REGION, "size": SIZE, "image": image, "user_data": user_data(greeting)}
    droplet = expect("POST", "/v2/droplets", wish)["droplet"]["id"]

    def active() -> bool:
        # Provider, `dropletStateRefreshFunc`: a droplet that is locked is not looked at.
        now = expect("GET", f"/v2/droplets/{droplet}")["droplet"]
        return not now["locked"] and now["status"] == "active"

    # Provider, `waitForDropletAttribute`.
    wait(active, delay=10.0, at_least=3.0)
    return droplet


def destroy_droplet(droplet: int) -> None:
    """Provider, `resourceDigitalOceanDropletDelete`: waits until the droplet is not locked, deletes it, and waits until it is not
    found any more. `graceful_shutdown` is false by default."""

    def unlocked() -> bool:
        return not expect("GET", f"/v2/droplets/{droplet}")["droplet"]["locked"]

    def gone() -> bool:
        status, _ = api("GET", f"/v2/droplets/{droplet}")
        return status == 404

    # Provider, `waitForDropletAttribute`.
    wait(unlocked, delay=10.0, at_least=3.0)
    expect("DELETE", f"/v2/droplets/{droplet}")
    # Provider, `waitForDropletDestroy`.
    wait(gone, delay=10.0, at_least=3.0)


def balancer_settings(droplets: list[int]) -> dict:
    """Provider, `buildLoadBalancerRequest`: everything that the configuration says, in each request. The check is the one that
    Remint's measure asks for."""
    return {
        "name": "terraform-order",
        "region": REGION,
        "forwarding_rules": [{"entry_protocol": "http", "entry_port": 80, "target_protocol": "http", "target_port": 80}],
        "health_check": {
            "protocol": "http",
            "port": 80,
            "path": "/health/check",
            "check_interval_seconds": 10,
            "response_timeout_seconds": 3,
            "healthy_threshold": 2,
            "unhealthy_threshold": 3,
        },
        "droplet_ids": droplets,
    }


def create_balancer(droplets: list[int]) -> str:
    """Provider, `resourceDigitalOceanLoadbalancerCreate`: waits until the load balancer is `active`, and reads it."""
    balancer = expect("POST", "/v2/load_balancers", balancer_settings(droplets))["load_balancer"]["id"]
    path = f"/v2/load_balancers/{balancer}"
    wait(lambda: expect("GET", path)["load_balancer"]["status"] == "active", delay=0.0, at_least=15.0)
    expect("GET", path)
    return balancer


def update_balancer(balancer: str, droplets: list[int]) -> None:
    """Provider, `resourceDigitalOceanLoadbalancerUpdate`: one call that replaces all settings, and a read. Nobody waits until it has
    taken effect, or until the load balancer finds a new droplet healthy."""
    expect("PUT", f"/v2/load_balancers/{balancer}", balancer_settings(droplets))
    expect("GET", f"/v2/load_balancers/{balancer}")


def side_by_side(work: Callable[[object], object], of: list) -> list:
    with concurrent.futures.ThreadPoolExecutor(PARALLELISM) as pool:
        return list(pool.map(work, of))


def create(state: Path, image: int, count: int, greeting: str) -> None:
    droplets = side_by_side(lambda index: create_droplet(f"web-{index}", image, greeting), list(range(count)))
    balancer = create_balancer(droplets)
    state.write_text(json.dumps({"image": image, "droplets": droplets, "balancer": balancer}))


def replace(state: Path, greeting: str) -> None:
    known = json.loads(state.read_text())
    image, former, balancer = known["image"], known["droplets"], known["balancer"]
    # Terraform's documentation, `terraform plan`: reads the current state of everything that exists already. Provider,
    # `resourceDigitalOceanDropletRead` and `resourceDigitalOceanLoadbalancerRead`: one call each.
    side_by_side(lambda droplet: expect("GET", f"/v2/droplets/{droplet}"), former)
    expect("GET", f"/v2/load_balancers/{balancer}")
    # Terraform, `docs/destroying.md`, "Create Before Destroy": where B depends on A, and A is replaced, A is created, B is updated, and
    # the former A is destroyed. A are the droplets: a change of `user_data` replaces a droplet (provider, the schema's `ForceNew`).
    new = side_by_side(lambda index: create_droplet(f"web-{index}", image, greeting), list(range(len(former))))
    update_balancer(balancer, new)
    side_by_side(destroy_droplet, former)
    state.write_text(json.dumps({"image": image, "droplets": new, "balancer": balancer}))


def main() -> None:
    match sys.argv[1:]:
        case ["create", state, image, count, greeting]:
            create(Path(state), int(image), int(count), greeting)
        case ["replace", state, greeting]:
            replace(Path(state), greeting)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    try:
        main()
    except Failed as failure:
        sys.exit(f"terraform_order: {failure}")
