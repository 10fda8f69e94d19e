//! The one error that providers return.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

/// The result of a provider call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, in words that are the same on every cloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// The named resource does not exist (or not yet, right after it was made).
    NotFound,
    /// The resource exists and is not what was asked for, or belongs to something else.
    Conflict,
    /// The resource is occupied by another operation; the same call will work later.
    Busy,
    /// Too many calls; [`Error::retry_after`] says when to come back, where the cloud tells.
    RateLimited,
    /// An account limit is reached; only the user can raise it.
    Quota,
    /// The cloud has no room for this now at this place: no machine of this size in this zone, no address in this region.
    ///
    /// Nothing is wrong with the request or the account. Another zone or size may have room at once; the same place may have
    /// some in minutes or in days. So [`Calls`](super::Calls) does not repeat the call where it is: a provider that knows other
    /// zones tries them, and lists those that it tried in the message.
    Capacity,
    /// The cloud refuses the arguments; repeating the call cannot help.
    InvalidInput,
    /// The credentials are missing, malformed, expired or revoked.
    Unauthenticated,
    /// The credentials are valid and do not allow this.
    Forbidden,
    /// The provider does not declare the capability that this needs.
    Unsupported,
    /// The cloud is there and does not serve: 5xx, connection refused or reset.
    Unavailable,
    /// No answer within the time allowed.
    Timeout,
    /// An answer that fits no contract.
    Unexpected,
    /// This run lost the environment's lock, so the call was not sent; see [`Fence`](super::Fence).
    LockLost,
}

impl ErrorKind {
    /// Whether waiting a little and asking again can help.
    pub fn is_transient(self) -> bool {
        matches!(self, Self::Busy | Self::RateLimited | Self::Unavailable | Self::Timeout)
    }

    /// The kind in words, as error messages show it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "not found",
            Self::Conflict => "conflict",
            Self::Busy => "busy",
            Self::RateLimited => "rate limited",
            Self::Quota => "quota reached",
            Self::Capacity => "no capacity",
            Self::InvalidInput => "invalid input",
            Self::Unauthenticated => "not authenticated",
            Self::Forbidden => "forbidden",
            Self::Unsupported => "not supported",
            Self::Unavailable => "unavailable",
            Self::Timeout => "timed out",
            Self::Unexpected => "unexpected answer",
            Self::LockLost => "lock lost",
        }
    }
}

/// What a failed call did to the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Nothing: it is safe to repeat the call.
    NotApplied,
    /// The change was made, although the call failed.
    Applied,
    /// Nobody knows: look before repeating.
    Unknown,
}

