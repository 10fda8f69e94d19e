//! What is not proven ours is left alone, and what was ours is not forgotten.

use super::*;
use crate::{
    deploy::{gc::gc_with, images::prune_with, plan::plan_with, run::DeployOptions},
    journal::Entry,
    provider::{InstanceId, InstanceState, StaticIpId},
};

impl Stand {
    /// The same cloud, seen with another journal.
    pub(super) fn with_objects(&self, objects: Arc<InMemory>) -> Self {
        Self {
            cloud: Arc::clone(&self.cloud),
            objects,
            told: Arc::clone(&self.told),
            manifest: self.manifest.clone(),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub(super) async fn copy_of_journal(&self) -> Arc<InMemory> {
        use futures::TryStreamExt as _;
        use object_store::{ObjectStore as _, ObjectStoreExt as _};
        let copy = InMemory::new();
        let all: Vec<_> = self.objects.list(None).try_collect().await.unwrap();
        for meta in all {
            let bytes = self.objects.get(&meta.location).await.unwrap().bytes().await.unwrap();
            copy.put(&meta.location, bytes.into()).await.unwrap();
        }
        Arc::new(copy)
    }

    /// Every command that changes something.
    async fn all_refused(&self) {
        let ctx = self.context();
        let engine = self.engine(&ctx);
        let mut errors = vec![
            self.deploy().await.map(drop).unwrap_err(),
            self.rollback(None).await.map(drop).unwrap_err(),
            destroy_with(&engine, true).await.unwrap_err(),
            gc_with(&engine, None).await.map(drop).unwrap_err(),
            prune_with(&engine, false).await.map(drop).unwrap_err(),
        ];
        for (verb, undo) in [("abort", true), ("resume", false)] {
            errors.push(unfinished(&engine, verb, undo).await.map(drop).unwrap_err());
        }
        for error in errors {
            assert_eq!(error.kind(), EngineErrorKind::Foreign, "{}", error.chain());
            assert!(error.to_string().contains("deployed by another journal"), "{error}");
        }
        let plan = plan_with(&engine, &DeployOptions::default()).await.unwrap();
        assert!(plan.refused.unwrap().message.contains("deployed by another journal"));
        assert_eq!(status_with(&engine).await.unwrap().foreign.len(), 1);
        assert_eq!(leftovers_with(&engine).await.unwrap().foreign.len(), 1);
    }

    /// Instances that have passed their gate fall ill. Returns those that had passed it.
    fn fall_ill(&self, which: impl Fn(&Instance) -> bool) -> Vec<Instance> {
        let mut gated = self.told.gated.lock().unwrap();
        let before = gated.clone();
        gated.retain(|instance| !which(instance));
        self.told.sick.store(true, Ordering::SeqCst);
        before
    }

    fn address(&self) -> (StaticIpId, Option<InstanceId>) {
        let ips = self.cloud.static_ip_list();
        assert_eq!(ips.len(), 1, "{ips:?}");
        (ips[0].id.clone(), ips[0].assigned_to.clone())
    }
}

#[tokio::test(start_paused = true)]
async fn without_the_journal_nothing_is_changed_by_any_command() {
    let stand = Stand::new();
    stand.deploy().await.unwrap();
    let (log, standing) = (stand.cloud.log(), stand.cloud.standing());
    stand.with_objects(Arc::default()).all_refused().await;
    assert_eq!((stand.cloud.log(), stand.cloud.standing()), (log, standing));
    stand.check_settled(1).await;
}

#[tokio::test(start_paused = true)]
async fn with_an_older_copy_of_the_journal_nothing_is_changed_by_any_command() {
    for by_rollback in [false, true] {
        let park = MANIFEST.replace("[deploy]", "[deploy]\nretire = \"park\"");
        let stand = if by_rollback { Stand::with(&park) } else { Stand::new() };
        stand.deploy().await.unwrap();
        stand.recipe("two");
        stand.deploy().await.unwrap();
        let older = stand.copy_of_journal().await;
        if by_rollback {
            stand.rollback(None).await.unwrap();
        } else {
            stand.recipe("three");
            stand.deploy().await.unwrap();
        }
        let (log, standing) = (stand.cloud.log(), stand.cloud.standing());
        let copy = stand.with_objects(older);
        let error = copy.deploy().await.unwrap_err();
        assert_eq!(error.kind(), EngineErrorKind::Foreign, "{}", error.chain());
        assert!(error.hints()[0].contains("older copy"), "{:?}", error.hints());
        assert_eq!((stand.cloud.log(), stand.cloud.standing()), (log, standing));
    }
}

#[tokio::test(start_paused = true)]
async fn a_rollback_to_the_current_release_is_refused() {
    let stand = Stand::new();
    stand.deploy().await.unwrap();
    stand.recipe("two");
    stand.deploy().await.unwrap();
    let log = stand.cloud.log();
    let error = stand.rollback(Some(2)).await.unwrap_err();
    assert_eq!(error.to_string(), "r2 is the current release of default");
    assert_eq!(stand.cloud.log(), log);
}

#[tokio::test(start_paused = true)]
async fn a_parked_instance_is_parked_again_when_its_rollback_is_undone() {
    let stand = Stand::with(&MANIFEST.replace("[deploy]", "[deploy]\nretire = \"park\""));
    stand.deploy().await.unwrap();
    let first = stand.cloud.standing()[0].clone();
    stand.recipe("two");
    stand.deploy().await.unwrap();
    stand.told.sick_outside.store(true, Ordering::SeqCst);
    stand.rollback(None).await.unwrap_err();
    let standing = stand.cloud.standing();
    assert_eq!(standing.len(), 2, "{standing:?}");
    let parked = standing.iter().find(|instance| instance.id == first.id).unwrap();
    assert_eq!(parked.labels, first.labels, "it belongs to r1 again");
    assert_ne!(stand.address().1, Some(first.id));
    // And its image may be gone by then.
    stand.told.sick_outside.store(false, Ordering::SeqCst);
    stand.cloud.by_hand("delete images", |state| state.images.clear());
    stand.rollback(None).await.unwrap();
    assert_eq!(stand.address().1, Some(parked.id.clone()));
}

#[tokio::test(start_paused = true)]
async fn an_address_that_was_moved_back_while_it_was_watched_is_moved_again_before_anything_is_destroyed() {
    let stand = replacement().await;
    let old = stand.serving().id;
    let ctx = stand.context();
    let engine = stand.engine(&ctx);
    let moved = async {
        while stand.address().1.as_ref() == Some(&old) {
            sleep(Duration::from_secs(1)).await;
        }
        let back = old.clone();
        stand
            .cloud
            .by_hand("move back", |state| state.ips.values_mut().for_each(|ip| ip.ip.assigned_to = Some(back.clone())));
    };
    let run = deploy_with(&engine, DeployOptions::default());
    let (ended, ()) = tokio::join!(run, moved);
    ended.unwrap();
    assert_ne!(stand.serving().id, old);
    stand.check_settled(2).await;
}

#[tokio::test(start_paused = true)]
async fn an_undo_keeps_the_last_healthy_instance() {
    let stand = replacement().await;
    let old = stand.serving().id;
    let ctx = stand.context();
    let engine = stand.engine(&ctx);
    let stop = async {
        while stand.address().1.as_ref() == Some(&old) {
            sleep(Duration::from_secs(1)).await;
        }
        stand.cloud.by_hand("delete the old instance", |state| state.machines.retain(|id, _| *id != old));
        ctx.cancel.cancel();
    };
    let run = deploy_with(&engine, DeployOptions::default());
    let (ended, ()) = tokio::join!(run, stop);
    let error = ended.unwrap_err();
    assert_eq!(error.kind(), EngineErrorKind::Interrupted);
    assert!(error.hints().iter().any(|hint| hint.contains("r2 stays and serves")), "{:?}", error.hints());
    stand.check_settled(2).await;
}

#[tokio::test(start_paused = true)]
async fn a_release_that_stays_for_want_of_a_better_one_can_be_replaced_although_it_is_sick() {
    let stand = replacement().await;
    let old = stand.serving().id;
    let ctx = stand.context();
    let engine = stand.engine(&ctx);
    stand.kill_at(Phase::Verifying, deploy_with(&engine, DeployOptions::default())).await;
    stand.cloud.by_hand("delete the old instance", |state| state.machines.retain(|id, _| *id != old));
    stand.told.sick_outside.store(true, Ordering::SeqCst);
    let error = stand.deploy().await.unwrap_err();
    assert_eq!(error.kind(), EngineErrorKind::Gate, "{}", error.chain());
    let kept = stand.serving().id;
    assert_ne!(kept, old);
    stand.told.sick_outside.store(false, Ordering::SeqCst);
    stand.recipe("three");
    stand.deploy().await.unwrap();
    assert_ne!(stand.serving().id, kept);
    stand.check_settled(3).await;
}

#[tokio::test(start_paused = true)]
async fn a_release_whose_instance_is_deleted_while_it_retires_the_former_one_is_replaced() {
    let stand = replacement().await;
    let old = stand.serving().id;
    let ctx = stand.context();
    let engine = stand.engine(&ctx);
    let stop = async {
        while stand.journal().history().await.unwrap().last().unwrap().phase() != Phase::Retiring {
            sleep(Duration::from_millis(100)).await;
        }
        stand.cloud.by_hand("delete the new instance", |state| {
            state.machines.retain(|id, _| *id == old);
            state.ips.values_mut().for_each(|ip| ip.ip.assigned_to = None);
        });
    };
    let run = deploy_with(&engine, DeployOptions::default());
    let (ended, ()) = tokio::join!(run, stop);
    let error = ended.unwrap_err();
    assert_eq!(error.kind(), EngineErrorKind::Gate, "{}", error.chain());
    assert_eq!(stand.serving().id, old, "it is all that is left");
    stand.deploy().await.unwrap();
    stand.check_settled(3).await;
}

/// What is being replaced may be all that is healthy.
#[tokio::test(start_paused = true)]
async fn a_release_that_fell_ill_while_nobody_retired_the_former_one_does_not_take_it_away() {
    let stand = replacement().await;
    let old = stand.serving().id;
    let ctx = stand.context();
    let engine = stand.engine(&ctx);
    stand.kill_at(Phase::Retiring, deploy_with(&engine, DeployOptions::default())).await;
    sleep(Duration::from_secs(3600)).await;
    let gated = stand.fall_ill(|instance| instance.id != old);
    let ctx = stand.context();
    let error = unfinished(&stand.engine(&ctx), "resume", false).await.unwrap_err();
    assert_eq!(error.kind(), EngineErrorKind::Gate, "{}", error.chain());
    assert!(stand.cloud.standing().iter().any(|instance| instance.id == old), "it is destroyed");
    stand.told.sick.store(false, Ordering::SeqCst);
    *stand.told.gated.lock().unwrap() = gated;
    stand.recipe("three");
    stand.deploy().await.unwrap();
    stand.check_settled(3).await;
}

#[tokio::test(start_paused = true)]
async fn an_address_that_pointed_nowhere_points_nowhere_again_before_an_undo_destroys() {
    let stand = replacement().await;
    stand.cloud.by_hand("the instance dies, and the address is taken away", |state| {
        state.machines.clear();
        state.ips.values_mut().for_each(|ip| ip.ip.assigned_to = None);
    });
    stand.told.sick_outside.store(true, Ordering::SeqCst);
    let falls_ill = async {
        while stand.address().1.is_none() {
            sleep(Duration::from_millis(100)).await;
        }
        stand.fall_ill(|_| true);
    };
    let (deployed, ()) = tokio::join!(stand.deploy(), falls_ill);
    let error = deployed.unwrap_err();
    assert_eq!(error.kind(), EngineErrorKind::Gate, "{}", error.chain());
    assert_eq!((stand.cloud.standing(), stand.address().1), (vec![], None));
    let log = stand.cloud.log();
    let last = |what: &str| log.iter().rposition(|line| line.starts_with(what)).unwrap_or_else(|| panic!("{log:?}"));
    assert!(last("unassign") < last("destroy app-default-r2"), "{log:?}");
}

#[tokio::test(start_paused = true)]
async fn a_static_ip_that_somebody_else_uses_is_not_released() {
    let stand = Stand::new();
    stand.deploy().await.unwrap();
    let foreign = stand.cloud.add_instance("mail", Labels::new());
    let to = foreign.id.clone();
    stand
        .cloud
        .by_hand("give away", |state| state.ips.values_mut().for_each(|ip| ip.ip.assigned_to = Some(to.clone())));
    let (log, standing) = (stand.cloud.log(), stand.cloud.standing());
    let ctx = stand.context();
    let error = destroy_with(&stand.engine(&ctx), true).await.unwrap_err();
    assert_eq!(error.kind(), EngineErrorKind::Conflict);
    assert!(error.to_string().contains(foreign.id.as_str()), "{error}");
    assert_eq!((stand.cloud.log(), stand.cloud.standing()), (log, standing), "nothing was destroyed");
}

#[tokio::test(start_paused = true)]
async fn another_address_is_served_under_before_the_former_one_goes() {
    for labelled in [false, true] {
        let stand = Stand::new();
        if labelled {
            stand.cloud.label_static_ips();
        }
        stand.deploy().await.unwrap();
        let own = stand.address().0;
        let given = stand.cloud.add_static_ip(None);
        let choice = format!("[address]\nstatic_ip = {{ existing = \"{}\" }}\n\n[dns]", given.address.ip);
        let stand = Stand { manifest: MANIFEST.replace("[dns]", &choice), ..stand };
        let report = stand.deploy().await.unwrap();
        assert_eq!(report.release, Some(ReleaseId(2)), "a new instance serves under it first");
        let (id, to) = stand.address();
        assert_eq!((id, to), (given.id.clone(), Some(stand.serving().id)));
        let log = stand.cloud.log();
        let position = |what: &str| {
            log.iter().position(|line| line.starts_with(what)).unwrap_or_else(|| panic!("{what}: {log:?}"))
        };
        let released = position(&format!("release {own}"));
        let serves = position(&format!("upsert www.example.org {}", given.address.ip));
        assert!(serves < released && released < position("destroy app-default-r1"), "{log:?}");
        assert!(!stand.deploy().await.unwrap().plan.changes());
        // And back, after which the user's own stays.
        let stand = Stand { manifest: MANIFEST.to_owned(), ..stand };
        stand.deploy().await.unwrap();
        let ips = stand.cloud.static_ip_list();
        assert_eq!(ips.len(), 2, "{ips:?}");
        assert!(!stand.deploy().await.unwrap().plan.changes());
        let ctx = stand.context();
        destroy_with(&stand.engine(&ctx), false).await.unwrap();
        assert_eq!(stand.address().0, given.id);
    }
}

#[tokio::test(start_paused = true)]
async fn another_address_that_does_not_work_out_is_undone() {
    let stand = Stand::new();
    stand.deploy().await.unwrap();
    let before = (stand.address(), stand.serving());
    stand.told.sick_outside.store(true, Ordering::SeqCst);
    let given = stand.cloud.add_static_ip(None);
    let choice = format!("[address]\nstatic_ip = {{ existing = \"{}\" }}\n\n[dns]", given.address.ip);
    let stand = Stand { manifest: MANIFEST.replace("[dns]", &choice), ..stand };
    stand.deploy().await.unwrap_err();
    let stand = Stand { manifest: MANIFEST.to_owned(), ..stand };
    stand.cloud.by_hand("take the other address away", |state| drop(state.ips.remove(&given.id)));
    assert_eq!((stand.address(), stand.serving()), before);
    stand.check_settled(1).await;
}

#[tokio::test(start_paused = true)]
async fn a_static_ip_that_was_made_for_the_first_time_is_undone() {
    let without = MANIFEST.replace("[dns]", "[address]\nstatic_ip = \"none\"\n\n[dns]");
    let stand = Stand::with(&without);
    stand.deploy().await.unwrap();
    let (serving, record) = (stand.serving(), stand.cloud.record("www"));
    stand.told.sick_outside.store(true, Ordering::SeqCst);
    let stand = Stand { manifest: MANIFEST.to_owned(), ..stand };
    stand.deploy().await.unwrap_err();
    assert_eq!(
        (stand.serving(), stand.cloud.record("www")),
        (serving, record),
        "it serves under its own address again"
    );
    assert_eq!(stand.cloud.static_ip_list(), []);
    let stand = Stand { manifest: without, ..stand };
    assert!(!stand.deploy().await.unwrap().plan.changes());
}

#[tokio::test(start_paused = true)]
async fn an_address_that_a_release_under_way_does_without_is_no_leftover() {
    let without =
        MANIFEST.replace("[dns]\nzone = \"example.org\"\nname = \"www\"\n", "[address]\nstatic_ip = \"none\"\n");
    let stand = Stand::with(&without.replace("\"none\"", "\"managed\""));
    stand.deploy().await.unwrap();
    let address = stand.address();
    let stand = Stand { manifest: without, ..stand };
    let ctx = stand.context();
    let engine = stand.engine(&ctx);
    // Killed while the new release is verified.
    let superseded = async {
        while stand.journal().resources().await.unwrap().superseded().next().is_none() {
            sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::select! {
        _ = deploy_with(&engine, DeployOptions::default()) => panic!("it was to be killed"),
        () = superseded => {}
    }
    let ctx = stand.context();
    gc_with(&stand.engine(&ctx), None).await.unwrap();
    assert_eq!(stand.address(), address, "r1 serves under it until r2 does");
    unfinished(&stand.engine(&ctx), "abort", true).await.unwrap();
    assert_eq!(stand.address(), address);
}

#[tokio::test(start_paused = true)]
async fn an_address_of_before_that_somebody_else_uses_is_not_taken_again() {
    let stand = Stand::new();
    stand.cloud.label_static_ips();
    stand.deploy().await.unwrap();
    let foreign = stand.cloud.add_instance("mail", Labels::new()).id;
    let to = foreign.clone();
    stand
        .cloud
        .by_hand("give away", |state| state.ips.values_mut().for_each(|ip| ip.ip.assigned_to = Some(to.clone())));
    let without = MANIFEST.replace("[dns]", "[address]\nstatic_ip = \"none\"\n\n[dns]");
    let stand = Stand { manifest: without, ..stand };
    stand.deploy().await.unwrap();
    let stand = Stand { manifest: MANIFEST.to_owned(), ..stand };
    let error = stand.deploy().await.unwrap_err();
    assert_eq!(error.kind(), EngineErrorKind::Conflict, "{}", error.chain());
    assert!(error.to_string().contains(foreign.as_str()), "{error}");
    assert_eq!(stand.address().1, Some(foreign));
}

#[tokio::test(start_paused = true)]
async fn a_first_deploy_killed_anywhere_is_destroyed_without_a_trace() {
    for labelled in [false, true] {
        let prepare = async || {
            let stand = Stand::new();
            if labelled {
                stand.cloud.label_static_ips();
            }
            stand
        };
        let destroy = async |stand: &Stand| {
            let ctx = stand.context();
            destroy_with(&stand.engine(&ctx), true).await.unwrap();
        };
        kill_everywhere(prepare, destroy, async |stand| {
            assert_eq!(stand.cloud.standing(), []);
            assert_eq!(stand.cloud.static_ip_list(), []);
            assert_eq!(stand.cloud.record("www"), None);
            assert_eq!(stand.cloud.key_names(), [""; 0]);
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_counts_on_what_a_destroy_that_died_has_left() {
    let stand = Stand::new();
    stand.deploy().await.unwrap();
    let first = stand.serving().id;
    let ctx = stand.context();
    let engine = stand.engine(&ctx);
    stand.cloud.fail("destroy", Some(ErrorKind::Forbidden));
    destroy_with(&engine, false).await.unwrap_err();
    stand.cloud.fail("destroy", None);
    assert_eq!(stand.serving().id, first);
    let report = stand.deploy().await.unwrap();
    assert_eq!(report.release, Some(ReleaseId(2)), "{:?}", report.plan);
    assert_ne!(stand.serving().id, first);
    stand.check_settled(1).await;
}

#[tokio::test(start_paused = true)]
async fn an_instance_of_a_launch_whose_sender_died_is_a_leftover() {
    let stand = Stand::new();
    stand.deploy().await.unwrap();
    let serving = stand.serving();
    // It came after its run was thought to be over: the journal has its name, and no more.
    let history = stand.journal().history().await.unwrap();
    let names: Vec<String> = history[0].names().into_iter().map(str::to_owned).collect();
    let late = stand.cloud.add_instance(&names[0], serving.labels.clone());
    let ctx = stand.context();
    let found = leftovers_with(&stand.engine(&ctx)).await.unwrap().found;
    let listed: Vec<_> = found.iter().map(|left| (left.kind.as_str(), left.id.as_str(), left.ours)).collect();
    assert_eq!(listed, [("instance", late.id.as_str(), true)]);
    assert!(found[0].why.contains("never passed the gate of r1"), "{}", found[0].why);
    gc_with(&stand.engine(&ctx), None).await.unwrap();
    assert_eq!(stand.serving(), serving);
}

#[tokio::test(start_paused = true)]
async fn another_place_is_refused_before_anything_is_created() {
    let stand = Stand::new();
    stand.deploy().await.unwrap();
    let log = stand.cloud.log();
    let moved = Stand { manifest: MANIFEST.replace("region = \"here\"", "region = \"there\""), ..stand };
    let error = moved.deploy().await.unwrap_err();
    assert_eq!(error.kind(), EngineErrorKind::Manifest);
    assert!(error.to_string().contains("runs in fake here (r1), and the manifest asks for fake there"), "{error}");
    assert_eq!(moved.cloud.log(), log);
}

#[tokio::test(start_paused = true)]
async fn a_renamed_service_is_refused() {
    let stand = Stand::new();
    stand.deploy().await.unwrap();
    let log = stand.cloud.log();
    let renamed = Stand { manifest: MANIFEST.replace("service = \"app\"", "service = \"shop\""), ..stand };
    let ctx = renamed.context();
    let engine = renamed.engine(&ctx);
    for error in [renamed.deploy().await.map(drop).unwrap_err(), destroy_with(&engine, true).await.unwrap_err()] {
        assert!(error.chain().contains("the journal is of service app"), "{}", error.chain());
    }
    assert_eq!(renamed.cloud.log(), log);
}

#[tokio::test(start_paused = true)]
async fn a_resumed_release_is_asked_for_its_health_before_it_serves() {
    let stand = replacement().await;
    let old = stand.serving().id;
    let ctx = stand.context();
    let engine = stand.engine(&ctx);
    // Killed between gate and switch.
    let passed = async {
        loop {
            let last = stand.journal().history().await.unwrap().pop().unwrap();
            if last.id() == ReleaseId(2)
                && last.entries.iter().any(|record| matches!(record.entry, Entry::GatePassed { .. }))
            {
                break;
            }
            sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::select! {
        _ = deploy_with(&engine, DeployOptions::default()) => panic!("it was to be killed"),
        () = passed => {}
    }
    assert_eq!(stand.address().1, Some(old.clone()));
    stand.told.sick_outside.store(true, Ordering::SeqCst);
    let ctx = stand.context();
    unfinished(&stand.engine(&ctx), "resume", false).await.unwrap_err();
    assert_eq!((stand.address().1, stand.serving().state), (Some(old), InstanceState::Running));
    stand.check_settled(1).await;
}

#[tokio::test(start_paused = true)]
async fn images_that_another_environment_needs_are_kept() {
    let manifest = MANIFEST.replace("[deploy]", "[deploy]\nkeep_images = 1")
        + "\n[environments.staging]\ndns = { zone = \"example.org\", name = \"staging\" }\n[environments.production]\n";
    let stand = Stand::with(&manifest);
    let staging = async |recipe: &str| {
        stand.recipe(recipe);
        let (ctx, journal) = stand.of("staging");
        let holder = Holder { started: Some(1), ..Holder::current(ctx.run, "deploy") };
        let engine = Engine::with(&ctx, journal, holder);
        deploy_with(&engine, DeployOptions::default()).await.unwrap();
        prune_with(&engine, false).await.unwrap()
    };
    staging("one").await;
    stand.recipe("one");
    let (ctx, journal) = stand.of("production");
    let holder = Holder { started: Some(1), ..Holder::current(ctx.run, "deploy") };
    let engine = Engine::with(&ctx, journal, holder);
    deploy_with(&engine, DeployOptions::default()).await.unwrap();
    assert!(staging("two").await.is_empty(), "it may be parked");
    assert!(staging("three").await.is_empty(), "production runs from the first");
    destroy_with(&engine, false).await.unwrap();
    assert_eq!(staging("three").await.len(), 1, "and now nobody needs it");
}

/// One environment asks for a boot check; another one has deployed the image without.
#[tokio::test(start_paused = true)]
async fn an_image_that_fails_a_boot_check_stays_where_another_environment_runs_from_it() {
    let manifest =
        MANIFEST.to_owned() + "\n[environments.staging]\ndns = { zone = \"example.org\", name = \"staging\" }\n";
    let stand = Stand::with(&manifest);
    stand.deploy().await.unwrap();
    let image = stand.serving().image.unwrap();
    let stand = Stand { manifest: manifest.replacen("[[image", "[image]\nboot_check = true\n[[image", 1), ..stand };
    stand.told.sick.store(true, Ordering::SeqCst);
    let (ctx, journal) = stand.of("staging");
    let holder = Holder { started: Some(1), ..Holder::current(ctx.run, "deploy") };
    let engine = Engine::with(&ctx, journal, holder);
    deploy_with(&engine, DeployOptions::default()).await.unwrap_err();
    let images = || stand.cloud.world().state().images.keys().cloned().collect::<Vec<_>>();
    assert_eq!(images(), [image]);
    // With nothing that runs from it, it goes.
    let ctx = stand.context_of(None);
    destroy_with(&stand.engine(&ctx), false).await.unwrap();
    deploy_with(&engine, DeployOptions::default()).await.unwrap_err();
    assert_eq!(images(), []);
}

impl Stand {
    fn of(&self, environment: &str) -> (Context, Journal) {
        let ctx = self.context_of(Some(environment));
        let objects = KillStore::new(Arc::clone(&self.objects), Arc::clone(&self.cloud.kill));
        (ctx, Journal::over(Arc::new(objects), environment))
    }
}
