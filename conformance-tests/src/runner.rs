//! Runs a case, destroys what it made, and looks whether anything is left.

use std::time::Duration;

use remint_core::provider::{ErrorKind, Instance, Selector};

use crate::{Case, CaseContext, Failure, Outcome, Target, ledger::Entries};

/// How long the destruction of what a case made may take, before [`Target::patience`].
const CLEAN_UP: Duration = Duration::from_secs(600);

/// Runs cases against one target.
#[derive(Debug, Clone)]
pub struct Runner {
    target: Target,
}

impl Runner {
    /// A runner for the target.
    pub fn new(target: Target) -> Self {
        Self { target }
    }

    /// Runs a case, whatever the provider declares.
    pub async fn run(&self, case: &Case) -> Outcome {
        let context = CaseContext::new(self.target.clone());
        let outcome = match tokio::time::timeout(self.patient(case.timeout), (case.run)(context.clone())).await {
            Ok(Ok(())) => Outcome::Passed,
            Ok(Err(failure)) => Outcome::Failed(failure.to_string()),
            Err(_) => Outcome::TimedOut(context.waiting_for()),
        };
        let mut leaks = Vec::new();
        match tokio::time::timeout(self.patient(CLEAN_UP), clean_up(&context, &mut leaks)).await {
            Ok(Ok(())) => {}
            Ok(Err(failure)) => leaks.push(format!("cleaning up failed: {failure}")),
            Err(_) => leaks.push(format!("cleaning up did not get past {}", context.waiting_for())),
        }
        match (outcome, leaks.is_empty()) {
            (outcome, true) => outcome,
            (Outcome::Passed, false) => Outcome::Leaked(leaks.join("; ")),
            (Outcome::Failed(why), false) => Outcome::Failed(format!("{why}; and leaked: {}", leaks.join("; "))),
            (outcome, false) => outcome,
        }
    }

    fn patient(&self, time: Duration) -> Duration {
        time.mul_f64(self.target.patience)
    }
}

/// Destroys everything of a run, newest kinds first. What the ledger does not account for is a leak, and destroyed too.
async fn clean_up(context: &CaseContext, leaks: &mut Vec<String>) -> Result<(), Failure> {
    let expected: Entries = std::mem::take(&mut *context.ledger().lock());
    let standing = context.instances().list(&context.selector()).await?;
    records(context, &expected).await?;
    static_ips(context, &expected, &standing, leaks).await?;
    instances(context, expected.instances, standing, leaks).await?;
    images(context, expected.images, leaks).await?;
    login_keys(context, &expected.login_keys, leaks).await
}

async fn records(context: &CaseContext, expected: &Entries) -> Result<(), Failure> {
    for (name, kind) in &expected.records {
        context.dns()?.remove(context.zone()?, name, *kind).await?;
    }
    Ok(())
}

async fn static_ips(
    context: &CaseContext,
    expected: &Entries,
    standing: &[Instance],
    leaks: &mut Vec<String>,
) -> Result<(), Failure> {
    let Some(ips) = context.provider().static_ips() else { return Ok(()) };
    for ip in ips.list(&Selector::all()).await? {
        let ours = ip.assigned_to.as_ref().is_some_and(|id| standing.iter().any(|instance| instance.id == *id));
        let known = expected.static_ips.contains(&ip.id);
        if ours && !known {
            leaks.push(format!("static IP {} was made and not told", ip.id));
        }
        if ours || known {
            context.patiently("release a static IP", || ips.release(&ip.id)).await?;
            let gone = async || ips.get(&ip.id).await.is_err_and(|error| error.kind() == ErrorKind::NotFound);
            context
                .until(format!("static IP {} to be gone", ip.id), || async { Ok(gone().await.then_some(())) })
                .await?;
        }
    }
    Ok(())
}

async fn instances(
    context: &CaseContext,
    mut expected: Vec<String>,
    standing: Vec<Instance>,
    leaks: &mut Vec<String>,
) -> Result<(), Failure> {
    for instance in standing {
        match expected.iter().position(|name| *name == instance.name) {
            Some(place) => drop(expected.swap_remove(place)),
            None => leaks.push(format!("instance {} ({}) was made and not asked for", instance.id, instance.name)),
        }
        context.destroy(&instance.id).await?;
    }
    for instance in context.instances().list(&context.selector()).await? {
        leaks.push(format!("instance {} ({}) is still listed", instance.id, instance.name));
    }
    Ok(())
}

async fn images(context: &CaseContext, mut expected: Vec<String>, leaks: &mut Vec<String>) -> Result<(), Failure> {
    let images = context.images();
    for image in images.list(&context.selector()).await? {
        match expected.iter().position(|name| *name == image.name) {
            Some(place) => drop(expected.swap_remove(place)),
            None => leaks.push(format!("image {} ({}) was made and not asked for", image.id, image.name)),
        }
        context.patiently("delete an image", || images.delete(&image.id)).await?;
        let unlisted = async || {
            let listed = images.list(&context.selector()).await?;
            Ok((!listed.iter().any(|other| other.id == image.id)).then_some(()))
        };
        context.until(format!("image {} to be gone", image.id), unlisted).await?;
    }
    Ok(())
}

async fn login_keys(context: &CaseContext, expected: &[String], leaks: &mut Vec<String>) -> Result<(), Failure> {
    // Only for cases that use them: some clouds allow few lists of keys a minute.
    let Some(keys) = context.provider().login_keys().filter(|_| !expected.is_empty()) else { return Ok(()) };
    for key in keys.list(&context.prefix()).await? {
        if !expected.contains(&key.name) {
            leaks.push(format!("login key {} ({}) was made and not asked for", key.id, key.name));
        }
        keys.remove(&key.id).await?;
    }
    Ok(())
}
