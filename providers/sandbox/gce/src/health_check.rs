//! What a client says of a health check, and how the API shows it.
//!
//! Defaults and bounds are those of Google's "Health checks overview" and of the discovery document.

use std::{ops::RangeInclusive, time::Duration};

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    error::{Refusal, Result},
    json,
    reference::differs,
};
use remint_sandbox_cloud::balancer::{CheckProtocol, MemberCheck};

const SECONDS: RangeInclusive<i64> = 1..=300;
const TIMES: RangeInclusive<i64> = 1..=10;

/// A health check as a client sends it.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Sent {
    name: String,
    description: String,
    check_interval_sec: Option<i64>,
    timeout_sec: Option<i64>,
    healthy_threshold: Option<i64>,
    unhealthy_threshold: Option<i64>,
    r#type: Option<String>,
    tcp_health_check: Option<Tcp>,
    http_health_check: Option<Http>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Tcp {
    port: Option<i64>,
    port_specification: Option<String>,
    proxy_header: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Http {
    port: Option<i64>,
    port_specification: Option<String>,
    proxy_header: Option<String>,
    request_path: Option<String>,
}

/// A health check after all checks, with defaults where nothing was said.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) check: MemberCheck,
}

/// Reads a health check.
pub(super) fn read(body: Value) -> Result<Wanted> {
    let sent: Sent = json::read(body)?;
    let kind = sent.r#type.as_deref().filter(|kind| !kind.is_empty());
    let (protocol, port) = match (kind, sent.tcp_health_check, sent.http_health_check) {
        (None, ..) => return Err(Refusal::required("resource.type")),
        (Some("TCP"), Some(tcp), None) => {
            usual(&tcp.port_specification, &tcp.proxy_header)?;
            (CheckProtocol::Tcp, tcp.port)
        }
        (Some("HTTP"), None, Some(http)) => {
            usual(&http.port_specification, &http.proxy_header)?;
            (CheckProtocol::Http { path: path(http.request_path)? }, http.port)
        }
        (Some(kind @ ("TCP" | "HTTP")), ..) => {
            let why = "Exactly one protocol-specific health check must be specified, and it must match the type.";
            return Err(Refusal::invalid("resource.type", kind, why));
        }
        (Some("HTTPS" | "HTTP2" | "SSL" | "GRPC" | "GRPC_WITH_TLS"), ..) => {
            return Err(Refusal::not_implemented("health checks other than TCP and HTTP"));
        }
        (Some(other), ..) => {
            return Err(Refusal::invalid("resource.type", other, "Must be one of TCP, SSL, HTTP, HTTPS, HTTP2, GRPC."));
        }
    };
    let within =
        |name: &str, value: Option<i64>, usual, bounds| bounded(&format!("resource.{name}"), value, usual, bounds);
    let interval = within("checkIntervalSec", sent.check_interval_sec, 5, SECONDS)?;
    let timeout = within("timeoutSec", sent.timeout_sec, 5, SECONDS)?;
    if timeout > interval {
        let why = "timeoutSec should be less than or equal to checkIntervalSec.";
        return Err(Refusal::invalid("resource.timeoutSec", timeout, why));
    }
    let check = MemberCheck {
        protocol,
        port: self::port("resource.port", port.unwrap_or(80))?,
        interval: Duration::from_secs(interval.into()),
        timeout: Duration::from_secs(timeout.into()),
        healthy: within("healthyThreshold", sent.healthy_threshold, 2, TIMES)?,
        unhealthy: within("unhealthyThreshold", sent.unhealthy_threshold, 2, TIMES)?,
    };
    Ok(Wanted { name: sent.name, description: sent.description, check })
}

/// Refuses a port that is none.
pub(super) fn port(field: &str, port: i64) -> Result<u16> {
    let good = u16::try_from(port).ok().filter(|port| *port > 0);
    good.ok_or_else(|| Refusal::invalid(field, port, "Must be between 1 and 65535."))
}

/// A number of a field that has bounds, or what it is where none was sent.
pub(super) fn bounded(field: &str, value: Option<i64>, usual: u32, bounds: RangeInclusive<i64>) -> Result<u32> {
    let Some(value) = value else { return Ok(usual) };
    if value < *bounds.start() {
        return Err(Refusal::invalid(
            field,
            value,
            format_args!("Must be greater than or equal to {}", bounds.start()),
        ));
    }
    match u32::try_from(value) {
        Ok(number) if value <= *bounds.end() => Ok(number),
        _ => Err(Refusal::invalid(field, value, format_args!("Must be less than or equal to {}", bounds.end()))),
    }
}

