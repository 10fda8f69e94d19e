//! From Google's errors to [`remint_core::provider::Error`]: what went wrong, and what the call did to the world.
//!
//! A call is refused by an HTTP status and a `reason` (`error.errors[].reason`, or the `ErrorInfo` of newer APIs); an
//! operation that was accepted and failed carries codes of its own (`error.errors[].code`), although it is read with
//! status 200. Where one of them means several things (an organization's policy, a service account that is missing) Google's text is
//! read, here and nowhere else. Sources: "Troubleshooting the Compute Engine API" and the reference of `zoneOperations`.

use std::time::Duration;

use google_cloud_compute_v1::model::{Operation, operation::Status};
use google_cloud_gax::error::{
    Error as SdkError,
    rpc::{Status as RpcStatus, StatusDetails},
};
use remint_core::{
    provider::{
        Effect, Error, ErrorKind,
        support::{Call, CallClass, NoAnswer, answered},
    },
    redact,
};

use crate::relay;

/// How much of a message an error keeps, in bytes.
const EXCERPT: usize = 512;
/// The longest wait that is believed.
const LONGEST_WAIT: u64 = 3600;

/// What a call is about, for its error.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    /// What is called: the same look or change may need several calls, and each sets its class.
    pub(crate) call: Call,
    /// The service account that what is made runs as.
    account: Option<String>,
}

impl Subject {
    /// A call about nothing in particular.
    pub(crate) fn new(operation: &'static str) -> Self {
        Self { call: Call::read(operation), account: None }
    }

    /// The same for a call of another class.
    pub(crate) fn of_class(mut self, class: CallClass) -> Self {
        self.call.class = class;
        self
    }

