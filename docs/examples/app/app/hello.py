#!/usr/bin/python3
"""A small web service: its version is baked into the image, its configuration comes from the environment."""

import hashlib
import html
import os
import pathlib
import signal
import socketserver
import sys
import threading

VERSION = pathlib.Path("/opt/hello/version").read_text(encoding="utf-8").strip()
CONFIG = {key: value for key, value in sorted(os.environ.items()) if key.startswith("HELLO_")}
DIGEST = hashlib.sha256("\0".join(f"{key}={value}" for key, value in CONFIG.items()).encode()).hexdigest()[:12]

PAGE = f"""<!doctype html>
<title>hello {html.escape(VERSION)}</title>
<h1>{html.escape(CONFIG.get("HELLO_GREETING", "Hello"))}</h1>
<p>version {html.escape(VERSION)}</p>
<p>release {html.escape(CONFIG.get("HELLO_RELEASE", "none"))}</p>
<p>configuration {DIGEST}</p>
"""


def healthy() -> bool:
    """Whether this instance can serve. A real service asks its database here."""
    return bool(CONFIG)


def answer(path: str) -> tuple[str, str, str]:
    """Status, content type and body."""
    if path == "/health/check":
        if healthy():
            return "200 OK", "text/plain", f"ok {VERSION}\n"
        return "503 Service Unavailable", "text/plain", "unhealthy\n"
    if path == "/":
        return "200 OK", "text/html; charset=utf-8", PAGE
    return "404 Not Found", "text/plain", "not found\n"


class Handler(socketserver.StreamRequestHandler):
    """Answers one request a connection. It reads no more of it than it needs: emulated processors are slow."""

    timeout = 30

    def handle(self) -> None:
        request = self.rfile.readline(8192).decode("latin-1").split()
        if len(request) != 3:
            return
        while self.rfile.readline(8192).strip():
            pass
        status, kind, body = answer(request[1])
        data = body.encode()
        head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(data)}\r\nConnection: close\r\n\r\n"
        self.request.sendall(head.encode() + data)


class Server(socketserver.ThreadingTCPServer):
    """Takes bursts of connections while a machine is busy booting."""

    allow_reuse_address = True
    request_queue_size = 128
    daemon_threads = True

    def handle_error(self, request: object, client_address: tuple[str, int]) -> None:
        print(client_address[0], "went away:", sys.exc_info()[1], flush=True)


def main() -> None:
    server = Server(("", int(os.environ.get("HELLO_PORT", "80"))), Handler)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    print(f"hello {VERSION} with configuration {DIGEST} on port {server.server_address[1]}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
