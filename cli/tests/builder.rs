//! Builders that do not become an image: one that is kept after a failed bake, one that only tries the recipe. And the secrets of
//! steps.
#![expect(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

#[expect(dead_code, reason = "other test files use the rest")]
mod common;
#[expect(dead_code, reason = "other test files use the rest")]
#[path = "common/terminal.rs"]
mod terminal;

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use common::{Ended, World};

/// A service whose recipe fails after its first step, and a folder for the user's state.
struct Failing {
    world: World,
    state: PathBuf,
}

impl Failing {
    async fn new() -> Self {
        let world = World::with_service().await;
        world.edit("\"mkdir -p /opt\"", "\"mkdir -p /opt; echo so far > /opt/trace; test -e /opt/fixed\"");
        let state = world.sandbox_dir().join("state");
        Self { world, state }
    }

    async fn remint(&self, args: &[&str]) -> Ended {
        let state = self.state.to_str().unwrap().to_owned();
        self.world.remint_with(args, &[("XDG_STATE_HOME".to_owned(), state)]).await
    }

    /// Runs `remint` on a terminal on which somebody answers, until the bake has failed.
    fn answering(&self, args: &[&str], answer: &str) -> String {
        let mut command = self.world.command(args).into_std();
        command.env("XDG_STATE_HOME", &self.state);
        let (bytes, code) = terminal::run_typing(command, Some(answer));
        let text = String::from_utf8_lossy(&bytes).into_owned();
        assert_eq!(code, Some(5), "{text}");
        text
    }

    fn keys(&self) -> Vec<PathBuf> {
        World::files(&self.state).into_iter().filter(|file| file.ends_with("key")).collect()
    }

