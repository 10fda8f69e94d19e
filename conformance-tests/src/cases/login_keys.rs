//! Login keys of the account.

use remint_core::provider::{Capability, ErrorKind};

use super::table;
use crate::{Case, CaseContext, Cost, Failure, context::check, steps::refused};

pub(super) const CASES: &[Case] = table! {
    "login_keys.ensure", "a key is registered once, and found again under whatever name", ensure,
        needs(&[Capability::LoginKey]), costs(Cost::Cheap);
    "login_keys.remove", "a removed key is gone, and removing it again is a success", remove,
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
    context.ledger().login_key(&name);
    context.ledger().login_key(&other);
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
    context.ledger().login_key(&name);
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
    context.ledger().login_key(&name);
    let keys = context.login_keys()?;
    for line in ["no key", "ssh-ed25519 AAAA", ""] {
        refused(keys.ensure(&name, line).await, &[ErrorKind::InvalidInput], "a malformed key")?;
    }
    check!(keys.list(&context.prefix()).await?.is_empty(), "a malformed key was registered");
    Ok(())
}
