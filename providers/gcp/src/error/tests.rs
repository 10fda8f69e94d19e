use remint_core::provider::Provider;
use serde_json::json;
use wiremock::{MockServer, ResponseTemplate};

use super::*;
use crate::testing::{self, PROJECT, refusal};

async fn account_error(answer: ResponseTemplate) -> Error {
    let server = MockServer::start().await;
    testing::serve(&server, "GET", PROJECT, vec![answer]).await;
    testing::provider(&server).await.account().await.unwrap_err()
}

#[tokio::test]
async fn status_and_reason_tell_what_went_wrong() {
    let cases = [
        (400, "invalid", ErrorKind::InvalidInput),
        (400, "resourceNotReady", ErrorKind::Busy),
        (400, "resourceInUseByAnotherResource", ErrorKind::Conflict),
        (401, "authError", ErrorKind::Unauthenticated),
        (403, "forbidden", ErrorKind::Forbidden),
        (403, "quotaExceeded", ErrorKind::Quota),
        (403, "rateLimitExceeded", ErrorKind::RateLimited),
        (404, "notFound", ErrorKind::NotFound),
        (409, "alreadyExists", ErrorKind::Conflict),
        (412, "conditionNotMet", ErrorKind::Conflict),
        (429, "rateLimitExceeded", ErrorKind::RateLimited),
        (503, "backendError", ErrorKind::Unavailable),
        (503, "ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS", ErrorKind::Capacity),
        (503, "resource_availability", ErrorKind::Capacity),
    ];
    for (status, reason, kind) in cases {
        let error = account_error(refusal(status, reason, "It went wrong.")).await;
        assert_eq!(error.kind(), kind, "{status} {reason}: {error}");
        assert_eq!(error.effect(), Effect::NotApplied, "a read changes nothing");
        assert_eq!((error.code(), error.message()), (Some(reason), "It went wrong"));
        let other = account_error(refusal(status, reason, "Something else, with a quota.")).await;
        assert_eq!((other.kind(), other.code()), (kind, Some(reason)), "the code decides, and not the text");
    }
}

#[tokio::test]
async fn what_an_organization_policy_forbids_is_forbidden_and_names_the_constraint() {
    let cases = [
        (
            "Constraint constraints/compute.trustedImageProjects violated for project 7.",
            "constraints/compute.trustedImageProjects",
        ),
        (
            "Operation denied by org policy: [\"constraints/compute.requireShieldedVm\" : \"…\"].",
            "constraints/compute.requireShieldedVm",
        ),
        (
            "Operation denied by custom org policies: [\"customConstraints/custom.noFirewall\": \"no\"].",
            "customConstraints/custom.noFirewall",
        ),
    ];
    for (message, constraint) in cases {
        for (status, reason) in [(412, "conditionNotMet"), (403, "forbidden"), (400, "invalid")] {
            let error = account_error(refusal(status, reason, message)).await;
            assert_eq!(error.kind(), ErrorKind::Forbidden, "{error}");
            assert!(error.hint().unwrap().contains(&format!("exception from {constraint} for")), "{error:?}");
        }
        let failed = testing::failed(testing::operation("op-1", "DONE"), "CONDITION_NOT_MET", message);
        let operation: Operation = serde_json::from_value(failed).unwrap();
        let error = Subject::new("launch instance").progress(&operation).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Forbidden, "{error}");
        assert!(error.hint().unwrap().contains(constraint), "{error:?}");
    }
    let late = format!("{} constraints/compute.late", "ä".repeat(EXCERPT));
    assert!(account_error(refusal(412, "conditionNotMet", &late)).await.hint().unwrap().contains("compute.late"));
    let page = "Labels fingerprint is invalid, see example.com/org-policy-constraints/x";
    assert_eq!(account_error(refusal(412, "conditionNotMet", page)).await.kind(), ErrorKind::Conflict);
    let message = "Constraint constraints/compute.restrictProtocolForwardingCreationForTypes violated for projects/p.";
    let error = account_error(refusal(412, "conditionNotMet", message)).await;
    assert!(error.hint().unwrap().contains("allow EXTERNAL"), "{error:?}");
}

