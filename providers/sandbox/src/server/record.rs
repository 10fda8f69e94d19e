//! A test aid: every answer of the API, written down so that it can be held against the published specification.

use std::{
    fs::{File, OpenOptions},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{StatusCode, header},
    middleware::Next,
    response::Response,
};
use serde_json::{Value, json};

use crate::cloud::Bent;

/// The largest answer that is written down; the API has none that comes near.
const LARGEST_BODY: usize = 64 << 20;

/// Where answers are written: a line of JSON each, with `method`, `path`, `status` and `body` (`null` without one). What a
/// fault rule made is left out, and so is what the sandbox does not implement.
#[derive(Debug, Clone)]
pub(super) struct Recorder(Arc<Mutex<File>>);

impl Recorder {
    /// Appends to a file, readable by its owner only: answers hold what the account holds.
    pub(super) fn open(path: &Path) -> std::io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
        Ok(Self(Arc::new(Mutex::new(file))))
    }

    fn write(&self, line: &Value) {
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = file.write_all(format!("{line}\n").as_bytes()) {
            tracing::error!(%error, "an answer cannot be recorded");
        }
    }
}

/// Writes answers down as they go out.
pub(super) async fn layer(State(recorder): State<Recorder>, request: Request, next: Next) -> Response {
    let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
    let response = next.run(request).await;
    let bent = response.extensions().get::<Bent>().is_some();
    if bent || response.status() == StatusCode::NOT_IMPLEMENTED || !path.starts_with("/v2/") {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let Ok(bytes) = to_bytes(body, LARGEST_BODY).await else {
        tracing::error!(method, path, "an answer was cut short by its recording");
        parts.headers.remove(header::CONTENT_LENGTH);
        return Response::from_parts(parts, Body::empty());
    };
    let body = match bytes.is_empty() {
        true => Value::Null,
        // What is no JSON is written as a text, which no schema takes for an object.
        false => serde_json::from_slice(&bytes).unwrap_or_else(|_| String::from_utf8_lossy(&bytes).into()),
    };
    let line = json!({ "method": method, "path": path, "status": parts.status.as_u16(), "body": body });
    recorder.write(&line);
    Response::from_parts(parts, Body::from(bytes))
}
