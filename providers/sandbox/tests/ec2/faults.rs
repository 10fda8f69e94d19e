//! Faults by rule, in each service's words, and the counts of calls.

use std::time::Duration;

use remint_sandbox::faults::{Fault, FaultRule};
use reqwest::Method;

use super::account::{Account, REGION};

fn rule(path: &str, action: &str, fault: Fault) -> FaultRule {
    FaultRule { action: Some(action.to_owned()), ..FaultRule::new("POST", path, fault) }
}

#[tokio::test]
async fn a_rule_names_an_action_and_the_api_answers_in_its_own_words() {
    let account = Account::start().await;
    for (fault, status, code) in [
        (Fault::RateLimited, 503, "RequestLimitExceeded"),
        (Fault::ServerError, 500, "InternalError"),
        (Fault::BadGateway, 503, "Unavailable"),
    ] {
        account.sandbox.add_fault(rule("/", "DescribeRegions", fault)).unwrap();
        account.call("DescribeVpcs", &[]).await.good();
        let refused = account.call("DescribeRegions", &[]).await;
        assert_eq!((refused.status, refused.code().as_str()), (status, code));
        account.call("DescribeRegions", &[]).await.good();
    }
    account.sandbox.add_fault(rule("/", "GetParameter", Fault::RateLimited)).unwrap();
    let (status, body) = account.parameters("GetParameter", r#"{"Name":"x"}"#).await;
    assert_eq!((status, body["__type"].as_str()), (400, Some("ThrottlingException")));
    account.sandbox.add_fault(FaultRule::new("GET", "/2013-04-01/hostedzone", Fault::RateLimited)).unwrap();
    let throttled = account.zones(Method::GET, "/2013-04-01/hostedzone", "").await;
    assert_eq!((throttled.status, throttled.code().as_str()), (400, "Throttling"));
    assert_eq!(account.sandbox.faults_hit(), 5);
}

#[tokio::test]
async fn a_call_whose_client_has_gone_away_is_carried_out() {
    let account = Account::start().await;
    let slow = FaultRule { delay_ms: Some(100), ..rule("/", "AllocateAddress", Fault::Delay) };
    account.sandbox.add_fault(slow).unwrap();
    let call = account.call("AllocateAddress", &[]);
    assert!(tokio::time::timeout(Duration::from_millis(30), call).await.is_err(), "answered before its delay");
    let mut shown = Vec::new();
    for _ in 0..1000 {
        shown = account.call("DescribeAddresses", &[]).await.all("allocationId");
        if !shown.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!((shown.len(), account.sandbox.faults_hit()), (1, 1));
}

#[tokio::test]
async fn what_was_made_last_may_not_be_seen_yet() {
    let account = Account::start().await;
    let (first, second) = (account.instance(&[]).await, account.instance(&[]).await);
    let stale = || account.sandbox.add_fault(rule("/", "DescribeInstances", Fault::StaleList)).unwrap();
    stale();
    assert_eq!(account.call("DescribeInstances", &[]).await.all("instanceId"), std::slice::from_ref(&first));
    stale();
    let missing = account.call("DescribeInstances", &[("InstanceId.1", &second)]).await;
    assert_eq!(missing.code(), "InvalidInstanceID.NotFound");
    assert_eq!(account.call("DescribeInstances", &[]).await.all("instanceId"), [first, second]);
}

#[tokio::test]
async fn a_doomed_launch_ends_terminated_and_a_doomed_image_failed() {
    let account = Account::start().await;
    let image = account.debian(REGION).await;
    account.sandbox.add_fault(rule("/", "RunInstances", Fault::ActionErrored)).unwrap();
    let launch = [("ImageId", image.as_str()), ("MinCount", "1"), ("MaxCount", "1")];
    let doomed = account.call("RunInstances", &launch).await.good().get("instanceId").unwrap();
    let ended = account.until(&doomed, "terminated").await;
    assert!(ended.text.contains("<code>Server.InternalError</code>"), "{ended:?}");
    let id = account.instance(&[]).await;
    account.sandbox.add_fault(rule("/", "CreateImage", Fault::ActionErrored)).unwrap();
    let made = account.call("CreateImage", &[("InstanceId", &id), ("Name", "app"), ("NoReboot", "true")]).await.good();
    let made = made.get("imageId").unwrap();
    let failed = account
        .wait("DescribeImages", &[("ImageId.1", &made)], |answer| answer.get("imageState").as_deref() == Some("failed"))
        .await;
    assert!(failed.get("stateReason").is_some());
    account.call("DeregisterImage", &[("ImageId", &made), ("DeleteAssociatedSnapshots", "true")]).await.good();
}

#[tokio::test]
async fn a_zone_without_room_refuses_launches_and_nothing_else() {
    let account = Account::start().await;
    let image = account.debian(REGION).await;
    let zone = Some("us-east-1a".to_owned());
    account.sandbox.add_fault(FaultRule { count: 0, zone, ..rule("/", "RunInstances", Fault::NoCapacity) }).unwrap();
    let launch = |zone: &'static str| {
        let zone = ("Placement.AvailabilityZone", zone);
        [("ImageId", image.as_str()), ("MinCount", "1"), ("MaxCount", "1"), ("ClientToken", "t"), zone]
    };
    let refused = account.call("RunInstances", &launch("us-east-1a")).await;
    assert_eq!((refused.status, refused.code().as_str()), (500, "InsufficientInstanceCapacity"));
    assert_eq!(account.call("DescribeInstances", &[]).await.all("instanceId"), Vec::<String>::new());
    // The token of a launch that was refused is not spent.
    account.call("RunInstances", &launch("us-east-1b")).await.good();
    account.call("DescribeSubnets", &[]).await.good();
}

#[tokio::test]
async fn a_lost_answer_was_carried_out_all_the_same() {
    let account = Account::start().await;
    let image = account.debian(REGION).await;
    let lost = FaultRule { applied: true, ..rule("/", "RunInstances", Fault::ServerError) };
    account.sandbox.add_fault(lost).unwrap();
    let launch = [("ImageId", image.as_str()), ("MinCount", "1"), ("MaxCount", "1"), ("ClientToken", "t")];
    assert_eq!(account.call("RunInstances", &launch).await.code(), "InternalError");
    let id = account.call("RunInstances", &launch).await.good().get("instanceId").unwrap();
    assert_eq!(account.call("DescribeInstances", &[]).await.all("instanceId"), [id]);
}

#[tokio::test]
async fn calls_are_counted_by_action() {
    use secrecy::ExposeSecret as _;
    let account = Account::start().await;
    account.call("DescribeRegions", &[]).await.good();
    account.call("DescribeRegions", &[]).await.good();
    account.zones(Method::GET, "/2013-04-01/hostedzone/Z1/rrset", "").await;
    let url = format!("{}/sandbox/v1/calls", account.sandbox.url());
    let request = reqwest::Client::new().get(url).bearer_auth(account.sandbox.token().expose_secret());
    let report: serde_json::Value = request.send().await.unwrap().json().await.unwrap();
    assert_eq!(report["calls"]["POST / Action=DescribeRegions"], 2, "{report}");
    assert_eq!(report["calls"]["GET /2013-04-01/hostedzone/{id}/rrset"], 1, "{report}");
}
