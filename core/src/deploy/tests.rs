use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use object_store::memory::InMemory;
use tokio::time::sleep;

use self::told::{Told, Way};
use super::{
    DeployOptions, DeployReport, EngineError, EngineErrorKind, Leftovers, Step, bake::one, destroy::destroy_with,
    engine::Engine, gc::leftovers_with, rollback::rollback_with, run::deploy_with, status::status_with,
    unfinished::unfinished,
};
use crate::{
    context::Context,
    events::Events,
    fake::{FakeCloud, KillStore, Pace},
    journal::{Holder, Journal, Phase},
    manifest::{LoadOptions, load},
    provider::{ErrorKind, ImageId, Instance, Labels, Provider, ReleaseId},
};

mod adopt;
mod fleets;
mod ownership;
mod records;
mod runs;
mod told;

const MANIFEST: &str = r#"
service = "app"
provider = "fake"

[providers.fake]
region = "here"
base = "debian"
size = "small"

[[image.provision]]
type = "shell"
inline = ["build RECIPE"]

[config]
path = "/etc/app.env"
env = { VERSION = "" }

[health.check.tcp]
port = 80

[dns]
zone = "example.org"
name = "www"

[deploy]
before_switch = "migrate"
"#;

/// A world for tests: a cloud, a journal, and machines that behave as told.
struct Stand {
    cloud: Arc<FakeCloud>,
    objects: Arc<InMemory>,
    told: Arc<Told>,
    manifest: String,
    folder: tempfile::TempDir,
}

