"""The measure `fleets`: how long a rollover of many instances takes, what it asks of the API, and what it costs this machine."""

import json
import math
import os
import re
import subprocess
import time
from pathlib import Path

from bench_sandbox import DRAIN, INTERVAL, OBSERVE, REMINT, SUCCESSES, Failed, Row, Sandbox, mutations, total, verdict

SPEED = 20
SEED = 1
COUNTS = tuple(int(count) for count in os.environ.get("BENCH_FLEETS", "10,100,1000").split(","))
STRATEGIES = ("all", "rolling", "canary")

# The rate policy of providers/digitalocean/src/provider.rs, and how providers/sandbox/src/provider.rs scales it.
BURST, PER_SECOND, RESERVED = 170, 1.25 * SPEED, 40
# What one call takes: LIMITS.launch_batch there, and the size of a page in client.rs.
LAUNCH_BATCH, PAGE = 10, 200
# The realistic profile (providers/sandbox/cloud/src/delays.rs), in seconds before they are divided by the speed: the ends of
# the ranges, and the time between two samples of the metric that alone tells which instances are in service.
LAUNCH, DESTROY, CHANGE, SAMPLE = (20.0, 40.0), (5.0, 10.0), (2.0, 10.0), 120.0
LONGEST = {"create": 40.0, "boot": 30.0, "destroy": 10.0}
# The load balancer's checks, in seconds as the manifest asks for them. Those of many are further apart: HAProxy and the
# machines share the processors with everything else.
HEALTHY = 2


def check_interval(count: int) -> int:
    return 10 if count <= 100 else 60


def fleet(sandbox: Sandbox, count: int, strategy: str, check: int) -> None:
    """Writes into the manifest what `[instance]`, `[load_balancer]` and `[deploy]` say from now on."""
    batch = {"all": "", "rolling": f"batch = {min(100, count)}\n", "canary": f'canary = {min(10, count // 2)}\nbatch = "100%"\n'}
    manifest = sandbox.service / "remint.toml"
    text = re.sub(r"(?ms)^# --- Several instances ---.*", "", manifest.read_text())
    text = re.sub(r"(?m)^(strategy|batch|canary) = .*\n", "", text)
    text = text.replace("[deploy]\n", f'[deploy]\nstrategy = "{strategy}"\n{batch[strategy]}')
    manifest.write_text(
        f"""{text}# --- Several instances ---
[instance]
count = {count}

[load_balancer]
listeners = [{{ port = 80, protocol = "http" }}]
check = {{ path = "/health/check", interval = "{check}s", timeout = "3s", healthy = {HEALTHY} }}
"""
    )


