use tokio::time::sleep;

use super::{
    Balancing, Fault, Flavour,
    balancers_tests::{active, client, connect, get, habits, health, seconds, serving, spec, suffering, world},
};
use crate::provider::{
    Capability, ErrorKind, InstanceId, Instances, Labels, LoadBalancerId, LoadBalancers, PowerOp, Provider,
};

#[tokio::test(start_paused = true)]
async fn a_member_is_in_service_once_enough_checks_have_passed() {
    let (_, cloud) = world(Flavour::default());
    let (id, one) = active(&cloud).await;
    cloud.attach(&id, std::slice::from_ref(&one)).await.unwrap();
    let log = cloud.log().len();
    cloud.attach(&id, std::slice::from_ref(&one)).await.unwrap();
    assert_eq!(cloud.log().len(), log, "a member is left alone");
    sleep(seconds(29)).await;
    let balancer = get(&cloud, &id).await;
    assert_eq!(health(&cloud, &id, &one).await, Some("initial"));
    assert!(connect(&cloud, &balancer, 80).is_empty());
    sleep(seconds(2)).await;
    assert_eq!(health(&cloud, &id, &one).await, Some("in service"));
    assert_eq!(connect(&cloud, &balancer, 80), [one]);
    assert!(connect(&cloud, &balancer, 81).is_empty(), "nothing listens there");
}

#[tokio::test(start_paused = true)]
async fn a_member_that_stops_answering_gets_connections_until_enough_checks_have_failed() {
    let (_, cloud) = world(Flavour::default());
    let (id, one) = serving(&cloud).await;
    let balancer = get(&cloud, &id).await;
    let falls = |unwell| cloud.by_hand("its service", |state| state.set_unwell(&one, unwell));
    falls(true);
    sleep(seconds(19)).await;
    assert_eq!(connect(&cloud, &balancer, 80), std::slice::from_ref(&one));
    falls(false);
    sleep(seconds(30)).await;
    assert_eq!(health(&cloud, &id, &one).await, Some("in service"), "one check in between has passed");
    falls(true);
    sleep(seconds(21)).await;
    assert_eq!(health(&cloud, &id, &one).await, Some("out of service"));
    assert!(connect(&cloud, &balancer, 80).is_empty());
    falls(false);
    sleep(seconds(29)).await;
    assert_eq!(health(&cloud, &id, &one).await, Some("out of service"));
    sleep(seconds(2)).await;
    assert_eq!(health(&cloud, &id, &one).await, Some("in service"));
    cloud.power(&one, PowerOp::Stop).await.unwrap();
    sleep(seconds(21)).await;
    assert_eq!(health(&cloud, &id, &one).await, Some("out of service"));
}

#[tokio::test(start_paused = true)]
async fn one_that_never_answers_comes_to_be_out_of_service_and_who_says_what_answers_is_asked() {
    let (world, cloud) = world(Flavour::default());
    world.answering(|machine| machine.build == "good");
    let (id, one) = active(&cloud).await;
    cloud.attach(&id, std::slice::from_ref(&one)).await.unwrap();
    sleep(seconds(19)).await;
    assert_eq!(health(&cloud, &id, &one).await, Some("initial"));
    sleep(seconds(2)).await;
    assert_eq!(health(&cloud, &id, &one).await, Some("out of service"));
    cloud.by_hand("another build", |state| "good".clone_into(&mut state.machines.get_mut(&one).unwrap().build));
    sleep(seconds(31)).await;
    assert_eq!(health(&cloud, &id, &one).await, Some("in service"));
}

#[tokio::test(start_paused = true)]
async fn members_take_turns() {
    let (_, cloud) = world(Flavour::default());
    let (id, one) = active(&cloud).await;
    let two = cloud.add_instance("two", Labels::new()).id;
    cloud.attach(&id, &[one.clone(), two.clone()]).await.unwrap();
    sleep(seconds(31)).await;
    assert_eq!(connect(&cloud, &get(&cloud, &id).await, 80), [one, two]);
}

#[tokio::test(start_paused = true)]
async fn a_detached_member_drains_and_may_come_back_as_a_new_one() {
    let (_, cloud) = world(Flavour::default());
    assert!(cloud.descriptor().has(Capability::LoadBalancerDrain));
    let (id, one) = serving(&cloud).await;
    cloud.detach(&id, std::slice::from_ref(&one)).await.unwrap();
    assert!(connect(&cloud, &get(&cloud, &id).await, 80).is_empty());
    sleep(seconds(39)).await;
    assert_eq!(health(&cloud, &id, &one).await, Some("draining"));
    sleep(seconds(2)).await;
    assert_eq!(health(&cloud, &id, &one).await, None);
    let log = cloud.log().len();
    cloud.detach(&id, &[one.clone(), InstanceId::new("i-0")]).await.unwrap();
    assert_eq!(cloud.log().len(), log, "it is no member");

    cloud.attach(&id, std::slice::from_ref(&one)).await.unwrap();
    cloud.detach(&id, std::slice::from_ref(&one)).await.unwrap();
    cloud.attach(&id, std::slice::from_ref(&one)).await.unwrap();
    assert_eq!(health(&cloud, &id, &one).await, Some("initial"));
    sleep(seconds(60)).await;
    assert_eq!(health(&cloud, &id, &one).await, Some("in service"));
}

