//! Deletes what runs have left: by label and expiry, and by the ledgers of runs that were killed.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    time::Duration,
};

use jiff::Timestamp;
use remint_core::provider::{
    CaptureSpec, EnvironmentId, Error, ErrorKind, ImageId, InstanceId, Labels, LoadBalancerId, LoginKeyId, Provider,
    RecordKind, Result, Selector, StaticIpId, label,
};

use crate::{PastRun, RUN_LABEL, Resource, SERVICE, cleaning::Cleaner};

/// How long one deletion may take.
const PATIENCE: Duration = Duration::from_secs(600);

/// What a sweep takes for a leftover of a conformance run.
#[derive(Debug, Clone)]
pub struct SweepOptions {
    /// Whatever expires before this is swept.
    pub now: Timestamp,
    /// Everything that conformance runs made is swept, expired or not.
    pub all: bool,
    /// Runs whose leftovers are swept, expired or not.
    pub runs: Vec<PastRun>,
    /// The pause between two looks.
    pub poll: Duration,
}

impl SweepOptions {
    /// What has expired by now.
    pub fn new() -> Self {
        Self { now: Timestamp::now(), all: false, runs: Vec::new(), poll: Duration::from_secs(3) }
    }
}

impl Default for SweepOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// Why something is swept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// Its time is over.
    Expired(Timestamp),
    /// It was made by a conformance run, and all of those are swept.
    All,
    /// A run whose ledger is at hand made it.
    Ledger {
        /// The id in the header of the ledger, which is also the value of [`RUN_LABEL`].
        run: String,
    },
    /// It points at an instance that is swept.
    PointsAt(InstanceId),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expired(at) => write!(f, "expired at {at}"),
            Self::All => f.write_str("made by a conformance run"),
            Self::Ledger { run } => write!(f, "left by run {run}"),
            Self::PointsAt(id) => write!(f, "points at instance {id}"),
        }
    }
}

/// Something that a sweep deletes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doomed {
    /// The resource, by its kind and id.
    pub what: Thing,
    /// What proves that a conformance run left it.
    pub why: Why,
}

/// Something that stands in the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Thing {
    /// A record set, by zone, name below the zone, and kind.
    Record(String, String, RecordKind),
    /// A marker, by its name.
    Marker(String),
    /// A load balancer, by the cloud's id and its name.
    LoadBalancer(LoadBalancerId, String),
    /// A static IP, by the cloud's id.
    StaticIp(StaticIpId),
    /// The capture of an image that may be under way, and what comes of it.
    Capture(CaptureSpec),
    /// An instance, by the cloud's id and its name.
    Instance(InstanceId, String),
    /// An image, by the cloud's id and its name.
    Image(ImageId, String),
    /// A registered login key, by the cloud's id and its name.
    LoginKey(LoginKeyId, String),
    /// What was created beside the instances of an environment, and is not in use.
    Strays(EnvironmentId),
}

impl fmt::Display for Thing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Record(zone, name, kind) => write!(f, "record {name}.{zone} {kind}"),
            Self::Marker(name) => write!(f, "marker {name}"),
            Self::LoadBalancer(id, name) => write!(f, "load balancer {id} ({name})"),
            Self::StaticIp(id) => write!(f, "static IP {id}"),
            Self::Capture(spec) => {
                write!(f, "image {}, which may be under capture from instance {}", spec.name, spec.instance)
            }
            Self::Instance(id, name) => write!(f, "instance {id} ({name})"),
            Self::Image(id, name) => write!(f, "image {id} ({name})"),
            Self::LoginKey(id, name) => write!(f, "login key {id} ({name})"),
            Self::Strays(environment) => write!(f, "strays of environment {environment}"),
        }
    }
}

/// Something that conformance runs made, and that a sweep leaves where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The resource, by its kind and id.
    pub what: Thing,
    /// Why it is not deleted, as a fragment for messages.
    pub why: String,
}

/// A sweep that has looked, and deleted nothing yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sweep {
    /// What it deletes, in that order.
    pub doomed: Vec<Doomed>,
    /// What it leaves, although a conformance run made it.
    pub kept: Vec<Kept>,
}