    pub(crate) fn operation(&self) -> &'static str {
        self.call.operation
    }

    /// Names the resource for messages.
    pub(crate) fn about(mut self, resource: impl std::fmt::Display) -> Self {
        self.call = self.call.about(resource);
        self
    }

    /// Names the service account that what is made runs as: one that was just created is not found for a while, and then the
    /// same call works later.
    pub(crate) fn running_as(mut self, email: Option<&str>) -> Self {
        self.account = email.map(str::to_owned);
        self
    }

    /// What a refusal means that names the service account, and what to do about it.
    fn of_account(&self, kind: ErrorKind, message: &str) -> Option<(ErrorKind, String)> {
        let email = self.account.as_deref().filter(|email| message.contains(email))?;
        match kind {
            ErrorKind::NotFound => Some((
                ErrorKind::Busy,
                format!(
                    "if {email} was created a moment ago, try again in a minute; else check the option `service_account`"
                ),
            )),
            // Google says this of an account that it does not find, too.
            ErrorKind::Forbidden => Some((
                ErrorKind::Forbidden,
                format!(
                    "check that {email} exists, and give the credentials roles/iam.serviceAccountUser on it; if it was created \
                     a moment ago, try again in a minute"
                ),
            )),
            _ => None,
        }
    }

    /// An error about this.
    pub(crate) fn error(&self, kind: ErrorKind, message: impl Into<String>) -> Error {
        hinted(self.call.error(kind, message))
    }

    /// A call that failed.
    pub(crate) fn failed(&self, error: SdkError) -> Error {
        let call = &self.call;
        if let Some(said) = relay::said(error.http_headers(), error.http_payload().map(|body| &body[..])) {
            let mut mapped = hinted(call.failed(said.kind, said.effect, said.what));
            if let Some(cause) = said.cause {
                mapped = mapped.with_source(excerpt(cause));
            }
            return match said.hint {
                Some(hint) => mapped.with_hint(hint),
                None => mapped,
            };
        }
        if let Some(status) = error.http_status_code() {
            // The SDK shows no status of a success, nor any headers.
            answered(status, None);
            return self.refused(status, error);
        }
        let why = match () {
            () if error.is_connect() => NoAnswer::NotConnected,
            () if error.is_timeout() || error.is_exhausted() => NoAnswer::TimedOut,
            () if error.is_io() || error.is_transport() => NoAnswer::Broken,
            () if error.is_deserialization() => return call.unreadable().with_source(error),
            () => NoAnswer::NotBuilt,
        };
        call.no_answer(why).with_source(error)
    }

    fn refused(&self, status: u16, error: SdkError) -> Error {
        let reasons = reasons(error.status());
        let text = match (error.status(), error.http_payload()) {
            (Some(status), _) => status.message.clone(),
            (None, Some(body)) => String::from_utf8_lossy(&body[..body.len().min(4 * EXCERPT)]).into_owned(),
            (None, None) => String::new(),
        };
        let (kind, constraint) = (refusal(status, &reasons, &text), constraint(&text).map(str::to_owned));
        let of_account = self.of_account(kind, &text);
        let kind = of_account.as_ref().map_or(kind, |(kind, _)| *kind);
        let text = excerpt(&text);
        let effect = if (400..500).contains(&status) || status == 501 { Effect::NotApplied } else { Effect::Unknown };
        let message = if text.is_empty() { status.to_string() } else { format!("{status}: {text}") };
        let mut mapped = hinted(match reasons.first() {
            Some(reason) => self.call.failed(kind, effect, text).with_code(reason),
            None => self.call.failed(kind, effect, message),
        });
        if reasons.iter().any(|reason| matches!(reason.as_str(), "accessNotConfigured" | "SERVICE_DISABLED")) {
            mapped = mapped.with_hint(
                "enable the API in the project: `gcloud services enable compute.googleapis.com dns.googleapis.com`",
            );
        }
        if let Some((_, hint)) = of_account {
            mapped = mapped.with_hint(hint);
        }
        if let Some(constraint) = &constraint {
            mapped = mapped.with_hint(policy_hint(constraint));
        }
        if kind == ErrorKind::Capacity {
            mapped = mapped.with_hint(room_hint(None));
        }
        if (300..400).contains(&status) {
            mapped = mapped.with_hint("redirects are not followed; check the API's address");
        }
        let header = |name: &str| error.http_headers()?.get(name)?.to_str().ok().map(str::to_owned);
        if let Some(id) =
            request_id(error.status()).or_else(|| header("x-goog-request-id")).or_else(|| header("x-request-id"))
        {
            mapped = mapped.with_request_id(excerpt(&id));
        }
        if let Some(seconds) = header("retry-after").and_then(|text| text.trim().parse::<u64>().ok()) {
            mapped = mapped.with_retry_after(Duration::from_secs(seconds.clamp(1, LONGEST_WAIT)));
        }
        mapped
    }

    /// An operation that was accepted, as far as it is: an error once it has failed.
    pub(crate) fn progress(&self, operation: &Operation) -> Result<(), Error> {
        let errors = operation.error.iter().flat_map(|error| &error.errors);
        let codes: Vec<String> = errors.clone().filter_map(|error| error.code.clone()).collect();
        let status = operation.http_error_status_code.and_then(|status| u16::try_from(status).ok());
        if operation.error.is_none() && status.is_none_or(|status| status < 400) {
            return Ok(());
        }
        let said: Vec<&str> = errors.filter_map(|error| error.message.as_deref()).collect();
        let said =
            if said.is_empty() { operation.http_error_message.clone().unwrap_or_default() } else { said.join("; ") };
        let kind = failure(&codes, status, &said);
        let of_account = self.of_account(kind, &said);
        let kind = of_account.as_ref().map_or(kind, |(kind, _)| *kind);
        let mut error = self.error(kind, excerpt(&said));
        // The status is the code of an operation that has none.
        if let Some(code) = codes.first().cloned().or(status.map(|status| status.to_string())) {
            error = error.with_code(code);
        }
        if let Some(name) = &operation.name {
            error = error.with_request_id(name);
        }
        if let Some((_, hint)) = of_account {
            error = error.with_hint(hint);
        }
        if let Some(constraint) = constraint(&said) {
            error = error.with_hint(policy_hint(constraint));
        }
        if kind == ErrorKind::Capacity {
            error = error.with_hint(room_hint(zones_with_room(operation)));
        }
        Err(error)
    }
}

/// Whether an operation has ended, well or not.
pub(crate) fn is_done(operation: &Operation) -> bool {
    operation.status == Some(Status::Done)
}

