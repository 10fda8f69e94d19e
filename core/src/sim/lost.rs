//! The journal is lost for good, and each environment is adopted from what is there.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use object_store::{ObjectStoreExt, memory::InMemory, path::Path};

use super::{
    driver::{Broken, Sim},
    oracle::{Ended, Verb},
    resource::{Resource, all},
    wishes::{Choice, ENVIRONMENTS},
};
use crate::{
    bake::key_prefix,
    fake::State,
    provider::{EnvironmentId, label},
};

/// How often it is tried: a process may be killed each time, and its lock has to expire.
const TRIES: u32 = 20;

impl Sim {
    /// All of the journal is gone, when nobody is at work.
    pub(super) async fn lose_journal(&mut self) -> Result<(), Broken> {
        self.oracle.count("step: journal lost and adopted");
        self.oracle.line("user", "loses the journal");
        self.objects = Arc::new(InMemory::new());
        self.copies.clear();
        self.oracle.inner().named.clear();
        let touched = ENVIRONMENTS.into_iter().filter(|environment| self.quiet.contains_key(environment));
        let mut found_nothing = Vec::new();
        for environment in touched.collect::<Vec<_>>() {
            self.excuse(environment);
            if !self.adopt(environment).await? {
                found_nothing.push(environment);
            }
            self.remove_records(environment).await;
        }
        self.forget_rests(&found_nothing).await;
        Ok(())
    }

    /// Adopts an environment, and says whether there was anything to adopt.
    async fn adopt(&mut self, environment: &'static str) -> Result<bool, Broken> {
        for _ in 0..TRIES {
            let wishes = self.wishes[environment].clone();
            match self.alone(Verb::Adopt, wishes, self.true_journal(), None).await? {
                Ended::Done { .. } => return Ok(true),
                Ended::Failed { chain, .. } if chain.contains("is found in") => return Ok(false),
                // It is the user's own, which a manifest of before has named.
                Ended::Failed { chain, .. } if chain.contains("nothing shows who made it") => {
                    let given = self.given[environment];
                    self.oracle.line("user", format_args!("names {given} in the manifest of {environment} again"));
                    self.wishes.entry(environment).and_modify(|wishes| wishes.choice = Choice::Existing(given));
                    continue;
                }
                // None of them has passed its gate, or several have.
                Ended::Failed { chain, .. } if chain.contains("nothing shows which one serves") => {
                    self.oracle.inner().serving.entry(environment).and_modify(|serving| serving.excused = true);
                    for id in self.standing(environment) {
                        self.world.by_hand(&format!("{id} is deleted"), |state| state.machines.remove(&id));
                    }
                    self.pass(Duration::from_secs(10)).await?;
                    continue;
                }
                Ended::Failed { kind, .. } if kind == "Journal" => {
                    for damaged in ENVIRONMENTS {
                        let wishes = self.wishes[damaged].clone();
                        self.alone(Verb::Repair, wishes, self.true_journal(), None).await?;
                    }
                }
                Ended::Failed { .. } | Ended::Killed => {}
            }
            self.pass(Duration::from_secs(70)).await?;
        }
        self.oracle.fail(format!("{environment}: adopt does not succeed"));
        Err(Broken)
    }

    /// Clients who use a record of another name than the manifest's are on their own: it is in no list.
    fn excuse(&self, environment: &'static str) {
        let wished = self.wishes[environment].record.clone();
        if let Some(serving) = self.oracle.inner().serving.get_mut(environment) {
            serving.excused |= serving.record_name() != wished.as_deref();
        }
    }

    /// Somebody removes by hand the records that are not adopted.
    async fn remove_records(&self, environment: &'static str) {
        let owned = read(&self.objects, &format!("{environment}/resources.json")).await;
        let names: Vec<_> =
            owned["owned"].as_array().into_iter().flatten().filter_map(|one| one["name"].as_str()).collect();
        let keys: Vec<_> = self.oracle.inner().state.records.keys().cloned().collect();
        for key in keys.into_iter().filter(|key| !names.contains(&key.1.as_str())) {
            if self.oracle.inner().made_by(&Resource::Record(key.clone()), environment) {
                self.oracle.inner().serving.entry(environment).and_modify(|serving| serving.excused = true);
                self.world.by_hand(&format!("{} is removed", key.1), |state| state.records.remove(&key));
            }
        }
    }

    /// What carries no label, or ids that nothing else shows, is nobody's from now on.
    async fn forget_rests(&self, found_nothing: &[&'static str]) {
        let service = read(&self.objects, "service.json").await;
        let service = service["id"].as_str();
        let mut ids = BTreeMap::new();
        for environment in ENVIRONMENTS {
            let record = read(&self.objects, &format!("{environment}/environment.json")).await;
            if let Some(id) = record["id"].as_str() {
                ids.insert(environment, EnvironmentId::from(id));
            }
        }
        let mut inner = self.oracle.inner();
        let state = Arc::clone(&inner.state);
        for resource in all(&state) {
            let of_none = found_nothing.iter().any(|environment| inner.made_by(&resource, environment));
            let lost = match &resource {
                Resource::Image(id) => !is_of(&state, id.as_str(), service),
                // It belongs to those who use it.
                Resource::Ip(id) => {
                    let used = state.ips[id].ip.assigned_to.clone().map(Resource::Machine);
                    of_none || used.is_some_and(|used| inner.foreign.contains(&used))
                }
                // An environment whose id nothing shows gets another one, and its keys show nothing but that id.
                Resource::Key(id) => {
                    let maker = inner.makers.get(&resource).and_then(|maker| ids.get(maker.environment));
                    let name = &state.keys[id].0.name;
                    of_none || maker.is_some_and(|id| !name.starts_with(&key_prefix(id)))
                }
                _ => of_none,
            };
            if lost {
                inner.lost.insert(resource);
            }
        }
    }
}

/// An object of the journal; null where there is none.
async fn read(objects: &InMemory, path: &str) -> serde_json::Value {
    let Ok(got) = objects.get(&Path::from(path)).await else { return serde_json::Value::Null };
    let bytes = got.bytes().await.unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or_default()
}

/// Whether an image shows a service's id: in its label, or, as long as it carries none, in its name.
fn is_of(state: &State, image: &str, service: Option<&str>) -> bool {
    let Some((_, image)) = state.images.iter().find(|(id, _)| id.as_str() == image) else { return false };
    let Some(service) = service else { return false };
    match image.labels.get(label::SERVICE_ID) {
        Some(id) => id == service,
        None => image.name.ends_with(&service[..8]),
    }
}
