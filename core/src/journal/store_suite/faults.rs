//! One clear error for each way in which a bucket cannot be used.

use std::path::Path;

use axum::{
    Router,
    http::{StatusCode, header},
    response::IntoResponse as _,
};

use super::{google::Google, servers::Moto, target::Target};
use crate::journal::JournalError;

/// A server that always gives this answer.
async fn always(status: u16, body: &'static str) -> String {
    let answer = move || async move {
        (StatusCode::from_u16(status).unwrap(), [(header::CONTENT_TYPE, "application/xml")], body).into_response()
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    url
}

/// What reading and writing are refused with: the same, as nothing can be done there.
async fn refusal(target: &Target) -> JournalError {
    let read = target.open().read("service.json").await.unwrap_err();
    let written = target.open().create("service.json", &1).await.unwrap_err();
    assert_eq!(read.to_string(), written.to_string());
    assert!(matches!(read, JournalError::Unusable { .. }), "{read:?}");
    assert!(read.hint().is_some_and(|hint| !hint.is_empty()));
    read
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_is_not_there_is_named() {
    let moto = Moto::start();
    moto.bucket("other").await;
    let missing = refusal(&moto.target("s3://team/web")).await.to_string();
    let expected = format!("cannot use the journal at `s3://team/web`: there is no bucket `team` at {}", moto.url);
    assert_eq!(missing, expected);
    let google = Google::start("other").await;
    let missing = refusal(&google.target("gs://team/web")).await.to_string();
    assert_eq!(missing, "cannot use the journal at `gs://team/web`: there is no bucket `team`");
}

#[tokio::test]
async fn what_s3_refuses_is_said_in_words() {
    let cases = [
        (403, "<Error><Code>AccessDenied</Code></Error>", "the credentials have no right to list objects there"),
        (301, "", "the bucket is in another region than eu-north-1"),
        (
            400,
            "<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-west-1</Region></Error>",
            "the bucket is in eu-west-1, not in eu-north-1",
        ),
        (
            403,
            "<Error><Code>InvalidAccessKeyId</Code><AWSAccessKeyId>S3RVER</AWSAccessKeyId></Error>",
            "the server does not accept the credentials (InvalidAccessKeyId)",
        ),
        (403, "<Error><Code>RequestTimeTooSkewed</Code></Error>", "the clock of this machine is wrong"),
    ];
    for (status, body, expected) in cases {
        let target = Target::s3("s3://team/web", &always(status, body).await).with("AWS_REGION", "eu-north-1");
        let refused = refusal(&target).await;
        assert_eq!(refused.to_string(), format!("cannot use the journal at `s3://team/web`: {expected}"));
    }
}

#[tokio::test]
async fn what_google_refuses_is_said_in_words() {
    let cases = [
        (403, "<Error><Code>AccessDenied</Code></Error>", "the credentials have no right to list objects there"),
        (
            401,
            "<Error><Code>AuthenticationRequired</Code></Error>",
            "the server does not accept the credentials (AuthenticationRequired)",
        ),
    ];
    for (status, body, expected) in cases {
        let refused = refusal(&Target::gcs("gs://team/web", &always(status, body).await)).await;
        assert_eq!(refused.to_string(), format!("cannot use the journal at `gs://team/web`: {expected}"));
    }
}

#[tokio::test]
async fn where_no_credentials_are_found_it_is_said_where_they_could_be() {
    let folder = tempfile::tempdir().unwrap();
    let bare = Target::s3("s3://team/web", "http://127.0.0.1:1")
        .without(&["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
        .with("AWS_EC2_METADATA_DISABLED", "true")
        .with("HOME", folder.path().to_str().unwrap());
    let refused = refusal(&bare).await;
    assert!(refused.to_string().contains("no credentials were found: "), "{refused}");
    assert!(refused.hint().unwrap().contains("AWS_PROFILE"));
    let refused = refusal(&bare.with("AWS_PROFILE", "sso")).await;
    assert!(refused.to_string().contains("profile `sso`"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_a_profile_are_used() {
    let moto = Moto::start();
    moto.bucket("team").await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("credentials");
    std::fs::write(&file, "[team]\naws_access_key_id = KEY\naws_secret_access_key = quite-a-secret\n").unwrap();
    let target = moto
        .target("s3://team/web")
        .without(&["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
        .with("AWS_SHARED_CREDENTIALS_FILE", file.to_str().unwrap())
        .with("AWS_PROFILE", "team");
    let store = target.open();
    assert!(store.create("a.json", &1).await.unwrap());
    assert!(!format!("{store:?}").contains("quite-a-secret"));
}

#[tokio::test]
async fn a_server_that_is_away_is_reported_with_the_cause() {
    let target = Target::s3("s3://team/web", "http://127.0.0.1:1");
    let away = target.open().read("service.json").await.unwrap_err();
    let JournalError::Store { source, .. } = &away else { panic!("{away:?}") };
    assert!(source.to_string().contains("refused"), "{source}");
}

#[test]
fn googles_credentials_that_cannot_be_read_are_refused_when_the_store_is_opened() {
    let section = crate::manifest::JournalSection { url: "gs://team/web".to_owned(), ..Default::default() };
    let env = [("GOOGLE_APPLICATION_CREDENTIALS".to_owned(), "/nonexistent/key.json".to_owned())].into();
    let refused = crate::journal::store::Store::open_with(&section, Path::new("/"), &env).unwrap_err();
    assert!(refused.to_string().contains("Google's credentials cannot be read: "), "{refused}");
}
