//! Several instances behind a load balancer.

use std::collections::BTreeSet;

use super::*;
use crate::{
    deploy::{destroy::destroy_with, gc::gc_with},
    provider::{Endpoint, Instance, InstanceId, LoadBalancer, LoadBalancerSettings, Member, MemberHealth, label},
};

mod undone;

const FLEET: &str = "[load_balancer]\nlisteners = [{ port = 80 }]\n\n";

/// The manifest with so many instances behind a load balancer, and further lines in `[deploy]`.
fn fleet(count: u32, deploy: &str) -> String {
    let instances = format!("[instance]\ncount = {count}\n\n{FLEET}[dns]");
    MANIFEST.replace("[dns]", &instances).replace("[deploy]\n", &format!("[deploy]\n{deploy}\n"))
}

fn rolling(count: u32) -> String {
    fleet(count, "strategy = \"rolling\"")
}

impl Stand {
    fn manifest(self, manifest: String) -> Self {
        Self { manifest, ..self }
    }

    fn balancer(&self) -> LoadBalancer {
        let all = self.cloud.balancer_list();
        assert_eq!(all.len(), 1, "{all:?}");
        all.into_iter().next().unwrap()
    }

    fn in_service(&self) -> BTreeSet<InstanceId> {
        let Some(balancer) = self.cloud.balancer_list().into_iter().next() else { return BTreeSet::new() };
        let members = self.cloud.member_list(&balancer.id);
        let serving = members.into_iter().filter(|member| member.health == MemberHealth::InService);
        serving.map(|member| member.instance).collect()
    }

    fn ids(&self) -> BTreeSet<InstanceId> {
        self.cloud.standing().into_iter().map(|instance| instance.id).collect()
    }

    /// So many instances of one release serve behind the load balancer, and nothing else is there.
    async fn check_fleet(&self, count: usize) {
        let standing = self.cloud.standing();
        assert_eq!(standing.len(), count, "{standing:#?}");
        assert_eq!(self.in_service(), self.ids());
        let releases: BTreeSet<_> = standing.iter().map(|instance| instance.labels.get(label::RELEASE)).collect();
        let history = self.journal().history().await.unwrap();
        let serving = crate::journal::current(&history).unwrap();
        assert_eq!(releases, BTreeSet::from([Some(serving.id().0.to_string().as_str())]));
        assert_eq!(serving.record.count as usize, count);
        assert!(history.iter().all(|release| release.phase().is_final()));
        let leads_to = self.balancer().endpoint.as_ref().map(Endpoint::record_value).unwrap();
        assert_eq!(self.cloud.record("www"), Some(vec![leads_to]));
        assert_eq!((self.cloud.key_names(), self.cloud.static_ip_list()), (vec![], vec![]));
        let ctx = self.context();
        assert_eq!(leftovers_with(&self.engine(&ctx)).await.unwrap(), Leftovers::default());
        // A second deploy finds nothing to do.
        let log = self.cloud.log();
        let again = self.deploy().await.unwrap();
        assert_eq!((again.plan.steps, self.cloud.log()), (vec![], log));
    }

