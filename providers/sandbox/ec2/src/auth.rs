//! Signature Version 4: who sent a request, and whether it arrived as it was sent.
//!
//! The rules are those of "Signature Version 4 signing process" in AWS's IAM guide. A request carries its signature in the
//! `Authorization` header or, when it was signed for somebody else to send, in its query.

use axum::http::{Uri, header, request::Parts};
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};
use secrecy::ExposeSecret as _;
use sha2::{Digest as _, Sha256};
use url::form_urlencoded;

use super::keys::AccessKey;
use remint_sandbox_cloud::ApiError;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// What is percent-encoded in the form that is signed.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// How far a request's clock may be from ours, in seconds.
const SKEW: i64 = 15 * 60;

/// What a good signature says beside its being good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scope {
    pub(super) region: String,
    pub(super) service: String,
}

/// Why a request is not let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// There is no signature.
    Missing,
    /// It cannot be read.
    Incomplete,
    /// The key is not this account's.
    UnknownKey,
    /// It is not what the key makes of this request.
    Mismatch,
    /// It is too old, or from the future.
    Expired,
}

/// The parameter of a query that has the signature: the only one that is not signed.
const SIGNATURE: &str = "X-Amz-Signature";
/// The longest time for which a signature in a query is good, in seconds.
const LONGEST: i64 = 7 * 24 * 60 * 60;

/// What a request says of its signature, taken apart.
struct Credential {
    key: String,
    day: String,
    scope: Scope,
    /// When it was signed.
    date: String,
    /// For how many seconds it is good, where it is in the query.
    expires: Option<i64>,
    signed: Vec<String>,
    signature: String,
}

/// The scope that a request claims, before anything is proved: for errors in the right shape.
pub(super) fn claimed(parts: &Parts) -> Option<Scope> {
    credential(parts).ok().map(|credential| credential.scope)
}