def waves(count: int, strategy: str) -> list[int]:
    """How many instances each wave launches, as core/src/deploy/waves.rs chooses them where every step succeeds."""
    if strategy == "all":
        return [count]
    if strategy == "canary":
        first = min(10, count // 2)
        return [first, count - first]
    batch = min(100, count)
    return [min(batch, count - done) for done in range(0, count, batch)]


class Slowest:
    """The slowest of the delays that the cloud drew for each wave.

    `/sandbox/v1/delays` remembers the last thousand or two. Where it has forgotten some of this rollover's, a wave is taken to have
    the longest delay that the profile has: of hundreds of draws, the slowest is nearly that.
    """

    def __init__(self, delays: list[dict], count: int) -> None:
        self.drawn = {}
        for kind in LONGEST:
            last = [(drawn["resource"], drawn["seconds"]) for drawn in delays if drawn["kind"] == kind][-count:]
            self.drawn[kind] = last if len(last) == count else None

    def launch(self, begin: int, many: int) -> float:
        """From the launch until the last instance of a wave lets one log in."""
        create, boot = self.drawn["create"], self.drawn["boot"]
        if create is None or boot is None:
            return (LONGEST["create"] + LONGEST["boot"]) / SPEED
        boots = dict(boot)
        return max(seconds + boots[instance] for instance, seconds in create[begin : begin + many])

    def destroy(self, begin: int, many: int) -> float:
        drawn = self.drawn["destroy"]
        return LONGEST["destroy"] / SPEED if drawn is None else max(seconds for _, seconds in drawn[begin : begin + many])


def time_bound(count: int, strategy: str, slowest: Slowest, check: int) -> float:
    """What a rollover must wait for even if it learnt of every event at once, and neither it nor this machine had to compute.

    The waves follow one upon another. In each of them, one after the other:

    - the slowest instance is created and boots. The launch calls, ten instances each, are within the burst;
    - it passes the further health checks that the manifest asks for;
    - the load balancer takes the new members: one change, the longest of its range;
    - they pass the load balancer's checks: one may just have been made when a member comes, so it takes `HEALTHY` intervals;
    - a sample of the metric says so: one may just have been taken, so it takes a whole pause between two;
    - `deploy.observe`;
    - the load balancer lets the old members go: another change; `deploy.drain`;
    - the old instances are destroyed, with one call each. The burst is spent after `BURST` of them, and the others come at the pace
      of the policy. The slowest takes its time after the last call.
    """
    bound, done = 0.0, 0
    for many in waves(count, strategy):
        bound += slowest.launch(done, many)
        bound += (SUCCESSES - 1) * INTERVAL
        bound += (CHANGE[1] + HEALTHY * check + SAMPLE) / SPEED
        bound += OBSERVE
        bound += CHANGE[1] / SPEED + DRAIN
        bound += max(0, many - BURST) / PER_SECOND + slowest.destroy(done, many)
        done += many
    return bound


def looks(share: float, until: float, first: float = 0.0, base: float = 0.0) -> int:
    """How often is looked for something that is so after `until` seconds, with the pauses of core/src/watch/schedule.rs: a share of the
    time since `base` seconds before, and 0.2 s at least. Jitter shortens a pause by a tenth at most."""
    at = first + (first + base) * share
    count = 1
    while at < until:
        at += max(0.2, (at + base) * share) * 0.9
        count += 1
    return count


def call_bound(count: int, strategy: str, slowest: Slowest, check: int) -> int:
    """The calls that a rollover may make. A list has a call for each `PAGE` instances; the members of a load balancer are two calls,
    it and its metric.

    A wave changes something by: a login key that comes and goes, a launch call for each `LAUNCH_BATCH` instances, one call that makes
    them members and one that lets the old ones go, one delete call for each old instance. It reads: what there is, before each of
    its four steps (the list and the members); the new instances until they have addresses; the load balancer before it is
    changed; the members until the new ones are in service, after each five seconds of `deploy.observe`, before and after the old
    ones leave, and before they are destroyed; the list until they are gone.

    The plan before it, and the end after it, take a fixed number: the image, the base image, the size, the zone's records, the
    load balancer, the lists.
    """
    bound, done = 0, 0
    for many in waves(count, strategy):
        pages = math.ceil((count + many) / PAGE)
        members = 2
        bound += 2 + math.ceil(many / LAUNCH_BATCH) + 2 + many
        bound += 4 * (pages + members)
        bound += pages * looks(0.1, LAUNCH[1] * 0.4 / SPEED, first=LAUNCH[0] / SPEED)
        gated = slowest.launch(done, many) + (SUCCESSES - 1) * INTERVAL
        bound += 1 + members * looks(0.08, (CHANGE[1] + HEALTHY * check + SAMPLE) / SPEED, base=gated)
        bound += members * math.ceil(OBSERVE / 5)
        bound += members + 1 + members * looks(0.1, CHANGE[1] / SPEED) + 1 + members
        bound += pages * (looks(0.45, DESTROY[1] / SPEED + max(0, many - BURST) / PER_SECOND, first=DESTROY[0] / SPEED) + 1)
        done += many
    return bound + 20 + 3 * math.ceil(count / PAGE)


def ticks(pid: int) -> float:
    """The processor seconds that a process and those below it have used."""
    used = 0.0
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        used = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        for task in Path(f"/proc/{pid}/task").iterdir():
            used += sum(ticks(int(child)) for child in (task / "children").read_text().split())
    except OSError:
        pass  # It has ended meanwhile.
    return used


def peak(pid: int) -> float:
    """The most memory that a process has been resident with so far, in MiB."""
    try:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0.0
    return int(found[1]) / 1024 if found else 0.0


def observed(sandbox: Sandbox, *arguments: str) -> tuple[float, float, float]:
    """Runs `remint`; gives its time, its peak memory in MiB, and its processor seconds."""
    log = sandbox.folder / "remint.log"
    with log.open("w") as out:
        started = time.monotonic()
        process = subprocess.Popen([REMINT, *arguments], env=sandbox.env, cwd=sandbox.service, stdout=out, stderr=out)
        most = 0.0
        while True:
            most = max(most, peak(process.pid))
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            time.sleep(0.02)
        took = time.monotonic() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise Failed(f"remint {' '.join(arguments)} ended with {process.returncode}:\n{log.read_text()[-4000:]}")
    return took, most, usage.ru_utime + usage.ru_stime


class Log:
    """The sandbox's log, in which every answer of its API is a line with its status."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.begin = len(self.text())

    def text(self) -> str:
        former = self.path.with_suffix(".1")
        return (former.read_text() if former.exists() else "") + self.path.read_text()

    def refused(self, served: int) -> int:
        """How many answers were 429 since this was made. `served`: the calls that the sandbox counted meanwhile, all of which must be
        there."""
        answers = re.findall(r' path="/v2/.* status=(\d+)', self.text()[self.begin :])
        if len(answers) < served:
            raise Failed(f"the sandbox's log has {len(answers)} answers of {served}")
        return answers.count("429")


def fleets() -> list[dict[str, object]]:
    """Rollovers of more and more instances, each strategy after the other on the same instances. One that fails says how, and ends those
    of its count."""
    runs: list[dict[str, object]] = []
    for count in COUNTS:
        try:
            rollovers(count, runs)
        except Failed as failure:
            errors = [line for line in str(failure).splitlines() if line.startswith("error")]
            runs.append({"count": count, "failure": (errors or str(failure).splitlines())[0]})
    return runs


def rollovers(count: int, runs: list[dict[str, object]]) -> None:
    check = check_interval(count)
    options = ("--kind", "simulated", "--profile", "realistic", "--speed", str(SPEED), "--seed", str(SEED))
    with Sandbox(f"fleet{count}", *options, "--instances", str(2 * count + 10)) as sandbox:
        status = json.loads(sandbox.remint("sandbox", "status", "--json", at=sandbox.folder).splitlines()[-1])["data"]
        pid, log = status["pid"], Path(status["log"])
        fleet(sandbox, count, "all", check)
        sandbox.remint("deploy", "--yes")
        for strategy in STRATEGIES:
            fleet(sandbox, count, strategy, check)
            before, answers = ticks(pid), Log(log)
            sandbox.calls()
            took, memory, processor = observed(sandbox, "deploy", "--yes", "--var", f"greeting=Hello by {strategy}")
            calls = sandbox.calls()
            slowest = Slowest(sandbox.api("GET", "/sandbox/v1/delays"), count)
            runs.append(
                {
                    "count": count,
                    "strategy": strategy,
                    "time": took,
                    "time bound": time_bound(count, strategy, slowest, check),
                    "calls": calls,
                    "call bound": call_bound(count, strategy, slowest, check),
                    "refused": answers.refused(total(calls)),
                    "memory": memory,
                    "processor": processor,
                    "sandbox processor": ticks(pid) - before,
                    "sandbox memory": peak(pid),
                }
            )


def fleet_rows(runs: list[dict]) -> list[Row]:
    rows = []
    for run in runs:
        if "failure" in run:
            rows.append((f"{run['count']:,} instances replaced", "≤ 1.2", run["failure"], verdict(holds=False)))
            continue
        ratio, calls = run["time"] / run["time bound"], total(run["calls"])
        what = f"{run['count']:,} instances replaced, `{run['strategy']}`"
        told = f"{ratio:.2f} ({run['time']:.0f} s for a bound of {run['time bound']:.0f} s)"
        cost = f"processor: `remint` {run['processor']:.0f} s, sandbox {run['sandbox processor']:.0f} s"
        rows.append((f"{what}: time ÷ bound", "≤ 1.2", f"{told}; {cost}", verdict(ratio <= 1.2)))
        told = f"{calls:,} ({mutations(run['calls']):,} of them changes), {run['refused']} refused"
        holds = calls <= run["call bound"] and run["refused"] == 0
        rows.append((f"{what}: API calls", f"≤ {run['call bound']:,}, none refused", told, verdict(holds)))
    ended = [run for run in runs if "failure" not in run]
    if not ended:
        return rows
    memory, sandbox = max(run["memory"] for run in ended), max(run["sandbox memory"] for run in ended)
    most = max(run["count"] for run in ended)
    told = f"{memory:.0f} MiB, and the sandbox {sandbox:,.0f} MiB"
    rows.append((f"`remint deploy` of up to {most:,} instances: resident memory", "≤ 150 MiB", told, verdict(memory <= 150)))
    return rows


NOT_TAKEN: list[Row] = [("10, 100 and 1,000 instances replaced", "≤ 1.2", "not measured yet", "")]

TEXT = """**Fleets.** A change of the configuration replaces all instances behind a load balancer, without a bake, on simulated machines of
`--profile realistic --speed {speed}`: clouds, rate limits and checks are {speed} times as fast, and what the manifest asks for is not.
`rolling` has batches of 100 at most, `canary` 10 canaries at most and then all others. The bound of the time is what the waves
must wait for one after another: launch and boot of the slowest instance, health checks, the load balancer's change and its
checks, a sample of its metric (every two minutes, of which a whole pause is counted, so a run may come out below 1),
`deploy.observe`, `deploy.drain`, and the delete calls, one for each instance, at the pace that DigitalOcean allows. The bound of the
calls counts what must be changed, lists of 200 instances a page, and the looks that Remint's pauses give. `bench_fleets.py` derives both.
Refusals (429) are read from the sandbox's log. `remint`, HAProxy and all the machines that the sandbox plays share the {cores} cores: where
the processor seconds of both come near the time times {cores}, they limit it, and not the cloud."""
