"""octoDNS with Google's provider."""

import os

import octodns_googlecloud
import octodns_zone
from google.cloud.dns._http import Connection

# The provider takes no address of an API, and waits long for each change.
ENDPOINT = os.environ["CLOUDSDK_API_ENDPOINT_OVERRIDES_DNS"].removesuffix("/dns/v1/")
Connection.__init__.__defaults__ = (None, ENDPOINT)
octodns_googlecloud.GoogleCloudProvider.CHANGE_LOOP_WAIT = 0.05
octodns_zone.sync(kind="octodns_googlecloud.GoogleCloudProvider", project="env/GOOGLE_CLOUD_PROJECT")
print("done")
