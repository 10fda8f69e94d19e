"""What octoDNS does with a provider: a zone that is not there is made, then changed, then there is nothing to do."""

from pathlib import Path

from octodns.manager import Manager

CONFIG = """
providers:
  files:
    class: octodns.provider.yaml.YamlProvider
    directory: .
  cloud:
CLOUD
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


def sync(**provider):
    """The whole, with a provider's settings; `kind` is its class."""
    provider["class"] = provider.pop("kind")
    Path("config.yaml").write_text(CONFIG.replace("CLOUD", "\n".join(f"    {key}: {value}" for key, value in provider.items())))
    changed = ZONE.replace("some text", "other text")
    assert changes(ZONE, doit=True) == 8
    assert changes(ZONE, doit=False) == 0
    assert changes(changed, doit=True) == 1
    assert changes(changed, doit=False) == 0
