//! The check by HTTP.

use std::{net::SocketAddr, path::Path};

use reqwest::{
    Certificate, Client, StatusCode,
    header::{HOST, HeaderMap, HeaderName, HeaderValue, LOCATION},
    redirect,
};
use secrecy::ExposeSecret;

use super::unhealthy::{Unhealthy, innermost};
use crate::{
    manifest::{HealthCheck, HttpCheck, Loaded, RenderContext, RenderError, read_text},
    provider::ReleaseId,
};

/// How much of a body is searched for the text that it must contain, in bytes.
const SEARCHED: usize = 256 * 1024;

/// A GET that can be sent any number of times.
#[derive(Debug, Clone)]
pub(crate) struct HttpQuestion {
    client: Client,
    /// Where the connection goes. With `https` and a name, the name stands in it, and leads to the address.
    url: String,
    headers: HeaderMap,
    check: HttpCheck,
    /// The same for people.
    shown: String,
}

/// The headers that the manifest names, filled in. They may hold secrets, and are marked so.
///
/// # Errors
///
/// Those of the references; a value that cannot be one of a header, such as a secret with a line end, is not shown.
pub(crate) async fn headers(loaded: &Loaded) -> Result<HeaderMap, RenderError> {
    let HealthCheck::Http(check) = &loaded.manifest.health.check else { return Ok(HeaderMap::new()) };
    let fqdn = loaded.fqdn();
    let context = RenderContext {
        // The check is the same before and after a release: no manifest passes with what belongs to one.
        release: ReleaseId(0),
        service: &loaded.manifest.service,
        environment: &loaded.environment,
        static_ip: None,
        fqdn: fqdn.as_deref(),
        secrets: &loaded.secrets,
    };
    let mut headers = HeaderMap::new();
    for (name, template) in &check.headers {
        let rendered = template.render(&context).await?;
        let value = HeaderValue::from_str(rendered.expose_secret());
        let (Ok(mut value), Ok(key)) = (value, HeaderName::try_from(name)) else {
            return Err(RenderError::Header(name.clone()));
        };
        value.set_sensitive(true);
        headers.append(key, value);
    }
    Ok(headers)
}

/// The certificates of `ca`.
///
/// # Errors
///
/// The file cannot be read any more, or is none: in words.
pub(super) fn authorities(check: &HttpCheck, base_dir: &Path) -> Result<Option<Vec<Certificate>>, String> {
    let Some(file) = &check.ca else { return Ok(None) };
    let fail = |why: String| format!("cannot read the certificates in {}: {why}", file.display());
    let pem = read_text(&base_dir.join(file)).map_err(|error| fail(error.to_string()))?;
    Certificate::from_pem_bundle(pem.as_bytes()).map(Some).map_err(|error| fail(innermost(&error)))
}

impl HttpQuestion {
    /// A GET to `endpoint`. `name` is that by which clients know the service, unless the check has a `host` of its own; without
    /// either it is the endpoint's address. `authorities` replace those of the system.
    pub(super) fn new(
        check: &HttpCheck,
        endpoint: SocketAddr,
        name: Option<&str>,
        mut headers: HeaderMap,
        authorities: Option<Vec<Certificate>>,
    ) -> Result<Self, String> {
        let name = check.host.as_deref().or(name);
        let mut client = Client::builder()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .pool_max_idle_per_host(0)
            .http1_only()
            .tls_danger_accept_invalid_certs(check.https && !check.verify);
        // Those of the system are read from many files, which plain HTTP can do without.
        let authorities = if check.https { authorities } else { Some(Vec::new()) };
        if let Some(authorities) = authorities {
            client = client.tls_certs_only(authorities);
        }
        let (scheme, port) = if check.https { ("https", check.port()) } else { ("http", check.port()) };
        // A client's connection to the name would lead here, too: TLS is asked for that name, and verified against it.
        let authority = match name.filter(|_| check.https) {
            Some(name) => {
                client = client.resolve(name, endpoint);
                format!("{name}:{}", endpoint.port())
            }
            None => endpoint.to_string(),
        };
        let host = match (name, endpoint.ip()) {
            (Some(name), _) => name.to_owned(),
            (None, std::net::IpAddr::V6(ip)) => format!("[{ip}]"),
            (None, ip) => ip.to_string(),
        };
        let host = if port == check.default_port() { host } else { format!("{host}:{port}") };
        headers.insert(HOST, HeaderValue::from_str(&host).map_err(|_| format!("`{host}` cannot be a Host header"))?);
        let path = check.path.trim_start_matches('/');
        let told = if check.https || check.host.is_some() { format!(" (Host: {host})") } else { String::new() };
        Ok(Self {
            client: client.build().map_err(|error| innermost(&error))?,
            url: format!("{scheme}://{authority}/{path}"),
            shown: format!("GET {scheme}://{endpoint}/{path}{told}"),
            headers,
            check: check.clone(),
        })
    }

    /// What is asked, for messages.
    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    pub(super) async fn ask(&self) -> Result<(), Unhealthy> {
        let sent = self.client.get(&self.url).headers(self.headers.clone()).send().await;
        let mut response = sent.map_err(|error| Unhealthy::new(&innermost(&error.without_url())))?;
        let status = response.status();
        let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let mut body = Vec::new();
        while body.len() < SEARCHED {
            let chunk = response.chunk().await.map_err(|error| {
                Unhealthy::new(&format!("{}, then {}", status_line(status), innermost(&error.without_url())))
            })?;
            match chunk {
                Some(chunk) => body.extend_from_slice(&chunk),
                None => break,
            }
        }
        let text = String::from_utf8_lossy(&body);
        if !self.check.expects(status.as_u16()) {
            let to = location.filter(|_| status.is_redirection()).map(|to| format!(" to {to}")).unwrap_or_default();
            return Err(Unhealthy::with_body(&format!("{}{to}", status_line(status)), &text));
        }
        match &self.check.body {
            Some(wanted) if !text.contains(wanted.as_str()) => {
                Err(Unhealthy::with_body(&format!("{} without the text `{wanted}`", status_line(status)), &text))
            }
            _ => Ok(()),
        }
    }
}

fn status_line(status: StatusCode) -> String {
    status
        .canonical_reason()
        .map_or_else(|| status.as_str().to_owned(), |reason| format!("{} {reason}", status.as_str()))
}
