//! A fake of Google Cloud Storage's XML API, our own: it shows that Remint's requests are right as far as we have understood that
//! API, and nothing about Google.
//!
//! Written from <https://cloud.google.com/storage/docs/xml-api/overview>. Generations decide conditions, ETags decide nothing.

use std::{
    fmt::Write as _,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    Router,
    body::Bytes,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::get,
};
use futures::TryStreamExt as _;
use object_store::{
    Error, ObjectMeta, ObjectStore as _, ObjectStoreExt as _, PutMode, PutOptions, UpdateVersion, memory::InMemory,
    path::Path as Name,
};
use serde::Deserialize;

use super::target::Target;

/// Few, so that lists have several pages.
const PAGE: usize = 7;
const GENERATION: &str = "x-goog-generation";
const CONDITION: &str = "x-goog-if-generation-match";

pub(super) struct Google {
    pub(super) url: String,
    /// How many writes are still to be refused with 409, and not carried out.
    pub(super) conflicts: Arc<AtomicUsize>,
}

#[derive(Clone)]
struct Cloud {
    bucket: String,
    objects: Arc<InMemory>,
    conflicts: Arc<AtomicUsize>,
}

#[derive(Deserialize)]
struct List {
    prefix: Option<String>,
    #[serde(rename = "continuation-token")]
    after: Option<String>,
}

impl Google {
    pub(super) async fn start(bucket: &str) -> Self {
        let conflicts = Arc::new(AtomicUsize::new(0));
        let cloud = Cloud { bucket: bucket.to_owned(), objects: Arc::default(), conflicts: Arc::clone(&conflicts) };
        let object = get(read).head(read).put(write).delete(delete);
        let router = Router::new().route("/{bucket}", get(list)).route("/{bucket}/{name}", object).with_state(cloud);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, conflicts }
    }

    pub(super) fn target(&self, url: &str) -> Target {
        Target::gcs(url, &self.url)
    }
}

type Refusal = (StatusCode, String);

fn refusal(status: StatusCode, code: &str) -> Refusal {
    (status, format!("<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code></Error>"))
}

fn failed(error: &Error) -> Refusal {
    match error {
        Error::NotFound { .. } => refusal(StatusCode::NOT_FOUND, "NoSuchKey"),
        Error::AlreadyExists { .. } | Error::Precondition { .. } => {
            refusal(StatusCode::PRECONDITION_FAILED, "PreconditionFailed")
        }
        error => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

/// The memory's version, which no two writes share.
fn generation(e_tag: Option<String>) -> String {
    (e_tag.unwrap().trim_matches('"').parse::<u64>().unwrap() + 1000).to_string()
}

fn e_tag(generation: &str) -> Option<String> {
    generation.parse::<u64>().ok()?.checked_sub(1000).map(|version| format!("\"{version}\""))
}

impl Cloud {
    fn check(&self, bucket: &str) -> Result<(), Refusal> {
        if bucket == self.bucket { Ok(()) } else { Err(refusal(StatusCode::NOT_FOUND, "NoSuchBucket")) }
    }
}

async fn read(State(cloud): State<Cloud>, Path((bucket, name)): Path<(String, String)>) -> Result<Response, Refusal> {
    cloud.check(&bucket)?;
    let found = cloud.objects.get(&Name::from(name)).await.map_err(|error| failed(&error))?;
    let ObjectMeta { e_tag, last_modified, .. } = found.meta.clone();
    let headers = [
        (header::LAST_MODIFIED.as_str(), last_modified.to_rfc2822().replace("+0000", "GMT")),
        (header::ETAG.as_str(), "\"of the content\"".to_owned()),
        (GENERATION, generation(e_tag)),
    ];
    Ok((headers, found.bytes().await.unwrap()).into_response())
}

async fn write(
    State(cloud): State<Cloud>,
    Path((bucket, name)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    cloud.check(&bucket)?;
    let left = |left: usize| left.checked_sub(1);
    if cloud.conflicts.fetch_update(Ordering::Relaxed, Ordering::Relaxed, left).is_ok() {
        return Err(refusal(StatusCode::CONFLICT, "Conflict"));
    }
    let mode = match headers.get(CONDITION).map(|value| value.to_str().unwrap()) {
        None => PutMode::Overwrite,
        Some("0") => PutMode::Create,
        Some(generation) => PutMode::Update(UpdateVersion {
            e_tag: Some(e_tag(generation).unwrap_or("never".to_owned())),
            version: None,
        }),
    };
    let options = PutOptions { mode, ..PutOptions::default() };
    let put = cloud.objects.put_opts(&Name::from(name), body.into(), options).await.map_err(|error| failed(&error))?;
    let headers = [(header::ETAG.as_str(), "\"of the content\"".to_owned()), (GENERATION, generation(put.e_tag))];
    Ok(headers.into_response())
}

async fn delete(
    State(cloud): State<Cloud>,
    Path((bucket, name)): Path<(String, String)>,
) -> Result<StatusCode, Refusal> {
    cloud.check(&bucket)?;
    let name = Name::from(name);
    // The memory does not say that there is none.
    cloud.objects.head(&name).await.map_err(|error| failed(&error))?;
    cloud.objects.delete(&name).await.map_err(|error| failed(&error))?;
    Ok(StatusCode::NO_CONTENT)
}

async fn list(
    State(cloud): State<Cloud>,
    Path(bucket): Path<String>,
    Query(List { prefix, after }): Query<List>,
) -> Result<String, Refusal> {
    cloud.check(&bucket)?;
    let mut all: Vec<ObjectMeta> = cloud.objects.list(None).try_collect().await.unwrap();
    let prefix = prefix.unwrap_or_default();
    all.retain(|meta| meta.location.as_ref().starts_with(&prefix));
    all.retain(|meta| after.as_deref().is_none_or(|after| meta.location.as_ref() > after));
    all.sort_by(|a, b| a.location.cmp(&b.location));
    let more = all.len() > PAGE;
    all.truncate(PAGE);
    let mut page = "<?xml version='1.0' encoding='UTF-8'?><ListBucketResult>".to_owned();
    for ObjectMeta { location, last_modified, size, .. } in &all {
        write!(
            page,
            "<Contents><Key>{location}</Key><LastModified>{}</LastModified><Size>{size}</Size></Contents>",
            last_modified.to_rfc3339()
        )
        .unwrap();
    }
    if let (true, Some(last)) = (more, all.last()) {
        write!(page, "<NextContinuationToken>{}</NextContinuationToken>", last.location).unwrap();
    }
    Ok(page + "</ListBucketResult>")
}
