//! Load balancers: creating, changing and destroying them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::{
    balancer_settings::{Firewall, ForwardingRule, HealthCheck, check, listeners, sources},
    tags, vpcs,
};
use crate::State;
use remint_sandbox_cloud::{
    ApiError, ApiResult, Config,
    balancer::{BalancerSettings, BalancerStatus, LoadBalancer, NoneHealthy, Wanted},
    state::Work,
};

/// How many an account may have at one time.
const LIMIT: usize = 10;

/// How many droplets may be named by id: more need a tag.
const DROPLETS: usize = 10;

/// The body of a POST and of a PUT: what is left out has its default.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Wish {
    name: Option<String>,
    region: Option<String>,
    forwarding_rules: Option<Vec<ForwardingRule>>,
    health_check: Option<HealthCheck>,
    droplet_ids: Option<Vec<Value>>,
    tag: Option<String>,
    firewall: Option<Firewall>,
    project_id: Option<String>,
    vpc_uuid: Option<String>,
    algorithm: Option<String>,
    size: Option<String>,
    size_unit: Option<u64>,
    sticky_sessions: Option<StickySessions>,
    redirect_http_to_https: Option<bool>,
    enable_proxy_protocol: Option<bool>,
    enable_backend_keepalive: Option<bool>,
    http_idle_timeout_seconds: Option<u64>,
    disable_lets_encrypt_dns_records: Option<bool>,
    network: Option<String>,
    network_stack: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    domains: Option<Vec<Value>>,
    glb_settings: Option<Value>,
    target_load_balancer_ids: Option<Vec<Value>>,
    tls_cipher_policy: Option<String>,
}

#[derive(Debug, Deserialize)]
struct StickySessions {
    #[serde(rename = "type", default)]
    kind: Option<String>,
}

/// The id that the API shows.
pub(crate) fn id(state: &State, balancer: &LoadBalancer) -> Uuid {
    Uuid::new_v5(&state.account, format!("load balancer {}", balancer.id).as_bytes())
}

/// The load balancer of an id.
pub(crate) fn find<'a>(state: &'a State, uuid: &str) -> ApiResult<&'a LoadBalancer> {
    let uuid: Uuid = uuid.parse().map_err(|_| ApiError::not_found())?;
    state.load_balancers.values().find(|known| id(state, known) == uuid).ok_or_else(ApiError::not_found)
}

/// Begins to create one.
pub(crate) fn create(state: &mut State, config: &Config, wish: &Wish) -> ApiResult<LoadBalancer> {
    let name = checked_name(wish)?;
    let region = wish.region.as_deref().and_then(|slug| State::find_region(slug));
    let region = region.ok_or_else(|| ApiError::unprocessable("region is invalid"))?.slug;
    let settings = settings(state, wish, region)?;
    if state.load_balancers.len() >= LIMIT {
        return Err(ApiError::unprocessable("creating this load balancer will exceed your load balancer limit"));
    }
    Ok(state.create_balancer(config, &name, region, settings))
}

/// Begins to set one up as the wish says, and with defaults where it says nothing.
pub(crate) fn replace(state: &mut State, config: &Config, uuid: &str, wish: &Wish) -> ApiResult<LoadBalancer> {
    let (id, region) = unlocked(state, uuid)?;
    let name = checked_name(wish)?;
    if wish.region.as_ref().is_some_and(|wanted| *wanted != region) {
        return Err(ApiError::unprocessable("region can't be changed"));
    }
    let settings = settings(state, wish, &region)?;
    change(state, config, id, |balancer| {
        balancer.name = name;
        balancer.settings = settings;
    })
}

/// Begins to destroy one.
pub(crate) fn destroy(state: &mut State, config: &Config, uuid: &str) -> ApiResult<()> {
    let id = find(state, uuid).map(free)??.id;
    state.begin_on_balancer(config, id, "destroy", Work::DestroyBalancer { balancer: id });
    Ok(())
}

