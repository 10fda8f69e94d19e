#!/usr/bin/env python3
"""Takes the measures of docs/performance.md, prints them as a table, and writes the page.

    docs/examples/bench.py                      all measures
    docs/examples/bench.py cloud small          only these; the page has the others as they were taken last

The measures: `cloud` (bake, replacement and lost requests on the realistic profile), `packer` (Packer's digitalocean
builder on the same profile and seed), `small` (an unchanged plan and deploy, a revert, start-up, memory), `files` (20,000 small
files to a builder that is 30 ms away), `qemu` (a bake on real virtual machines, cold and warm, beside Packer's qemu builder), `fleets`
(10, 100 and 1,000 instances replaced, by each strategy), `order` (three instances replaced under load, next to Terraform's calls).
The program is `$REMINT`, or the release build.
"""

import concurrent.futures
import datetime
import json
import os
import platform
import queue
import re
import shutil
import socket
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

import bench_fleets
import bench_order
from bench_sandbox import (
    DRAIN,
    INTERVAL,
    OBSERVE,
    RATE,
    REMINT,
    ROOT,
    SEEDS,
    SUCCESSES,
    TARGET,
    Failed,
    Load,
    Row,
    Sandbox,
    critical_path,
    listed,
    mutations,
    realistic,
    span,
    total,
    verdict,
)

PAGE = ROOT / "docs" / "performance.md"
# What was found last of each measure, so that they need not all be taken at one time.
FOUND = ROOT / TARGET / "bench.json"

START_UPS = 21
QEMU_RUNS = int(os.environ.get("BENCH_QEMU_RUNS", "3"))

BAKE = {"create", "boot", "shutdown", "snapshot", "destroy"}
REPLACE = {"create", "boot", "reserved_ip", "destroy"}


def cloud(seed: int) -> dict[str, object]:
    """A bake, a first deploy, and a replacement under load, at the pace of a real cloud."""
    with realistic(f"cloud{seed}", seed) as sandbox:
        bake = sandbox.timed("bake")
        baked = sandbox.delays()
        bake_calls = sandbox.calls()
        sandbox.remint("deploy")
        address, before = sandbox.address(), len(sandbox.delays())
        sandbox.calls()
        with Load(address) as load:
            replace = sandbox.timed("deploy", "--var", "greeting=Hello again")
        replace_calls = sandbox.calls()
        drawn = sandbox.delays()[before:]
        asked = (SUCCESSES - 1) * INTERVAL + OBSERVE + DRAIN
        return {
            "seed": seed,
            "bake": bake,
            "bake path": critical_path(baked, BAKE),
            "bake calls": bake_calls,
            "replace": replace,
            "replace path": critical_path(drawn, REPLACE) + asked,
            "replace calls": replace_calls,
            "sent": load.sent,
            "failed": load.failed,
            "rate": load.sent / load.seconds,
        }


PACKER = {
    "variables": {"token": "", "url": ""},
    "builders": [
        {
            "type": "digitalocean",
            "api_token": "{{user `token`}}",
            "api_url": "{{user `url`}}",
            "region": "nyc3",
            "size": "s-1vcpu-1gb",
            "image": "debian-12-x64",
            "ssh_username": "root",
            "snapshot_name": "hello-packer",
        }
    ],
    "provisioners": [
        {"type": "shell", "inline": ["mkdir -p /tmp/hello"]},
        {"type": "file", "source": "app/", "destination": "/tmp/hello"},
        {"type": "shell", "script": "app/install.sh", "environment_vars": ["VERSION=v1"]},
        {"type": "shell", "inline": ["systemctl is-enabled hello.service"]},
    ],
}


