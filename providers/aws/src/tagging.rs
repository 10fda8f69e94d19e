//! Tagging what is there, and what the user wants tagged.

use aws_sdk_ec2::types::Tag;
use remint_core::provider::{Region, Result, support::Call};

use crate::{Aws, tags::tag};

impl Aws {
    /// The user's own tags.
    pub(crate) fn own_tags(&self) -> impl Iterator<Item = Tag> + '_ {
        self.settings.config.tags.iter().map(|(key, value)| tag(key, value))
    }

    /// Adds tags to resources of a region, replacing the values of keys that they have; one call.
    pub(crate) async fn add_tags(
        &self,
        operation: &'static str,
        region: &Region,
        resources: Vec<String>,
        tags: Vec<Tag>,
    ) -> Result<()> {
        if tags.is_empty() {
            return Ok(()); // EC2 refuses a call without tags.
        }
        let call = Call::idempotent(operation).about(resources.join(" "));
        let request = self.client.ec2(region).create_tags().set_resources(Some(resources)).set_tags(Some(tags));
        self.client.call(&call, || request.clone().send()).await.map(drop)
    }
}
