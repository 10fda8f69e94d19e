//! Commands that must change nothing: with a journal that is not the true one, beside somebody else's look-alike, or with a
//! manifest that cannot be followed from here.

use std::sync::Arc;

use futures::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload, memory::InMemory, path::Path};

use super::{
    coverage::Trouble,
    driver::{Broken, Sim},
    oracle::{Ended, Verb},
    resource::{Resource, all},
    wishes::Choice,
};
use crate::provider::{InstanceId, Labels, label};

impl Sim {
    /// One of them, when nobody else does anything.
    pub(super) async fn impostor(&mut self) -> Result<(), Broken> {
        self.settle().await?;
        // Lists show what is there by now.
        self.pass(std::time::Duration::from_secs(15)).await?;
        let environment = self.environment();
        let verb = self.any_verb(environment);
        let wishes = self.wishes[environment].clone();
        let stands = !self.standing(environment).is_empty();
        match self.dice.below(7) {
            // Nothing is adopted behind a load balancer yet.
            6 if self.fleets.is_some() => {}
            6 => self.lose_journal().await?,
            0 if stands => {
                self.oracle.count("step: lost journal");
                self.alone(verb, wishes, Arc::default(), Some((Trouble::LostJournal, "its journal is lost"))).await?;
            }
            1 if stands => self.older_copy(environment, verb).await?,
            2 => self.damage(environment, verb).await?,
            3 => self.look_alike(environment, verb).await?,
            // What a bake could not remove, the next command removes.
            4 if self.is_settled(environment) && !self.has_rests(environment) => {
                self.oracle.count("step: another region");
                let elsewhere = super::wishes::Wishes { region: "there", ..wishes };
                let why = Some((Trouble::OtherRegion, "what stands is in another region"));
                let verb = if self.dice.hits(0.5) { verb } else { Verb::Deploy { force: false } };
                match verb {
                    Verb::Deploy { .. } => {
                        let ended = self.alone(verb, elsewhere, self.true_journal(), why).await?;
                        self.expect_refusal(&ended, why)?;
                    }
                    // A bake makes an image for there; the others work where the releases are.
                    _ => {
                        self.meets_next = Some(Trouble::OtherRegion);
                        self.alone(verb, elsewhere, self.true_journal(), None).await?;
                    }
                }
            }
            5 if matches!(verb, Verb::Gc { dry: true } | Verb::Repair) => {
                // They have no reason to refuse.
                self.oracle.count("step: another service");
                let renamed = super::wishes::Wishes { service: "api".to_owned(), ..wishes };
                self.meets_next = Some(Trouble::OtherService);
                self.alone(verb, renamed, self.true_journal(), None).await?;
            }
            5 if self.is_settled(environment) => {
                self.oracle.count("step: another service");
                let renamed = super::wishes::Wishes { service: "api".to_owned(), ..wishes };
                let why = Some((Trouble::OtherService, "the journal is of another service"));
                let ended = self.alone(verb, renamed, self.true_journal(), why).await?;
                self.expect_refusal(&ended, why)?;
            }
            _ => {}
        }
        self.check()
    }

    pub(super) fn true_journal(&self) -> Arc<InMemory> {
        Arc::clone(&self.objects)
    }

    /// Whether builders or login keys are left that were made for an environment.
    fn has_rests(&self, environment: &str) -> bool {
        let inner = self.oracle.inner();
        let serves = |id: &InstanceId| {
            let machine = inner.state.machines.get(id);
            machine.is_some_and(|machine| machine.instance.labels.get(label::ROLE) == Some("instance"))
        };
        let is_rest = |one: &Resource| match one {
            Resource::Key(_) => true,
            Resource::Machine(id) => !serves(id),
            _ => false,
        };
        all(&inner.state).iter().any(|one| is_rest(one) && inner.made_by(one, environment))
    }

    /// Whether something serves, and nothing was left unfinished.
    fn is_settled(&self, environment: &str) -> bool {
        let quiet = self.quiet.get(environment) == Some(&true);
        quiet && self.oracle.inner().serving.get(environment).is_some_and(|serving| !serving.excused)
    }

    fn expect_refusal(&self, ended: &Ended, why: Option<(Trouble, &str)>) -> Result<(), Broken> {
        if let Ended::Done { .. } = ended {
            self.oracle.fail(format!("a command ends well, although {}", why.map_or("", |(_, why)| why)));
        }
        self.check()
    }

    /// With a copy of the journal from before something was launched that stands now.
    ///
    /// A copy that has announced the launch is what a run that died there would have left, and nothing tells the two apart: what it
    /// undoes is only known to be of use where clients are sent to it.
    async fn older_copy(&mut self, environment: &'static str, verb: Verb) -> Result<(), Broken> {
        let standing = self.standing(environment);
        let (newest, name) = {
            let inner = self.oracle.inner();
            let made = |id: &InstanceId| Some(inner.makers.get(&Resource::Machine(id.clone()))?.at);
            let Some((at, id)) = standing.iter().filter_map(|id| Some((made(id)?, id))).max() else { return Ok(()) };
            (at, inner.state.machines[id].instance.name.clone())
        };
        let older: Vec<_> = self.copies.iter().filter(|(at, _)| *at < newest).cloned().collect();
        if older.is_empty() {
            return Ok(());
        }
        let objects = Arc::new(self.dice.pick(&older).1.fork());
        let wishes = self.wishes[environment].clone();
        let clients_are_sent = wishes.record.is_some() || wishes.choice != Choice::None || wishes.fleet.is_some();
        if announces(&objects, environment, &name).await && !(clients_are_sent && self.is_settled(environment)) {
            return Ok(());
        }
        self.oracle.count("step: older copy of the journal");
        self.alone(verb, wishes, objects, Some((Trouble::OlderCopy, "its journal is an older copy"))).await.map(|_| ())
    }

