//! What every request passes first: its signature, and the name of what it asks for.

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{header, request::Parts},
    middleware::{self, Next},
    response::Response,
};
use jiff::Timestamp;
use uuid::Uuid;

use super::{
    auth::{self, Refusal},
    keys::AccessKey,
    query::Params,
    refusal::Refused,
    reply::{Service, refuse},
    route53,
};
use crate::Cloud;
use remint_sandbox_cloud::calls::Operation;

/// The largest body of a request.
const LARGEST_BODY: usize = 1 << 20;

/// A request that was let through.
#[derive(Debug, Clone)]
pub(super) struct Admitted {
    pub(super) service: Service,
    pub(super) operation: String,
    /// The region that the signature is for.
    pub(super) region: String,
    pub(super) id: String,
    /// The body; of the Query API the form, which may be in the query as well.
    pub(super) body: Bytes,
}

#[derive(Debug, Clone)]
struct Gate {
    key: AccessKey,
}

/// Lets only requests with a valid signature through to the routes, and puts refusals into the shape of their service.
pub fn admit(cloud: &Cloud, routes: Router) -> Router {
    let gate = Gate { key: AccessKey::of(&cloud.config().token) };
    routes.layer(middleware::from_fn_with_state(gate, check))
}

async fn check(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let id = Uuid::new_v4().to_string();
    let (mut parts, body) = request.into_parts();
    let service = service(&parts);
    let Ok(body) = to_bytes(body, LARGEST_BODY).await else {
        return service.refuse(&id, &refuse("RequestEntityTooLarge", "The request's body is too large."));
    };
    let scope = match auth::verify(&parts, &body, &gate.key, Timestamp::now()) {
        Ok(scope) if Service::named(&scope.service) == Some(service) => scope,
        Ok(_) => return service.refuse(&id, &Refusal::Mismatch.error(service)),
        Err(refusal) => {
            tracing::debug!(?service, ?refusal, "a request without a valid signature");
            return service.refuse(&id, &refusal.error(service));
        }
    };
    let sent = match service {
        Service::Ec2 | Service::Sts | Service::Elb => form(&parts, &body),
        Service::Ssm | Service::Route53 => body.clone(),
    };
    let operation = operation(service, &parts, &sent);
    // Route 53's operations have paths of their own; the others are told apart by their name only.
    parts.extensions.insert(Operation { name: operation.clone(), in_route: service != Service::Route53 });
    let admitted = Admitted { service, operation, region: scope.region, id: id.clone(), body: sent };
    parts.extensions.insert(admitted);
    let mut response = next.run(Request::from_parts(parts, Body::from(body))).await;
    if let Some(Refused(error)) = response.extensions_mut().remove::<Refused>() {
        let mut refusal = service.refuse(&id, &error);
        if let Some(after) = response.headers_mut().remove(header::RETRY_AFTER) {
            refusal.headers_mut().insert(header::RETRY_AFTER, after);
        }
        *refusal.extensions_mut() = std::mem::take(response.extensions_mut());
        return refusal;
    }
    response
}

/// The parameters of a call: in its query, in its body, or in both.
fn form(parts: &Parts, body: &Bytes) -> Bytes {
    match parts.uri.query() {
        None => body.clone(),
        Some(query) => [query.as_bytes(), body].join(&b'&').into(),
    }
}

/// The service that a request is for, as far as it says so itself.
fn service(parts: &Parts) -> Service {
    if parts.uri.path().starts_with(route53::ROOT) {
        return Service::Route53;
    }
    let claimed = auth::claimed(parts).and_then(|scope| Service::named(&scope.service));
    match claimed {
        Some(Service::Route53) | None => {
            if parts.headers.contains_key("x-amz-target") {
                Service::Ssm
            } else {
                Service::Ec2
            }
        }
        Some(service) => service,
    }
}

/// The name of what is asked for; empty where it has none.
fn operation(service: Service, parts: &Parts, body: &[u8]) -> String {
    match service {
        Service::Ec2 | Service::Sts | Service::Elb => Params::action(body),
        Service::Ssm => {
            let target = parts.headers.get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or_default();
            target.strip_prefix("AmazonSSM.").unwrap_or(target).to_owned()
        }
        Service::Route53 => route53::operation(&parts.method, parts.uri.path()).to_owned(),
    }
}
