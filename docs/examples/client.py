#!/usr/bin/env python3
"""Asks a URL so many times a second until it is interrupted, then says how many answers failed.

Every request is a connection of its own, as of a new client. The last line on standard output is one JSON object.

    client.py URL RATE [DNS-SERVER]

With the address of a DNS server (`127.0.0.1:5353`), the name in the URL is looked up there with `dig`, and again whenever its TTL is
over, as a resolver does.
"""

import collections
import concurrent.futures
import json
import signal
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request

LOCK = threading.Lock()
ANSWERS: collections.Counter[str] = collections.Counter()
FAILURES: list[str] = []
DONE = threading.Event()


class Resolver:
    """Knows the address of the URL's host for as long as its record's TTL says."""

    def __init__(self, url: str, server: str) -> None:
        parts = urllib.parse.urlsplit(url)
        self.url, self.name, self.netloc = url, parts.hostname or "", parts.netloc
        self.host, _, self.port = server.rpartition(":")
        self.until = 0.0

    def current(self) -> str:
        """The URL with the address in place of the name."""
        if time.monotonic() >= self.until:
            command = ["dig", f"@{self.host}", "-p", self.port, self.name, "A", "+noall", "+answer"]
            lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
            _, ttl, _, _, address = lines[0].split()
            self.until = time.monotonic() + float(ttl)
            parts = urllib.parse.urlsplit(self.url)
            port = f":{parts.port}" if parts.port else ""
            self.found = parts._replace(netloc=f"{address}{port}").geturl()
        return self.found


def ask(url: str, host: str) -> None:
    """One request; its first line of text, or its failure, is counted."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(urllib.request.Request(url, headers={"Host": host}), timeout=30) as answer:
            text = answer.read(4096).decode(errors="replace")
        line = next((line.strip() for line in text.splitlines() if "version" in line), text.strip()[:80])
        with LOCK:
            ANSWERS[line] += 1
    except Exception as error:  # whatever it is, a client saw it
        with LOCK:
            FAILURES.append(f"{type(error).__name__}: {error}")


def main() -> None:
    url, rate = sys.argv[1], float(sys.argv[2])
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: DONE.set())
    resolver = Resolver(url, sys.argv[3]) if len(sys.argv) > 3 else None
    host = urllib.parse.urlsplit(url).netloc
    sent = 0
    started = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(max_workers=64) as pool:
        while not DONE.wait(max(0.0, started + sent / rate - time.monotonic())):
            pool.submit(ask, resolver.current() if resolver else url, host)
            sent += 1
    for line, count in ANSWERS.items():
        print(f"{count:6} answers: {line}", file=sys.stderr)
    for failure in FAILURES[:10]:
        print(f"       failure: {failure}", file=sys.stderr)
    print(json.dumps({"sent": sent, "failed": len(FAILURES), "answers": dict(ANSWERS)}))
    sys.exit(1 if FAILURES else 0)


if __name__ == "__main__":
    main()
