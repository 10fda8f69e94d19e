//! One call of Compute Engine's: how it is read, and the links that its answer holds.

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Request},
    http::{header, request::Parts},
};
use jiff::Timestamp;
use serde::de::DeserializeOwned;

use super::{
    PROJECT,
    error::{Refusal, Result},
    json,
};

/// A moment, as Compute Engine writes it.
pub(super) fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.3f+00:00").to_string()
}

/// What a call says beside its body.
pub(super) struct Call {
    base: String,
    path: String,
    query: Vec<(String, String)>,
}

impl<S: Send + Sync> FromRequestParts<S> for Call {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let host = host.or_else(|| parts.uri.authority().map(|authority| authority.as_str())).unwrap_or("127.0.0.1");
        let query = url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes());
        Ok(Self {
            base: format!("http://{host}"),
            path: parts.uri.path().to_owned(),
            query: query.map(|(name, value)| (name.into_owned(), value.into_owned())).collect(),
        })
    }
}

/// A JSON body, whatever its content type says; an empty one is `{}`.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self> {
        let bytes = Bytes::from_request(request, state).await.map_err(Refusal::unreadable)?;
        let bytes = if bytes.is_empty() { Bytes::from_static(b"{}") } else { bytes };
        json::read(serde_json::from_slice(&bytes).map_err(Refusal::unreadable)?).map(Self)
    }
}

impl Call {
    #[cfg(test)]
    pub(super) fn test(path: &str, query: &[(&str, &str)]) -> Self {
        let query = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { base: "http://127.0.0.1:7070".to_owned(), path: path.to_owned(), query }
    }

    /// A parameter, if it is there and not empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// A parameter that is a boolean, if it is there.
    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>> {
        let wrong = |text| Refusal::new(400, "invalid", format!("Invalid value at '{name}' (TYPE_BOOL), \"{text}\""));
        self.get(name).map(|text| json::boolean(text).ok_or_else(|| wrong(text))).transpose()
    }

    /// The URL of something below the project.
    pub(super) fn link(&self, below: &str) -> String {
        self.link_in(PROJECT, below)
    }

    /// The URL of something below a project.
    pub(super) fn link_in(&self, project: &str, below: &str) -> String {
        format!("{}/compute/v1/projects/{project}/{below}", self.base)
    }

    /// The URL of the call itself, without its parameters.
    pub(super) fn own_link(&self) -> String {
        format!("{}{}", self.base, self.path)
    }

    /// The call's path from `projects` on.
    pub(super) fn full_path(&self) -> &str {
        self.path.find("projects/").map_or("", |at| &self.path[at..])
    }

    /// The parts of the call's path that follow the project.
    fn parts(&self) -> impl Iterator<Item = &str> {
        self.full_path().split('/').skip(2)
    }

    /// Where the call's resource is: `global`, `zones/ZONE` or `regions/REGION`.
    pub(super) fn scope(&self) -> String {
        let mut parts = self.parts();
        match (parts.next(), parts.next()) {
            (Some(kind @ ("zones" | "regions")), Some(place)) => format!("{kind}/{place}"),
            _ => "global".to_owned(),
        }
    }

    /// The zone or region of the call's resource, empty for a global one, and its name, empty where the call is about all.
    pub(super) fn names(&self) -> (&str, &str) {
        let mut parts = self.parts();
        let place = match parts.next() {
            Some("global") => "",
            _ => parts.next().unwrap_or_default(),
        };
        (place, parts.nth(1).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booleans_are_read_as_google_reads_them() {
        let flag = |text: &str| Call::test("/x", &[("on", text)]).flag("on");
        for (text, on) in [("true", true), ("True", true), ("1", true), ("False", false), ("no", false), ("0", false)] {
            assert_eq!(flag(text), Ok(Some(on)), "{text}");
        }
        assert_eq!((flag(""), flag("maybe").unwrap_err().reason), (Ok(None), "invalid"));
    }

    #[test]
    fn a_calls_place_and_names_are_in_its_path() {
        for (path, scope, names) in [
            ("/compute/v1/projects/p/zones/z/instances/i/stop", "zones/z", ("z", "i")),
            ("/compute/v1/projects/p/regions/r/addresses", "regions/r", ("r", "")),
            ("/compute/v1/projects/p/global/images/x", "global", ("", "x")),
            ("/compute/v1/projects/p/setCommonInstanceMetadata", "global", ("", "")),
        ] {
            let call = Call::test(path, &[]);
            assert_eq!((call.scope().as_str(), call.names()), (scope, names), "{path}");
        }
    }
}
