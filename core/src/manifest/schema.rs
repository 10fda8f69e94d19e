//! The JSON Schema of a manifest, for editors, and for the check that points at the line.

use std::sync::LazyLock;

use schemars::{Schema, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::Manifest;

const DEFS: &str = "$defs";
const REF: &str = "$ref";
const PREFIX: &str = "#/$defs/";
/// The suffix of a definition whose keys are all optional, as in `[environments.NAME]`.
const PARTIAL: &str = "Partial";

static DOCUMENT: LazyLock<Value> = LazyLock::new(build);

/// The JSON Schema (draft 2020-12) of `remint.toml`, environments included.
pub fn schema() -> Schema {
    let mut document = DOCUMENT.clone();
    let Some(object) = document.as_object_mut() else { return Schema::default() };
    // What an environment supplies may be missing at the top.
    if let Some(required) = object.remove("required") {
        object.insert("anyOf".into(), json!([{ "required": required }, { "required": ["environments"] }]));
    }
    Schema::from(std::mem::take(object))
}

/// The schema of a whole manifest, as a value to walk.
pub(crate) fn document() -> &'static Value {
    &DOCUMENT
}

/// The schema of an environment: the manifest's, with no key required.
pub(crate) fn partial() -> &'static Value {
    &DOCUMENT[DEFS]["ManifestPartial"]
}

/// What a `$ref` points at, and its name.
pub(crate) fn target(reference: &str) -> Option<(&str, &'static Value)> {
    let name = reference.strip_prefix(PREFIX)?;
    Some((name.strip_suffix(PARTIAL).unwrap_or(name), DOCUMENT[DEFS].get(name)?))
}

fn build() -> Value {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let mut document: Value = generator.into_root_schema_for::<Manifest>().into();
    tidy(&mut document);
    let mut definitions = document[DEFS].as_object().cloned().unwrap_or_default();
    let mut all = definitions.clone();
    let mut whole = document.clone();
    if let Some(object) = whole.as_object_mut() {
        for key in [DEFS, "$schema", "title"] {
            object.remove(key);
        }
    }
    definitions.insert("Manifest".into(), whole);
    for (name, mut definition) in definitions {
        loosen(&mut definition);
        if let (true, Some(object)) = (definition.get("properties").is_some(), definition.as_object_mut()) {
            object.remove("required");
        }
        all.insert(format!("{name}{PARTIAL}"), definition);
    }
    document[DEFS] = Value::Object(all);
    document["title"] = json!("remint.toml");
    document["properties"]["environments"] = json!({
        "type": "object",
        "default": {},
        "description": "Environments: each is laid over the top level. Tables are merged key by key, arrays and everything \
                        else replace what stands above.",
        "additionalProperties": { "$ref": "#/$defs/ManifestPartial" },
    });
    document
}

/// Takes out defaults of null, and closes the alternatives that are told apart by a `type` key.
fn tidy(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(tidy),
        Value::Object(object) => {
            if object.get("default").is_some_and(Value::is_null) {
                object.remove("default");
            }
            if object.contains_key(REF) && object.contains_key("properties") {
                object.insert("unevaluatedProperties".into(), json!(false));
            }
            object.values_mut().for_each(tidy);
        }
        _ => {}
    }
}

/// Points every reference at the partial definition, but those of arrays: an array replaces, so its items are whole.
fn loosen(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(loosen),
        Value::Object(object) => loosen_object(object),
        _ => {}
    }
}

fn loosen_object(object: &mut Map<String, Value>) {
    for (key, inner) in object.iter_mut() {
        match inner {
            Value::String(reference) if key == REF => reference.push_str(PARTIAL),
            _ if key == "items" => {}
            _ => loosen(inner),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reference_has_its_definition() {
        fn walk(value: &Value, seen: &mut usize) {
            match value {
                Value::Array(items) => items.iter().for_each(|item| walk(item, seen)),
                Value::Object(object) => {
                    if let Some(reference) = object.get(REF).and_then(Value::as_str) {
                        assert!(target(reference).is_some(), "{reference}");
                        *seen += 1;
                    }
                    object.values().for_each(|inner| walk(inner, seen));
                }
                _ => {}
            }
        }
        let mut seen = 0;
        walk(document(), &mut seen);
        assert!(seen > 40, "{seen}");
    }

    #[test]
    fn every_key_has_a_description() {
        for (name, definition) in document()[DEFS].as_object().unwrap() {
            for (key, property) in definition["properties"].as_object().unwrap_or(&Map::new()) {
                assert!(property.get("description").is_some(), "{name}.{key}");
            }
        }
    }

    #[test]
    fn an_environment_requires_nothing() {
        let schema: Value = schema().into();
        assert!(schema.get("required").is_none());
        assert_eq!(schema["anyOf"][1]["required"], json!(["environments"]));
        assert!(partial().get("required").is_none());
        assert!(target("#/$defs/ProviderSectionPartial").unwrap().1.get("required").is_none());
        assert_eq!(target("#/$defs/VerifyCommand").unwrap().1["required"], json!(["command"]));
    }
}
