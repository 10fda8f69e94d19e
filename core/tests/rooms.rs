//! The direction of dependencies: between the rooms of core, and between the files of core and of each provider.
//!
//! A room is a module at the top of core. `docs/architecture.md` says what each is for; [`ROOMS`] says which may use which.
#![expect(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

#[path = "rooms/house.rs"]
mod house;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use house::House;

/// The rooms of core from the ground up: each uses those before it, and none after it.
const ROOMS: [&str; 25] = [
    "clock",
    "chance",
    "spawn",
    "duration",
    "redact",
    "provider",
    "events",
    "child",
    "tree",
    "remote",
    "watch",
    "manifest",
    "userdata",
    "first_boot",
    "logins",
    "health",
    "recipe",
    "journal",
    "context",
    "machine",
    "bake",
    "error",
    "resources",
    "traffic",
    "deploy",
];

/// Rooms that tests alone have. They may use all others.
const TESTS: [&str; 3] = ["fake", "fuzz", "sim"];

/// Crates whose files must not use each other in a circle.
const CRATES: [&str; 10] = [
    "core",
    "providers/digitalocean",
    "providers/aws",
    "providers/gcp",
    "providers/sandbox",
    "providers/sandbox/digitalocean",
    "providers/sandbox/cloud",
    "providers/sandbox/machines",
    "providers/sandbox/ec2",
    "providers/sandbox/gce",
];

/// The crates of the sandbox, each with those of them that it may use: no front end knows another, and the engine knows none.
const SANDBOX: [(&str, &[&str]); 6] = [
    ("machines", &[]),
    ("cloud", &["machines"]),
    ("digitalocean", &["cloud"]),
    ("ec2", &["cloud"]),
    ("gce", &["cloud", "machines"]),
    ("", &["machines", "cloud", "digitalocean", "ec2", "gce"]),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

#[test]
fn every_room_of_core_uses_only_rooms_below_it() {
    let house = House::read(&root().join("core/src"));
    let floor: BTreeMap<&str, usize> = ROOMS.iter().enumerate().map(|(floor, room)| (*room, floor)).collect();
    let room = |file: &str| file.split(['/', '.']).next().unwrap_or_default().to_owned();
    let mut seen = BTreeSet::new();
    let mut wrong = Vec::new();
    for (from, used) in house.uses() {
        let own = room(&from);
        if own == "lib" || TESTS.contains(&own.as_str()) {
            continue;
        }
        let Some(high) = floor.get(own.as_str()) else {
            wrong.push(format!("{from}: the room `{own}` is not in ROOMS"));
            continue;
        };
        seen.insert(own.clone());
        for (to, name) in used {
            let other = room(&to);
            seen.insert(other.clone());
            if other != own && floor.get(other.as_str()).is_none_or(|low| low >= high) {
                wrong.push(format!("{from} uses {name:?} of {to}: `{other}` is not below `{own}`"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let gone: Vec<_> = ROOMS.iter().filter(|room| !seen.contains(**room)).collect();
    assert!(gone.is_empty(), "these rooms are not there, or nothing uses them: {gone:?}");
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    let mut wrong = Vec::new();
    for name in CRATES {
        let house = House::read(&root().join(name).join("src"));
        for circle in house.circles() {
            wrong.push(format!("{name}:\n{}", circle.join("\n")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn each_crate_of_the_sandbox_depends_only_on_those_below_it() {
    for (name, may_use) in SANDBOX {
        let text = std::fs::read_to_string(root().join("providers/sandbox").join(name).join("Cargo.toml")).unwrap();
        let manifest: toml::Table = text.parse().unwrap();
        let own = |table: &str| {
            let names = manifest[table].as_table().unwrap().keys().map(String::as_str);
            names.filter_map(|name| name.strip_prefix("remint-sandbox-")).map(str::to_owned).collect::<BTreeSet<_>>()
        };
        let may_use: BTreeSet<_> = may_use.iter().map(|&name| name.to_owned()).collect();
        assert_eq!(own("dependencies"), may_use, "providers/sandbox/{name}");
        assert!(own("dev-dependencies").is_subset(&may_use), "providers/sandbox/{name}");
    }
}

#[test]
fn a_circle_and_what_ties_it_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("lib.rs", "mod a; mod b; mod c;");
    write("a.rs", "use crate::b::{self, B}; pub struct A; fn f() { b::g(); }");
    write("b/mod.rs", "mod inner; pub use inner::B; pub fn g() {}");
    write("b/inner.rs", "pub struct B(super::super::c::C);");
    write("c.rs", "pub struct C; #[cfg(test)] mod tests { use crate::a::A; }");
    let uses = House::read(folder.path()).uses();
    let targets = |from: &str| uses[from].keys().cloned().collect::<Vec<_>>();
    assert_eq!(targets("a.rs"), ["b/inner.rs", "b/mod.rs"]);
    assert_eq!(targets("b/inner.rs"), ["c.rs"]);
    assert_eq!(House::read(folder.path()).circles(), [[""; 0]; 0]);
    write("c.rs", "pub struct C(crate::a::A);");
    let circles = House::read(folder.path()).circles();
    assert_eq!(circles.len(), 1);
    assert_eq!(
        circles[0],
        ["a.rs -> b/inner.rs: B", "b/inner.rs -> c.rs: C", "c.rs -> a.rs: A"],
        "the ways between the files of the circle, with the names"
    );
}
