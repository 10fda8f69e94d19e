//! The checker against the specification finds what it is there to find.
#![expect(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

#[path = "common/openapi.rs"]
mod openapi;

use openapi::Checker;
use serde_json::json;

#[test]
fn missing_fields_wrong_types_unknown_statuses_and_stray_bodies_are_found() {
    let checker = Checker::load();
    let Some(0) = checker.checked() else { return };
    let account = json!({ "account": {
        "droplet_limit": 25, "floating_ip_limit": 3, "email": "a@b", "uuid": "u", "email_verified": true,
        "status": "active", "status_message": "",
    }});
    checker.record("GET", "/v2/account?x=1", 200, Some(&account));
    checker.record("GET", "/v2/snapshots/1", 404, Some(&json!({ "id": "not_found", "message": "no" })));
    checker.record("DELETE", "/v2/tags/web", 204, None);
    checker.record("GET", "/sandbox/v1/status", 200, Some(&json!("anything")));
    assert_eq!(checker.violations(), [""; 0]);

    let mut wrong = account.clone();
    wrong["account"]["droplet_limit"] = json!("25");
    checker.record("GET", "/v2/account", 200, Some(&wrong));
    let mut missing = account.clone();
    missing["account"].as_object_mut().unwrap().remove("status_message");
    checker.record("GET", "/v2/account", 200, Some(&missing));
    checker.record("GET", "/v2/account", 202, Some(&account));
    checker.record("DELETE", "/v2/tags/web", 204, Some(&json!({})));
    checker.record("GET", "/v2/account", 500, Some(&json!({ "message": "no id" })));
    checker.record("GET", "/v2/nowhere", 200, Some(&json!({})));
    let violations = checker.violations();
    for (violation, expected) in
        violations.iter().zip(["droplet_limit", "status_message", "no such status", "a body", "\"id\"", "not in"])
    {
        assert!(violation.contains(expected), "{violation}");
    }
    assert!(violations.len() >= 6, "{violations:?}");
}

#[test]
fn without_a_specification_everything_passes() {
    let checker = Checker::read(&"/nonexistent/specification.json".into());
    checker.record("GET", "/v2/account", 200, None);
    assert_eq!(checker.checked(), None);
    assert_eq!(checker.violations(), [""; 0]);
}
