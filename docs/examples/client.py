#!/usr/bin/env python3
"""Asks a URL so many times a second until it is interrupted, then says how many answers failed.

Every request is a connection of its own, as of a new client. The last line on standard output is one JSON object.

    client.py URL RATE [HEALTHY-TEXT]
"""

import collections
import concurrent.futures
import json
import signal
import sys
import threading
import time
import urllib.request

LOCK = threading.Lock()
ANSWERS: collections.Counter[str] = collections.Counter()
FAILURES: list[str] = []
DONE = threading.Event()


def ask(url: str) -> None:
    """One request; its first line of text, or its failure, is counted."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=30) as answer:
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
    sent = 0
    started = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(max_workers=64) as pool:
        while not DONE.wait(max(0.0, started + sent / rate - time.monotonic())):
            pool.submit(ask, url)
            sent += 1
    for line, count in ANSWERS.items():
        print(f"{count:6} answers: {line}", file=sys.stderr)
    for failure in FAILURES[:10]:
        print(f"       failure: {failure}", file=sys.stderr)
    print(json.dumps({"sent": sent, "failed": len(FAILURES), "answers": dict(ANSWERS)}))
    sys.exit(1 if FAILURES else 0)


if __name__ == "__main__":
    main()
