//! Members and their health.

use super::*;

#[tokio::test]
async fn instances_become_members_in_one_call_that_makes_the_tag() {
    let server = standing(&[7]).await;
    for id in [8, 9] {
        let droplet = json!({ "droplet": testing::droplet(id, "app", "active", &[]) });
        serve(&server, "GET", &format!("/v2/droplets/{id}"), vec![testing::json(droplet)]).await;
    }
    serve(&server, "POST", TAGGED, vec![missing(), done()]).await;
    serve(&server, "POST", TAGS, vec![testing::status(201, json!({ "tag": { "name": NAME } }))]).await;
    let cloud = testing::provider(&server);
    cloud.attach(&id(), &instances(&[7, 8, 9])).await.unwrap();
    let wanted = json!({ "resources": [droplet(8), droplet(9)] });
    assert_eq!(testing::bodies(&server, "POST", TAGGED).await, [wanted.clone(), wanted]);
    cloud.attach(&id(), &instances(&[7])).await.unwrap();
    assert_eq!(testing::bodies(&server, "POST", TAGGED).await.len(), 2, "a member is left alone");
}

#[tokio::test]
async fn what_cannot_be_a_member_is_refused_before_anything_is_tagged() {
    let server = standing(&[]).await;
    let mut elsewhere = testing::droplet(8, "app", "active", &[]);
    elsewhere["region"]["slug"] = json!("ams3");
    serve(&server, "GET", "/v2/droplets/8", vec![testing::json(json!({ "droplet": elsewhere }))]).await;
    serve(&server, "GET", "/v2/droplets/9", vec![missing()]).await;
    let cloud = testing::provider(&server);
    let refused = |instances: Vec<InstanceId>| {
        let cloud = &cloud;
        async move { cloud.attach(&id(), &instances).await.unwrap_err().kind() }
    };
    assert_eq!(refused(instances(&[8])).await, ErrorKind::InvalidInput);
    assert_eq!(refused(instances(&[9])).await, ErrorKind::NotFound);
    assert_eq!(refused(vec![InstanceId::new("web")]).await, ErrorKind::NotFound);
    assert!(testing::bodies(&server, "POST", TAGGED).await.is_empty());
}

#[tokio::test]
async fn a_droplet_that_is_gone_does_not_keep_the_others_members() {
    let server = standing(&[7, 8]).await;
    serve(&server, "DELETE", TAGGED, vec![missing(), missing(), done(), done()]).await;
    let cloud = testing::provider(&server);
    let mut all = instances(&[6, 7, 8]);
    all.push(InstanceId::new("no-such-instance"));
    cloud.detach(&id(), &all).await.unwrap();
    let asked = testing::bodies(&server, "DELETE", TAGGED).await;
    let ids: Vec<usize> = asked.iter().map(|body| body["resources"].as_array().unwrap().len()).collect();
    assert_eq!((ids, &asked[3]), (vec![3, 1, 1, 1], &json!({ "resources": [droplet(8)] })));
}

fn metric(lines: &[(Value, Value)]) -> ResponseTemplate {
    let lines: Vec<Value> =
        lines.iter().map(|(labels, values)| json!({ "metric": labels, "values": values })).collect();
    testing::json(json!({ "status": "success", "data": { "resultType": "matrix", "result": lines } }))
}

async fn health(cloud: &DigitalOcean) -> Vec<(String, MemberHealth)> {
    let mut members = cloud.members(&id()).await.unwrap();
    members.sort_by(|a, b| a.instance.cmp(&b.instance));
    members.into_iter().map(|member| (member.instance.to_string(), member.health)).collect()
}

fn named(id: u64, health: MemberHealth) -> (String, MemberHealth) {
    (id.to_string(), health)
}

fn out(why: &str) -> MemberHealth {
    MemberHealth::OutOfService(why.to_owned())
}

