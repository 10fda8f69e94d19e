//! The server: tokens, faults, and the way to the calls.

use std::{
    io,
    net::Ipv4Addr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{Query, Request, State},
    http::{Method, header},
    response::{IntoResponse, Response},
};
use serde_json::Value;

use super::{refusal::Refusal, routes, state::Project};

/// The only token that the project has.
pub(crate) const TOKEN: &str = "fake-token";

/// How long a change takes.
const CHANGE: Duration = Duration::from_millis(20);

/// What goes wrong with a call.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// It is carried out, and its reply is lost.
    LostReply,
    /// It is turned away: too many.
    RateLimited,
    /// It is turned away: out of order.
    Unavailable,
}

struct Rule {
    method: Method,
    /// In segments; `*` stands for any.
    paths: &'static [&'static str],
    fault: Fault,
    times: u64,
}

struct Shared {
    project: Project,
    rules: Vec<Rule>,
    hit: u64,
}

/// A project on a loopback port of its own; it ends when this is dropped.
pub(crate) struct Fake {
    pub(crate) endpoint: String,
    shared: Arc<Mutex<Shared>>,
    task: tokio::task::JoinHandle<()>,
}

impl Fake {
    /// Starts a project with one zone, which may have that many floating IPs.
    pub(crate) async fn start(zone: &str, floating_ip_limit: usize) -> io::Result<Self> {
        let shared = Shared { project: Project::new(zone, floating_ip_limit), rules: Vec::new(), hit: 0 };
        let shared = Arc::new(Mutex::new(shared));
        let router = Router::new().fallback(serve).with_state(Arc::clone(&shared));
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let endpoint = format!("http://{}/v1", listener.local_addr()?);
        let task = tokio::spawn(async move { drop(axum::serve(listener, router).await) });
        Ok(Self { endpoint, shared, task })
    }

    /// Lets the next calls of a kind go wrong.
    pub(crate) fn fail(&self, method: Method, paths: &'static [&'static str], fault: Fault, times: u64) {
        self.lock().rules.push(Rule { method, paths, fault, times });
    }

    /// Lets nothing go wrong any more.
    pub(crate) fn mend(&self) {
        self.lock().rules.clear();
    }

    /// How many calls went wrong.
    pub(crate) fn hit(&self) -> u64 {
        self.lock().hit
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Carries a request out, whether its client waits for that or not. A change takes longer than a read.
async fn serve(State(shared): State<Arc<Mutex<Shared>>>, request: Request) -> Response {
    let carried_out = tokio::spawn(async move {
        if request.method() != Method::GET {
            tokio::time::sleep(CHANGE).await;
        }
        carry_out(&shared, request).await
    });
    carried_out.await.unwrap()
}

async fn carry_out(shared: &Mutex<Shared>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path: Vec<&str> = parts.uri.path().trim_start_matches("/v1/").split('/').collect();
    let query = Query::try_from_uri(&parts.uri).map(|Query(query)| query).unwrap_or_default();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap_or_default();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let bearer = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if bearer.and_then(|bearer| bearer.strip_prefix("Bearer ")) != Some(TOKEN) {
        return Refusal::unauthorized().into_response();
    }

    let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
    let fault = shared.fault(&parts.method, &path);
    match fault {
        Some(Fault::RateLimited) => return Refusal::rate_limited().into_response(),
        Some(Fault::Unavailable) => return Refusal::unavailable().into_response(),
        Some(Fault::LostReply) | None => {}
    }
    shared.project.advance();
    let answer = routes::answer(&mut shared.project, parts.method.as_str(), &path, &query, &body);
    match (answer, fault) {
        (_, Some(_)) => lost(),
        (Ok((status, Value::Null)), None) => status.into_response(),
        (Ok((status, body)), None) => (status, Json(body)).into_response(),
        (Err(refusal), None) => refusal.into_response(),
    }
}

impl Shared {
    fn fault(&mut self, method: &Method, path: &[&str]) -> Option<Fault> {
        let same = |pattern: &&str| {
            let pattern: Vec<&str> = pattern.split('/').collect();
            pattern.len() == path.len() && pattern.iter().zip(path).all(|(p, s)| *p == "*" || p == s)
        };
        let fits = |rule: &&mut Rule| rule.times > 0 && rule.method == *method && rule.paths.iter().any(same);
        let rule = self.rules.iter_mut().find(fits)?;
        rule.times -= 1;
        self.hit += 1;
        Some(rule.fault)
    }
}

/// An answer whose connection breaks before its body is there.
fn lost() -> Response {
    let broken = futures::stream::once(async { Err::<Bytes, _>(io::Error::other("lost")) });
    Response::new(Body::from_stream(broken))
}
