//! Markers are tags that nothing carries: `remint-marker:NAME:VALUE`.
//!
//! A tag has no value of its own and cannot be renamed, so a new value is a new tag; it is made before the old one goes,
//! and where a run was killed in between, the next `set` removes what is left.

use async_trait::async_trait;
use remint_core::provider::{Error, ErrorKind, Markers, Result, is_marker_name, is_marker_value, support::JsonRequest};
use serde_json::json;

use crate::{DigitalOcean, wire};

const PREFIX: &str = "remint-marker:";

impl DigitalOcean {
    /// All values that a marker has: none or one, and two after a `set` that was cut off.
    async fn marker_values(&self, operation: &'static str, name: &str) -> Result<Vec<String>> {
        check(operation, "name", name, is_marker_name(name))?;
        let tags: Vec<wire::Tag> =
            self.client.list(&JsonRequest::get(operation, &["v2", "tags"]).about(name), "tags").await?;
        let prefix = format!("{PREFIX}{name}:");
        Ok(tags.iter().filter_map(|tag| tag.name.strip_prefix(&prefix).map(str::to_owned)).collect())
    }

    async fn remove_marker_tag(&self, operation: &'static str, name: &str, value: &str) -> Result<()> {
        let tag = format!("{PREFIX}{name}:{value}");
        self.client.remove(&JsonRequest::delete(operation, &["v2", "tags", &tag]).about(name)).await
    }
}

fn check(operation: &'static str, what: &str, text: &str, good: bool) -> Result<()> {
    if good {
        return Ok(());
    }
    let message = format!("`{text}` cannot be a marker's {what}");
    Err(Error::new(ErrorKind::InvalidInput, operation, message).with_hint("use `a-z`, `0-9` and `-`"))
}

#[async_trait]
impl Markers for DigitalOcean {
    async fn get(&self, name: &str) -> Result<Option<String>> {
        Ok(self.marker_values("read marker", name).await?.pop())
    }

    async fn set(&self, name: &str, value: &str) -> Result<()> {
        const OPERATION: &str = "set marker";
        check(OPERATION, "value", value, is_marker_value(value))?;
        let before = self.marker_values(OPERATION, name).await?;
        if !before.iter().any(|standing| standing == value) {
            let tag = json!({ "name": format!("{PREFIX}{name}:{value}") });
            self.client.accepted(&JsonRequest::post(OPERATION, &["v2", "tags"], tag).about(name).idempotent()).await?;
        }
        for old in before.iter().filter(|standing| *standing != value) {
            self.remove_marker_tag(OPERATION, name, old).await?;
        }
        Ok(())
    }

    async fn remove(&self, name: &str) -> Result<()> {
        const OPERATION: &str = "remove marker";
        for value in self.marker_values(OPERATION, name).await? {
            self.remove_marker_tag(OPERATION, name, &value).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use wiremock::{
        Mock, MockServer, ResponseTemplate,
        matchers::{body_json, method, path},
    };

    use super::*;
    use crate::testing::provider;

    async fn tags(server: &MockServer, names: &[&str]) {
        let tags: Vec<_> = names.iter().map(|name| json!({ "name": name })).collect();
        let body = json!({ "tags": tags, "links": {}, "meta": { "total": names.len() } });
        Mock::given(method("GET"))
            .and(path("/v2/tags"))
            .respond_with(ResponseTemplate::new(200).set_body_json(body))
            .mount(server)
            .await;
    }

    #[tokio::test]
    async fn a_new_value_is_made_before_the_old_one_goes() {
        let server = MockServer::start().await;
        tags(&server, &["web", "remint-marker:conformance:old", "remint-marker:conformance-2:other"]).await;
        Mock::given(method("POST"))
            .and(path("/v2/tags"))
            .and(body_json(json!({ "name": "remint-marker:conformance:new" })))
            .respond_with(ResponseTemplate::new(201).set_body_json(json!({ "tag": {} })))
            .expect(1)
            .mount(&server)
            .await;
        Mock::given(method("DELETE"))
            .and(path("/v2/tags/remint-marker:conformance:old"))
            .respond_with(ResponseTemplate::new(204))
            .expect(1)
            .mount(&server)
            .await;
        let provider = provider(&server);
        assert_eq!(Markers::get(&provider, "conformance").await.unwrap().as_deref(), Some("old"));
        Markers::set(&provider, "conformance", "new").await.unwrap();
        let methods: Vec<_> = server.received_requests().await.unwrap().iter().map(|r| r.method.to_string()).collect();
        assert_eq!(methods, ["GET", "GET", "POST", "DELETE"]);
    }

    #[tokio::test]
    async fn a_name_that_is_none_is_refused_before_anything_is_asked() {
        let server = MockServer::start().await;
        let error = Markers::set(&provider(&server), "Conformance", "x").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(server.received_requests().await.unwrap().is_empty());
    }
}
