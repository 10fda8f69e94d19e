use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use remint_core::provider::{Descriptor, Guest, Instances, LoginKeyId, Provider, label};
use secrecy::SecretString;
use serde_json::{Value, json};
use wiremock::{
    Mock, MockServer, Request, ResponseTemplate,
    matchers::{method, path, query_param},
};

use super::*;
use crate::{DESCRIPTOR, testing};

const TAGS: [&str; 3] = ["remint:service:app", "remint:role:instance", "web"];
const DROPLETS: &str = "/v2/droplets";

fn spec(names: &[&str]) -> LaunchSpec {
    LaunchSpec {
        names: names.iter().map(|&name| name.to_owned()).collect(),
        new_names: false,
        image: ImageId::new("77"),
        size: SizeName::new("s-1vcpu-1gb"),
        region: Region::new("nyc3"),
        labels: Labels::new().with(label::SERVICE, "app").with(label::ROLE, "instance"),
        user_data: Some(SecretString::from("#cloud-config")),
        login_keys: vec![LoginKeyId::new("5")],
    }
}

fn listed(droplets: &[Value]) -> ResponseTemplate {
    testing::json(json!({"droplets": droplets, "links": {}, "meta": {"total": droplets.len()}}))
}

/// Lists what was created, `lag` calls late, and answers create calls with `reply`, after `commit` says yes.
async fn cloud(server: &MockServer, lag: usize, commits: Vec<bool>, reply: ResponseTemplate) {
    let made: Arc<Mutex<Vec<Value>>> = Arc::default();
    let (shown, calls) = (Arc::clone(&made), Arc::new(Mutex::new((0, 0))));
    let seen = Arc::clone(&calls);
    let list = move |_: &Request| {
        let mut calls = seen.lock().unwrap();
        if calls.0 > 0 {
            calls.1 += 1;
        }
        let shown = if calls.1 > lag { shown.lock().unwrap().clone() } else { Vec::new() };
        listed(&shown)
    };
    let tagged = query_param("tag_name", "remint:service:app");
    Mock::given(method("GET")).and(path(DROPLETS)).and(tagged).respond_with(list).mount(server).await;
    let create = move |request: &Request| {
        let body: Value = request.body_json().unwrap();
        let mut calls = calls.lock().unwrap();
        if commits.get(calls.0).copied().unwrap_or(true) {
            let names = body["names"].as_array().cloned().unwrap_or_else(|| vec![body["name"].clone()]);
            for name in names {
                let mut made = made.lock().unwrap();
                let id = made.len() as u64 + 1;
                made.push(testing::droplet(id, name.as_str().unwrap(), "new", &TAGS));
            }
        }
        calls.0 += 1;
        reply.clone()
    };
    Mock::given(method("POST")).and(path(DROPLETS)).respond_with(create).mount(server).await;
}

async fn creates(server: &MockServer) -> usize {
    testing::bodies(server, "POST", DROPLETS).await.len()
}

#[tokio::test]
async fn a_launch_whose_reply_is_lost_is_found_again_and_not_made_twice() {
    let server = MockServer::start().await;
    cloud(&server, 2, vec![true], testing::lost()).await;
    let launched = testing::provider(&server).launch(&spec(&["app-0", "app-1"])).await.unwrap();
    assert_eq!(launched.iter().map(|i| i.name.as_str()).collect::<Vec<_>>(), ["app-0", "app-1"]);
    assert_eq!(creates(&server).await, 1, "the list lags, and one create call was enough");
}

#[tokio::test]
async fn a_droplet_that_is_being_made_for_a_dropped_call_is_the_one_of_the_next() {
    let server = MockServer::start().await;
    let droplet = testing::droplet(1, "app-0", "new", &TAGS);
    let made = testing::status(202, json!({ "droplet": droplet }));
    testing::serve_late(&server, DROPLETS, made, [listed(&[]), listed(&[droplet])]).await;
    let cloud = testing::provider(&server);
    testing::drop_once_asked(&server, DROPLETS, cloud.launch(&spec(&["app-0"]))).await;
    let launched = cloud.launch(&spec(&["app-0"])).await.unwrap();
    assert_eq!((launched[0].id.as_str(), creates(&server).await), ("1", 1));
}