    async fn droplets(&self) -> usize {
        self.world.standing().await.droplets.len()
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn a_builder_is_kept_looked_at_and_destroyed() {
    let failing = Failing::new().await;
    failing.remint(&["ssh", "--builder"]).await.code(1).says("no builder is kept").says("--on-error=keep");
    failing.remint(&["bake", "--on-error=ask"]).await.code(2).says("needs a terminal");
    let text = failing.answering(&["bake", "--on-error=ask"], "n\n");
    assert!(text.contains("failed: exit status 1") && text.contains("for 24h, to log in to it? [y/N]"), "{text}");
    assert_eq!(failing.droplets().await, 0);

    let bake = failing.remint(&["bake", "--on-error=keep", "--keep-for", "1h"]).await.code(5);
    let bake = bake.says("is kept until").says("remint ssh --builder").says("remint gc --kept");
    let standing = failing.world.standing().await;
    assert!(standing.droplets.len() == 1 && standing.keys.is_empty(), "{standing:?}\n{}", bake.text());
    let keys = failing.keys();
    assert_eq!((keys.len(), mode(&keys[0]), mode(keys[0].parent().unwrap())), (1, 0o600, 0o700), "{keys:?}");

    let looked = failing.remint(&["ssh", "--builder", "--", "cat /opt/trace; exit 3"]).await.code(3);
    assert_eq!(looked.stdout, "so far\n");
    failing.remint(&["ssh", "--builder", "other"]).await.code(1).says("no builder `other` is kept");
    // Another user, or another machine.
    failing.world.remint(&["ssh", "--builder"]).await.code(1).says("is not on this machine").says("gc --kept");

    // Nothing takes it away before its time, and nothing takes it for its own.
    failing.remint(&["gc"]).await.success().says("kept until").says("its bake failed");
    failing.world.edit("test -e /opt/fixed", "true");
    failing.remint(&["deploy"]).await.success();
    assert_eq!(failing.droplets().await, 2);
    failing.remint(&["gc", "--yes"]).await.success();
    assert_eq!((failing.droplets().await, failing.keys().len()), (2, 1));

    failing.remint(&["gc", "--kept", "--yes"]).await.success().says("deleted builder");
    assert_eq!((failing.droplets().await, failing.keys().len()), (1, 0));
    failing.remint(&["plan"]).await.success().says("nothing to do");
}

#[tokio::test]
async fn a_builder_whose_time_is_over_or_whose_environment_goes_is_destroyed() {
    let failing = Failing::new().await;
    failing.remint(&["bake", "--on-error=keep", "--keep-for", "1ms"]).await.code(5);
    failing.remint(&["gc", "--dry-run"]).await.success().says("left: builder").says("no bake uses it");
    failing.remint(&["gc", "--yes"]).await.success().says("deleted builder");
    assert_eq!((failing.droplets().await, failing.keys().len()), (0, 0));
    // A verify command that fails, and a deploy that bakes.
    failing.world.edit("test -e /opt/fixed", "true");
    failing.world.append("[[image.verify]]\ncommand = \"test -e /nothing\"\n");
    let text = failing.answering(&["deploy", "--on-error=ask"], "y\n");
    assert!(text.contains("is kept until"), "{text}");
    assert_eq!((failing.droplets().await, failing.keys().len()), (1, 1));
    failing.remint(&["destroy", "--yes"]).await.success();
    assert_eq!((failing.droplets().await, failing.keys().len()), (0, 0));
}

#[tokio::test]
async fn a_recipe_is_tried_and_nothing_is_left_of_that() {
    let world = World::with_service().await;
    let tried = world.remint(&["bake", "--no-capture"]).await.success();
    let tried = tried.says("the recipe works; nothing was captured");
    assert!(world.standing().await.is_empty(), "{}", tried.text());
    // Also where there is an image; and that stays what is deployed.
    let baked = world.json(&["bake"]).await;
    let again = world.json(&["bake", "--no-capture"]).await;
    assert_eq!((&again["image"], &again["fingerprint"]), (&serde_json::Value::Null, &baked["fingerprint"]));
    assert_eq!(world.json(&["bake"]).await["image"], baked["image"]);
    world.append("[[image.verify]]\ncommand = \"false\"\n");
    world.remint(&["bake", "--no-capture"]).await.code(5);
    let standing = world.standing().await;
    assert!(standing.droplets.is_empty() && standing.images.len() == 1, "{standing:?}");
}

#[tokio::test]
async fn a_step_is_given_a_secret_that_is_nowhere_afterwards() {
    let world = World::with_service().await;
    let secret = format!("hush'-\"{}", uuid::Uuid::new_v4().simple());
    let variables = [("HUSH".to_owned(), secret.clone())];
    world.append(
        "[secrets]\nhush = { env = \"HUSH\" }\n[[image.provision]]\ntype = \"shell\"\n\
         inline = [\"echo it is $TOKEN\", \"printf '%s' \\\"$TOKEN\\\" | wc -c > /opt/length\", \"echo a-mark-on-the-disk > /opt/mark\"]\n\
         [image.provision.secret_env]\nTOKEN = \"user:${secret.hush}\"\n",
    );
    // What is not there is reported before anything is created.
    world.refused(&["bake"], 5).await.says("the environment variable `HUSH` is not set");
    let baked = world.remint_with(&["bake"], &variables).await.success();
    let baked = baked.says("it is ***").says_not(&secret);
    world.remint_with(&["deploy"], &variables).await.success();
    // The captured disk is among the files that are searched: what the steps wrote is found there.
    let service = world.folder();
    let disks = World::files(world.sandbox_dir()).into_iter().filter(|file| !file.starts_with(&service));
    assert!(disks.filter(|file| contains(file, "a-mark-on-the-disk")).count() > 0, "{}", baked.text());
    let leaks: Vec<_> = World::files(world.sandbox_dir()).into_iter().filter(|file| contains(file, &secret)).collect();
    assert!(leaks.is_empty(), "{leaks:?}\n{}", baked.text());
    // Another value is the same recipe.
    let other = [("HUSH".to_owned(), "another secret".to_owned())];
    world.remint_with(&["bake"], &other).await.success().says("nothing was baked");

    world.edit("> /opt/length", "> /opt/length; echo token=$TOKEN > /etc/tool.conf");
    let images = world.standing().await.images;
    let failed = world.remint_with(&["bake"], &variables).await.code(5);
    failed.says("the image would hold secrets of `secret_env`, in /etc/tool.conf").says_not(&secret);
    assert_eq!(world.standing().await.images, images);
}

fn contains(file: &Path, wanted: &str) -> bool {
    fs::read(file).is_ok_and(|bytes| bytes.windows(wanted.len()).any(|window| window == wanted.as_bytes()))
}
