//! Checks answers against DigitalOcean's published specification, where the checkout has it beside it.
//!
//! A test file takes it with `#[path = "common/openapi.rs"] mod openapi;`, records every answer that it draws, and asserts
//! at its end that [`Checker::violations`] is empty.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Mutex,
};

use jsonschema::{Draft, Validator};
use serde_json::{Value, json};

/// What answers are checked against, and what was found.
pub(crate) struct Checker {
    /// The specification, with OpenAPI's `nullable` rewritten to JSON Schema's `null` type.
    spec: Option<Value>,
    found: Mutex<Found>,
}

#[derive(Default)]
struct Found {
    validators: BTreeMap<(String, String, String), Validator>,
    checked: usize,
    violations: Vec<String>,
}

impl Checker {
    /// Reads the specification beside the checkout; says so on stdout where there is none, and then passes everything.
    pub(crate) fn load() -> Self {
        let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
        let candidates = above.map(|folder| folder.join("shared/openapi/digitalocean.json"));
        Self::read(&candidates.into_iter().find(|path| path.is_file()).unwrap_or_default())
    }

    /// Reads the specification from a file.
    #[expect(clippy::print_stdout, reason = "a test tells what it could not check")]
    pub(crate) fn read(path: &PathBuf) -> Self {
        let spec = match std::fs::read(path) {
            Ok(bytes) => {
                let mut spec: Value = serde_json::from_slice(&bytes).expect("the specification is JSON");
                allow_null(&mut spec);
                Some(spec)
            }
            Err(_) => {
                println!("specification not found, skipped");
                None
            }
        };
        Self { spec, found: Mutex::default() }
    }

    /// Checks one answer. Paths below `/sandbox/` are the sandbox's own and not checked.
    pub(crate) fn record(&self, method: &str, path: &str, status: u16, body: Option<&Value>) {
        let Some(spec) = &self.spec else { return };
        // The API answers a path with a slash at its end as it answers the path without.
        let path = path.split('?').next().unwrap_or_default().trim_end_matches('/');
        if path.starts_with("/sandbox/") {
            return;
        }
        let mut found = self.found.lock().unwrap();
        found.checked += 1;
        let call = format!("{method} {path} -> {status}");
        let Some((template, operation)) = operation(spec, method, path) else {
            // What the specification does not have, the sandbox must refuse.
            if !matches!(status, 401 | 404 | 501) {
                found.violations.push(format!("{call}: not in the specification"));
            }
            return;
        };
        let responses = &operation["responses"];
        let key = if responses.get(status.to_string()).is_some() { status.to_string() } else { "default".to_owned() };
        if key == "default" && status < 400 {
            found.violations.push(format!("{call}: the specification has no such status"));
            return;
        }
        let schema = &resolve(spec, &responses[&key])["content"]["application/json"]["schema"];
        if schema.is_null() {
            if body.is_some() {
                found.violations.push(format!("{call}: a body where the specification has none"));
            }
            return;
        }
        let Some(body) = body else {
            found.violations.push(format!("{call}: no JSON body"));
            return;
        };
        let validator = found.validators.entry((template, method.to_owned(), key)).or_insert_with(|| {
            let root = json!({ "allOf": [schema], "components": spec["components"] });
            let options = jsonschema::options().with_draft(Draft::Draft4).should_validate_formats(true);
            options.build(&root).unwrap_or_else(|error| panic!("{call}: the schema does not compile: {error}"))
        });
        let errors: Vec<String> = validator
            .iter_errors(body)
            .map(|error| format!("{call}: {} at {:?} in {body}", error, error.instance_path().to_string()))
            .collect();
        found.violations.extend(errors);
    }

    /// How many answers were checked; `None` without a specification.
    pub(crate) fn checked(&self) -> Option<usize> {
        self.spec.as_ref().map(|_| self.found.lock().unwrap().checked)
    }

    /// What did not agree with the specification.
    pub(crate) fn violations(&self) -> Vec<String> {
        self.found.lock().unwrap().violations.clone()
    }
}

/// The template and operation of a path: the one with the most literal segments.
fn operation<'a>(spec: &'a Value, method: &str, path: &str) -> Option<(String, &'a Value)> {
    let segments: Vec<&str> = path.split('/').collect();
    let fits = |template: &str| {
        let parts: Vec<&str> = template.split('/').collect();
        (parts.len() == segments.len()
            && parts.iter().zip(&segments).all(|(part, segment)| part.starts_with('{') || part == segment))
        .then(|| parts.iter().filter(|part| part.starts_with('{')).count())
    };
    let paths = spec["paths"].as_object()?;
    let fitting = paths.iter().filter_map(|(template, item)| fits(template).map(|holes| (holes, template, item)));
    let (_, template, item) = fitting.min_by_key(|(holes, ..)| *holes)?;
    item.get(method.to_ascii_lowercase()).map(|operation| (template.clone(), operation))
}

fn resolve<'a>(spec: &'a Value, value: &'a Value) -> &'a Value {
    match value.get("$ref").and_then(Value::as_str).and_then(|reference| reference.strip_prefix('#')) {
        Some(pointer) => spec.pointer(pointer).map_or(&Value::Null, |found| resolve(spec, found)),
        None => value,
    }
}

/// OpenAPI 3.0 says `nullable: true` where JSON Schema has a `null` type.
fn allow_null(value: &mut Value) {
    match value {
        Value::Object(object) => {
            let nullable = object.get("nullable") == Some(&Value::Bool(true));
            if nullable && let Some(Value::String(kind)) = object.get("type").cloned() {
                object.insert("type".to_owned(), json!([kind, "null"]));
                if let Some(Value::Array(values)) = object.get_mut("enum") {
                    values.push(Value::Null);
                }
            }
            object.values_mut().for_each(allow_null);
        }
        Value::Array(values) => values.iter_mut().for_each(allow_null),
        _ => {}
    }
}
