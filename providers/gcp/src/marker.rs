//! Markers are items of the project's common metadata, `remint-NAME`. Instances see them too: they are no secrets.

use async_trait::async_trait;
use google_cloud_compute_v1::model::{Metadata, metadata::Items};
use remint_core::provider::{Error, ErrorKind, Markers, Result, is_marker_name, is_marker_value};

use crate::{Gcp, collision, error::Subject};

const PREFIX: &str = "remint-";

fn key(operation: &'static str, name: &str) -> Result<String> {
    if is_marker_name(name) {
        return Ok(format!("{PREFIX}{name}"));
    }
    Err(Error::new(ErrorKind::InvalidInput, operation, "not a marker's name").with_resource(format!("`{name}`")))
}

fn is(item: &Items, key: &str) -> bool {
    item.key.as_deref() == Some(key)
}

impl Gcp {
    async fn common_metadata(&self, subject: &Subject) -> Result<Metadata> {
        let client = &self.client;
        let project = client.read(subject, || client.projects.get().set_project(&client.project).send()).await?;
        Ok(project.common_instance_metadata.unwrap_or_default())
    }

    /// Sets or removes an item, and leaves the others as they are. All items go with each call, and the fingerprint, so
    /// that nobody else's change is lost.
    async fn change_marker(&self, operation: &'static str, key: &str, value: Option<&str>) -> Result<()> {
        let subject = Subject::new(operation).about(key);
        let client = &self.client;
        let mut round = 1;
        loop {
            let mut metadata = self.common_metadata(&subject).await?;
            let standing = metadata.items.iter().find(|item| is(item, key)).and_then(|item| item.value.as_deref());
            if standing == value {
                return Ok(());
            }
            metadata.items.retain(|item| !is(item, key));
            metadata.items.extend(value.map(|value| Items::new().set_key(key).set_value(value)));
            let ask = |request: String| {
                let ask = client.projects.set_common_instance_metadata().set_project(&client.project);
                ask.set_request_id(request).set_body(metadata.clone()).send()
            };
            let set = async {
                let operation = client.mutate(&subject, ask).await?;
                self.finish(&subject, &operation).await
            };
            match set.await {
                Err(error) if error.kind() == ErrorKind::Conflict && round < collision::ROUNDS => {
                    collision::part(round).await;
                    round += 1;
                }
                result => return result,
            }
        }
    }
}

#[async_trait]
impl Markers for Gcp {
    async fn get(&self, name: &str) -> Result<Option<String>> {
        const OPERATION: &str = "read marker";
        let key = key(OPERATION, name)?;
        let metadata = self.common_metadata(&Subject::new(OPERATION).about(&key)).await?;
        Ok(metadata.items.into_iter().find(|item| is(item, &key)).and_then(|item| item.value))
    }

    async fn set(&self, name: &str, value: &str) -> Result<()> {
        const OPERATION: &str = "set marker";
        let key = key(OPERATION, name)?;
        if !is_marker_value(value) {
            return Err(Error::new(ErrorKind::InvalidInput, OPERATION, "not a marker's value")
                .with_resource(format!("`{value}`")));
        }
        self.change_marker(OPERATION, &key, Some(value)).await
    }

    async fn remove(&self, name: &str) -> Result<()> {
        const OPERATION: &str = "remove marker";
        self.change_marker(OPERATION, &key(OPERATION, name)?, None).await
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use wiremock::MockServer;

    use super::*;
    use crate::testing::{self, PROJECT, refusal, requests, serve};

    fn project(fingerprint: &str, items: Value) -> wiremock::ResponseTemplate {
        let metadata = json!({"fingerprint": fingerprint, "items": items});
        testing::json(json!({"name": "mine", "id": "12", "commonInstanceMetadata": metadata}))
    }

    #[tokio::test]
    async fn a_marker_is_set_beside_what_others_keep_there() {
        let server = MockServer::start().await;
        let theirs = json!({"key": "ssh-keys", "value": "x"});
        let ours = json!({"key": "remint-conformance", "value": "yes"});
        let answers = vec![
            project("YQ==", json!([theirs])),
            project("Yg==", json!([theirs])),
            project("Yw==", json!([theirs, ours])),
        ];
        serve(&server, "GET", PROJECT, answers).await;
        let route = format!("{PROJECT}/setCommonInstanceMetadata");
        let stale = refusal(412, "conditionNotMet", "Supplied fingerprint does not match current metadata fingerprint");
        serve(&server, "POST", &route, vec![stale, testing::json(json!({"name": "op-1", "status": "DONE"}))]).await;
        let gcp = testing::provider(&server).await;
        gcp.set("conformance", "yes").await.unwrap();
        let sent = requests(&server, "POST", &route).await;
        let body: Value = sent[1].body_json().unwrap();
        assert_eq!((&body["fingerprint"], &body["items"]), (&json!("Yg=="), &json!([theirs, ours])));

        gcp.set("conformance", "yes").await.unwrap();
        assert_eq!(gcp.get("conformance").await.unwrap().as_deref(), Some("yes"));
        gcp.remove("other").await.unwrap();
        assert_eq!(requests(&server, "POST", &route).await.len(), 2);
        for (name, value) in [("Conformance", "yes"), ("conformance", "a:b")] {
            assert_eq!(gcp.set(name, value).await.unwrap_err().kind(), ErrorKind::InvalidInput);
        }
    }
}
