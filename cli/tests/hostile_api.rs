//! An API that is endless, huge, deep, slow, silent or leads in circles: a clear error, little memory, and Ctrl-C is heard, on
//! each cloud.
#![expect(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

#[path = "common/hostile.rs"]
mod hostile;

use std::{
    process::{Output, Stdio},
    time::Duration,
};

use hostile::{Hostile, Malice};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;
use tokio::process::{Child, Command};

/// The most that `remint` may use, in KiB.
const MEMORY: u64 = 200 * 1024;
/// Longer than any of this takes on a busy machine; what hangs for good ends here.
const HANGS: Duration = Duration::from_secs(120);
const CLOUDS: [&str; 3] = ["digitalocean", "aws", "gcp"];

const MANIFEST: &str = r#"service = "hello"
provider = "digitalocean"
[providers.digitalocean]
region = "nyc3"
base = "debian-12-x64"
size = "s-1vcpu-1gb"
[providers.aws]
region = "us-east-1"
base = "ami-0a1b2c3d"
size = "t3.micro"
[providers.gcp]
region = "us-central1-a"
base = "ubuntu-os-cloud/ubuntu-2404-lts-amd64"
size = "e2-micro"
[image]
[health]
check.http = { path = "/" }
"#;

/// A service folder whose every cloud is the hostile one.
struct Folder(TempDir);

impl Folder {
    fn new(api: &Hostile) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("remint.toml"), MANIFEST).unwrap();
        let user = format!(
            r#"{{"type": "authorized_user", "client_id": "a", "client_secret": "b", "refresh_token": "c",
                "token_uri": "{}/token"}}"#,
            api.url()
        );
        std::fs::write(folder.path().join("google.json"), user).unwrap();
        Self(folder)
    }

    /// `remint` with endpoints and credentials of all clouds.
    fn command(&self, api: &Hostile, cloud: &str, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_remint"));
        command
            .args(args)
            .current_dir(self.0.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.0.path())
            .env("REMINT_PROVIDER", cloud)
            .env("DIGITALOCEAN_API_URL", api.url())
            .env("DIGITALOCEAN_TOKEN", "dop_v1_hostile")
            .env("AWS_ENDPOINT_URL", api.url())
            .env("AWS_ACCESS_KEY_ID", "AKIDHOSTILE")
            .env("AWS_SECRET_ACCESS_KEY", "hostile")
            .env("CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE", api.url())
            .env("CLOUDSDK_API_ENDPOINT_OVERRIDES_DNS", api.url())
            .env("GOOGLE_CLOUD_PROJECT", "hostile")
            .env("GOOGLE_APPLICATION_CREDENTIALS", self.0.path().join("google.json"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }
}

/// Waits for the end of a process; gives what it left, and its largest resident size in KiB.
async fn end(child: Child) -> (Output, u64) {
    let status = format!("/proc/{}/status", child.id().unwrap());
    let ended = tokio::spawn(tokio::time::timeout(HANGS, child.wait_with_output()));
    let mut peak = 0;
    while !ended.is_finished() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let size = text.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse().ok());
        peak = peak.max(size.unwrap_or(0));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    (ended.await.unwrap().expect("it hangs").unwrap(), peak)
}

/// Lists images of a hostile cloud; the command must fail with an error that says one of these, within its memory.
async fn refused(malice: Malice, says: &[&str]) {
    let api = Hostile::start(malice).await;
    let folder = Folder::new(&api);
    // What is to be found in an answer must be found before the time is over, also on a busy machine.
    let within = if says.contains(&"no answer in time") { "3s" } else { "60s" };
    for cloud in CLOUDS {
        let child = folder.command(&api, cloud, &["images"]).env("REMINT_API_TIMEOUT", within).spawn().unwrap();
        let (output, peak) = end(child).await;
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(8), "{cloud}, {malice:?}: {stderr}");
        assert!(says.iter().any(|text| stderr.contains(text)), "{cloud}, {malice:?}: {stderr}");
        assert!(peak > 0 && peak < MEMORY, "{cloud}, {malice:?}: {} MiB\n{stderr}", peak / 1024);
    }
}

#[tokio::test]
async fn a_body_without_an_end_is_cut_off() {
    refused(Malice::Endless, &["larger than 16 MiB"]).await;
}

#[tokio::test]
async fn a_body_of_four_gigabytes_is_cut_off() {
    refused(Malice::Huge, &["larger than 16 MiB"]).await;
}

