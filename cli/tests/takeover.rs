//! A deployment made by the release before ids: it is taken over, labelled, replaced, rolled back and destroyed.
//!
//! What that release left is made here from what today's leaves: the ids are taken off its labels and names, and its journal is
//! written in format 1, with what format 1 had and nothing else.
#![expect(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

#[expect(dead_code, reason = "other test files use the rest")]
mod common;
#[expect(dead_code, reason = "other test files use the rest")]
#[path = "common/stopped.rs"]
mod stopped;

use std::{fs, path::Path};

use common::World;
use nix::sys::signal::Signal;
use reqwest::Method;
use serde_json::{Value, json};
use stopped::stop_at;

/// The entries that format 1 had, and what each says beside its place.
const ENTRIES: [(&str, &[&str]); 11] = [
    ("phase", &["phase"]),
    ("launching", &["names"]),
    ("launched", &["instances", "host_key"]),
    ("before_switch_started", &[]),
    ("before_switch_done", &[]),
    ("gate_passed", &["instance"]),
    ("making_address", &["instance"]),
    ("assigning", &["static_ip", "from", "to"]),
    ("assigned", &["to"]),
    ("setting_record", &["change"]),
    ("retiring", &["instances", "how"]),
];

/// What a release's record had.
const RECORD: [&str; 19] = [
    "id",
    "service",
    "environment",
    "provider",
    "region",
    "size",
    "count",
    "image",
    "fingerprint",
    "inputs",
    "config_digest",
    "salt",
    "rollback_of",
    "replaces",
    "commit",
    "created_by",
    "created_at",
    "instances",
    "format",
];

fn read(path: &Path) -> Value {
    let text = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).unwrap()
}

/// Writes an object with these of its keys, as of format 1.
fn write(path: &Path, object: &Value, keys: &[&str]) {
    let mut old: serde_json::Map<String, Value> = object
        .as_object()
        .unwrap()
        .iter()
        .filter(|(key, _)| keys.contains(&key.as_str()))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    // An entry was of one instance.
    if let Some(one) = object["instances"].get(0).filter(|_| keys.contains(&"instance")) {
        old.insert("instance".to_owned(), one.clone());
    }
    old.insert("format".to_owned(), 1.into());
    fs::write(path, serde_json::to_string_pretty(&old).unwrap()).unwrap();
}

fn folders(path: &Path) -> Vec<std::path::PathBuf> {
    let mut found: Vec<_> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}

/// Makes of a deployment of today one of the release before ids. It has one static IP, and the record `www.example.test`.
async fn made_by_the_release_before(world: &World) {
    for tag in tags(world).await.into_iter().filter(|tag| tag.contains("-id:")) {
        let (status, _) = world.api(Method::DELETE, &format!("/v2/tags/{tag}"), None).await;
        assert_eq!(status, 204, "{tag}");
    }
    // Names ended before the id.
    for (id, name) in world.standing().await.images {
        let name: Vec<_> = name.splitn(3, '-').take(2).collect();
        let renamed = json!({ "name": name.join("-") });
        let (status, answer) = world.api(Method::PUT, &format!("/v2/images/{id}"), Some(renamed)).await;
        assert_eq!(status, 200, "{answer}");
    }
    let journal = world.journal();
    for path in folders(&journal).into_iter().filter(|path| path.is_file()) {
        fs::remove_file(path).unwrap();
    }
    let environment = journal.join("default");
    for path in folders(&environment).into_iter().filter(|path| path.is_file()) {
        fs::remove_file(path).unwrap();
    }
    for lock in folders(&environment.join("lock")) {
        write(&lock, &read(&lock), &["token", "holder", "since", "expires", "released"]);
    }
    for release in folders(&environment.join("releases")) {
        let record = release.join("release.json");
        write(&record, &read(&record), &RECORD);
        let entries: Vec<_> = folders(&release.join("journal")).iter().map(|path| read(path)).collect();
        fs::remove_dir_all(release.join("journal")).unwrap();
        fs::create_dir(release.join("journal")).unwrap();
        let known = |entry: &&Value| ENTRIES.iter().any(|(name, _)| entry["entry"] == *name);
        for (index, entry) in entries.iter().filter(known).enumerate() {
            let (_, keys) = ENTRIES.iter().find(|(name, _)| entry["entry"] == *name).unwrap();
            let mut entry = entry.clone();
            entry["seq"] = (index + 1).into();
            let path = release.join(format!("journal/{:06}.json", index + 1));
            write(&path, &entry, &[&["seq", "at", "run", "token", "entry"], *keys].concat());
        }
    }
    let ip = world.static_ip().await;
    let ports = read_ports(world, &ip);
    let resources = json!({
        "format": 1,
        "static_ip": { "id": ip, "address": { "ip": ip, "ports": ports }, "made_by": 1 },
        "record": { "zone": "example.test", "name": "www", "kind": "A", "provider": "sandbox", "made_by": 1 },
    });
    fs::write(environment.join("resources.json"), resources.to_string()).unwrap();
}

