//! Login keys are the project's SSH keys. Both name and key are unique there.

use std::time::Duration;

use async_trait::async_trait;
use remint_core::provider::{
    ErrorKind, LoginKey, LoginKeyId, LoginKeys, Result,
    support::{CreateOnce, JsonRequest, Seen},
};
use serde_json::json;

use crate::{Cloud, client::number, wire};

fn login_key(key: wire::SshKey) -> LoginKey {
    LoginKey { id: LoginKeyId::new(key.id.to_string()), name: key.name }
}

/// The type and the key itself, without the comment.
fn material(line: &str) -> Vec<&str> {
    line.split_whitespace().take(2).collect()
}

impl Cloud {
    async fn ssh_keys(&self, operation: &'static str) -> Result<Vec<wire::SshKey>> {
        self.client.list(&JsonRequest::get(operation, &["ssh_keys"]), "ssh_keys").await
    }
}

#[async_trait]
impl LoginKeys for Cloud {
    async fn ensure(&self, name: &str, public_key: &str) -> Result<LoginKey> {
        const OPERATION: &str = "register login key";
        let body = json!({ "name": name, "public_key": public_key });
        let create = JsonRequest::post(OPERATION, &["ssh_keys"], body).about(name).idempotent();
        let look = || async {
            let standing = self.ssh_keys(OPERATION).await?;
            let same = standing.into_iter().find(|key| material(&key.public_key) == material(public_key));
            Ok(same.map(login_key).into())
        };
        let register = |()| async { Ok(login_key(self.client.json::<wire::SshKeyAnswer>(&create).await?.ssh_key)) };
        // Nearly always it is new, so nothing is looked for first.
        let once = CreateOnce::new(&create.call, Duration::ZERO);
        once.run_from(Seen::Missing(()), look, register).await.map_err(|error| match error.kind() {
            ErrorKind::Conflict => error.with_hint("another key has this name: remove or rename it"),
            _ => error,
        })
    }

    async fn list(&self, prefix: &str) -> Result<Vec<LoginKey>> {
        let all = self.ssh_keys("list login keys").await?.into_iter().map(login_key);
        Ok(all.filter(|key| key.name.starts_with(prefix)).collect())
    }

    async fn remove(&self, id: &LoginKeyId) -> Result<()> {
        const OPERATION: &str = "remove login key";
        let number = number(OPERATION, id)?.to_string();
        self.client.remove(&JsonRequest::delete(OPERATION, &["ssh_keys", &number]).about(id)).await
    }
}
