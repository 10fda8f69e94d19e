//! Markers are empty placement groups: a project has no place for values of its own, and those have unique names and labels,
//! cost nothing, and do nothing as long as no server is in them.

use std::time::Duration;

use async_trait::async_trait;
use remint_core::provider::{
    Error, ErrorKind, Labels, Markers, Result, is_marker_name, is_marker_value,
    support::{CreateOnce, JsonRequest},
};
use serde_json::{Value, json};

use crate::{Cloud, labels, wire};

/// The label that holds the value.
const VALUE: &str = "remint:marker";

fn check(operation: &'static str, what: &str, good: bool) -> Result<()> {
    if good {
        Ok(())
    } else {
        Err(Error::new(ErrorKind::InvalidInput, operation, "not as a marker may be").with_resource(what))
    }
}

fn value(group: &wire::Labelled) -> Option<String> {
    labels::read(&group.labels).get(VALUE).map(str::to_owned)
}

impl Cloud {
    async fn marker(&self, operation: &'static str, name: &str) -> Result<Option<wire::Labelled>> {
        check(operation, name, is_marker_name(name))?;
        let request =
            JsonRequest::get(operation, &["placement_groups"]).about(name).query("name", format!("remint-{name}"));
        Ok(self.client.list(&request, "placement_groups").await?.into_iter().next())
    }
}

#[async_trait]
impl Markers for Cloud {
    async fn get(&self, name: &str) -> Result<Option<String>> {
        Ok(self.marker("read marker", name).await?.as_ref().and_then(value))
    }

    async fn set(&self, name: &str, new: &str) -> Result<()> {
        const OPERATION: &str = "set marker";
        check(OPERATION, new, is_marker_value(new))?;
        let tags = labels::write(OPERATION, &Labels::new().with(VALUE, new))?;
        let body = json!({ "name": format!("remint-{name}"), "type": "spread", "labels": tags });
        let create = JsonRequest::post(OPERATION, &["placement_groups"], body).about(name).idempotent();
        let look = || async { Ok(self.marker(OPERATION, name).await?.map(Some).into()) };
        let make = |()| async { self.client.json::<Value>(&create).await.map(|_| None) };
        let standing: Option<wire::Labelled> = CreateOnce::new(&create.call, Duration::ZERO).run(look, make).await?;
        let Some(standing) = standing.filter(|standing| value(standing).as_deref() != Some(new)) else { return Ok(()) };
        let path = ["placement_groups", &standing.id.to_string()];
        let request = JsonRequest::put(OPERATION, &path, json!({ "labels": tags })).about(name);
        self.client.json::<Value>(&request).await.map(drop)
    }

    async fn remove(&self, name: &str) -> Result<()> {
        const OPERATION: &str = "remove marker";
        let Some(standing) = self.marker(OPERATION, name).await? else { return Ok(()) };
        let path = ["placement_groups", &standing.id.to_string()];
        self.client.remove(&JsonRequest::delete(OPERATION, &path).about(name)).await
    }
}
