//! Creating and changing.

use super::*;

#[tokio::test]
async fn a_load_balancer_is_created_by_its_name_and_tag() {
    // The list lags behind.
    let server = creating(vec![listed(&[])], accepted()).await;
    serve(&server, "GET", ONE, vec![missing(), one(body(&[]))]).await;
    let cloud = testing::provider(&server);
    let made = cloud.ensure(&spec()).await.unwrap();
    assert_eq!((made.id, made.state, made.endpoint), (id(), LoadBalancerState::Pending, None));
    let again = cloud.ensure(&spec()).await.unwrap();
    assert_eq!(again.id, id(), "the list does not show it, and it is not created again");
    assert_eq!(LoadBalancers::list(&cloud, "remint-01").await.unwrap(), [again]);
    assert_eq!(
        testing::bodies(&server, "POST", ALL).await,
        [json!({
            "name": NAME, "region": "nyc3", "tag": NAME, "type": "REGIONAL",
            "forwarding_rules": [{"entry_protocol": "http", "entry_port": 80, "target_protocol": "http",
                "target_port": 8080, "tls_passthrough": false}],
            "health_check": {"protocol": "http", "port": 8080, "path": "/health", "check_interval_seconds": 10,
                "response_timeout_seconds": 5, "healthy_threshold": 3, "unhealthy_threshold": 5},
            "firewall": {"allow": ["cidr:192.0.2.0/24", "ip:198.51.100.7"], "deny": []},
        })]
    );
    assert_eq!(testing::bodies(&server, "POST", TAGS).await, [json!({ "name": NAME })]);
    assert_eq!(LoadBalancers::get(&cloud, &id()).await.unwrap().state, LoadBalancerState::Pending, "not shown yet");
    let active = LoadBalancers::get(&cloud, &id()).await.unwrap();
    assert_eq!(active.state, LoadBalancerState::Active);
    let Some(Endpoint::Address(address)) = active.endpoint else { panic!("{active:?}") };
    assert_eq!(address.endpoint(80).to_string(), "203.0.113.9:20080");
}

#[tokio::test]
async fn one_whose_reply_is_lost_is_not_created_twice() {
    let server = creating(vec![listed(&[]), listed(&[]), listed(&[body(&[])])], testing::lost()).await;
    assert_eq!(testing::provider(&server).ensure(&spec()).await.unwrap().id, id());
    assert_eq!(testing::bodies(&server, "POST", ALL).await.len(), 1);
}

#[tokio::test]
async fn one_that_was_dropped_while_it_was_created_is_not_created_twice() {
    let server = MockServer::start().await;
    serve(&server, "GET", TAG, vec![tag_of(0)]).await;
    testing::serve_late(&server, ALL, accepted(), [listed(&[]), listed(&[body(&[])])]).await;
    let cloud = testing::provider(&server);
    testing::drop_once_asked(&server, ALL, cloud.ensure(&spec())).await;
    assert_eq!(cloud.ensure(&spec()).await.unwrap().id, id());
    assert_eq!(testing::bodies(&server, "POST", ALL).await.len(), 1);
}

#[tokio::test]
async fn members_of_an_earlier_one_do_not_come_by_themselves() {
    let server = MockServer::start().await;
    serve(&server, "GET", ALL, vec![listed(&[])]).await;
    serve(&server, "GET", TAG, vec![tag_of(2)]).await;
    serve(&server, "DELETE", TAG, vec![done()]).await;
    serve(&server, "POST", TAGS, vec![testing::status(201, json!({ "tag": { "name": NAME } }))]).await;
    serve(&server, "POST", ALL, vec![accepted()]).await;
    testing::provider(&server).ensure(&spec()).await.unwrap();
    let wanted = ["GET ", "GET ", "DELETE ", "POST ", "POST "].iter().zip([ALL, TAG, TAG, TAGS, ALL]);
    let wanted: Vec<String> = wanted.map(|(verb, path)| format!("{verb}{path}")).collect();
    assert_eq!(testing::asked(&server).await, wanted);
}

#[tokio::test]
async fn one_that_is_as_asked_is_left_alone() {
    let server = standing(&[7]).await;
    let found = testing::provider(&server).ensure(&spec()).await.unwrap();
    assert!(found.settings.is_as(&spec().settings), "{:?}", found.settings);
    assert_eq!(testing::asked(&server).await, [format!("GET {ALL}")]);
}