fn details(status: Option<&RpcStatus>) -> impl Iterator<Item = &StatusDetails> {
    status.into_iter().flat_map(|status| &status.details)
}

/// The reasons that an answer gives.
fn reasons(status: Option<&RpcStatus>) -> Vec<String> {
    let reason = |detail: &StatusDetails| match detail {
        StatusDetails::ErrorInfo(info) if !info.reason.is_empty() => Some(info.reason.clone()),
        _ => None,
    };
    details(status).filter_map(reason).collect()
}

fn request_id(status: Option<&RpcStatus>) -> Option<String> {
    details(status).find_map(|detail| match detail {
        StatusDetails::RequestInfo(info) if !info.request_id.is_empty() => Some(info.request_id.clone()),
        _ => None,
    })
}

/// The constraint of an organization policy that a refusal names, as in "Constraint constraints/compute.trustedImageProjects
/// violated for project 7". It comes with status 412 and the reason of a precondition, as if somebody else had been faster.
fn constraint(message: &str) -> Option<&str> {
    const PREFIXES: [&str; 2] = ["customConstraints/", "constraints/"];
    // Not the end of another word, as in the address of a page about "org-policy-constraints/".
    let begins = |at: usize| !message[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || "-_".contains(c));
    let found = |prefix: &&str| message.match_indices(prefix).map(|(at, _)| at).find(|at| begins(*at));
    let start = PREFIXES.iter().find_map(found)?;
    let rest = &message[start..];
    let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && !"./_-".contains(c)).unwrap_or(rest.len());
    Some(rest[..end].trim_end_matches('.'))
}

fn policy_hint(constraint: &str) -> String {
    match constraint {
        // A static IP here is a forwarding rule with a target instance.
        "constraints/compute.restrictProtocolForwardingCreationForTypes" => format!(
            "ask the organization's administrator to allow EXTERNAL in {constraint} for this project, or set address.static_ip = \
             \"none\" and reach the service by its DNS record"
        ),
        "constraints/compute.restrictLoadBalancerCreationForTypes" => format!(
            "ask the organization's administrator to allow EXTERNAL_NETWORK_TCP_UDP in {constraint} for this project"
        ),
        "constraints/compute.requireOsLogin" => format!(
            "ask the organization's administrator to turn {constraint} off for this project: Remint sets enable-oslogin to FALSE \
             on its instances, because OS Login would ignore the manifest's keys and let in whom IAM names"
        ),
        _ => format!(
            "the organization's policy forbids it: ask its administrator for an exception from {constraint} for this project"
        ),
    }
}

fn refusal(status: u16, reasons: &[String], message: &str) -> ErrorKind {
    if constraint(message).is_some() {
        return ErrorKind::Forbidden;
    }
    for reason in reasons {
        let kind = match reason.as_str() {
            reason if is_exhausted(reason) => ErrorKind::Capacity,
            "quotaExceeded" | "limitExceeded" | "QUOTA_EXCEEDED" => ErrorKind::Quota,
            "rateLimitExceeded" | "userRateLimitExceeded" | "RATE_LIMIT_EXCEEDED" | "resourceOperationRateExceeded" => {
                ErrorKind::RateLimited
            }
            "resourceNotReady" | "RESOURCE_NOT_READY" => ErrorKind::Busy,
            "resourceInUseByAnotherResource" | "RESOURCE_IN_USE_BY_ANOTHER_RESOURCE" | "containerNotEmpty" => {
                ErrorKind::Conflict
            }
            "alreadyExists" | "conditionNotMet" | "cnameResourceRecordSetConflict" => ErrorKind::Conflict,
            // An instance that is in this group, or in another one behind a load balancer.
            "memberAlreadyExists" | "instanceInMultipleLoadBalancedIgs" => ErrorKind::Conflict,
            _ => continue,
        };
        return kind;
    }
    let unnamed_quota = reasons.is_empty() && message.to_ascii_lowercase().contains("quota");
    match status {
        401 => ErrorKind::Unauthenticated,
        403 | 413 if unnamed_quota => ErrorKind::Quota,
        403 => ErrorKind::Forbidden,
        404 | 410 => ErrorKind::NotFound,
        408 => ErrorKind::Timeout,
        409 | 412 => ErrorKind::Conflict,
        429 => ErrorKind::RateLimited,
        501 => ErrorKind::Unsupported,
        400..=499 => ErrorKind::InvalidInput,
        500..=599 if is_exhausted(message) => ErrorKind::Capacity,
        500..=599 => ErrorKind::Unavailable,
        _ => ErrorKind::Unexpected,
    }
}

