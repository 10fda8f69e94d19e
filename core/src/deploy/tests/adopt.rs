//! A journal that is gone is rebuilt from the cloud, and a service that was made by hand is taken over.

use std::sync::Mutex;

use super::*;
use crate::{
    deploy::{
        adopt::{AdoptOptions, Adoption, adopt_with, adoption_with},
        plan::plan_with,
        run::DeployOptions,
    },
    fake::{Actor, Flavour, Machine, State, World},
    provider::{Capability, Descriptor, ImageState, InstanceId, label},
};

impl Stand {
    /// The same cloud and manifest, with a journal that is empty.
    fn forgotten(&self) -> Self {
        self.with_objects(Arc::default())
    }

    async fn adopt(&self, options: &AdoptOptions) -> Result<Adoption, EngineError> {
        let ctx = self.context();
        adopt_with(&self.engine(&ctx), options, None).await
    }

    async fn plans_nothing(&self) {
        let ctx = self.context();
        let plan = plan_with(&self.engine(&ctx), &DeployOptions::default()).await.unwrap();
        assert!(!plan.changes() && plan.refused.is_none(), "{plan:?}");
    }

    /// Destroys everything, and finds nothing afterwards.
    async fn destroys_all(&self) {
        let ctx = self.context();
        let engine = self.engine(&ctx);
        destroy_with(&engine, true).await.unwrap();
        assert_eq!(self.cloud.standing(), []);
        assert_eq!((self.cloud.static_ip_list(), self.cloud.record("www")), (vec![], None));
        assert_eq!(self.cloud.key_names(), [""; 0]);
        let images = self.cloud.images().list(&crate::provider::Selector::all().with(label::SERVICE, "app")).await;
        assert_eq!(images.unwrap(), []);
    }

    /// What must be named where addresses carry no labels: the static IP.
    fn named(&self) -> AdoptOptions {
        let static_ips = self.cloud.static_ip_list().into_iter().map(|ip| ip.address.ip).collect();
        AdoptOptions { static_ips, ..AdoptOptions::default() }
    }
}

fn prepared(labelled: bool) -> Stand {
    let stand = Stand::new();
    if labelled {
        stand.cloud.label_static_ips();
    }
    stand
}

