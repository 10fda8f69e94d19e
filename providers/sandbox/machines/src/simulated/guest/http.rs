//! The pages of a simulated service.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, Uri, header},
    response::{IntoResponse, Response},
    serve::Listener,
};
use tokio::{net::TcpListener, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    behaviour::{Behaviour, HttpRoute},
    cut::Cut,
};
use crate::simulated::disk::{SharedDisk, lock};

/// What the pages of one port are made from.
pub(super) struct Pages {
    /// The disk that templates read.
    pub(super) disk: SharedDisk,
    /// Times and environment.
    pub(super) behaviour: Behaviour,
    /// The port's routes.
    pub(super) routes: Vec<HttpRoute>,
    /// When the machine's services started.
    pub(super) since: Instant,
}

/// A listener whose connections die with the machine.
struct CutListener {
    listener: TcpListener,
    token: CancellationToken,
}

impl Listener for CutListener {
    type Io = Cut;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let (stream, peer) = Listener::accept(&mut self.listener).await;
        (Cut::new(stream, self.token.clone()), peer)
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

/// Serves pages until the token is cancelled.
pub(super) async fn serve(listener: TcpListener, pages: Pages, token: CancellationToken) {
    let router = Router::new().fallback(answer).with_state(Arc::new(pages));
    let server = axum::serve(CutListener { listener, token: token.clone() }, router);
    token.run_until_cancelled(server.into_future()).await;
}

async fn answer(State(pages): State<Arc<Pages>>, uri: Uri) -> Response {
    let Pages { behaviour, routes, since, .. } = &*pages;
    let passed = |after: Option<_>| after.is_some_and(|after| since.elapsed() >= Duration::from(after));
    if behaviour.ready_after.is_some() && !passed(behaviour.ready_after) {
        return (StatusCode::SERVICE_UNAVAILABLE, "not ready\n").into_response();
    }
    let named = routes.iter().find(|route| route.path == uri.path());
    let Some(route) = named.or_else(|| routes.iter().find(|route| route.path == "*")) else {
        return (StatusCode::NOT_FOUND, "not found\n").into_response();
    };
    if let Some(delay) = route.delay {
        tokio::time::sleep(delay.into()).await;
    }
    let is_health = route.health.unwrap_or_else(|| route.path.contains("health"));
    if is_health && passed(behaviour.fail_health_after) {
        return (StatusCode::SERVICE_UNAVAILABLE, "failing\n").into_response();
    }
    let status = StatusCode::from_u16(route.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = behaviour.fill(&lock(&pages.disk), &route.body);
    (status, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], body).into_response()
}
