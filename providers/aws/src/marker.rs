//! Markers are parameters of the Systems Manager in the home region, below `/remint/`.

use async_trait::async_trait;
use aws_sdk_ssm::types::ParameterType;
use remint_core::provider::{Error, ErrorKind, Markers, Result, is_marker_name, is_marker_value, support::Call};

use crate::Aws;

/// The name of a marker's parameter.
fn parameter(operation: &'static str, name: &str) -> Result<String> {
    if is_marker_name(name) {
        return Ok(format!("/remint/{name}"));
    }
    Err(Error::new(ErrorKind::InvalidInput, operation, "not a marker's name").with_resource(format!("`{name}`")))
}

#[async_trait]
impl Markers for Aws {
    async fn get(&self, name: &str) -> Result<Option<String>> {
        const OPERATION: &str = "read marker";
        let path = parameter(OPERATION, name)?;
        let request = self.client.ssm(self.home(OPERATION)?).get_parameter().name(path);
        match self.client.call(&Call::read(OPERATION).about(name), || request.clone().send()).await {
            Ok(answer) => Ok(answer.parameter.and_then(|parameter| parameter.value)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn set(&self, name: &str, value: &str) -> Result<()> {
        const OPERATION: &str = "set marker";
        let path = parameter(OPERATION, name)?;
        if !is_marker_value(value) {
            let error = Error::new(ErrorKind::InvalidInput, OPERATION, "not a marker's value");
            return Err(error.with_resource(format!("`{value}`")));
        }
        if Markers::get(self, name).await?.as_deref() == Some(value) {
            return Ok(());
        }
        let request = self.client.ssm(self.home(OPERATION)?).put_parameter().name(path).value(value);
        let request = request.r#type(ParameterType::String).overwrite(true);
        self.client.call(&Call::idempotent(OPERATION).about(name), || request.clone().send()).await.map(drop)
    }

    async fn remove(&self, name: &str) -> Result<()> {
        const OPERATION: &str = "remove marker";
        let path = parameter(OPERATION, name)?;
        let request = self.client.ssm(self.home(OPERATION)?).delete_parameter().name(path);
        match self.client.call(&Call::idempotent(OPERATION).about(name), || request.clone().send()).await {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            result => result.map(drop),
        }
    }
}
