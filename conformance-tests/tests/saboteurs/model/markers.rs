//! Markers of the model.

use async_trait::async_trait;
use remint_core::provider::{ErrorKind, Markers, Result, is_marker_name, is_marker_value};

use super::{Model, refusal};

fn check(good: bool, operation: &'static str, text: &str) -> Result<()> {
    let message = "1 to 32 or 64 characters of a-z, 0-9 and -";
    if good { Ok(()) } else { Err(refusal(ErrorKind::InvalidInput, operation, message).with_resource(text)) }
}

#[async_trait]
impl Markers for Model {
    async fn get(&self, name: &str) -> Result<Option<String>> {
        check(is_marker_name(name), "get marker", name)?;
        self.read(|world| Ok(world.markers.get(name).cloned())).await
    }

    async fn set(&self, name: &str, value: &str) -> Result<()> {
        check(is_marker_value(value), "set marker", value)?;
        if Markers::get(self, name).await?.as_deref() == Some(value) {
            return Ok(());
        }
        self.change(None, |world| {
            world.markers.insert(name.to_owned(), value.to_owned());
            Ok(())
        })
        .await
    }

    async fn remove(&self, name: &str) -> Result<()> {
        check(is_marker_name(name), "remove marker", name)?;
        self.change(None, |world| {
            world.markers.remove(name);
            Ok(())
        })
        .await
    }
}