impl Stand {
    /// Lets a command work until its release has entered a phase, and kills it there.
    async fn kill_at<T>(&self, phase: Phase, command: impl Future<Output = T>) {
        let reached = async {
            while self.journal().history().await.unwrap().last().unwrap().phase() != phase {
                sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::select! {
            _ = command => panic!("it was to be killed"),
            () = reached => {}
        }
    }

    fn new() -> Self {
        Self::with(MANIFEST)
    }

    fn with(manifest: &str) -> Self {
        let cloud = FakeCloud::new(Pace::default());
        let told = Arc::new(Told::new(&cloud));
        Self {
            cloud,
            objects: Arc::default(),
            told,
            manifest: manifest.to_owned(),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn context(&self) -> Context {
        self.context_of(None)
    }

    fn context_of(&self, environment: Option<&str>) -> Context {
        let recipe = format!("build {}", self.told.recipe.lock().unwrap());
        let config = format!("VERSION = \"{}\"", self.told.config.lock().unwrap());
        let manifest = self.manifest.replace("build RECIPE", &recipe).replace("VERSION = \"\"", &config);
        let path = self.folder.path().join("remint.toml");
        std::fs::write(&path, manifest).unwrap();
        let options = LoadOptions { env: environment.map(str::to_owned), ..LoadOptions::default() };
        let loaded = load(&path, &options).unwrap();
        let way = Arc::new(Way(Arc::clone(&self.told)));
        Context {
            machines: Arc::clone(&way) as _,
            services: way,
            ..Context::new(loaded, Arc::clone(&self.cloud) as Arc<dyn Provider>, Events::silent())
        }
    }

    fn journal(&self) -> Journal {
        let objects = KillStore::new(Arc::clone(&self.objects), Arc::clone(&self.cloud.kill));
        Journal::over(Arc::new(objects), "default")
    }

    /// An engine of a process that others can see is dead once it has stopped.
    fn engine<'a>(&self, ctx: &'a Context) -> Engine<'a> {
        let holder = Holder { started: Some(1), ..Holder::current(ctx.run, "deploy") };
        Engine::with(ctx, self.journal(), holder)
    }

    async fn deploy(&self) -> Result<DeployReport, EngineError> {
        self.deploy_image(None).await
    }

    async fn deploy_image(&self, image: Option<ImageId>) -> Result<DeployReport, EngineError> {
        let ctx = self.context();
        let options = DeployOptions { image, ..DeployOptions::default() };
        deploy_with(&self.engine(&ctx), options).await
    }

    async fn rollback(&self, to: Option<u64>) -> Result<DeployReport, EngineError> {
        let ctx = self.context();
        rollback_with(&self.engine(&ctx), to.map(ReleaseId)).await
    }

    /// Bakes what the manifest wants, as another environment might have.
    async fn bake(&self) {
        let ctx = self.context();
        let engine = self.engine(&ctx);
        let session = engine.begin("bake").await.unwrap();
        one(&engine, &session).await.unwrap();
        engine.give_back(session.lock).await;
    }

    /// How many images were captured.
    fn baked(&self) -> usize {
        self.cloud.log().iter().filter(|line| line.starts_with("capture ")).count()
    }

    fn recipe(&self, recipe: &str) {
        recipe.clone_into(&mut self.told.recipe.lock().unwrap());
    }

    fn serving(&self) -> Instance {
        let standing = self.cloud.standing();
        assert_eq!(standing.len(), 1, "{standing:?}");
        standing.into_iter().next().unwrap()
    }

    /// The address points at nothing that has not passed its gate, now and ever before.
    fn check_invariant(&self) {
        let gated = self.told.gated.lock().unwrap();
        for id in self.cloud.pointed_at() {
            assert!(gated.iter().any(|instance| instance.id == id), "the address pointed at {id}, which is not gated");
        }
    }

    /// One instance serves, and nothing else is there.
    async fn check_settled(&self, releases: usize) {
        self.check_invariant();
        let serving = self.serving();
        let ips = self.cloud.static_ip_list();
        assert_eq!(ips.len(), 1, "{ips:?}");
        assert_eq!(ips[0].assigned_to.as_ref(), Some(&serving.id));
        assert_eq!(self.cloud.record("www"), Some(vec![ips[0].address.ip.to_string()]));
        assert_eq!(self.cloud.key_names(), [""; 0]);
        let history = self.journal().history().await.unwrap();
        let done = history.iter().filter(|release| release.phase() == Phase::Done).count();
        assert!(history.iter().all(|release| release.phase().is_final()));
        assert_eq!(done, releases);
        let ctx = self.context();
        assert_eq!(leftovers_with(&self.engine(&ctx)).await.unwrap(), Leftovers::default());
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_deploy_makes_everything_and_the_second_nothing() {
    let stand = Stand::new();
    let report = stand.deploy().await.unwrap();
    assert!(report.baked);
    assert_eq!(report.release, Some(ReleaseId(1)));
    stand.check_settled(1).await;

    let (before, log) = (stand.cloud.total(), stand.cloud.log());
    let report = stand.deploy().await.unwrap();
    assert!(!report.plan.changes(), "{:?}", report.plan);
    assert_eq!(stand.cloud.log(), log);
    assert!(stand.cloud.total() - before <= 6);
}

#[tokio::test(start_paused = true)]
async fn a_new_version_replaces_the_old_one_within_thirty_calls_and_going_back_bakes_nothing() {
    let stand = Stand::new();
    stand.deploy().await.unwrap();
    let first = stand.serving();
    stand.recipe("two");
    stand.bake().await;
    let before = stand.cloud.total();
    stand.deploy().await.unwrap();
    let calls = stand.cloud.total() - before;
    assert!(calls <= 30, "{calls} calls");
    assert_ne!(stand.serving().id, first.id);
    stand.check_settled(2).await;

    stand.recipe("one");
    let report = stand.deploy().await.unwrap();
    assert!(!report.baked);
    stand.check_settled(3).await;
    let report = stand.rollback(None).await.unwrap();
    assert_eq!(report.release, Some(ReleaseId(4)));
    stand.check_settled(4).await;
    let history = stand.journal().history().await.unwrap();
    assert_eq!(history[3].record.rollback_of, Some(ReleaseId(2)));
    assert_eq!(stand.baked(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_given_image_is_deployed_without_a_bake_and_gone_back_to() {
    let stand = Stand::new();
    let given = stand.cloud.add_image(Labels::new()).id;
    let report = stand.deploy_image(Some(given.clone())).await.unwrap();
    assert!(!report.baked);
    stand.check_settled(1).await;
    let again = stand.deploy_image(Some(given.clone())).await.unwrap();
    assert_eq!(again.plan.steps, []);

    // The recipe is another image, and another given one is another image too.
    assert!(stand.deploy().await.unwrap().baked);
    stand.rollback(None).await.unwrap();
    stand.check_settled(3).await;
    let other = stand.cloud.add_image(Labels::new()).id;
    assert!(stand.deploy_image(Some(other.clone())).await.unwrap().plan.makes_release());
    let history = stand.journal().history().await.unwrap();
    let images: Vec<_> = history.iter().map(|release| release.record.image.clone()).collect();
    assert_eq!([&images[0], &images[2], &images[3]], [&given, &given, &other]);
    assert!(history[0].record.fingerprint.is_given() && !history[1].record.fingerprint.is_given());
    assert_eq!(stand.baked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_version_that_fails_its_gate_leaves_the_old_one_untouched() {
    let stand = Stand::new();
    stand.deploy().await.unwrap();
    let first = stand.serving();
    stand.recipe("two");
    stand.told.sick.store(true, Ordering::SeqCst);
    let error = stand.deploy().await.unwrap_err();
    assert_eq!(error.kind(), EngineErrorKind::Gate);
    assert!(error.detail_lines()[0].ends_with("it broke"));
    assert_eq!(stand.serving(), first);
    stand.check_settled(1).await;
    assert_eq!(stand.cloud.pointed_at().len(), 1, "the address never moved");
    let failed = stand.journal().release(ReleaseId(2)).await.unwrap();
    assert!(failed.failure().unwrap().ends_with("last answer: 503"), "{:?}", failed.failure());
}

#[tokio::test(start_paused = true)]
async fn a_version_that_fails_behind_the_address_gives_it_back() {
    let stand = Stand::new();
    stand.deploy().await.unwrap();
    let first = stand.serving();
    stand.recipe("two");
    stand.told.sick_outside.store(true, Ordering::SeqCst);
    stand.deploy().await.unwrap_err();
    assert_eq!(stand.serving(), first);
    stand.check_settled(1).await;
    assert_eq!(stand.cloud.pointed_at().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_first_deploy_that_fails_leaves_nothing_behind() {
    let stand = Stand::new();
    stand.told.sick_outside.store(true, Ordering::SeqCst);
    stand.deploy().await.unwrap_err();
    assert!(stand.cloud.standing().is_empty());
    assert!(stand.cloud.static_ip_list().is_empty());
    assert_eq!(stand.cloud.record("www"), None);
    assert!(stand.cloud.key_names().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_belongs_to_somebody_else_is_not_touched() {
    let stand = Stand::new();
    stand.cloud.add_record("www", "192.0.2.1");
    let error = stand.deploy().await.unwrap_err();
    assert_eq!(error.kind(), EngineErrorKind::Conflict);
    assert!(error.hints()[0].contains("adopt = true"));

    let foreign = stand.cloud.add_instance("mail", Labels::new());
    let ip = stand.cloud.add_static_ip(Some(foreign.id));
    let manifest =
        MANIFEST.replace("[dns]", "[address]\nstatic_ip = { existing = \"ADDRESS\" }\n\n[dns]\nadopt = true");
    let manifest = manifest.replace("ADDRESS", &ip.address.ip.to_string());
    let stand = Stand { manifest, ..stand };
    let error = stand.deploy().await.unwrap_err();
    assert!(error.to_string().contains("points at i-"), "{error}");
    assert_eq!(stand.cloud.log(), [""; 0], "nothing was changed");

    let manifest = MANIFEST.replace("example.org", "example.net");
    let error = Stand::with(&manifest).deploy().await.unwrap_err();
    assert_eq!(error.to_string(), "there is no zone example.net (dns.zone)");
}

#[tokio::test(start_paused = true)]
async fn an_interrupted_deploy_cleans_up() {
    // While it bakes, and in the gate.
    for baked in [false, true] {
        let stand = Stand::new();
        stand.deploy().await.unwrap();
        let first = stand.serving();
        stand.recipe("two");
        if baked {
            stand.bake().await;
        }
        let ctx = stand.context();
        let engine = stand.engine(&ctx);
        let run = deploy_with(&engine, DeployOptions::default());
        let stop = async {
            sleep(Duration::from_secs(40)).await;
            ctx.cancel.cancel();
        };
        let (ended, ()) = tokio::join!(run, stop);
        assert_eq!(ended.unwrap_err().kind(), EngineErrorKind::Interrupted);
        assert_eq!(stand.serving(), first);
        stand.check_settled(1).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_parked_release_comes_back_at_once() {
    let stand = Stand::with(&MANIFEST.replace("[deploy]", "[deploy]\nretire = \"park\""));
    stand.deploy().await.unwrap();
    let first = stand.serving();
    stand.recipe("two");
    stand.deploy().await.unwrap();
    assert_eq!(stand.cloud.standing().len(), 2);
    let launches = stand.cloud.count("launch");
    stand.rollback(None).await.unwrap();
    assert_eq!(stand.cloud.count("launch"), launches);
    assert_eq!(stand.cloud.static_ip_list()[0].assigned_to, Some(first.id));
    stand.check_invariant();
}

#[tokio::test(start_paused = true)]
async fn a_parked_release_that_came_back_keeps_its_configuration_and_the_next_deploy_sees_it() {
    let stand = Stand::with(&MANIFEST.replace("[deploy]", "[deploy]\nretire = \"park\""));
    stand.deploy().await.unwrap();
    *stand.told.config.lock().unwrap() = "another".to_owned();
    stand.deploy().await.unwrap();
    let launches = stand.cloud.count("launch");
    stand.rollback(None).await.unwrap();
    assert_eq!(stand.cloud.count("launch"), launches);
    let report = stand.deploy().await.unwrap();
    assert!(report.plan.makes_release(), "what serves was launched with the configuration of before");
    stand.check_invariant();
}

#[tokio::test(start_paused = true)]
async fn an_address_that_was_moved_by_hand_is_moved_back() {
    let stand = Stand::new();
    stand.deploy().await.unwrap();
    stand.cloud.by_hand("unassign", |state| state.ips.values_mut().for_each(|ip| ip.ip.assigned_to = None));
    let ctx = stand.context();
    let status = status_with(&stand.engine(&ctx)).await.unwrap();
    assert!(matches!(status.drift.steps[..], [Step::MoveAddress { from: None, .. }]), "{:?}", status.drift);
    let report = stand.deploy().await.unwrap();
    assert_eq!(report.release, Some(ReleaseId(1)), "no new release is needed for that");
    stand.check_settled(1).await;
}

#[tokio::test(start_paused = true)]
async fn destroy_leaves_nothing_and_a_deploy_after_it_starts_anew() {
    let stand = Stand::new();
    stand.deploy().await.unwrap();
    let ctx = stand.context();
    destroy_with(&stand.engine(&ctx), true).await.unwrap();
    assert!(stand.cloud.standing().is_empty() && stand.cloud.static_ip_list().is_empty());
    assert_eq!(stand.cloud.record("www"), None);
    stand.deploy().await.unwrap();
    assert_eq!(stand.baked(), 2);
    stand.check_settled(1).await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_credential_is_told_as_such() {
    let stand = Stand::new();
    stand.cloud.fail("list instances", Some(ErrorKind::Unauthenticated));
    assert_eq!(stand.deploy().await.unwrap_err().kind(), EngineErrorKind::Credentials);
}

/// Kills the process at its n-th step, for every n, and runs again.
async fn kill_everywhere(prepare: impl AsyncFn() -> Stand, again: impl AsyncFn(&Stand), check: impl AsyncFn(&Stand)) {
    for killed in 0.. {
        let stand = prepare().await;
        stand.cloud.kill.at(killed);
        let ended = stand.cloud.kill.run(stand.deploy()).await;
        stand.cloud.kill.never();
        stand.check_invariant();
        if let Some(ended) = ended {
            ended.unwrap();
            assert!(killed > 15, "killed only {killed} times");
            return;
        }
        again(&stand).await;
        check(&stand).await;
    }
}

async fn replacement() -> Stand {
    let stand = Stand::new();
    stand.deploy().await.unwrap();
    stand.recipe("two");
    stand
}

#[tokio::test(start_paused = true)]
async fn a_first_deploy_killed_anywhere_is_finished_by_the_next() {
    let again = async |stand: &Stand| drop(stand.deploy().await.unwrap());
    kill_everywhere(async || Stand::new(), again, async |stand| stand.check_settled(1).await).await;
}

#[tokio::test(start_paused = true)]
async fn a_replacement_killed_anywhere_is_finished_by_the_next_deploy() {
    let again = async |stand: &Stand| drop(stand.deploy().await.unwrap());
    kill_everywhere(replacement, again, async |stand| {
        stand.check_settled(2).await;
        assert!(*stand.told.migrations.lock().unwrap() <= 3, "one for each release, and one that was cut off");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_replacement_killed_anywhere_is_undone_by_abort() {
    let again = async |stand: &Stand| {
        let ctx = stand.context();
        unfinished(&stand.engine(&ctx), "abort", true).await.unwrap();
    };
    kill_everywhere(replacement, again, async |stand| {
        stand.check_invariant();
        stand.serving();
        assert!(stand.cloud.key_names().is_empty());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_first_deploy_killed_anywhere_is_undone_by_abort_without_a_trace() {
    abort_without_a_trace(async || Stand::new()).await;
}

#[tokio::test(start_paused = true)]
async fn an_address_that_points_nowhere_yet_is_given_back_by_abort() {
    let prepare = async || {
        let stand = Stand::new();
        stand.cloud.label_static_ips();
        stand
    };
    abort_without_a_trace(prepare).await;
}

async fn abort_without_a_trace(prepare: impl AsyncFn() -> Stand) {
    let again = async |stand: &Stand| {
        let ctx = stand.context();
        unfinished(&stand.engine(&ctx), "abort", true).await.unwrap();
    };
    kill_everywhere(prepare, again, async |stand| {
        let history = stand.journal().history().await.unwrap();
        if history.last().is_none_or(|last| last.phase() == Phase::Undone) {
            assert!(stand.cloud.standing().is_empty());
            assert!(stand.cloud.static_ip_list().is_empty(), "{:?}", stand.cloud.static_ip_list());
            assert_eq!(stand.cloud.record("www"), None);
            assert!(stand.cloud.key_names().is_empty());
        } else {
            stand.check_settled(1).await;
        }
    })
    .await;
}
