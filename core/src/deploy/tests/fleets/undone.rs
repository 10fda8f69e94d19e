//! Undoing a rollout, and what is left of a dead run: nothing goes to which clients are still sent.

use super::*;
use crate::{
    deploy::unfinished::unfinished,
    fake::{Dice, Fault, Faults, Rates},
};

impl Stand {
    /// One instance serves, and the manifest asks for two behind a load balancer.
    async fn to_become_two() -> (Self, Instance) {
        let stand = Self::new();
        stand.deploy().await.unwrap();
        let one = stand.serving();
        (stand.manifest(rolling(2)), one)
    }

    async fn until_one_serves(&self) {
        while self.in_service().is_empty() {
            sleep(Duration::from_millis(100)).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_undo_that_is_continued_takes_members_out_before_they_go() {
    let (stand, one) = Stand::to_become_two().await;
    let breaks = async {
        stand.until_one_serves().await;
        stand.told.sick.store(true, Ordering::SeqCst);
        // It does without the load balancer already when it stops.
        stand.cloud.fail("detach members", Some(ErrorKind::Forbidden));
    };
    let (ended, ()) = tokio::join!(stand.deploy(), breaks);
    ended.unwrap_err();
    assert_eq!(stand.journal().history().await.unwrap().last().unwrap().phase(), Phase::Failed);
    let members = stand.in_service();
    assert!(!members.is_empty());
    stand.cloud.fail("detach members", None);
    stand.told.sick.store(false, Ordering::SeqCst);
    sleep(Duration::from_secs(3600)).await;
    let stand = stand.manifest(MANIFEST.to_owned());
    stand.deploy().await.unwrap();
    assert_eq!(stand.serving().id, one.id);
    assert_eq!(stand.cloud.balancer_list(), []);
    let log = stand.cloud.log();
    let at = |what: String| log.iter().position(|line| line.starts_with(&what)).unwrap_or_else(|| panic!("{log:#?}"));
    for member in members {
        let name = format!("({member})");
        let gone = log.iter().position(|line| line.starts_with("destroy ") && line.ends_with(&name)).unwrap();
        assert!(at(format!("detach {member}")) < gone, "{log:#?}");
    }
}

/// The clean-up of a dead run's load balancer does not depend on how soon it is done.
#[tokio::test(start_paused = true)]
async fn a_load_balancer_that_a_dead_run_asked_for_long_ago_is_found() {
    let mut step = 0;
    let stand = loop {
        let stand = Stand::with(&rolling(2));
        stand.cloud.kill.at(step);
        assert!(stand.cloud.kill.run(stand.deploy()).await.is_none(), "it was to be killed");
        stand.cloud.kill.never();
        if stand.cloud.balancer_list().len() == 1 {
            break stand;
        }
        step += 1;
    };
    // The first step after its creation: the journal does not know of it.
    assert!(stand.journal().resources().await.unwrap().load_balancer().is_none());
    sleep(Duration::from_secs(24 * 3600)).await;
    let ctx = stand.context();
    unfinished(&stand.engine(&ctx), "abort", true).await.unwrap();
    assert_eq!(stand.cloud.balancer_list(), []);
}

#[tokio::test(start_paused = true)]
async fn an_address_that_was_left_to_somebody_else_goes_before_the_instance_that_it_came_to() {
    let stand = Stand::new();
    stand.deploy().await.unwrap();
    let stranger = stand.cloud.add_instance("theirs", Labels::new()).id;
    let stand = stand.manifest(rolling(2));
    let point_at = |id: InstanceId| {
        let point = |ip: &mut crate::fake::Ip| ip.ip.assigned_to = Some(id.clone());
        stand.cloud.by_hand("somebody moves the address", |state| state.ips.values_mut().for_each(point));
    };
    let moved = async {
        while stand.in_service().len() < 2 {
            sleep(Duration::from_millis(100)).await;
        }
        point_at(stranger.clone());
    };
    let (deployed, ()) = tokio::join!(stand.deploy(), moved);
    deployed.unwrap();
    assert_eq!(stand.cloud.static_ip_list().len(), 1, "a stranger uses it");
    let member = stand.in_service().into_iter().next().unwrap();
    point_at(member.clone());
    stand.recipe("two");
    stand.deploy().await.unwrap();
    assert_eq!(stand.cloud.static_ip_list(), []);
    let log = stand.cloud.log();
    let released = log.iter().position(|line| line.starts_with("release ")).unwrap();
    let gone = format!("({member})");
    let gone = log.iter().position(|line| line.starts_with("destroy ") && line.ends_with(&gone)).unwrap();
    assert!(released < gone, "{log:#?}");
}

/// Nothing is destroyed to which somebody has pointed the address that the release does without; the undo sends it back.
#[tokio::test(start_paused = true)]
async fn an_undo_sends_an_address_back_that_somebody_moved_to_a_new_instance() {
    let (stand, one) = Stand::to_become_two().await;
    let breaks = async {
        stand.until_one_serves().await;
        let member = stand.in_service().into_iter().next().unwrap();
        let point = |ip: &mut crate::fake::Ip| ip.ip.assigned_to = Some(member.clone());
        stand.cloud.by_hand("somebody moves the address", |state| state.ips.values_mut().for_each(point));
        stand.told.sick.store(true, Ordering::SeqCst);
        while stand.journal().history().await.unwrap().last().unwrap().phase() != Phase::Failed {
            sleep(Duration::from_millis(100)).await;
        }
        stand.told.sick.store(false, Ordering::SeqCst);
    };
    let (ended, ()) = tokio::join!(stand.deploy(), breaks);
    ended.unwrap_err();
    assert_eq!(stand.cloud.static_ip_list()[0].assigned_to, Some(one.id.clone()));
    let stand = stand.manifest(MANIFEST.to_owned());
    assert_eq!(stand.deploy().await.unwrap().plan.steps, []);
    assert_eq!(stand.serving().id, one.id);
}

#[tokio::test(start_paused = true)]
async fn an_undo_ends_although_the_image_of_before_is_gone() {
    let stand = Stand::with(&rolling(2));
    stand.deploy().await.unwrap();
    let before = stand.ids();
    let gone = before.first().unwrap().clone();
    stand.cloud.by_hand("an instance and the image are deleted", |state| {
        state.vanish(&gone);
        state.images.clear();
    });
    stand.told.sick.store(true, Ordering::SeqCst);
    let error = stand.deploy().await.unwrap_err();
    assert_eq!(error.kind(), EngineErrorKind::Gate, "{}", error.chain());
    assert_eq!(stand.journal().history().await.unwrap().last().unwrap().phase(), Phase::Undone);
    assert_eq!((stand.ids(), stand.in_service().len()), (before.into_iter().filter(|id| *id != gone).collect(), 1));
    stand.told.sick.store(false, Ordering::SeqCst);
    stand.deploy().await.unwrap();
    stand.check_fleet(2).await;
}

#[tokio::test(start_paused = true)]
async fn a_load_balancer_whose_removal_the_cloud_accepted_and_did_not_do_is_destroyed_again() {
    let mut again = 0;
    for seed in 0..16 {
        let stand = Stand::with(&rolling(2));
        stand.deploy().await.unwrap();
        stand.cloud.world().set_faults(Faults::new(&mut Dice::new(seed), Rates::none().with(Fault::NotDone, 0.4)));
        let ctx = stand.context();
        if destroy_with(&stand.engine(&ctx), true).await.is_err() {
            // An instance did not go, although it was ordered often enough.
            continue;
        }
        assert_eq!(stand.cloud.balancer_list(), []);
        let log = stand.cloud.log();
        again += log.iter().filter(|line| line.starts_with("destroy load balancer ")).count() - 1;
    }
    assert!(again > 0, "the cloud always did it at once");
}
