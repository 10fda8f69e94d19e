//! The calls.

use std::collections::HashMap;

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{
    labels,
    refusal::{Answer, Refusal},
    state::{Change, Project, Table},
};

const LOCATIONS: [&str; 3] = ["fsn1", "nbg1", "hel1"];
/// Name, processors, GiB of memory, GiB of disk.
const SIZES: [(&str, u32, f64, u64); 4] =
    [("cx22", 2, 4.0, 40), ("cx32", 4, 8.0, 80), ("cx42", 8, 16.0, 160), ("cpx11", 2, 2.0, 40)];
/// The most on a page: less than the real 50, so that lists of the suite have several.
const PAGE: usize = 2;

pub(super) type Query = HashMap<String, String>;

/// Answers a call; `path` is in segments, without the version.
pub(super) fn answer(project: &mut Project, method: &str, path: &[&str], query: &Query, body: &Value) -> Answer {
    match (method, path) {
        ("GET", ["locations"]) => list("locations", LOCATIONS.map(|name| json!({ "name": name })).to_vec(), query),
        ("GET", ["server_types"]) => list("server_types", SIZES.map(size).to_vec(), query),
        ("GET", ["actions", id]) => {
            let action = id.parse().ok().and_then(|id| project.action(id));
            ok(json!({ "action": action.ok_or_else(|| Refusal::not_found("action"))? }))
        }
        ("GET", [table @ ("servers" | "images" | "floating_ips" | "ssh_keys" | "placement_groups")]) => {
            list(table, table_of(project, table).values().cloned().collect(), query)
        }
        ("GET", [table @ ("servers" | "images" | "floating_ips"), id]) => {
            let (_, found) = find(table_of(project, table), table, id)?;
            ok(json!({ table.trim_end_matches('s'): found.clone() }))
        }
        ("POST", ["servers"]) => create_server(project, body),
        ("PUT", [table @ ("servers" | "images" | "floating_ips" | "placement_groups"), id]) => {
            labels::check(&body["labels"])?;
            let (_, found) = find(table_of(project, table), table, id)?;
            found["labels"] = body["labels"].clone();
            ok(json!({ table.trim_end_matches('s'): found.clone() }))
        }
        ("DELETE", ["servers", id]) => {
            let (id, server) = unlocked(project, id)?;
            server["status"] = "deleting".into();
            ok(json!({ "action": project.act(Change::Gone(id)) }))
        }
        ("POST", ["servers", id, "actions", verb]) => act_on_server(project, id, verb, body),
        ("DELETE", ["images", id]) => {
            let (id, image) = find(&mut project.images, "image", id)?;
            match (image["type"].as_str(), image["status"].as_str()) {
                (Some("snapshot"), Some("available")) => drop(project.images.remove(&id)),
                (Some("snapshot"), _) => return Err(Refusal::locked("image")),
                _ => return Err(Refusal::invalid("id", "only snapshots can be deleted")),
            }
            Ok((StatusCode::NO_CONTENT, Value::Null))
        }
        ("POST", ["floating_ips"]) => create_floating_ip(project, body),
        ("POST", ["floating_ips", id, "actions", verb @ ("assign" | "unassign")]) => {
            let (ip, _) = find(&mut project.floating_ips, "floating IP", id)?;
            let server = body["server"].as_u64().filter(|_| *verb == "assign");
            if *verb == "assign" && !server.is_some_and(|server| project.servers.contains_key(&server)) {
                return Err(Refusal::not_found("server"));
            }
            created(json!({ "action": project.act(Change::Point { ip, server }) }))
        }
        ("DELETE", ["floating_ips", id]) => {
            let (id, ip) = find(&mut project.floating_ips, "floating IP", id)?;
            if !ip["server"].is_null() {
                return Err(Refusal::must_be_unassigned());
            }
            project.floating_ips.remove(&id);
            Ok((StatusCode::NO_CONTENT, Value::Null))
        }
        ("POST", ["ssh_keys"]) => create_ssh_key(project, body),
        ("POST", ["placement_groups"]) => {
            let name = text(body, "name")?;
            unique(&project.placement_groups, name)?;
            labels::check(&body["labels"])?;
            let id = project.id();
            let group = json!({ "id": id, "name": name, "type": text(body, "type")?, "labels": body["labels"] });
            project.placement_groups.insert(id, group.clone());
            created(json!({ "placement_group": group }))
        }
        ("DELETE", [table @ ("ssh_keys" | "placement_groups"), id]) => {
            let table = table_of(project, table);
            let (id, _) = find(table, "it", id)?;
            table.remove(&id);
            Ok((StatusCode::NO_CONTENT, Value::Null))
        }
        ("GET", ["zones"]) => list("zones", project.zones.keys().map(|name| zone(name)).collect(), query),
        (_, ["zones", name, ..]) if !project.zones.contains_key(*name) => Err(Refusal::not_found("zone")),
        ("GET", ["zones", name]) => ok(json!({ "zone": zone(name) })),
        ("GET", ["zones", name, "rrsets"]) => list("rrsets", project.zones[*name].values().cloned().collect(), query),
        (_, ["zones", name, "rrsets", rest @ ..]) => {
            project.check_zone(name)?;
            change_rrset(project, method, name, rest, body)
        }
        _ => Err(Refusal::not_found("path")),
    }
}