#[tokio::test]
async fn a_launch_that_was_lost_for_good_is_made_again() {
    let server = MockServer::start().await;
    cloud(&server, 0, vec![false, true], testing::lost()).await;
    let launched = testing::provider(&server).launch(&spec(&["app-0"])).await.unwrap();
    assert_eq!((launched.len(), launched[0].id.as_str()), (1, "1"));
    assert_eq!(creates(&server).await, 2);
}

#[tokio::test]
async fn a_launch_gives_up_when_every_reply_is_lost() {
    let server = MockServer::start().await;
    cloud(&server, 0, vec![false; 9], testing::lost()).await;
    let error = testing::provider(&server).launch(&spec(&["app-0"])).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Unavailable, Effect::Unknown));
    assert_eq!(creates(&server).await, 3);
}

#[tokio::test]
async fn only_the_missing_are_made_in_one_call_with_everything_they_need() {
    let server = MockServer::start().await;
    let standing = testing::droplet(9, "app-1", "active", &TAGS);
    testing::serve(&server, "GET", DROPLETS, vec![listed(&[standing])]).await;
    let made = [testing::droplet(10, "app-0", "new", &TAGS), testing::droplet(11, "app-2", "new", &[])];
    testing::serve(&server, "POST", DROPLETS, vec![testing::status(202, json!({ "droplets": made }))]).await;
    let cloud = testing::provider(&server);
    let launched = cloud.launch(&spec(&["app-0", "app-1", "app-2"])).await.unwrap();
    assert_eq!(launched.iter().map(|i| i.id.as_str()).collect::<Vec<_>>(), ["10", "9", "11"]);
    assert_eq!(launched[0].address, None, "networks are empty while a droplet is new");
    assert_eq!(launched[1].address.as_ref().unwrap().endpoint(22).to_string(), "203.0.113.9:20022");
    assert_eq!(launched[1].labels, spec(&[]).labels, "other people's tags are no labels");
    assert_eq!(launched[2].labels, spec(&[]).labels, "tags may be attached after the reply");
    let sent = testing::bodies(&server, "POST", DROPLETS).await;
    let expected = json!({"names": ["app-0", "app-2"], "region": "nyc3", "size": "s-1vcpu-1gb", "image": 77,
        "tags": ["remint:role:instance", "remint:service:app"], "ssh_keys": [5], "user_data": "#cloud-config",
        "with_droplet_agent": false});
    assert_eq!(sent, [expected]);
    assert_eq!(cloud.calls().count().total(), 2);

    cloud.launch(&spec(&["app-0", "app-1", "app-2"])).await.unwrap();
    assert_eq!(creates(&server).await, 1, "the list does not show two of them yet");
}

