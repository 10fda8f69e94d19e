//! `remint ssh`: nothing of the user's configuration, any `TMPDIR`, marks what was logged in to, leaves nothing behind.
#![expect(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

#[expect(dead_code, reason = "other test files use the rest")]
mod common;

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use common::{Ended, World};
use tokio::process::Command;

/// A deployed service that one key opens, and a folder for ssh's files whose name is hard to quote.
struct Service {
    world: World,
    identity: PathBuf,
    tmp: PathBuf,
}

fn make_key(file: &Path) {
    let mut keygen = std::process::Command::new("ssh-keygen");
    assert!(keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(file).status().unwrap().success());
}

impl Service {
    async fn deployed() -> Self {
        let world = World::with_service().await;
        let identity = world.sandbox_dir().join("mine");
        make_key(&identity);
        let public = fs::read_to_string(identity.with_extension("pub")).unwrap();
        world.append(&format!("[access]\nssh_keys = [\"{}\"]\n", public.trim()));
        let tmp = world.sandbox_dir().join("a b'c\"d%h ${HOME} ~");
        fs::create_dir(&tmp).unwrap();
        world.remint(&["deploy"]).await.success();
        Self { world, identity, tmp }
    }

    /// `remint ssh` under a umask that gives everything to everybody, with a program named `ssh` before the real one.
    fn command(&self, identity: &Path, script: &str) -> Command {
        let wrapper = self.world.sandbox_dir().join("bin");
        fs::create_dir_all(&wrapper).unwrap();
        let log = self.world.sandbox_dir().join("ssh.log");
        let path = wrapper.join("ssh");
        let text = format!(
            "#!/bin/sh\n{{ stat -c %a . *; for word; do echo \"$word\"; done; }} >'{}'\nPATH=/usr/bin:/bin\nexec ssh \"$@\"\n",
            log.display()
        );
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let real = self.world.command(&["ssh", "--identity", identity.to_str().unwrap(), "--", script]);
        let real = real.as_std();
        let mut command = Command::new("sh");
        command.args(["-c", "umask 0; exec \"$@\"", "sh"]).arg(real.get_program()).args(real.get_args());
        for (name, value) in real.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let paths = std::env::join_paths([wrapper.as_path(), Path::new("/usr/bin"), Path::new("/bin")]).unwrap();
        command.env("PATH", paths).env("TMPDIR", &self.tmp).current_dir(real.get_current_dir().unwrap());
        command.stdin(std::process::Stdio::null()).kill_on_drop(true);
        command
    }

    async fn ssh(&self, identity: &Path, script: &str) -> Ended {
        Ended::of(&["ssh"], self.command(identity, script).output().await.unwrap())
    }

    async fn is_touched(&self) -> bool {
        let status = self.world.json(&["status"]).await;
        !status["instances"][0]["touched"].is_null()
    }

    fn left(&self) -> Vec<PathBuf> {
        fs::read_dir(&self.tmp).unwrap().map(|entry| entry.unwrap().path()).collect()
    }

    /// What the program named `ssh` was started with: the modes of its folder and file, and its arguments.
    fn log(&self) -> Vec<String> {
        let text = fs::read_to_string(self.world.sandbox_dir().join("ssh.log")).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

#[tokio::test]
async fn a_login_works_in_any_tmpdir_marks_the_instance_and_leaves_nothing() {
    let service = Service::deployed().await;
    assert!(!service.is_touched().await);

    // A login that fails marks nothing.
    let stranger = service.world.sandbox_dir().join("stranger");
    make_key(&stranger);
    let failed = service.ssh(&stranger, "true").await.code(255);
    assert!(!service.is_touched().await, "{}", failed.text());
    assert_eq!(service.left(), Vec::<PathBuf>::new());

    let ended = service.ssh(&service.identity, "echo out; exit 7").await.code(7);
    assert_eq!(ended.stdout, "out\n");
    assert!(ended.stderr.contains("is marked as touched"), "{}", ended.text());
    assert!(service.is_touched().await);
    assert_eq!(service.left(), Vec::<PathBuf>::new());
    let log = service.log();
    assert_eq!(&log[..2], ["700", "600"], "the modes of the folder and the file: {log:?}");
}

#[tokio::test]
async fn nothing_of_the_users_configuration_is_used() {
    let service = Service::deployed().await;
    service.ssh(&service.identity, "true").await.success();
    let words = &service.log()[2..];
    assert_eq!(&words[..2], ["-F", "/dev/null"]);
    // What OpenSSH itself makes of the arguments.
    let said = std::process::Command::new("ssh").arg("-G").args(words).output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let said = String::from_utf8(said.stdout).unwrap();
    for wanted in ["forwardagent no", "forwardx11 no", "controlmaster false", "stricthostkeychecking true"] {
        assert!(said.lines().any(|line| line == wanted), "{wanted} is not in\n{said}");
    }
    let local: Vec<_> = said.lines().filter(|line| line.starts_with("localcommand ")).collect();
    assert!(local.len() == 1 && local[0].starts_with("localcommand rm -f known_hosts; rmdir ../remint-"), "{local:?}");
    assert!(!said.lines().any(|line| line.starts_with("proxycommand ") && line != "proxycommand none"), "{said}");
}

#[tokio::test]
async fn nothing_is_left_by_a_process_that_is_killed() {
    let service = Service::deployed().await;
    for signal in ["KILL", "TERM"] {
        let mut child = service.command(&service.identity, "sleep 60").spawn().unwrap();
        let started = Instant::now();
        // The login has happened once ssh has removed its folder, which it has been started in before.
        while !(service.world.sandbox_dir().join("ssh.log").exists() && service.left().is_empty()) {
            assert!(started.elapsed() < Duration::from_secs(60), "no login");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let pid = child.id().unwrap().to_string();
        assert!(std::process::Command::new("kill").args([&format!("-{signal}"), &pid]).status().unwrap().success());
        let status = child.wait().await.unwrap();
        assert_eq!(status.code(), (signal == "TERM").then_some(130), "{signal}");
        assert_eq!(service.left(), Vec::<PathBuf>::new(), "{signal}");
        fs::remove_file(service.world.sandbox_dir().join("ssh.log")).unwrap();
    }
}
