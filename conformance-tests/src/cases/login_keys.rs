//! Login keys of the account.

use remint_core::{
    provider::{Capability, ErrorKind, InstanceState},
    remote,
    userdata::UserData,
};

use super::table;
use crate::{Case, CaseContext, Cost, Failure, Setting, context::check, inside::Keys, steps::refused};

pub(super) const CASES: &[Case] = table! {
    "login_keys.ensure", "a key is registered once, and found again under whatever name", ensure,
        needs(&[Capability::LoginKey]), costs(Cost::Cheap);
    "login_keys.remove", "a removed key is gone, and removing it again is a success", remove,
        needs(&[Capability::LoginKey]), costs(Cost::Cheap);
    "login_keys.two", "two keys are two registrations, and removing one leaves the other", two,
        needs(&[Capability::LoginKey]), costs(Cost::Cheap);
    "login_keys.list_prefix", "a list holds the keys whose name begins so, and no others", list_prefix,
        needs(&[Capability::LoginKey]), costs(Cost::Cheap);
    "login_keys.launch", "a registered key lets in, without a word of it in the user data", launch,
        needs(&[Capability::LoginKey]), with(&[Setting::Boots]);
    "login_keys.unknown", "a key that is gone is InvalidInput or NotFound at launch, and launches nothing", unknown,
        needs(&[Capability::LoginKey]), costs(Cost::Cheap);
    "login_keys.malformed", "what is no key is InvalidInput, and is not registered", malformed,
        needs(&[Capability::LoginKey]), costs(Cost::Cheap);
};

/// An ed25519 public key that nobody has the other half of; each run has its own.
pub(super) fn public_key(context: &CaseContext) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut blob = b"\0\0\0\x0bssh-ed25519\0\0\0\x20".to_vec();
    blob.extend(context.name("key-material-key-material-key-material").bytes().take(32));
    let mut text = String::new();
    for chunk in blob.chunks(3) {
        let bits = chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * place) & 63) as usize];
            text.push(if place > chunk.len() { '=' } else { char::from(digit) });
        }
    }
    format!("ssh-ed25519 {text} conformance")
}

async fn ensure(context: CaseContext) -> Result<(), Failure> {
    let (name, other, line) = (context.name("key"), context.name("other"), public_key(&context));
    let keys = context.login_keys()?;
    let first = keys.ensure(&name, &line).await?;
    check!(first.name == name, "registered as {name}, named {}", first.name);
    for again in [&name, &name, &other] {
        let found = keys.ensure(again, &line).await?;
        check!(found.id == first.id, "one key, two registrations: {} and {}", first.id, found.id);
    }
    let listed = keys.list(&context.prefix()).await?;
    check!(listed == [first], "listed: {listed:?}");
    Ok(())
}

async fn remove(context: CaseContext) -> Result<(), Failure> {
    let name = context.name("key");
    let keys = context.login_keys()?;
    let key = keys.ensure(&name, &public_key(&context)).await?;
    for _ in 0..2 {
        keys.remove(&key.id).await?;
    }
    let listed = keys.list(&context.prefix()).await?;
    check!(listed.is_empty(), "a removed key is listed: {listed:?}");
    Ok(())
}

async fn malformed(context: CaseContext) -> Result<(), Failure> {
    let name = context.name("key");
    let keys = context.login_keys()?;
    for line in ["no key", "ssh-ed25519 AAAA", ""] {
        refused(keys.ensure(&name, line).await, &[ErrorKind::InvalidInput], "a malformed key")?;
    }
    check!(keys.list(&context.prefix()).await?.is_empty(), "a malformed key was registered");
    Ok(())
}

async fn two(context: CaseContext) -> Result<(), Failure> {
    let keys = context.login_keys()?;
    let mut made = Vec::new();
    for what in ["one", "two"] {
        let line = remote::LoginKey::generate().public().line();
        made.push(keys.ensure(&context.name(what), &line).await?);
    }
    check!(made[0].id != made[1].id, "two keys, one registration: {}", made[0].id);
    keys.remove(&made[0].id).await?;
    let listed = keys.list(&context.prefix()).await?;
    check!(listed == made[1..], "{} was removed, and listed are {listed:?}", made[0].name);
    Ok(())
}

async fn list_prefix(context: CaseContext) -> Result<(), Failure> {
    let keys = context.login_keys()?;
    let mut made = Vec::new();
    for what in ["web", "web-2", "x-web"] {
        let line = remote::LoginKey::generate().public().line();
        made.push(keys.ensure(&context.name(what), &line).await?);
    }
    let mut listed: Vec<_> = keys.list(&context.name("web")).await?.into_iter().map(|key| key.name).collect();
    listed.sort();
    check!(listed == [context.name("web"), context.name("web-2")], "listed: {listed:?}");
    let all = keys.list(&context.prefix()).await?;
    check!(all.len() == 3, "three keys begin so, and listed are {all:?}");
    Ok(())
}

async fn launch(context: CaseContext) -> Result<(), Failure> {
    let keys = Keys::generate();
    let mut spec = context.spec("web").await?;
    let key = context.login_keys()?.ensure(&context.name("key"), &keys.login.public().line()).await?;
    spec.login_keys = vec![key.id];
    // The host key, and nobody's login.
    let data = UserData::new(&keys.host.private_pem(), context.guest()).build(usize::MAX);
    spec.user_data = Some(data.map_err(|error| Failure::new(error.to_string()))?);
    let made = context.launch(&spec).await?;
    let running = context.reaches(&made.id, InstanceState::Running).await?;
    context.login(running.address.as_ref(), &keys).await?;
    Ok(())
}

async fn unknown(context: CaseContext) -> Result<(), Failure> {
    let keys = context.login_keys()?;
    let key = keys.ensure(&context.name("key"), &public_key(&context)).await?;
    keys.remove(&key.id).await?;
    let mut spec = context.spec("web").await?;
    spec.login_keys = vec![key.id];
    context.launches_nothing(&spec, &[ErrorKind::InvalidInput, ErrorKind::NotFound]).await
}
