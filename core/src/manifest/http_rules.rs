//! Rules about the values of an HTTP health check: what could never be sent, or would never be answered.

use reqwest::header::{HeaderName, HeaderValue};

use super::{
    HttpCheck,
    references::{Late, Piece, pieces},
    tree::Step,
};

/// Headers that are the connection's or have a key of their own.
const TAKEN: [&str; 6] = ["host", "connection", "content-length", "transfer-encoding", "upgrade", "te"];

/// A value that cannot be: where it stands below `health.check.http`, what is wrong, and what to do.
pub(super) struct Problem {
    pub(super) path: Vec<Step>,
    pub(super) message: String,
    pub(super) help: &'static str,
}

/// What is wrong with a check. `has_dns`: whether there is a `[dns]`.
pub(super) fn problems(check: &HttpCheck, has_dns: bool) -> Vec<Problem> {
    let mut found = Vec::new();
    let mut refuse = |path: &[&str], message: String, help: &'static str| {
        let path = path.iter().map(|key| Step::Key((*key).to_owned())).collect();
        found.push(Problem { path, message, help });
    };
    if check.port == Some(0) {
        refuse(&["port"], "port 0 cannot be asked".to_owned(), "name the port that the service listens on");
    }
    if !check.path.starts_with('/') {
        refuse(&["path"], format!("`{}` does not start with `/`", check.path), "write the path alone: \"/health\"");
    } else if check.path.chars().any(|c| c.is_whitespace() || c.is_control() || c == '#') {
        let message = format!("`{}` cannot be a path", check.path.escape_debug());
        refuse(&["path"], message, "it has no blanks, control characters and `#`; write them as `%20`");
    }
    if let Some(status) = check.status {
        if !(100..=599).contains(&status) {
            refuse(&["status"], format!("{status} is not an HTTP status"), "write a number from 100 to 599");
        }
        if check.expect != HttpCheck::default().expect {
            refuse(&["status"], "`status` and `expect` are one key".to_owned(), "leave out `status`");
        }
    }
    if check.expect.is_empty() {
        refuse(&["expect"], "no status is expected, so that no answer counts".to_owned(), "write \"200-299\"");
    }
    if check.ca.is_some() && !(check.https && check.verify) {
        let message = "the certificate is not verified, so that nobody has to vouch for it".to_owned();
        refuse(&["ca"], message, "use `https = true`, and do not set `verify = false`");
    }
    if !check.verify && !check.https {
        refuse(
            &["verify"],
            "there is no certificate without `https`".to_owned(),
            "add `https = true`, or leave it out",
        );
    }
    if let Some((host, (message, help))) = check.host.as_ref().and_then(|host| Some((host, host_problem(host)?))) {
        refuse(&["host"], format!("`{}` {message}", host.escape_debug()), help);
    }
    for (name, value) in &check.headers {
        if HeaderName::try_from(name).is_err() {
            let message = format!("`{}` cannot be the name of a header", name.escape_debug());
            refuse(&["headers", name], message, "use letters, digits and `-`");
        } else if TAKEN.contains(&name.to_ascii_lowercase().as_str()) {
            let help = if name.eq_ignore_ascii_case("host") { "use the key `host`" } else { "leave it out" };
            refuse(&["headers", name], format!("`{name}` cannot be set"), help);
        }
        for piece in pieces(value.as_str()) {
            match piece {
                Piece::Text(text) if HeaderValue::from_str(text).is_err() => {
                    let message = "the value of a header cannot hold line ends or control characters".to_owned();
                    refuse(&["headers", name], message, "write it on one line");
                    break;
                }
                Piece::Reference(reference) => match reference.late() {
                    Some(Late::ReleaseId | Late::StaticIp) => {
                        let message = format!("`{}` has no value in a health check", reference.text);
                        let help = "the same check is asked before and after a release; leave it out";
                        refuse(&["headers", name], message, help);
                    }
                    Some(Late::Fqdn) if !has_dns => {
                        refuse(&["headers", name], "`${dns.fqdn}` has no value here".to_owned(), "add `[dns]`");
                    }
                    _ => {}
                },
                _ => {}
            }
        }
    }
    found
}