fn create_server(project: &mut Project, body: &Value) -> Answer {
    let name = text(body, "name")?;
    unique(&project.servers, name)?;
    labels::check(&body["labels"])?;
    let location = text(body, "location")?;
    let size_name = text(body, "server_type")?;
    let image = text(body, "image")?.parse().ok().filter(|id| project.images.contains_key(id));
    let image: u64 = image.ok_or_else(|| Refusal::invalid("image", "image not found"))?;
    if !LOCATIONS.contains(&location) || !SIZES.iter().any(|(name, ..)| *name == size_name) {
        return Err(Refusal::invalid("server_type", "not available"));
    }
    if body["user_data"].as_str().is_some_and(|data| data.len() > 32 * 1024) {
        return Err(Refusal::invalid("user_data", "is too long"));
    }
    let keys = body["ssh_keys"].as_array().into_iter().flatten();
    if !keys.filter_map(Value::as_u64).all(|key| project.ssh_keys.contains_key(&key)) {
        return Err(Refusal::not_found("SSH key"));
    }
    let id = project.id();
    let server = json!({
        "id": id, "name": name, "status": "initializing", "locked": false, "labels": body["labels"],
        "created": "2026-01-01T00:00:00Z", "server_type": { "name": size_name }, "location": { "name": location },
        "public_net": { "ipv4": { "ip": format!("203.0.113.{}", id % 256) } }, "image": { "id": image },
    });
    project.servers.insert(id, server);
    let action = project.act(Change::Status(id, "running"));
    created(json!({ "server": project.servers[&id], "action": action, "next_actions": [], "root_password": null }))
}

fn act_on_server(project: &mut Project, id: &str, verb: &str, body: &Value) -> Answer {
    let (id, server) = unlocked(project, id)?;
    let change = match verb {
        "poweron" => Change::Status(id, "running"),
        "poweroff" | "shutdown" => Change::Status(id, "off"),
        "create_image" => {
            labels::check(&body["labels"])?;
            let from = json!({ "id": id, "name": server["name"] });
            let image = project.id();
            let snapshot = json!({
                "id": image, "type": "snapshot", "status": "creating", "name": null, "image_size": null, "disk_size": 40,
                "description": text(body, "description")?, "created": "2026-01-01T00:00:00Z", "created_from": from,
                "labels": body["labels"],
            });
            project.images.insert(image, snapshot.clone());
            let action = project.act(Change::Captured { server: id, image });
            return created(json!({ "image": snapshot, "action": action }));
        }
        _ => return Err(Refusal::not_found("action")),
    };
    if verb == "poweron" {
        server["status"] = "starting".into();
    }
    created(json!({ "action": project.act(change) }))
}

