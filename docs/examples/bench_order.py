"""The measure `order`: three instances behind a load balancer are replaced under load, by Remint and by Terraform's calls in Terraform's
order (`terraform_order.py`), each in a sandbox of its own of the same seed."""

import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from bench_fleets import fleet
from bench_sandbox import RATE, Failed, Load, Row, Sandbox, realistic, total, verdict

COUNT = 3
# As terraform_order.py sets its load balancer up.
CHECK = 10
SCRIPT = Path(__file__).with_name("terraform_order.py")
# How long the first instances of the script may take until they are in service, in seconds.
PATIENCE = 300


def until_served(address: str) -> None:
    """Waits until a load balancer has a healthy instance, and a little longer, so that it has all of them."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            with opener.open(f"http://{address}/", timeout=5):
                time.sleep(3 * CHECK)
                return
        except (urllib.error.URLError, OSError):
            time.sleep(1)
    raise Failed(f"nothing answers at {address} after {PATIENCE} s")


def taken(sandbox: Sandbox, load: Load, took: float) -> dict[str, object]:
    calls = sandbox.calls()
    return {"time": took, "calls": calls, "sent": load.sent, "failed": load.failed, "rate": load.sent / load.seconds}


def remint(seed: int) -> dict[str, object]:
    with realistic(f"order{seed}", seed) as sandbox:
        fleet(sandbox, COUNT, "all", CHECK)
        sandbox.remint("deploy", "--yes")
        address = sandbox.address()
        until_served(address)
        sandbox.calls()
        with Load(address) as load:
            took = sandbox.timed("deploy", "--yes", "--var", "greeting=Hello again")
        return {"seed": seed, **taken(sandbox, load, took)}


def terraform(seed: int) -> dict[str, object]:
    with realistic(f"terraform{seed}", seed) as sandbox:
        # The image is the one that Remint bakes from the same manifest: only the replacement differs.
        fleet(sandbox, COUNT, "all", CHECK)
        sandbox.remint("bake")
        image = sandbox.api("GET", "/v2/images?private=true")["images"][0]["id"]

        def script(*arguments: str) -> float:
            command = [sys.executable, str(SCRIPT), *arguments]
            started = time.monotonic()
            done = subprocess.run(command, env=sandbox.env, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise Failed(f"terraform_order.py {arguments[0]} ended with {done.returncode}:\n{done.stderr}{done.stdout}")
            return time.monotonic() - started

        state = str(sandbox.folder / "terraform.json")
        script("create", state, str(image), str(COUNT), "Hello from Remint")
        through, offset = (int(sandbox.env[f"REMINT_SANDBOX_PORT_{name}"]) for name in ("THROUGH", "OFFSET"))
        ip = sandbox.api("GET", "/v2/load_balancers")["load_balancers"][0]["ip"]
        address = f"{ip}:{80 + (offset if 80 <= through else 0)}"
        until_served(address)
        sandbox.calls()
        with Load(address) as load:
            took = script("replace", state, "Hello again")
            # Clients go on for a while: what the script left behind may serve late.
            after = time.monotonic()
            while time.monotonic() < after + 3 * CHECK:
                time.sleep(1)
        return {"seed": seed, **taken(sandbox, load, took)}


def order_rows(runs: dict[str, list[dict]]) -> list[Row]:
    rows = []
    for name, who in (("remint", "Remint"), ("terraform", "Terraform's `create_before_destroy`")):
        for run in runs[name]:
            what = f"{COUNT} instances replaced under load by {who}, seed {run['seed']}"
            told = f"{run['failed']:,} requests lost of {run['sent']:,}; {run['time']:.0f} s, {total(run['calls'])} calls"
            # A machine that cannot keep the pace has not taken the measure.
            holds = run["failed"] == 0 and run["rate"] > 0.95 * RATE
            wanted, judged = ("0 lost", verdict(holds)) if name == "remint" else ("", "")
            rows.append((what, wanted, told, judged))
    return rows


NOT_TAKEN: list[Row] = [
    ("3 instances replaced under load, by Remint and by Terraform's calls", "0 lost", "not measured yet", "")
]

TEXT = """**Order.** Three instances behind a load balancer are replaced at a real cloud's pace (`--speed 1`), with {rate} requests a second through
the load balancer. Terraform itself is not run: `docs/examples/terraform_order.py` makes the calls that it makes for droplets with
`create_before_destroy` and a load balancer that names them, in its order and with its provider's pauses; each step names its
source. Both launch the image that Remint baked, with the same configuration, and meet the same delays. Terraform waits until a
droplet is `active`, which it is before it has booted. Then it gives the load balancer the new droplets in place of the old ones, which
get no more clients from then on. Until the new ones have booted and passed the checks, clients get errors. A configuration can
prevent that with a provisioner that waits for the service. Remint waits until the load balancer has the new instances in service,
and its metric says so every two minutes only."""
