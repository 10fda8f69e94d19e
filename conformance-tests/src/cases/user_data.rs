//! User data: what is given arrives, whole and unchanged, and never shows elsewhere.

use remint_core::provider::{Capability, ErrorKind, InstanceState};

use super::table;
use crate::{
    Case, CaseContext, Failure, Setting,
    context::check,
    inside::{Keys, output},
    steps::refused,
};

const BOOTS: &[Setting] = &[Setting::Boots];

pub(super) const CASES: &[Case] = table! {
    "user_data.limit_met", "user data that meets the limit exactly is launched", limit_met;
    "user_data.limit_exceeded", "one byte over the limit is InvalidInput, and nothing is launched", limit_exceeded;
    "user_data.limit_counts_bytes", "the limit counts bytes, not characters", counts_bytes;
    "user_data.none", "an instance without user data runs", none;
    "user_data.installs_keys", "the keys in it are what lets in, and by what the machine proves itself", installs_keys,
        with(BOOTS);
    "user_data.arrives", "the machine has it byte for byte, awkward characters included", arrives, with(BOOTS);
    "user_data.whole", "user data as long as the limit arrives whole", whole, with(BOOTS);
    "user_data.every_one", "each instance of a batch gets it", every_one,
        needs(&[Capability::InstanceLaunchBatch]), with(BOOTS), machines(3);
    "user_data.own", "two instances get each their own", own, with(BOOTS), machines(2);
    "user_data.not_identity", "a name launched again with other user data is the existing instance", not_identity;
    "user_data.not_told", "a refused launch does not tell what was in it", not_told;
};

fn filler(bytes: usize) -> String {
    const HEAD: &str = "#cloud-config\n#";
    format!("{HEAD}{}", "x".repeat(bytes - HEAD.len()))
}

async fn limit_met(context: CaseContext) -> Result<(), Failure> {
    let mut spec = context.spec("web").await?;
    spec.user_data = Some(filler(context.provider().descriptor().limits.user_data_bytes).into());
    let made = context.launch(&spec).await?;
    context.reaches(&made.id, InstanceState::Running).await?;
    Ok(())
}

async fn limit_exceeded(context: CaseContext) -> Result<(), Failure> {
    let mut spec = context.spec("web").await?;
    spec.user_data = Some(filler(context.provider().descriptor().limits.user_data_bytes + 1).into());
    let before = context.provider().calls().count();
    context.launches_nothing(&spec, &[ErrorKind::InvalidInput]).await?;
    let spent = context.provider().calls().count().since(before);
    check!(spent.mutations == 0, "the cloud was asked {} times for what cannot be", spent.mutations);
    Ok(())
}

async fn counts_bytes(context: CaseContext) -> Result<(), Failure> {
    let mut spec = context.spec("web").await?;
    let limit = context.provider().descriptor().limits.user_data_bytes;
    // Fewer characters than the limit, and more bytes.
    let text = format!("#cloud-config\n#{}", "ü".repeat(limit / 2));
    check!(text.chars().count() < limit && text.len() > limit, "the case is wrong");
    spec.user_data = Some(text.into());
    context.launches_nothing(&spec, &[ErrorKind::InvalidInput]).await
}

async fn none(context: CaseContext) -> Result<(), Failure> {
    let spec = context.spec("web").await?;
    check!(spec.user_data.is_none(), "the case is wrong");
    let made = context.launch(&spec).await?;
    context.reaches(&made.id, InstanceState::Running).await?;
    Ok(())
}

async fn installs_keys(context: CaseContext) -> Result<(), Failure> {
    let keys = Keys::generate();
    let mut spec = context.spec("web").await?;
    let instance = context.opened(&mut spec, &keys, &[]).await?;
    let machine = context.booted(instance.address.as_ref(), &keys).await?;
    let installed = output(&machine, "cat /etc/ssh/ssh_host_ed25519_key.pub").await?;
    let line = keys.host.public().line();
    let key = line.split(' ').nth(1).unwrap_or_default();
    check!(!key.is_empty() && installed.contains(key), "its host key is {installed}, not {line}");
    Ok(())
}