#[tokio::test]
async fn a_change_keeps_what_remint_does_not_set() {
    let server = standing(&[7]).await;
    serve(&server, "PUT", ONE, vec![one(body(&[7]))]).await;
    let mut wanted = spec();
    wanted.settings.check.protocol = CheckProtocol::Tcp;
    wanted.settings.sources.clear();
    testing::provider(&server).ensure(&wanted).await.unwrap();
    assert_eq!(
        testing::bodies(&server, "PUT", ONE).await,
        [json!({
            "name": NAME, "region": "nyc3", "tag": NAME, "type": "REGIONAL", "size_unit": 2,
            "sticky_sessions": {"type": "cookies", "cookie_name": "DO-LB", "cookie_ttl_seconds": 300},
            "redirect_http_to_https": true, "enable_proxy_protocol": false, "http_idle_timeout_seconds": 90,
            "vpc_uuid": "c33931f2-a26a-4e61-b85c-4e95a2ec431b",
            "forwarding_rules": [{"entry_protocol": "http", "entry_port": 80, "target_protocol": "http",
                "target_port": 8080, "tls_passthrough": false}],
            "health_check": {"protocol": "tcp", "port": 8080, "check_interval_seconds": 10,
                "response_timeout_seconds": 5, "healthy_threshold": 3, "unhealthy_threshold": 5},
            "firewall": {"allow": [], "deny": ["ip:192.0.2.66"]},
        })]
    );
    assert!(testing::bodies(&server, "POST", TAGS).await.is_empty());
}

#[tokio::test]
async fn what_was_changed_by_hand_is_changed_back() {
    let rule = |entry: &str, target: &str| {
        json!({ "forwarding_rules": [{"entry_protocol": entry, "entry_port": 80, "target_protocol": target,
            "target_port": 8080, "certificate_id": null, "tls_passthrough": null}] })
    };
    for fields in [
        rule("udp", "udp"),
        rule("http", "http2"),
        json!({ "health_check": {"protocol": "https", "port": 8080, "path": "/health"} }),
        json!({ "firewall": {"allow": ["cidr:192.0.2.0/24", "ip:198.51.100.7", "country:nowhere"]} }),
        json!({ "firewall": null }),
    ] {
        let server = MockServer::start().await;
        serve(&server, "GET", ALL, vec![listed(&[with(fields.clone())])]).await;
        serve(&server, "PUT", ONE, vec![one(body(&[]))]).await;
        testing::provider(&server).ensure(&spec()).await.unwrap();
        assert_eq!(testing::bodies(&server, "PUT", ONE).await.len(), 1, "{fields}");
    }
}

#[tokio::test]
async fn members_that_were_named_by_hand_stay_members() {
    let server = MockServer::start().await;
    serve(&server, "GET", ALL, vec![listed(&[with(json!({ "tag": "", "droplet_ids": [7, 8] }))])]).await;
    serve(&server, "POST", TAGS, vec![testing::status(201, json!({ "tag": { "name": NAME } }))]).await;
    serve(&server, "POST", TAGGED, vec![done()]).await;
    serve(&server, "PUT", ONE, vec![one(body(&[7, 8]))]).await;
    testing::provider(&server).ensure(&spec()).await.unwrap();
    assert_eq!(testing::bodies(&server, "POST", TAGGED).await, [json!({ "resources": [droplet(7), droplet(8)] })]);
    let change = testing::bodies(&server, "PUT", ONE).await.remove(0);
    assert_eq!((&change["tag"], change.get("droplet_ids")), (&json!(NAME), None));
}

#[tokio::test]
async fn two_of_a_name_are_a_conflict_that_names_both() {
    let server = MockServer::start().await;
    let other = with(json!({ "id": "aaaa" }));
    serve(&server, "GET", ALL, vec![listed(&[body(&[]), other])]).await;
    let error = testing::provider(&server).ensure(&spec()).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Conflict, Effect::NotApplied));
    assert!(error.message().contains(ID) && error.message().contains("aaaa"), "{error}");
    assert_eq!(testing::asked(&server).await.len(), 1);
}

#[tokio::test]
async fn one_in_another_region_is_a_conflict() {
    let server = standing(&[]).await;
    let error = testing::provider(&server).ensure(&LoadBalancerSpec { region: "ams3".into(), ..spec() }).await;
    let error = error.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Conflict, Effect::NotApplied));
    assert!(error.message().contains("nyc3"), "{error}");
}

#[tokio::test]
async fn one_that_is_at_work_is_busy_and_asked_again() {
    let server = standing(&[]).await;
    serve(&server, "PUT", ONE, vec![busy(), one(body(&[]))]).await;
    let mut wanted = spec();
    wanted.settings.check.healthy = 2;
    testing::provider(&server).ensure(&wanted).await.unwrap();
    let server = standing(&[]).await;
    serve(&server, "PUT", ONE, vec![busy()]).await;
    let error = testing::provider(&server).ensure(&wanted).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Busy, Effect::NotApplied));
}

