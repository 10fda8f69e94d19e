//! From the SDK's errors to [`remint_core::provider::Error`]: what went wrong, and what the call did to the world.
//!
//! AWS names each refusal by a code, which decides. A refusal (4xx) has changed nothing; a failure
//! (5xx) or a lost reply of a mutation may have changed everything.

use std::{error::Error as StdError, time::Duration};

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use remint_core::{
    provider::{
        Effect, Error, ErrorKind,
        support::{Call, Excess, NoAnswer},
    },
    redact,
};

use crate::ids::is_id;

/// How EC2 refuses an instance profile that it does not know, or not yet.
const NEW_PROFILE: &str = "Invalid IAM Instance Profile";
/// How much of a message an error keeps, in bytes.
const EXCERPT: usize = 512;
/// The longest pause that a reply may ask for.
const LONGEST_WAIT: u64 = 3600;

/// The SDK's error in Remint's words.
pub(crate) fn failed<E>(call: &Call, error: SdkError<E, HttpResponse>) -> Error
where
    E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
{
    match &error {
        SdkError::ServiceError(context) => {
            let (code, message) = (context.err().code(), context.err().message());
            refused(call, code.unwrap_or_default(), message.unwrap_or_default(), context.raw())
        }
        SdkError::ResponseError(context) if !context.raw().status().is_success() => {
            refused(call, "", "", context.raw())
        }
        SdkError::ResponseError(_) => {
            if let Some(excess) = chain(&error).find_map(|cause| cause.downcast_ref::<Excess>()) {
                return call.excessive(*excess);
            }
            let broken = chain(&error).any(is_broken_body);
            let failed = if broken { call.no_answer(NoAnswer::Broken) } else { call.unreadable() };
            failed.with_source(error)
        }
        SdkError::TimeoutError(_) => call.no_answer(NoAnswer::TimedOut).with_source(error),
        _ => not_sent(call, error),
    }
}

/// The request was not built, or no answer to it came.
fn not_sent<E>(call: &Call, error: SdkError<E, HttpResponse>) -> Error
where
    E: StdError + Send + Sync + 'static,
{
    if chain(&error).any(|cause| cause.is::<CredentialsError>()) {
        return call
            .error(ErrorKind::Unauthenticated, "no usable AWS credentials")
            .with_hint(
                "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run `aws sso login`; \
                 `aws sts get-caller-identity` shows whether they are found",
            )
            .with_source(error);
    }
    let why = match &error {
        SdkError::DispatchFailure(failure) if failure.is_user() || chain(&error).any(is_connect) => {
            NoAnswer::NotConnected
        }
        SdkError::DispatchFailure(failure) if failure.is_timeout() => NoAnswer::TimedOut,
        SdkError::DispatchFailure(_) => NoAnswer::Broken,
        _ => NoAnswer::NotBuilt,
    };
    call.no_answer(why).with_source(error)
}