fn create_floating_ip(project: &mut Project, body: &Value) -> Answer {
    let name = text(body, "name")?;
    unique(&project.floating_ips, name)?;
    labels::check(&body["labels"])?;
    let server = body["server"].as_u64().and_then(|id| Some((id, project.servers.get(&id)?)));
    let (server, home) =
        server.map(|(id, server)| (id, server["location"].clone())).ok_or(Refusal::not_found("server"))?;
    if project.floating_ips.len() >= project.floating_ip_limit {
        return Err(Refusal::limit("floating IP"));
    }
    let id = project.id();
    let ip = json!({
        "id": id, "name": name, "type": "ipv4", "ip": format!("198.51.100.{}", id % 256), "server": server,
        "home_location": home, "labels": body["labels"],
    });
    project.floating_ips.insert(id, ip.clone());
    let action = project.act(Change::Point { ip: id, server: Some(server) });
    created(json!({ "floating_ip": ip, "action": action }))
}

fn create_ssh_key(project: &mut Project, body: &Value) -> Answer {
    let (name, line) = (text(body, "name")?, body["public_key"].as_str().unwrap_or_default());
    let key: Vec<&str> = line.split_whitespace().take(2).collect();
    if !matches!(key.as_slice(), ["ssh-ed25519", blob] if blob.len() == 68) {
        return Err(Refusal::invalid("public_key", "is not a public key"));
    }
    let same = |other: &Value| {
        other["public_key"].as_str().is_some_and(|other| other.split_whitespace().take(2).eq(key.iter().copied()))
    };
    if project.ssh_keys.values().any(same) {
        return Err(Refusal::taken("SSH key with the same fingerprint"));
    }
    unique(&project.ssh_keys, name)?;
    let id = project.id();
    let key = json!({ "id": id, "name": name, "public_key": line });
    project.ssh_keys.insert(id, key.clone());
    created(json!({ "ssh_key": key }))
}

fn change_rrset(project: &mut Project, method: &str, zone: &str, path: &[&str], body: &Value) -> Answer {
    let key = |name: &str, kind: &str| (name.to_owned(), kind.to_owned());
    let (key, set) = match (method, path) {
        ("POST", []) => {
            let key = key(text(body, "name")?, text(body, "type")?);
            if project.zones[zone].contains_key(&key) {
                return Err(Refusal::taken("RRSet"));
            }
            let id = format!("{}/{}", key.0, key.1);
            let (ttl, records) = (&body["ttl"], &body["records"]);
            let set = json!({ "id": id, "name": key.0, "type": key.1, "ttl": ttl, "records": records, "labels": {} });
            (key, Some(set))
        }
        ("DELETE" | "POST", [name, kind, rest @ ..]) => {
            let key = key(name, kind);
            let mut set = project.zones[zone].get(&key).cloned().ok_or_else(|| Refusal::not_found("RRSet"))?;
            match rest {
                [] => (key, None),
                ["actions", "set_records"] => {
                    set["records"] = body["records"].clone();
                    (key, Some(set))
                }
                ["actions", "change_ttl"] => {
                    set["ttl"] = body["ttl"].clone();
                    (key, Some(set))
                }
                _ => return Err(Refusal::not_found("action")),
            }
        }
        _ => return Err(Refusal::not_found("path")),
    };
    if let Some(set) = &set {
        check_rrset(set)?;
    }
    created(json!({ "action": project.act(Change::RrSet { zone: zone.to_owned(), key, set }) }))
}

