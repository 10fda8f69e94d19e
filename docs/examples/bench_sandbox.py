"""What all measures of the bench share: a sandbox of its own for each, a load on it, and the words of the table."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", "target"))
REMINT = Path(os.environ.get("REMINT", ROOT / TARGET / "release" / "remint"))
CLIENT = Path(__file__).with_name("client.py")

SEEDS = (1, 2)
RATE = 200

# What the example's manifest asks for, in seconds.
SUCCESSES, INTERVAL, OBSERVE, DRAIN = 3, 0.5, 5.0, 2.0

Row = tuple[str, str, str, str]


class Failed(Exception):
    """A measure could not be taken."""


class Sandbox:
    """A sandbox of its own in a temporary folder, with the example service beside it."""

    def __init__(self, label: str, *options: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"remint-bench-{label}-"))
        self.service = self.folder / "hello"
        self.env = {**os.environ, "REMINT_SANDBOX": f"bench-{label}-{os.getpid()}"}
        # With CI set, a first deploy asks where its journal is to be kept.
        for name in ("CI", "http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
            self.env.pop(name, None)
        self.options = options

    def __enter__(self) -> "Sandbox":
        self.remint("sandbox", "start", *self.options, at=self.folder)
        for name, value in re.findall(r"export (\w+)='?([^'\n]*)'?", self.remint("sandbox", "env", at=self.folder)):
            self.env[name] = value
        self.api("POST", "/v2/domains", {"name": "example.test"})
        self.remint("init", "--name", "hello", "-C", str(self.service), at=self.folder)
        manifest = self.service / "remint.toml"
        text = manifest.read_text()
        for key in (r"\[dns\]", "zone = ", "name = ", "ttl = "):
            text = re.sub(rf"(?m)^# (?={key})", "", text)
        manifest.write_text(text)
        self.calls()
        return self

    def __exit__(self, *_: object) -> None:
        for command in (("sandbox", "reset", "--yes"), ("sandbox", "stop", "--machines")):
            subprocess.run([REMINT, *command], env=self.env, cwd=self.folder, capture_output=True, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def remint(self, *arguments: str, at: Path | None = None) -> str:
        """Runs `remint`, and fails with what it said when it fails."""
        command = [str(REMINT), *arguments]
        done = subprocess.run(command, env=self.env, cwd=at or self.service, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Failed(f"remint {' '.join(arguments)} ended with {done.returncode}:\n{done.stderr}{done.stdout}")
        return done.stdout

    def timed(self, *arguments: str) -> float:
        started = time.monotonic()
        self.remint(*arguments)
        return time.monotonic() - started

    def api(self, method: str, path: str, body: object = None) -> object:
        request = urllib.request.Request(self.env["DIGITALOCEAN_API_URL"] + path, method=method)
        request.add_header("Authorization", f"Bearer {self.env['DIGITALOCEAN_TOKEN']}")
        request.add_header("Content-Type", "application/json")
        data = None if body is None else json.dumps(body).encode()
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, data, timeout=30) as answer:
            return json.loads(answer.read() or "null")

    def calls(self) -> dict[str, int]:
        """The calls since the last time that this was asked."""
        return json.loads(self.remint("sandbox", "calls", "--json", "--reset", at=self.folder))["calls"]

    def delays(self) -> list[tuple[str, float]]:
        """All delays that the cloud has drawn so far."""
        return [(drawn["kind"], drawn["seconds"]) for drawn in self.api("GET", "/sandbox/v1/delays")]

    def address(self) -> str:
        told = self.remint("status", "--json").splitlines()[-1]
        return json.loads(told)["data"]["endpoint"]


def critical_path(delays: list[tuple[str, float]], kinds: set[str]) -> float:
    """The sum of the delays of these kinds, which follow one upon the other; others are an error."""
    others = {kind for kind, _ in delays} - kinds
    if others:
        raise Failed(f"the run made the cloud do more than expected: {others}")
    return sum(seconds for _, seconds in delays)


def mutations(calls: dict[str, int]) -> int:
    return sum(count for call, count in calls.items() if not call.startswith("GET "))


def listed(calls: dict[str, int]) -> str:
    return "".join(f"{count:6}  {call}\n" for call, count in sorted(calls.items()))


class Load:
    """Requests at a steady pace from another process, as long as the block runs."""

    def __init__(self, address: str) -> None:
        command = [sys.executable, str(CLIENT), f"http://{address}/", str(RATE)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.sent = self.failed = 0
        self.seconds = 0.0

    def __enter__(self) -> "Load":
        self.started = time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGINT)
        self.seconds = time.monotonic() - self.started
        out, _ = self.process.communicate(timeout=60)
        told = json.loads(out.splitlines()[-1])
        self.sent, self.failed = told["sent"], told["failed"]


def realistic(label: str, seed: int) -> Sandbox:
    return Sandbox(label, "--kind", "simulated", "--profile", "realistic", "--speed", "1", "--seed", str(seed))


def total(calls: dict[str, int]) -> int:
    return sum(calls.values())


def verdict(holds: bool) -> str:
    return "holds" if holds else "**missed**"


def span(values: list[float], form: str) -> str:
    low, high = format(min(values), form), format(max(values), form)
    return low if low == high else f"{low} – {high}"
