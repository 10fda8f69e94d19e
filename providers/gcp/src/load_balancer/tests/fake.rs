//! A part of Compute Engine in memory: what it is sent it keeps, and it refuses what others still need.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use serde_json::{Value, json};
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate, matchers::any};

use crate::testing::{self, missing, refusal};

const PROJECT: &str = "/compute/v1/projects/mine/";
pub(crate) const REGION: &str = "regions/us-central1";

/// An answer that is given once instead of carrying out the request, or after that.
struct Turn {
    method: &'static str,
    path: String,
    answer: ResponseTemplate,
    carried_out: bool,
}

#[derive(Default)]
struct State {
    /// By path below the project.
    all: BTreeMap<String, Value>,
    /// What the groups have, by the group's path.
    members: BTreeMap<String, Vec<String>>,
    /// What checks say, by the instance's name.
    health: BTreeMap<String, &'static str>,
    /// Those that were taken out, and still get connections.
    leaving: Vec<String>,
    /// Who adds this instance right before the next request for members.
    rival: Option<(String, String)>,
    turns: Vec<Turn>,
    mutations: Vec<String>,
    bodies: Vec<Value>,
    number: u64,
}

#[derive(Clone, Default)]
pub(crate) struct Fake(Arc<Mutex<State>>);

fn last(link: &str) -> &str {
    link.rsplit('/').next().unwrap()
}

impl Fake {
    pub(crate) async fn start() -> (MockServer, Self) {
        let (server, fake) = (MockServer::start().await, Self::default());
        Mock::given(any()).respond_with(fake.clone()).mount(&server).await;
        (server, fake)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// What was changed since the last time, as `METHOD path`.
    pub(crate) fn mutations(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().mutations)
    }

    /// What the changes of this kind were sent.
    pub(crate) fn bodies(&self, mutation: &str) -> Vec<Value> {
        let state = self.lock();
        let sent = state.mutations.iter().zip(&state.bodies[state.bodies.len() - state.mutations.len()..]);
        sent.filter(|(made, _)| *made == mutation).map(|(_, body)| body.clone()).collect()
    }

    pub(crate) fn one(&self, path: &str) -> Option<Value> {
        self.lock().all.get(path).cloned()
    }

    pub(crate) fn paths(&self) -> Vec<String> {
        self.lock().all.keys().filter(|path| !path.contains("/instances/")).cloned().collect()
    }

    pub(crate) fn set(&self, path: &str, change: impl FnOnce(&mut Value)) {
        let mut state = self.lock();
        let one = state.all.entry(path.to_owned()).or_insert_with(|| json!({}));
        if one["name"].is_null() {
            one["name"] = last(path).into();
        }
        change(one);
    }

    pub(crate) fn forget(&self, path: &str) {
        self.lock().all.remove(path).unwrap();
    }

    /// An instance that runs.
    pub(crate) fn launch(&self, zone: &str, name: &str, number: &str) {
        let place = format!("https://www.googleapis.com{PROJECT}zones/{zone}");
        let one = json!({"name": name, "id": number, "status": "RUNNING", "zone": place});
        self.lock().all.insert(format!("zones/{zone}/instances/{name}"), one);
    }

    pub(crate) fn members(&self, group: &str) -> Vec<String> {
        self.lock().members.get(group).cloned().unwrap_or_default()
    }

    pub(crate) fn join(&self, group: &str, name: &str) {
        self.lock().members.entry(group.to_owned()).or_default().push(name.to_owned());
    }

    pub(crate) fn rival(&self, group: &str, name: &str) {
        self.lock().rival = Some((group.to_owned(), name.to_owned()));
    }

    pub(crate) fn leaving(&self, names: &[&str]) {
        self.lock().leaving = names.iter().map(|name| (*name).to_owned()).collect();
    }

    pub(crate) fn checked(&self, name: &str, health: &'static str) {
        self.lock().health.insert(name.to_owned(), health);
    }

    /// Answers the next request of this kind so, without carrying it out.
    pub(crate) fn refuse(&self, method: &'static str, path: &str, answer: ResponseTemplate) {
        self.lock().turns.push(Turn { method, path: path.to_owned(), answer, carried_out: false });
    }

