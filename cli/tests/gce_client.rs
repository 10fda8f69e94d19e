//! Google's own Python clients, which nobody here wrote, against the sandbox's Google account on simulated machines.
#![expect(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

#[expect(dead_code, reason = "other test files use the rest")]
mod common;

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use common::World;

/// Whatever takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(300);

#[tokio::test]
async fn googles_python_clients_work() {
    let world = World::empty().await;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/gce_client.py");
    let mut client = world.client(python());
    client.envs(world.variables("gcp").await).arg(script);
    let output = tokio::time::timeout(PATIENCE, client.output()).await.unwrap().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && text.contains("gce: done"), "{text}");
    let calls = world.calls().await;
    let count = |route: &str| calls["calls"][route].as_u64().unwrap_or(0);
    let moves = "POST /compute/v1/projects/{project}/regions/{region}/forwardingRules/{rule}/setTarget";
    assert_eq!(count(moves), 1, "{calls:#}");
    // The builder and two instances, each asked for twice, and one that is refused.
    assert_eq!(count("POST /compute/v1/projects/{project}/zones/{zone}/instances"), 7, "{calls:#}");
}

/// The Python that has Google's clients: the one of `REMINT_TEST_PYTHON`, else the one that `.ci/setup test` makes.
fn python() -> PathBuf {
    let python = match std::env::var_os("REMINT_TEST_PYTHON") {
        Some(path) => path.into(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/python/bin/python"),
    };
    let works = Command::new(&python).args(["-c", "import google.cloud.compute_v1, googleapiclient"]).output();
    let works = works.is_ok_and(|output| output.status.success());
    assert!(works, "{} has no Google clients: run `.ci/setup test`, or set REMINT_TEST_PYTHON", python.display());
    python
}
