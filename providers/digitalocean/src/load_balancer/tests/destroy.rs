//! Destroying.

use super::*;

#[tokio::test]
async fn a_tag_that_nothing_carries_goes_with_its_load_balancer() {
    for (carry, deleted) in [(0, 1), (1, 0)] {
        let server = standing(&[]).await;
        serve(&server, "DELETE", ONE, vec![done()]).await;
        serve(&server, "GET", TAG, vec![tag_of(carry)]).await;
        serve(&server, "DELETE", TAG, vec![done()]).await;
        testing::provider(&server).destroy(&id()).await.unwrap();
        let asked = testing::asked(&server).await;
        assert_eq!(asked.iter().filter(|call| **call == format!("DELETE {TAG}")).count(), deleted, "{asked:?}");
    }
}

#[tokio::test]
async fn a_tag_that_is_not_the_load_balancers_own_stays() {
    for fields in [json!({ "tag": "remint-web" }), json!({ "name": "web", "tag": "web" }), json!({ "tag": "" })] {
        let server = MockServer::start().await;
        serve(&server, "GET", ONE, vec![one(with(fields))]).await;
        serve(&server, "DELETE", ONE, vec![done()]).await;
        testing::provider(&server).destroy(&id()).await.unwrap();
        assert_eq!(testing::asked(&server).await, [format!("GET {ONE}"), format!("DELETE {ONE}")]);
    }
}

#[tokio::test]
async fn a_destruction_that_was_cut_off_before_the_tag_is_finished() {
    let server = MockServer::start().await;
    serve(&server, "GET", ONE, vec![one(body(&[])), missing()]).await;
    serve(&server, "DELETE", ONE, vec![done(), missing()]).await;
    let refused = testing::status(403, json!({ "id": "forbidden", "message": "no" }));
    serve(&server, "GET", TAG, vec![refused, tag_of(0)]).await;
    serve(&server, "DELETE", TAG, vec![done()]).await;
    let cloud = testing::provider(&server);
    assert_eq!(cloud.destroy(&id()).await.unwrap_err().effect(), Effect::Unknown);
    cloud.destroy(&id()).await.unwrap();
    assert!(testing::asked(&server).await.contains(&format!("DELETE {TAG}")));
}

#[tokio::test]
async fn one_that_is_gone_is_destroyed_and_one_at_work_is_busy() {
    let server = MockServer::start().await;
    serve(&server, "GET", ONE, vec![missing()]).await;
    serve(&server, "DELETE", ONE, vec![missing()]).await;
    testing::provider(&server).destroy(&id()).await.unwrap();
    let server = standing(&[]).await;
    serve(&server, "DELETE", ONE, vec![busy()]).await;
    let error = testing::provider(&server).destroy(&id()).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Busy, Effect::NotApplied));
    assert!(!testing::asked(&server).await.iter().any(|call| call.contains(TAG)), "its members stay");
}

#[tokio::test]
async fn one_that_does_not_show_yet_is_not_taken_for_gone() {
    let server = creating(vec![listed(&[])], accepted()).await;
    serve(&server, "GET", ONE, vec![missing()]).await;
    serve(&server, "DELETE", ONE, vec![missing()]).await;
    let cloud = testing::provider(&server);
    cloud.ensure(&spec()).await.unwrap();
    assert_eq!(cloud.destroy(&id()).await.unwrap_err().kind(), ErrorKind::Busy);
}
