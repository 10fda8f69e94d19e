//! What a request and the server know of the connection between them.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    body::{Body, HttpBody as _},
    extract::{ConnectInfo, Request},
    middleware::Next,
    response::Response,
};
use futures::StreamExt as _;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::lock::lock;

/// How long the body of a request may take.
const BODY: Duration = Duration::from_secs(60);

/// The handle of the connection that a request came by: among the request's extensions as
/// `ConnectInfo<ConnectionHandle>`.
#[derive(Debug, Clone)]
pub struct ConnectionHandle(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    reset: AtomicBool,
    close: CancellationToken,
    activity: Mutex<Activity>,
}

#[derive(Debug)]
struct Activity {
    /// How many requests are under way.
    requests: usize,
    /// Whether there was ever one.
    used: bool,
    /// When there was none any more.
    since: Instant,
}

impl Default for ConnectionHandle {
    fn default() -> Self {
        let activity = Activity { requests: 0, used: false, since: Instant::now() };
        Self(Arc::new(Shared {
            reset: AtomicBool::default(),
            close: CancellationToken::new(),
            activity: Mutex::new(activity),
        }))
    }
}

impl ConnectionHandle {
    /// Resets the connection in place of the next bytes that would be written to it: of whatever is answered now, the
    /// client sees nothing.
    pub fn reset(&self) {
        self.0.reset.store(true, Ordering::SeqCst);
    }

    pub(super) fn is_reset(&self) -> bool {
        self.0.reset.load(Ordering::SeqCst)
    }

    pub(super) fn close(&self) {
        self.0.close.cancel();
    }

    /// Completes when the connection is to end.
    pub(super) fn closing(&self) -> WaitForCancellationFutureOwned {
        self.0.close.clone().cancelled_owned()
    }

    /// Since when no request is under way; `None` while one is.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let activity = lock(&self.0.activity);
        (activity.requests == 0).then_some(activity.since)
    }

    /// Whether a request ever came whole.
    pub(super) fn was_used(&self) -> bool {
        lock(&self.0.activity).used
    }

    fn begin(self) -> Busy {
        let mut activity = lock(&self.0.activity);
        activity.requests += 1;
        activity.used = true;
        drop(activity);
        Busy(self)
    }
}

/// A request that is under way.
struct Busy(ConnectionHandle);

impl Drop for Busy {
    fn drop(&mut self) {
        let mut activity = lock(&self.0.0.activity);
        activity.requests -= 1;
        activity.since = Instant::now();
    }
}

/// The outermost layer: notes on the connection that a request is under way, and gives its body so much time.
pub async fn attend(request: Request, next: Next) -> Response {
    let handle = request.extensions().get::<ConnectInfo<ConnectionHandle>>().map(|info| info.0.clone());
    let _busy = handle.map(ConnectionHandle::begin);
    next.run(request.map(|body| if body.is_end_stream() { body } else { timed(body) })).await
}

/// A body that fails where it is not there in time.
fn timed(body: Body) -> Body {
    let until = Instant::now() + BODY;
    let pieces = futures::stream::try_unfold(body.into_data_stream(), move |mut pieces| async move {
        match timeout_at(until, pieces.next()).await {
            Ok(piece) => Ok(piece.transpose()?.map(|piece| (piece, pieces))),
            Err(_) => Err(axum::Error::new(std::io::Error::from(std::io::ErrorKind::TimedOut))),
        }
    });
    Body::from_stream(pieces)
}
