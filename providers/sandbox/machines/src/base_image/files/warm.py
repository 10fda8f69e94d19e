"""Runs cloud-init: in a guest that was saved after booting and before it knew who it is, and at a quick first boot.

A saved guest goes on here in every machine made from it, so whatever must differ between machines is renewed first:
the clock, the kernel's random numbers, the machine id. cloud-init's modules are loaded before the guest is saved; its
stages then run in forks of this process, which spares an emulated processor most of a boot. A machine that boots with its
seed in place does the same at once.
"""

import fcntl
import importlib
import mmap
import os
import pkgutil
import subprocess
import sys
import time

SEED = "/dev/vdb"
BLKFLSBUF = 0x1261
RNDRESEEDCRNG = 0x5207


def say(line):
    with open("/dev/ttyS0", "w") as console:
        console.write("\r\nremint-warm: %s\r\n" % line)


def preload():
    import cloudinit.config as config
    import cloudinit.distros.debian
    import cloudinit.sources.DataSourceNoCloud
    from cloudinit import util

    configured = util.read_conf("/etc/cloud/cloud.cfg.d/90_remint.cfg")
    wanted = set()
    for key in ("cloud_init_modules", "cloud_config_modules", "cloud_final_modules"):
        wanted.update("cc_" + name.replace("-", "_") for name in configured[key])
    for module in pkgutil.iter_modules(config.__path__):
        if module.name in wanted:
            importlib.import_module("cloudinit.config." + module.name)
    for name in ("jsonschema", "jinja2", "configobj", "cloudinit.handlers.boot_hook", "cloudinit.handlers.cloud_config",
                 "cloudinit.handlers.jinja_template", "cloudinit.handlers.shell_script", "cloudinit.net.networkd",
                 "cloudinit.distros.networking", "cloudinit.reporting.handlers", "cloudinit.cmd.main"):
        importlib.import_module(name)
    # What the stages and the first login execute should not be read from disk then.
    for path in ("/usr/sbin/sshd", "/usr/bin/ssh-keygen", "/usr/sbin/blkid", "/usr/bin/mount", "/usr/bin/umount",
                 "/usr/bin/tee", "/usr/bin/bash", "/usr/bin/hostname", "/usr/sbin/resize2fs", "/usr/sbin/dumpe2fs"):
        try:
            with open(path, "rb") as file:
                file.read()
        except OSError:
            pass
    subprocess.run(["modprobe", "isofs"], check=False)


def seed_is_there():
    """Whether the seed disk holds a volume; read past the kernel's cache, since the saved guest saw an empty disk."""
    try:
        disk = os.open(SEED, os.O_RDONLY | os.O_DIRECT)
    except OSError:
        return False
    try:
        with mmap.mmap(-1, 4096) as page:
            return os.preadv(disk, [page], 32768) >= 6 and page[1:6] == b"CD001"
    except OSError:
        return False
    finally:
        os.close(disk)


def renew():
    with open("/sys/class/rtc/rtc0/since_epoch") as clock:
        time.clock_settime(time.CLOCK_REALTIME, int(clock.read()) + 0.5)
    with open("/dev/hwrng", "rb", buffering=0) as source, open("/dev/urandom", "wb", buffering=0) as pool:
        pool.write(source.read(64))
        fcntl.ioctl(pool, RNDRESEEDCRNG)
    with open("/etc/machine-id", "w") as machine:
        machine.write(os.urandom(16).hex() + "\n")
    disk = os.open(SEED, os.O_RDONLY)
    fcntl.ioctl(disk, BLKFLSBUF)
    os.close(disk)
    subprocess.run(["udevadm", "trigger", "--action=change", "--settle", SEED], check=False)


def stage(*arguments):
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            from cloudinit.cmd.main import main
            status = main(["cloud-init", *arguments]) or 0
        except SystemExit as error:
            status = error.code if isinstance(error.code, int) else 1
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    os.waitpid(child, 0)


def main():
    known = seed_is_there()
    preload()
    if not known:
        subprocess.run(["systemctl", "is-system-running", "--wait"], stdout=subprocess.DEVNULL, check=False)
        os.sync()
        say("ready")
        while not seed_is_there():
            time.sleep(0.1)
        renew()
    stage("init", "--local")
    stage("init")
    subprocess.run(["systemctl", "start", "--no-block", "ssh.service"], check=False)
    stage("modules", "--mode=config")
    stage("modules", "--mode=final")


main()
