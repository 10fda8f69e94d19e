//! One rule: which calls, and what happens.

use serde::{Deserialize, Serialize};

use super::call::Call;

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// 429, with `retry-after` where the rule has it; EC2's is 503 `RequestLimitExceeded`. Nothing is done.
    RateLimited,
    /// 500 in the API's shape. Nothing is done, unless `applied`.
    ServerError,
    /// 502 with a page of HTML; of EC2, 503 `Unavailable`. Nothing is done, unless `applied`.
    BadGateway,
    /// 504 with a page of HTML; of EC2, 503 `Unavailable`. Nothing is done, unless `applied`.
    GatewayTimeout,
    /// The connection is reset before anything is done.
    ResetBeforeCommit,
    /// The connection is reset after the call was carried out: its answer is lost.
    ResetAfterCommit,
    /// A list is answered as it was before it last changed; one that was never asked for is empty. Of EC2: what was made
    /// last is not seen, also by its id.
    StaleList,
    /// Actions that the call begins end `errored`, without having done anything; a droplet that it creates vanishes.
    ActionErrored,
    /// The call is carried out after the rule's delay.
    Delay,
    /// There is no room for what the call would make. Nothing is done. Of EC2, a launch alone is refused, in the rule's zone or
    /// in all; of DigitalOcean it is 422, of Google's 503.
    NoCapacity,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::RateLimited,
        Self::ServerError,
        Self::BadGateway,
        Self::GatewayTimeout,
        Self::ResetBeforeCommit,
        Self::ResetAfterCommit,
        Self::StaleList,
        Self::ActionErrored,
        Self::Delay,
        Self::NoCapacity,
    ];

    /// The word that a rule's `fault` names it by, such as `rate_limited`.
    pub fn name(self) -> &'static str {
        match self {
            Self::RateLimited => "rate_limited",
            Self::ServerError => "server_error",
            Self::BadGateway => "bad_gateway",
            Self::GatewayTimeout => "gateway_timeout",
            Self::ResetBeforeCommit => "reset_before_commit",
            Self::ResetAfterCommit => "reset_after_commit",
            Self::StaleList => "stale_list",
            Self::ActionErrored => "action_errored",
            Self::Delay => "delay",
            Self::NoCapacity => "no_capacity",
        }
    }
}

/// Which calls fail, and how.
///
/// `{"method": "POST", "path": "/v2/droplets", "fault": "reset_after_commit"}` loses the answer of the next create call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
    /// The method; any when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The path, in which `*` stands for any text, slashes included, and `{name}` for one step of a path. With a `?` in it, it
    /// is compared to path and query.
    pub path: String,
    /// The `type` of the action in the body, such as `snapshot`, or Amazon's name of the operation, such as `RunInstances`;
    /// any when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// The first matching call that is hit, counted from 1.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub nth: u64,
    /// How many calls are hit; 0 for all from then on.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub count: u64,
    /// Of the matching calls from the nth on, every how many-th is hit.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub every: u64,
    /// What happens.
    pub fault: Fault,
    /// Whether the call is carried out before it fails. Only for `server_error`, `bad_gateway` and `gateway_timeout`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub applied: bool,
    /// What `rate_limited` puts into `retry-after`, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
    /// How long the call is held back before anything else happens, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u64>,
    /// How old a change may be, in milliseconds, that a list does not show yet; of any age when left out. Only for `stale_list`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within_ms: Option<u64>,
    /// The availability zone that has no room, such as `us-east-1a`; any when left out. Only for `no_capacity` of EC2. Launches
    /// elsewhere pass, and are counted all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
}

/// A rule that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("fault rule: {0}")]
pub struct InvalidRule(pub(super) String);

fn one() -> u64 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde calls")]
fn is_one(number: &u64) -> bool {
    *number == 1
}

impl FaultRule {
    /// A rule for the next call of a method to a path.
    pub fn new(method: impl Into<String>, path: impl Into<String>, fault: Fault) -> Self {
        Self {
            method: Some(method.into()),
            path: path.into(),
            action: None,
            nth: 1,
            count: 1,
            every: 1,
            fault,
            applied: false,
            retry_after: None,
            delay_ms: None,
            within_ms: None,
            zone: None,
        }
    }

    pub(super) fn check(&self) -> Result<(), InvalidRule> {
        let can_apply = matches!(self.fault, Fault::ServerError | Fault::BadGateway | Fault::GatewayTimeout);
        let problems = [
            (!self.path.starts_with(['/', '*']), "`path` begins with `/` or `*`"),
            (self.nth == 0 || self.every == 0, "`nth` and `every` are counted from 1"),
            (self.applied && !can_apply, "`applied` is only for server_error, bad_gateway and gateway_timeout"),
            (self.retry_after.is_some() && self.fault != Fault::RateLimited, "`retry_after` is only for rate_limited"),
            (self.within_ms.is_some() && self.fault != Fault::StaleList, "`within_ms` is only for stale_list"),
            (self.zone.is_some() && self.fault != Fault::NoCapacity, "`zone` is only for no_capacity"),
            (self.fault == Fault::Delay && self.delay_ms.is_none(), "`delay` needs `delay_ms`"),
        ];
        let found = problems.iter().find(|(wrong, _)| *wrong);
        found.map_or(Ok(()), |(_, text)| Err(InvalidRule((*text).to_owned())))
    }

    /// Whether the rule is about the call.
    pub(super) fn is_about(&self, call: Call<'_>) -> bool {
        self.is_about_path(call) && self.action.as_deref().is_none_or(|action| call.action == Some(action))
    }

    /// Whether it is, as far as method and path tell.
    pub(super) fn is_about_path(&self, call: Call<'_>) -> bool {
        let text = match call.query {
            Some(query) if self.path.contains('?') => &format!("{}?{query}", call.path),
            _ => call.path,
        };
        self.method.as_deref().is_none_or(|method| method.eq_ignore_ascii_case(call.method))
            && matches(self.path.as_bytes(), text.as_bytes())
    }

    /// Whether the `matched`th matching call is hit.
    pub(super) fn hits(&self, matched: u64) -> bool {
        let Some(since) = matched.checked_sub(self.nth) else { return false };
        since % self.every == 0 && (self.count == 0 || since / self.every < self.count)
    }
}

/// Whether the text is what the pattern says, in which `*` stands for any text, and `{…}` for some text without a slash.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    // Greedy with one point to go back to: only the last `*` ever has to give way, so this takes no more than
    // pattern × text steps, however many there are.
    let (mut p, mut t) = (0, 0);
    let mut back = None;
    while t < text.len() {
        let step = step(&pattern[p..], &text[t..]);
        match (pattern.get(p), back) {
            (Some(b'*'), _) => {
                back = Some((p + 1, t));
                p += 1;
            }
            (Some(_), _) if step.is_some() => {
                let (name, length) = step.unwrap_or_default();
                p += name;
                t += length;
            }
            (Some(byte), _) if *byte == text[t] => {
                p += 1;
                t += 1;
            }
            (_, Some((after, from))) => {
                back = Some((after, from + 1));
                p = after;
                t = from + 1;
            }
            (_, None) => return false,
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

/// How long `{name}` is where the pattern begins with it, and how long the step of the path is that it stands for.
fn step(pattern: &[u8], text: &[u8]) -> Option<(usize, usize)> {
    if pattern.first() != Some(&b'{') {
        return None;
    }
    let name = pattern.iter().position(|byte| *byte == b'}')? + 1;
    let length = text.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(text.len());
    (length > 0).then_some((name, length))
}
