//! What a bake has made and must not leave behind.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::timeout;

use super::{
    Authority,
    error::causes,
    kept::{forget, kept_until},
};
use crate::{
    context::Context,
    machine::{MachineError, Way, destroy},
    provider::{InstanceId, LoginKeyId, Selector, label},
};

/// What is going on when machines of an earlier run are removed, for its error.
const LEFT: &str = "cannot remove what an earlier run left behind";
/// How long one thing may take to go.
const DEADLINE: Duration = Duration::from_secs(180);

/// One thing to remove. It is noted before the call that makes it, since that may be made and its reply be lost.
#[derive(Debug, Clone)]
enum Item {
    /// All instances of this run with a role. `machine` is the one of them that somebody can log in to.
    Instances { selector: Selector, known: Option<InstanceId>, machine: Option<Box<Opened>> },
    /// The login key of this run.
    Key { name: String, known: Option<LoginKeyId> },
}

/// A machine of a bake, and the way into it.
#[derive(Debug, Clone)]
pub(super) struct Opened {
    pub(super) id: InstanceId,
    pub(super) name: String,
    pub(super) way: Way,
}

/// The list of things to remove, in the order in which they were made; they go in reverse.
///
/// It does not use `Drop`, because removing takes calls: whoever makes one runs [`Cleanup::run`] whatever happened.
#[derive(Debug, Default)]
pub(super) struct Cleanup {
    items: Mutex<Vec<Item>>,
}

impl Cleanup {
    fn push(&self, item: Item) {
        self.items.lock().unwrap_or_else(PoisonError::into_inner).push(item);
    }

    /// Notes that instances of these labels are about to be launched.
    pub(super) fn expect_instances(&self, selector: Selector) {
        self.push(Item::Instances { selector, known: None, machine: None });
    }

    /// Notes the id of the instance that was launched, which saves looking for it.
    pub(super) fn launched(&self, id: &InstanceId) {
        let mut items = self.items.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Item::Instances { known, .. }) = items.last_mut() {
            *known = Some(id.clone());
        }
    }

    /// Notes the way into the instance that was launched, so that it can be kept.
    pub(super) fn opens(&self, opened: Opened) {
        let mut items = self.items.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Item::Instances { machine, .. }) = items.last_mut() {
            *machine = Some(Box::new(opened));
        }
    }

    /// Notes that nobody can log in any more.
    pub(super) fn closes(&self) {
        let mut items = self.items.lock().unwrap_or_else(PoisonError::into_inner);
        for item in items.iter_mut() {
            if let Item::Instances { machine, .. } = item {
                *machine = None;
            }
        }
    }

    /// The machine on the list that somebody can log in to.
    pub(super) fn machine(&self) -> Option<Opened> {
        let items = self.items.lock().unwrap_or_else(PoisonError::into_inner);
        items.iter().rev().find_map(|item| match item {
            Item::Instances { machine, .. } => machine.as_deref().cloned(),
            Item::Key { .. } => None,
        })
    }

    /// Whether nothing is on the list.
    pub(super) fn is_empty(&self) -> bool {
        self.items.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Takes an instance off the list.
    pub(super) fn keep(&self, id: &InstanceId) {
        let mut items = self.items.lock().unwrap_or_else(PoisonError::into_inner);
        items.retain(|item| !matches!(item, Item::Instances { known: Some(known), .. } if known == id));
    }

    /// Notes that a key of this name is about to be registered.
    pub(super) fn expect_key(&self, name: String) {
        self.push(Item::Key { name, known: None });
    }

    /// Notes the id of the key that was registered.
    pub(super) fn registered(&self, id: &LoginKeyId) {
        let mut items = self.items.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Item::Key { known, .. }) = items.last_mut() {
            *known = Some(id.clone());
        }
    }

    /// Removes everything on the list, and returns in words what would not go: the next command tries again.
    pub(super) async fn run(&self, ctx: &Context, authority: &Authority<'_>) -> Vec<String> {
        let mut left = Vec::new();
        while let Some(item) = self.next() {
            let (what, removed) = match &item {
                Item::Instances { selector, known, .. } => {
                    let what = format!("an instance labelled {}", show(selector));
                    (what, timeout(DEADLINE, remove_instances(ctx, selector, known.as_ref())).await)
                }
                Item::Key { name, known } => {
                    (format!("the login key {name}"), timeout(DEADLINE, remove_key(ctx, name, known.as_ref())).await)
                }
            };
            let reason = match removed {
                Ok(Ok(())) => continue,
                Ok(Err(error)) => causes(&error),
                Err(_) => format!("not gone within {} s", DEADLINE.as_secs()),
            };
            ctx.events.warn(format!("could not remove {what}: {reason}; `remint gc` finds and removes it"));
            authority.lock.leave_behind();
            left.push(what);
        }
        left
    }

    fn next(&self) -> Option<Item> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }
}

