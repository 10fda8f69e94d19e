//! How a request is refused, and why an account cannot be opened.

use std::path::PathBuf;

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};

/// A request that is refused, with what the client is told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{id}: {message}")]
pub struct ApiError {
    /// The HTTP status of the answer, from 400.
    pub status: u16,
    /// The error's short name: one of core's words from the engine, a code of its API from a front end.
    pub id: &'static str,
    /// What the client is told.
    pub message: String,
}

impl IntoResponse for ApiError {
    /// The status, and the error among the answer's extensions: a front end writes it in its API's shape on the way out.
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// A result whose error is the answer that the client gets.
pub type ApiResult<T> = Result<T, ApiError>;

impl ApiError {
    fn new(status: u16, id: &'static str, message: impl Into<String>) -> Self {
        Self { status, id, message: message.into() }
    }

    /// 400: the body or a parameter cannot be read.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "invalid_input", message)
    }

    /// 401: no token, or another one.
    pub fn unauthorized() -> Self {
        Self::new(401, "unauthenticated", "the credentials are missing or wrong")
    }

    /// 403: not with this account.
    pub fn forbidden() -> Self {
        Self::new(403, "forbidden", "the account may not do this")
    }

    /// 403: not while something else is done to it; the message says what.
    pub fn not_now(message: impl Into<String>) -> Self {
        Self::new(403, "busy", message)
    }

    /// 404: the path names nothing that the account has.
    pub fn not_found() -> Self {
        Self::new(404, "not_found", "there is no such thing in the account")
    }

    /// 422: understood and refused.
    pub fn unprocessable(message: impl Into<String>) -> Self {
        Self::new(422, "invalid_input", message)
    }

    /// 422: an action is running on it.
    pub fn busy() -> Self {
        Self::new(422, "busy", "an action is running on it")
    }

    /// 429: too many calls.
    pub fn too_many_requests() -> Self {
        Self::new(429, "rate_limited", "there were too many calls")
    }

    /// 500: the sandbox itself failed.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(500, "internal", message)
    }

    /// 503: too busy, or broken before the API.
    pub fn unavailable() -> Self {
        Self::new(503, "unavailable", "the service is not available")
    }

    /// 501: the sandbox does not have this on this machine; the message says what is missing.
    pub fn not_here(message: impl Into<String>) -> Self {
        Self::new(501, "unsupported", message)
    }

    /// 501: the cloud has this, the sandbox does not.
    pub fn not_implemented(what: impl std::fmt::Display) -> Self {
        Self::new(501, "unsupported", format!("The sandbox does not implement {what}."))
    }
}

/// Why a cloud could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum CloudError {
    /// A folder or file of the sandbox cannot be made, read or written.
    #[error("cannot {what} {}", path.display())]
    File {
        /// What was tried, as the message says it before the path.
        what: &'static str,
        /// The folder or file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The state file is not what this sandbox wrote.
    #[error("cannot understand {}: `remint sandbox reset` starts afresh", path.display())]
    Parse {
        /// The state file of the account.
        path: PathBuf,
        /// Where the JSON is not as expected.
        source: serde_json::Error,
    },
    /// The state file was written by another version.
    #[error(
        "{} has version {found}, this program knows version {known}: use the program that wrote it, or start afresh with \
         `remint sandbox reset`",
        path.display()
    )]
    Version {
        /// The state file of the account.
        path: PathBuf,
        /// The version that the file says it has.
        found: u32,
        /// The version that this program writes.
        known: u32,
    },
    /// The machines cannot be looked up.
    #[error("cannot find the machines of the state file")]
    Machines {
        /// The error of the kind of machine that the account has.
        source: remint_sandbox_machines::MachineError,
    },
    /// The API cannot listen.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address and port that were asked for.
        address: std::net::SocketAddr,
        /// The system's error; often another process has the port.
        source: std::io::Error,
    },
    /// The API would listen on an address that others can reach.
    #[error("the sandbox listens on loopback addresses only, not on {address}")]
    NotLoopback {
        /// The address and port that were asked for.
        address: std::net::SocketAddr,
    },
}
