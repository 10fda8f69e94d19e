//! Batches, as gcloud sends them.

use reqwest::Method;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::client::{World, ZONE, instance};

/// The answer of each part: what it answers to, its status and its body.
fn answers(text: &str, boundary: &str) -> Vec<(String, u16, Value)> {
    let (whole, end) = text.rsplit_once(&format!("--{boundary}--\r\n")).unwrap();
    assert_eq!(end, "");
    let mark = format!("--{boundary}\r\n");
    let parts = whole.split(&mark).skip(1);
    let read = |part: &str| {
        let (outer, inner) = part.split_once("\r\n\r\n").unwrap();
        let (head, body) = inner.split_once("\r\n\r\n").unwrap();
        let id = outer.lines().find_map(|line| line.strip_prefix("Content-ID: ")).unwrap();
        assert!(outer.contains("Content-Type: application/http"), "{outer}");
        let status = head.strip_prefix("HTTP/1.1 ").unwrap()[..3].parse().unwrap();
        (id.to_owned(), status, serde_json::from_str(body).unwrap_or_default())
    };
    parts.map(read).collect()
}

/// A part as apitools writes it, with bare line feeds.
fn part(id: &str, method: &str, path: &str, more: &str) -> String {
    format!(
        "--===1==\nContent-Type: application/http\nMIME-Version: 1.0\nContent-Transfer-Encoding: binary\nContent-ID: <{id}>\n\n\
         {method} {path} HTTP/1.1\nContent-Type: application/json\nMIME-Version: 1.0\n{more}\n"
    )
}

#[tokio::test]
async fn each_call_of_a_batch_is_answered_as_if_it_came_alone() {
    let world = World::new().await;
    let project = "/compute/v1/projects/remint-sandbox";
    let one = format!("{project}/zones/{ZONE}/instances");
    let body = instance("web", &json!({})).to_string();
    let parts = [
        part("u+1", "POST", &one, &format!("Content-Length: {}\n\n{body}", body.len())),
        part("u+2", "GET", &format!("http://127.0.0.1{project}/zones?maxResults=1"), ""),
        part("u+3", "GET", &format!("{one}/missing"), "Accept: application/json\n"),
        part("u+4", "GET", &one, "Authorization: Bearer wrong\n"),
        part("u+5", "GET", "/dns/v1/projects/remint-sandbox", ""),
        part("u+6", "POST", &format!("{project}/global/sslCertificates"), "\n{}"),
    ];
    let text = format!("{}--===1==--\n", parts.concat());
    let calls = async || {
        world.bare(Method::GET, "/sandbox/v1/calls", Some(world.sandbox.token().expose_secret()), None).await.1
    };
    let (status, kind, text) =
        world.batch("compute/v1", Some(&world.token), "multipart/mixed; boundary=\"===1==\"", &text).await;
    assert_eq!(status, 200, "{text}");
    let boundary = kind.strip_prefix("multipart/mixed; boundary=").unwrap();
    let answers = answers(&text, boundary);
    let shown: Vec<_> = answers.iter().map(|(id, status, _)| (id.as_str(), *status)).collect();
    let expected = [
        ("<response-u+1>", 200),
        ("<response-u+2>", 200),
        ("<response-u+3>", 404),
        ("<response-u+4>", 401),
        ("<response-u+5>", 400),
        ("<response-u+6>", 501),
    ];
    assert_eq!(shown, expected);
    assert_eq!(answers[1].2["items"].as_array().unwrap().len(), 1);
    world.wait(&answers[0].2).await;
    assert_eq!(world.get(&format!("zones/{ZONE}/instances/web")).await["status"], "RUNNING");
    let counted = calls().await["calls"].clone();
    assert_eq!(counted["GET /compute/v1/projects/{project}/zones"], 1, "{counted}");
}

#[tokio::test]
async fn what_is_no_batch_is_refused() {
    let world = World::new().await;
    let good = "multipart/mixed; boundary=\"===1==\"";
    let many = part("u", "GET", "/compute/v1/projects/x", "").repeat(1001);
    for (kind, text, why) in [
        ("application/json", "{}", "content type"),
        ("multipart/mixed", "", "content type"),
        (good, "", "no part"),
        (good, &part("u", "GET", "/compute/v1/projects/x", ""), "no end"),
        (good, &format!("{many}--===1==--"), "more than 1000"),
    ] {
        let (status, _, answer) = world.batch("compute/v1", Some(&world.token), kind, text).await;
        let answer: Value = serde_json::from_str(&answer).unwrap();
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(status == 400 && message.contains(why), "{why}: {answer}");
    }
    assert_eq!(world.batch("storage/v1", Some(&world.token), good, "").await.0, 501);
}

/// A call without credentials of its own has those of the batch, if that has any.
#[tokio::test]
async fn a_batch_without_credentials_opens_nothing() {
    let world = World::new().await;
    let zones = "/compute/v1/projects/remint-sandbox/zones";
    let own = format!("Authorization: Bearer {}\n", world.token);
    let text = format!("{}{}--===1==--\n", part("u+1", "GET", zones, ""), part("u+2", "GET", zones, &own));
    let calls = async || {
        world.bare(Method::GET, "/sandbox/v1/calls", Some(world.sandbox.token().expose_secret()), None).await.1
    };
    let before = calls().await["total"].as_u64().unwrap();
    for (bearer, first) in [(None, 401), (Some("wrong"), 401), (Some(&*world.token), 200)] {
        let (status, kind, text) =
            world.batch("compute/v1", bearer, "multipart/mixed; boundary=\"===1==\"", &text).await;
        let boundary = kind.strip_prefix("multipart/mixed; boundary=").unwrap();
        let shown: Vec<_> = answers(&text, boundary).iter().map(|(_, status, _)| *status).collect();
        assert_eq!((status, shown), (200, vec![first, 200]), "{bearer:?}");
    }
    // The calls that were refused are not counted.
    assert_eq!(calls().await["total"].as_u64().unwrap() - before, 4);
}