/// Verifies a request.
pub(super) fn verify(parts: &Parts, body: &[u8], key: &AccessKey, now: Timestamp) -> Result<Scope, Refusal> {
    let credential = credential(parts)?;
    let Credential { day, date, scope, .. } = &credential;
    let moment = DateTime::strptime("%Y%m%dT%H%M%SZ", date).and_then(|civil| TimeZone::UTC.to_timestamp(civil));
    let moment = moment.map_err(|_| Refusal::Incomplete)?;
    if !date.starts_with(day) || !credential.signed.iter().any(|name| name == "host") {
        return Err(Refusal::Incomplete);
    }
    if credential.key != key.id {
        return Err(Refusal::UnknownKey);
    }
    let canonical = canonical(parts, body, &credential.signed)?;
    let place = format!("{day}/{}/{}/aws4_request", scope.region, scope.service);
    let text = format!("{ALGORITHM}\n{date}\n{place}\n{}", hex::encode(Sha256::digest(canonical)));
    let seed = format!("AWS4{}", key.secret.expose_secret()).into_bytes();
    let signing =
        place.split('/').fold(seed, |key, part| mac(&key).chain_update(part).finalize().into_bytes().to_vec());
    let sent = hex::decode(&credential.signature).map_err(|_| Refusal::Incomplete)?;
    mac(&signing).chain_update(text).verify_slice(&sent).map_err(|_| Refusal::Mismatch)?;
    let age = now.as_second() - moment.as_second();
    if age < -SKEW || age > credential.expires.unwrap_or(SKEW) {
        return Err(Refusal::Expired);
    }
    Ok(credential.scope)
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
fn mac(key: &[u8]) -> Hmac<Sha256> {
    Hmac::<Sha256>::new_from_slice(key).expect("a key of any length")
}

fn credential(parts: &Parts) -> Result<Credential, Refusal> {
    let Some(sent) = parts.headers.get(header::AUTHORIZATION) else { return presigned(parts) };
    let sent = sent.to_str().map_err(|_| Refusal::Incomplete)?;
    let fields = sent.strip_prefix(ALGORITHM).ok_or(Refusal::Incomplete)?;
    let field = |name: &str| {
        let found = fields.split(',').find_map(|field| field.trim().strip_prefix(name)?.strip_prefix('='));
        found.map(str::to_owned)
    };
    let date = parts.headers.get("x-amz-date").and_then(|value| value.to_str().ok()).unwrap_or_default();
    read(field, date, None)
}

/// The same of a signature in the query.
fn presigned(parts: &Parts) -> Result<Credential, Refusal> {
    let query: Vec<(String, String)> =
        form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    let named = |name: &str| query.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    if named("X-Amz-Algorithm").ok_or(Refusal::Missing)? != ALGORITHM {
        return Err(Refusal::Incomplete);
    }
    let date = named("X-Amz-Date").ok_or(Refusal::Incomplete)?;
    let expires = named("X-Amz-Expires").and_then(|text| text.parse().ok());
    let expires = expires.filter(|seconds| (1..=LONGEST).contains(seconds)).ok_or(Refusal::Incomplete)?;
    read(|name| named(&format!("X-Amz-{name}")), &date, Some(expires))
}

fn read(field: impl Fn(&str) -> Option<String>, date: &str, expires: Option<i64>) -> Result<Credential, Refusal> {
    let field = |name: &str| field(name).ok_or(Refusal::Incomplete);
    let credential = field("Credential")?;
    let [key, day, region, service, "aws4_request"] = credential.split('/').collect::<Vec<_>>()[..] else {
        return Err(Refusal::Incomplete);
    };
    Ok(Credential {
        key: key.to_owned(),
        day: day.to_owned(),
        scope: Scope { region: region.to_owned(), service: service.to_owned() },
        date: date.to_owned(),
        expires,
        signed: field("SignedHeaders")?.split(';').map(str::to_owned).collect(),
        signature: field("Signature")?,
    })
}

/// The request in the one form that is signed.
fn canonical(parts: &Parts, body: &[u8], signed: &[String]) -> Result<String, Refusal> {
    let mut headers = String::new();
    for name in signed {
        let values: Vec<&str> = match parts.headers.get_all(name).iter().map(|value| value.to_str()).collect() {
            Ok(values) => values,
            Err(_) => return Err(Refusal::Incomplete),
        };
        let values: Vec<String> =
            values.iter().map(|value| value.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        headers.push_str(&format!("{name}:{}\n", values.join(",")));
    }
    let payload = match parts.headers.get("x-amz-content-sha256").and_then(|value| value.to_str().ok()) {
        Some("UNSIGNED-PAYLOAD") => "UNSIGNED-PAYLOAD".to_owned(),
        _ => hex::encode(Sha256::digest(body)),
    };
    let (method, path, query) = (&parts.method, path(&parts.uri), query(&parts.uri));
    Ok(format!("{method}\n{path}\n{query}\n{headers}\n{}\n{payload}", signed.join(";")))
}

/// The path, each part of it encoded once more than it was sent.
fn path(uri: &Uri) -> String {
    uri.path().split('/').map(|part| encode(part.as_bytes())).collect::<Vec<_>>().join("/")
}

/// The query, encoded in one way only and sorted.
fn query(uri: &Uri) -> String {
    let recoded = |text: &str| encode(&percent_decode_str(text).collect::<Vec<u8>>());
    let pairs = uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).filter(|(name, _)| *name != SIGNATURE);
    let mut pairs: Vec<(String, String)> = pairs.map(|(name, value)| (recoded(name), recoded(value))).collect();
    pairs.sort();
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

fn encode(bytes: &[u8]) -> String {
    percent_encode(bytes, RESERVED).to_string()
}

impl Refusal {
    /// How a service says it. EC2 has one word for most of it; SSM has others.
    pub(super) fn error(self, service: super::reply::Service) -> ApiError {
        use super::reply::Service;
        let mismatch = "The request signature we calculated does not match the signature you provided. Check your AWS Secret \
                        Access Key and signing method. Consult the service documentation for details.";
        let (status, id, message) = match (service, self) {
            (Service::Ec2, Self::Missing) => {
                (401, "AuthFailure", "Credentials must all be passed by Authorization header or query parameters.")
            }
            (Service::Ec2, Self::UnknownKey) => {
                (401, "AuthFailure", "AWS was not able to validate the provided access credentials")
            }
            (Service::Ec2, Self::Mismatch) => (403, "SignatureDoesNotMatch", mismatch),
            (Service::Ec2, Self::Expired) => (400, "RequestExpired", "Request has expired."),
            (Service::Ssm, Self::Missing) => {
                (400, "MissingAuthenticationTokenException", "Missing Authentication Token")
            }
            (Service::Ssm, Self::UnknownKey) => {
                (400, "UnrecognizedClientException", "The security token included in the request is invalid.")
            }
            (Service::Ssm, Self::Mismatch) => (400, "InvalidSignatureException", mismatch),
            (Service::Ssm, Self::Expired) => (400, "InvalidSignatureException", "Signature expired"),
            (Service::Ssm, Self::Incomplete) => {
                (400, "IncompleteSignatureException", "The request signature does not conform to AWS standards.")
            }
            (_, Self::Missing) => (403, "MissingAuthenticationToken", "Missing Authentication Token"),
            (_, Self::UnknownKey) => {
                (403, "InvalidClientTokenId", "The security token included in the request is invalid.")
            }
            (_, Self::Mismatch) => (403, "SignatureDoesNotMatch", mismatch),
            (_, Self::Expired) => (403, "SignatureDoesNotMatch", "Signature expired"),
            (_, Self::Incomplete) => {
                (400, "IncompleteSignature", "The request signature does not conform to AWS standards.")
            }
        };
        ApiError { status, id, message: message.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    /// The example of AWS's guide "Create a signed AWS API request" (IAM's `ListUsers`).
    fn example() -> (Parts, AccessKey, Timestamp) {
        let authorization = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, \
                             SignedHeaders=content-type;host;x-amz-date, \
                             Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7";
        let request = Request::get("/?Version=2010-05-08&Action=ListUsers")
            .header("content-type", "application/x-www-form-urlencoded; charset=utf-8")
            .header("host", "iam.amazonaws.com")
            .header("x-amz-date", "20150830T123600Z")
            .header("authorization", authorization);
        let key = AccessKey { id: "AKIDEXAMPLE".to_owned(), secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into() };
        (request.body(()).unwrap().into_parts().0, key, "2015-08-30T12:36:30Z".parse().unwrap())
    }

    #[test]
    fn the_published_example_is_good_and_every_change_of_it_is_not() {
        let (parts, key, now) = example();
        let scope = Scope { region: "us-east-1".to_owned(), service: "iam".to_owned() };
        assert_eq!(verify(&parts, b"", &key, now), Ok(scope));
        assert_eq!(verify(&parts, b"x", &key, now), Err(Refusal::Mismatch));
        let late = "2015-08-30T12:51:01Z".parse().unwrap();
        assert_eq!(verify(&parts, b"", &key, late), Err(Refusal::Expired));
        let other = AccessKey { id: "AKIDOTHER".to_owned(), ..key.clone() };
        assert_eq!(verify(&parts, b"", &other, now), Err(Refusal::UnknownKey));
        let wrong = AccessKey { secret: "wrong".into(), ..key.clone() };
        assert_eq!(verify(&parts, b"", &wrong, now), Err(Refusal::Mismatch));
        let mut moved = parts.clone();
        moved.uri = "/?Action=DeleteUsers&Version=2010-05-08".parse().unwrap();
        assert_eq!(verify(&moved, b"", &key, now), Err(Refusal::Mismatch));
        moved.uri = "/?Action=ListUsers&Version=2010-05-08".parse().unwrap();
        assert!(verify(&moved, b"", &key, now).is_ok(), "the order of the query does not matter");
        let mut host = parts.clone();
        host.headers.insert("host", "elsewhere".parse().unwrap());
        assert_eq!(verify(&host, b"", &key, now), Err(Refusal::Mismatch));
        let mut bare = parts.clone();
        bare.headers.remove("authorization");
        assert_eq!(verify(&bare, b"", &key, now), Err(Refusal::Missing));
        let mut bearer = parts;
        bearer.headers.insert("authorization", "Bearer x".parse().unwrap());
        assert_eq!(verify(&bearer, b"", &key, now), Err(Refusal::Incomplete));
    }
}