#[tokio::test]
async fn a_name_with_other_labels_is_a_conflict() {
    let server = MockServer::start().await;
    let other = testing::droplet(9, "app-0", "active", &["remint:service:app", "remint:role:builder"]);
    testing::serve(&server, "GET", DROPLETS, vec![listed(&[other])]).await;
    let error = testing::provider(&server).launch(&spec(&["app-0"])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(creates(&server).await, 0);
}

#[tokio::test]
async fn a_bad_launch_is_refused_before_any_call() {
    let server = MockServer::start().await;
    let cloud = testing::provider(&server);
    let fat = LaunchSpec { user_data: Some(SecretString::from("x".repeat(65_537))), ..spec(&["app-0"]) };
    let many: Vec<String> = (0..11).map(|n| format!("app-{n}")).collect();
    for spec in [fat, LaunchSpec { names: many, ..spec(&[]) }, LaunchSpec { labels: Labels::new(), ..spec(&["a"]) }] {
        assert_eq!(cloud.launch(&spec).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    }
    assert_eq!(cloud.calls().count().total(), 0);
}

async fn just_launched(server: &MockServer, grace: Duration) -> DigitalOcean {
    testing::serve(server, "GET", DROPLETS, vec![listed(&[])]).await;
    let made = json!({"droplet": testing::droplet(7, "app-0", "new", &TAGS)});
    testing::serve(server, "POST", DROPLETS, vec![testing::status(202, made)]).await;
    let options = crate::ClientOptions { grace, ..testing::options(server.uri().parse().unwrap()) };
    let cloud = DigitalOcean::new(options).unwrap();
    cloud.launch(&spec(&["app-0"])).await.unwrap();
    cloud
}

#[tokio::test]
async fn a_droplet_that_does_not_show_yet_is_pending_and_not_gone() {
    let server = MockServer::start().await;
    let cloud = just_launched(&server, Duration::from_secs(60)).await;
    let id = InstanceId::new("7");
    testing::serve(&server, "DELETE", "/v2/droplets/7", vec![testing::status(404, json!({}))]).await;
    assert_eq!(Instances::get(&cloud, &id).await.unwrap().state, InstanceState::Pending);
    let selector = Selector::all().with(label::SERVICE, "app");
    assert_eq!(Instances::list(&cloud, &selector).await.unwrap().len(), 1);
    let none = Selector::all().with(label::SERVICE, "other");
    assert!(Instances::list(&cloud, &none).await.unwrap().is_empty());
    let error = cloud.destroy(&id).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy, "a 404 does not prove that it is gone");
}

#[tokio::test]
async fn a_droplet_that_vanished_is_reported_as_such() {
    let server = MockServer::start().await;
    let cloud = just_launched(&server, Duration::ZERO).await;
    let error = Instances::get(&cloud, &InstanceId::new("7")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("droplet 7 (app-0) was accepted, and is gone"), "{error}");
    assert!(error.hint().is_some());
}

#[tokio::test]
async fn a_droplet_that_ran_and_is_missing_is_gone() {
    let server = MockServer::start().await;
    let cloud = just_launched(&server, Duration::from_secs(60)).await;
    let running = testing::json(json!({"droplet": testing::droplet(7, "app-0", "active", &TAGS)}));
    testing::serve(&server, "GET", "/v2/droplets/7", vec![running, testing::status(404, json!({}))]).await;
    let id = InstanceId::new("7");
    assert_eq!(Instances::get(&cloud, &id).await.unwrap().state, InstanceState::Running);
    assert_eq!(Instances::get(&cloud, &id).await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn destroying_is_busy_while_the_cloud_refuses_and_done_when_gone() {
    let server = MockServer::start().await;
    let refused = testing::status(422, testing::refusal("the droplet cannot be deleted"));
    testing::serve(&server, "DELETE", "/v2/droplets/1", vec![refused]).await;
    testing::serve(&server, "DELETE", "/v2/droplets/2", vec![testing::status(404, json!({}))]).await;
    let accepted = vec![testing::lost(), ResponseTemplate::new(204)];
    testing::serve(&server, "DELETE", "/v2/droplets/3", accepted).await;
    let standing = testing::json(json!({"droplet": testing::droplet(3, "app-0", "active", &TAGS)}));
    testing::serve(&server, "GET", "/v2/droplets/3", vec![standing]).await;
    let cloud = testing::provider(&server);
    assert_eq!(cloud.destroy(&InstanceId::new("1")).await.unwrap_err().kind(), ErrorKind::Busy);
    cloud.destroy(&InstanceId::new("2")).await.unwrap();
    cloud.destroy(&InstanceId::new("3")).await.unwrap();
    let state = Instances::get(&cloud, &InstanceId::new("3")).await.unwrap().state;
    assert_eq!(state, InstanceState::Destroying);
}

#[tokio::test]
async fn power_reads_the_state_and_survives_a_pending_event_and_a_lost_reply() {
    let server = MockServer::start().await;
    let droplet = |status: &str| testing::json(json!({"droplet": testing::droplet(1, "app-0", status, &TAGS)}));
    testing::serve(&server, "GET", "/v2/droplets/1", vec![droplet("active"), droplet("active"), droplet("off")]).await;
    let busy = testing::status(422, testing::refusal("Droplet already has a pending event."));
    testing::serve(&server, "POST", "/v2/droplets/1/actions", vec![busy, testing::lost(), testing::lost()]).await;
    let (cloud, id) = (testing::provider(&server), InstanceId::new("1"));
    cloud.power(&id, PowerOp::Start).await.unwrap();
    assert_eq!(cloud.calls().count().mutations, 0, "it runs already");
    cloud.power(&id, PowerOp::Stop).await.unwrap();
    assert_eq!(testing::bodies(&server, "POST", "/v2/droplets/1/actions").await.len(), 2);
    cloud.power(&id, PowerOp::ForceStop).await.unwrap();
    assert_eq!(cloud.calls().count().mutations, 2, "it is off already");
}

#[tokio::test]
async fn a_label_replaces_the_value_and_makes_the_tag_where_there_is_none() {
    let server = MockServer::start().await;
    let droplet = testing::droplet(1, "app-0", "active", &["remint:role:instance", "remint:service:app", "web"]);
    testing::serve(&server, "GET", "/v2/droplets/1", vec![testing::json(json!({ "droplet": droplet }))]).await;
    let (new, old) = ("/v2/tags/remint:role:parked/resources", "/v2/tags/remint:role:instance/resources");
    let missing = testing::status(404, json!({"id": "not_found"}));
    testing::serve(&server, "POST", new, vec![missing, ResponseTemplate::new(204)]).await;
    testing::serve(&server, "POST", "/v2/tags", vec![testing::status(201, json!({"tag": {}}))]).await;
    testing::serve(&server, "DELETE", old, vec![ResponseTemplate::new(204)]).await;
    let labels = Labels::new().with(label::ROLE, "parked");
    testing::provider(&server).label(&InstanceId::new("1"), &labels).await.unwrap();
    let expected = ["GET /v2/droplets/1", &format!("POST {new}"), "POST /v2/tags", &format!("POST {new}")];
    let asked = testing::asked(&server).await;
    assert_eq!(asked[..4], expected);
    assert_eq!(asked[4..], [format!("DELETE {old}")]);
}

#[tokio::test]
async fn shapes_are_read_once_and_wrong_names_get_the_nearest_right_ones() {
    let server = MockServer::start().await;
    let size = |slug: &str, regions: &[&str]| {
        json!({"slug": slug, "memory": 1024, "vcpus": 1, "disk": 25, "price_hourly": 0.009, "regions": regions,
            "available": true})
    };
    let sizes = [size("s-1vcpu-1gb", &["nyc3", "fra1"]), size("s-1vcpu-2gb", &["nyc3"]), size("gd-40vcpu", &["fra1"])];
    testing::serve(&server, "GET", "/v2/sizes", vec![testing::json(json!({"sizes": sizes, "links": {}}))]).await;
    let cloud = testing::provider(&server);
    let shape = async |size: &str, region: &str| cloud.shape(&SizeName::new(size), &Region::new(region)).await;
    assert_eq!(shape("s-1vcpu-1gb", "nyc3").await.unwrap().disk_gib, 25);
    for (size, region, nearest) in
        [("s-1cpu-1gb", "nyc3", "s-1vcpu-1gb"), ("s-1vcpu-2gb", "fra1", "s-1vcpu-1gb"), ("s-1vcpu-1gb", "nyc1", "nyc3")]
    {
        let error = shape(size, region).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let hint = error.hint().unwrap();
        assert_eq!(hint.split(": ").nth(1).unwrap().split(", ").next(), Some(nearest), "{hint}");
    }
    assert_eq!(cloud.calls().count().total(), 1);
}

#[tokio::test]
async fn a_console_is_read_only_where_it_is_declared() {
    static OTHER: Descriptor = Descriptor {
        id: "other",
        title: "Other",
        capabilities: &[Capability::InstanceConsole],
        limits: crate::LIMITS,
        guest: Guest::CLOUD_INIT,
    };
    let server = MockServer::start().await;
    let console = ResponseTemplate::new(200).set_body_string("login:");
    testing::serve(&server, "GET", "/x/droplets/7/console", vec![console]).await;
    let cloud = |descriptor: &'static Descriptor| {
        let options = testing::options(server.uri().parse().unwrap());
        let console_path = Some("/x/droplets/{id}/console");
        DigitalOcean::new(crate::ClientOptions { descriptor, console_path, ..options }).unwrap()
    };
    let id = InstanceId::new("7");
    assert_eq!(cloud(&OTHER).console_output(&id).await.unwrap(), "login:");
    assert!(cloud(&OTHER).dns_zones().is_none() && cloud(&DESCRIPTOR).dns_zones().is_some());
    assert_eq!(cloud(&DESCRIPTOR).console_output(&id).await.unwrap_err().kind(), ErrorKind::Unsupported);
}

/// A droplet with its own address 203.0.113.7 and, before or after it, a reserved IP.
fn with_reserved_ip(reserved_first: bool) -> Value {
    let mut droplet = testing::droplet(7, "app-0", "active", &TAGS);
    let v4 = droplet["networks"]["v4"].as_array_mut().unwrap();
    let at = if reserved_first { 0 } else { v4.len() };
    v4.insert(at, json!({"ip_address": "198.51.100.1", "type": "public"}));
    droplet
}

fn reserved_ips(droplet: &Value) -> ResponseTemplate {
    let ip = json!({"ip": "198.51.100.1", "region": {"slug": "nyc3"}, "droplet": droplet, "locked": false});
    testing::json(json!({"reserved_ips": [ip], "links": {}}))
}

#[tokio::test]
async fn the_address_of_an_instance_is_its_own_and_not_the_reserved_ip_that_points_at_it() {
    for reserved_first in [true, false] {
        let droplet = with_reserved_ip(reserved_first);
        let server = MockServer::start().await;
        testing::serve(&server, "GET", DROPLETS, vec![listed(std::slice::from_ref(&droplet))]).await;
        let one = testing::json(json!({"droplet": droplet}));
        testing::serve(&server, "GET", "/v2/droplets/7", vec![one]).await;
        testing::serve(&server, "GET", "/v2/reserved_ips", vec![reserved_ips(&droplet)]).await;
        let own = |instance: Instance| instance.address.unwrap().ip.to_string();
        let cloud = testing::provider(&server);
        assert_eq!(own(cloud.list(&Selector::all()).await.unwrap().remove(0)), "203.0.113.7");
        assert_eq!(own(Instances::get(&cloud, &"7".into()).await.unwrap()), "203.0.113.7");
        let asked = testing::asked(&server).await;
        assert_eq!(asked.iter().filter(|call| *call == "GET /v2/reserved_ips").count(), 1, "known from then on");
        assert_eq!(own(Instances::get(&testing::provider(&server), &"7".into()).await.unwrap()), "203.0.113.7");
    }
}

#[tokio::test]
async fn an_address_that_was_seen_alone_is_known_without_a_further_call() {
    let server = MockServer::start().await;
    let alone = testing::droplet(7, "app-0", "active", &TAGS);
    let both = [true, false].map(|first| testing::json(json!({"droplet": with_reserved_ip(first)})));
    let answers = std::iter::once(testing::json(json!({"droplet": alone}))).chain(both).collect();
    testing::serve(&server, "GET", "/v2/droplets/7", answers).await;
    let cloud = testing::provider(&server);
    for _ in 0..3 {
        let shown = Instances::get(&cloud, &"7".into()).await.unwrap();
        assert_eq!(shown.address.unwrap().ip.to_string(), "203.0.113.7");
    }
    assert!(testing::asked(&server).await.iter().all(|call| call == "GET /v2/droplets/7"));
}

#[tokio::test]
async fn tags_that_the_token_may_not_see_are_an_error_that_names_the_scope() {
    let server = MockServer::start().await;
    let mut droplet = testing::droplet(7, "app-0", "active", &TAGS);
    droplet.as_object_mut().unwrap().remove("tags");
    testing::serve(&server, "GET", DROPLETS, vec![listed(&[droplet])]).await;
    let error = testing::provider(&server).list(&Selector::all()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden);
    assert!(error.message().contains("`tag:read`"), "{error}");
}

#[tokio::test]
async fn the_options_are_asked_for_and_a_vpc_holds_for_its_region() {
    let server = MockServer::start().await;
    let made = testing::status(202, json!({"droplet": testing::droplet(7, "app-0", "new", &TAGS)}));
    testing::serve(&server, "POST", DROPLETS, vec![made]).await;
    let vpc = "5a4981aa-9653-4bd1-bef5-d6bff52042e4";
    let config =
        crate::Config { vpc: Some(vpc.to_owned()), tags: vec!["web".to_owned()], monitoring: true, ipv6: true };
    for (home, sent) in [(None, true), (Some("nyc3"), true), (Some("ams3"), false)] {
        let options = testing::options(server.uri().parse().unwrap());
        let options = crate::ClientOptions { config: config.clone(), home: home.map(Region::from), ..options };
        let cloud = crate::DigitalOcean::new(options).unwrap();
        cloud.launch(&LaunchSpec { new_names: true, ..spec(&["app-0"]) }).await.unwrap();
        let body = testing::bodies(&server, "POST", DROPLETS).await.pop().unwrap();
        assert_eq!(body["tags"], json!(["remint:role:instance", "remint:service:app", "web"]));
        assert_eq!((&body["monitoring"], &body["ipv6"]), (&json!(true), &json!(true)));
        assert_eq!(body["vpc_uuid"].as_str(), sent.then_some(vpc));
    }
    testing::provider(&server).launch(&LaunchSpec { new_names: true, ..spec(&["app-0"]) }).await.unwrap();
    let body = testing::bodies(&server, "POST", DROPLETS).await.pop().unwrap();
    for name in ["vpc_uuid", "monitoring", "ipv6"] {
        assert!(body.get(name).is_none(), "{name} is left to DigitalOcean");
    }
}

#[tokio::test]
async fn a_region_without_room_is_told_with_what_else_there_is() {
    let size = |slug: &str, regions: &[&str]| json!({"slug": slug, "memory": 1024, "vcpus": 1, "disk": 25, "price_hourly": 0.01, "regions": regions, "available": true});
    let sizes = [size("s-1vcpu-1gb", &["nyc3", "ams3"]), size("s-1vcpu-2gb", &["nyc3"]), size("c-2", &["ams3"])];
    let server = MockServer::start().await;
    testing::serve(&server, "GET", "/v2/sizes", vec![testing::json(json!({"sizes": sizes, "links": {}}))]).await;
    let refused = testing::status(422, testing::refusal("Size is not available in this region."));
    testing::serve(&server, "POST", DROPLETS, vec![refused]).await;
    let cloud = testing::provider(&server);
    let spec = LaunchSpec { new_names: true, ..spec(&["app-0"]) };
    cloud.shape(&spec.size, &spec.region).await.unwrap();
    let error = cloud.launch(&spec).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Capacity, Effect::NotApplied));
    let hint = "choose another size (in nyc3: s-1vcpu-2gb) or region (s-1vcpu-1gb is in ams3), or try again later";
    assert_eq!(error.hint(), Some(hint));
    assert_eq!(creates(&server).await, 1, "not repeated in place");
}