#[tokio::test]
async fn a_newer_api_says_its_reason_elsewhere() {
    let info = json!({"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "SERVICE_DISABLED"});
    let request = json!({"@type": "type.googleapis.com/google.rpc.RequestInfo", "requestId": "4d9d"});
    let body = json!({"error": {"code": 403, "message": "Compute Engine API has not been used", "status": "PERMISSION_DENIED",
        "details": [info, request]}});
    let error = account_error(ResponseTemplate::new(403).set_body_json(body)).await;
    assert_eq!((error.kind(), error.request_id()), (ErrorKind::Forbidden, Some("4d9d")));
    assert!(error.hint().unwrap().contains("gcloud services enable"), "{error}");
}

#[tokio::test]
async fn a_status_survives_a_body_that_does_not_parse() {
    let error = account_error(testing::lost().insert_header("retry-after", "0")).await;
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.message().contains("502: <html>Bad Gateway</html>"), "{error}");
    let long = account_error(ResponseTemplate::new(400).set_body_string("ä".repeat(2000))).await;
    assert!(long.message().len() < EXCERPT + 16, "{}", long.message().len());
}

#[test]
fn an_operation_that_failed_is_an_error_although_it_was_read() {
    let operation = |code: &str, status: Option<i32>| {
        let json = testing::failed(testing::operation("op-1", "DONE"), code, "Quota 'CPUS' exceeded.  Limit: 8.0.");
        let operation: Operation = serde_json::from_value(json).unwrap();
        operation.set_or_clear_http_error_status_code(status)
    };
    let cases = [
        ("QUOTA_EXCEEDED", None, ErrorKind::Quota),
        ("ZONE_RESOURCE_POOL_EXHAUSTED", Some(503), ErrorKind::Capacity),
        ("ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS", Some(503), ErrorKind::Capacity),
        ("STOCKOUT", None, ErrorKind::Capacity),
        ("RESOURCE_NOT_READY", Some(400), ErrorKind::Busy),
        ("RESOURCE_IN_USE_BY_ANOTHER_RESOURCE", Some(400), ErrorKind::Conflict),
        ("RESOURCE_ALREADY_EXISTS", Some(409), ErrorKind::Conflict),
        ("RESOURCE_NOT_FOUND", Some(404), ErrorKind::NotFound),
        ("INVALID_FIELD_VALUE", Some(400), ErrorKind::InvalidInput),
        ("SOMETHING_NEW", Some(403), ErrorKind::Forbidden),
        ("SOMETHING_NEW", None, ErrorKind::Unexpected),
    ];
    let subject = Subject::new("launch instance").about("app-0");
    for (code, status, kind) in cases {
        let error = subject.progress(&operation(code, status)).unwrap_err();
        assert_eq!(error.kind(), kind, "{code}");
        assert_eq!((error.effect(), error.request_id()), (Effect::NotApplied, Some("op-1")));
        assert!(error.message().contains("Limit: 8.0"), "{error}");
    }
    let running: Operation = serde_json::from_value(testing::operation("op-1", "RUNNING")).unwrap();
    assert!(subject.progress(&running).is_ok());
}

#[test]
fn a_zone_without_room_names_those_that_have_some() {
    let message = "The zone 'projects/p/zones/us-central1-b' does not have enough resources available to fulfill the request. \
                   '(resource type:compute, state:STOCKOUT)'.";
    let mut json =
        testing::failed(testing::operation("op-1", "DONE"), "ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS", message);
    let subject = Subject::new("launch instance").about("app-0");
    let failed = |json: &serde_json::Value| {
        let operation: Operation = serde_json::from_value(json.clone()).unwrap();
        subject.progress(&operation).unwrap_err()
    };
    let error = failed(&json);
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Capacity, Effect::NotApplied));
    assert!(error.hint().unwrap().starts_with("choose another zone or size"), "{error:?}");
    json["error"]["errors"][0]["errorDetails"] = json!([{ "errorInfo": {
        "domain": "compute.googleapis.com", "reason": "resource_availability",
        "metadatas": { "vmType": "e2-small", "zone": "us-central1-b", "zonesAvailable": "us-central1-a,us-central1-f" }
    } }]);
    let error = failed(&json);
    assert!(error.hint().unwrap().contains("us-central1-a,us-central1-f"), "{error:?}");
    let quota = testing::failed(testing::operation("op-1", "DONE"), "QUOTA_EXCEEDED", message);
    assert_eq!(failed(&quota).kind(), ErrorKind::Quota, "the code counts first");
}
