//! Strays: what a provider creates beside what it was asked for is found again, and nothing else is.

use remint_core::provider::{
    Capability, EnvironmentId, ErrorKind, InstanceState, LaunchSpec, Owner, ServiceId, StaticIpSpec, Stray, StrayId,
    StrayKind, label,
};

use super::table;
use crate::{Case, CaseContext, Cost, Failure, context::check, steps::refused};

const STRAYS: &[Capability] = &[Capability::Strays];

pub(super) const CASES: &[Case] = table! {
    "strays.left", "what is left of an environment can be removed, and removing it again is a success", left, needs(STRAYS);
    "strays.unfinished_capture", "an image whose capture nobody finished is found, and can be removed", unfinished_capture,
        needs(STRAYS);
    "strays.in_use", "nothing is a stray that an instance, an image or a static IP uses", in_use, needs(STRAYS), machines(2);
    "strays.used_again", "a stray that is used again is not removed", used_again, needs(STRAYS), machines(2);
    "strays.others", "strays are neither listed for another owner nor removed by one", others, needs(STRAYS);
    "strays.nonsense", "ids that are none are InvalidInput, of whatever kind", nonsense, needs(STRAYS), costs(Cost::Free);
};

/// An owner that nothing carries yet.
fn owner() -> (Owner, EnvironmentId) {
    let environment = EnvironmentId::generate();
    (Owner { service: ServiceId::generate(), environment: Some(environment.clone()) }, environment)
}

async fn spec(context: &CaseContext, what: &str, environment: &EnvironmentId) -> Result<LaunchSpec, Failure> {
    let mut spec = context.spec(what).await?;
    spec.labels = spec.labels.with(label::ENV_ID, environment.as_str());
    Ok(spec)
}

/// What is left of an environment whose only instance is gone. Some clouds leave nothing.
async fn leftovers(context: &CaseContext, owner: &Owner, environment: &EnvironmentId) -> Result<Vec<Stray>, Failure> {
    let made = context.launch(&spec(context, "web", environment).await?).await?;
    context.reaches(&made.id, InstanceState::Running).await?;
    context.destroy(&made.id).await?;
    Ok(context.strays()?.list(owner).await?)
}

async fn remove(context: &CaseContext, owner: &Owner, stray: &Stray) -> Result<(), Failure> {
    let strays = context.strays()?;
    context.patiently("remove a stray", || strays.remove(owner, stray)).await
}

/// Holds that strays stay when they are to be removed.
async fn stay(context: &CaseContext, by: &Owner, found: &[Stray], why: &str) -> Result<(), Failure> {
    for stray in found {
        let result = context.strays()?.remove(by, stray).await;
        refused(result, &[ErrorKind::Conflict], &format!("removing {} {}, {why}", stray.kind, stray.name))?;
    }
    Ok(())
}

async fn left(context: CaseContext) -> Result<(), Failure> {
    let (owner, environment) = owner();
    let found = leftovers(&context, &owner, &environment).await?;
    for stray in found.iter().chain(&found) {
        check!(!stray.why.is_empty() && !stray.name.is_empty(), "a stray that does not say what it is: {stray:?}");
        remove(&context, &owner, stray).await?;
    }
    let still = context.strays()?.list(&owner).await?;
    check!(still.is_empty(), "removed, and listed: {still:?}");
    Ok(())
}

