//! A service that another journal deployed: whatever is run from here changes nothing, on all three APIs, and says so.
#![expect(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

#[expect(dead_code, reason = "other test files use the rest")]
mod common;

use common::World;

/// The exit code of a command that finds what another journal deployed.
const FOREIGN: i32 = 13;

const CLOUDS: [&str; 3] = ["digitalocean", "aws", "gcp"];

/// Every command that could change something.
const CHANGING: [&[&str]; 12] = [
    &["deploy"],
    &["deploy", "--force"],
    &["deploy", "--var", "version=v3"],
    &["rollback"],
    &["rollback", "r1"],
    &["resume"],
    &["abort"],
    &["bake", "--var", "version=v3"],
    &["images", "prune", "--yes"],
    &["gc", "--yes"],
    &["destroy", "--yes"],
    &["destroy", "--images", "--yes"],
];

/// Every command that only looks at the cloud.
const READING: [&[&str]; 4] = [&["plan"], &["status"], &["gc", "--dry-run"], &["images"]];

/// What is to be said of a journal that does not know what runs.
const OTHER_JOURNAL: &str = "deployed by another journal";

/// A deployed service on one cloud.
struct Deployed {
    world: World,
    provider: &'static str,
    ip: String,
}

impl Deployed {
    async fn new(world: World, provider: &'static str) -> Self {
        world.remint(&["--provider", provider, "deploy"]).await.success();
        let ips = world.account(provider).static_ips();
        assert_eq!(ips.len(), 1, "{provider}: {ips:?}");
        Self { world, provider, ip: ips.into_keys().next().unwrap() }
    }

    /// Runs everything in a checkout whose journal is not the one that deployed.
    async fn is_left_alone_by(&self, checkout: &str) {
        let (world, provider) = (&self.world, self.provider);
        let before = ["-C", checkout, "--provider", provider];
        let page = world.page(&self.ip).await;
        for args in CHANGING {
            world.refused(&[&before, args].concat(), FOREIGN).await.says(OTHER_JOURNAL);
            assert_eq!(world.page(&self.ip).await, page, "{provider}: {args:?}");
        }
        for args in READING {
            world.refused(&[&before, args].concat(), 0).await.says(OTHER_JOURNAL);
        }
    }

    /// The checkout that deployed goes on as if nothing had been.
    async fn is_still_ours(&self) {
        let (world, provider) = (&self.world, self.provider);
        world.remint(&["--provider", provider, "deploy", "--var", "version=v4"]).await.success();
        assert_eq!(world.page(&self.ip).await.1, "version v4", "{provider}");
        world.remint(&["--provider", provider, "destroy", "--images", "--yes"]).await.success();
        let account = world.account(provider);
        assert!(account.instances().is_empty() && account.static_ips().is_empty(), "{:#?}", world.books());
    }
}

#[tokio::test]
async fn a_lost_journal_changes_nothing_on_any_cloud() {
    for provider in CLOUDS {
        let deployed = Deployed::new(World::on_every_cloud().await, provider).await;
        deployed.world.lose_journal();
        deployed.is_left_alone_by(".").await;
    }
}

#[tokio::test]
async fn a_second_checkout_with_a_journal_of_its_own_changes_nothing_on_any_cloud() {
    for provider in CLOUDS {
        let world = World::on_every_cloud().await;
        let second = world.checkout("second");
        // Its journal begins before there is anything to find.
        world.remint(&["-C", &second, "--provider", provider, "bake", "--var", "version=v2"]).await.success();
        let deployed = Deployed::new(world, provider).await;
        deployed.is_left_alone_by(&second).await;
        deployed.is_still_ours().await;
    }
}

#[tokio::test]
async fn an_older_copy_of_the_journal_changes_nothing_on_any_cloud() {
    for provider in CLOUDS {
        let deployed = Deployed::new(World::on_every_cloud().await, provider).await;
        let world = &deployed.world;
        let second = world.checkout("second");
        world.copy(&world.journal(), "second/.remint");
        world.remint(&["--provider", provider, "deploy", "--var", "version=v2"]).await.success();
        deployed.is_left_alone_by(&second).await;
        deployed.is_still_ours().await;
    }
}

#[tokio::test]
async fn the_journal_of_another_service_changes_nothing_on_any_cloud() {
    for provider in CLOUDS {
        let deployed = Deployed::new(World::on_every_cloud().await, provider).await;
        let world = &deployed.world;
        let second = world.checkout("second");
        world.edit_file("../second/remint.toml", "service = \"hello\"", "service = \"other\"");
        let before = ["-C", &second, "--provider", provider];
        world.remint(&[&before[..], &["deploy"]].concat()).await.success();
        world.edit_file("../second/remint.toml", "service = \"other\"", "service = \"hello\"");
        for args in CHANGING {
            world.refused(&[&before, args].concat(), FOREIGN).await.says("the journal is of service").says("other");
        }
        for args in READING {
            world.untouched(&[&before, args].concat()).await.says("the journal is of service");
        }
        world.edit_file("../second/remint.toml", "service = \"hello\"", "service = \"other\"");
        world.remint(&[&before[..], &["destroy", "--images", "--yes"]].concat()).await.success();
        deployed.is_still_ours().await;
    }
}
