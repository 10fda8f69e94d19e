"""What the tests of load balancers share, whichever client drives them."""

import time

# What makes a simulated machine say its name.
SAYS = """#cloud-config
write_files:
- path: /etc/simulation.toml
  content: |
    [[http]]
    port = 8080
    body = "{file:/etc/hostname}"
"""


def wait(what, observe):
    """Waits until something is so, and gives it."""
    deadline = time.monotonic() + 60
    while not (seen := observe()):
        assert time.monotonic() < deadline, f"timed out waiting for {what}"
        time.sleep(0.05)
    return seen
