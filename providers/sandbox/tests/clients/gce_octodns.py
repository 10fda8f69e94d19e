"""octoDNS with Google's provider: a zone that is not there is made, then changed, then there is nothing to do."""

import os
from pathlib import Path

import octodns_googlecloud
from google.cloud.dns._http import Connection
from octodns.manager import Manager

# The provider takes no address of an API, and waits long for each change.
ENDPOINT = os.environ["CLOUDSDK_API_ENDPOINT_OVERRIDES_DNS"].removesuffix("/dns/v1/")
Connection.__init__.__defaults__ = (None, ENDPOINT)
octodns_googlecloud.GoogleCloudProvider.CHANGE_LOOP_WAIT = 0.05
CONFIG = """
providers:
  files:
    class: octodns.provider.yaml.YamlProvider
    directory: .
  cloud:
    class: octodns_googlecloud.GoogleCloudProvider
    project: env/GOOGLE_CLOUD_PROJECT
zones:
  example.test.:
    sources: [files]
    targets: [cloud]
"""
ZONE = """
'':
  - {ttl: 300, type: A, value: 192.0.2.1}
  - {ttl: 300, type: CAA, value: {flags: 0, tag: issue, value: letsencrypt.org}}
  - {ttl: 300, type: MX, value: {exchange: mail.example.test., preference: 10}}
_sip._tcp: {ttl: 300, type: SRV, value: {port: 5060, priority: 1, target: sip.example.test., weight: 2}}
alias: {ttl: 300, type: CNAME, value: www.example.test.}
six: {ttl: 300, type: AAAA, value: '2001:db8::1'}
text: {ttl: 300, type: TXT, value: 'some text, and a \\; in it'}
www: {ttl: 300, type: A, values: [192.0.2.2, 192.0.2.3]}
"""


def changes(zone, doit):
    """How many changes octoDNS makes, or would make, for a zone to become what the file says."""
    Path("example.test.yaml").write_text(zone)
    return Manager("config.yaml").sync(eligible_zones=["example.test."], dry_run=not doit)


Path("config.yaml").write_text(CONFIG)
assert changes(ZONE, doit=True) == 8
assert changes(ZONE, doit=False) == 0
assert changes(ZONE.replace("some text", "other text"), doit=True) == 1
assert changes(ZONE.replace("some text", "other text"), doit=False) == 0
print("done")
