//! Requests without credentials, and requests that are meant to do harm.

use remint_sandbox::{
    faults::{Fault, FaultRule},
    gce::PROJECT,
};
use reqwest::Method;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::client::{SCOPE, World, ZONE};

#[tokio::test]
async fn without_credentials_nothing_is_counted_and_no_fault_is_used_up() {
    let world = World::new().await;
    let token = world.sandbox.token().expose_secret().to_owned();
    let instances = format!("/compute/v1/projects/{PROJECT}/zones/{ZONE}/instances");
    let zones = format!("/dns/v1/projects/{PROJECT}/managedZones");
    // A place that there is not is found out by callers that are known only.
    let nowhere = format!("/compute/v1/projects/{PROJECT}/zones/mars-a/instances");
    for path in [&instances, &zones, &nowhere, "/token", "/v2/account", "/", "/2013-04-01/hostedzone"] {
        for method in ["GET", "POST"] {
            world.sandbox.add_fault(FaultRule::new(method, path, Fault::ServerError)).unwrap();
        }
    }
    let calls = async || world.bare(Method::GET, "/sandbox/v1/calls", Some(&token), None).await.1["total"].clone();
    let before = calls().await;
    let forged = format!("{}x", world.token);
    for path in [&instances, &zones, &nowhere, "/v2/account", "/", "/2013-04-01/hostedzone", "/sandbox/v1/faults"] {
        for method in [Method::GET, Method::POST] {
            for bearer in [None, Some("x"), Some(&*forged)] {
                let (status, answer) = world.bare(method.clone(), path, bearer, Some(&json!({}))).await;
                // Amazon's APIs call what is no signature of theirs malformed.
                let amazon = ["/", "/2013-04-01/hostedzone"].contains(&path);
                assert!(
                    [401, 403].contains(&status) || (status == 400 && amazon),
                    "{method} {path}: {status} {answer}"
                );
            }
        }
    }
    let stranger = world.key.claims(&json!({ "scope": SCOPE, "iss": "someone@else" }));
    assert_eq!(world.trade(&world.key.sign(&stranger)).await.0, 400);
    assert_eq!(world.trade("x").await.0, 400);
    assert_eq!((world.sandbox.faults_hit(), calls().await), (0, before.clone()));

    // Whoever is known meets them all.
    for (path, bearer) in [(&*instances, &world.token), (&zones, &world.token), ("/v2/account", &token)] {
        assert!(world.bare(Method::GET, path, Some(bearer), None).await.0 >= 500, "{path}");
    }
    let known = world.key.claims(&json!({ "scope": SCOPE, "aud": world.key.field("token_uri") }));
    assert!(world.trade(&world.key.sign(&known)).await.0 >= 500);
    assert_eq!(world.sandbox.faults_hit(), 4);
    assert_eq!(calls().await, Value::from(before.as_u64().unwrap() + 4));
}

#[tokio::test]
async fn filters_are_bounded() {
    let world = World::new().await;
    for filter in ["(".repeat(800) + "name=x" + &")".repeat(800), "NOT+".repeat(1500) + "name=x", "-".repeat(8000)] {
        let (status, answer) = world.call(Method::GET, &format!("zones/{ZONE}/instances?filter={filter}"), None).await;
        assert_eq!((status, &answer["error"]["errors"][0]["reason"]), (400, &json!("invalid")), "{answer}");
    }
    world.get(&format!("zones/{ZONE}/instances?filter=((name=x)+AND+(status=RUNNING))")).await;
}
