//! What a bucket's answer means to somebody who wants to keep a journal there.

use std::error::Error as _;

use object_store::Error;

use crate::redact;

/// The most that is shown of an answer.
const SHOWN: usize = 512;

/// Why a bucket cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    NoBucket,
    /// The bucket is in another region, which the answer may name.
    Region(Option<String>),
    /// The credentials are good, and not for this.
    Rights,
    /// The server does not take the credentials.
    Credentials(String),
    /// The server's clock and this machine's are too far apart.
    Clock,
    /// It does not know conditional writes.
    NoConditions,
    /// Anything else, as words.
    Other(String),
}

impl Fault {
    /// Of a failed list, or of a request for an object that was expected to be there.
    pub(super) fn of(error: &Error) -> Self {
        // object_store keeps the status and the body of an answer to itself; the code of the API is in the body.
        let text = error.to_string();
        let code = tag(&text, "Code");
        match (code, error) {
            (Some("NoSuchBucket"), _) | (None, Error::NotFound { .. }) => Self::NoBucket,
            (Some("PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException"), _) => {
                Self::Region(tag(&text, "Region").map(str::to_owned))
            }
            // The words of `object_store` for Amazon's answer of a bucket in another region.
            (None, _) if text.contains("Received redirect without LOCATION") => Self::Region(None),
            (Some("RequestTimeTooSkewed"), _) => Self::Clock,
            (
                Some(
                    code @ ("InvalidAccessKeyId"
                    | "SignatureDoesNotMatch"
                    | "ExpiredToken"
                    | "InvalidToken"
                    | "TokenRefreshRequired"
                    | "InvalidSecurity"
                    | "AuthenticationRequired"),
                ),
                _,
            ) => Self::Credentials(code.to_owned()),
            (code, Error::Unauthenticated { .. }) => Self::Credentials(code.unwrap_or("401").to_owned()),
            (Some("AccessDenied" | "AccountProblem" | "AllAccessDisabled"), _)
            | (_, Error::PermissionDenied { .. }) => Self::Rights,
            (Some("NotImplemented"), _) | (_, Error::NotImplemented { .. }) => Self::NoConditions,
            _ => Self::Other(words(error)),
        }
    }
}

/// An error in words. Of an answer in XML only three elements are shown: others repeat what was sent, a session token included.
pub(super) fn words(error: &Error) -> String {
    let text = error.to_string();
    if let Some(code) = tag(&text, "Code") {
        let message = tag(&text, "Message").map(|message| format!(": {message}")).unwrap_or_default();
        let request = tag(&text, "RequestId").map(|id| format!(" (request {id})")).unwrap_or_default();
        return redact::excerpt(&format!("the server says {code}{message}{request}"), SHOWN);
    }
    let mut shown = redact::excerpt(&text, SHOWN);
    let mut source = error.source();
    while let Some(inner) = source {
        source = inner.source();
        // The innermost says what happened.
        if source.is_none() && !text.contains(&inner.to_string()) {
            shown = redact::excerpt(&format!("{shown}: {inner}"), SHOWN);
        }
    }
    shown
}

/// The text of the first element of a name, without such a one inside.
fn tag<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    let (value, _) = rest.split_once(&format!("</{name}>"))?;
    Some(value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(body: &str) -> Error {
        Error::Generic { store: "S3", source: format!("Server returned non-2xx status code: 400: {body}").into() }
    }

    #[test]
    fn the_code_of_an_answer_decides() {
        let body = |code: &str, rest: &str| format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code>{rest}</Error>");
        let of = |code: &str, rest: &str| Fault::of(&answer(&body(code, rest)));
        assert_eq!(of("NoSuchBucket", ""), Fault::NoBucket);
        assert_eq!(
            of("AuthorizationHeaderMalformed", "<Region>eu-west-1</Region>"),
            Fault::Region(Some("eu-west-1".to_owned()))
        );
        assert_eq!(of("AccessDenied", ""), Fault::Rights);
        assert_eq!(of("RequestTimeTooSkewed", ""), Fault::Clock);
        assert_eq!(of("NotImplemented", ""), Fault::NoConditions);
        assert_eq!(of("ExpiredToken", ""), Fault::Credentials("ExpiredToken".to_owned()));
    }

    #[test]
    fn what_was_sent_is_not_shown() {
        let error = answer(
            "<Error><Code>SlowDown</Code><Message>Please wait</Message><CanonicalRequest>x-amz-security-token:quite-secret\
             </CanonicalRequest><RequestId>7</RequestId></Error>",
        );
        assert_eq!(words(&error), "the server says SlowDown: Please wait (request 7)");
    }
}
