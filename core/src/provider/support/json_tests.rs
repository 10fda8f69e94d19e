use std::sync::{Arc, Mutex};

use axum::{
    Router,
    extract::{Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::json;
use tokio::net::TcpListener;

use super::*;
use crate::provider::{
    Effect,
    support::{RatePolicy, RetryPolicy},
};

/// What was asked for: path and query, and whether the token came along.
type Asked = Arc<Mutex<Vec<(String, bool)>>>;

#[derive(Debug)]
struct Api;

#[derive(Deserialize)]
struct Rest {
    next: Option<u64>,
}

impl JsonApi for Api {
    const USER_AGENT: &str = "remint-test";
    const REQUEST_ID: &str = "x-id";
    const PAGE: u32 = 2;
    type Rest = Rest;

    fn refused(request: &JsonRequest, refusal: &Refusal<'_>) -> Error {
        let kind = request.meaning_of(refusal.status).unwrap_or(ErrorKind::InvalidInput);
        let text = String::from_utf8_lossy(refusal.body);
        let error = request.call.error(kind, format!("{}: {text}", refusal.status));
        error.with_request_id(refusal.header(Self::REQUEST_ID).unwrap_or("none"))
    }

    fn position(Rest { next }: Rest, _: u32) -> Position {
        Position { total: Some(3), next }
    }
}

async fn answer(State(asked): State<Asked>, request: Request) -> Response {
    let uri = request.uri();
    let authorized = request.headers().get(header::AUTHORIZATION).is_some_and(|value| value == "Bearer t0ken");
    asked.lock().unwrap().push((uri.to_string(), authorized));
    match (uri.path(), uri.query()) {
        ("/v1/things", Some("per_page=2")) => json!({"things": [1, 2], "next": 2}).to_string().into_response(),
        ("/v1/things", _) => json!({"things": [3], "next": null}).to_string().into_response(),
        ("/v1/leap", _) => json!({"things": [1], "next": 3}).to_string().into_response(),
        ("/v1/nothing", _) => ().into_response(),
        ("/v1/away", _) => (StatusCode::FOUND, [(header::LOCATION, "/v1/things")]).into_response(),
        ("/v1/deep", _) => "[".repeat(10_000).into_response(),
        _ => (StatusCode::UNPROCESSABLE_ENTITY, [("x-id", "4d9d")], "no").into_response(),
    }
}

/// A client of a server that notes what it is asked for.
async fn client() -> (JsonClient<Api>, Asked) {
    let asked = Asked::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}/v1/", listener.local_addr().unwrap()).parse().unwrap();
    let app = Router::new().fallback(answer).with_state(Arc::clone(&asked));
    tokio::spawn(async move { axum::serve(listener, app).await });
    let rate = RatePolicy { burst: 100, per_second: 100.0, reserved_for_mutations: 0 };
    let calls = Calls::new(rate, RetryPolicy { attempts: 1, ..RetryPolicy::default() });
    (JsonClient::new("configure", endpoint, "t0ken".into(), calls).unwrap(), asked)
}

fn paths(asked: &Asked) -> Vec<String> {
    asked.lock().unwrap().iter().map(|(uri, _)| uri.clone()).collect()
}

#[tokio::test]
async fn a_list_goes_on_where_the_api_says_and_only_to_the_next_page() {
    let (client, asked) = client().await;
    let things = JsonRequest::get("list things", &["things"]);
    assert_eq!(client.list::<u32>(&things, "things").await.unwrap(), [1, 2, 3]);
    assert_eq!(client.first_page::<u32>(&things, "things").await.unwrap(), [1, 2]);
    assert_eq!(paths(&asked), ["/v1/things?per_page=2", "/v1/things?per_page=2&page=2", "/v1/things?per_page=2"]);
    assert!(asked.lock().unwrap().iter().all(|(_, authorized)| *authorized));

    let leap = client.list::<u32>(&JsonRequest::get("list", &["leap"]), "things").await.unwrap_err();
    assert_eq!(leap.message(), "the page after page 1 of the list is said to be page 3");
    let unreadable = client.list::<u32>(&things, "sizes").await.unwrap_err();
    assert_eq!(unreadable.to_string().split(':').nth(2), Some(" GET /v1/things"), "{unreadable}");
}

#[tokio::test]
async fn an_empty_answer_reads_as_null_and_a_deep_one_is_not_read() {
    let (client, _) = client().await;
    let nothing = JsonRequest::post("make", &["nothing"], json!({}));
    assert_eq!(client.json::<Option<u32>>(&nothing).await.unwrap(), None);
    assert_eq!(client.json::<u32>(&nothing).await.unwrap_err().effect(), Effect::Applied);
    assert_eq!(client.text(&nothing).await.unwrap(), "");
    let deep = client.accepted(&JsonRequest::get("read", &["deep"])).await.unwrap_err();
    assert_eq!(deep.hint(), Some(Excess::HINT));
}

#[tokio::test]
async fn a_refusal_is_the_apis_to_read_and_says_where_it_came_from() {
    let (client, _) = client().await;
    let request = JsonRequest::delete("remove thing", &["things", "7", "x"]).about("7");
    let error = client.remove(&request).await.unwrap_err();
    assert_eq!(error.to_string(), "remove thing 7: invalid input: DELETE /v1/things/7/x: 422: no (request 4d9d)");
    assert_eq!(error.request_id(), Some("4d9d"));
    let gone = request.meaning(422, ErrorKind::NotFound);
    client.remove(&gone).await.unwrap();
    assert_eq!(gone.meaning_of(404), None);
}

#[tokio::test]
async fn the_token_goes_nowhere_else() {
    let (client, asked) = client().await;
    client.accepted(&JsonRequest::get("read", &["away"])).await.unwrap_err();
    client.accepted(&JsonRequest::get("read", &["a/b?c", ".."])).await.unwrap_err();
    assert_eq!(paths(&asked), ["/v1/away"], "neither was the redirect followed nor the path left");
    client.accepted(&JsonRequest::get("read", &["a/b?c"])).await.unwrap_err();
    assert_eq!(paths(&asked)[1..], ["/v1/a%2Fb%3Fc"]);

    let elsewhere = "http://api.example.com".parse().unwrap();
    let error = JsonClient::<Api>::new("configure", elsewhere, "t0ken".into(), client.calls().clone()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(!format!("{error:?} {client:?}").contains("t0ken"));
}