fn show(selector: &Selector) -> String {
    let labels: Vec<_> = selector.0.iter().map(|(key, value)| format!("{key}={value}")).collect();
    labels.join(", ")
}

async fn remove_instances(ctx: &Context, selector: &Selector, known: Option<&InstanceId>) -> Result<(), MachineError> {
    let ids = match known {
        Some(id) => vec![(id.clone(), id.to_string())],
        None => {
            let found = ctx.provider.instances().list(selector).await;
            let found = found.map_err(MachineError::cloud("cannot look for it"))?;
            found.into_iter().map(|instance| (instance.id, instance.name)).collect()
        }
    };
    for (id, name) in ids {
        destroy(ctx, selector, &id, &name).await.map_err(MachineError::watch("it does not go"))?;
    }
    Ok(())
}

async fn remove_key(ctx: &Context, name: &str, known: Option<&LoginKeyId>) -> Result<(), MachineError> {
    let Some(keys) = ctx.provider.login_keys() else { return Ok(()) };
    let ids = match known {
        Some(id) => vec![id.clone()],
        None => {
            let found = keys.list(name).await.map_err(MachineError::cloud("cannot look for it"))?;
            found.into_iter().map(|key| key.id).collect()
        }
    };
    for id in ids {
        keys.remove(&id).await.map_err(MachineError::cloud("it cannot be removed"))?;
    }
    Ok(())
}

/// Removes the builders and check machines that an earlier run of this environment left behind: it was killed, or could not remove
/// them. They carry the environment's id, and the caller holds its lock, so none of them is in use. One of a run that the journal
/// does not know stays: this may be an older copy of the journal, and that run be at work with the true one. One that somebody
/// wants to keep stays, too, until its time is over.
pub(super) async fn sweep(ctx: &Context, authority: &Authority<'_>) -> Result<(), MachineError> {
    remove_machines(ctx, authority, false).await
}

/// As [`sweep`], those that somebody wants to keep included: their environment goes.
pub(crate) async fn destroy_machines(ctx: &Context, authority: &Authority<'_>) -> Result<(), MachineError> {
    remove_machines(ctx, authority, true).await
}

async fn remove_machines(ctx: &Context, authority: &Authority<'_>, kept: bool) -> Result<(), MachineError> {
    let runs = authority.lock.known_runs();
    for role in ["builder", "check"] {
        let selector = authority.machines(role);
        let found = ctx.provider.instances().list(&selector).await;
        for instance in found.map_err(MachineError::cloud(LEFT))? {
            let name = &instance.name;
            if !runs.has(instance.labels.get(label::RUN)) {
                ctx.events
                    .warn(format!("{name} is of a run that this journal does not know, and stays; see `remint gc`"));
                continue;
            }
            if !kept && kept_until(&instance.labels).is_some() {
                continue;
            }
            ctx.events.info(format!("destroying {name}, which an earlier run left behind"));
            destroy(ctx, &selector, &instance.id, name).await.map_err(MachineError::watch(LEFT))?;
            forget(ctx, &authority.identity.environment.id, &instance);
        }
    }
    Ok(())
}