/// Why a text cannot be the name in a Host header and of a certificate.
fn host_problem(host: &str) -> Option<(&'static str, &'static str)> {
    const NAME: &str = "write the name alone: \"app.example.com\"";
    if host.contains("://") || host.contains('/') {
        return Some(("is a URL, a name is wanted", NAME));
    }
    if host.parse::<std::net::IpAddr>().is_ok() {
        return Some((
            "is an address, a name is wanted",
            "leave out `host`: the check sends the address of the instance",
        ));
    }
    if host.rsplit_once(':').is_some_and(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit())) {
        return Some(("names a port", "write the name alone, and the port in `port`"));
    }
    if !host.is_ascii() {
        return Some(("is not ASCII", "write an international name in its ASCII form: \"xn--…\""));
    }
    if host.contains('*') {
        return Some(("is a wildcard", "write one name that the service answers to"));
    }
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let fits = host.len() <= 253 && host.split('.').all(label);
    (!fits).then_some((
        "cannot be the name of a host",
        "use letters, digits and `-`, with dots between parts, and none at the end",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{Statuses, Template};

    /// The keys that are refused, with their messages.
    fn told(check: &HttpCheck) -> Vec<String> {
        let last = |problem: &Problem| match problem.path.last() {
            Some(Step::Key(key)) => key.clone(),
            _ => String::new(),
        };
        problems(check, false).iter().map(|problem| format!("{}: {}", last(problem), problem.message)).collect()
    }

    #[test]
    fn a_host_is_a_name() {
        for good in ["app", "app.example.com", "APP.example.com", "my_app.internal", "xn--mnchen-3ya.de", "1.example"] {
            assert_eq!(host_problem(good), None, "{good}");
        }
        for (bad, message) in [
            ("app.example.com:8080", "names a port"),
            ("https://app.example.com", "is a URL, a name is wanted"),
            ("app.example.com/health", "is a URL, a name is wanted"),
            ("203.0.113.7", "is an address, a name is wanted"),
            ("2001:db8::1", "is an address, a name is wanted"),
            ("*.example.com", "is a wildcard"),
            ("münchen.de", "is not ASCII"),
            ("", "cannot be the name of a host"),
            ("app example", "cannot be the name of a host"),
            ("app.example.com.", "cannot be the name of a host"),
            ("app..com", "cannot be the name of a host"),
            ("app\r\nX-Evil: 1", "cannot be the name of a host"),
            ("user@app.example.com", "cannot be the name of a host"),
        ] {
            assert_eq!(host_problem(bad).unwrap().0, message, "{bad}");
        }
    }

    #[test]
    fn headers_that_cannot_be_sent_are_refused() {
        let one = |name: &str, value: &str| {
            let headers = [(name.to_owned(), Template(value.to_owned()))].into();
            told(&HttpCheck { headers, ..HttpCheck::default() })
        };
        for (name, value) in [("X-Token", "${secret.t}"), ("Accept", "a/b, */*"), ("X-Empty", ""), ("X-Tab", "a\tb")] {
            assert_eq!(one(name, value), Vec::<String>::new(), "{name}");
        }
        for name in ["", "X Token", "X-Token:", "X\r\nY", "Ü"] {
            assert!(one(name, "x")[0].contains("cannot be the name of a header"), "{name}");
        }
        for name in ["Host", "host", "Content-Length", "Connection"] {
            assert_eq!(one(name, "x"), [format!("{name}: `{name}` cannot be set")]);
        }
        for value in ["a\r\nX-Evil: 1", "a\n", "${secret.t}\u{0}"] {
            assert!(one("X", value)[0].contains("cannot hold line ends"), "{value:?}");
        }
        assert!(one("X", "${release.id}")[0].contains("has no value in a health check"));
        assert!(one("X", "${address.static_ip}")[0].contains("has no value in a health check"));
        assert!(one("X", "${dns.fqdn}")[0].contains("has no value here"));
    }

    #[test]
    fn keys_that_contradict_each_other_are_refused() {
        let both = HttpCheck { status: Some(204), expect: Statuses::one(201), ..HttpCheck::default() };
        assert_eq!(told(&both), ["status: `status` and `expect` are one key"]);
        assert_eq!(told(&HttpCheck { status: Some(99), ..HttpCheck::default() }), ["status: 99 is not an HTTP status"]);
        assert_eq!(
            told(&HttpCheck { verify: false, ..HttpCheck::default() }),
            ["verify: there is no certificate without `https`"]
        );
        let ca = Some("ca.pem".into());
        let unused = HttpCheck { ca, verify: false, https: true, ..HttpCheck::default() };
        assert_eq!(told(&unused), ["ca: the certificate is not verified, so that nobody has to vouch for it"]);
        for path in ["health", "", "/a b", "/a\r\nX: y", "/a#b"] {
            assert_eq!(told(&HttpCheck { path: path.into(), ..HttpCheck::default() }).len(), 1, "{path}");
        }
        assert_eq!(told(&HttpCheck { path: "/a?b=c%20d".into(), ..HttpCheck::default() }), Vec::<String>::new());
    }
}
