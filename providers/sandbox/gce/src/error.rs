//! Refusals, in the shape of Google's JSON APIs.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use remint_sandbox_cloud::ApiError;

/// A call that is refused, with what the client is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The HTTP status.
    pub(super) code: u16,
    /// The short name, as in `errors[].reason`.
    pub(super) reason: &'static str,
    /// What the client is told.
    pub(super) message: String,
    /// The canonical name, which only what stands before the APIs adds.
    pub(super) status: Option<&'static str>,
}

/// The result of a call.
pub(super) type Result<T, E = Refusal> = std::result::Result<T, E>;

impl Refusal {
    pub(super) fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), status: None }
    }

    /// 400: a value is wrong.
    pub(super) fn invalid(field: &str, value: impl std::fmt::Display, why: impl std::fmt::Display) -> Self {
        Self::new(400, "invalid", format!("Invalid value for field '{field}': '{value}'. {why}"))
    }

    /// 400: a value is missing.
    pub(super) fn required(field: &str) -> Self {
        Self::new(400, "required", format!("Required field '{field}' not specified"))
    }

    /// 400: the body is not what the method takes.
    pub(super) fn unreadable(problem: impl std::fmt::Display) -> Self {
        Self {
            status: Some("INVALID_ARGUMENT"),
            ..Self::new(400, "badRequest", format!("Invalid JSON payload received. {problem}"))
        }
    }

    /// 401: no credentials, or wrong ones.
    pub(super) fn unauthenticated() -> Self {
        let message = "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other \
                       valid authentication credential.";
        Self { status: Some("UNAUTHENTICATED"), ..Self::new(401, "authError", message) }
    }

    /// 403: the token's scopes do not include the API.
    pub(super) fn scope() -> Self {
        let message = "Request had insufficient authentication scopes.";
        Self { status: Some("PERMISSION_DENIED"), ..Self::new(403, "insufficientPermissions", message) }
    }

    /// 403: not the account's project, or not to be changed by it.
    pub(super) fn forbidden(permission: &str, path: &str) -> Self {
        Self::new(403, "forbidden", format!("Required '{permission}' permission for '{path}'"))
    }

    /// 403: as many as the project may have.
    pub(super) fn quota(metric: &str, limit: u64, region: &str) -> Self {
        Self::new(403, "quotaExceeded", format!("Quota '{metric}' exceeded. Limit: {limit}.0 in region {region}."))
    }

    /// 404: `path` begins with `projects/`.
    pub(super) fn not_found(path: impl std::fmt::Display) -> Self {
        Self::new(404, "notFound", format!("The resource '{path}' was not found"))
    }

    /// 409: `path` begins with `projects/`.
    pub(super) fn already_exists(path: impl std::fmt::Display) -> Self {
        Self::new(409, "alreadyExists", format!("The resource '{path}' already exists"))
    }

    /// 400: something runs on it. This is how the API says *busy*.
    pub(super) fn not_ready(path: impl std::fmt::Display) -> Self {
        Self::new(400, "resourceNotReady", format!("The resource '{path}' is not ready"))
    }

    /// 400: something else needs it.
    pub(super) fn in_use(kind: &str, path: impl std::fmt::Display, by: impl std::fmt::Display) -> Self {
        let message = format!("The {kind} resource '{path}' is already being used by '{by}'");
        Self::new(400, "resourceInUseByAnotherResource", message)
    }

    /// 413: more of something than a field may have.
    pub(super) fn too_many(field: &str, most: usize, count: usize) -> Self {
        let message =
            format!("Value for field '{field}' is too large: maximum size {most} element(s); actual size {count}.");
        Self::new(413, "fieldSizeTooLarge", message)
    }

    /// 412: a fingerprint is not the current one.
    pub(super) fn condition(message: impl Into<String>) -> Self {
        Self::new(412, "conditionNotMet", message)
    }

    /// 501: Google has this, the sandbox does not.
    pub(super) fn not_implemented(what: impl std::fmt::Display) -> Self {
        tracing::warn!(%what, "not implemented");
        let message = format!("The sandbox does not implement {what}.");
        Self { status: Some("UNIMPLEMENTED"), ..Self::new(501, "notImplemented", message) }
    }

    /// Refuses the first thing that is asked for and that the sandbox does not have.
    pub(super) fn unless_had<const N: usize>(asked: [(bool, &str); N]) -> Result<()> {
        let first = asked.into_iter().find(|(asked, _)| *asked);
        first.map_or(Ok(()), |(_, what)| Err(Self::not_implemented(what)))
    }

    fn body(&self) -> Value {
        let error = json!({ "message": self.message, "domain": "global", "reason": self.reason });
        let mut error = json!({ "code": self.code, "message": self.message, "errors": [error] });
        if let Some(status) = self.status {
            error["status"] = status.into();
        }
        json!({ "error": error })
    }
}

impl From<ApiError> for Refusal {
    /// What the engine refused.
    fn from(error: ApiError) -> Self {
        let (code, reason) = match error.status {
            503 if error.id.contains("EXHAUSTED") => return Self::new(503, error.id, error.message),
            501 => return Self { status: Some("UNIMPLEMENTED"), ..Self::new(501, "notImplemented", error.message) },
            404 => (404, "notFound"),
            // How Compute Engine refuses what comes too fast: not by 429.
            429 => (403, "rateLimitExceeded"),
            500.. => (503, "backendError"),
            other => (other, "badRequest"),
        };
        let message = if code == 503 { "Backend error. Please try again.".to_owned() } else { error.message };
        Self::new(code, reason, message)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        tracing::info!(status = self.code, reason = self.reason, "{}", self.message);
        let status = StatusCode::from_u16(self.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self.body())).into_response();
        if self.code == 401 {
            let challenge = HeaderValue::from_static("Bearer realm=\"https://accounts.google.com/\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

/// What comes from before the API, faults and limits, in Google's shape.
pub(crate) fn refuse(error: ApiError) -> Response {
    Refusal::from(error).into_response()
}

/// 503: a zone has no room.
pub(crate) fn no_room_in_zone() -> ApiError {
    let message = "The zone does not have enough resources available to fulfill the request. Try a different zone, or try \
                   again later.";
    ApiError { status: 503, id: "ZONE_RESOURCE_POOL_EXHAUSTED", message: message.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_look_like_googles() {
        let body = Refusal::not_found("projects/p/zones/z/instances/i").body();
        let message = "The resource 'projects/p/zones/z/instances/i' was not found";
        assert_eq!(
            body,
            json!({ "error": { "code": 404, "message": message, "errors": [
                { "message": message, "domain": "global", "reason": "notFound" }
            ] } })
        );
        assert_eq!(Refusal::unauthenticated().body()["error"]["status"], "UNAUTHENTICATED");
    }

    #[test]
    fn what_the_faults_layer_refuses_is_worded_like_google() {
        let limited = Refusal::from(ApiError::too_many_requests());
        assert_eq!((limited.code, limited.reason), (403, "rateLimitExceeded"));
        let foreign = Refusal::from(ApiError::not_implemented("x"));
        assert_eq!((foreign.code, foreign.reason), (501, "notImplemented"));
        let broken = Refusal::from(ApiError::internal("x"));
        assert_eq!((broken.code, broken.reason), (503, "backendError"));
        let full = Refusal::from(no_room_in_zone());
        assert_eq!((full.code, full.reason), (503, "ZONE_RESOURCE_POOL_EXHAUSTED"));
    }
}