def packer(seed: int) -> dict[str, object]:
    """The same bake by Packer's digitalocean builder, against a sandbox that draws the same delays."""
    with realistic(f"packer{seed}", seed) as sandbox:
        template = sandbox.service / "packer.json"
        recipe = json.loads(json.dumps(PACKER))
        through, offset = (int(sandbox.env[f"REMINT_SANDBOX_PORT_{name}"]) for name in ("THROUGH", "OFFSET"))
        recipe["builders"][0]["ssh_port"] = 22 + (offset if 22 <= through else 0)
        # Packer's own temporary key is an RSA key, which simulated machines do not take: it brings another one.
        key = sandbox.folder / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        public = key.with_suffix(".pub").read_text().strip()
        recipe["builders"][0]["ssh_private_key_file"] = str(key)
        recipe["builders"][0]["user_data"] = f"#cloud-config\nssh_authorized_keys:\n  - {public}\n"
        template.write_text(json.dumps(recipe))
        env = {**sandbox.env, "CHECKPOINT_DISABLE": "1", "PACKER_CONFIG_DIR": str(sandbox.folder)}
        variables = ["-var", f"token={sandbox.env['DIGITALOCEAN_TOKEN']}", "-var", f"url={sandbox.env['DIGITALOCEAN_API_URL']}"]
        command = ["packer", "build", "-color=false", *variables, template.name]
        started = time.monotonic()
        done = subprocess.run(command, cwd=sandbox.service, env=env, capture_output=True, text=True, check=False)
        elapsed = time.monotonic() - started
        if done.returncode != 0:
            raise Failed(f"packer ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return {"seed": seed, "bake": elapsed, "calls": sandbox.calls(), "path": critical_path(sandbox.delays(), BAKE)}


def peak_memory(sandbox: Sandbox, *arguments: str) -> float:
    """The most memory that a command was resident with, in MiB: the kernel's high-water mark, read until it ends."""
    process = subprocess.Popen(
        [REMINT, *arguments], env=sandbox.env, cwd=sandbox.service, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    peak = 0
    said = []
    reader = threading.Thread(target=lambda: said.append(process.stderr.read()))
    reader.start()
    while process.poll() is None:
        try:
            status = Path(f"/proc/{process.pid}/status").read_text()
        except OSError:
            break
        if found := re.search(r"VmHWM:\s+(\d+) kB", status):
            peak = max(peak, int(found[1]))
        time.sleep(0.01)
    reader.join()
    if process.wait() != 0:
        raise Failed(f"remint {' '.join(arguments)}: {said}")
    return peak / 1024


def small() -> dict[str, object]:
    """What does not depend on the cloud's pace."""
    with Sandbox("small", "--kind", "simulated") as sandbox:

        def git(*arguments: str) -> None:
            name = ["-c", "user.name=bench", "-c", "user.email=bench@example.test", "-c", "commit.gpgsign=false"]
            subprocess.run(["git", *name, *arguments], cwd=sandbox.service, capture_output=True, check=True)

        git("init", "--quiet")
        git("add", "--all")
        git("commit", "--message", "v1")
        memory = peak_memory(sandbox, "deploy")
        sandbox.calls()
        sandbox.remint("plan")
        plan = sandbox.calls()
        sandbox.remint("deploy")
        again = sandbox.calls()
        manifest = sandbox.service / "remint.toml"
        manifest.write_text(manifest.read_text().replace('version = "v1"', 'version = "v2"'))
        git("commit", "--all", "--message", "v2")
        sandbox.remint("deploy")
        git("revert", "--no-edit", "HEAD")
        sandbox.calls()
        memory = max(memory, peak_memory(sandbox, "deploy"))
        revert = sandbox.calls()
        times = {}
        for arguments in (("--version",), ("validate",)):
            runs = [sandbox.timed(*arguments) for _ in range(START_UPS)]
            times[arguments[0]] = statistics.median(runs) * 1000
        snapshots = sum(count for call, count in revert.items() if call.startswith("POST /v2/droplets/"))
        return {"memory": memory, "plan": plan, "again": again, "revert": revert, "snapshots": snapshots, "times": times}


# A tree like `node_modules`: many folders, files of a few hundred bytes.
FILES, FOLDERS = 20_000, 400
# Of the file-by-file ways so many are copied, since all would take hours.
SAMPLE = 400
ROUND_TRIP = 0.030


class Delay:
    """A proxy on loopback that passes on what it gets half a round trip later, in both directions.

    It listens on a port of every loopback address, and passes a connection on to another port of the same address.
    """

    def __init__(self, to: int) -> None:
        self.to = to

    def __enter__(self) -> "Delay":
        self.listener = socket.create_server(("0.0.0.0", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.listener.close()

    def accept(self) -> None:
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            host = near.getsockname()[0]
            try:
                far = socket.create_connection((host, self.to))
            except OSError:
                near.close()
                continue
            for one, other in ((near, far), (far, near)):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.carry(one, other)

    @staticmethod
    def carry(one: socket.socket, other: socket.socket) -> None:
        # What is on its way is bounded by this many pieces, as by a network's window.
        pieces: queue.Queue = queue.Queue(maxsize=256)

        def take() -> None:
            while True:
                try:
                    data = one.recv(65536)
                except OSError:
                    data = b""
                pieces.put((time.monotonic() + ROUND_TRIP / 2, data))
                if not data:
                    return

        def give() -> None:
            while True:
                at, data = pieces.get()
                time.sleep(max(0.0, at - time.monotonic()))
                try:
                    if not data:
                        other.shutdown(socket.SHUT_WR)
                        return
                    other.sendall(data)
                except OSError:
                    return

        for work in (take, give):
            threading.Thread(target=work, daemon=True).start()


class Sshd:
    """OpenSSH's server on a loopback port, for `scp` and `sftp`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = folder / "login"

    def __enter__(self) -> "Sshd":
        for name in ("host", "login"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.folder / name], check=True)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)
        config = self.folder / "sshd_config"
        config.write_text(
            f"ListenAddress 127.0.0.1:{self.port}\nHostKey {self.folder}/host\nAuthorizedKeysFile {self.folder}/login.pub\n"
            "PidFile none\nStrictModes no\nUsePAM no\nPermitRootLogin prohibit-password\nSubsystem sftp internal-sftp\n"
        )
        program = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
        if program is None:
            raise Failed("this measure needs sshd: apt-get install openssh-server")
        self.process = subprocess.Popen([program, "-D", "-f", config], stderr=subprocess.DEVNULL)
        time.sleep(1)
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait()

    def timed(self, port: int, program: str, *arguments: str) -> float:
        """Runs `scp` or `sftp` through the proxy."""
        options = ["-q", "-P", str(port), "-i", self.key, "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
        command = [program, *options, *arguments]
        started = time.monotonic()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Failed(f"{program} ended with {done.returncode}: {done.stderr}{done.stdout}")
        return time.monotonic() - started


def write_tree(root: Path, files: int, folders: int) -> None:
    for number in range(folders):
        (root / f"package-{number}").mkdir(parents=True)
    for number in range(files):
        path = root / f"package-{number % folders}" / f"module-{number}.js"
        path.write_text(f"module.exports = {number};\n" * (1 + number % 20))


def files() -> dict[str, object]:
    """A tree of small files, to a machine that is one delayed round trip away."""
    with Sandbox("files", "--kind", "simulated") as sandbox:
        write_tree(sandbox.service / "many", FILES, FOLDERS)
        manifest = sandbox.service / "remint.toml"
        step = '[[image.provision]]\ntype = "file"\nsource = "many"\ndestination = "/opt/many"\nowner = "nobody:nogroup"\n\n'
        text = manifest.read_text()
        at = text.index("[[image.provision]]")
        manifest.write_text(text[:at] + step + text[at:])
        through, offset = (int(sandbox.env[f"REMINT_SANDBOX_PORT_{name}"]) for name in ("THROUGH", "OFFSET"))
        with Delay(22 + (offset if 22 <= through else 0)) as delay:
            # Remint looks for port 22 of a machine where the proxy is.
            sandbox.env["REMINT_PORT_MAP"] = f"1023+{delay.port - 22}"
            command = [str(REMINT), "bake", "--json", "--provider", "digitalocean"]
            process = subprocess.Popen(
                command, env=sandbox.env, cwd=sandbox.service, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
            begun = took = 0.0
            for line in process.stdout:
                message = str(json.loads(line).get("message", ""))
                if message.startswith("step 1 (file many)"):
                    begun = time.monotonic()
                elif message.startswith("step 2 ") and not took:
                    took = time.monotonic() - begun
            if process.wait() != 0 or not begun or not took:
                raise Failed(f"remint bake ended with {process.returncode}: {process.stderr.read()}")
        few = sandbox.folder / "few"
        write_tree(few, SAMPLE, FOLDERS * SAMPLE // FILES)
        with Sshd(sandbox.folder) as sshd, Delay(sshd.port) as delay:
            user = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
            # What Remint did for each file before: a temporary name, a mode, a rename.
            batch = sandbox.folder / "batch"
            lines = [f"-mkdir {sandbox.folder}/sftp"]
            for number, path in enumerate(sorted(few.rglob("*.js"))):
                target = f"{sandbox.folder}/sftp/{number}"
                lines += [f"put {path} {target}.part", f"chmod 644 {target}.part", f"rename {target}.part {target}"]
            batch.write_text("\n".join(lines) + "\n")
            sftp = sshd.timed(delay.port, "sftp", "-b", str(batch), f"{user}@127.0.0.1")
            scp = sshd.timed(delay.port, "scp", "-r", str(few), f"{user}@127.0.0.1:{sandbox.folder}/scp")
        return {"remint": took, "sftp": sftp * FILES / SAMPLE, "scp": scp * FILES / SAMPLE}


def first_step(sandbox: Sandbox, version: str) -> tuple[float, float]:
    """Bakes a version, and tells the seconds until the first provisioner ran and until the end."""
    started = time.monotonic()
    command = [str(REMINT), "bake", "--json", "--var", f"version={version}"]
    process = subprocess.Popen(
        command, env=sandbox.env, cwd=sandbox.service, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    first = 0.0
    for line in process.stdout:
        event = json.loads(line)
        if not first and event.get("event") == "phase_started" and event.get("phase") == "provision":
            first = time.monotonic() - started
    if process.wait() != 0:
        raise Failed(f"remint bake ended with {process.returncode}: {process.stderr.read()}")
    if not first:
        raise Failed("remint bake told of no provisioner")
    return first, time.monotonic() - started


# The base image's own kernel, as the sandbox boots it; user data comes by HTTP, where the sandbox brings a seed disk.
QEMU_BUILDER = {
    "type": "qemu",
    "accelerator": "tcg",
    "disk_image": True,
    "disk_compression": False,
    "skip_compaction": True,
    # Packer 1.6 makes overlays without naming the format of what is below, which today's qemu-img refuses: it copies.
    "use_backing_file": False,
    "disk_size": "25G",
    "disk_interface": "virtio",
    "net_device": "virtio-net",
    "format": "qcow2",
    "headless": True,
    "memory": 1024,
    "cpus": 1,
    "boot_wait": "1s",
    "ssh_username": "root",
    "ssh_timeout": "10m",
    "ssh_handshake_attempts": 100,
    "shutdown_command": "poweroff",
    "iso_checksum": "none",
}


def packer_qemu(sandbox: Sandbox) -> float:
    """The same bake by Packer's qemu builder, from the same base image."""
    store = Path(sandbox.env.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "remint/sandbox/images/debian-12-x64"
    boot = json.loads((store / "manifest.json").read_text())["boot"]
    key, web = sandbox.folder / "packer-key", sandbox.folder / "web"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    web.mkdir()
    public = key.with_suffix(".pub").read_text().strip()
    (web / "user-data").write_text(f"#cloud-config\nssh_authorized_keys:\n  - {public}\n")
    (web / "meta-data").write_text("instance-id: packer\n")
    builder = {
        **QEMU_BUILDER,
        "iso_url": str(store / "disk.qcow2"),
        "output_directory": str(sandbox.folder / "packer-out"),
        "ssh_private_key_file": str(key),
        "http_directory": str(web),
        "qemuargs": [
            ["-kernel", str(store / boot["kernel"])],
            ["-initrd", str(store / boot["initrd"])],
            ["-append", f"{boot['command_line']} console=ttyS0"],
            ["-smbios", "type=1,serial=ds=nocloud-net;s=http://{{ .HTTPIP }}:{{ .HTTPPort }}/"],
        ],
    }
    recipe = {"builders": [builder], "provisioners": PACKER["provisioners"]}
    template = sandbox.service / "packer-qemu.json"
    template.write_text(json.dumps(recipe))
    env = {**sandbox.env, "CHECKPOINT_DISABLE": "1", "PACKER_CONFIG_DIR": str(sandbox.folder)}
    command = ["packer", "build", "-color=false", template.name]
    started = time.monotonic()
    done = subprocess.run(command, cwd=sandbox.service, env=env, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failed(f"packer ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return time.monotonic() - started


def qemu() -> dict[str, object]:
    """A bake on real virtual machines: from a saved guest, from a cold boot, and by Packer. One after the other."""
    subprocess.run([REMINT, "sandbox", "image", "build", "debian-12"], capture_output=True, check=True)
    found = {}
    with Sandbox("qemu", "--kind", "qemu") as sandbox:
        # The first one also saves the guest, where no sandbox of this machine has done so.
        first_step(sandbox, "v0")
        found["warm"] = [first_step(sandbox, f"v{run}") for run in range(1, 1 + QEMU_RUNS)]
        found["packer"] = [packer_qemu_clean(sandbox) for _ in range(QEMU_RUNS)]
    with Sandbox("cold", "--kind", "qemu", "--cold") as sandbox:
        found["cold"] = [first_step(sandbox, f"v{run}") for run in range(1, 1 + QEMU_RUNS)]
    return found


def packer_qemu_clean(sandbox: Sandbox) -> float:
    """One run, whose leavings do not stand in the way of the next."""
    try:
        return packer_qemu(sandbox)
    finally:
        for left in ("packer-out", "web"):
            shutil.rmtree(sandbox.folder / left, ignore_errors=True)
        for left in sandbox.folder.glob("packer-key*"):
            left.unlink()


def runs_of(qemu: dict | None) -> str:
    count = len(qemu["warm"]) if qemu else QEMU_RUNS
    return "Each was run once" if count == 1 else f"Each is the median of {count} runs, with the least and the most"


def cloud_rows(runs: list[dict]) -> list[Row]:
    rows = []
    for what, name in (("A bake", "bake"), ("A replacement", "replace")):
        ratios = [run[name] / run[f"{name} path"] for run in runs]
        measured = ", ".join(f"{run[name]:.0f} s for a path of {run[f'{name} path']:.0f} s" for run in runs)
        rows.append((f"{what}: time ÷ critical path", "≤ 1.10", f"{span(ratios, '.3f')} ({measured})", verdict(max(ratios) <= 1.1)))
        calls = [total(run[f"{name} calls"]) for run in runs]
        rows.append((f"{what}: API calls", "≤ 30", span(calls, "d"), verdict(max(calls) <= 30)))
    both = [total(run["bake calls"]) + total(run["replace calls"]) for run in runs]
    rows.append(("A bake and a replacement: API calls", "≤ 50", span(both, "d"), verdict(max(both) <= 50)))
    # The two commands one after the other, as for a change of the image: the path is the sum of theirs.
    whole = [(run["bake"] + run["replace"]) / (run["bake path"] + run["replace path"]) for run in runs]
    rows.append(("A bake and a replacement: time ÷ critical path", "≤ 1.03", span(whole, ".3f"), verdict(max(whole) <= 1.03)))
    lost, sent = sum(run["failed"] for run in runs), sum(run["sent"] for run in runs)
    rate = min(run["rate"] for run in runs)
    told = f"{lost} of {sent}, at {rate:.0f} a second"
    # A machine that cannot keep the pace has not taken the measure.
    rows.append((f"Requests lost during it, {RATE} a second", "0", told, verdict(lost == 0 and rate > 0.95 * RATE)))
    return rows


def small_rows(found: dict) -> list[Row]:
    plan, again = total(found["plan"]), mutations(found["again"])
    baked = found["snapshots"]
    return [
        ("An unchanged `remint plan`: API calls", "≤ 6", str(plan), verdict(plan <= 6)),
        ("A second `remint deploy`: mutations", "0", str(again), verdict(again == 0)),
        ("A deploy after `git revert`: images baked", "0", str(baked), verdict(baked == 0)),
        ("`remint deploy` (bake included): resident memory", "≤ 60 MiB", f"{found['memory']:.0f} MiB", verdict(found["memory"] <= 60)),
        *((f"`remint {name}`", "", f"{ms:.0f} ms", "") for name, ms in found["times"].items()),
    ]


def packer_rows(runs: list[dict], own: list[dict]) -> list[Row]:
    rows = []
    for run in runs:
        ours = next((mine for mine in own if mine["seed"] == run["seed"]), None)
        beside = f"; Remint: {ours['bake']:.0f} s, {total(ours['bake calls'])} calls" if ours else ""
        told = f"{run['bake']:.0f} s ({run['bake'] / run['path']:.2f} × the path), {total(run['calls'])} calls{beside}"
        rows.append((f"Packer's `digitalocean` builder, seed {run['seed']}", "", told, ""))
    return rows


def files_rows(found: dict) -> list[Row]:
    def minutes(seconds: float) -> str:
        return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"

    what = f"{FILES:,} small files to a builder {ROUND_TRIP * 1000:.0f} ms away"
    return [
        (what, "≤ 60 s", f"{found['remint']:.1f} s", verdict(found["remint"] <= 60)),
        ("The same by `scp -r`", "", f"{minutes(found['scp'])}, from {SAMPLE} files", ""),
        ("The same by SFTP, file by file, as Remint did before", "", f"{minutes(found['sftp'])}, from {SAMPLE} files", ""),
    ]


def qemu_rows(found: dict) -> list[Row]:
    def seconds(values: list[float]) -> str:
        spread = f" ({span(values, '.0f')})" if len(values) > 1 else ""
        return f"{statistics.median(values):.0f} s{spread}"

    rows = []
    for name, what in (("warm", "from a saved guest"), ("cold", "from a cold boot")):
        first, whole = zip(*found[name], strict=True)
        rows.append((f"A bake on QEMU, {what}: until the first provisioner runs", "", seconds(list(first)), ""))
        rows.append((f"A bake on QEMU, {what}: the whole", "", seconds(list(whole)), ""))
    rows.append(("The same by Packer's `qemu` builder: the whole", "", seconds(found["packer"]), ""))
    return rows


NOT_TAKEN: dict[str, list[Row]] = {
    "cloud": [("Bake and replacement on the realistic profile", "≤ 1.10, ≤ 30 calls, 0 lost", "not measured yet", "")],
    "small": [("Plan, second deploy, revert, start-up, memory", "", "not measured yet", "")],
    "files": [(f"{FILES:,} small files to a builder far away", "≤ 60 s", "not measured yet", "")],
    "packer": [("Packer's `digitalocean` builder", "", "not measured yet", "")],
    "qemu": [("A bake on QEMU: warm base, cold boot, Packer's `qemu` builder", "", "not measured yet", "")],
    "fleets": bench_fleets.NOT_TAKEN,
    "order": bench_order.NOT_TAKEN,
}

TEXT = """# Performance

<!-- Written by docs/examples/bench.py. -->

Measured by `docs/examples/bench.py`, which `make bench` runs with the release build, on {machine}:

{taken}

{table}

## What is measured

**The clouds.** Time and calls of a bake and of a replacement are taken on sandboxes with simulated machines, `--profile
realistic --speed 1`: an instance is active 20 – 40 s after its launch and lets one log in 15 – 30 s later, a shutdown takes
5 – 15 s, a snapshot 60 – 180 s, a static IP 5 – 15 s to move, a removal 5 – 10 s. The delays are drawn from a seed; seeds
{seeds} were run, each in a sandbox of its own, side by side. What was drawn is read from `GET /sandbox/v1/delays`.

**The critical path** is what a command must wait for even if it learnt of every event at once. Its parts follow one upon
another:

- a bake: launch, boot, shutdown, snapshot, removal of the builder;
- a replacement: launch, boot, the further health checks that the manifest asks for ({successes} successes in a row, {interval} s
  apart), the move of the static IP, `deploy.observe` ({observe:.0f} s), `deploy.drain` ({drain:.0f} s), removal of the old instance.

The time of a command is that of the whole process, from its start to its end.

**API calls** are counted by the sandbox, whatever the client says of itself; they are all calls, polling included.

**Requests lost**: `docs/examples/client.py` asks through the static IP, every request a connection of its own, from before the
replacement begins until after it ends. An answer other than 2xx, or none within ten seconds, is a lost request.

**Packer** 1.6 does the same steps with its `digitalocean` builder against a sandbox of the same profile and seed, so that it
meets the same delays. It does less: it neither checks the builder's host key nor seals the image. It logs in with an ed25519
key that the template's user data installs; the project's tests run it with its own temporary RSA key, too.

**QEMU.** The example is baked on real machines of 1 GiB and one processor, emulated (TCG) where KVM does not work: from a
guest that was saved after booting (the first bake of all saves it, and is not counted), from a cold boot (`remint sandbox start
--cold`), and by Packer's `qemu` builder from the same base image and kernel, with the same steps. Packer's run begins with a copy of
the base image and ends with the disk; it checks no host key and seals nothing. {qemu_runs}.

**Files.** {files:,} files of a few hundred bytes in {folders} folders are copied by a `file` step with an owner to a simulated machine,
through a proxy on loopback that adds {round_trip:.0f} ms to each round trip. `scp -r` and `sftp` copy {sample} such files through the same
proxy to OpenSSH's server, and their time is multiplied: all of them would take an hour. `sftp` does for each file what Remint did
before: a temporary name, a mode, a rename; an owner, which `sftp` cannot set by name, was one more command for each file.

{fleets}

{order}

**Memory** is the kernel's high-water mark of resident memory; **start-up** the median of {start_ups} runs, the process's start included.
{calls}"""


# What follows this line in the page is kept when it is written anew.
BY_HAND = "<!-- Written by hand from here on. -->"


def table(rows: list[Row]) -> str:
    lines = ["| measure | bound | measured | |", "|---|---|---|---|"]
    return "\n".join(lines + [f"| {' | '.join(row)} |" for row in rows])


def machine() -> str:
    memory = re.search(r"MemTotal:\s+(\d+) kB", Path("/proc/meminfo").read_text())
    gib = int(memory[1]) / 1024 / 1024 if memory else 0
    return f"a {platform.system()} machine ({platform.machine()}) with {os.cpu_count()} cores and {gib:.0f} GiB of memory"


def taken() -> str:
    """When, of what, and beside what else a measure is taken."""
    version = subprocess.run([REMINT, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    debug = "debug" in REMINT.parts or os.environ.get("REMINT_BUILD") == "debug"
    build = "debug build" if debug else "release build"
    busy = os.getloadavg()[0]
    other = f", with other work going on (load {busy:.1f})" if busy > (os.cpu_count() or 1) / 2 else ""
    return f"{datetime.date.today().isoformat()}, {version} ({build}){other}"


def main() -> None:
    wanted = sys.argv[1:] or list(NOT_TAKEN)
    if unknown := set(wanted) - set(NOT_TAKEN):
        sys.exit(f"no such measure: {', '.join(sorted(unknown))}; there are {', '.join(NOT_TAKEN)}")
    now = taken()
    found = json.loads(FOUND.read_text()) if FOUND.exists() else {}

    def keep(measure: str, value: object) -> None:
        # At once: what comes after it may fail.
        found[measure] = {"taken": now, "value": value}
        FOUND.parent.mkdir(parents=True, exist_ok=True)
        FOUND.write_text(json.dumps(found))

    # Most of the time passes in sleep, so these run side by side; what needs the processor comes after them.
    with concurrent.futures.ThreadPoolExecutor() as pool:
        clouds = [pool.submit(cloud, seed) for seed in SEEDS] if "cloud" in wanted else []
        packers = [pool.submit(packer, seed) for seed in SEEDS[:1]] if "packer" in wanted else []
        orders = {
            name: [pool.submit(take, seed) for seed in SEEDS] if "order" in wanted else []
            for name, take in (("remint", bench_order.remint), ("terraform", bench_order.terraform))
        }
    for measure, runs in (("cloud", clouds), ("packer", packers)):
        if runs:
            keep(measure, [run.result() for run in runs])
    if "order" in wanted:
        keep("order", {name: [run.result() for run in runs] for name, runs in orders.items()})
    for measure, take in (("small", small), ("files", files), ("qemu", qemu), ("fleets", bench_fleets.fleets)):
        if measure in wanted:
            keep(measure, take())
    value = {measure: last["value"] for measure, last in found.items()}
    rows = []
    rows += cloud_rows(value["cloud"]) if "cloud" in value else NOT_TAKEN["cloud"]
    rows += small_rows(value["small"]) if "small" in value else NOT_TAKEN["small"]
    rows += files_rows(value["files"]) if "files" in value else NOT_TAKEN["files"]
    rows += packer_rows(value["packer"], value.get("cloud", [])) if "packer" in value else NOT_TAKEN["packer"]
    rows += qemu_rows(value["qemu"]) if "qemu" in value else NOT_TAKEN["qemu"]
    rows += bench_fleets.fleet_rows(value["fleets"]) if "fleets" in value else NOT_TAKEN["fleets"]
    rows += bench_order.order_rows(value["order"]) if "order" in value else NOT_TAKEN["order"]
    calls = ""
    if "cloud" in value:
        first = value["cloud"][0]
        for name, what in (("bake", "bake"), ("replace", "replacement")):
            calls += f"\n## The calls of a {what} (seed {first['seed']})\n\n```text\n{listed(first[f'{name} calls'])}```\n"
    page = TEXT.format(
        machine=machine(),
        taken="\n".join(f"- `{measure}`: {found[measure]['taken']}" for measure in NOT_TAKEN if measure in found),
        table=table(rows),
        seeds=" and ".join(map(str, SEEDS)),
        successes=SUCCESSES,
        interval=INTERVAL,
        observe=OBSERVE,
        drain=DRAIN,
        start_ups=START_UPS,
        files=FILES,
        folders=FOLDERS,
        sample=SAMPLE,
        round_trip=ROUND_TRIP * 1000,
        qemu_runs=runs_of(value.get("qemu")),
        fleets=bench_fleets.TEXT.format(speed=bench_fleets.SPEED, cores=os.cpu_count()),
        order=bench_order.TEXT.format(rate=RATE),
        calls=calls,
    )
    _, mark, by_hand = PAGE.read_text().partition(BY_HAND)
    PAGE.write_text(f"{page}\n{mark}{by_hand}" if mark else page)
    print(table(rows))
    print(f"\nwritten to {PAGE.relative_to(ROOT)}")
    if any("missed" in row[3] for row in rows):
        sys.exit("a bound was missed")


if __name__ == "__main__":
    try:
        main()
    except Failed as failure:
        sys.exit(f"bench: {failure}")
