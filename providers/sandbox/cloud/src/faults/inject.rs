//! The layer that makes calls fail.

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::{ConnectInfo, MatchedPath, Request, State},
    http::{HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};

use super::{
    call::Call,
    rule::{Fault, FaultRule},
    rules::Faults,
    scope::{with_doomed_actions, with_stale_view},
    shape::{Bent, NoRoom, Shape},
};
use crate::{ApiError, calls::Operation, connection::ConnectionHandle};

/// The largest request body that is looked into, and the largest list that is remembered.
const LARGEST_BODY: usize = 4 << 20;

/// Carries calls out, or does to them what a rule says.
pub async fn layer(State((faults, shape)): State<(Arc<Faults>, Shape)>, request: Request, next: Next) -> Response {
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let mut call = Call { method: method.as_str(), path: uri.path(), query: uri.query(), action: None };
    let known = request.extensions().get::<Operation>().map(|operation| operation.name.clone());
    let (request, action) = if known.is_some() {
        (request, known)
    } else if faults.wants_body(call) {
        match read_action(shape, request).await {
            Ok(read) => read,
            Err(response) => return response,
        }
    } else {
        (request, None)
    };
    call.action = action.as_deref();
    let route = request.extensions().get::<MatchedPath>().map_or(uri.path(), MatchedPath::as_str);
    let number = faults.changes.came(call, route);
    let rule = faults.decide(call);
    if let Some(rule) = &rule {
        tracing::info!(%method, path = uri.path(), fault = rule.fault.name(), "a fault rule hits");
    }
    let hold = faults.hold(call);
    if !hold.is_zero() {
        tokio::time::sleep(hold).await;
    }
    let list = (method == Method::GET).then(|| uri.to_string());
    let mut response = apply(&faults, shape, rule.as_ref(), request, next, list).await;
    if let Some(number) = number {
        faults.changes.answered(number, response.status().as_u16());
    }
    if rule.is_some() {
        response.extensions_mut().insert(Bent);
    }
    response
}

async fn apply(
    faults: &Faults,
    shape: Shape,
    rule: Option<&FaultRule>,
    request: Request,
    next: Next,
    list: Option<String>,
) -> Response {
    if let Some(delay) = rule.and_then(|rule| rule.delay_ms) {
        tokio::time::sleep(Duration::from_millis(delay)).await;
    }
    let connection = request.extensions().get::<ConnectInfo<ConnectionHandle>>().map(|info| info.0.clone());
    let applied = rule.is_some_and(|rule| rule.applied);
    match rule.map(|rule| rule.fault) {
        None | Some(Fault::Delay) => match list {
            Some(list) => remember(faults, shape, &list, next.run(request).await).await,
            None => next.run(request).await,
        },
        Some(Fault::RateLimited) => {
            let mut response = (shape.refuse)(ApiError::too_many_requests());
            if let Some(seconds) = rule.and_then(|rule| rule.retry_after) {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            response
        }
        Some(fault @ (Fault::ServerError | Fault::BadGateway | Fault::GatewayTimeout)) => {
            carry_out(applied, request, next).await;
            match fault {
                Fault::BadGateway => (shape.broken)(StatusCode::BAD_GATEWAY),
                Fault::GatewayTimeout => (shape.broken)(StatusCode::GATEWAY_TIMEOUT),
                _ => (shape.refuse)(ApiError::internal("Server was unable to give you a response.")),
            }
        }
        Some(Fault::ResetBeforeCommit) => reset(connection),
        Some(Fault::ResetAfterCommit) => {
            carry_out(true, request, next).await;
            reset(connection)
        }
        Some(Fault::StaleList) if shape.sees_stale => {
            with_stale_view(within(rule).unwrap_or(Duration::MAX), next.run(request)).await
        }
        Some(Fault::StaleList) => match list {
            Some(list) => stale(faults, shape, &list, within(rule), next.run(request).await).await,
            None => next.run(request).await,
        },
        Some(Fault::NoCapacity) => match shape.no_room {
            Some(no_room) => (shape.refuse)(no_room()),
            None => {
                let mut request = request;
                request.extensions_mut().insert(NoRoom { zone: rule.and_then(|rule| rule.zone.clone()) });
                next.run(request).await
            }
        },
        Some(Fault::ActionErrored) => with_doomed_actions(next.run(request)).await,
    }
}

/// How old a change may be that is not seen.
fn within(rule: Option<&FaultRule>) -> Option<Duration> {
    rule.and_then(|rule| rule.within_ms).map(Duration::from_millis)
}

/// Carries a call out whose answer nobody will see.
async fn carry_out(applied: bool, request: Request, next: Next) {
    if applied {
        drop(next.run(request).await);
    }
}

fn reset(connection: Option<ConnectionHandle>) -> Response {
    // Each server accepts through `Connections`.
    if let Some(connection) = connection {
        connection.reset();
    }
    StatusCode::INTERNAL_SERVER_ERROR.into_response()
}

/// The `type` in the body of a call, and the call as it was.
async fn read_action(shape: Shape, request: Request) -> Result<(Request, Option<String>), Response> {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, LARGEST_BODY).await else {
        return Err((shape.refuse)(ApiError::bad_request("The body could not be read.")));
    };
    let action = serde_json::from_slice::<serde_json::Value>(&body)
        .ok()
        .and_then(|value| Some(value.get("type")?.as_str()?.to_owned()));
    Ok((Request::from_parts(parts, Body::from(body)), action))
}

async fn remember(faults: &Faults, shape: Shape, list: &str, response: Response) -> Response {
    let (response, body) = read_answer(shape, response).await;
    if let Some(body) = &body {
        faults.lists.remember(list, body);
    }
    with_body(response, body)
}

async fn stale(faults: &Faults, shape: Shape, list: &str, within: Option<Duration>, response: Response) -> Response {
    let (response, body) = read_answer(shape, response).await;
    let body = body.map(|now| faults.lists.before(list, &now, within).unwrap_or(now));
    with_body(response, body)
}

/// The body of a good answer, taken out of it. An error keeps its body.
async fn read_answer(shape: Shape, response: Response) -> (Response, Option<Bytes>) {
    if response.status() != StatusCode::OK {
        return (response, None);
    }
    let (parts, body) = response.into_parts();
    match to_bytes(body, LARGEST_BODY).await {
        Ok(body) => (Response::from_parts(parts, Body::empty()), Some(body)),
        Err(_) => ((shape.refuse)(ApiError::internal("The answer could not be read.")), None),
    }
}

fn with_body(mut response: Response, body: Option<Bytes>) -> Response {
    if let Some(body) = body {
        response.headers_mut().remove(header::CONTENT_LENGTH);
        *response.body_mut() = Body::from(body);
    }
    response
}
