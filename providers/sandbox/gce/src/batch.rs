//! Batches: several calls in one request, each carried out as if it had come alone, in their order.
//!
//! The body is `multipart/mixed` with a whole HTTP request in each part, and so is the answer. A part has the credentials of the
//! batch unless it brings its own; it is counted, and meets fault rules, by itself.

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{ConnectInfo, FromRequest as _, Request},
    http::{HeaderMap, HeaderName, HeaderValue, Uri, header, request::Parts},
    response::{IntoResponse as _, Response},
    routing::post,
};
use remint_sandbox_cloud::connection::ConnectionHandle;
use tower::ServiceExt as _;

use super::error::{Refusal, Result};

/// How many calls a batch has at most, as at Google.
const CALLS: usize = 1000;

/// How long a boundary may be, in characters, by RFC 2046.
const BOUNDARY: usize = 70;

/// The APIs that take batches. All calls of one are of the same API.
const APIS: [&str; 2] = ["/compute/v1", "/dns/v1"];

/// The routes of batches, whose calls `api` answers.
pub(super) fn routes(api: &Router) -> Router {
    APIS.into_iter().fold(Router::new(), |routes, below| {
        let api = api.clone();
        routes.route(&format!("/batch{below}"), post(move |request: Request| answer(api, below, request)))
    })
}

async fn answer(api: Router, below: &'static str, request: Request) -> Result<Response> {
    let (outer, body) = request.into_parts();
    let boundary =
        boundary(&outer.headers).ok_or_else(|| malformed("the content type is not multipart/mixed with a boundary"))?;
    let body = Bytes::from_request(Request::from_parts(outer.clone(), body), &()).await.map_err(malformed)?;
    let text = std::str::from_utf8(&body).map_err(malformed)?;
    let calls = calls(text, &boundary)?;
    let mut answers = Vec::new();
    let mark = format!("batch_{}", uuid::Uuid::new_v4().simple());
    for call in calls {
        let response = match call.request(below, &outer) {
            Ok(request) => api.clone().oneshot(request).await.unwrap_or_else(|never| match never {}),
            Err(refusal) => refusal.into_response(),
        };
        answers.extend(format!("--{mark}\r\nContent-Type: application/http\r\n").into_bytes());
        if let Some(id) = call.id {
            let id = id.strip_prefix('<').map_or(format!("response-{id}"), |rest| format!("<response-{rest}"));
            answers.extend(format!("Content-ID: {id}\r\n").into_bytes());
        }
        write(&mut answers, response).await;
    }
    answers.extend(format!("--{mark}--\r\n").into_bytes());
    Ok(([(header::CONTENT_TYPE, format!("multipart/mixed; boundary={mark}"))], answers).into_response())
}

/// Writes an answer as it goes over the wire.
async fn write(out: &mut Vec<u8>, response: Response) {
    let (head, body) = response.into_parts();
    // The body of an answer is whole already.
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    out.extend(format!("\r\nHTTP/1.1 {}\r\nContent-Length: {}\r\n", head.status, body.len()).into_bytes());
    for (name, value) in head.headers.iter().filter(|(name, _)| **name != header::CONTENT_LENGTH) {
        out.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    out.extend([b"\r\n", &*body, b"\r\n"].concat());
}

fn malformed(why: impl std::fmt::Display) -> Refusal {
    Refusal::new(400, "badRequest", format!("Failed to parse batch request, error: {why}."))
}

fn boundary(headers: &HeaderMap) -> Option<String> {
    let kind = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let (kind, parameters) = kind.split_once(';')?;
    let mut parameters = parameters.split(';').filter_map(|parameter| parameter.trim().split_once('='));
    let (_, text) = parameters.find(|(name, _)| name.eq_ignore_ascii_case("boundary"))?;
    let text = text.trim_matches('"');
    let good = kind.trim().eq_ignore_ascii_case("multipart/mixed") && (1..=BOUNDARY).contains(&text.len());
    good.then(|| text.to_owned())
}

/// A call of a batch.
#[derive(Debug, PartialEq)]
struct Call<'a> {
    id: Option<&'a str>,
    method: &'a str,
    target: &'a str,
    headers: Vec<(&'a str, &'a str)>,
    body: &'a str,
}

/// The calls in a body.
fn calls<'a>(text: &'a str, boundary: &str) -> Result<Vec<Call<'a>>> {
    let mark = format!("--{boundary}");
    let mut calls = Vec::new();
    let mut rest =
        text.find(&mark).and_then(|at| text.get(at + mark.len()..)).ok_or_else(|| malformed("it has no part"))?;
    while !rest.starts_with("--") {
        let end = rest.find(&format!("\n{mark}")).ok_or_else(|| malformed("the last part has no end"))?;
        let (part, after) = rest.split_at(end);
        if calls.len() == CALLS {
            return Err(malformed(format_args!("it has more than {CALLS} calls")));
        }
        let part = part.strip_suffix('\r').unwrap_or(part);
        // What follows the boundary in its line is white space.
        let part = part.split_once('\n').map_or("", |(_, part)| part);
        calls.push(call(part).map_err(|why| malformed(format_args!("in call {}, {why}", calls.len() + 1)))?);
        rest = &after[1 + mark.len()..];
    }
    if calls.is_empty() { Err(malformed("it has no part")) } else { Ok(calls) }
}

