//! Services of Amazon's that the sandbox does not have. A client that sends the calls of all services to one address gets an error
//! in the form of the service that it wants. Its signature is not checked.

use axum::{
    body::Body,
    extract::Request,
    http::{Response, StatusCode, header, request::Parts},
    middleware::Next,
};
use serde_json::json;
use uuid::Uuid;

use super::{auth, reply::Service, xml::Xml};

/// The error's code.
const CODE: &str = "NotImplemented";

/// Answers requests for other services of Amazon's, whatever their path is. It must come before the choice of a route: S3's buckets
/// and the newer protocols have paths that are none of the sandbox's.
pub async fn elsewhere(request: Request, next: Next) -> Response<Body> {
    let (parts, body) = request.into_parts();
    match answer(&parts, &Uuid::new_v4().to_string()) {
        Some(answer) => answer,
        None => next.run(Request::from_parts(parts, body)).await,
    }
}

/// The answer to a request whose signature is for another service than the sandbox has.
fn answer(parts: &Parts, request: &str) -> Option<Response<Body>> {
    let service = auth::claimed(parts)?.service;
    if Service::named(&service).is_some() {
        return None;
    }
    // A client without credentials must not fill the log.
    tracing::debug!(service, path = parts.uri.path(), "no such service");
    let message = format!(
        "The sandbox does not have the service {service}. Of Amazon's it has ec2, elasticloadbalancing, route53, ssm and sts."
    );
    let sent = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = sent("content-type");
    let mut answer = Response::builder().status(StatusCode::NOT_IMPLEMENTED).header("x-amzn-requestid", request);
    let (kind, body) = if sent("smithy-protocol") == "rpc-v2-cbor" {
        answer = answer.header("smithy-protocol", "rpc-v2-cbor");
        ("application/cbor", cbor(&[("__type", CODE), ("message", &message)]))
    } else if kind.starts_with("application/x-amz-json") || parts.headers.contains_key("x-amz-target") {
        ("application/x-amz-json-1.1", json!({ "__type": CODE, "message": message }).to_string().into_bytes())
    } else if service.starts_with("s3") {
        let mut xml = Xml::default();
        xml.text("Code", CODE).text("Message", message).text("RequestId", request);
        ("application/xml", xml.bare("Error").into_bytes())
    } else if kind.starts_with("application/x-www-form-urlencoded") || parts.uri.path() == "/" {
        let mut xml = Xml::default();
        xml.node("Error", |xml| {
            xml.text("Type", "Receiver").text("Code", CODE).text("Message", message);
        });
        xml.text("RequestId", request);
        ("text/xml", xml.bare("ErrorResponse").into_bytes())
    } else {
        answer = answer.header("x-amzn-errortype", CODE);
        ("application/json", json!({ "message": message }).to_string().into_bytes())
    };
    answer.header(header::CONTENT_TYPE, kind).body(Body::from(body)).ok()
}

/// A map of texts, as the newer protocol writes it: RFC 8949.
fn cbor(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut out = vec![0xa0 | u8::try_from(fields.len()).unwrap_or_default()];
    for text in fields.iter().flat_map(|(name, value)| [name, value]) {
        let length = u16::try_from(text.len()).unwrap_or_default();
        out.push(0x79);
        out.extend(length.to_be_bytes());
        out.extend(&text.as_bytes()[..usize::from(length)]);
    }
    out
}