    /// Carries the next request of this kind out, and answers so.
    pub(crate) fn lose(&self, method: &'static str, path: &str, answer: ResponseTemplate) {
        self.lock().turns.push(Turn { method, path: path.to_owned(), answer, carried_out: true });
    }
}

fn done() -> ResponseTemplate {
    testing::json(json!({"kind": "compute#operation", "id": "99", "name": "op-1", "status": "DONE"}))
}

fn in_use() -> ResponseTemplate {
    refusal(400, "resourceInUseByAnotherResource", "The resource is already being used by another one")
}

impl State {
    fn carry_out(&mut self, method: &str, path: &str, body: Value) -> ResponseTemplate {
        if let Some(kind) = path.strip_prefix("aggregated/") {
            let of_kind = |path: &&String| path.rsplit('/').nth(1) == Some(kind);
            let found: Vec<&Value> = self.all.iter().filter(|(path, _)| of_kind(path)).map(|(_, one)| one).collect();
            let mut items = json!({"regions/elsewhere": {"warning": {"code": "NO_RESULTS_ON_PAGE"}}});
            items["all"] = json!({kind: found});
            return testing::json(json!({ "items": items }));
        }
        if let Some(group) = path.strip_suffix("/listInstances") {
            return self.list(group);
        }
        if path.ends_with("/getHealth") {
            return self.get_health(body["group"].as_str().unwrap());
        }
        if method == "GET" {
            return self.read(path);
        }
        self.mutations.push(format!("{method} {path}"));
        self.bodies.push(body.clone());
        for (call, added) in [("/addInstances", true), ("/removeInstances", false)] {
            if let Some(group) = path.strip_suffix(call) {
                return self.change_members(group, &body, added);
            }
        }
        match method {
            "POST" => self.insert(path, body),
            "DELETE" => self.delete(path),
            _ => self.change(method, path, body),
        }
    }

    fn list(&mut self, group: &str) -> ResponseTemplate {
        if !self.all.contains_key(group) {
            return missing();
        }
        let zone = group.split("/instanceGroups").next().unwrap();
        let show = |name: &String| {
            let status = self.all[&format!("{zone}/instances/{name}")]["status"].clone();
            json!({"instance": format!("https://www.googleapis.com{PROJECT}{zone}/instances/{name}"), "status": status})
        };
        let items: Vec<Value> = self.members.get(group).into_iter().flatten().map(show).collect();
        testing::json(json!({ "items": items }))
    }

    fn get_health(&self, group: &str) -> ResponseTemplate {
        let group = group.split_once("projects/mine/").unwrap().1;
        let zone = group.split("/instanceGroups").next().unwrap();
        let members = self.members.get(group).into_iter().flatten().chain(&self.leaving);
        let show = |name: &String| {
            let health = self.health.get(name)?;
            let link = format!("https://www.googleapis.com{PROJECT}{zone}/instances/{name}");
            Some(json!({"instance": link, "healthState": health, "ipAddress": "10.0.0.2"}))
        };
        testing::json(json!({"healthStatus": members.filter_map(show).collect::<Vec<_>>()}))
    }

    fn read(&self, path: &str) -> ResponseTemplate {
        if let Some(zone) = path.strip_suffix("/instances") {
            let here = |path: &&String| path.starts_with(&format!("{zone}/instances/"));
            let items: Vec<_> = self.all.iter().filter(|(path, _)| here(path)).map(|(_, one)| one).collect();
            return testing::json(json!({ "items": items }));
        }
        let (place, name) = path.rsplit_once('/').unwrap();
        let numbered = |(path, one): &(&String, &Value)| {
            path.rsplit_once('/').unwrap().0 == place && one["id"].as_str() == Some(name)
        };
        let found = self.all.get(path).or_else(|| self.all.iter().find(numbered).map(|(_, one)| one));
        found.map_or_else(missing, |one| testing::json(one.clone()))
    }