/// What a sweep deleted, and what it could not.
#[derive(Debug, Default)]
pub struct Swept {
    /// What is gone, in the order in which it went.
    pub deleted: Vec<Doomed>,
    /// What could not be deleted, and why.
    pub failed: Vec<(Doomed, String)>,
}

impl Sweep {
    /// Looks for what is to be swept; changes nothing.
    ///
    /// Nothing without the labels of a conformance run is ever found, except what stands in a ledger: a static IP that
    /// has been given to another instance since is kept. Ledgers of other providers and accounts are passed over.
    ///
    /// # Errors
    ///
    /// Whatever a list answers.
    pub async fn plan(provider: &dyn Provider, options: &SweepOptions) -> Result<Self> {
        let account = provider.account().await?;
        let ours = |run: &&PastRun| run.header.provider == provider.descriptor().id && run.header.account == account.id;
        let runs: Vec<&PastRun> = options.runs.iter().filter(ours).collect();
        let mut sweep = Self::default();
        sweep.records_and_markers(provider, &runs).await?;
        sweep.load_balancers(provider, &runs).await?;
        let judge = Judge { options, runs: runs.iter().map(|run| run.header.run.as_str()).collect() };
        sweep.machines(provider, &judge, &runs).await?;
        sweep.login_keys(provider, &runs).await?;
        // They are strays once all else is gone, and so come last.
        if provider.strays().is_some() {
            for (run, resource) in left(&runs) {
                if let Resource::Strays { environment } = resource {
                    let (what, run) = (Thing::Strays(environment.clone()), run.to_owned());
                    sweep.doomed.push(Doomed { what, why: Why::Ledger { run } });
                }
            }
        }
        Ok(sweep)
    }

    async fn records_and_markers(&mut self, provider: &dyn Provider, runs: &[&PastRun]) -> Result<()> {
        for (run, resource) in left(runs) {
            let there = match (resource, provider.dns_zones(), provider.markers()) {
                (Resource::Record { zone, name, record }, Some(zones), _) => match zones.get(zone, name, *record).await
                {
                    Ok(set) => set.map(|_| Thing::Record(zone.clone(), name.clone(), *record)),
                    Err(error) if error.kind() == ErrorKind::NotFound => None,
                    Err(error) => return Err(error),
                },
                (Resource::Marker { name }, _, Some(markers)) => match markers.get(name).await {
                    Ok(value) => value.map(|_| Thing::Marker(name.clone())),
                    Err(error) if error.kind() == ErrorKind::InvalidInput => None,
                    Err(error) => return Err(error),
                },
                _ => None,
            };
            self.doomed.extend(there.map(|what| Doomed { what, why: Why::Ledger { run: run.to_owned() } }));
        }
        Ok(())
    }

    /// By the exact names of ledgers: a name that only begins like those of conformance runs may be anybody's.
    async fn load_balancers(&mut self, provider: &dyn Provider, runs: &[&PastRun]) -> Result<()> {
        let Some(balancers) = provider.load_balancers() else { return Ok(()) };
        for (run, resource) in left(runs) {
            let Resource::LoadBalancer { name } = resource else { continue };
            for balancer in balancers.list(name).await?.into_iter().filter(|balancer| balancer.name == *name) {
                let why = Why::Ledger { run: run.to_owned() };
                self.doomed.push(Doomed { what: Thing::LoadBalancer(balancer.id, balancer.name), why });
            }
        }
        Ok(())
    }

    async fn machines(&mut self, provider: &dyn Provider, judge: &Judge<'_>, runs: &[&PastRun]) -> Result<()> {
        let selector = Selector::all().with(label::SERVICE, SERVICE);
        let standing = provider.instances().list(&selector).await?;
        let mut instances = Vec::new();
        for instance in &standing {
            let what = Thing::Instance(instance.id.clone(), instance.name.clone());
            self.judge(judge, what, &instance.labels, &mut instances);
        }
        let labelled = provider.images().list(&selector).await?;
        let mut captures = Vec::new();
        for run in runs {
            // An image whose labels are there is found by them.
            let unlabelled = run.captures().filter(|(name, _)| !labelled.iter().any(|image| image.name == *name));
            for (name, id) in unlabelled {
                let Some(instance) = standing.iter().find(|instance| instance.id == *id) else { continue };
                // What the image and its instance have in common: with any other label, an image that got a part of its own would
                // be taken for somebody else's.
                let mut labels = instance.labels.clone();
                labels.0.retain(|key, _| [label::SERVICE, label::EXPIRES, RUN_LABEL].contains(&key.as_str()));
                let what = Thing::Capture(CaptureSpec { name: name.to_owned(), instance: id.clone(), labels });
                captures.push(Doomed { what, why: Why::Ledger { run: run.header.run.clone() } });
            }
        }
        let mut images = Vec::new();
        for image in labelled {
            self.judge(judge, Thing::Image(image.id, image.name), &image.labels, &mut images);
        }
        self.static_ips(provider, judge, runs, &instances).await?;
        self.doomed.extend(captures);
        self.doomed.extend(instances);
        self.doomed.extend(images);
        Ok(())
    }

