"""python-digitalocean, which certbot's plugin is built on: an account, a domain and its records, a droplet with an address."""

import time

import digitalocean

MANAGER = digitalocean.Manager()
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIL1Q2Zc0gYyEvNfSGVEVvjdvQ4v8S1nD0GXPFm0ROiQ+ somebody"


def wait(what, observe):
    """Waits until something is so."""
    deadline = time.monotonic() + 60
    while not observe():
        assert time.monotonic() < deadline, f"timed out waiting for {what}"
        time.sleep(0.05)


assert MANAGER.get_account().status == "active"
assert "nyc3" in [region.slug for region in MANAGER.get_all_regions()]
assert "s-1vcpu-1gb" in [size.slug for size in MANAGER.get_all_sizes()]
assert "debian-12-x64" in [image.slug for image in MANAGER.get_all_images()]

# As certbot's plugin does for a challenge.
digitalocean.Domain(name="example.test", ip_address="192.0.2.1").create()
[domain] = MANAGER.get_all_domains()
made = domain.create_new_domain_record(type="TXT", name="_acme-challenge", data="proof", ttl=30)
records = domain.get_records()
assert [record.data for record in records if record.type == "TXT"] == ["proof"], records
[challenge] = [record for record in records if record.id == made["domain_record"]["id"]]
challenge.destroy()
assert not [record for record in domain.get_records() if record.type == "TXT"]

key = digitalocean.SSHKey(name="somebody", public_key=KEY)
key.create()
assert [known.name for known in MANAGER.get_all_sshkeys()] == ["somebody"]
droplet = digitalocean.Droplet(
    name="web", region="nyc3", image="debian-12-x64", size_slug="s-1vcpu-1gb", ssh_keys=[key], backups=True, ipv6=True
)
droplet.create()
wait("the droplet", lambda: MANAGER.get_droplet(droplet.id).status == "active")
shown = MANAGER.get_droplet(droplet.id)
assert shown.ip_address and shown.ip_v6_address, vars(shown)
assert "backups" in shown.features and "ipv6" in shown.features, shown.features
assert not shown.get_snapshots()

# Nothing of these can be there, so there is nothing to refuse.
assert MANAGER.get_all_firewalls() == []

address = digitalocean.FloatingIP(droplet_id=droplet.id)
address.create()
wait("the address", lambda: MANAGER.get_floating_ip(address.ip).droplet)
address.unassign()
wait("the address to be free", lambda: not MANAGER.get_floating_ip(address.ip).droplet)
address.destroy()
droplet.destroy()
domain.destroy()
key.destroy()
wait("the droplet to go", lambda: not MANAGER.get_all_droplets())
assert MANAGER.get_all_floating_ips() == [] and MANAGER.get_all_domains() == [] and MANAGER.get_all_sshkeys() == []
print("done")