/// The ports of the sandbox, as an address in the journal has them.
fn read_ports(world: &World, ip: &str) -> Value {
    let (_, port) = world.endpoint(ip, 80).rsplit_once(':').map(|(ip, port)| (ip.to_owned(), port.to_owned())).unwrap();
    let offset = port.parse::<u16>().unwrap() - 80;
    json!({ "through": if offset == 0 { 0 } else { 1023 }, "offset": offset })
}

async fn tags(world: &World) -> Vec<String> {
    let (_, answer) = world.api(Method::GET, "/v2/tags?per_page=200", None).await;
    answer["tags"].as_array().unwrap().iter().map(|tag| tag["name"].as_str().unwrap().to_owned()).collect()
}

/// A service with a record that the release before deployed.
async fn taken_over() -> World {
    let world = World::with_service().await;
    world.make_zone("example.test").await;
    world.append("[dns]\nzone = \"example.test\"\nname = \"www\"\nttl = \"30s\"\n");
    world.remint(&["deploy"]).await.success();
    made_by_the_release_before(&world).await;
    world
}

/// Instances and images carry the ids that the journal has.
fn is_labelled(world: &World, when: &str) {
    let (service, environment) =
        (read(&world.journal().join("service.json")), read(&world.journal().join("default/environment.json")));
    let books = world.books();
    for (kind, id) in [("digitalocean instance", &environment["id"]), ("digitalocean image", &service["id"])] {
        for line in books.of(kind) {
            assert!(line.contains(id.as_str().unwrap()), "{when}: {id} is not in {line}");
        }
    }
}

#[tokio::test]
async fn a_deployment_without_ids_is_labelled_by_the_first_command_that_changes_something() {
    for verb in [&["gc", "--yes"][..], &["deploy"], &["deploy", "--force"], &["abort"], &["images", "prune", "--yes"]] {
        let world = taken_over().await;
        // Looking changes nothing.
        world.refused(&["plan"], 0).await.says("nothing to do").says_not("another journal");
        world.refused(&["status"], 0).await.says("r1").says_not("another journal");
        world.refused(&["images"], 0).await;
        let ip = world.static_ip().await;
        world.remint(verb).await.success();
        is_labelled(&world, &verb.join(" "));
        assert_eq!(world.page(&ip).await, (200, "version v1".to_owned()));
    }
}

#[tokio::test]
async fn a_deployment_without_ids_is_replaced_rolled_back_and_destroyed() {
    let world = taken_over().await;
    let ip = world.static_ip().await;
    let replaced = world.json(&["deploy", "--var", "version=v2"]).await;
    assert_eq!(replaced["release"], 2, "{replaced:#}");
    assert_eq!(world.page(&ip).await, (200, "version v2".to_owned()));
    is_labelled(&world, "replaced");
    let rolled = world.json(&["rollback"]).await;
    assert_eq!(rolled["release"], 3, "{rolled:#}");
    assert_eq!(world.page(&ip).await, (200, "version v1".to_owned()));
    // The image of a recipe from before is found again.
    let again = world.json(&["deploy", "--force"]).await;
    assert_eq!(again["baked"], false, "{again:#}");
    let standing = world.standing().await;
    assert_eq!((standing.droplets.len(), standing.images.len(), standing.keys.len()), (1, 2, 0), "{standing:#?}");
    assert_eq!(standing.records.get("www.example.test"), Some(&vec![ip]));
    world.remint(&["destroy", "--images", "--yes"]).await.success();
    assert!(world.standing().await.is_empty(), "{:#?}", world.standing().await);
}

#[tokio::test]
async fn a_release_without_ids_that_was_killed_is_undone_or_finished() {
    for (verb, moment, version) in [
        ("abort", "gating", "v1"),
        ("abort", "verifying", "v1"),
        ("resume", "gating", "v2"),
        ("resume", "verifying", "v2"),
    ] {
        let world = World::with_service().await;
        world.make_zone("example.test").await;
        world.append("[dns]\nzone = \"example.test\"\nname = \"www\"\nttl = \"30s\"\n");
        world.remint(&["deploy"]).await.success();
        let args = ["deploy", "--var", "version=v2"];
        stop_at(&world, &args, moment, Signal::SIGKILL).await;
        made_by_the_release_before(&world).await;
        world.remint(&[verb, "--var", "version=v2"]).await.success();
        let ip = world.static_ip().await;
        assert_eq!(world.page(&ip).await, (200, format!("version {version}")), "{verb} in {moment}");
        let standing = world.standing().await;
        assert_eq!(standing.droplets.len(), 1, "{verb} in {moment}: {standing:#?}");
        is_labelled(&world, verb);
    }
}

#[tokio::test]
async fn a_deployment_without_ids_whose_journal_is_lost_is_left_alone() {
    let world = taken_over().await;
    world.lose_journal();
    for args in [&["deploy"][..], &["gc", "--yes"], &["destroy", "--yes"], &["rollback"], &["bake"]] {
        world.refused(args, 13).await.says("deployed by another journal");
    }
}