    /// Runs a command, and gives how few were in service and how many existed meanwhile.
    async fn watching<T>(&self, command: impl Future<Output = T>) -> (T, usize, usize) {
        let (mut fewest, mut most) = (usize::MAX, 0);
        let watch = async {
            loop {
                fewest = fewest.min(self.in_service().len());
                let is_serving = |one: &&Instance| one.labels.get(label::ROLE) == Some("instance");
                most = most.max(self.cloud.standing().iter().filter(is_serving).count());
                sleep(Duration::from_millis(100)).await;
            }
        };
        let ended = tokio::select! {
            ended = command => ended,
            () = watch => unreachable!("it does not end"),
        };
        (ended, fewest, most)
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_deploy_puts_all_behind_a_load_balancer() {
    for strategy in ["all", "rolling", "canary"] {
        let stand = Stand::with(&fleet(3, &format!("strategy = \"{strategy}\"")));
        let report = stand.deploy().await.unwrap();
        assert_eq!(report.release, Some(ReleaseId(1)), "{strategy}");
        stand.check_fleet(3).await;
        assert_eq!(*stand.told.migrations.lock().unwrap(), 1, "{strategy}: once for a release");
    }
}

#[tokio::test(start_paused = true)]
async fn no_strategy_ever_has_fewer_in_service_or_more_instances_than_promised() {
    for (deploy, fewest_allowed, most_allowed, migrations) in [
        ("strategy = \"all\"", 3, 6, 2),
        ("strategy = \"rolling\"", 3, 4, 2),
        ("strategy = \"rolling\"\nbatch = 2", 3, 5, 2),
        ("strategy = \"rolling\"\nmax_surge = 0\nmax_unavailable = 1", 2, 3, 2),
        // The canary is one of the three, so that two more come on top of three.
        ("strategy = \"canary\"\nbatch = \"100%\"", 3, 5, 2),
    ] {
        let stand = Stand::with(&fleet(3, deploy));
        stand.deploy().await.unwrap();
        let before = stand.ids();
        stand.recipe("two");
        let (report, fewest, most) = stand.watching(stand.deploy()).await;
        assert_eq!(report.unwrap().release, Some(ReleaseId(2)), "{deploy}");
        assert!(fewest >= fewest_allowed && most <= most_allowed, "{deploy}: {fewest} to {most}");
        assert_eq!(most, most_allowed, "{deploy}: it uses the room that it has");
        assert!(before.is_disjoint(&stand.ids()), "{deploy}");
        stand.check_fleet(3).await;
        assert_eq!(*stand.told.migrations.lock().unwrap(), migrations, "{deploy}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_record_is_an_alias_where_a_load_balancer_has_a_host_name_and_an_address_again_without_one() {
    let stand = Stand::with(MANIFEST);
    stand.cloud.balance(crate::fake::Balancing { named: true, ..Default::default() });
    stand.deploy().await.unwrap();
    let address = stand.cloud.record("www").unwrap();
    assert!(address[0].parse::<std::net::IpAddr>().is_ok(), "{address:?}");
    // A fleet that fails behind the load balancer is undone, and the record is what it was.
    let stand = stand.manifest(rolling(2));
    stand.told.sick_outside.store(true, Ordering::SeqCst);
    stand.deploy().await.unwrap_err();
    assert_eq!(stand.cloud.record("www").unwrap(), address);
    stand.told.sick_outside.store(false, Ordering::SeqCst);
    stand.deploy().await.unwrap();
    stand.check_fleet(2).await;
    assert!(stand.cloud.record("www").unwrap()[0].ends_with(".balancers.fake.example"));
    // A bad release that follows is undone, and the record stays the alias.
    stand.recipe("two");
    stand.told.sick_outside.store(true, Ordering::SeqCst);
    let record = stand.cloud.record("www");
    stand.deploy().await.unwrap_err();
    stand.told.sick_outside.store(false, Ordering::SeqCst);
    assert_eq!((stand.cloud.record("www"), stand.cloud.standing().len()), (record, 2));
    let stand = stand.manifest(MANIFEST.to_owned());
    stand.recipe("one");
    stand.deploy().await.unwrap();
    let address = stand.cloud.record("www").unwrap();
    assert!(address[0].parse::<std::net::IpAddr>().is_ok() && stand.cloud.balancer_list().is_empty(), "{address:?}");
}

#[tokio::test(start_paused = true)]
async fn an_interrupted_repair_launches_what_its_undo_needs() {
    let stand = Stand::with(&rolling(3));
    stand.deploy().await.unwrap();
    let gone = stand.ids().into_iter().next().unwrap();
    stand.cloud.by_hand("deleted", |state| state.vanish(&gone));
    let ctx = stand.context();
    let engine = stand.engine(&ctx);
    let stop = async {
        while stand.journal().history().await.unwrap().last().unwrap().phase() != Phase::Rolling {
            sleep(Duration::from_millis(10)).await;
        }
        ctx.cancel.cancel();
    };
    let both = async { tokio::join!(deploy_with(&engine, DeployOptions::default()), stop).0 };
    let ended = tokio::time::timeout(Duration::from_secs(7200), both).await.expect("the undo ends");
    assert_eq!(ended.unwrap_err().kind(), EngineErrorKind::Interrupted);
    stand.check_fleet(3).await;
}

#[tokio::test(start_paused = true)]
async fn another_count_alone_launches_or_retires_and_replaces_nothing() {
    let stand = Stand::with(&rolling(3));
    stand.deploy().await.unwrap();
    let three = stand.ids();
    let stand = stand.manifest(rolling(4));
    let (report, fewest, _) = stand.watching(stand.deploy()).await;
    let report = report.unwrap();
    assert!(matches!(report.plan.steps[1], Step::Scale { from: 3, to: 4, .. }), "{:?}", report.plan.steps);
    assert_eq!((fewest, stand.baked()), (3, 1));
    stand.check_fleet(4).await;
    assert!(stand.ids().is_superset(&three));
    let four = stand.ids();
    let stand = stand.manifest(rolling(2));
    let (report, fewest, most) = stand.watching(stand.deploy()).await;
    assert!(!report.unwrap().plan.launches());
    assert_eq!((fewest, most), (2, 4));
    stand.check_fleet(2).await;
    assert!(stand.ids().is_subset(&four));
    // And with another recipe at once.
    let stand = stand.manifest(rolling(3));
    stand.recipe("two");
    stand.deploy().await.unwrap();
    stand.check_fleet(3).await;
    assert!(stand.ids().is_disjoint(&four));
}

#[tokio::test(start_paused = true)]
async fn what_will_not_do_is_replaced_alone() {
    for what in ["unwell", "gone", "touched", "detached"] {
        let stand = Stand::with(&rolling(3));
        stand.deploy().await.unwrap();
        let before = stand.ids();
        let victim = before.first().unwrap().clone();
        let balancer = stand.balancer().id;
        stand.cloud.by_hand("something happens to one of them", |state| match what {
            "unwell" => state.set_unwell(&victim, true),
            "gone" => drop(state.machines.remove(&victim)),
            "detached" => state.take_member(&balancer, &victim),
            _ => {
                let labels = &mut state.machines.get_mut(&victim).unwrap().instance.labels;
                *labels = std::mem::take(labels).with(label::TOUCHED, "today");
            }
        });
        sleep(Duration::from_secs(120)).await;
        let report = stand.deploy().await.unwrap();
        let after = stand.ids();
        if what == "detached" {
            // It is as it is to be, and only has to be put back.
            assert!(matches!(&report.plan.steps[..], [Step::Attach { .. }]), "{:?}", report.plan.steps);
            assert_eq!(after, before);
        } else {
            assert_eq!((after.intersection(&before).count(), after.contains(&victim)), (2, false), "{what}");
        }
        stand.check_fleet(3).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_canary_that_turns_bad_is_undone_and_nothing_else_was_touched() {
    let stand = Stand::with(&fleet(3, "strategy = \"canary\"\nobserve = \"60s\""));
    stand.deploy().await.unwrap();
    let before = stand.ids();
    stand.recipe("two");
    let turns_bad = async {
        while stand.in_service().len() < 4 {
            sleep(Duration::from_millis(100)).await;
        }
        let canary = stand.in_service().difference(&before).next().unwrap().clone();
        stand.cloud.by_hand("the canary turns bad", |state| state.set_unwell(&canary, true));
    };
    let both = async { tokio::join!(stand.deploy(), turns_bad).0 };
    let (ended, fewest, most) = stand.watching(both).await;
    let error = ended.unwrap_err();
    assert_eq!(error.kind(), EngineErrorKind::Gate, "{}", error.chain());
    assert!(error.chain().contains("did not stay in service"), "{}", error.chain());
    assert_eq!((stand.ids(), fewest, most), (before, 3, 4));
    let history = stand.journal().history().await.unwrap();
    assert_eq!(history.last().unwrap().phase(), Phase::Undone);
    stand.recipe("one");
    stand.check_fleet(3).await;
}

/// A detachment that a dead run ordered may arrive as late as that. One that is gone, though, speaks against its release.
#[tokio::test(start_paused = true)]
async fn a_canary_that_is_taken_out_while_it_is_watched_is_put_in_again() {
    for is_gone in [false, true] {
        let stand = Stand::with(&fleet(3, "strategy = \"canary\"\nobserve = \"60s\""));
        stand.deploy().await.unwrap();
        let before = stand.ids();
        let balancer = stand.balancer().id;
        stand.recipe("two");
        let taken_out = async {
            while stand.in_service().len() < 4 {
                sleep(Duration::from_millis(100)).await;
            }
            let canary = stand.in_service().difference(&before).next().unwrap().clone();
            // Until it is watched.
            sleep(Duration::from_secs(20)).await;
            stand.cloud.by_hand("somebody takes the canary out", |state| {
                state.take_member(&balancer, &canary);
                if is_gone {
                    state.machines.remove(&canary);
                }
            });
        };
        let (ended, ()) = tokio::join!(stand.deploy(), taken_out);
        match is_gone {
            false => drop(ended.unwrap()),
            true => assert!(ended.unwrap_err().chain().contains("did not stay in service")),
        }
        let stayed = stand.ids().intersection(&before).count();
        assert_eq!(stayed, if is_gone { 3 } else { 0 });
        assert_eq!(stand.in_service().len(), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn a_canary_that_somebody_keeps_taking_out_is_undone() {
    let stand = Stand::with(&fleet(3, "strategy = \"canary\"\nobserve = \"1h\""));
    stand.deploy().await.unwrap();
    let before = stand.ids();
    let balancer = stand.balancer().id;
    stand.recipe("two");
    let keeps_on = async {
        for _ in 0..1000 {
            sleep(Duration::from_secs(90)).await;
            if let Some(canary) = stand.in_service().difference(&before).next() {
                stand.cloud.by_hand("somebody takes the canary out", |state| state.take_member(&balancer, canary));
            }
        }
    };
    let ended = tokio::select! {
        ended = stand.deploy() => ended,
        () = keeps_on => panic!("it puts the canary back without end"),
    };
    assert_eq!(ended.unwrap_err().kind(), EngineErrorKind::Gate);
    assert_eq!(stand.ids(), before);
}

#[tokio::test(start_paused = true)]
async fn a_release_that_fails_in_a_later_wave_is_undone_wave_by_wave() {
    for wave in 1..3 {
        let stand = Stand::with(&rolling(3));
        stand.deploy().await.unwrap();
        let before = stand.ids();
        stand.recipe("two");
        let breaks = async {
            // So many of the new ones serve by then.
            while stand.in_service().difference(&before).count() < wave {
                sleep(Duration::from_millis(100)).await;
            }
            stand.told.sick.store(true, Ordering::SeqCst);
            // What is launched to undo it is healthy: it is of the former image.
            while stand.journal().history().await.unwrap().last().unwrap().phase() != Phase::Failed {
                sleep(Duration::from_millis(100)).await;
            }
            stand.told.sick.store(false, Ordering::SeqCst);
        };
        let both = async { tokio::join!(stand.deploy(), breaks).0 };
        let (ended, fewest, most) = stand.watching(both).await;
        assert_eq!(ended.unwrap_err().kind(), EngineErrorKind::Gate, "{wave}");
        assert!(fewest >= 3 && most <= 5, "{wave}: {fewest} to {most}");
        let history = stand.journal().history().await.unwrap();
        assert_eq!(history.last().unwrap().phase(), Phase::Undone, "{wave}");
        stand.recipe("one");
        stand.check_fleet(3).await;
        let image = &history[0].record.image;
        assert!(stand.cloud.standing().iter().all(|instance| instance.image.as_ref() == Some(image)), "{wave}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_comes_back_is_not_judged_by_the_answers_of_what_failed() {
    let stand = Stand::with(&fleet(2, "strategy = \"rolling\"\nmax_surge = 0\nmax_unavailable = 1"));
    stand.deploy().await.unwrap();
    let image = stand.cloud.standing()[0].image.clone();
    stand.recipe("two");
    // As long as one of the new ones gets clients, some of these fail.
    let fails = async {
        loop {
            let serving = stand.in_service();
            let is_bad = |one: &Instance| one.image != image && serving.contains(&one.id);
            stand.told.sick_outside.store(stand.cloud.standing().iter().any(is_bad), Ordering::SeqCst);
            sleep(Duration::from_millis(100)).await;
        }
    };
    let ended = tokio::select! {
        ended = stand.deploy() => ended,
        () = fails => unreachable!("it does not end"),
    };
    assert_eq!(ended.unwrap_err().kind(), EngineErrorKind::Gate);
    assert_eq!(stand.journal().history().await.unwrap().last().unwrap().phase(), Phase::Undone);
    assert!(stand.cloud.standing().iter().all(|instance| instance.image == image));
    stand.told.sick_outside.store(false, Ordering::SeqCst);
    stand.recipe("one");
    stand.check_fleet(2).await;
}

#[tokio::test(start_paused = true)]
async fn a_member_that_comes_back_while_it_is_drained_is_detached_again() {
    let stand = Stand::with(&fleet(2, "drain = \"20s\""));
    stand.deploy().await.unwrap();
    let (before, balancer) = (stand.ids(), stand.balancer().id);
    stand.recipe("two");
    let comes_back = async {
        loop {
            let members = stand.cloud.member_list(&balancer);
            let draining = |one: &&Member| before.contains(&one.instance) && one.health == MemberHealth::Draining;
            if let Some(member) = members.iter().find(draining) {
                stand.cloud.by_hand("one comes back", |state| state.add_member(&balancer, &member.instance));
                return;
            }
            sleep(Duration::from_millis(100)).await;
        }
    };
    let (deployed, ()) = tokio::join!(stand.deploy(), comes_back);
    deployed.unwrap();
    stand.check_fleet(2).await;
}

/// Old instances that clients get bad answers from, and that their load balancer takes for good, do not keep better ones away.
#[tokio::test(start_paused = true)]
async fn a_bad_old_release_does_not_stop_the_next_one() {
    for strategy in ["all", "rolling", "canary"] {
        let stand = Stand::with(&fleet(3, &format!("strategy = \"{strategy}\"")));
        stand.deploy().await.unwrap();
        let before = stand.ids();
        stand.told.bad.lock().unwrap().clone_from(&before);
        stand.recipe("two");
        let report = stand.deploy().await.unwrap();
        assert_eq!(report.release, Some(ReleaseId(2)), "{strategy}");
        assert!(before.is_disjoint(&stand.ids()), "{strategy}");
        stand.check_fleet(3).await;
        // One that is as bad itself, seen through the load balancer, is undone.
        stand.told.sick_outside.store(true, Ordering::SeqCst);
        let good = stand.ids();
        stand.recipe("three");
        assert_eq!(stand.deploy().await.unwrap_err().kind(), EngineErrorKind::Gate, "{strategy}");
        stand.told.sick_outside.store(false, Ordering::SeqCst);
        assert_eq!(good.len(), stand.in_service().len(), "{strategy}");
    }
}

#[tokio::test(start_paused = true)]
async fn from_several_to_one_nothing_is_parked() {
    let stand = Stand::with(&rolling(3));
    stand.deploy().await.unwrap();
    let stand = stand.manifest(MANIFEST.replace("[deploy]\n", "[deploy]\nretire = \"park\"\n"));
    stand.deploy().await.unwrap();
    stand.check_settled(2).await;
}

#[tokio::test(start_paused = true)]
async fn from_one_to_several_and_back_clients_are_led_by_the_record() {
    let stand = Stand::new();
    stand.deploy().await.unwrap();
    let one = stand.serving();
    let static_ip = stand.cloud.static_ip_list()[0].address.ip.to_string();
    let stand = stand.manifest(rolling(3));
    // The way in of before works until resolvers have forgotten it.
    let forgotten = async {
        while stand.cloud.record("www") == Some(vec![static_ip.clone()]) {
            assert!(stand.ids().contains(&one.id));
            sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(stand.in_service().len(), 3, "all were in service before");
        sleep(Duration::from_secs(59)).await;
        assert!(stand.ids().contains(&one.id) && stand.cloud.static_ip_list().len() == 1, "its TTL is not over");
    };
    let (deployed, ()) = tokio::join!(stand.deploy(), forgotten);
    deployed.unwrap();
    stand.check_fleet(3).await;
    let fleet = stand.ids();
    let stand = stand.manifest(MANIFEST.to_owned());
    stand.deploy().await.unwrap();
    assert_eq!(stand.cloud.balancer_list(), []);
    assert!(!fleet.contains(&stand.serving().id));
    stand.check_settled(3).await;
}

#[tokio::test(start_paused = true)]
async fn a_rollback_is_a_rollout_of_the_image_that_exists() {
    let stand = Stand::with(&rolling(3));
    for recipe in ["one", "two"] {
        stand.recipe(recipe);
        stand.deploy().await.unwrap();
    }
    let (report, fewest, most) = stand.watching(stand.rollback(None)).await;
    assert_eq!((report.unwrap().release, fewest, most), (Some(ReleaseId(3)), 3, 4));
    assert_eq!(stand.baked(), 2);
    stand.recipe("one");
    stand.check_fleet(3).await;
}

#[tokio::test(start_paused = true)]
async fn what_somebody_else_attached_stays_a_member() {
    let stand = Stand::with(&rolling(2));
    stand.deploy().await.unwrap();
    let balancer = stand.balancer().id;
    let foreign = stand.cloud.add_instance("theirs", Labels::new()).id;
    stand.cloud.by_hand("somebody attaches one", |state| state.add_member(&balancer, &foreign));
    sleep(Duration::from_secs(120)).await;
    stand.recipe("two");
    stand.deploy().await.unwrap();
    let members: BTreeSet<_> = stand.cloud.member_list(&balancer).into_iter().map(|member| member.instance).collect();
    assert!(members.contains(&foreign) && members.len() == 3, "{members:?}");
}

#[tokio::test(start_paused = true)]
async fn a_load_balancer_that_was_changed_or_deleted_is_put_right() {
    let stand = Stand::with(&rolling(2));
    stand.deploy().await.unwrap();
    let (before, balancer) = (stand.ids(), stand.balancer());
    let add = |settings: &mut LoadBalancerSettings| settings.sources.push("192.0.2.0/24".parse().unwrap());
    stand.cloud.by_hand("somebody changes it", |state| state.change_balancer(&balancer.id, add));
    let report = stand.deploy().await.unwrap();
    assert!(matches!(&report.plan.steps[..], [Step::ChangeBalancer { .. }]), "{:?}", report.plan.steps);
    assert_eq!((stand.balancer().settings, stand.ids()), (balancer.settings.clone(), before.clone()));
    stand.check_fleet(2).await;
    stand.cloud.by_hand("somebody deletes it", |state| state.delete_balancer(&balancer.id));
    stand.deploy().await.unwrap();
    assert_ne!(stand.balancer().id, balancer.id);
    assert_eq!(stand.ids(), before, "the instances were good");
    stand.check_fleet(2).await;
}

/// Asked for a load balancer of that name, the cloud shows the failed one again and again.
#[tokio::test(start_paused = true)]
async fn a_load_balancer_that_never_worked_is_replaced() {
    let stand = Stand::with(&rolling(2));
    stand.deploy().await.unwrap();
    let failed = stand.balancer().id;
    stand.cloud.by_hand("it fails", |state| {
        let balancer = &mut state.balancers.get_mut(&failed).unwrap().balancer;
        balancer.state = crate::provider::LoadBalancerState::Failed("no room".to_owned());
        balancer.endpoint = None;
    });
    stand.deploy().await.unwrap();
    assert_ne!(stand.balancer().id, failed);
    stand.check_fleet(2).await;
}

/// The cloud shows a certificate's id where the manifest has its name.
#[tokio::test(start_paused = true)]
async fn another_certificate_is_a_change_in_place_and_its_id_is_none() {
    let tls = |certificate: &str| {
        let listener = format!("port = 80, protocol = \"https\", certificate = \"{certificate}\"");
        rolling(2).replace("[{ port = 80 }]", &format!("[{{ {listener} }}]"))
    };
    let stand = Stand::with(&tls("example.org"));
    stand.deploy().await.unwrap();
    let (before, balancer) = (stand.ids(), stand.balancer());
    stand.cloud.by_hand("the cloud shows ids", |state| {
        state.change_balancer(&balancer.id, |settings| settings.listeners[0].certificate = Some("uuid".to_owned()));
    });
    stand.check_fleet(2).await;
    let stand = stand.manifest(tls("example.net"));
    let report = stand.deploy().await.unwrap();
    assert!(matches!(&report.plan.steps[..], [Step::ChangeBalancer { .. }]), "{:?}", report.plan.steps);
    assert_eq!(stand.ids(), before);
    stand.check_fleet(2).await;
}

#[tokio::test(start_paused = true)]
async fn destroying_leaves_nothing() {
    let stand = Stand::with(&rolling(3));
    stand.deploy().await.unwrap();
    let ctx = stand.context();
    destroy_with(&stand.engine(&ctx), true).await.unwrap();
    assert_eq!((stand.cloud.standing(), stand.cloud.balancer_list()), (vec![], vec![]));
    assert_eq!(stand.cloud.record("www"), None);
}

#[tokio::test(start_paused = true)]
async fn a_load_balancer_that_the_journal_does_not_know_is_a_leftover() {
    let stand = Stand::with(&rolling(2));
    stand.deploy().await.unwrap();
    let name = stand.balancer().name;
    let other = stand.cloud.by_hand("a request of a dead run comes late", |state| state.add_balancer(&name));
    let theirs = stand.cloud.by_hand("somebody else has one", |state| state.add_balancer("remint-0123456789abcdef"));
    let ctx = stand.context();
    let removed = gc_with(&stand.engine(&ctx), None).await.unwrap();
    assert_eq!(removed.len(), 1, "{removed:?}");
    assert_eq!((removed[0].kind.as_str(), removed[0].id.as_str()), ("load balancer", other.id.as_str()));
    assert!(stand.cloud.balancer_list().iter().any(|balancer| balancer.id == theirs.id));
}

/// A run is killed at every step, and the same command ends as if it had not been.
#[tokio::test(start_paused = true)]
async fn a_rollout_that_was_killed_is_continued() {
    let deploys: [(u32, &str); 3] = [(3, "one"), (3, "two"), (4, "two")];
    for killed_in in 0..deploys.len() {
        let mut killed = 0;
        loop {
            let mut stand = Stand::new();
            let mut ended = true;
            for (index, (count, recipe)) in deploys.into_iter().enumerate().take(killed_in + 1) {
                stand = stand.manifest(rolling(count));
                stand.recipe(recipe);
                if index == killed_in {
                    stand.cloud.kill.at(killed);
                    ended = stand.cloud.kill.run(stand.deploy()).await.is_some();
                    stand.cloud.kill.never();
                } else {
                    stand.deploy().await.unwrap();
                }
            }
            if ended {
                assert!(killed > 50, "{killed_in}: it was killed only {killed} times");
                break;
            }
            sleep(Duration::from_secs(3600)).await;
            let deployed = stand.deploy().await;
            assert!(deployed.is_ok(), "{killed_in}, {killed}: {:?}", deployed.map_err(|error| error.chain()));
            stand.check_fleet(deploys[killed_in].0 as usize).await;
            killed += 3;
        }
    }
}
