//! Parameters of Systems Manager: the account's own, and the public ones that name images.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    catalogue,
    reply::refuse,
    state::{self, Data, Parameter},
};
use crate::{Cloud, State};
use remint_sandbox_cloud::{ApiError, ApiResult, now};

/// How many parameters an account has in a region.
const MOST: usize = 10_000;
/// The longest value of a standard parameter, in bytes.
const LONGEST: usize = 4096;

/// The body of the calls that are known here.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Body {
    name: Option<String>,
    names: Option<Vec<String>>,
    value: Option<String>,
    #[serde(rename = "Type")]
    kind: Option<String>,
    overwrite: bool,
    tier: Option<String>,
    allowed_pattern: Option<String>,
    policies: Option<String>,
    /// Without effect: a value is kept and shown in plain text.
    with_decryption: Option<bool>,
    data_type: Option<String>,
    /// What the sandbox would have to ignore.
    #[serde(flatten)]
    others: BTreeMap<String, Value>,
}

pub(super) fn call(cloud: &Cloud, region: &'static str, operation: &str, body: &[u8]) -> ApiResult<Value> {
    let body: Body = serde_json::from_slice(if body.is_empty() { b"{}" } else { body })
        .map_err(|error| refuse("SerializationException", error.to_string()))?;
    if let Some(name) = body.others.keys().next() {
        let message = format!("The sandbox does not implement {name} of {operation}.");
        return Err(refuse("UnsupportedOperationException", message));
    }
    match operation {
        "GetParameter" => get(cloud, region, &need(body.name, "name")?),
        "GetParameters" => get_several(cloud, region, &need(body.names, "names")?),
        "PutParameter" => put(cloud, region, body),
        "DeleteParameter" => delete(cloud, region, &need(body.name, "name")?),
        other => {
            tracing::warn!(operation = other, "not implemented");
            Err(refuse("UnknownOperationException", format!("The sandbox does not implement {other}.")))
        }
    }
}

fn need<T>(value: Option<T>, name: &str) -> ApiResult<T> {
    value.ok_or_else(|| {
        refuse(
            "ValidationException",
            format!("1 validation error detected: Value null at '{name}' failed to satisfy constraint: Member must not be null"),
        )
    })
}

fn get(cloud: &Cloud, region: &str, name: &str) -> ApiResult<Value> {
    cloud.read(|state| Ok(json!({ "Parameter": find(state, region, name).ok_or_else(not_found)? })))
}

fn get_several(cloud: &Cloud, region: &str, names: &[String]) -> ApiResult<Value> {
    if names.len() > 10 {
        return Err(refuse("ValidationException", "Member must have length less than or equal to 10"));
    }
    cloud.read(|state| {
        let (found, missing): (Vec<_>, Vec<_>) =
            names.iter().map(|name| (name, find(state, region, name))).partition(|(_, found)| found.is_some());
        let found: Vec<Value> = found.into_iter().filter_map(|(_, found)| found).collect();
        let missing: Vec<&String> = missing.into_iter().map(|(name, _)| name).collect();
        Ok(json!({ "Parameters": found, "InvalidParameters": missing }))
    })
}

fn put(cloud: &Cloud, region: &str, body: Body) -> ApiResult<Value> {
    let (name, value) = (need(body.name, "name")?, need(body.value, "value")?);
    let other = |value: &Option<String>, only: &str| value.as_ref().is_some_and(|value| value != only);
    let special = body.allowed_pattern.is_some() || body.policies.is_some();
    if special || other(&body.tier, "Standard") || other(&body.data_type, "text") {
        let message = "The sandbox has standard parameters of type text without policies only.";
        return Err(refuse("UnsupportedOperationException", message));
    }
    let good = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
    let lower = name.trim_start_matches('/').to_ascii_lowercase();
    if lower.starts_with("aws") || lower.starts_with("ssm") {
        let message = "Parameter name: can't be prefixed with \"aws\" or \"ssm\" (case-insensitive).";
        return Err(refuse("ValidationException", message));
    }
    if name.is_empty() || name.len() > 1011 || !name.chars().all(good) || (name.contains('/') && !name.starts_with('/'))
    {
        let message = "Parameter name must be a fully qualified name of letters, numbers and the symbols .-_/";
        return Err(refuse("ValidationException", message));
    }
    if value.is_empty() || value.len() > LONGEST {
        return Err(refuse("ValidationException", format!("Parameter values are of 1 to {LONGEST} characters.")));
    }
    let key = Data::in_region(region, &name);
    cloud.change(|state| {
        let known = state.own.parameters.get(&key);
        if known.is_some() && !body.overwrite {
            let message = "The parameter already exists. To overwrite this value, set the overwrite option in the request to \
                           true.";
            return Err(refuse("ParameterAlreadyExists", message));
        }
        if known.is_none() && state.own.parameters.len() >= MOST {
            return Err(refuse("ParameterLimitExceeded", "You have exceeded the number of parameters."));
        }
        let kind = match (body.kind, known) {
            (Some(kind), _) if ["String", "StringList", "SecureString"].contains(&kind.as_str()) => kind,
            (None, Some(known)) => known.kind.clone(),
            (kind, _) => {
                let kind = kind.unwrap_or_default();
                return Err(refuse("UnsupportedParameterType", format!("The parameter type '{kind}' is not supported.")));
            }
        };
        let version = known.map_or(1, |known| known.version + 1);
        state.own.parameters.insert(key, Parameter { name, kind, value, version, changed_at: now() });
        Ok(json!({ "Version": version, "Tier": "Standard" }))
    })
}

fn delete(cloud: &Cloud, region: &str, name: &str) -> ApiResult<Value> {
    cloud.change(|state| match state.own.parameters.remove(&Data::in_region(region, name)) {
        Some(_) => Ok(json!({})),
        None => Err(not_found()),
    })
}

fn not_found() -> ApiError {
    refuse("ParameterNotFound", "")
}

/// A parameter as it is described: the account's own, or a public one.
fn find(state: &State, region: &str, name: &str) -> Option<Value> {
    if let Some(image) = catalogue::parameter(state, region, name) {
        return Some(describe(
            name,
            "String",
            &image,
            1,
            state.created_at,
            &format!("arn:aws:ssm:{region}::parameter{name}"),
        ));
    }
    let found = state.own.parameters.get(&Data::in_region(region, name))?;
    let path = if name.starts_with('/') { name.to_owned() } else { format!("/{name}") };
    let arn = format!("arn:aws:ssm:{region}:{}:parameter{path}", state::account(state));
    Some(describe(&found.name, &found.kind, &found.value, found.version, found.changed_at, &arn))
}

fn describe(name: &str, kind: &str, value: &str, version: u64, changed_at: Timestamp, arn: &str) -> Value {
    // Moments are numbers of seconds in this protocol.
    let changed = changed_at.as_millisecond() as f64 / 1000.0;
    json!({
        "Name": name,
        "Type": kind,
        "Value": value,
        "Version": version,
        "LastModifiedDate": changed,
        "ARN": arn,
        "DataType": "text",
    })
}