#[tokio::test(start_paused = true)]
async fn a_journal_that_is_gone_is_rebuilt_and_everything_works_again() {
    for labelled in [false, true] {
        let stand = prepared(labelled);
        for recipe in ["one", "two", "three"] {
            stand.recipe(recipe);
            stand.deploy().await.unwrap();
        }
        let serving = stand.serving();
        let stand = stand.forgotten();
        assert_eq!(stand.deploy().await.unwrap_err().kind(), EngineErrorKind::Foreign);
        let options = if labelled { AdoptOptions::default() } else { stand.named() };
        let (ctx, log) = (stand.context(), stand.cloud.log());
        let shown = adoption_with(&stand.engine(&ctx), &options).await.unwrap();
        assert_eq!(stand.journal().history().await.unwrap(), [], "to look changes nothing");
        let adopted = stand.adopt(&options).await.unwrap();
        assert!(shown.is_same(&adopted) && stand.cloud.log() == log, "nothing is changed in the cloud");
        let numbers: Vec<_> = adopted.releases.iter().map(|one| (one.release.0, one.phase, one.serves)).collect();
        assert_eq!(numbers, [(1, Phase::Done, false), (2, Phase::Done, false), (3, Phase::Done, true)]);
        assert!(adopted.static_ips[0].made_here && adopted.record.is_some(), "{adopted:?}");
        stand.plans_nothing().await;
        assert_eq!(stand.serving().id, serving.id);
        // Once more finds the same.
        assert!(stand.adopt(&options).await.unwrap().is_same(&adopted));
        assert_eq!(stand.journal().history().await.unwrap().len(), 3);

        let images = stand.baked();
        let report = stand.rollback(Some(1)).await.unwrap();
        assert_eq!((report.release, stand.baked()), (Some(ReleaseId(4)), images));
        stand.check_settled(4).await;
        let error = stand.adopt(&options).await.unwrap_err();
        assert!(error.to_string().contains("of its own"), "{error}");
        stand.destroys_all().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_static_ip_without_a_label_must_be_named() {
    let stand = Stand::new();
    stand.deploy().await.unwrap();
    let address = stand.cloud.static_ip_list()[0].address.ip;
    let stand = stand.forgotten();
    let error = stand.adopt(&AdoptOptions::default()).await.unwrap_err();
    assert_eq!(error.kind(), EngineErrorKind::Conflict);
    assert!(error.hints()[0].contains(&format!("--static-ip {address}")), "{:?}", error.hints());
    assert_eq!(stand.journal().history().await.unwrap(), []);
    // Or it is the user's, which the manifest says.
    let choice = format!("[address]\nstatic_ip = {{ existing = \"{address}\" }}\n\n[dns]");
    let stand = Stand { manifest: MANIFEST.replace("[dns]", &choice), ..stand };
    assert!(!stand.adopt(&AdoptOptions::default()).await.unwrap().static_ips[0].made_here);
    stand.plans_nothing().await;
    let ctx = stand.context();
    destroy_with(&stand.engine(&ctx), true).await.unwrap();
    assert_eq!(stand.cloud.static_ip_list().len(), 1, "it stays the user's");
}

/// Notes from now on what makes the record lead nowhere.
fn clients_left_behind(stand: &Stand) -> Arc<Mutex<Vec<String>>> {
    let leads = |state: &State| {
        let mut records = state.records.values().flat_map(|record| &record.values);
        let ip = |value: &String| state.ips.values().find(|ip| ip.ip.address.ip.to_string() == *value);
        let machine = |value: &String| {
            let is_at =
                |machine: &&Machine| machine.instance.address.as_ref().is_some_and(|own| own.ip.to_string() == *value);
            state.machines.values().find(is_at).map(|machine| &machine.instance.id)
        };
        let to = |value| ip(value).map_or_else(|| machine(value), |ip| ip.ip.assigned_to.as_ref());
        records.next().is_some_and(|value| to(value).is_some_and(|id| state.machines.contains_key(id)))
    };
    let left: Arc<Mutex<Vec<String>>> = Arc::default();
    let notes = Arc::clone(&left);
    stand.cloud.world().watch(move |change| {
        if leads(change.before) && !leads(change.after) {
            notes.lock().unwrap().push(change.what.to_owned());
        }
    });
    left
}

/// Kills a deploy at its n-th step, for every n, takes its journal away, and adopts what is left; where static IPs carry labels and
/// where they do not, in turn.
async fn forgotten_everywhere(prepare: impl AsyncFn(bool) -> Stand) {
    for killed in 0.. {
        let stand = prepare(killed % 2 == 0).await;
        let serving = stand.cloud.pointed_at();
        stand.cloud.kill.at(killed);
        let ended = stand.cloud.kill.run(stand.deploy()).await;
        stand.cloud.kill.never();
        sleep(Duration::from_secs(3600)).await;
        let stand = stand.forgotten();
        let adopted = stand.adopt(&stand.named()).await;
        stand.check_invariant();
        match adopted {
            Ok(_) => {}
            // A login key alone shows nothing of whose it is.
            Err(error) if error.to_string().contains("nothing of default of app is found") => {
                assert_eq!((stand.cloud.standing(), stand.cloud.static_ip_list()), (vec![], vec![]), "{killed}");
                continue;
            }
            // It was to get an address: whether it had passed its gate by then, its user must say.
            Err(error) if error.to_string().contains("nothing shows which one serves") => {
                let instances = vec![stand.serving().id];
                stand.adopt(&AdoptOptions { instances, ..stand.named() }).await.unwrap();
            }
            Err(error) => panic!("killed at {killed}: {}", error.chain()),
        }
        let left = clients_left_behind(&stand);
        if !serving.is_empty() {
            assert!(!stand.cloud.pointed_at().is_empty(), "{killed}: it serves all the time");
        }
        stand.deploy().await.unwrap_or_else(|error| panic!("killed at {killed}: {}", error.chain()));
        assert_eq!(*left.lock().unwrap(), [""; 0], "killed at {killed}: the record leads nowhere after it");
        stand.plans_nothing().await;
        let standing = stand.serving();
        let ips = stand.cloud.static_ip_list();
        assert!(ips.iter().all(|ip| ip.assigned_to.as_ref() == Some(&standing.id)), "{killed}: {ips:?}");
        stand.destroys_all().await;
        if ended.is_some() {
            assert!(killed > 15, "killed only {killed} times");
            return;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_first_deploy_that_was_killed_anywhere_is_adopted_without_its_journal() {
    forgotten_everywhere(async |labelled| prepared(labelled)).await;
}

#[tokio::test(start_paused = true)]
async fn a_replacement_that_was_killed_anywhere_is_adopted_without_its_journal() {
    let prepare = async |labelled| {
        let stand = prepared(labelled);
        stand.deploy().await.unwrap();
        stand.recipe("two");
        stand
    };
    forgotten_everywhere(prepare).await;
}

/// For a while the record leads to the one and the static IP to the other.
#[tokio::test(start_paused = true)]
async fn a_change_of_address_that_was_killed_anywhere_is_adopted_without_its_journal() {
    let without = MANIFEST.replace("[dns]", "[address]\nstatic_ip = \"none\"\n\n[dns]");
    for (before, after) in [(&*without, MANIFEST), (MANIFEST, &without)] {
        let prepare = async |labelled| {
            let stand = Stand { manifest: before.to_owned(), ..prepared(labelled) };
            stand.deploy().await.unwrap();
            Stand { manifest: after.to_owned(), ..stand }
        };
        forgotten_everywhere(prepare).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_adoption_that_is_killed_anywhere_is_completed_by_the_next() {
    for killed in 0.. {
        let stand = prepared(true);
        for recipe in ["one", "two"] {
            stand.recipe(recipe);
            stand.deploy().await.unwrap();
        }
        let (stand, log) = (stand.forgotten(), stand.cloud.log());
        stand.cloud.kill.at(killed);
        let ended = stand.cloud.kill.run(stand.adopt(&AdoptOptions::default())).await;
        stand.cloud.kill.never();
        if ended.is_none() {
            // Nothing else takes a half-written journal for a whole one.
            let deployed = stand.deploy().await;
            let refused = deployed.as_ref().is_err_and(|error| error.kind() == EngineErrorKind::Foreign);
            let nothing = deployed.as_ref().is_ok_and(|report| !report.plan.changes());
            assert!(refused || nothing, "killed at {killed}: {deployed:?}");
            sleep(Duration::from_secs(3600)).await;
            stand.adopt(&AdoptOptions::default()).await.unwrap();
        }
        assert_eq!(stand.cloud.log(), log, "killed at {killed}");
        stand.plans_nothing().await;
        stand.check_settled(2).await;
        if ended.is_some() {
            assert!(killed > 10, "killed only {killed} times");
            return;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_of_several_journals_or_of_none_must_be_named() {
    let stand = prepared(true);
    stand.deploy().await.unwrap();
    let labels = Labels::new().with(label::SERVICE, "app").with(label::ENV, "default").with(label::ROLE, "instance");
    for labels in [labels.clone(), labels.with(label::ENV_ID, "00000000000000aa").with(label::RELEASE, "7")] {
        let other = stand.cloud.add_instance("other", labels);
        let stand = stand.forgotten();
        let log = stand.cloud.log();
        let error = stand.adopt(&AdoptOptions::default()).await.unwrap_err();
        assert_eq!(error.kind(), EngineErrorKind::Foreign, "{}", error.chain());
        assert!(error.detail_lines().iter().any(|line| line.contains(other.id.as_str())), "{error:?}");
        assert_eq!((stand.cloud.log(), stand.journal().history().await.unwrap()), (log, vec![]));
        // Named, it comes after what is ours, serves nobody, and goes.
        let options = AdoptOptions { instances: vec![other.id.clone()], ..AdoptOptions::default() };
        let adopted = stand.adopt(&options).await.unwrap();
        assert_eq!(adopted.labelled, std::slice::from_ref(&other.id));
        stand.deploy().await.unwrap();
        assert_ne!(stand.serving().id, other.id);
        stand.plans_nothing().await;
    }
}

/// A service that somebody has made by hand: an instance that runs an image of theirs, an address and a record.
fn made_by_hand(stand: &Stand) -> (InstanceId, std::net::IpAddr) {
    let instance = stand.cloud.add_instance("web-1", Labels::new());
    let ip = stand.cloud.add_static_ip(Some(instance.id.clone()));
    stand.cloud.add_record("www", &ip.address.ip.to_string());
    // Remint never asks whether it has passed a gate: it is the one that serves.
    stand.told.gated.lock().unwrap().push(instance.clone());
    (instance.id, ip.address.ip)
}

#[tokio::test(start_paused = true)]
async fn a_service_that_was_made_by_hand_is_taken_over_and_replaced() {
    for labelled in [false, true] {
        for managed in [false, true] {
            let stand = prepared(labelled);
            let (id, ip) = made_by_hand(&stand);
            let choice = if managed { "\"managed\"".to_owned() } else { format!("{{ existing = \"{ip}\" }}") };
            let manifest = MANIFEST.replace("[dns]", &format!("[address]\nstatic_ip = {choice}\n\n[dns]"));
            let stand = Stand { manifest, ..stand };
            let error = stand.adopt(&AdoptOptions::default()).await.unwrap_err();
            assert!(error.to_string().contains("nothing of default of app is found"), "{error}");
            let options = AdoptOptions { instances: vec![id.clone()], static_ips: vec![ip] };
            let adopted = stand.adopt(&options).await.unwrap();
            assert_eq!((adopted.static_ips[0].made_here, &adopted.labelled), (managed, &vec![id.clone()]));
            assert!(adopted.releases[0].serves && adopted.record.is_some(), "{adopted:?}");
            let before = stand.cloud.standing().len();
            let report = stand.deploy().await.unwrap();
            assert_eq!((before, report.release), (1, Some(ReleaseId(2))));
            assert_ne!(stand.serving().id, id);
            let ips = stand.cloud.static_ip_list();
            assert_eq!((ips.len(), ips[0].address.ip), (1, ip), "clients keep their address");
            stand.plans_nothing().await;
            stand.check_invariant();
            let ctx = stand.context();
            destroy_with(&stand.engine(&ctx), true).await.unwrap();
            assert_eq!(stand.cloud.static_ip_list().len(), usize::from(!managed));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_parked_stays_so_and_can_be_gone_back_to_at_once() {
    let manifest = MANIFEST.replace("before_switch = \"migrate\"", "retire = \"park\"");
    let stand = Stand::with(&manifest);
    stand.cloud.label_static_ips();
    for recipe in ["one", "two"] {
        stand.recipe(recipe);
        stand.deploy().await.unwrap();
    }
    let standing = stand.cloud.standing();
    assert_eq!(standing.len(), 2);
    let serving = stand.cloud.pointed_at();
    let stand = stand.forgotten();
    stand.adopt(&AdoptOptions::default()).await.unwrap();
    stand.plans_nothing().await;
    let ctx = stand.context();
    assert_eq!(leftovers_with(&stand.engine(&ctx)).await.unwrap(), Leftovers::default());
    let launched = stand.cloud.count("launch");
    stand.rollback(None).await.unwrap();
    assert_eq!(stand.cloud.count("launch"), launched, "the parked one serves again");
    assert_ne!(stand.cloud.pointed_at(), serving);
}

#[tokio::test(start_paused = true)]
async fn an_image_that_is_gone_or_unfinished_is_no_release() {
    let stand = prepared(true);
    for recipe in ["one", "two", "three"] {
        stand.recipe(recipe);
        stand.deploy().await.unwrap();
    }
    let images: Vec<_> = stand.journal().history().await.unwrap().into_iter().map(|one| one.record.image).collect();
    stand.cloud.by_hand("the first is deleted, the second breaks", |state| {
        state.images.remove(&images[0]);
        state.images.get_mut(&images[1]).unwrap().state = ImageState::Failed("broken".to_owned());
    });
    let stand = stand.forgotten();
    let adopted = stand.adopt(&AdoptOptions::default()).await.unwrap();
    let numbers: Vec<_> = adopted.releases.iter().map(|one| one.release.0).collect();
    assert_eq!(numbers, [3], "and its number stays");
    assert_eq!(stand.journal().history().await.unwrap()[0].id(), ReleaseId(3));
    stand.plans_nothing().await;
    let error = stand.rollback(None).await.unwrap_err();
    assert!(error.to_string().contains("no release to go back to"), "{error}");
    stand.recipe("four");
    assert_eq!(stand.deploy().await.unwrap().release, Some(ReleaseId(4)));
}

/// It is past the point of return, whatever is asked for next.
#[tokio::test(start_paused = true)]
async fn a_release_that_was_about_to_retire_the_former_one_is_finished_after_it_was_adopted() {
    for next in ["rollback", "deploy"] {
        let stand = prepared(true);
        stand.deploy().await.unwrap();
        stand.recipe("two");
        let ctx = stand.context();
        let engine = stand.engine(&ctx);
        stand.kill_at(Phase::Retiring, deploy_with(&engine, DeployOptions::default())).await;
        sleep(Duration::from_secs(3600)).await;
        let stand = stand.forgotten();
        let adopted = stand.adopt(&AdoptOptions::default()).await.unwrap();
        assert_eq!(adopted.releases.last().unwrap().phase, Phase::Retiring);
        stand.recipe("three");
        let report = match next {
            "deploy" => stand.deploy().await.unwrap(),
            _ => stand.rollback(None).await.unwrap(),
        };
        assert_eq!(report.release, Some(ReleaseId(3)), "{next}");
        stand.check_settled(3).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_cloud_cannot_label_is_refused_before_a_journal_is_written() {
    let stand = Stand::new();
    let usual = stand.cloud.descriptor();
    let fewer: Vec<_> = usual.capabilities.iter().copied().filter(|one| *one != Capability::InstanceRelabel).collect();
    let declared = Box::leak(Box::new(Descriptor { capabilities: fewer.leak(), ..*usual }));
    let world = World::new(Pace::default(), Flavour::default());
    let cloud = Arc::new(FakeCloud::connect(&world, Actor("test".to_owned())).declaring(declared));
    let stand = Stand { told: Arc::new(Told::new(&cloud)), cloud, ..stand };
    let (id, ip) = made_by_hand(&stand);
    let options = AdoptOptions { instances: vec![id], static_ips: vec![ip] };
    let error = stand.adopt(&options).await.unwrap_err();
    assert!(error.to_string().contains("does not label instances after their launch"), "{error}");
    assert_eq!(stand.journal().service().await.unwrap(), None);
}