fn call(part: &str) -> Result<Call<'_>, &'static str> {
    let (outer, inner) = head_and_body(part);
    let outer = headers(outer)?;
    let of_part =
        |wanted: &str| outer.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| *value);
    if !of_part("content-type").is_some_and(|kind| kind.to_ascii_lowercase().starts_with("application/http")) {
        return Err("the content type is not application/http");
    }
    let (head, body) = head_and_body(inner.trim_start());
    let (line, rest) = head.split_once('\n').unwrap_or((head, ""));
    let mut words = line.split_whitespace();
    let (Some(method), Some(target)) = (words.next(), words.next()) else { return Err("the request line is not one") };
    Ok(Call { id: of_part("content-id"), method, target, headers: headers(rest)?, body: body.trim() })
}

/// What comes before the first empty line, and what comes after it.
fn head_and_body(text: &str) -> (&str, &str) {
    if let Some(body) = text.strip_prefix("\r\n").or(text.strip_prefix('\n')) {
        return ("", body);
    }
    let ends = ["\r\n\r\n", "\n\n"].map(|end| text.find(end).map(|at| (at, at + end.len())));
    let first = ends.into_iter().flatten().min().unwrap_or((text.len(), text.len()));
    (&text[..first.0], &text[first.1..])
}

fn headers(text: &str) -> Result<Vec<(&str, &str)>, &'static str> {
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let read = |line| str::split_once(line, ':').map(|(name, value)| (name.trim(), value.trim()));
    lines.map(|line| read(line).ok_or("a header has no colon")).collect()
}

impl Call<'_> {
    /// The request, as if it had come alone.
    fn request(&self, below: &str, outer: &Parts) -> Result<Request> {
        let uri: Uri = self.target.parse().map_err(malformed)?;
        let path = uri.path_and_query().map_or("", |path| path.as_str());
        if !path.strip_prefix(below).is_some_and(|rest| rest.starts_with('/')) {
            return Err(malformed(format_args!("the call of {path} is not one of {below}")));
        }
        let mut request = Request::builder()
            .method(self.method)
            .uri(path)
            .body(Body::from(self.body.to_owned()))
            .map_err(malformed)?;
        for (name, value) in &self.headers {
            let name: HeaderName = name.parse().map_err(malformed)?;
            // Its body was taken from the batch.
            if name != header::CONTENT_LENGTH {
                request.headers_mut().insert(name, HeaderValue::from_str(value).map_err(malformed)?);
            }
        }
        for name in [header::AUTHORIZATION, header::HOST] {
            if let (false, Some(value)) = (request.headers().contains_key(&name), outer.headers.get(&name)) {
                request.headers_mut().insert(name, value.clone());
            }
        }
        if let Some(connection) = outer.extensions.get::<ConnectInfo<ConnectionHandle>>() {
            request.extensions_mut().insert(connection.clone());
        }
        Ok(request)
    }
}

/// Reads a text as a batch.
#[cfg(test)]
pub(super) fn fuzz(text: &str) {
    match calls(text, "b") {
        Ok(calls) => assert!((1..=CALLS).contains(&calls.len())),
        Err(refusal) => assert_eq!((refusal.code, refusal.reason), (400, "badRequest")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_may_have_lines_of_either_kind() {
        let text = "preamble\n--b\nContent-Type: application/http\nMIME-Version: 1.0\nContent-ID: <x+1>\n\n\
                    POST /compute/v1/x?a=b HTTP/1.1\nAccept: */*\n\n{\"a\": 1}\n\n--b\nContent-Type: application/http\n\n\
                    GET /compute/v1/y\n--b--\n";
        let expected = [
            Call {
                id: Some("<x+1>"),
                method: "POST",
                target: "/compute/v1/x?a=b",
                headers: vec![("Accept", "*/*")],
                body: "{\"a\": 1}",
            },
            Call { id: None, method: "GET", target: "/compute/v1/y", headers: Vec::new(), body: "" },
        ];
        assert_eq!(calls(text, "b").unwrap(), expected);
        assert_eq!(calls(&text.replace('\n', "\r\n"), "b").unwrap(), expected);
    }

    #[test]
    fn what_is_no_batch_is_refused() {
        let part = "--b\r\nContent-Type: application/http\r\n\r\nGET /compute/v1/x\r\n";
        for (text, why) in [
            ("", "no part"),
            ("--b--", "no part"),
            (part, "no end"),
            ("--b\n\nGET /x\n--b--", "in call 1, the content type"),
            ("--b\nContent-Type: application/http\n\nGET\n--b--", "the request line"),
            ("--b\nContent-Type: application/http\n\nGET /x HTTP/1.1\nno colon\n--b--", "no colon"),
        ] {
            let refusal = calls(text, "b").unwrap_err();
            assert!(refusal.code == 400 && refusal.message.contains(why), "{text:?}: {}", refusal.message);
        }
        let many = |count: usize| format!("{}--b--", part.repeat(count));
        assert_eq!(calls(&many(CALLS), "b").unwrap().len(), CALLS);
        assert!(calls(&many(CALLS + 1), "b").unwrap_err().message.contains("more than 1000"));
        let kind = |text: &str| boundary(&HeaderMap::from_iter([(header::CONTENT_TYPE, text.parse().unwrap())]));
        assert_eq!(kind("multipart/mixed; boundary=\"===b==\"").as_deref(), Some("===b=="));
        assert_eq!(
            (kind("application/json"), kind("multipart/form-data; boundary=b"), kind("multipart/mixed; boundary=")),
            (None, None, None)
        );
    }
}
