//! What every store must do.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::join_all;
use serde_json::{Value, json};

use super::{target::Target, writer};
use crate::journal::store::Store;

const RACERS: usize = 20;
const ROUNDS: usize = 10;

async fn get(store: &Store, name: &str) -> Option<Value> {
    store.get::<Value>(name).await.unwrap()
}

/// Without a race.
pub(super) async fn conditions(target: &Target) {
    let (one, other) = (target.open(), target.open());
    let name = "conditions/a.json";
    assert!(one.create(name, &json!({"by": "one"})).await.unwrap());
    assert!(!other.create(name, &json!({"by": "other"})).await.unwrap());
    assert!(!one.create(name, &json!({"by": "one"})).await.unwrap(), "the same again is another write");
    assert!(!other.update(name, &json!({"by": "other"})).await.unwrap(), "it has not seen it");
    assert_eq!(get(&other, name).await.unwrap()["by"], "one");
    assert!(other.update(name, &json!({"by": "other"})).await.unwrap());
    assert!(!one.update(name, &json!({"by": "one"})).await.unwrap(), "it has not seen the other's");
    assert_eq!(get(&one, name).await.unwrap()["by"], "other");
    assert!(one.update(name, &json!({"by": "one"})).await.unwrap());
    assert!(one.update(name, &json!({"by": "one again"})).await.unwrap(), "its own is the last");
    one.replace(name, &json!({"by": "nobody"})).await.unwrap();
    assert_eq!(get(&other, name).await.unwrap()["by"], "nobody");
}

pub(super) async fn create_race(target: &Target) {
    let stores: Vec<Store> = (0..RACERS).map(|_| target.open()).collect();
    for round in 0..ROUNDS {
        let name = format!("creates/{round:02}.json");
        let tries = stores.iter().enumerate().map(|(by, store)| {
            let (name, body) = (name.clone(), json!({"by": by}));
            async move { store.create(&name, &body).await.unwrap() }
        });
        winner(target, &name, &join_all(tries).await).await;
    }
}

pub(super) async fn update_race(target: &Target) {
    let stores: Vec<Store> = (0..RACERS).map(|_| target.open()).collect();
    let name = "updates/a.json";
    assert!(stores[0].create(name, &json!({"by": "nobody"})).await.unwrap());
    for _ in 0..ROUNDS {
        for store in &stores {
            store.read(name).await.unwrap();
        }
        let tries = stores.iter().enumerate().map(|(by, store)| {
            let body = json!({"by": by});
            async move { store.update(name, &body).await.unwrap() }
        });
        winner(target, name, &join_all(tries).await).await;
    }
}

/// Exactly one has won, and what it wrote is there.
async fn winner(target: &Target, name: &str, won: &[bool]) {
    let winners: Vec<usize> = won.iter().enumerate().filter(|(_, won)| **won).map(|(by, _)| by).collect();
    assert_eq!(winners.len(), 1, "{name}: {winners:?} have won");
    assert_eq!(get(&target.open(), name).await.unwrap()["by"], winners[0], "{name}");
}

/// S3's versions follow the bytes.
pub(super) async fn what_became_what_it_was(target: &Target) {
    let (one, other) = (target.open(), target.open());
    let name = "again/a.json";
    let (first, second) = (json!({"is": "first"}), json!({"is": "second"}));
    assert!(one.create(name, &first).await.unwrap());
    other.read(name).await.unwrap();
    assert!(one.update(name, &second).await.unwrap());
    assert!(one.update(name, &first).await.unwrap());
    assert!(!other.update(name, &second).await.unwrap(), "it was changed twice");
    other.read(name).await.unwrap();
    one.delete(name).await.unwrap();
    assert!(one.create(name, &first).await.unwrap());
    assert!(!other.update(name, &second).await.unwrap(), "it was deleted and created");
}