/// Begins to put droplets behind one, or to take them away.
pub(crate) fn droplets(state: &mut State, config: &Config, uuid: &str, ids: &[Value], on: bool) -> ApiResult<()> {
    let (id, region) = unlocked(state, uuid)?;
    let ids = droplet_ids(ids)?;
    if ids.is_empty() {
        return Err(ApiError::unprocessable("need to provide either a tag or a list of droplets"));
    }
    let Wanted::Instances(mut all) = state.load_balancers[&id].settings.wanted.clone() else {
        return Err(ApiError::unprocessable(
            "cannot add or remove droplets of a load balancer that is configured with a tag",
        ));
    };
    check_droplets(state, &ids, &region)?;
    for droplet in ids {
        if on {
            all.insert(droplet)
        } else {
            all.remove(&droplet)
        };
    }
    if all.len() > DROPLETS {
        return Err(too_many());
    }
    change(state, config, id, |balancer| balancer.settings.wanted = Wanted::Instances(all)).map(drop)
}

/// Begins to add forwarding rules, or to take them away.
pub(crate) fn rules(
    state: &mut State,
    config: &Config,
    uuid: &str,
    rules: &[ForwardingRule],
    on: bool,
) -> ApiResult<()> {
    let (id, _) = unlocked(state, uuid)?;
    let named = listeners(rules)?;
    let mut all = state.load_balancers[&id].settings.listeners.clone();
    if on {
        if let Some(twice) = named.iter().find(|one| all.iter().any(|known| known.port == one.port)) {
            return Err(ApiError::unprocessable(format!("entry port {} is already in use", twice.port)));
        }
        all.extend(named);
    } else {
        if !named.iter().all(|one| all.contains(one)) {
            return Err(ApiError::not_found());
        }
        all.retain(|known| !named.contains(known));
        if all.is_empty() {
            return Err(ApiError::unprocessable("a load balancer needs at least one forwarding rule"));
        }
    }
    change(state, config, id, |balancer| balancer.settings.listeners = all).map(drop)
}

fn change(
    state: &mut State,
    config: &Config,
    id: u64,
    change: impl FnOnce(&mut LoadBalancer),
) -> ApiResult<LoadBalancer> {
    change(state.load_balancers.get_mut(&id).ok_or_else(ApiError::not_found)?);
    state.begin_on_balancer(config, id, "update", Work::ChangeBalancer { balancer: id });
    Ok(state.load_balancers[&id].clone())
}

/// The number and region of one that may be changed now.
fn unlocked(state: &State, uuid: &str) -> ApiResult<(u64, String)> {
    let balancer = free(find(state, uuid)?)?;
    if balancer.status == BalancerStatus::Failed {
        return Err(ApiError::unprocessable("Load Balancer can't be updated: it is errored"));
    }
    Ok((balancer.id, balancer.region.clone()))
}

/// Refuses one that an action runs on.
fn free(balancer: &LoadBalancer) -> ApiResult<&LoadBalancer> {
    match balancer.pending {
        None => Ok(balancer),
        Some(_) => Err(ApiError::not_now("Load Balancer can't be updated while it processes previous actions")),
    }
}

fn checked_name(wish: &Wish) -> ApiResult<String> {
    let name = wish.name.clone().filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| ApiError::unprocessable("name can't be blank"))?;
    super::droplets::check_name(&name)
        .map_err(|_| ApiError::unprocessable("name is invalid: only letters, digits, . and - are allowed"))?;
    Ok(name)
}

fn settings(state: &State, wish: &Wish, region: &str) -> ApiResult<BalancerSettings> {
    refuse_what_would_be_ignored(wish)?;
    if let Some(project) = wish.project_id.as_ref().filter(|id| !id.is_empty()) {
        vpcs::check_project(state, project)?;
    }
    let vpc = wish.vpc_uuid.as_ref().filter(|id| !id.is_empty());
    if vpc.is_some_and(|vpc| *vpc != vpcs::vpc_id(state, region).to_string()) {
        return Err(ApiError::unprocessable("vpc_uuid is invalid"));
    }
    Ok(BalancerSettings {
        listeners: listeners(wish.forwarding_rules.as_deref().unwrap_or_default())?,
        check: check(wish.health_check.as_ref())?,
        sources: sources(wish.firewall.as_ref())?,
        wanted: wanted(state, wish, region)?,
        none_healthy: NoneHealthy::Refuse,
        drain: None,
        first_pass: false,
        late: false,
        pools: BTreeMap::new(),
    })
}