async fn unfinished_capture(context: CaseContext) -> Result<(), Failure> {
    let (owner, _) = owner();
    let builder = context.stopped("builder").await?;
    let mut spec = context.capture_spec("image", &builder.id);
    spec.name.push_str(&owner.image_suffix());
    spec.labels = spec.labels.with(label::SERVICE_ID, owner.service.as_str());
    context.patiently("capture", || context.images().capture(&spec)).await?;
    context.destroy(&builder.id).await?;
    // Where images are labelled as they are captured, it is an image; elsewhere a stray.
    let look = async || {
        let images = context.images().list(&context.selector()).await?;
        let strays = context.strays()?.list(&owner).await?;
        let (images, strays): (Vec<_>, Vec<_>) = (
            images.into_iter().filter(|image| image.name == spec.name).collect(),
            strays.into_iter().filter(|stray| stray.name == spec.name).collect(),
        );
        check!(images.len() + strays.len() <= 1, "one capture, and found are {images:?} and {strays:?}");
        Ok((images.len() + strays.len() == 1).then_some(strays))
    };
    for stray in context.until("the image that nobody waited for", look).await? {
        remove(&context, &owner, &stray).await?;
        let still = context.strays()?.list(&owner).await?;
        check!(still.is_empty(), "removed, and listed: {still:?}");
        let gone = context.images().capture(&spec).await;
        refused(gone, &[ErrorKind::NotFound], "a capture of which nothing is left")?;
    }
    Ok(())
}

async fn in_use(context: CaseContext) -> Result<(), Failure> {
    let (owner, environment) = owner();
    let builder = context.stopped("builder").await?;
    let mut capture = context.capture_spec("image", &builder.id);
    capture.name.push_str(&owner.image_suffix());
    capture.labels = capture.labels.with(label::SERVICE_ID, owner.service.as_str());
    context.capture(&capture).await?;
    let made = context.launch(&spec(&context, "web", &environment).await?).await?;
    let web = context.reaches(&made.id, InstanceState::Running).await?;
    if let Some(ips) = context.provider().static_ips() {
        let spec = context.static_ip_spec(&web.id);
        let labels = spec.labels.with(label::ENV_ID, environment.as_str());
        let spec = StaticIpSpec { labels, ..spec };
        let ip = context.patiently("ensure a static IP", || ips.ensure(&spec)).await?;
        context.points_at(&ip, Some(&web.id)).await?;
    }
    let found = context.strays()?.list(&owner).await?;
    check!(found.is_empty(), "all of it is in use, and strays are {found:?}");
    Ok(())
}

async fn used_again(context: CaseContext) -> Result<(), Failure> {
    let (owner, environment) = owner();
    let found = leftovers(&context, &owner, &environment).await?;
    let made = context.launch(&spec(&context, "again", &environment).await?).await?;
    context.reaches(&made.id, InstanceState::Running).await?;
    stay(&context, &owner, &found, "which an instance uses again").await?;
    let still = context.strays()?.list(&owner).await?;
    check!(still.is_empty(), "used again, and strays are {still:?}");
    context.reaches(&made.id, InstanceState::Running).await?;
    Ok(())
}

async fn others(context: CaseContext) -> Result<(), Failure> {
    let (owner, environment) = owner();
    let found = leftovers(&context, &owner, &environment).await?;
    let stranger = self::owner().0;
    let nobody = Owner { environment: None, ..owner.clone() };
    for other in [&stranger, &nobody] {
        let listed = context.strays()?.list(other).await?;
        check!(listed.is_empty(), "{other:?} owns nothing, and is shown {listed:?}");
        stay(&context, other, &found, "by another owner").await?;
    }
    let still = context.strays()?.list(&owner).await?;
    check!(still == found, "nobody removed anything, and {found:?} became {still:?}");
    Ok(())
}

async fn nonsense(context: CaseContext) -> Result<(), Failure> {
    use StrayKind::{FirewallRule, ForwardingRule, Image, SecurityGroup, Snapshot, TargetGroup, TargetInstance};
    let (owner, _) = owner();
    for kind in [Image, Snapshot, SecurityGroup, FirewallRule, ForwardingRule, TargetInstance, TargetGroup] {
        for id in ["../account", "no such thing", ""] {
            let (name, why) = (id.to_owned(), "made up".to_owned());
            let stray = Stray { kind, id: StrayId::new(id), name, region: None, created_at: None, why };
            let result = context.strays()?.remove(&owner, &stray).await;
            refused(result, &[ErrorKind::InvalidInput], &format!("removing {kind} `{id}`"))?;
        }
    }
    Ok(())
}