    /// With an object of the journal cut off, or gone.
    async fn damage(&mut self, environment: &'static str, verb: Verb) -> Result<(), Broken> {
        let prefix = Path::from(environment);
        let listed: Vec<_> = self.objects.list(Some(&prefix)).try_collect().await.unwrap_or_default();
        let mut names: Vec<Path> = listed.into_iter().map(|meta| meta.location).collect();
        names.retain(|name| {
            let name = name.as_ref();
            let counts = name.contains("/journal/") || name.ends_with("/release.json") || name.contains("/lock/");
            // What a repair has put aside is read by nobody.
            counts && !name.contains("/damaged/")
        });
        // Of the locks, the last one counts.
        let last_lock = names.iter().filter(|name| name.as_ref().contains("/lock/")).max().cloned();
        names.retain(|name| !name.as_ref().contains("/lock/") || Some(name) == last_lock.as_ref());
        names.sort();
        if names.is_empty() {
            return Ok(());
        }
        let name = self.dice.pick(&names).clone();
        let Ok(got) = self.objects.get(&name).await else { return Ok(()) };
        let Ok(bytes) = got.bytes().await else { return Ok(()) };
        self.oracle.count("step: damaged journal");
        let damaged = Arc::new(self.objects.fork());
        let whole_release = name.as_ref().ends_with("/release.json");
        // One that was lost before anything was done in it leaves no trace.
        let begun = name.as_ref().strip_suffix("release.json").unwrap_or_default().to_owned();
        let begun = names.iter().any(|other| *other != name && other.as_ref().starts_with(&begun));
        if whole_release && begun && self.dice.hits(0.5) {
            self.oracle.line("user", format!("loses {name}"));
            let _ = damaged.delete(&name).await;
        } else {
            self.oracle.line("user", format!("has {name} cut off"));
            // Every object ends in a brace and the end of a line.
            let left = self.dice.below(bytes.len() as u64 - 1) as usize;
            let _ = damaged.put(&name, PutPayload::from(bytes.slice(..left))).await;
        }
        let why = Some((Trouble::Damage, "an object of its journal is damaged"));
        let wishes = self.wishes[environment].clone();
        let ended = self.alone(verb, wishes, damaged, why).await?;
        // Those that do not read the object have no reason to refuse.
        if matches!(verb, Verb::Repair | Verb::Plan | Verb::Status) {
            return self.check();
        }
        self.expect_refusal(&ended, why)
    }

    /// Beside an instance or a builder of the same names that another journal has deployed.
    async fn look_alike(&mut self, environment: &'static str, verb: Verb) -> Result<(), Broken> {
        let builder = self.dice.hits(0.3);
        let mut labels = Labels::new().with(label::SERVICE, "app").with(label::ENV, environment);
        labels = match builder {
            true => labels.with(label::ROLE, "builder").with(label::FINGERPRINT, "001good"),
            false => labels.with(label::ROLE, "instance").with(label::RELEASE, "1"),
        };
        if self.dice.hits(0.5) {
            labels = labels.with(label::ENV_ID, "0123456789abcdef");
        }
        self.oracle.count(if builder { "step: another's builder" } else { "step: another's instance" });
        let id = self.world.by_hand("a look-alike", |state| state.add_instance("app-look-alike", labels).id);
        self.oracle.inner().foreign.insert(Resource::Machine(id.clone()));
        self.pass(std::time::Duration::from_secs(6)).await?;
        let wishes = self.wishes[environment].clone();
        let why = (!builder).then_some((Trouble::LookAlike, "another journal has deployed under the same names"));
        self.alone(verb, wishes, self.true_journal(), why).await?;
        self.world.by_hand("the look-alike leaves", |state| state.machines.remove(&id));
        self.oracle.inner().foreign.remove(&Resource::Machine(id));
        self.pass(std::time::Duration::from_secs(6)).await
    }
}

/// Whether a journal has announced the launch of an instance of this name.
async fn announces(objects: &InMemory, environment: &str, name: &str) -> bool {
    let releases = Path::from(format!("{environment}/releases"));
    let listed: Vec<_> = objects.list(Some(&releases)).try_collect().await.unwrap_or_default();
    for object in listed {
        let Ok(got) = objects.get(&object.location).await else { continue };
        let Ok(bytes) = got.bytes().await else { continue };
        if String::from_utf8_lossy(&bytes).contains(&format!("\"{name}\"")) {
            return true;
        }
    }
    false
}