fn wanted(state: &State, wish: &Wish, region: &str) -> ApiResult<Wanted> {
    let ids = droplet_ids(wish.droplet_ids.as_deref().unwrap_or_default())?;
    match wish.tag.as_ref().filter(|tag| !tag.is_empty()) {
        Some(_) if !ids.is_empty() => {
            Err(ApiError::unprocessable("either droplet_ids or tag can be specified, but not both"))
        }
        Some(tag) => tags::find_tag(state, tag).cloned().map(Wanted::Tag).ok_or_else(ApiError::not_found),
        None if ids.len() > DROPLETS => Err(too_many()),
        None => {
            check_droplets(state, &ids, region)?;
            Ok(Wanted::Instances(ids))
        }
    }
}

fn too_many() -> ApiError {
    ApiError::unprocessable(format!("a load balancer takes up to {DROPLETS} droplet_ids; use a tag for more"))
}

fn check_droplets(state: &State, ids: &BTreeSet<u64>, region: &str) -> ApiResult<()> {
    for id in ids {
        let droplet = state.instances.get(id).ok_or_else(ApiError::not_found)?;
        if droplet.region != region {
            return Err(ApiError::unprocessable("all droplets must be in the same region as the load balancer"));
        }
    }
    Ok(())
}

/// Ids, as numbers or text.
fn droplet_ids(ids: &[Value]) -> ApiResult<BTreeSet<u64>> {
    let read = |id: &Value| {
        let number = id.as_u64().or_else(|| id.as_str()?.parse().ok());
        number.ok_or_else(|| ApiError::unprocessable("droplet_ids must be a list of droplet IDs"))
    };
    ids.iter().map(read).collect()
}

/// Refuses settings that the sandbox's load balancers do not have.
fn refuse_what_would_be_ignored(wish: &Wish) -> ApiResult<()> {
    let other =
        |text: &Option<String>, known: &str| text.as_ref().is_some_and(|text| !text.is_empty() && text != known);
    let any = |list: &Option<Vec<Value>>| list.as_ref().is_some_and(|list| !list.is_empty());
    for (asked, what) in [
        (other(&wish.algorithm, "round_robin"), "another algorithm than round_robin"),
        (
            other(&wish.size, "lb-small") || wish.size_unit.is_some_and(|units| units != 1),
            "load balancers of several nodes",
        ),
        (
            wish.sticky_sessions.as_ref().is_some_and(|sticky| other(&sticky.kind, "none")),
            "sticky sessions of load balancers",
        ),
        (wish.redirect_http_to_https == Some(true), "load balancers that redirect"),
        (wish.enable_proxy_protocol == Some(true), "load balancers that speak the PROXY protocol"),
        (wish.enable_backend_keepalive == Some(true), "load balancers that keep connections to droplets"),
        (
            wish.http_idle_timeout_seconds.is_some_and(|seconds| seconds != 60),
            "another http_idle_timeout_seconds than 60",
        ),
        (wish.disable_lets_encrypt_dns_records == Some(true), "certificates of load balancers"),
        (other(&wish.network, "EXTERNAL"), "internal load balancers"),
        (other(&wish.network_stack, "IPV4"), "load balancers with IPv6"),
        (other(&wish.kind, "REGIONAL"), "another type of load balancer than REGIONAL"),
        (
            any(&wish.domains) || any(&wish.target_load_balancer_ids) || wish.glb_settings.as_ref().is_some_and(is_set),
            "global load balancers",
        ),
        (other(&wish.tls_cipher_policy, "DEFAULT"), "another tls_cipher_policy than DEFAULT"),
    ] {
        if asked {
            return Err(ApiError::not_implemented(what));
        }
    }
    Ok(())
}

fn is_set(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Object(fields) => !fields.is_empty(),
        _ => true,
    }
}