/// An answer of refusal or failure. This is the one place that reads AWS's text, where one code means several things.
fn refused(call: &Call, code: &str, message: &str, raw: &HttpResponse) -> Error {
    let status = raw.status().as_u16();
    let new_profile = code == "InvalidParameterValue" && message.contains(NEW_PROFILE);
    // What IAM has made a moment ago, EC2 does not know yet.
    let kind = if new_profile { ErrorKind::Busy } else { kind(code, status) };
    let text = excerpt(message, kind);
    // Capacity that is missing is a refusal, although AWS puts it into a 5xx: it has changed nothing.
    let effect = match kind {
        ErrorKind::Unavailable | ErrorKind::Timeout | ErrorKind::Unexpected => Effect::Unknown,
        _ => Effect::NotApplied,
    };
    let mut error = match (code, text.as_str()) {
        ("", "") => call.failed(kind, effect, status.to_string()),
        ("", text) => call.failed(kind, effect, format!("{status}: {text}")),
        (code, text) => call.failed(kind, effect, text).with_code(code),
    };
    if let Some(id) = request_id(raw) {
        error = error.with_request_id(id);
    }
    if let Some(after) = retry_after(raw) {
        error = error.with_retry_after(after);
    }
    let hint = match hint(kind) {
        None if code == "CertificateNotFound" => {
            Some("`aws acm list-certificates` shows those that there are in the load balancer's region")
        }
        None if new_profile => {
            Some("a new instance profile can take minutes to be known; if it is not new, check `instance_profile`")
        }
        None if code == "InvalidParameterValue" && message.contains("architecture") => Some(
            "image and size are of different architectures: give `size` and `builder_size` the one of the base image",
        ),
        hint => hint,
    };
    match hint {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

/// Whether an error says that an id names nothing: EC2 knows none of this kind, or it could not be one.
pub(crate) fn never_was(error: &Error, id: &str, prefix: &str) -> bool {
    let malformed = error.kind() == ErrorKind::InvalidInput && error.request_id().is_some();
    error.kind() == ErrorKind::NotFound || (malformed && !is_id(id, prefix))
}

/// The kind of a code. Sources: the EC2 API reference, "Error codes for the Amazon EC2 API"; the Route 53, SSM and STS API
/// references, "Common errors" and the errors of each action; the same of Elastic Load Balancing (version 2015-12-01).
fn kind(code: &str, status: u16) -> ErrorKind {
    let has = |part: &str| code.contains(part);
    match code {
        "AuthFailure" | "InvalidClientTokenId" | "SignatureDoesNotMatch" | "UnrecognizedClientException"
        | "ExpiredToken" | "ExpiredTokenException" | "RequestExpired" | "IncompleteSignature"
        | "MissingAuthenticationToken" | "InvalidAccessKeyId" | "InvalidSignatureException" => {
            ErrorKind::Unauthenticated
        }
        "UnauthorizedOperation" | "AccessDenied" | "AccessDeniedException" | "OptInRequired" | "Blocked"
        | "PendingVerification" | "NotAuthorized" => ErrorKind::Forbidden,
        "RequestLimitExceeded" | "Throttling" | "ThrottlingException" | "ThrottledException"
        | "TooManyRequestsException" | "SnapshotCreationPerVolumeRateExceeded" | "EC2ThrottledException" => {
            ErrorKind::RateLimited
        }
        // A spot request names no price of its own, so one that is too low means that spot instances are sold out.
        "InsufficientInstanceCapacity" | "InsufficientCapacity" | "InsufficientHostCapacity"
        | "InsufficientReservedInstanceCapacity" | "InsufficientAddressCapacity" | "InsufficientVolumeCapacity"
        | "InsufficientCapacityOnHost" | "InsufficientFreeAddressesInSubnet" | "SpotMaxPriceTooLow" => {
            ErrorKind::Capacity
        }
        "IncorrectState" | "IncorrectInstanceState" | "IncorrectSpotRequestState" | "PriorRequestNotComplete"
        | "DependencyViolation" | "ResourceInUse" | "ConcurrentModification" | "OperationNotPermitted"
        | "TooManyUpdates" | "InvalidIPAddress.InUse" | "IdempotentInstanceTerminated" => ErrorKind::Busy,
        "IdempotentParameterMismatch" | "InvalidAMIName.Duplicate" | "InvalidGroup.Duplicate"
        | "InvalidPermission.Duplicate" | "Resource.AlreadyAssociated" | "ParameterAlreadyExists"
        | "DuplicateLoadBalancerName" | "DuplicateTargetGroupName" | "DuplicateListener" => {
            ErrorKind::Conflict
        }
        "NoSuchHostedZone" | "NoSuchChange" | "ParameterNotFound" | "InvalidAMIID.Unavailable"
        // AWS's ids of another form cannot name anything that there is.
        | "InvalidAMIID.Malformed" | "InvalidInstanceID.Malformed" | "InvalidAllocationID.Malformed" => {
            ErrorKind::NotFound
        }
        "MaxSpotInstanceCountExceeded" | "ResourceLimitExceeded" | "PendingSnapshotLimitExceeded" => ErrorKind::Quota,
        "TooManyLoadBalancers" | "TooManyTargetGroups" | "TooManyTargets" | "TooManyListeners" | "TooManyCertificates"
        | "TooManyRegistrationsForTargetId" | "TargetGroupAssociationLimit" => ErrorKind::Quota,
        // These limits are the API's, not the account's.
        "UserDataLimitExceeded" | "TagLimitExceeded" | "FilterLimitExceeded" => ErrorKind::InvalidInput,
        // What a request names and does not create.
        "CertificateNotFound" | "SSLPolicyNotFound" | "SubnetNotFound" => ErrorKind::InvalidInput,
        "UnsupportedOperation" => ErrorKind::InvalidInput,
        "Unavailable" | "ServiceUnavailable" | "InternalError" | "InternalFailure" | "Server.InternalError" => {
            ErrorKind::Unavailable
        }
        "RequestTimeout" => ErrorKind::Timeout,
        _ if has("NotFound") || has("Malformed") && status == 404 => ErrorKind::NotFound,
        _ if code.ends_with("LimitExceeded") => ErrorKind::Quota,
        _ if code.ends_with("InUse") => ErrorKind::Busy,
        _ => match status {
            401 => ErrorKind::Unauthenticated,
            403 => ErrorKind::Forbidden,
            404 if code.is_empty() => ErrorKind::NotFound,
            408 => ErrorKind::Timeout,
            429 => ErrorKind::RateLimited,
            501 => ErrorKind::Unsupported,
            400..=499 => ErrorKind::InvalidInput,
            500..=599 => ErrorKind::Unavailable,
            _ => ErrorKind::Unexpected,
        },
    }
}

/// Whether a refused launch may go well in another availability zone: this one has no room now, or does not offer the size.
///
/// EC2 says `Unsupported` of a zone that does not offer the size, and of sizes that it supports nowhere: then all zones say it. It
/// stays `InvalidInput`, since waiting cannot help. If the options name the subnet, they must name another one.
pub(crate) fn is_about_zone(error: &Error) -> bool {
    error.is_code("Unsupported")
        || (error.kind() == ErrorKind::Capacity && !error.is_code("InsufficientAddressCapacity"))
}

/// Whether the code of a state's reason says that there was no room: `Server.InsufficientInstanceCapacity`.
pub(crate) fn is_capacity_reason(code: &str) -> bool {
    code.strip_prefix("Server.").is_some_and(|code| kind(code, 500) == ErrorKind::Capacity)
}

pub(crate) const NO_ROOM: &str =
    "choose another size or region, or try again later: capacity may be back in minutes or in days";

fn hint(kind: ErrorKind) -> Option<&'static str> {
    match kind {
        ErrorKind::Unauthenticated => {
            Some("check the credentials with `aws sts get-caller-identity`; a region that is not enabled refuses all")
        }
        ErrorKind::Forbidden => Some("give the credentials the permissions that the book's page on AWS lists"),
        ErrorKind::Quota => Some("delete what is not needed, or ask for more in the Service Quotas console"),
        ErrorKind::Capacity => Some(NO_ROOM),
        _ => None,
    }
}

fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// Whether an answer of success did not arrive whole.
fn is_broken_body(error: &(dyn StdError + 'static)) -> bool {
    error.is::<std::io::Error>() || error.to_string().contains("body from connection")
}

/// Whether an error says that no connection came to be: then nothing was sent. The client's own type is not ours to name;
/// what does not say so counts as sent, which is the safe side.
fn is_connect(error: &(dyn StdError + 'static)) -> bool {
    let refused = |error: &std::io::Error| error.kind() == std::io::ErrorKind::ConnectionRefused;
    error.downcast_ref().is_some_and(refused) || error.to_string().contains("client error (Connect)")
}

pub(crate) fn request_id(raw: &HttpResponse) -> Option<String> {
    let header = ["x-amzn-requestid", "x-amz-request-id"].iter().find_map(|name| raw.headers().get(*name));
    let body = || {
        let body = String::from_utf8_lossy(raw.body().bytes()?).into_owned();
        let (_, rest) = ["<RequestID>", "<RequestId>"].iter().find_map(|tag| body.split_once(tag))?;
        Some(rest.split('<').next()?.to_owned())
    };
    header.map(str::to_owned).or_else(body).map(|id| id.trim().to_owned()).filter(|id| !id.is_empty())
}

fn retry_after(raw: &HttpResponse) -> Option<Duration> {
    let seconds: u64 = raw.headers().get("retry-after")?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds.clamp(1, LONGEST_WAIT)))
}

/// At most [`EXCERPT`] bytes on one line. A refused signature is answered with the request that was signed, session token
/// included: only the first sentence of such a message is kept.
fn excerpt(message: &str, kind: ErrorKind) -> String {
    let message = match kind {
        ErrorKind::Unauthenticated => message.split(['\n', '.']).next().unwrap_or_default(),
        _ => message.split("Encoded authorization failure message").next().unwrap_or_default(),
    };
    let line = message.split_whitespace().collect::<Vec<_>>().join(" ");
    redact::excerpt(line.trim_end_matches('.'), EXCERPT)
}

#[cfg(test)]
mod tests {
    use aws_config::{BehaviorVersion, SdkConfig};
    use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
    use aws_smithy_runtime_api::http::{Response, StatusCode};
    use aws_smithy_types::body::SdkBody;
    use remint_core::provider::{Calls, Instances, Provider, Selector};
    use tokio::{io::AsyncReadExt, net::TcpListener};

    use super::*;
    use crate::{
        client::Client,
        testing::{provider_at, settings},
    };

    fn refused(status: u16, code: &str, message: &str) -> Error {
        let mut raw =
            Response::new(StatusCode::try_from(status).unwrap(), SdkBody::from("<RequestID>4d9d</RequestID>"));
        raw.headers_mut().insert("retry-after", "17");
        super::refused(&Call::mutation("test").about("app-0"), code, message, &raw)
    }

    #[test]
    fn each_code_has_its_kind_and_its_effect() {
        use Effect::{NotApplied, Unknown};
        use ErrorKind::*;
        for (status, code, kind, effect) in [
            (400, "InvalidInstanceID.NotFound", NotFound, NotApplied),
            (400, "InvalidAMIID.Unavailable", NotFound, NotApplied),
            (400, "InvalidInstanceID.Malformed", NotFound, NotApplied),
            (400, "InvalidAllocationID.NotFound", NotFound, NotApplied),
            (400, "ParameterNotFound", NotFound, NotApplied),
            (404, "NoSuchHostedZone", NotFound, NotApplied),
            (400, "IncorrectInstanceState", Busy, NotApplied),
            (400, "IncorrectState", Busy, NotApplied),
            (400, "PriorRequestNotComplete", Busy, NotApplied),
            (503, "RequestLimitExceeded", RateLimited, NotApplied),
            (400, "Throttling", RateLimited, NotApplied),
            (403, "UnauthorizedOperation", Forbidden, NotApplied),
            (401, "AuthFailure", Unauthenticated, NotApplied),
            (403, "SignatureDoesNotMatch", Unauthenticated, NotApplied),
            (403, "InvalidClientTokenId", Unauthenticated, NotApplied),
            (400, "ExpiredTokenException", Unauthenticated, NotApplied),
            (400, "InstanceLimitExceeded", Quota, NotApplied),
            (400, "VcpuLimitExceeded", Quota, NotApplied),
            (400, "AddressLimitExceeded", Quota, NotApplied),
            (500, "InsufficientInstanceCapacity", Capacity, NotApplied),
            (500, "InsufficientHostCapacity", Capacity, NotApplied),
            (400, "InsufficientReservedInstanceCapacity", Capacity, NotApplied),
            (500, "InsufficientCapacity", Capacity, NotApplied),
            (500, "InsufficientAddressCapacity", Capacity, NotApplied),
            (500, "InsufficientVolumeCapacity", Capacity, NotApplied),
            (400, "InsufficientFreeAddressesInSubnet", Capacity, NotApplied),
            (400, "SpotMaxPriceTooLow", Capacity, NotApplied),
            (400, "Unsupported", InvalidInput, NotApplied),
            (400, "InvalidParameterValue", InvalidInput, NotApplied),
            (400, "IdempotentParameterMismatch", Conflict, NotApplied),
            (400, "InvalidChangeBatch", InvalidInput, NotApplied),
            (400, "LoadBalancerNotFound", NotFound, NotApplied),
            (400, "TargetGroupNotFound", NotFound, NotApplied),
            (400, "CertificateNotFound", InvalidInput, NotApplied),
            (400, "UnsupportedCertificate", InvalidInput, NotApplied),
            (400, "DuplicateLoadBalancerName", Conflict, NotApplied),
            (400, "TooManyLoadBalancers", Quota, NotApplied),
            (400, "TooManyTargets", Quota, NotApplied),
            (400, "ResourceInUse", Busy, NotApplied),
            (400, "DependencyViolation", Busy, NotApplied),
            (503, "Unavailable", Unavailable, Unknown),
            (500, "InternalError", Unavailable, Unknown),
            (502, "", Unavailable, Unknown),
        ] {
            let error = refused(status, code, "The thing is not as you think.");
            assert_eq!((error.kind(), error.effect()), (kind, effect), "{code}");
            assert_eq!(error.request_id(), Some("4d9d"));
            assert_eq!(error.retry_after(), Some(Duration::from_secs(17)));
            assert!(code.is_empty() || error.is_code(code), "{error}");
        }
        let error = refused(400, "InvalidInstanceID.NotFound", "The instance ID 'i-1' does not exist");
        let text =
            "test app-0: not found: InvalidInstanceID.NotFound: The instance ID 'i-1' does not exist (request 4d9d)";
        assert_eq!(error.to_string(), text);
    }

    #[test]
    fn another_zone_is_tried_for_what_this_one_does_not_have() {
        let about_zone = |code: &str, message: &str| is_about_zone(&refused(400, code, message));
        let message = "Your requested instance type (t3.micro) is not supported in your requested Availability Zone \
                       (us-east-1e). Please retry your request by not specifying an Availability Zone or choosing \
                       us-east-1a, us-east-1b.";
        assert!(about_zone("Unsupported", message));
        assert_eq!(refused(400, "Unsupported", message).kind(), ErrorKind::InvalidInput, "waiting cannot help");
        assert!(about_zone("InsufficientInstanceCapacity", "We currently do not have sufficient t3.micro capacity"));
        assert!(about_zone("InsufficientVolumeCapacity", ""));
        assert!(!about_zone("InsufficientAddressCapacity", ""), "addresses are the region's");
        assert!(
            about_zone("Unsupported", "The requested configuration is currently not supported."),
            "the code decides"
        );
        assert!(!about_zone("InvalidParameterValue", "the requested Availability Zone"));
        assert!(is_capacity_reason("Server.InsufficientInstanceCapacity"));
        assert!(
            !is_capacity_reason("Server.SpotInstanceTermination")
                && !is_capacity_reason("Client.UserInitiatedShutdown")
        );
    }

    #[test]
    fn an_instance_profile_that_is_not_known_yet_is_busy() {
        let error = refused(
            400,
            "InvalidParameterValue",
            "Value (web) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name",
        );
        assert_eq!((error.kind(), error.effect()), (ErrorKind::Busy, Effect::NotApplied));
        assert!(error.hint().unwrap().contains("instance_profile"), "{error:?}");
        let message = "The architecture 'x86_64' of the specified instance type does not match the architecture 'arm64' of the \
                       specified AMI. Specify an instance type and an AMI that have matching architectures, and try again.";
        let error = refused(400, "InvalidParameterValue", message);
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.hint().unwrap().contains("builder_size"), "{error:?}");
    }

    #[test]
    fn a_read_has_changed_nothing_whatever_came_back() {
        let raw = Response::new(StatusCode::try_from(500).unwrap(), SdkBody::empty());
        assert_eq!(super::refused(&Call::read("test"), "InternalError", "", &raw).effect(), Effect::NotApplied);
    }

    #[test]
    fn a_refused_signature_is_told_without_the_request_that_was_signed() {
        let message = "The request signature we calculated does not match the signature you provided. Check your key.\n\n\
                       The Canonical String for this request should have been\n'POST\n/\n\nx-amz-security-token:FwoGZXIvYX\n'";
        let error = refused(403, "SignatureDoesNotMatch", message);
        assert!(!format!("{error} {error:?}").contains("FwoGZXIvYX"), "{error:?}");
        let error = refused(400, "InvalidParameterValue", &"ä".repeat(2000));
        assert!(error.message().len() < EXCERPT + 64, "{}", error.message().len());
    }

    #[tokio::test]
    async fn what_never_left_has_no_effect_and_what_was_sent_may_have_one() {
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = closed.local_addr().unwrap();
        drop(closed);
        let aws = provider_at(format!("http://{address}"));
        let stop = async |aws: &crate::Aws| {
            let request = aws.client.ec2(&"us-east-1".into()).stop_instances().instance_ids("i-0a1b2c3d");
            aws.client.call(&Call::mutation("test"), || request.clone().send()).await.unwrap_err()
        };
        let error = stop(&aws).await;
        assert_eq!((error.kind(), error.effect()), (ErrorKind::Unavailable, Effect::NotApplied), "{error:?}");

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let aws = provider_at(format!("http://{}", listener.local_addr().unwrap()));
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            assert!(stream.read(&mut [0; 1024]).await.unwrap() > 0);
        });
        let error = stop(&aws).await;
        assert_eq!((error.kind(), error.effect()), (ErrorKind::Unavailable, Effect::Unknown), "{error:?}");
        assert_eq!(aws.calls().count().mutations, 1, "nobody repeats it");
    }

    #[derive(Debug)]
    struct NoCredentials;

    impl ProvideCredentials for NoCredentials {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            future::ProvideCredentials::ready(Err(CredentialsError::not_loaded("nothing there")))
        }
    }

    #[tokio::test]
    async fn missing_credentials_are_told_as_such_at_once() {
        let sdk = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .credentials_provider(SharedCredentialsProvider::new(NoCredentials))
            .endpoint_url("http://127.0.0.1:1")
            .region(aws_config::Region::new("us-east-1"))
            .build();
        let mut aws = provider_at("http://127.0.0.1:1".to_owned());
        aws.client = Client::new(sdk, Calls::new(settings().rate, settings().retry));
        let error = aws.list(&Selector::all()).await.unwrap_err();
        assert_eq!((error.kind(), error.effect()), (ErrorKind::Unauthenticated, Effect::NotApplied), "{error:?}");
        assert!(error.hint().unwrap().contains("AWS_PROFILE"));
        assert_eq!(aws.calls().count().retries, 0);
    }
}
