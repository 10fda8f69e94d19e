//! Runs a case, destroys what it made, and looks whether anything is left.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use remint_core::provider::{CaptureSpec, Labels, Selector, StaticIpId, label};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{Block, Case, CaseContext, Failure, LedgerFile, Outcome, Resource, Target, cleaning::Cleaner};

/// How long the destruction of what a case made may take, before [`Target::patience`].
const CLEAN_UP: Duration = Duration::from_secs(600);
/// After how long whatever is left of a run may be swept, unless it is told otherwise.
const LIFETIME: SignedDuration = SignedDuration::from_hours(4);

/// The label of everything that a run makes; its value is the run's id.
///
/// [`label::RUN`] tells the cases of a run apart.
pub const RUN_LABEL: &str = "remint:conformance";

/// The value of [`label::SERVICE`] on everything that any run makes.
pub const SERVICE: &str = "conformance";

/// What everything that a run makes is labelled with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tags {
    /// The run's id, which is the value of [`RUN_LABEL`]: a UUID without dashes.
    pub run: String,
    /// From when on whatever is left may be swept.
    pub expires: Timestamp,
}

impl Tags {
    /// Those of a new run, whose leftovers may be swept after so long.
    pub fn new(lifetime: SignedDuration) -> Self {
        Self { run: Uuid::now_v7().simple().to_string(), expires: Timestamp::now() + lifetime }
    }

    /// The labels of everything that the run makes: service, expiry and run.
    pub fn labels(&self) -> Labels {
        Labels::new()
            .with(label::SERVICE, SERVICE)
            .with(label::EXPIRES, self.expires.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
            .with(RUN_LABEL, &self.run)
    }

    /// What finds everything of the run.
    pub fn selector(&self) -> Selector {
        Selector::all().with(label::SERVICE, SERVICE).with(RUN_LABEL, &self.run)
    }
}

/// Runs cases against one target.
#[derive(Debug, Clone)]
pub struct Runner {
    target: Target,
    tags: Tags,
    file: Option<Arc<LedgerFile>>,
    cancel: CancellationToken,
}

impl Runner {
    /// A runner for the target.
    pub fn new(target: Target) -> Self {
        Self { target, tags: Tags::new(LIFETIME), file: None, cancel: CancellationToken::new() }
    }

    /// Labels what the cases make with these.
    #[must_use]
    pub fn tagged(self, tags: Tags) -> Self {
        Self { tags, ..self }
    }

    /// Writes into a file what the cases are about to make.
    #[must_use]
    pub fn recording(self, file: Arc<LedgerFile>) -> Self {
        Self { file: Some(file), ..self }
    }

    /// Ends a case when this is cancelled. What it made is taken away all the same.
    #[must_use]
    pub fn cancelled_by(self, cancel: CancellationToken) -> Self {
        Self { cancel, ..self }
    }

    /// Whether it was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }

    /// Runs a case, whatever the provider declares.
    pub async fn run(&self, case: &Case) -> Outcome {
        let context = CaseContext::new(case.id, self.target.clone(), &self.tags, self.file.clone());
        let mut outcome = tokio::select! {
            ended = tokio::time::timeout(self.patient(case.timeout), (case.run)(context.clone())) => match ended {
                Ok(Ok(())) => Outcome::Passed,
                Ok(Err(failure)) => Outcome::Failed(failure.to_string()),
                Err(_) => Outcome::TimedOut(context.waiting_for()),
            },
            () = self.cancel.cancelled() => Outcome::Blocked(Block::Interrupted),
        };
        let launched = context.ledger().launched();
        if outcome == Outcome::Passed && launched > case.machines as usize {
            let (id, says) = (case.id, case.machines);
            outcome =
                Outcome::Failed(format!("{launched} instances were launched, and {id} says that it takes {says}"));
        }
        let mut leaks = Vec::new();
        if tokio::time::timeout(self.patient(CLEAN_UP), clean_up(&context, &mut leaks)).await.is_err() {
            leaks.push(format!("cleaning up did not get past {}", context.waiting_for()));
        }
        if leaks.is_empty()
            && let Err(error) = context.ledger().clean().await
        {
            leaks.push(error.to_string());
        }
        match (outcome, leaks.is_empty()) {
            (outcome, true) => outcome,
            (Outcome::Failed(why), false) => Outcome::Failed(format!("{why}; and leaked: {}", leaks.join("; "))),
            (Outcome::TimedOut(what), false) => Outcome::TimedOut(format!("{what}; and leaked: {}", leaks.join("; "))),
            (_, false) => Outcome::Leaked(leaks.join("; ")),
        }
    }

