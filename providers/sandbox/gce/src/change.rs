//! How a change is made: all checks first, then its effect, and an operation as the answer.

use std::net::Ipv4Addr;

use axum::Json;
use serde_json::Value;

use super::{
    balanced,
    call::Call,
    error::{Refusal, Result},
    operation::{self, Failure, Operation, Sequel},
};
use crate::{Cloud, State};
use remint_sandbox_cloud::{Config, DelayKind, now, will_fail};

/// What a change does once all checks are passed.
type Effect = Box<dyn FnOnce(&mut State, &Config) -> Done + Send>;

/// A change that was found to be right.
pub(super) struct Accepted {
    verb: &'static str,
    /// What it is about, as a path below the project.
    target: String,
    doing: Doing,
}

enum Doing {
    /// The engine's actions carry it out, and know themselves when they are to fail.
    Engine(Effect),
    /// It is done at once; the operation takes its time all the same.
    Own(Effect),
    /// It is accepted, and fails.
    Fails(Failure),
}

/// What a change came to.
pub(super) struct Done {
    /// The id of what it is about.
    pub(super) id: u64,
    /// The engine's actions that the operation waits for.
    pub(super) actions: Vec<u64>,
    /// What follows when they have ended.
    sequel: Option<Sequel>,
    /// What the world has to hear of it.
    tell: Vec<Tell>,
}

/// What the world has to hear of a change.
pub(super) enum Tell {
    /// An address is forwarded otherwise.
    Address(Ipv4Addr),
    /// Images are to be deleted.
    Images,
}

impl Done {
    /// A change that is done with the state.
    pub(super) fn at_once(id: u64) -> Self {
        Self::by(id, [])
    }

    /// A change that the engine's actions carry out.
    pub(super) fn by(id: u64, actions: impl IntoIterator<Item = u64>) -> Self {
        Self { id, actions: actions.into_iter().collect(), sequel: None, tell: Vec::new() }
    }

    pub(super) fn then(mut self, sequel: Sequel) -> Self {
        self.sequel = Some(sequel);
        self
    }

    pub(super) fn tell(mut self, tell: Tell) -> Self {
        self.tell.push(tell);
        self
    }
}

impl Accepted {
    /// A change that is done at once.
    pub(super) fn own(
        verb: &'static str,
        target: impl Into<String>,
        effect: impl FnOnce(&mut State, &Config) -> Done + Send + 'static,
    ) -> Self {
        Self { verb, target: target.into(), doing: Doing::Own(Box::new(effect)) }
    }

    /// A change that the engine's actions carry out.
    pub(super) fn engine(
        verb: &'static str,
        target: impl Into<String>,
        effect: impl FnOnce(&mut State, &Config) -> Done + Send + 'static,
    ) -> Self {
        Self { verb, target: target.into(), doing: Doing::Engine(Box::new(effect)) }
    }

    /// A change that fails after it was accepted.
    pub(super) fn fails(verb: &'static str, target: impl Into<String>, failure: Failure) -> Self {
        Self { verb, target: target.into(), doing: Doing::Fails(failure) }
    }
}

impl Call {
    /// Makes a change, all of it or nothing, and answers with its operation. A call that repeats a request id changes
    /// nothing and is answered with the former operation.
    pub(super) async fn mutate(
        &self,
        cloud: &Cloud,
        plan: impl FnOnce(&State, &Config) -> Result<Accepted> + Send,
    ) -> Result<Json<Value>> {
        let config = cloud.config();
        let request_id = self.request_id()?;
        let begun = cloud.change(|state| Ok(self.begin(state, config, request_id, plan)))??;
        let (operation, tell) = begun;
        for tell in tell {
            match tell {
                Tell::Address(ip) => cloud.tell_static_ip(ip).await,
                Tell::Images => cloud.forget_hidden_images().await,
            }
        }
        Ok(Json(operation))
    }

    fn request_id(&self) -> Result<Option<String>> {
        let Some(text) = self.get("requestId") else { return Ok(None) };
        match text.parse::<uuid::Uuid>() {
            Ok(id) if !id.is_nil() => Ok(Some(id.to_string())),
            _ => Err(Refusal::invalid("requestId", text, "Must be a valid UUID, and not the zero one.")),
        }
    }

    fn begin(
        &self,
        state: &mut State,
        config: &Config,
        request_id: Option<String>,
        plan: impl FnOnce(&State, &Config) -> Result<Accepted>,
    ) -> Result<(Value, Vec<Tell>)> {
        if let Some(former) = request_id.as_deref().and_then(|id| state.own.repeated(id)) {
            return Ok((former.view(self, false), Vec::new()));
        }
        let Accepted { verb, target, doing } = plan(state, config)?;
        let scope = self.scope();
        let id = state.next_id();
        let inserted = now();
        let mut error = None;
        let (done, takes) = match doing {
            Doing::Engine(effect) => (effect(state, config), None),
            Doing::Own(_) if will_fail() => {
                error = Some(Failure::of(verb, &scope, &target));
                (Done::at_once(id), Some(()))
            }
            Doing::Own(effect) => (effect(state, config), Some(())),
            Doing::Fails(failure) => {
                error = Some(failure);
                (Done::at_once(id), Some(()))
            }
        };
        balanced::settle(state, config);
        // What the engine does has a delay of its own.
        let delay = takes.map(|()| state.draw(config, DelayKind::Rename, target.clone())).unwrap_or_default();
        let operation = Operation {
            id,
            name: operation::name(inserted),
            verb: verb.to_owned(),
            scope,
            target,
            target_id: done.id,
            inserted,
            due: inserted.checked_add(delay).unwrap_or(inserted),
            actions: done.actions,
            ended: None,
            error,
            request_id,
            sequel: done.sequel,
        };
        let view = operation.view(self, true);
        state.own.remember(operation);
        Ok((view, done.tell))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_ids_are_uuids() {
        let id = |text: &str| Call::test("/x", &[("requestId", text)]).request_id();
        assert_eq!(id("a").unwrap_err().reason, "invalid");
        assert!(id("00000000-0000-0000-0000-000000000000").is_err());
        assert!(id("").unwrap().is_none());
    }
}