#[tokio::test]
async fn what_digitalocean_cannot_hold_is_refused_before_anything_is_asked() {
    type Change = fn(&mut LoadBalancerSettings);
    let changes: [Change; 4] = [
        |settings| settings.check.interval = Duration::from_secs(2),
        |settings| settings.check.timeout = Duration::from_secs(301),
        |settings| settings.check.healthy = 1,
        |settings| settings.listeners.clear(),
    ];
    let server = MockServer::start().await;
    for change in changes {
        let mut wanted = spec();
        change(&mut wanted.settings);
        let error = testing::provider(&server).ensure(&wanted).await.unwrap_err();
        assert_eq!((error.kind(), error.resource()), (ErrorKind::InvalidInput, Some(NAME)), "{error}");
    }
    assert!(testing::asked(&server).await.is_empty());
}

#[tokio::test]
async fn a_certificate_is_found_by_its_name() {
    let server = creating(vec![listed(&[])], accepted()).await;
    let known = json!({ "certificates": [{ "id": CERTIFICATE, "name": "app", "state": "verified" }], "links": {} });
    serve(&server, "GET", CERTIFICATES, vec![testing::json(known)]).await;
    let cloud = testing::provider(&server);
    cloud.ensure(&https("app")).await.unwrap();
    let rule = &testing::bodies(&server, "POST", ALL).await[0]["forwarding_rules"][0];
    let wanted = json!({"entry_protocol": "https", "entry_port": 443, "target_protocol": "http", "target_port": 8080,
        "certificate_id": CERTIFICATE, "tls_passthrough": false});
    assert_eq!(*rule, wanted);
    let before = testing::asked(&server).await.len();
    let error = cloud.ensure(&https("other")).await.unwrap_err();
    assert_eq!((error.kind(), error.resource()), (ErrorKind::InvalidInput, Some("other")));
    assert_eq!(testing::asked(&server).await.len(), before + 1, "nothing else was asked");
}

#[tokio::test]
async fn a_certificate_that_was_renewed_is_taken_into_use() {
    let server = MockServer::start().await;
    let rule = json!([{"entry_protocol": "https", "entry_port": 443, "target_protocol": "http", "target_port": 8080,
        "certificate_id": "00000000-bb95-49bc-8021-3afd67a210bf", "tls_passthrough": false}]);
    serve(&server, "GET", ALL, vec![listed(&[with(json!({ "forwarding_rules": rule }))])]).await;
    let known = json!({ "certificates": [{ "id": CERTIFICATE, "name": "app" }], "links": {} });
    serve(&server, "GET", CERTIFICATES, vec![testing::json(known)]).await;
    serve(&server, "PUT", ONE, vec![one(body(&[]))]).await;
    testing::provider(&server).ensure(&https("app")).await.unwrap();
    let change = testing::bodies(&server, "PUT", ONE).await.remove(0);
    assert_eq!(change["forwarding_rules"][0]["certificate_id"], json!(CERTIFICATE));
}

#[tokio::test]
async fn a_list_has_all_pages_and_only_the_prefix() {
    let server = MockServer::start().await;
    let page = |body: Value, links: Value| testing::json(json!({ "load_balancers": [body], "links": links }));
    let next = json!({ "pages": { "next": format!("{}{ALL}?page=2&per_page=200", server.uri()) } });
    let foreign = with(json!({ "id": "aaaa", "name": "web" }));
    serve(&server, "GET", ALL, vec![page(foreign, next), page(body(&[]), json!({}))]).await;
    let found = LoadBalancers::list(&testing::provider(&server), "remint-").await.unwrap();
    assert_eq!(found.iter().map(|balancer| balancer.id.as_str()).collect::<Vec<_>>(), [ID]);
    assert_eq!(testing::asked(&server).await.len(), 2);
}

#[tokio::test]
async fn a_status_of_the_cloud_is_a_state() {
    for (status, state) in [("new", LoadBalancerState::Pending), ("active", LoadBalancerState::Active)] {
        let server = MockServer::start().await;
        serve(&server, "GET", ONE, vec![one(with(json!({ "status": status })))]).await;
        assert_eq!(LoadBalancers::get(&testing::provider(&server), &id()).await.unwrap().state, state);
    }
    let server = MockServer::start().await;
    serve(&server, "GET", ONE, vec![one(with(json!({ "status": "errored" }))), missing()]).await;
    let cloud = testing::provider(&server);
    let state = LoadBalancers::get(&cloud, &id()).await.unwrap().state;
    assert!(matches!(state, LoadBalancerState::Failed(_)), "{state:?}");
    assert_eq!(LoadBalancers::get(&cloud, &id()).await.unwrap_err().kind(), ErrorKind::NotFound);
}
