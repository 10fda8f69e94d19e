//! One call of Compute Engine's: how it is read, how a list is answered, and how a change is made.

use std::{cmp::Ordering, net::Ipv4Addr};

use axum::{
    Json,
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Request},
    http::{header, request::Parts},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::{
    PROJECT, catalogue,
    error::{Refusal, Result},
    filter::Filter,
    operations::{self, Failure, Operation, Sequel},
};
use crate::{Cloud, State};
use remint_sandbox_cloud::{Config, DelayKind, now, will_fail};

/// How many items a page has at most.
const PAGE: usize = 500;

/// A moment, as Compute Engine writes it.
pub(super) fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.3f+00:00").to_string()
}

/// What a call says beside its body.
pub(super) struct Call {
    base: String,
    path: String,
    query: Vec<(String, String)>,
}

impl<S: Send + Sync> FromRequestParts<S> for Call {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let host = host.or_else(|| parts.uri.authority().map(|authority| authority.as_str())).unwrap_or("127.0.0.1");
        let query = url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes());
        Ok(Self {
            base: format!("http://{host}"),
            path: parts.uri.path().to_owned(),
            query: query.map(|(name, value)| (name.into_owned(), value.into_owned())).collect(),
        })
    }
}

/// A JSON body, whatever its content type says; an empty one is `{}`.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self> {
        let bytes = Bytes::from_request(request, state).await.map_err(Refusal::unreadable)?;
        let bytes = if bytes.is_empty() { Bytes::from_static(b"{}") } else { bytes };
        // The parser's words quote a value only where its type is wrong; user data and keys are text, as they should be.
        serde_json::from_slice(&bytes).map(Self).map_err(Refusal::unreadable)
    }
}

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
    /// A parameter, if it is there and not empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// Whether a parameter is `true`.
    pub(super) fn is(&self, name: &str) -> bool {
        self.get(name) == Some("true")
    }

    /// The URL of something below the project.
    pub(super) fn link(&self, below: &str) -> String {
        self.link_in(PROJECT, below)
    }

    /// The URL of something below a project.
    pub(super) fn link_in(&self, project: &str, below: &str) -> String {
        format!("{}/compute/v1/projects/{project}/{below}", self.base)
    }

    /// Where the call's resource is: `global`, `zones/ZONE` or `regions/REGION`.
    pub(super) fn scope(&self) -> String {
        let mut parts = self.path.split('/').skip_while(|part| *part != "projects").skip(2);
        match (parts.next(), parts.next()) {
            (Some(kind @ ("zones" | "regions")), Some(place)) => format!("{kind}/{place}"),
            _ => "global".to_owned(),
        }
    }

    /// The page of a list that was asked for, as (items, token of the next page).
    fn page(&self, mut items: Vec<Value>) -> Result<(Vec<Value>, Option<String>)> {
        if let Some(filter) = self.get("filter") {
            let filter = Filter::parse(filter)?;
            items.retain(|item| filter.lets_through(item));
        }
        let newest_first = match self.get("orderBy") {
            None | Some("name") => false,
            Some(order) if order.starts_with("creationTimestamp") => true,
            Some(order) => {
                return Err(Refusal::invalid("orderBy", order, "Only name and creationTimestamp desc are supported."));
            }
        };
        let order = |one: &Value, other: &Value| -> Ordering {
            let part = |item: &Value, name: &str| item[name].as_str().unwrap_or_default().to_owned();
            let same = |name| part(one, name).cmp(&part(other, name));
            let by_time = if newest_first { same("creationTimestamp").reverse() } else { Ordering::Equal };
            by_time.then_with(|| same("name")).then_with(|| same("id"))
        };
        items.sort_by(|one, other| order(one, other));
        if let Some(token) = self.get("pageToken") {
            let last: Option<Value> =
                URL_SAFE_NO_PAD.decode(token).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
            let last = last.ok_or_else(|| Refusal::invalid("pageToken", token, "The page token is invalid."))?;
            items.retain(|item| order(item, &last) == Ordering::Greater);
        }
        let most = match self.get("maxResults") {
            None => PAGE,
            Some(text) => match text.parse::<usize>() {
                Ok(most) if most <= PAGE => most,
                _ => return Err(Refusal::invalid("maxResults", text, "The value must be between 0 and 500.")),
            },
        };
        let more = items.len() > most && most > 0;
        items.truncate(most);
        let token = items.last().filter(|_| more).map(|last| {
            let mark =
                json!({ "name": last["name"], "id": last["id"], "creationTimestamp": last["creationTimestamp"] });
            URL_SAFE_NO_PAD.encode(mark.to_string())
        });
        Ok((items, token))
    }

    /// A list, as the API answers it; an empty one has no items at all. `below` is its path below the project.
    pub(super) fn list(&self, kind: &str, below: &str, items: Vec<Value>) -> Result<Json<Value>> {
        self.list_in(PROJECT, kind, below, items)
    }

    /// The same, of a project.
    pub(super) fn list_in(&self, project: &str, kind: &str, below: &str, items: Vec<Value>) -> Result<Json<Value>> {
        let (items, token) = self.page(items)?;
        let mut list = json!({ "kind": kind, "id": format!("projects/{project}/{below}"), "selfLink": self.link_in(project, below) });
        if !items.is_empty() {
            list["items"] = items.into();
        }
        if let Some(token) = token {
            list["nextPageToken"] = token.into();
        }
        Ok(Json(list))
    }

    /// A list over all zones, or over all regions: by place. The place of an item is its own `zone` or `region`.
    pub(super) fn aggregated(&self, kind: &str, plural: &str, items: Vec<Value>) -> Result<Json<Value>> {
        let (items, token) = self.page(items)?;
        let mut places: Map<String, Value> = catalogue::ZONES
            .iter()
            .map(|zone| format!("zones/{}", zone.slug))
            .chain(catalogue::regions().into_iter().map(|region| format!("regions/{region}")))
            .map(|scope| {
                let data = json!([{ "key": "scope", "value": scope }]);
                let message = format!("There are no results for scope '{scope}' on this page.");
                let empty = json!({ "warning": { "code": "NO_RESULTS_ON_PAGE", "message": message, "data": data } });
                (scope, empty)
            })
            .collect();
        for item in items {
            let place = item["zone"].as_str().or_else(|| item["region"].as_str()).unwrap_or_default();
            let mut parts = place.rsplit('/');
            // A machine type names its zone and does not link to it.
            let (name, kind) = (parts.next().unwrap_or_default(), parts.next().unwrap_or("zones"));
            let entry = places.entry(format!("{kind}/{name}")).or_insert_with(|| json!({}));
            match entry.get_mut(plural).and_then(Value::as_array_mut) {
                Some(list) => list.push(item),
                None => *entry = json!({ plural: [item] }),
            }
        }
        let below = format!("aggregated/{plural}");
        let mut list = json!({
            "kind": kind, "id": format!("projects/{PROJECT}/{below}"), "selfLink": self.link(&below), "items": places,
        });
        if let Some(token) = token {
            list["nextPageToken"] = token.into();
        }
        Ok(Json(list))
    }

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
        // What the engine does has a delay of its own.
        let delay = takes.map(|()| state.draw(config, DelayKind::Rename, target.clone())).unwrap_or_default();
        let operation = Operation {
            id,
            name: operations::name(inserted),
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

    fn call(path: &str, query: &[(&str, &str)]) -> Call {
        let query = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Call { base: "http://127.0.0.1:7070".to_owned(), path: path.to_owned(), query }
    }

    fn items(count: usize) -> Vec<Value> {
        (0..count)
            .map(|n| json!({ "name": format!("i{n:03}"), "id": n.to_string(), "creationTimestamp": format!("{n:03}") }))
            .collect()
    }

    #[test]
    fn lists_have_pages_that_follow_each_other() {
        let mut token = String::new();
        let mut seen = Vec::new();
        loop {
            let call = call("/x", &[("maxResults", "3"), ("pageToken", &token)]);
            let (page, next) = call.page(items(7)).unwrap();
            seen.extend(page.iter().map(|item| item["name"].as_str().unwrap().to_owned()));
            match next {
                Some(next) => token = next,
                None => break,
            }
        }
        assert_eq!(seen.len(), 7);
        let newest =
            call("/x", &[("orderBy", "creationTimestamp desc"), ("maxResults", "1")]).page(items(7)).unwrap().0;
        assert_eq!(newest[0]["name"], "i006");
        for bad in [("maxResults", "501"), ("pageToken", "x"), ("filter", "("), ("orderBy", "size")] {
            assert_eq!(call("/x", &[bad]).page(items(1)).unwrap_err().code, 400, "{bad:?}");
        }
    }

    #[test]
    fn an_empty_list_has_no_items_and_a_place_without_any_says_so() {
        let list = call("/x", &[]).list("k", "zones/z/instances", Vec::new()).unwrap().0;
        assert!(list.get("items").is_none());
        let item = json!({ "name": "a", "zone": "http://x/zones/us-central1-a" });
        let list = call("/x", &[]).aggregated("k", "instances", vec![item]).unwrap().0;
        assert_eq!(list["items"]["zones/us-central1-a"]["instances"][0]["name"], "a");
        assert_eq!(list["items"]["zones/us-central1-b"]["warning"]["code"], "NO_RESULTS_ON_PAGE");
    }

    #[test]
    fn a_calls_place_is_in_its_path() {
        let scope = |path: &str| call(path, &[]).scope();
        assert_eq!(scope("/compute/v1/projects/p/zones/z/instances/i"), "zones/z");
        assert_eq!(scope("/compute/v1/projects/p/regions/r/addresses"), "regions/r");
        assert_eq!(scope("/compute/v1/projects/p/global/images"), "global");
        assert_eq!(scope("/compute/v1/projects/p/setCommonInstanceMetadata"), "global");
    }

    #[test]
    fn request_ids_are_uuids() {
        assert_eq!(call("/x", &[("requestId", "a")]).request_id().unwrap_err().reason, "invalid");
        assert!(call("/x", &[("requestId", "00000000-0000-0000-0000-000000000000")]).request_id().is_err());
        assert!(call("/x", &[]).request_id().unwrap().is_none());
    }
}