/// A list shows all that was written before it, in order, and nothing else.
pub(super) async fn lists(target: &Target) {
    let (one, other) = (target.open(), target.open());
    let mut names = Vec::new();
    for number in (0..50).rev() {
        let name = format!("lists/{number:02}/a.json");
        assert!(one.create(&name, &number).await.unwrap());
        names.insert(0, name);
        assert_eq!(other.list("lists").await.unwrap(), names);
    }
    assert!(one.create("lists-2/a.json", &1).await.unwrap());
    assert_eq!(other.list("lists").await.unwrap(), names, "what has a longer name is elsewhere");
    assert_eq!(other.list("lists/07").await.unwrap(), ["lists/07/a.json"]);
    for name in names.clone() {
        one.delete(&name).await.unwrap();
        names.remove(0);
        assert_eq!(other.list("lists").await.unwrap(), names);
    }
}

pub(super) async fn what_is_absent(target: &Target) {
    let store = target.open();
    let name = "absent/a.json";
    assert_eq!(get(&store, name).await, None);
    assert_eq!(store.age(name).await.unwrap(), None);
    assert_eq!(store.list("absent").await.unwrap(), [""; 0]);
    store.delete(name).await.unwrap();
    assert!(store.update(name, &1).await.unwrap(), "nothing was there, as it has seen");
    assert!(store.age(name).await.unwrap().unwrap().as_secs() < 60);
    store.delete(name).await.unwrap();
    store.delete(name).await.unwrap();
    let other = target.open();
    assert!(store.create(name, &1).await.unwrap());
    other.read(name).await.unwrap();
    store.delete(name).await.unwrap();
    assert!(!other.update(name, &2).await.unwrap(), "it has not seen that it is gone");
    assert_eq!(get(&store, name).await, None, "and nothing was written");
}

/// What a process had acknowledged when it was killed is there, and nothing is there in part.
pub(super) async fn kills(target: &Target) {
    for millis in [400, 900, 1500] {
        let prefix = format!("kills/{millis}");
        let acknowledged = writer::killed_after(target, &prefix, std::time::Duration::from_millis(millis)).await;
        let store = target.open();
        let names = store.list(&prefix).await.unwrap();
        for number in 0..acknowledged {
            let name = writer::name(&prefix, number);
            assert!(names.contains(&name), "{name} of {acknowledged} is not there");
        }
        for name in names {
            assert!(writer::is_whole(&get(&store, &name).await.unwrap()), "{name} is torn");
        }
    }
}

/// Each write of a store that has no rival succeeds, also where the reply to it was lost.
pub(super) async fn own_writes(target: &Target, prefix: &str) {
    let (one, other) = (target.open(), target.open());
    for number in 0..3 {
        let name = format!("{prefix}/{number}.json");
        assert!(one.create(&name, &json!({"number": number})).await.unwrap(), "{name}");
        assert!(!one.create(&name, &json!({"number": number})).await.unwrap(), "{name} is there");
        assert!(!other.create(&name, &json!({"number": number})).await.unwrap(), "{name} is there");
        for change in 0..3 {
            assert!(one.update(&name, &json!({"number": number, "change": change})).await.unwrap(), "{name}");
        }
        assert!(!other.update(&name, &json!({"number": number})).await.unwrap(), "{name} was not seen");
        assert_eq!(get(&one, &name).await.unwrap()["change"], 2);
    }
}

/// Of creates that the server refuses with 409, without having carried out another one, each succeeds in the end.
pub(super) async fn conflicts(target: &Target, conflicts: &AtomicUsize) {
    let store = target.open();
    assert!(store.create("conflicts/first.json", &1).await.unwrap());
    for count in [1, 3] {
        conflicts.store(count, Ordering::Relaxed);
        let name = format!("conflicts/{count}.json");
        assert!(store.create(&name, &json!({"count": count})).await.unwrap(), "{name}");
        assert_eq!(conflicts.load(Ordering::Relaxed), 0);
        assert!(!store.create(&name, &json!({"count": count})).await.unwrap(), "{name} is there");
    }
}
