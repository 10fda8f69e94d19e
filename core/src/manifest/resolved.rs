//! The schema of one value.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::schema;

/// A schema together with what it refers to, outermost first.
pub(super) struct Resolved {
    chain: Vec<&'static Json>,
    pub(super) duration: bool,
}

impl Resolved {
    pub(super) fn new(schema: &'static Json) -> Self {
        let mut chain = vec![schema];
        let mut duration = false;
        let mut current = schema;
        while let Some((name, next)) = current.get("$ref").and_then(Json::as_str).and_then(schema::target) {
            duration |= name == "Duration";
            chain.push(next);
            current = next;
        }
        Self { chain, duration }
    }

    pub(super) fn get(&self, key: &str) -> Option<&'static Json> {
        self.chain.iter().find_map(|schema| schema.get(key))
    }

    pub(super) fn properties(&self) -> BTreeMap<&'static str, &'static Json> {
        let maps = self.chain.iter().filter_map(|schema| schema.get("properties")?.as_object());
        maps.flatten().map(|(key, value)| (key.as_str(), value)).collect()
    }

    pub(super) fn required(&self) -> impl Iterator<Item = &'static str> + '_ {
        let lists = self.chain.iter().filter_map(|schema| schema.get("required")?.as_array());
        lists.flatten().filter_map(Json::as_str)
    }

    pub(super) fn alternatives(&self) -> Option<Vec<&'static Json>> {
        // The root's `anyOf` is about required keys only; alternatives of a type have a type or a reference.
        let all = self.get("oneOf").or_else(|| self.get("anyOf"))?.as_array()?;
        Some(all.iter().filter(|one| one.get("type").and_then(Json::as_str) != Some("null")).collect())
    }

    /// The types that a value may have, null left out; none where the schema does not say.
    pub(super) fn types(&self) -> Vec<&'static str> {
        match self.get("type") {
            Some(Json::String(one)) => vec![one],
            Some(Json::Array(several)) => several.iter().filter_map(Json::as_str).filter(|t| *t != "null").collect(),
            _ => Vec::new(),
        }
    }
}