    fn judge(&mut self, judge: &Judge<'_>, what: Thing, labels: &Labels, doomed: &mut Vec<Doomed>) {
        match judge.by_labels(labels) {
            Some(Ok(why)) => doomed.push(Doomed { what, why }),
            Some(Err(why)) => self.kept.push(Kept { what, why }),
            None => {}
        }
    }

    /// By their labels where the cloud labels addresses, by the instance that they point at, and by ledgers.
    async fn static_ips(
        &mut self,
        provider: &dyn Provider,
        judge: &Judge<'_>,
        runs: &[&PastRun],
        instances: &[Doomed],
    ) -> Result<()> {
        let Some(ips) = provider.static_ips() else { return Ok(()) };
        let told: HashMap<&StaticIpId, &str> = left(runs)
            .filter_map(|(run, resource)| match resource {
                Resource::StaticIp { id: Some(id), .. } => Some((id, run)),
                _ => None,
            })
            .collect();
        let doomed: BTreeSet<&InstanceId> = instances
            .iter()
            .filter_map(|doomed| match &doomed.what {
                Thing::Instance(id, _) => Some(id),
                _ => None,
            })
            .collect();
        let mut found = Vec::new();
        for ip in ips.list(&Selector::all()).await? {
            let what = Thing::StaticIp(ip.id.clone());
            if ip.labels.matches(&Selector::all().with(label::SERVICE, SERVICE)) {
                self.judge(judge, what, &ip.labels, &mut found);
                continue;
            }
            match (&ip.assigned_to, told.get(&ip.id)) {
                (Some(at), _) if doomed.contains(at) => {
                    found.push(Doomed { what, why: Why::PointsAt(at.clone()) });
                }
                (Some(at), Some(_)) => {
                    let why = format!("a ledger knows it, and it points at instance {at}, which is not swept");
                    self.kept.push(Kept { what, why });
                }
                (None, Some(run)) => found.push(Doomed { what, why: Why::Ledger { run: (*run).to_owned() } }),
                (_, None) => {}
            }
        }
        self.doomed.extend(found);
        Ok(())
    }

    async fn login_keys(&mut self, provider: &dyn Provider, runs: &[&PastRun]) -> Result<()> {
        let Some(keys) = provider.login_keys() else { return Ok(()) };
        for (run, resource) in left(runs) {
            let Resource::LoginKey { name } = resource else { continue };
            for key in keys.list(name).await?.into_iter().filter(|key| key.name == *name) {
                let why = Why::Ledger { run: run.to_owned() };
                self.doomed.push(Doomed { what: Thing::LoginKey(key.id, key.name), why });
            }
        }
        Ok(())
    }

