#!/usr/bin/python3
"""The talk's service in small: it says its version, and whether it is well."""

import http.server
import os
import pathlib

VERSION = pathlib.Path("/opt/app/version").read_text(encoding="utf-8").strip()


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers the two paths that the talk's service has."""

    def do_GET(self) -> None:
        bodies = {
            "/": f"version {VERSION}, release {os.environ.get('APP_RELEASE', 'none')}\n",
            "/health/check": "ok\n",
        }
        body = bodies.get(self.path, "not found\n").encode()
        self.send_response(200 if self.path in bodies else 404)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    http.server.ThreadingHTTPServer(("", 8080), Handler).serve_forever()