#[tokio::test]
async fn a_body_that_would_become_much_larger_is_cut_off() {
    refused(Malice::Objects, &["more than 100000 objects and lists"]).await;
}

#[tokio::test]
async fn as_much_as_may_be_fits_into_the_memory() {
    let api = Hostile::start(Malice::Full).await;
    let folder = Folder::new(&api);
    for cloud in CLOUDS {
        let child = folder.command(&api, cloud, &["images"]).spawn().unwrap();
        let (output, peak) = end(child).await;
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code().is_some(), "{cloud}: {stderr}");
        assert!(peak > 0 && peak < MEMORY, "{cloud}: {} MiB\n{stderr}", peak / 1024);
    }
}

#[tokio::test]
async fn a_body_that_is_nested_deeply_is_cut_off() {
    refused(Malice::Deep, &["nested deeper than 64 levels"]).await;
}

#[tokio::test]
async fn a_body_of_a_byte_a_second_is_given_up() {
    refused(Malice::Slow, &["no answer in time"]).await;
}

#[tokio::test]
async fn no_answer_is_given_up() {
    refused(Malice::Silent, &["no answer in time"]).await;
}

#[tokio::test]
async fn headers_that_drip_are_given_up() {
    refused(Malice::HeaderDrip, &["no answer in time", "the connection broke"]).await;
}

#[tokio::test]
async fn headers_without_an_end_are_cut_off() {
    refused(Malice::Headers, &["the connection broke", "no answer in time"]).await;
}

#[tokio::test]
async fn redirects_are_not_followed() {
    refused(Malice::Redirect, &["302"]).await;
}

#[tokio::test]
async fn a_list_that_leads_back_is_an_error() {
    refused(Malice::SamePage, &["leads back to one that was read before", "is said to be page 1"]).await;
}

#[tokio::test]
async fn a_refusal_without_an_end_is_a_refusal() {
    let api = Hostile::start(Malice::EndlessRefusal).await;
    let folder = Folder::new(&api);
    for cloud in CLOUDS {
        let child = folder.command(&api, cloud, &["images"]).env("REMINT_API_TIMEOUT", "5s").spawn().unwrap();
        let (output, peak) = end(child).await;
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(4), "{cloud}: {stderr}");
        assert!(stderr.contains("403"), "{cloud}: {stderr}");
        assert!(peak > 0 && peak < MEMORY, "{cloud}: {} MiB", peak / 1024);
    }
}

/// Signals that end a command at its first request, whose answer never comes whole.
async fn heard(malice: Malice, args: &[&str], signals: &[Signal]) {
    let api = Hostile::start(malice).await;
    let folder = Folder::new(&api);
    for cloud in CLOUDS {
        let before = api.asked();
        let child = folder.command(&api, cloud, args).spawn().unwrap();
        let pid = Pid::from_raw(child.id().unwrap().try_into().unwrap());
        tokio::time::timeout(HANGS, api.until_asked(before + 1)).await.unwrap();
        for signal in signals {
            kill(pid, *signal).unwrap();
        }
        let (output, peak) = end(child).await;
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(130), "{cloud}, {malice:?}, {args:?}: {stderr}");
        assert!(stderr.contains("interrupted") && !stderr.contains("stopped at once"), "{cloud}, {malice:?}: {stderr}");
        assert!(peak < MEMORY, "{cloud}, {malice:?}: {} MiB", peak / 1024);
    }
}

#[tokio::test]
async fn an_interruption_is_heard_while_a_body_drips() {
    heard(Malice::Slow, &["images"], &[Signal::SIGINT]).await;
    heard(Malice::Slow, &["deploy"], &[Signal::SIGINT]).await;
}

#[tokio::test]
async fn an_interruption_is_heard_while_headers_drip() {
    heard(Malice::HeaderDrip, &["images"], &[Signal::SIGTERM]).await;
}

#[tokio::test]
async fn an_interruption_is_heard_while_there_is_no_answer() {
    heard(Malice::Silent, &["status"], &[Signal::SIGHUP]).await;
    heard(Malice::Silent, &["gc"], &[Signal::SIGINT]).await;
    heard(Malice::Silent, &["destroy", "--yes"], &[Signal::SIGINT]).await;
}

#[tokio::test]
async fn signals_that_come_together_are_one() {
    heard(Malice::Silent, &["deploy"], &[Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP]).await;
}