    /// Deletes what was found, one after the other, each until it is gone. What fails does not keep the rest from being
    /// deleted. `on` hears of each before it is deleted.
    pub async fn carry_out(
        self,
        provider: &dyn Provider,
        poll: Duration,
        on: &mut (dyn FnMut(&Doomed) + Send),
    ) -> Swept {
        let cleaner = Cleaner { provider, poll, say: &|_| () };
        let mut swept = Swept::default();
        for doomed in self.doomed {
            on(&doomed);
            let deletion = async {
                match &doomed.what {
                    Thing::Record(zone, name, kind) => cleaner.record(zone, name, *kind).await,
                    Thing::Marker(name) => cleaner.marker(name).await,
                    Thing::Strays(environment) => cleaner.strays(environment).await,
                    Thing::LoadBalancer(id, _) => cleaner.load_balancer(id).await,
                    Thing::StaticIp(id) => cleaner.static_ip(id).await,
                    Thing::Capture(spec) => cleaner.capture(spec).await,
                    Thing::Instance(id, _) => cleaner.instance(id).await,
                    Thing::Image(id, _) => cleaner.image(id).await,
                    Thing::LoginKey(id, _) => cleaner.login_key(id).await,
                }
            };
            match tokio::time::timeout(PATIENCE, deletion).await {
                Ok(Ok(())) => swept.deleted.push(doomed),
                Ok(Err(error)) => swept.failed.push((doomed, with_hint(&error))),
                Err(_) => swept.failed.push((doomed, format!("still there after {} s", PATIENCE.as_secs()))),
            }
        }
        swept
    }
}

fn with_hint(error: &Error) -> String {
    match error.hint() {
        Some(hint) => format!("{error}; {hint}"),
        None => error.to_string(),
    }
}

/// What runs have left, each with its run's id.
fn left<'a>(runs: &'a [&'a PastRun]) -> impl Iterator<Item = (&'a str, &'a Resource)> {
    runs.iter().flat_map(|run| run.left.iter().map(|resource| (run.header.run.as_str(), resource)))
}

/// Tells what is swept by its labels.
struct Judge<'a> {
    options: &'a SweepOptions,
    runs: BTreeSet<&'a str>,
}

impl Judge<'_> {
    /// Why it is swept, or kept; `None` for what no conformance run made.
    fn by_labels(&self, labels: &Labels) -> Option<std::result::Result<Why, String>> {
        let run = labels.get(RUN_LABEL).filter(|_| labels.get(label::SERVICE) == Some(SERVICE))?;
        if self.options.all {
            return Some(Ok(Why::All));
        }
        if self.runs.contains(run) {
            return Some(Ok(Why::Ledger { run: run.to_owned() }));
        }
        Some(match labels.get(label::EXPIRES).map(str::parse::<Timestamp>) {
            Some(Ok(expires)) if expires <= self.options.now => Ok(Why::Expired(expires)),
            Some(Ok(expires)) => Err(format!("it expires at {expires}")),
            Some(Err(_)) => Err("its expiry cannot be read".to_owned()),
            None => Err("it has no expiry".to_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(service: &str, run: Option<&str>, expires: Option<&str>) -> Labels {
        let mut labels = Labels::new().with(label::SERVICE, service);
        for (key, value) in [(RUN_LABEL, run), (label::EXPIRES, expires)] {
            labels = value.into_iter().fold(labels, |labels, value| labels.with(key, value));
        }
        labels
    }

    fn verdict(all: bool, labels: &Labels) -> &'static str {
        let now = "2026-11-25T08:00:00Z".parse().unwrap();
        let options = SweepOptions { now, all, ..SweepOptions::new() };
        let judge = Judge { options: &options, runs: BTreeSet::from(["dead"]) };
        match judge.by_labels(labels) {
            None => "foreign",
            Some(Err(_)) => "kept",
            Some(Ok(Why::Expired(_))) => "expired",
            Some(Ok(Why::All)) => "all",
            Some(Ok(_)) => "ledger",
        }
    }

    #[test]
    fn only_what_a_run_made_is_judged() {
        let (past, future) = (Some("2026-11-25T07:59:59Z"), Some("2026-11-25T08:00:01Z"));
        for (expected, service, run, expires) in [
            ("expired", SERVICE, Some("r"), past),
            ("kept", SERVICE, Some("r"), future),
            ("ledger", SERVICE, Some("dead"), future),
            ("kept", SERVICE, Some("r"), None),
            ("kept", SERVICE, Some("r"), Some("yesterday")),
            ("foreign", "app", Some("r"), past),
            ("foreign", SERVICE, None, past),
        ] {
            assert_eq!(verdict(false, &labels(service, run, expires)), expected, "{service} {run:?} {expires:?}");
        }
        assert_eq!(verdict(true, &labels(SERVICE, Some("r"), future)), "all");
        assert_eq!(verdict(true, &labels("app", Some("r"), past)), "foreign");
    }
}
