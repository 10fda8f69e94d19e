//! What a run left in the middle: another one finishes it or takes it back, if its journal knows of it.

use super::*;
use crate::{
    deploy::gc::gc_with,
    fake::{Dice, Fault, Faults, Rates},
    journal::Entry,
    provider::{InstanceId, label},
};

/// A manifest that chooses how the service is reached.
fn manifest_with(static_ip: &str) -> String {
    format!("{MANIFEST}\n[address]\nstatic_ip = \"{static_ip}\"\n")
}

impl Stand {
    /// A bake whose builder could not be removed.
    async fn leave_builder(&self, recipe: &str) {
        let before = self.told.recipe.lock().unwrap().clone();
        self.recipe(recipe);
        let ctx = self.context();
        let engine = self.engine(&ctx);
        let session = engine.begin("bake").await.unwrap();
        self.cloud.fail("destroy", Some(ErrorKind::Forbidden));
        one(&engine, &session).await.unwrap();
        engine.give_back(session.lock).await;
        self.cloud.fail("destroy", None);
        self.recipe(&before);
    }

    /// Marks the builders that are there as kept.
    fn keep_builders(&self, keep_for: Duration) {
        let until = crate::clock::wall().checked_add(keep_for).unwrap().to_string();
        self.cloud.by_hand("the label of what is kept", |state| {
            for Instance { labels, .. } in state.machines.values_mut().map(|machine| &mut machine.instance) {
                if labels.get(label::ROLE) == Some("builder") {
                    labels.0.insert(label::KEPT_UNTIL.to_owned(), until.clone());
                }
            }
        });
    }
}

#[tokio::test(start_paused = true)]
async fn a_builder_that_could_not_be_removed_goes_with_the_next_command() {
    let stand = Stand::new();
    stand.leave_builder("two").await;
    assert_eq!(stand.cloud.standing().len(), 1, "the builder is still there");
    stand.deploy().await.unwrap();
    stand.check_settled(1).await;
}

#[tokio::test(start_paused = true)]
async fn a_builder_that_is_kept_stays_until_its_time_is_over_or_its_environment_goes() {
    let stand = Stand::new();
    stand.leave_builder("two").await;
    stand.keep_builders(Duration::from_secs(24 * 3600));
    // The next command would destroy what the one before could not remove.
    stand.deploy().await.unwrap();
    let ctx = stand.context();
    let engine = stand.engine(&ctx);
    assert_eq!(gc_with(&engine, None).await.unwrap(), []);
    let listed = leftovers_with(&engine).await.unwrap();
    assert_eq!((listed.found.len(), listed.kept.len()), (0, 1), "{listed:?}");
    // It goes before its time only where that was approved.
    assert_eq!(gc_with(&engine, Some(&listed)).await.unwrap(), []);
    assert_eq!(stand.cloud.standing().len(), 2);

    sleep(Duration::from_secs(25 * 3600)).await;
    let listed = leftovers_with(&engine).await.unwrap();
    assert_eq!((listed.found.len(), listed.kept.len()), (1, 0), "{listed:?}");
    assert_eq!(gc_with(&engine, Some(&listed)).await.unwrap().len(), 1);
    assert_eq!(stand.cloud.standing().len(), 1);

    for approved in [true, false] {
        stand.leave_builder(if approved { "three" } else { "four" }).await;
        stand.keep_builders(Duration::from_secs(24 * 3600));
        if approved {
            let listed = leftovers_with(&engine).await.unwrap().with_kept();
            assert_eq!(gc_with(&engine, Some(&listed)).await.unwrap().len(), 1);
        } else {
            destroy_with(&engine, false).await.unwrap();
        }
        assert_eq!(stand.cloud.standing().len(), usize::from(approved));
    }
}

