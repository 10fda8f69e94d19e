//! Faults in `LoginKeys`.

use remint_conformance::LostReply;
use remint_core::provider::{ErrorKind, LoginKey, LoginKeyId, LoginKeys, Result};

use crate::{
    cloud::{FULL, not_found},
    sabotage::{On, Saboteur, saboteurs},
};

pub(super) const SABOTEURS: &[Saboteur] = saboteurs! {
    on &FULL;
    "login_key.registers_again", "`LoginKeys::ensure`: one that is registered is returned, whatever its name",
        EnsureLoginKey(name, line) => registers_again, ["login_keys.ensure", "lost_replies.login_key", "idempotency.login_key"];
    "login_key.by_name", "`LoginKeys::ensure`: idempotent by the key itself",
        EnsureLoginKey(name, line) => by_name, ["login_keys.ensure"];
    "login_key.takes_any_text", "`LoginKeys::ensure`: `InvalidInput` for a key that the cloud does not take",
        EnsureLoginKey(name, line) => takes_any_text, ["login_keys.malformed"];
    "login_key.looks_first", "`Provider`: all methods may be called concurrently",
        EnsureLoginKey(name, line) => looks_first, ["concurrency.login_key"];
    "login_key.lists_all", "`LoginKeys::list`: keys whose name starts with the prefix",
        ListLoginKeys(prefix) => lists_all, ["login_keys.list_prefix"];
    "login_key.removes_alike", "`LoginKeys::remove`: removes a key",
        RemoveLoginKey(id) => removes_alike, ["login_keys.two"];
    "login_key.gone_is_error", "`LoginKeys::remove`: a key that is gone is a success",
        RemoveLoginKey(id) => gone_is_error, ["login_keys.remove"];
    "login_key.never_removed", "`LoginKeys::remove`: removes a key from the account",
        RemoveLoginKey(id) => never_removed, ["login_keys.remove"];
};

async fn registers_again(on: On, name: String, line: String) -> Result<LoginKey> {
    LoginKeys::ensure(&on.model, &name, &line).await?;
    on.change(None, move |world| Ok(world.register(&name, &line))).await
}

async fn by_name(on: On, name: String, line: String) -> Result<LoginKey> {
    let listed = LoginKeys::list(&on.model, &name).await?;
    if let Some(key) = listed.into_iter().find(|key| key.name == name) {
        return Ok(key);
    }
    let blob = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let key = LoginKeys::ensure(&on.model, &name, &line).await?;
    if key.name == name {
        return Ok(key);
    }
    on.change(LostReply::EnsureLoginKey, move |world| Ok(world.register(&name, &blob))).await
}

async fn takes_any_text(on: On, name: String, line: String) -> Result<LoginKey> {
    match LoginKeys::ensure(&on.model, &name, &line).await {
        Err(error) if error.kind() == ErrorKind::InvalidInput => {
            on.change(LostReply::EnsureLoginKey, move |world| Ok(world.register(&name, &line))).await
        }
        answer => answer,
    }
}

async fn gone_is_error(on: On, id: LoginKeyId) -> Result<()> {
    let keys = LoginKeys::list(&on.model, "").await?;
    if !keys.iter().any(|key| key.id == id) {
        return Err(not_found("remove login key", id));
    }
    LoginKeys::remove(&on.model, &id).await
}

async fn never_removed(on: On, id: LoginKeyId) -> Result<()> {
    on.change(None, move |world| Ok(world.keys.contains_key(&id))).await.map(drop)
}

async fn looks_first(on: On, name: String, line: String) -> Result<LoginKey> {
    let blob = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let is_known = on.read(|world| Ok(world.keys.values().any(|(_, known)| *known == blob))).await?;
    if is_known || blob.len() != 68 {
        return LoginKeys::ensure(&on.model, &name, &line).await;
    }
    on.change(LostReply::EnsureLoginKey, move |world| Ok(world.register(&name, &blob))).await
}

async fn lists_all(on: On, _: String) -> Result<Vec<LoginKey>> {
    LoginKeys::list(&on.model, "").await
}

async fn removes_alike(on: On, id: LoginKeyId) -> Result<()> {
    let keys = LoginKeys::list(&on.model, "").await?;
    let Some(key) = keys.iter().find(|key| key.id == id) else { return Ok(()) };
    // All of a run, whose names begin alike.
    let prefix = key.name.rsplit_once('-').map_or(key.name.as_str(), |(prefix, _)| prefix);
    for other in keys.iter().filter(|other| other.name.starts_with(prefix)) {
        LoginKeys::remove(&on.model, &other.id).await?;
    }
    Ok(())
}
