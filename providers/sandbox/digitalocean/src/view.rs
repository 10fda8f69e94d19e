//! How the cloud's things look in answers that several resources share.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::rules;
use super::{
    State,
    catalogue::{REGIONS, SIZES},
};
use remint_sandbox_cloud::{
    catalogue::Size,
    state::{Action, Image, Instance, Resource},
};

/// A moment, in seconds as the API writes it.
pub(super) fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

pub(super) fn region(slug: &str) -> Value {
    let name = State::find_region(slug).map_or(slug, |region| region.name);
    json!({
        "name": name,
        "slug": slug,
        "features": ["metadata", "install_agent", "image_transfer"],
        "available": true,
        "sizes": SIZES.iter().map(|size| size.slug).collect::<Vec<_>>(),
    })
}

pub(super) fn size(size: &Size) -> Value {
    json!({
        "slug": size.slug,
        "description": size.description,
        "memory": size.memory,
        "vcpus": size.vcpus,
        "disk": size.disk,
        "transfer": size.transfer,
        "price_monthly": size.monthly,
        // 672 hours are billed as a month.
        "price_hourly": (size.monthly / 672.0 * 100_000.0).round() / 100_000.0,
        "regions": REGIONS.iter().map(|region| region.slug).collect::<Vec<_>>(),
        "available": true,
        "disk_info": [{ "type": "local", "size": { "amount": size.disk, "unit": "gib" } }],
    })
}

pub(super) fn image(image: &Image) -> Value {
    json!({
        "id": image.id,
        "name": image.name,
        "type": if image.public() { "base" } else { "snapshot" },
        "distribution": image.distribution,
        "slug": image.slug,
        "public": image.public(),
        "regions": image.regions,
        "created_at": time(image.created_at),
        "min_disk_size": image.min_disk_size,
        "size_gigabytes": gigabytes(image.size_bytes),
        "description": image.name,
        "tags": image.tags,
        "status": "available",
    })
}

/// A size in gigabytes, with two digits behind the point.
pub(super) fn gigabytes(bytes: u64) -> f64 {
    (bytes as f64 / 1e7).round() / 100.0
}

pub(super) fn droplet(state: &State, droplet: &Instance) -> Value {
    let snapshots = state.visible_images().filter(|image| image.source == Some(droplet.id)).map(|image| image.id);
    let (memory, vcpus, shape) = match State::find_size(&droplet.size) {
        Some(found) => (found.memory, found.vcpus, size(found)),
        None => (0, 0, Value::Null),
    };
    let mut v4 = Vec::new();
    if droplet.networked {
        let [a, b, ..] = droplet.address.octets();
        let private = rules::vpcs::private_address(droplet);
        let [c, d, ..] = private.octets();
        v4.push(json!({
            "ip_address": droplet.address, "netmask": "255.255.128.0", "gateway": format!("{a}.{b}.0.1"), "type": "public",
        }));
        v4.push(json!({
            "ip_address": private, "netmask": "255.255.0.0", "gateway": format!("{c}.{d}.0.1"), "type": "private",
        }));
    }
    let mut features = vec!["private_networking"];
    features.extend(droplet.features.backups.then_some("backups"));
    features.extend(droplet.features.monitoring.then_some("monitoring"));
    let mut v6 = Vec::new();
    if droplet.features.ipv6 {
        features.push("ipv6");
        if droplet.networked {
            // Of the range for documentation: nothing answers there.
            let (address, gateway) = (format!("2001:db8::{:x}", droplet.id), "2001:db8::1");
            v6.push(json!({ "ip_address": address, "netmask": 64, "gateway": gateway, "type": "public" }));
        }
    }
    json!({
        "id": droplet.id,
        "name": droplet.name,
        "memory": memory,
        "vcpus": vcpus,
        "disk": droplet.disk,
        "disk_info": [{ "type": "local", "size": { "amount": droplet.disk, "unit": "gib" } }],
        "locked": droplet.pending.is_some(),
        "status": droplet.status.as_str(),
        "kernel": null,
        "created_at": time(droplet.created_at),
        "features": features,
        "backup_ids": [],
        "next_backup_window": null,
        "snapshot_ids": snapshots.collect::<Vec<_>>(),
        "image": image(&droplet.image),
        "volume_ids": [],
        "size": shape,
        "size_slug": droplet.size,
        "networks": { "v4": v4, "v6": v6 },
        "region": region(&droplet.region),
        "tags": droplet.tags,
        "vpc_uuid": rules::vpcs::vpc_id(state, &droplet.region),
    })
}

pub(super) fn action(action: &Action) -> Value {
    let status = match (action.completed_at, action.errored) {
        (None, _) => "in-progress",
        (Some(_), false) => "completed",
        (Some(_), true) => "errored",
    };
    json!({
        "id": action.id,
        "status": status,
        "type": action.kind,
        "started_at": time(action.started_at),
        "completed_at": action.completed_at.map(time),
        "resource_id": action.resource_id,
        "resource_type": match action.resource {
            Resource::Instance => "droplet",
            Resource::Image => "image",
            Resource::StaticIp => "reserved_ip",
            Resource::LoadBalancer => "load_balancer",
        },
        "region": region(&action.region),
        "region_slug": action.region,
    })
}