#[tokio::test(start_paused = true)]
async fn where_draining_is_not_shown_a_detached_member_is_none_at_once_and_its_connections_go_on() {
    let (world, cloud) = world(habits(Balancing { hidden_drain: Some(seconds(40)), ..Balancing::default() }));
    assert!(!cloud.descriptor().has(Capability::LoadBalancerDrain));
    let (id, one) = serving(&cloud).await;
    assert_eq!(get(&cloud, &id).await.settings.drain, None, "there is no such setting");
    let log = cloud.log().len();
    cloud.ensure(&spec("remint-1")).await.unwrap();
    assert_eq!(cloud.log().len(), log);
    cloud.detach(&id, std::slice::from_ref(&one)).await.unwrap();
    assert_eq!(health(&cloud, &id, &one).await, None);
    let goes_on = || world.state().balancers[&id].members.get(&one).is_some_and(super::Membership::is_draining);
    sleep(seconds(39)).await;
    assert!(goes_on());
    sleep(seconds(2)).await;
    assert!(!goes_on());
}

#[tokio::test(start_paused = true)]
async fn health_may_be_unknown_for_a_while_after_an_instance_was_attached() {
    let (_, cloud) = world(habits(Balancing { unknown_for: seconds(50), ..Balancing::default() }));
    let (id, one) = active(&cloud).await;
    cloud.attach(&id, std::slice::from_ref(&one)).await.unwrap();
    sleep(seconds(49)).await;
    assert_eq!(health(&cloud, &id, &one).await, Some("unknown"));
    assert_eq!(connect(&cloud, &get(&cloud, &id).await, 80), std::slice::from_ref(&one), "it serves all the same");
    sleep(seconds(2)).await;
    assert_eq!(health(&cloud, &id, &one).await, Some("in service"));
    let two = cloud.add_instance("two", Labels::new()).id;
    cloud.attach(&id, std::slice::from_ref(&two)).await.unwrap();
    assert_eq!(health(&cloud, &id, &one).await, Some("unknown"));
}

#[tokio::test(start_paused = true)]
async fn with_nobody_in_service_a_balancer_refuses_or_sends_everybody_connections() {
    let (_, cloud) = world(Flavour::default());
    let (id, one) = active(&cloud).await;
    cloud.attach(&id, std::slice::from_ref(&one)).await.unwrap();
    let balancer = get(&cloud, &id).await;
    assert!(connect(&cloud, &balancer, 80).is_empty());
    cloud.balance(Balancing { fails_open: true, ..Balancing::default() });
    assert_eq!(connect(&cloud, &balancer, 80), std::slice::from_ref(&one));
    cloud.detach(&id, &[one]).await.unwrap();
    assert!(connect(&cloud, &balancer, 80).is_empty());
}

#[tokio::test(start_paused = true)]
async fn members_are_instances_that_are_there_and_leave_when_they_are_gone() {
    let (_, cloud) = world(Flavour { strict: true, ..Flavour::default() });
    let (id, one) = active(&cloud).await;
    let far = cloud.by_hand("far away", |state| {
        let far = state.add_instance("far", Labels::new()).id;
        state.machines.get_mut(&far).unwrap().instance.region = "there".into();
        far
    });
    for (with, kind) in [(InstanceId::new("i-0"), ErrorKind::NotFound), (far, ErrorKind::InvalidInput)] {
        assert_eq!(cloud.attach(&id, &[one.clone(), with]).await.unwrap_err().kind(), kind);
        assert_eq!(cloud.members(&id).await.unwrap(), [], "all or none");
    }
    let nothing = LoadBalancerId::new("lb-0");
    for answer in [
        cloud.attach(&nothing, std::slice::from_ref(&one)).await,
        cloud.detach(&nothing, std::slice::from_ref(&one)).await,
        cloud.members(&nothing).await.map(drop),
    ] {
        assert_eq!(answer.unwrap_err().kind(), ErrorKind::NotFound);
    }
    cloud.attach(&id, std::slice::from_ref(&one)).await.unwrap();
    sleep(seconds(31)).await;
    Instances::destroy(&*cloud, &one).await.unwrap();
    assert_eq!(
        connect(&cloud, &get(&cloud, &id).await, 80),
        std::slice::from_ref(&one),
        "nobody has reported it to the balancer"
    );
    sleep(seconds(4)).await;
    assert_eq!(cloud.members(&id).await.unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn members_lag_behind_for_others_and_never_for_oneself() {
    let (world, cloud) = suffering(Fault::StaleList);
    let other = client(&world, "other");
    let (id, one) = active(&cloud).await;
    cloud.attach(&id, std::slice::from_ref(&one)).await.unwrap();
    let mut lags = false;
    for _ in 0..8 {
        assert_eq!(cloud.members(&id).await.unwrap().len(), 1);
        lags |= other.members(&id).await.unwrap().is_empty();
    }
    assert!(lags);
}