    fn insert(&mut self, path: &str, mut body: Value) -> ResponseTemplate {
        let at = format!("{path}/{}", body["name"].as_str().unwrap());
        if self.all.contains_key(&at) {
            return refusal(409, "alreadyExists", "The resource already exists");
        }
        self.number += 1;
        body["id"] = self.number.to_string().into();
        body["fingerprint"] = "YQ==".into();
        let place = path.split('/').take(2).collect::<Vec<_>>();
        if let ["regions" | "zones", _] = *place.as_slice() {
            let link = format!("https://www.googleapis.com{PROJECT}{}", place.join("/"));
            body[place[0].trim_end_matches('s')] = link.into();
        }
        if path.ends_with("/addresses") {
            body["address"] = format!("203.0.113.{}", self.number).into();
        }
        if path.ends_with("/forwardingRules") {
            let address = body["IPAddress"].as_str().unwrap();
            let address = &self.all[address.split_once("projects/mine/").unwrap().1];
            body["IPAddress"] = address["address"].clone();
        }
        self.all.insert(at, body);
        done()
    }

    fn change(&mut self, method: &str, path: &str, body: Value) -> ResponseTemplate {
        let Some(now) = self.all.get_mut(path) else { return missing() };
        let (Value::Object(now), Value::Object(sent)) = (now, body) else { panic!("{path}") };
        if path.contains("/backendServices/") && sent.get("fingerprint") != now.get("fingerprint") {
            return refusal(412, "conditionNotMet", "Invalid fingerprint");
        }
        if method == "PUT" {
            now.retain(|key, _| ["id", "region", "fingerprint"].contains(&key.as_str()));
        }
        now.extend(sent);
        now.insert("fingerprint".to_owned(), "Yg==".into());
        done()
    }

    fn delete(&mut self, path: &str) -> ResponseTemplate {
        let Some(one) = self.all.get(path).cloned() else { return missing() };
        let refers = |(by, other): (&String, &Value)| {
            let link = |link: &Value| link.as_str().is_some_and(|link| link.ends_with(path));
            let address = by.contains("/forwardingRules/") && path.contains("/addresses/");
            by != path
                && (link(&other["backendService"])
                    || other["healthChecks"].as_array().is_some_and(|all| all.iter().any(link))
                    || other["backends"].as_array().is_some_and(|all| all.iter().any(|one| link(&one["group"])))
                    || address && other["IPAddress"] == one["address"])
        };
        if self.all.iter().any(refers) {
            return in_use();
        }
        self.all.remove(path);
        self.members.remove(path);
        done()
    }

    fn change_members(&mut self, group: &str, body: &Value, added: bool) -> ResponseTemplate {
        let names: Vec<String> = body["instances"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| last(one["instance"].as_str().unwrap()).to_owned())
            .collect();
        if let Some((group, name)) = self.rival.take() {
            let members = self.members.entry(group).or_default();
            match added {
                true => members.push(name),
                false => members.retain(|member| *member != name),
            }
        }
        let zone = group.split("/instanceGroups").next().unwrap();
        if names.iter().any(|name| !self.all.contains_key(&format!("{zone}/instances/{name}"))) {
            return missing();
        }
        let members = self.members.entry(group.to_owned()).or_default();
        match added {
            true if names.iter().any(|name| members.contains(name)) => {
                return refusal(400, "memberAlreadyExists", "It is already a member");
            }
            false if !names.iter().all(|name| members.contains(name)) => {
                return refusal(400, "invalid", "It is not a member");
            }
            true => members.extend(names),
            false => members.retain(|member| !names.contains(member)),
        }
        done()
    }
}

impl Respond for Fake {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let mut state = self.lock();
        let path = request.url.path().strip_prefix(PROJECT).unwrap().to_owned();
        let method = request.method.as_str();
        let body = request.body_json().unwrap_or(Value::Null);
        let turn = state.turns.iter().position(|turn| turn.method == method && path == turn.path);
        match turn.map(|turn| state.turns.remove(turn)) {
            Some(turn) => {
                if turn.carried_out {
                    state.carry_out(method, &path, body);
                }
                turn.answer
            }
            None => state.carry_out(method, &path, body),
        }
    }
}