async fn arrives(context: CaseContext) -> Result<(), Failure> {
    let keys = Keys::generate();
    let script = "#!/bin/sh\n# \t\"double\" 'single' \\ $HOME ${x} `y` %s &amp; <b> ü € 𝄞 {{ jinja }}  \nexit 0\n\n";
    let mut spec = context.spec("web").await?;
    let instance = context.opened(&mut spec, &keys, &[script]).await?;
    let machine = context.booted(instance.address.as_ref(), &keys).await?;
    given_is_there(&context, &machine, &keys, &[script]).await
}

async fn whole(context: CaseContext) -> Result<(), Failure> {
    let keys = Keys::generate();
    let limit = context.provider().descriptor().limits.user_data_bytes;
    let mut spec = context.spec("web").await?;
    context.open(&mut spec, &keys, &[]).await?;
    let own = keys.user_data(context.guest(), &[])?;
    let own = secrecy::ExposeSecret::expose_secret(&own);
    // What follows the last boundary of a multi-part document is nobody's.
    spec.user_data = Some(format!("{own}{}", "x".repeat(limit - own.len())).into());
    let made = context.launch(&spec).await?;
    let instance = context.reaches(&made.id, InstanceState::Running).await?;
    let machine = context.booted(instance.address.as_ref(), &keys).await?;
    let bytes = output(&machine, "wc -c < /var/lib/cloud/instance/user-data.txt").await?;
    check!(bytes.trim() == limit.to_string(), "{limit} bytes were given, {} arrived", bytes.trim());
    Ok(())
}

async fn every_one(context: CaseContext) -> Result<(), Failure> {
    let keys = Keys::generate();
    let mut spec = context.spec("a").await?;
    spec.names.extend(["b", "c"].map(|what| context.name(what)));
    context.open(&mut spec, &keys, &[]).await?;
    for instance in context.instances().launch(&spec).await? {
        let running = context.reaches(&instance.id, InstanceState::Running).await?;
        context.login(running.address.as_ref(), &keys).await?;
    }
    Ok(())
}

async fn own(context: CaseContext) -> Result<(), Failure> {
    for what in ["one", "two"] {
        let keys = Keys::generate();
        let script = format!("#!/bin/sh\n# this is {what}\n");
        let mut spec = context.spec(what).await?;
        let instance = context.opened(&mut spec, &keys, &[&script]).await?;
        let machine = context.booted(instance.address.as_ref(), &keys).await?;
        given_is_there(&context, &machine, &keys, &[&script]).await?;
    }
    Ok(())
}

async fn not_identity(context: CaseContext) -> Result<(), Failure> {
    let mut spec = context.spec("web").await?;
    spec.user_data = Some(filler(64).into());
    let first = context.launch(&spec).await?;
    spec.user_data = Some(filler(65).into());
    let again = context.launch(&spec).await?;
    check!(again.id == first.id, "other user data made another instance of the name: {} and {}", first.id, again.id);
    check!(context.standing().await? == spec.names, "standing: {:?}", context.standing().await?);
    Ok(())
}

async fn not_told(context: CaseContext) -> Result<(), Failure> {
    const SECRET: &str = "correct-horse-battery-staple";
    let mut spec = context.spec("web").await?;
    let limit = context.provider().descriptor().limits.user_data_bytes;
    for (text, region) in [
        (format!("#cloud-config\n# {SECRET}{}", "x".repeat(limit)), spec.region.clone()),
        (format!("#cloud-config\n# {SECRET}\n"), "nowhere-1".into()),
    ] {
        (spec.user_data, spec.region) = (Some(text.into()), region);
        let kinds = &[ErrorKind::InvalidInput];
        let error = refused(context.instances().launch(&spec).await, kinds, "the launch")?;
        let told = format!("{error} {error:?} {:?}", error.hint());
        check!(!told.contains(SECRET), "the error tells what was in the user data");
    }
    Ok(())
}

/// Holds that the machine has exactly this user data.
async fn given_is_there(
    context: &CaseContext,
    machine: &remint_core::remote::Connection,
    keys: &Keys,
    more: &[&str],
) -> Result<(), Failure> {
    let given = keys.user_data(context.guest(), more)?;
    let given = secrecy::ExposeSecret::expose_secret(&given);
    let found = machine.download("/var/lib/cloud/instance/user-data.txt").await;
    let found = found.map_err(|error| Failure::new(format!("the user data cannot be read: {error}")))?;
    check!(found == given.as_bytes(), "{} bytes were given, and {} others arrived", given.len(), found.len());
    Ok(())
}
