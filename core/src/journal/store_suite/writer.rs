//! A process of its own that writes until it is killed.

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};

use super::target::Target;

const TARGET: &str = "REMINT_STORE_SUITE_TARGET";
const PREFIX: &str = "REMINT_STORE_SUITE_PREFIX";
const READY: &str = "ready";
const DONE: &str = "acknowledged";

/// Large, so that a kill meets a write.
const LARGE: usize = 500_000;

pub(super) fn name(prefix: &str, number: usize) -> String {
    format!("{prefix}/{number:05}.json")
}

fn body(number: usize) -> Value {
    json!({"text": "x".repeat(LARGE), "number": number, "z": "end"})
}

pub(super) fn is_whole(value: &Value) -> bool {
    value["text"].as_str().is_some_and(|text| text.len() == LARGE) && value["z"] == "end"
}

/// How many writes the process had seen acknowledged when it was killed, so long after its first.
pub(super) async fn killed_after(target: &Target, prefix: &str, life: Duration) -> usize {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "journal::store_suite::writer::writes_until_it_is_killed", "--nocapture", "--ignored"])
        .env(TARGET, serde_json::to_string(target).unwrap())
        .env(PREFIX, prefix)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let reader = tokio::task::spawn_blocking(move || {
        // The test harness may have begun a line.
        lines.map_while(Result::ok).filter(|line| line.ends_with(DONE)).count()
    });
    // Its client needs a moment before the first write.
    tokio::time::sleep(Duration::from_millis(500) + life).await;
    child.kill().unwrap();
    child.wait().unwrap();
    reader.await.unwrap()
}

/// No check by itself: what it leaves behind is judged by the checks that start it, through [`killed_after`].
#[tokio::test]
#[ignore = "half of a check: `killed_after` starts it in a process of its own, and kills it"]
async fn writes_until_it_is_killed() {
    let Ok(target) = std::env::var(TARGET) else { return };
    let (target, prefix): (Target, _) = (serde_json::from_str(&target).unwrap(), std::env::var(PREFIX).unwrap());
    let store = target.open();
    println!("{READY}");
    for number in 0.. {
        assert!(store.create(&name(&prefix, number), &body(number)).await.unwrap());
        println!("{DONE}");
    }
}
