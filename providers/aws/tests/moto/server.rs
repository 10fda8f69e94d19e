//! A moto server of this test program's own, and the provider pointed at it.

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use remint_aws::{Aws, ClientOptions, Settings};
use remint_conformance::{Guarded, Target};
use remint_core::provider::{Provider, RatePolicy, RetryPolicy};

const ZONE: &str = "conformance.example";
/// One of the public images that moto brings.
const BASE: &str = "137112412989/amzn2-ami-hvm-2.0.20180810-x86_64-gp2";

/// Serves on a free port, and ends when its standard input does: however this program ends, the other end of that pipe
/// closes with it.
const SCRIPT: &str = "
import os, sys
from moto.server import ThreadedMotoServer
import logging
logging.getLogger('werkzeug').setLevel(logging.ERROR)
server = ThreadedMotoServer(ip_address='127.0.0.1', port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
os._exit(0)
";

struct Moto {
    process: Child,
    url: String,
}

impl Drop for Moto {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

impl Moto {
    fn start() -> Self {
        let python = python();
        assert!(python.is_file(), "{} is missing: run `.ci/setup test`", python.display());
        let mut process = Command::new(python)
            .args(["-c", SCRIPT])
            .env("MOTO_ENABLE_AMI_VALIDATION", "1")
            .env("MOTO_EC2_ENABLE_INSTANCE_TYPE_VALIDATION", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut port = String::new();
        BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut port).unwrap();
        let url = format!("http://127.0.0.1:{}", port.trim());
        assert!(!port.trim().is_empty(), "moto does not start: run `.ci/setup test`");
        Self { process, url }
    }
}

/// The Python that `.ci/setup` makes.
fn python() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/python/bin/python")
}

pub(crate) async fn start() -> Guarded {
    let moto = Moto::start();
    make_zone(&moto.url).await;
    let url = moto.url.clone();
    let another = move || provider(&url);
    let target = Target {
        second_region: Some("us-west-2".into()),
        zone: Some(ZONE.to_owned()),
        boots: false,
        poll: Duration::from_millis(50),
        // Two minutes for most cases.
        patience: 0.2,
        ..Target::new(another(), "us-east-1".into(), "t3.micro".into(), BASE)
    };
    Guarded { target: Target { another: Some(Arc::new(another)), ..target }, guard: Box::new(moto) }
}

fn provider(url: &str) -> Arc<dyn Provider> {
    let (first_pause, max_pause) = (Duration::from_millis(20), Duration::from_millis(500));
    let settings = Settings {
        rate: RatePolicy { burst: 10_000, per_second: 1000.0, reserved_for_mutations: 100 },
        retry: RetryPolicy { first_pause, max_pause, ..RetryPolicy::default() },
        grace: Duration::from_secs(5),
        settle: Duration::from_millis(600),
        // `NotImplementedError`, at a tag for a snapshot.
        tag_snapshots: false,
        sync: Duration::from_secs(2),
        ..Settings::default()
    };
    Arc::new(Aws::new(ClientOptions {
        endpoint_url: url.to_owned(),
        region: "us-east-1".into(),
        access_key_id: "AKIDMOTO".to_owned(),
        secret_access_key: "moto".into(),
        settings,
    }))
}

/// Makes the zone of the cases, which is no business of the provider's.
async fn make_zone(url: &str) {
    let config = aws_sdk_route53::Config::builder()
        .behavior_version_latest()
        .endpoint_url(url)
        .region(aws_sdk_route53::config::Region::new("us-east-1"))
        .credentials_provider(aws_sdk_route53::config::Credentials::new("AKIDMOTO", "moto", None, None, "test"))
        .build();
    let client = aws_sdk_route53::Client::from_conf(config);
    client.create_hosted_zone().name(ZONE).caller_reference("conformance").send().await.unwrap();
}
