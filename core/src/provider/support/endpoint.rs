//! The address of an API that an environment variable names.

use url::{Host, Url};

use crate::provider::{Error, ErrorKind, Result};

/// Reads the address of an API from what an environment variable holds.
///
/// # Errors
///
/// `InvalidInput`, which names the variable, for what is no URL, or one over which credentials must not go: it is neither
/// `https://` nor, as a sandbox is, plain `http://` on this machine.
pub fn endpoint(operation: &'static str, variable: &str, text: &str) -> Result<Url> {
    let invalid = |problem: String| {
        Error::new(ErrorKind::InvalidInput, operation, problem)
            .with_resource(format!("{variable} `{text}`"))
            .with_hint(format!("set {variable} to an https:// address, or leave it out"))
    };
    let url = text.parse().map_err(|error| invalid(format!("not a URL: {error}")))?;
    is_safe(&url).map_err(|problem| invalid(problem.to_owned()))?;
    Ok(url)
}

/// Whether credentials may go to an address; the error says why not.
pub(super) fn is_safe(url: &Url) -> std::result::Result<(), &'static str> {
    let loopback = match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    match url.scheme() {
        "https" => Ok(()),
        "http" if loopback => Ok(()),
        "http" => Err("http:// would send credentials unencrypted"),
        _ => Err("expected an https:// address"),
    }
}

/// Whether an API is on this machine: [`endpoint`] takes plain `http://` from nowhere else.
pub fn is_local(endpoint: &str) -> bool {
    endpoint.starts_with("http://")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_go_by_tls_or_stay_on_this_machine() {
        for good in ["https://api.example.com/v1", "http://127.0.0.9:8080", "http://[::1]:1/x", "http://localhost"] {
            assert_eq!(endpoint("configure", "API_URL", good).unwrap().as_str().trim_end_matches('/'), good);
        }
        for (bad, problem) in [
            ("http://api.example.com", "http:// would send credentials unencrypted"),
            ("http://localhost.example.com", "http:// would send credentials unencrypted"),
            ("ftp://127.0.0.1", "expected an https:// address"),
            ("api.example.com", "not a URL: relative URL without a base"),
        ] {
            let error = endpoint("configure", "API_URL", bad).unwrap_err();
            assert_eq!((error.kind(), error.message()), (ErrorKind::InvalidInput, problem));
            assert_eq!(error.resource(), Some(format!("API_URL `{bad}`").as_str()));
        }
    }
}
