"""octoDNS with Route 53's provider: a zone that is not there is made, then changed, then there is nothing to do."""

from pathlib import Path

from octodns.manager import Manager

CONFIG = """
providers:
  files:
    class: octodns.provider.yaml.YamlProvider
    directory: .
  cloud:
    class: octodns_route53.Route53Provider
    access_key_id: env/AWS_ACCESS_KEY_ID
    secret_access_key: env/AWS_SECRET_ACCESS_KEY
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
text: {ttl: 300, type: TXT, value: some text}
www: {ttl: 300, type: A, values: [192.0.2.2, 192.0.2.3]}
"""


def changes(zone, doit):
    """How many changes octoDNS makes, or would make, for a zone to become what the file says."""
    Path("example.test.yaml").write_text(zone)
    return Manager("config.yaml").sync(eligible_zones=["example.test."], dry_run=not doit)


Path("config.yaml").write_text(CONFIG)
assert changes(ZONE, doit=True) == 7
assert changes(ZONE, doit=False) == 0
assert changes(ZONE.replace("some text", "other text"), doit=True) == 1
assert changes(ZONE.replace("some text", "other text"), doit=False) == 0
print("done")
