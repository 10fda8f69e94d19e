//! Login keys are the account's SSH keys.
//!
//! Listing them is limited to ten times a minute, so a key is posted first; only a refusal makes a list
//! necessary.

use async_trait::async_trait;
use remint_core::provider::{ErrorKind, LoginKey, LoginKeyId, LoginKeys, Result, support::JsonRequest};
use serde_json::json;

use crate::{DigitalOcean, wire};

impl DigitalOcean {
    async fn keys(&self, operation: &'static str) -> Result<Vec<wire::Key>> {
        self.client.list(&JsonRequest::get(operation, &["v2", "account", "keys"]), "ssh_keys").await
    }
}

fn login_key(key: wire::Key) -> LoginKey {
    LoginKey { id: LoginKeyId::new(key.id.to_string()), name: key.name }
}

/// The kind and the body of a key line; the comment says nothing about the key.
fn key_itself(line: &str) -> Vec<&str> {
    line.split_whitespace().take(2).collect()
}

#[async_trait]
impl LoginKeys for DigitalOcean {
    async fn ensure(&self, name: &str, public_key: &str) -> Result<LoginKey> {
        const OPERATION: &str = "register login key";
        let body = json!({ "name": name, "public_key": public_key });
        // A repeated post is refused because the key is in use, which is settled below.
        let request = JsonRequest::post(OPERATION, &["v2", "account", "keys"], body).about(name).idempotent();
        let refused = match self.client.json::<wire::KeyAnswer>(&request).await {
            Ok(answer) => return Ok(login_key(answer.ssh_key)),
            Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Conflict) => error,
            Err(error) => return Err(error),
        };
        let wanted = key_itself(public_key);
        let found = self.keys(OPERATION).await?.into_iter().find(|key| key_itself(&key.public_key) == wanted);
        let hint = "check the key; if it is in use in another team, use a token of that team, or another key";
        found.map(login_key).ok_or_else(|| refused.with_hint(hint))
    }

    async fn list(&self, prefix: &str) -> Result<Vec<LoginKey>> {
        let keys = self.keys("list login keys").await?;
        Ok(keys.into_iter().filter(|key| key.name.starts_with(prefix)).map(login_key).collect())
    }

    async fn remove(&self, id: &LoginKeyId) -> Result<()> {
        let request = JsonRequest::delete("remove login key", &["v2", "account", "keys", id.as_str()]).about(id);
        self.client.remove(&request).await
    }
}

#[cfg(test)]
mod tests {
    use wiremock::{
        Mock, MockServer, ResponseTemplate,
        matchers::{method, path},
    };

    use super::*;
    use crate::testing::{provider, refusal};

    #[tokio::test]
    async fn a_registered_key_is_found_whatever_its_name_and_comment() {
        let server = MockServer::start().await;
        let refused = refusal("SSH Key is already in use on your account");
        Mock::given(method("POST"))
            .respond_with(ResponseTemplate::new(422).set_body_json(refused))
            .expect(1)
            .mount(&server)
            .await;
        let keys = json!({"ssh_keys": [{"id": 1, "name": "x", "public_key": "ssh-ed25519 AAAB a"},
            {"id": 2, "name": "theirs", "public_key": "ssh-ed25519 AAAA other"}], "links": {}, "meta": {"total": 2}});
        Mock::given(method("GET"))
            .and(path("/v2/account/keys"))
            .respond_with(ResponseTemplate::new(200).set_body_json(keys))
            .expect(1)
            .mount(&server)
            .await;
        let key = LoginKeys::ensure(&provider(&server), "mine", "ssh-ed25519 AAAA comment").await.unwrap();
        assert_eq!((key.id.as_str(), key.name.as_str()), ("2", "theirs"));
    }

    #[tokio::test]
    async fn a_key_that_is_gone_is_removed() {
        let server = MockServer::start().await;
        Mock::given(method("DELETE"))
            .and(path("/v2/account/keys/7"))
            .respond_with(ResponseTemplate::new(404))
            .expect(1)
            .mount(&server)
            .await;
        LoginKeys::remove(&provider(&server), &LoginKeyId::new("7")).await.unwrap();
    }
}
