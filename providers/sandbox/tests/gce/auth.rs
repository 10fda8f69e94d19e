//! Who may call.

use remint_sandbox::gce::PROJECT;
use reqwest::Method;
use serde_json::json;

use crate::client::{SCOPE, World, ZONE};

#[tokio::test]
async fn only_good_bearers_are_let_through() {
    let world = World::new().await;
    let path = format!("/compute/v1/projects/{PROJECT}/zones/{ZONE}/instances");
    let ask = async |bearer: Option<&str>| world.bare(Method::GET, &path, bearer, None).await;

    let key = &world.key;
    let scoped = key.sign(&key.claims(&json!({ "scope": SCOPE })));
    let made_out = key.sign(&key.claims(&json!({ "aud": "https://compute.googleapis.com/" })));
    for bearer in [&world.token, &scoped, &made_out] {
        assert_eq!(ask(Some(bearer)).await.0, 200);
    }

    let stranger = key.sign(&key.claims(&json!({ "scope": SCOPE, "iss": "someone@else" })));
    let expired = key.sign(&key.claims(&json!({ "scope": SCOPE, "iat": 1_000_000_000, "exp": 1_000_003_600 })));
    let endless = key.sign(&key.claims(&json!({ "scope": SCOPE, "exp": 9_000_000_000_u64 })));
    // The signature of one thing under another.
    let (message, _) = made_out.rsplit_once('.').unwrap();
    let forged = format!("{message}.{}", scoped.rsplit_once('.').unwrap().1);
    let mut bent = world.token.clone();
    bent.replace_range(10..11, if bent.as_bytes()[10] == b'A' { "B" } else { "A" });
    for bearer in [
        None,
        Some(""),
        Some("ya29.x"),
        Some(&*stranger),
        Some(&*expired),
        Some(&*endless),
        Some(&*forged),
        Some(&*bent),
    ] {
        let (status, answer) = ask(bearer).await;
        assert_eq!((status, &answer["error"]["status"]), (401, &json!("UNAUTHENTICATED")), "{bearer:?}: {answer}");
        assert_eq!(answer["error"]["errors"][0]["reason"], "authError");
    }

    let narrow = key.sign(&key.claims(&json!({ "scope": "https://www.googleapis.com/auth/compute.readonly" })));
    assert_eq!(ask(Some(&narrow)).await.0, 200);
    let (status, answer) = world.bare(Method::POST, &path, Some(&narrow), Some(&json!({}))).await;
    assert_eq!((status, &answer["error"]["status"]), (403, &json!("PERMISSION_DENIED")));
    let elsewhere = key.sign(&key.claims(&json!({ "aud": "https://dns.googleapis.com/" })));
    assert_eq!(ask(Some(&elsewhere)).await.0, 403);
}

#[tokio::test]
async fn tokens_are_given_for_good_assertions_only() {
    let world = World::new().await;
    let key = &world.key;
    for (claims, why) in [
        (json!({ "scope": SCOPE, "aud": "https://somewhere.else/token" }), "audience"),
        (json!({ "aud": key.field("token_uri") }), "scope"),
        (json!({ "scope": SCOPE, "aud": key.field("token_uri"), "iss": "someone@else" }), "JWT"),
    ] {
        let (status, answer) = world.trade(&key.sign(&key.claims(&claims))).await;
        assert_eq!((status, &answer["error"]), (400, &json!("invalid_grant")), "{answer}");
        assert!(answer["error_description"].as_str().unwrap().contains(why), "{answer}");
    }
    // Google's libraries for Python make assertions out for Google's own address.
    let google = json!({ "scope": SCOPE, "aud": "https://oauth2.googleapis.com/token" });
    let (status, answer) = world.trade(&key.sign(&key.claims(&google))).await;
    assert_eq!((status, &answer["expires_in"]), (200, &json!(3600)));
}

#[tokio::test]
async fn other_projects_are_closed_and_what_is_missing_says_so() {
    let world = World::new().await;
    let other = "/compute/v1/projects/someone-elses/zones/us-central1-a/instances";
    let (status, answer) = world.bare(Method::GET, other, Some(&world.token), None).await;
    assert_eq!((status, &answer["error"]["errors"][0]["reason"]), (403, &json!("forbidden")));
    let missing = ("global/interconnects", "zones/us-central1-a/nodeGroups");
    for below in [missing.0, missing.1] {
        let (status, answer) = world.call(Method::GET, below, None).await;
        assert_eq!((status, &answer["error"]["errors"][0]["reason"]), (501, &json!("notImplemented")), "{answer}");
    }
    assert_eq!(world.refused(Method::PUT, "zones/us-central1-a/instances/x", None).await.0, 501);
    assert_eq!(world.refused(Method::GET, "zones/mars-a/instances", None).await, (400, "invalid".to_owned()));
}