#[tokio::test(start_paused = true)]
async fn an_older_copy_of_the_journal_leaves_the_builder_of_a_run_that_it_does_not_know() {
    let stand = Stand::new();
    stand.deploy().await.unwrap();
    stand.leave_builder("two").await;
    let copy = stand.with_objects(stand.copy_of_journal().await);
    stand.leave_builder("three").await;
    let standing = stand.cloud.standing();
    assert_eq!(standing.len(), 2, "{standing:?}");
    // It knows only of the first builder, and looks for it.
    copy.deploy().await.unwrap();
    let ctx = copy.context();
    let engine = copy.engine(&ctx);
    assert!(gc_with(&engine, None).await.unwrap().iter().all(|removed| removed.kind != "builder"));
    let found = leftovers_with(&engine).await.unwrap().found;
    assert!(found.iter().any(|left| left.kind == "builder" && !left.ours), "{found:?}");
    assert_eq!(stand.cloud.standing(), standing);
    // The journal that knows of it removes it.
    let ctx = stand.context();
    gc_with(&stand.engine(&ctx), None).await.unwrap();
    assert_eq!(stand.cloud.standing().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_older_copy_of_the_journal_does_not_take_what_serves_for_a_launch_that_died() {
    for static_ip in ["managed", "none"] {
        let stand = Stand::with(&manifest_with(static_ip));
        stand.bake().await;
        let copied = async {
            while stand.cloud.standing().is_empty() {
                sleep(Duration::from_millis(100)).await;
            }
            sleep(Duration::from_secs(1)).await;
            stand.copy_of_journal().await
        };
        let (deployed, older) = tokio::join!(stand.deploy(), copied);
        deployed.unwrap();
        let (log, standing) = (stand.cloud.log(), stand.cloud.standing());
        let copy = stand.with_objects(older);
        let last = copy.journal().history().await.unwrap().pop().unwrap();
        assert!(!last.phase().is_final(), "{:?}", last.phase());
        for command in ["deploy", "resume", "abort"] {
            // The run of which the copy tells is over, as its lock is.
            sleep(Duration::from_secs(3600)).await;
            let ctx = copy.context();
            let ended = match command {
                "deploy" => copy.deploy().await.map(drop),
                verb => unfinished(&copy.engine(&ctx), verb, verb == "abort").await.map(drop),
            };
            let error = ended.unwrap_err();
            assert_eq!(error.kind(), EngineErrorKind::Foreign, "{static_ip}, {command}: {}", error.chain());
            assert_eq!(stand.cloud.log(), log, "{static_ip}, {command}");
        }
        assert_eq!(stand.cloud.standing(), standing);
    }
}

#[tokio::test(start_paused = true)]
async fn a_release_ends_at_the_address_at_which_it_began_to_switch() {
    let stand = Stand::with(&manifest_with("managed"));
    let ctx = stand.context();
    let engine = stand.engine(&ctx);
    let switching = async {
        while stand.cloud.static_ip_list().iter().all(|ip| ip.assigned_to.is_none()) {
            sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::select! {
        _ = deploy_with(&engine, DeployOptions::default()) => panic!("it was to be killed"),
        () = switching => {}
    }
    let static_ip = stand.cloud.static_ip_list()[0].address.ip.to_string();
    let stand = Stand { manifest: manifest_with("none"), ..stand };
    let ctx = stand.context();
    unfinished(&stand.engine(&ctx), "resume", false).await.unwrap();
    assert_eq!(stand.cloud.record("www"), Some(vec![static_ip]), "clients know this one");
    stand.check_settled(1).await;
    // The next release brings the change.
    stand.deploy().await.unwrap();
    let own = stand.serving().address.unwrap().ip.to_string();
    assert_eq!(stand.cloud.record("www"), Some(vec![own]));
}

#[tokio::test(start_paused = true)]
async fn an_instance_whose_removal_the_cloud_accepted_and_did_not_do_is_destroyed_again() {
    let stand = Stand::new();
    stand.deploy().await.unwrap();
    let ctx = stand.context();
    let engine = stand.engine(&ctx);
    let keep = async {
        while stand.cloud.count("destroy") == stand.cloud.count("launch") - 1 {
            sleep(Duration::from_millis(100)).await;
        }
        stand.cloud.by_hand("the removal fails", |state| state.keep_all());
    };
    let (destroyed, ()) = tokio::join!(destroy_with(&engine, false), keep);
    destroyed.unwrap();
    assert_eq!(stand.cloud.standing(), []);
}

#[tokio::test(start_paused = true)]
async fn a_rollback_that_is_run_again_after_a_kill_does_not_go_back_further() {
    for to in [None, Some(2)] {
        let stand = Stand::new();
        for recipe in ["one", "two", "three"] {
            stand.recipe(recipe);
            stand.deploy().await.unwrap();
        }
        let ctx = stand.context();
        let engine = stand.engine(&ctx);
        stand.kill_at(Phase::Verifying, rollback_with(&engine, to.map(ReleaseId))).await;
        sleep(Duration::from_secs(3600)).await;
        let report = stand.rollback(to).await.unwrap();
        assert_eq!(report.release, Some(ReleaseId(4)));
        stand.check_settled(4).await;
        let history = stand.journal().history().await.unwrap();
        assert_eq!(history[3].record.rollback_of, Some(ReleaseId(2)), "{to:?}");
        assert_eq!(history.len(), 4);
    }
}

/// A replacement that was killed when its instance had passed its gate, and before it switched.
async fn killed_when_gated() -> (Stand, InstanceId, InstanceId) {
    for killed in 0.. {
        let stand = Stand::new();
        stand.deploy().await.unwrap();
        let former = stand.serving().id;
        stand.recipe("two");
        stand.cloud.kill.at(killed);
        let ended = stand.cloud.kill.run(stand.deploy()).await;
        stand.cloud.kill.never();
        assert!(ended.is_none(), "it was never killed between the two");
        let last = stand.journal().history().await.unwrap().pop().unwrap();
        if last.id() == ReleaseId(2) && !last.entered(Phase::Switching) && !last.gated().is_empty() {
            let new = last.gated().into_iter().next().unwrap();
            return (stand, former, new);
        }
    }
    unreachable!("the loop ends by returning")
}

#[tokio::test(start_paused = true)]
async fn an_instance_at_which_somebody_pointed_the_address_when_the_former_one_was_gone_is_not_undone() {
    for choice in ["managed", "none", "another"] {
        let (stand, former, new) = killed_when_gated().await;
        stand.cloud.by_hand("the former one dies, and the address is moved to the new one", |state| {
            state.machines.remove(&former);
            state.ips.values_mut().for_each(|ip| ip.ip.assigned_to = Some(new.clone()));
        });
        let managed = stand.cloud.static_ip_list()[0].address.ip;
        let asked = match choice {
            "another" => format!("{{ existing = \"{}\" }}", stand.cloud.add_static_ip(None).address.ip),
            choice => format!("\"{choice}\""),
        };
        let manifest = MANIFEST.replace("[dns]", &format!("[address]\nstatic_ip = {asked}\n\n[dns]"));
        let stand = Stand { manifest, ..stand };
        sleep(Duration::from_secs(3600)).await;
        let ctx = stand.context();
        unfinished(&stand.engine(&ctx), "abort", true).await.unwrap();
        assert_eq!(stand.serving().id, new, "{choice}: it serves");
        let history = stand.journal().history().await.unwrap();
        assert_eq!(history.last().unwrap().phase(), Phase::Done, "{choice}");
        // And it is where the manifest wants it: an instance has one static IP, and that of before has made way.
        let record = stand.cloud.record("www").unwrap();
        let ips = stand.cloud.static_ip_list();
        match choice {
            "managed" => assert_eq!(record, [managed.to_string()]),
            "none" => assert_eq!((record, ips.len()), (vec![stand.serving().address.unwrap().ip.to_string()], 0)),
            _ => {
                assert_eq!((record, ips.len()), (vec![ips[0].address.ip.to_string()], 1));
                assert_eq!(ips[0].assigned_to.as_ref(), Some(&new));
            }
        }
    }
}

/// What a run launched when it took up another one's release is its own for what it does next.
#[tokio::test(start_paused = true)]
async fn a_deploy_that_finishes_a_release_and_replaces_it_knows_its_instance() {
    let (stand, _, new) = killed_when_gated().await;
    stand.cloud.by_hand("the new one dies, so that another is launched", |state| state.machines.remove(&new));
    sleep(Duration::from_secs(3600)).await;
    let ctx = stand.context();
    let options = DeployOptions { force: true, ..DeployOptions::default() };
    let report = deploy_with(&stand.engine(&ctx), options).await.unwrap();
    assert_eq!(report.release, Some(ReleaseId(3)));
    stand.check_settled(3).await;
}

/// It shows in one list, and not in the next one.
#[tokio::test(start_paused = true)]
async fn an_address_that_comes_late_is_given_back_although_lists_lag() {
    for seed in 0..16 {
        let stand = killed_while_it_makes_the_address().await;
        let instance = stand.serving().id;
        stand.cloud.world().set_faults(Faults::new(&mut Dice::new(seed), Rates::none().with(Fault::StaleList, 0.5)));
        let late = async {
            sleep(Duration::from_secs(1)).await;
            stand.cloud.add_static_ip(Some(instance));
        };
        let ctx = stand.context();
        let engine = stand.engine(&ctx);
        let (undone, ()) = tokio::join!(unfinished(&engine, "abort", true), late);
        undone.unwrap();
        assert_eq!((stand.cloud.static_ip_list(), stand.cloud.standing()), (vec![], vec![]), "{seed}");
    }
}

/// After a first deploy that was killed when it had announced the static IP and not yet sent the request.
async fn killed_while_it_makes_the_address() -> Stand {
    for killed in 0.. {
        let stand = Stand::new();
        stand.cloud.kill.at(killed);
        assert!(stand.cloud.kill.run(stand.deploy()).await.is_none(), "it was never killed between the two");
        stand.cloud.kill.never();
        let history = stand.journal().history().await.unwrap();
        let last = history.last().and_then(|release| release.entries.last());
        if last.is_some_and(|record| matches!(record.entry, Entry::MakingAddress { .. }))
            && stand.cloud.static_ip_list().is_empty()
        {
            return stand;
        }
    }
    unreachable!("the loop ends by returning")
}

/// A process that is suspended during its look may come back when all is otherwise.
#[tokio::test(start_paused = true)]
async fn who_has_lost_the_lock_does_not_say_that_nothing_is_to_be_done() {
    use object_store::{ObjectStoreExt as _, path::Path};
    let lock = |number: u64| Path::from(format!("default/lock/{number:012}.json"));
    let mut overtaken = 0;
    for after in 0..20 {
        // Its look takes a while.
        let cloud = FakeCloud::new(Pace { travel: Duration::from_millis(100), ..Pace::default() });
        let stand = Stand { told: Arc::new(Told::new(&cloud)), cloud, ..Stand::new() };
        stand.deploy().await.unwrap();
        let overtakes = async {
            // At no time at which a reply arrives.
            sleep(Duration::from_millis(after * 50 + 25)).await;
            let taken = stand.objects.get(&lock(2)).await.unwrap().bytes().await.unwrap();
            stand.objects.put(&lock(3), taken.into()).await.unwrap();
        };
        let now = std::cell::Cell::new(false);
        let deploy = async { (stand.deploy().await, now.get()) };
        let overtakes = async {
            overtakes.await;
            now.set(true);
        };
        let ((ended, was_overtaken), ()) = tokio::join!(deploy, overtakes);
        if !was_overtaken {
            assert_eq!(ended.unwrap().plan.steps, []);
            continue;
        }
        overtaken += 1;
        let error = ended.unwrap_err();
        assert_eq!(error.kind(), EngineErrorKind::Locked, "{}", error.chain());
        assert!(error.chain().contains("another run has taken it over"), "{}", error.chain());
    }
    assert!(overtaken > 5, "{overtaken}");
}