    fn patient(&self, time: Duration) -> Duration {
        time.mul_f64(self.target.patience)
    }
}

/// What a case said that it would make.
#[derive(Debug, Default)]
struct Expected {
    instances: BTreeSet<String>,
    images: BTreeSet<String>,
    static_ips: BTreeSet<StaticIpId>,
    login_keys: BTreeSet<String>,
    load_balancers: BTreeSet<String>,
}

impl Expected {
    fn of(made: &BTreeSet<Resource>) -> Self {
        let mut expected = Self::default();
        for resource in made {
            match resource {
                Resource::Instance { name } => drop(expected.instances.insert(name.clone())),
                Resource::Image { name, .. } => drop(expected.images.insert(name.clone())),
                Resource::StaticIp { id: Some(id), .. } => drop(expected.static_ips.insert(id.clone())),
                Resource::LoginKey { name } => drop(expected.login_keys.insert(name.clone())),
                Resource::LoadBalancer { name } => drop(expected.load_balancers.insert(name.clone())),
                Resource::StaticIp { id: None, .. }
                | Resource::Record { .. }
                | Resource::Marker { .. }
                | Resource::Strays { .. } => {}
            }
        }
        expected
    }
}

/// Destroys everything of a case, newest kinds first. What was not asked for is a leak, and destroyed too; so is what
/// cannot be destroyed, and the rest is destroyed all the same.
async fn clean_up(context: &CaseContext, leaks: &mut Vec<String>) {
    let made = context.ledger().made();
    let mut expected = Expected::of(&made);
    let say = |what: String| context.say(what);
    let cleaner = Cleaner { provider: context.provider(), poll: context.target().poll, say: &say };
    for resource in &made {
        match resource {
            Resource::Record { zone, name, record } => note(leaks, cleaner.record(zone, name, *record).await),
            Resource::Marker { name } => note(leaks, cleaner.marker(name).await),
            _ => {}
        }
    }
    for (name, instance) in context.ledger().captures() {
        let spec = CaptureSpec { name, instance, labels: context.labels().with(label::ROLE, "image") };
        note(leaks, cleaner.capture(&spec).await);
    }
    let ended = load_balancers(context, &cleaner, &mut expected, leaks).await;
    note(leaks, ended);
    let ended = static_ips(context, &cleaner, &expected, leaks).await;
    note(leaks, ended);
    let ended = instances(context, &cleaner, &mut expected, leaks).await;
    note(leaks, ended);
    let ended = images(context, &cleaner, &mut expected, leaks).await;
    note(leaks, ended);
    let ended = login_keys(context, &cleaner, &expected, leaks).await;
    note(leaks, ended);
    for resource in &made {
        if let Resource::Strays { environment } = resource {
            note(leaks, cleaner.strays(environment).await);
        }
    }
}

fn note<E: Into<Failure>>(leaks: &mut Vec<String>, ended: Result<(), E>) {
    if let Err(error) = ended {
        leaks.push(format!("cleaning up failed: {}", error.into()));
    }
}

async fn static_ips(
    context: &CaseContext,
    cleaner: &Cleaner<'_>,
    expected: &Expected,
    leaks: &mut Vec<String>,
) -> Result<(), Failure> {
    let Some(ips) = context.provider().static_ips() else { return Ok(()) };
    let selector = context.selector();
    let standing = context.instances().list(&selector).await?;
    for ip in ips.list(&Selector::all()).await? {
        let labelled = ip.labels.matches(&selector);
        let ours = ip.assigned_to.as_ref().is_some_and(|id| standing.iter().any(|instance| instance.id == *id));
        let known = expected.static_ips.contains(&ip.id);
        if (labelled || ours) && !known {
            leaks.push(format!("static IP {} was created and not reported", ip.id));
        }
        if labelled || ours || known {
            cleaner.static_ip(&ip.id).await?;
        }
    }
    Ok(())
}

async fn instances(
    context: &CaseContext,
    cleaner: &Cleaner<'_>,
    expected: &mut Expected,
    leaks: &mut Vec<String>,
) -> Result<(), Failure> {
    for instance in context.instances().list(&context.selector()).await? {
        if !expected.instances.remove(&instance.name) {
            leaks.push(format!("instance {} ({}) was made and not asked for", instance.id, instance.name));
        }
        cleaner.instance(&instance.id).await?;
    }
    for instance in context.instances().list(&context.selector()).await? {
        leaks.push(format!("instance {} ({}) is still listed", instance.id, instance.name));
    }
    Ok(())
}

async fn images(
    context: &CaseContext,
    cleaner: &Cleaner<'_>,
    expected: &mut Expected,
    leaks: &mut Vec<String>,
) -> Result<(), Failure> {
    for image in context.images().list(&context.selector()).await? {
        if !expected.images.remove(&image.name) {
            leaks.push(format!("image {} ({}) was made and not asked for", image.id, image.name));
        }
        cleaner.image(&image.id).await?;
    }
    for image in context.images().list(&context.selector()).await? {
        leaks.push(format!("image {} ({}) is still listed", image.id, image.name));
    }
    Ok(())
}

async fn load_balancers(
    context: &CaseContext,
    cleaner: &Cleaner<'_>,
    expected: &mut Expected,
    leaks: &mut Vec<String>,
) -> Result<(), Failure> {
    // Only for cases that use them: a list costs a call, and holds those of the whole account.
    let used = !expected.load_balancers.is_empty();
    let Some(balancers) = context.provider().load_balancers().filter(|_| used) else { return Ok(()) };
    for balancer in balancers.list(&context.balancer_prefix()).await? {
        if !expected.load_balancers.remove(&balancer.name) {
            leaks.push(format!("load balancer {} ({}) was created and not asked for", balancer.id, balancer.name));
        }
        cleaner.load_balancer(&balancer.id).await?;
    }
    for balancer in balancers.list(&context.balancer_prefix()).await? {
        leaks.push(format!("load balancer {} ({}) is still listed", balancer.id, balancer.name));
    }
    Ok(())
}

async fn login_keys(
    context: &CaseContext,
    cleaner: &Cleaner<'_>,
    expected: &Expected,
    leaks: &mut Vec<String>,
) -> Result<(), Failure> {
    // Only for cases that use them: some clouds allow few lists of keys a minute.
    let used = !expected.login_keys.is_empty();
    let Some(keys) = context.provider().login_keys().filter(|_| used) else { return Ok(()) };
    for key in keys.list(&context.prefix()).await? {
        if !expected.login_keys.contains(&key.name) {
            leaks.push(format!("login key {} ({}) was made and not asked for", key.id, key.name));
        }
        cleaner.login_key(&key.id).await?;
    }
    Ok(())
}
