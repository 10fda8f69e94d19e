"""octoDNS with Route 53's provider."""

import octodns_zone

octodns_zone.sync(
    kind="octodns_route53.Route53Provider",
    access_key_id="env/AWS_ACCESS_KEY_ID",
    secret_access_key="env/AWS_SECRET_ACCESS_KEY",
)
print("done")