/// The name must be one, values must be as a zone file has them, without doubles, and the TTL 60 s or more.
fn check_rrset(set: &Value) -> Result<(), Refusal> {
    let label = |label: &str| {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
        (1..=63).contains(&label.len()) && label.chars().all(plain)
    };
    let name = set["name"].as_str().unwrap_or_default();
    if name != "@" && !name.split('.').enumerate().all(|(place, part)| label(part) || (place == 0 && part == "*")) {
        return Err(Refusal::invalid("name", "is not a name"));
    }
    let values: Vec<&str> =
        set["records"].as_array().into_iter().flatten().filter_map(|record| record["value"].as_str()).collect();
    let formed = |value: &str| match set["type"].as_str() {
        Some("CNAME") => value.ends_with('.') && values.len() == 1,
        Some("TXT") => value.starts_with('"') && value.ends_with('"'),
        Some("A") => value.parse::<std::net::Ipv4Addr>().is_ok(),
        _ => value.parse::<std::net::Ipv6Addr>().is_ok(),
    };
    let mut distinct = values.clone();
    distinct.sort_unstable();
    distinct.dedup();
    if values.is_empty() || distinct.len() < values.len() || !values.iter().all(|value| formed(value)) {
        return Err(Refusal::invalid("records", "not as a zone file has them"));
    }
    if set["ttl"].as_u64().is_none_or(|ttl| ttl < 60) {
        return Err(Refusal::invalid("ttl", "must be at least 60"));
    }
    Ok(())
}

fn table_of<'a>(project: &'a mut Project, name: &str) -> &'a mut Table {
    match name {
        "servers" => &mut project.servers,
        "images" => &mut project.images,
        "floating_ips" => &mut project.floating_ips,
        "placement_groups" => &mut project.placement_groups,
        _ => &mut project.ssh_keys,
    }
}

fn find<'a>(table: &'a mut Table, what: &str, id: &str) -> Result<(u64, &'a mut Value), Refusal> {
    let found = id.parse().ok().and_then(|id| Some((id, table.get_mut(&id)?)));
    found.ok_or_else(|| Refusal::not_found(what))
}

fn unlocked<'a>(project: &'a mut Project, id: &str) -> Result<(u64, &'a mut Value), Refusal> {
    let (id, server) = find(&mut project.servers, "server", id)?;
    if server["locked"] == true { Err(Refusal::locked("server")) } else { Ok((id, server)) }
}

fn unique(table: &Table, name: &str) -> Result<(), Refusal> {
    if table.values().any(|other| other["name"] == name) { Err(Refusal::taken("name")) } else { Ok(()) }
}

fn text<'a>(body: &'a Value, field: &str) -> Result<&'a str, Refusal> {
    body[field].as_str().filter(|text| !text.is_empty()).ok_or_else(|| Refusal::invalid(field, "is required"))
}

fn size((name, cores, memory, disk): (&str, u32, f64, u64)) -> Value {
    let prices = LOCATIONS.map(|location| json!({ "location": location }));
    json!({ "name": name, "cores": cores, "memory": memory, "disk": disk, "prices": prices })
}

fn zone(name: &str) -> Value {
    let servers = ["hydrogen.ns.hetzner.com.", "oxygen.ns.hetzner.com.", "helium.ns.hetzner.de."];
    json!({ "id": 1, "name": name, "mode": "primary", "authoritative_nameservers": { "assigned": servers } })
}

/// A page of what the query selects.
fn list(key: &str, mut all: Vec<Value>, query: &Query) -> Answer {
    for (name, wanted) in query {
        match name.as_str() {
            "label_selector" => all.retain(|item| labels::selects(wanted, &item["labels"])),
            "page" | "per_page" => {}
            name => all.retain(|item| item[name] == wanted.as_str()),
        }
    }
    let number = |name: &str, otherwise| query.get(name).and_then(|text| text.parse().ok()).unwrap_or(otherwise);
    let (page, per_page) = (number("page", 1_usize), number("per_page", 25_usize));
    if !(1..=50).contains(&per_page) || page == 0 {
        return Err(Refusal::invalid("per_page", "is out of range"));
    }
    let (per_page, total) = (per_page.min(PAGE), all.len());
    let items: Vec<Value> = all.into_iter().skip((page - 1) * per_page).take(per_page).collect();
    let next_page = (page * per_page < total).then_some(page + 1);
    let pagination = json!({ "page": page, "per_page": per_page, "next_page": next_page, "total_entries": total });
    ok(json!({ key: items, "meta": { "pagination": pagination } }))
}

fn ok(body: Value) -> Answer {
    Ok((StatusCode::OK, body))
}

fn created(body: Value) -> Answer {
    Ok((StatusCode::CREATED, body))
}
