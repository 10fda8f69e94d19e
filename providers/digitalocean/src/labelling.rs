//! Attaching and detaching tags.
//!
//! Attaching a tag that does not exist is a 404, and so is attaching one to a resource that does not. Most tags exist
//! already (a droplet's create call makes its own), so attaching comes first, and only a 404 makes the tag.

use remint_core::provider::{ErrorKind, Labels, Result, support::JsonRequest};
use serde_json::{Value, json};

use crate::{DigitalOcean, tags};

/// How calls about tags name what carries them.
pub(crate) fn resource(kind: &str, id: u64) -> Value {
    json!({ "resource_id": id.to_string(), "resource_type": kind })
}

/// Makes a tag, or leaves it as it is.
pub(crate) fn create_tag(operation: &'static str, tag: &str) -> JsonRequest {
    JsonRequest::post(operation, &["v2", "tags"], json!({ "name": tag })).about(tag).idempotent()
}

/// Takes a tag off resources. It is a 404 when one of them does not exist.
pub(crate) fn detach_tag_from(operation: &'static str, tag: &str, resources: &[Value]) -> JsonRequest {
    let body = json!({ "resources": resources });
    JsonRequest::delete(operation, &["v2", "tags", tag, "resources"]).about(tag).with_body(body)
}

impl DigitalOcean {
    /// Gives a resource these labels, in place of those of the same keys among its tags. A new value comes before the old one
    /// goes, so that the resource is never without one.
    pub(crate) async fn relabel(
        &self,
        operation: &'static str,
        resource: &Value,
        standing: &[String],
        labels: &Labels,
    ) -> Result<()> {
        for (key, value) in labels.iter() {
            self.attach_tag(operation, &tags::tag(operation, key, value)?, resource).await?;
            let outdated = |tag: &&String| tags::parse(tag).is_some_and(|(k, v)| k == key && v != value);
            for tag in standing.iter().filter(outdated) {
                self.detach_tag(operation, tag, resource).await?;
            }
        }
        Ok(())
    }

    /// One call where the tag exists, three where it does not.
    pub(crate) async fn attach_tag(&self, operation: &'static str, tag: &str, resource: &Value) -> Result<()> {
        self.attach_tag_to(operation, tag, std::slice::from_ref(resource)).await
    }

    /// The same for several resources in one call.
    pub(crate) async fn attach_tag_to(&self, operation: &'static str, tag: &str, resources: &[Value]) -> Result<()> {
        let body = json!({ "resources": resources });
        let attach = JsonRequest::post(operation, &["v2", "tags", tag, "resources"], body).about(tag).idempotent();
        match self.client.accepted(&attach).await {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                match self.client.accepted(&create_tag(operation, tag)).await {
                    // Somebody else made it meanwhile: the next call tells.
                    Err(error) if matches!(error.kind(), ErrorKind::Conflict | ErrorKind::InvalidInput) => {}
                    result => result?,
                }
                self.client.accepted(&attach).await
            }
            result => result,
        }
    }

    /// One call. The tag itself stays.
    pub(crate) async fn detach_tag(&self, operation: &'static str, tag: &str, resource: &Value) -> Result<()> {
        self.client.remove(&detach_tag_from(operation, tag, std::slice::from_ref(resource))).await
    }
}
