"""octoDNS with DigitalOcean's provider."""

import os

import octodns_zone
from octodns_digitalocean import DigitalOceanClient

# The provider takes no address of an API.
DigitalOceanClient.BASE = os.environ["DIGITALOCEAN_API_URL"] + "/v2"
octodns_zone.sync(kind="octodns_digitalocean.DigitalOceanProvider", token="env/DIGITALOCEAN_TOKEN")
print("done")