fn usual(specification: &Option<String>, proxy_header: &Option<String>) -> Result<()> {
    Refusal::unless_had([
        (differs(specification, "USE_FIXED_PORT"), "health checks of another port than the one that they name"),
        (differs(proxy_header, "NONE"), "proxy headers of health checks"),
    ])
}

/// The path of an HTTP check. What HAProxy would take for more than a path is refused, as Google refuses it.
fn path(sent: Option<String>) -> Result<String> {
    let path = sent.filter(|path| !path.is_empty()).unwrap_or_else(|| "/".to_owned());
    if path.starts_with('/') && path.len() <= 2048 && path.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(path);
    }
    let why = "Must be a path that begins with '/', as RFC 3986 has it.";
    Err(Refusal::invalid("resource.httpHealthCheck.requestPath", path, why))
}

/// What the API shows of a check, beyond what all resources have.
pub(super) fn view(check: &MemberCheck) -> Value {
    let mut view = json!({
        "checkIntervalSec": check.interval.as_secs(),
        "timeoutSec": check.timeout.as_secs(),
        "healthyThreshold": check.healthy,
        "unhealthyThreshold": check.unhealthy,
    });
    match &check.protocol {
        CheckProtocol::Tcp => {
            view["type"] = "TCP".into();
            view["tcpHealthCheck"] = json!({ "port": check.port, "proxyHeader": "NONE" });
        }
        CheckProtocol::Http { path } => {
            view["type"] = "HTTP".into();
            view["httpHealthCheck"] = json!({ "port": check.port, "requestPath": path, "proxyHeader": "NONE" });
        }
    }
    view
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_googles() {
        let read = |body: Value| read(body).unwrap().check;
        let tcp = read(json!({ "type": "TCP", "tcpHealthCheck": {} }));
        let five = Duration::from_secs(5);
        let usual = MemberCheck {
            protocol: CheckProtocol::Tcp,
            port: 80,
            interval: five,
            timeout: five,
            healthy: 2,
            unhealthy: 2,
        };
        assert_eq!(tcp, usual);
        let http = read(json!({
            "type": "HTTP", "httpHealthCheck": { "port": "8080" }, "checkIntervalSec": 300, "timeoutSec": 1,
            "healthyThreshold": 10, "unhealthyThreshold": 1, "logConfig": { "enable": false },
        }));
        assert_eq!((http.protocol, http.port), (CheckProtocol::Http { path: "/".to_owned() }, 8080));
        assert_eq!((http.interval.as_secs(), http.timeout.as_secs()), (300, 1));
        assert_eq!((http.healthy, http.unhealthy), (10, 1));
    }

    #[test]
    fn what_is_shown_may_be_sent_back() {
        for body in [
            json!({ "type": "TCP", "tcpHealthCheck": { "port": 22 }, "checkIntervalSec": 7 }),
            json!({ "type": "HTTP", "httpHealthCheck": { "requestPath": "/health?deep=1" }, "healthyThreshold": 3 }),
        ] {
            let check = read(body).unwrap().check;
            assert_eq!(read(view(&check)).unwrap().check, check);
        }
    }

    #[test]
    fn bounds_are_googles() {
        let with = |field: &str, value: Value| {
            let mut body = json!({ "type": "HTTP", "httpHealthCheck": {}, "checkIntervalSec": 300 });
            body[field] = value;
            read(body).map(|_| ()).map_err(|refusal| (refusal.code, refusal.reason))
        };
        for (field, bad) in [
            ("checkIntervalSec", json!(0)),
            ("checkIntervalSec", json!(301)),
            ("checkIntervalSec", json!(4)),
            ("timeoutSec", json!(301)),
            ("timeoutSec", json!(-1)),
            ("healthyThreshold", json!(0)),
            ("unhealthyThreshold", json!(11)),
            ("httpHealthCheck", json!({ "port": 65536 })),
            ("httpHealthCheck", json!({ "requestPath": "health" })),
            ("httpHealthCheck", json!({ "requestPath": "/a b" })),
            ("tcpHealthCheck", json!({})),
            ("type", json!("TCP")),
            ("type", json!("PING")),
        ] {
            assert_eq!(with(field, bad.clone()), Err((400, "invalid")), "{field} {bad}");
        }
        assert_eq!(with("type", json!("")), Err((400, "required")));
        for (field, missing) in [
            ("type", json!("HTTPS")),
            ("httpHealthCheck", json!({ "host": "example.com" })),
            ("httpHealthCheck", json!({ "portSpecification": "USE_SERVING_PORT" })),
            ("httpHealthCheck", json!({ "proxyHeader": "PROXY_V1" })),
            ("logConfig", json!({ "enable": true })),
            ("grpcHealthCheck", json!({ "port": 1 })),
        ] {
            assert_eq!(with(field, missing.clone()), Err((501, "notImplemented")), "{field} {missing}");
        }
    }
}