/// Whether a code, reason or message says that a zone has no room. Sources: "Troubleshooting resource availability errors"
/// of Compute Engine, and its answers: `ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS` with the reason `resource_availability` and
/// `(state:STOCKOUT, …)` in the message.
fn is_exhausted(text: &str) -> bool {
    text.contains("RESOURCE_POOL_EXHAUSTED") || text.contains("STOCKOUT") || text == "resource_availability"
}

/// The zones of the region that Compute Engine says have room.
fn zones_with_room(operation: &Operation) -> Option<&str> {
    let mut details = operation.error.iter().flat_map(|error| &error.errors).flat_map(|error| &error.error_details);
    let zones = details.find_map(|detail| detail.error_info.as_ref()?.metadatas.get("zonesAvailable"));
    zones.map(|zones| zones.trim()).filter(|zones| !zones.is_empty())
}

fn room_hint(zones: Option<&str>) -> String {
    match zones {
        Some(zones) => {
            format!("choose another zone (Google says that there is room in {}), or another size", excerpt(zones))
        }
        None => "choose another zone or size, or try again later: the zone has no room for this size now".to_owned(),
    }
}

fn failure(codes: &[String], status: Option<u16>, message: &str) -> ErrorKind {
    if constraint(message).is_some() {
        return ErrorKind::Forbidden;
    }
    for code in codes {
        let kind = match code.as_str() {
            "QUOTA_EXCEEDED" | "LIMIT_EXCEEDED" => ErrorKind::Quota,
            "RATE_LIMIT_EXCEEDED" | "RESOURCE_OPERATION_RATE_EXCEEDED" => ErrorKind::RateLimited,
            "RESOURCE_NOT_READY" => ErrorKind::Busy,
            "RESOURCE_IN_USE_BY_ANOTHER_RESOURCE" | "RESOURCE_ALREADY_EXISTS" | "CONDITION_NOT_MET" => {
                ErrorKind::Conflict
            }
            "MEMBER_ALREADY_EXISTS" | "INSTANCE_IN_MULTIPLE_LOAD_BALANCED_IGS" => ErrorKind::Conflict,
            "RESOURCE_NOT_FOUND" => ErrorKind::NotFound,
            "PERMISSIONS_ERROR" | "FORBIDDEN" => ErrorKind::Forbidden,
            "INTERNAL_ERROR" => ErrorKind::Unavailable,
            code if is_exhausted(code) => ErrorKind::Capacity,
            code if code.starts_with("INVALID_") || code.starts_with("UNSUPPORTED_") => ErrorKind::InvalidInput,
            _ => continue,
        };
        return kind;
    }
    if is_exhausted(message) {
        return ErrorKind::Capacity;
    }
    status.map_or(ErrorKind::Unexpected, |status| refusal(status, &[], ""))
}

fn hinted(error: Error) -> Error {
    match hint(error.kind()) {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

fn hint(kind: ErrorKind) -> Option<&'static str> {
    match kind {
        ErrorKind::Unauthenticated => {
            Some("check the file in GOOGLE_APPLICATION_CREDENTIALS, or run `gcloud auth application-default login`")
        }
        ErrorKind::Forbidden => {
            Some("give the credentials the roles that this needs, and check that the project is active")
        }
        ErrorKind::Quota => Some("delete what is not needed, or ask Google to raise the quota of the project"),
        _ => None,
    }
}

/// At most [`EXCERPT`] bytes on one line.
fn excerpt(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    redact::excerpt(line.trim_end_matches('.'), EXCERPT)
}

#[cfg(test)]
mod policy;
#[cfg(test)]
mod tests;