#[tokio::test]
async fn the_metric_tells_which_members_are_in_service() {
    let server = standing(&[1, 2, 3, 4, 5]).await;
    let labels = |id: &str| json!({ "lb_id": ID, "region": "nyc3", "server": id });
    let lines = [
        (labels("1"), json!([[1_435_781_430, "0"], [1_435_781_550, "1"]])),
        // In no order.
        (labels("2"), json!([[1_435_781_550, "0"], [1_435_781_430, "100"]])),
        (json!({ "lb_id": ID, "droplet_id": "3" }), json!([[1_435_781_550, 50]])),
        (labels("4"), json!([])),
    ];
    serve(&server, "GET", METRIC, vec![metric(&lines)]).await;
    let wanted = [
        named(1, MemberHealth::InService),
        named(2, out("it does not pass its checks")),
        named(3, out("its health is 50 of 100")),
        named(4, MemberHealth::Initial),
        named(5, MemberHealth::Initial),
    ];
    assert_eq!(health(&testing::provider(&server)).await, wanted);
    let requests = server.received_requests().await.unwrap();
    assert_eq!(requests.len(), 2, "as many for five as for one");
    let query: std::collections::HashMap<_, _> = requests[1].url.query_pairs().collect();
    let time = |name: &str| query[name].parse::<i64>().unwrap();
    assert_eq!((&*query["lb_id"], time("end") - time("start")), (ID, 300));
    assert!((time("end") - Timestamp::now().as_second()).abs() < 60);
}

#[tokio::test]
async fn a_line_may_name_the_droplet() {
    let server = standing(&[1, 2, 3]).await;
    let line = |name: &str| (json!({ "lb_id": ID, "server": name }), json!([[1_435_781_550, "100"]]));
    serve(&server, "GET", METRIC, vec![metric(&[line("app-0"), line("twins"), line("gone")])]).await;
    let droplets: Vec<Value> = [(1, "app-0"), (2, "twins"), (3, "twins")]
        .map(|(id, name)| testing::droplet(id, name, "active", &[NAME]))
        .into();
    serve(&server, "GET", "/v2/droplets", vec![testing::json(json!({ "droplets": droplets, "links": {} }))]).await;
    let wanted = [named(1, MemberHealth::InService), named(2, MemberHealth::Initial), named(3, MemberHealth::Initial)];
    assert_eq!(health(&testing::provider(&server)).await, wanted, "a name that two have says nothing");
    let requests = server.received_requests().await.unwrap();
    assert!(requests.iter().any(|request| request.url.query().is_some_and(|query| query.contains(NAME))));
    assert_eq!(requests.len(), 3);
}

#[tokio::test]
async fn nothing_is_known_while_the_metric_is_empty() {
    let server = standing(&[1]).await;
    serve(&server, "GET", METRIC, vec![metric(&[]), metric(&[(json!({ "server": "1" }), json!([]))])]).await;
    let cloud = testing::provider(&server);
    for _ in 0..2 {
        assert_eq!(health(&cloud).await, [named(1, MemberHealth::Unknown)]);
    }
    let empty = standing(&[]).await;
    assert!(testing::provider(&empty).members(&id()).await.unwrap().is_empty());
    assert_eq!(testing::asked(&empty).await.len(), 1, "nobody's health is asked for");
}

#[tokio::test]
async fn what_was_measured_before_a_droplet_was_attached_says_nothing() {
    let server = MockServer::start().await;
    serve(&server, "GET", ONE, vec![one(body(&[])), one(body(&[8]))]).await;
    let droplet = json!({ "droplet": testing::droplet(8, "app", "active", &[]) });
    serve(&server, "GET", "/v2/droplets/8", vec![testing::json(droplet)]).await;
    serve(&server, "POST", TAGGED, vec![done()]).await;
    let now = Timestamp::now().as_second();
    let sampled = |at: i64| metric(&[(json!({ "server": "8" }), json!([[at, "100"]]))]);
    serve(&server, "GET", METRIC, vec![sampled(now - 60), sampled(now + 60)]).await;
    let cloud = testing::provider(&server);
    cloud.attach(&id(), &instances(&[8])).await.unwrap();
    assert_eq!(health(&cloud).await, [named(8, MemberHealth::Initial)], "parked, and attached again");
    assert_eq!(health(&cloud).await, [named(8, MemberHealth::InService)]);
}

#[tokio::test]
async fn a_metric_that_may_not_be_read_is_an_error_that_names_the_scope() {
    let server = standing(&[1]).await;
    let message = "You are missing the required permission monitoring:read";
    serve(&server, "GET", METRIC, vec![testing::status(403, json!({ "id": "forbidden", "message": message }))]).await;
    let error = testing::provider(&server).members(&id()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden);
    assert!(error.hint().unwrap().contains("`monitoring:read`"), "{error:?}");
}
