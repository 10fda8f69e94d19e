"""Passes a guest's connection on: QEMU starts it once for each, with the connection as standard input and output.

Usage: pipe.py PORT, a port of 127.0.0.1.
"""

import os
import selectors
import socket
import sys

server = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
with selectors.DefaultSelector() as ready:
    ready.register(0, selectors.EVENT_READ)
    ready.register(server, selectors.EVENT_READ)
    while True:
        for key, _ in ready.select():
            if key.fd == 0:
                data = os.read(0, 65536)
                if data:
                    server.sendall(data)
                else:
                    ready.unregister(0)
                    server.shutdown(socket.SHUT_WR)
                continue
            data = server.recv(65536)
            if not data:
                sys.exit()
            while data:
                data = data[os.write(1, data) :]