/// A failed provider call.
///
/// `Display` is a lowercase fragment without a period and does not repeat the source:
/// `launch instance app-production-r7-0: quota reached: LimitExceeded: 3 of 3 in use (request 4d9d)`.
///
/// It is one pointer wide, so that results stay small.
#[derive(Debug)]
pub struct Error {
    inner: Box<Inner>,
}

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    effect: Effect,
    operation: &'static str,
    resource: Option<String>,
    message: String,
    hint: Option<String>,
    code: Option<String>,
    request_id: Option<String>,
    retry_after: Option<Duration>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// A failed `operation` ("launch instance"), with a message that says what the cloud said.
    ///
    /// The effect starts as [`Effect::NotApplied`]; whoever cannot vouch for that says so by [`Error::with_effect`].
    pub fn new(kind: ErrorKind, operation: &'static str, message: impl Into<String>) -> Self {
        let inner = Inner {
            kind,
            effect: Effect::NotApplied,
            operation,
            resource: None,
            message: message.into(),
            hint: None,
            code: None,
            request_id: None,
            retry_after: None,
            source: None,
        };
        Self { inner: Box::new(inner) }
    }

    /// The answer of a concern or method that this provider does not have.
    pub fn unsupported(operation: &'static str, capability: super::Capability) -> Self {
        Self::new(ErrorKind::Unsupported, operation, format!("this provider does not declare {capability}"))
    }

    /// Says what the call did.
    #[must_use]
    pub fn with_effect(mut self, effect: Effect) -> Self {
        self.inner.effect = effect;
        self
    }

    /// Names the resource that the call was about.
    #[must_use]
    pub fn with_resource(mut self, resource: impl fmt::Display) -> Self {
        self.inner.resource = Some(resource.to_string());
        self
    }

    /// Says what the user can do about it, as an imperative sentence without a period.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.inner.hint = Some(hint.into());
        self
    }

    /// Keeps the cloud's own code of this error: `InstanceLimitExceeded`. The message does not repeat it.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<String>) -> Self {
        self.inner.code = Some(code.into());
        self
    }

    /// Says more than before, and keeps everything else.
    #[must_use]
    pub fn map_message(mut self, message: impl FnOnce(&str) -> String) -> Self {
        self.inner.message = message(&self.inner.message);
        self
    }

    /// Keeps the cloud's own request id, for its support.
    #[must_use]
    pub fn with_request_id(mut self, id: impl Into<String>) -> Self {
        self.inner.request_id = Some(id.into());
        self
    }

    /// Keeps the cloud's own word on when to come back.
    #[must_use]
    pub fn with_retry_after(mut self, after: Duration) -> Self {
        self.inner.retry_after = Some(after);
        self
    }

    /// Keeps the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.inner.source = Some(source.into());
        self
    }

    /// What went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.inner.kind
    }

    /// What the call did to the world.
    pub fn effect(&self) -> Effect {
        self.inner.effect
    }

    /// What was tried, as a fragment: `launch instance`.
    pub fn operation(&self) -> &'static str {
        self.inner.operation
    }

    /// The resource that the call was about, where there is one.
    pub fn resource(&self) -> Option<&str> {
        self.inner.resource.as_deref()
    }

    /// What the cloud said, for people. Decisions are made by [`kind`](Self::kind), [`effect`](Self::effect) and
    /// [`code`](Self::code): a cloud can change its texts at any time.
    pub fn message(&self) -> &str {
        &self.inner.message
    }

    /// What the cloud said, with its code: for a message that quotes this error.
    pub fn said(&self) -> String {
        let parts = self.code().into_iter().chain([self.message()]).filter(|part| !part.is_empty());
        parts.collect::<Vec<_>>().join(": ")
    }

    /// What the user can do about it.
    pub fn hint(&self) -> Option<&str> {
        self.inner.hint.as_deref()
    }

    /// The cloud's own code of this error, such as `DependencyViolation`; `None` where it gave none.
    pub fn code(&self) -> Option<&str> {
        self.inner.code.as_deref()
    }

    /// Whether the cloud refused with this code.
    pub fn is_code(&self, code: &str) -> bool {
        self.code() == Some(code)
    }

    /// The id under which the cloud has the request; `None` where it gave none.
    pub fn request_id(&self) -> Option<&str> {
        self.inner.request_id.as_deref()
    }

    /// How long the cloud asks to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        self.inner.retry_after
    }

    /// Whether the same call may be repeated without looking first.
    pub fn is_safe_to_repeat(&self) -> bool {
        self.inner.kind.is_transient() && self.inner.effect == Effect::NotApplied
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.inner.operation)?;
        if let Some(resource) = &self.inner.resource {
            write!(f, " {resource}")?;
        }
        write!(f, ": {}", self.inner.kind.as_str())?;
        let said = self.said();
        if !said.is_empty() {
            write!(f, ": {said}")?;
        }
        if let Some(id) = &self.inner.request_id {
            write!(f, " (request {id})")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.inner.source.as_ref().map(|source| source.as_ref() as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_names_operation_resource_kind_and_request() {
        let error = Error::new(ErrorKind::Quota, "launch instance", "3 of 3 in use")
            .with_resource("app-7-0")
            .with_request_id("4d9d")
            .with_source(std::io::Error::other("cause"));
        assert_eq!(error.to_string(), "launch instance app-7-0: quota reached: 3 of 3 in use (request 4d9d)");
        assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "cause");
        let error = error.with_code("LimitExceeded").map_message(|said| format!("{said} here"));
        let text = "launch instance app-7-0: quota reached: LimitExceeded: 3 of 3 in use here (request 4d9d)";
        assert_eq!((error.to_string().as_str(), error.is_code("LimitExceeded")), (text, true));
    }

    #[test]
    fn only_a_transient_error_without_effect_may_be_repeated() {
        let busy = || Error::new(ErrorKind::Busy, "x", "");
        assert!(busy().is_safe_to_repeat());
        assert!(!busy().with_effect(Effect::Unknown).is_safe_to_repeat());
        assert!(!Error::new(ErrorKind::InvalidInput, "x", "").is_safe_to_repeat());
        assert!(
            !Error::new(ErrorKind::Capacity, "x", "").is_safe_to_repeat(),
            "another place is tried, not the same one"
        );
    }
}
