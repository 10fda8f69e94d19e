//! The reference page of the manifest, written from its schema.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::schema;

const INTRODUCTION: &str = "\
<!-- Generated from the types in remint-core; do not edit. -->

# Manifest reference

`remint.toml` describes one service. Unknown keys are refused. Paths are relative to the folder of the manifest.
Durations are written like \"250ms\", \"90s\", \"5m\" or \"1h 30m\".

## References

| reference | value | known |
|---|---|---|
| `${var.NAME}` | a variable of `[vars]`, or its `--var NAME=VALUE` | when the manifest is read |
| `${env.NAME}`, `${env.NAME:-default}` | an environment variable of the process that runs `remint` | when the manifest is read |
| `${git.sha}`, `${git.short}` | the commit; its first 12 digits | when the manifest is read |
| `${git.branch}`, `${git.dirty}` | the branch; `true` when something is not committed, else `false` | when the manifest is read |
| `${secret.NAME}` | a secret of `[secrets]` | when a release is made |
| `${release.id}`, `${release.service}`, `${release.env}` | the release's number, service and environment | when a release is made |
| `${address.static_ip}`, `${dns.fqdn}` | the stable address and its name | when a release is made |

What is known only when a release is made can stand in `[config.env]`, in `[health.check.http.headers]`, and in user data files
with `interpolate = true`.
`$${` stands for a literal `${`. What has no dot after its first word, such as `${HOME}`, is left to the shell.

## Environments

`[environments.NAME]` is laid over the top level: tables are merged key by key, arrays and everything else replace what
stands above. Where one of several keys is chosen (`health.check`, the source of a secret, `address.static_ip`), another
choice replaces the first. `-e NAME` names the environment; without it the only one is taken, or `default` when there is
none.
";

/// The reference page of the manifest, in Markdown.
pub fn reference_markdown() -> String {
    let mut page = Page { out: INTRODUCTION.to_owned(), seen: BTreeSet::new() };
    page.section("Top level", schema::document());
    page.out
}

struct Page {
    out: String,
    seen: BTreeSet<String>,
}

impl Page {
    /// A heading, the description, a table of the keys, and then the sections that the keys lead to.
    fn section(&mut self, heading: &str, schema: &'static Value) {
        self.out += &format!("\n## {heading}\n\n{}\n", text(schema));
        let properties = properties(schema);
        let required: Vec<&str> = chain(schema)
            .flat_map(|part| part["required"].as_array().into_iter().flatten())
            .filter_map(Value::as_str)
            .collect();
        if !properties.is_empty() {
            self.out += "\n| key | type | default | |\n|---|---|---|---|\n";
        }
        let (first, then): (Vec<_>, Vec<_>) = properties.iter().partition(|(key, _)| required.contains(&key.as_str()));
        for (key, property) in first.iter().chain(&then) {
            let default = match property.get("default") {
                _ if required.contains(&key.as_str()) => "required".to_owned(),
                Some(Value::Object(table)) if !table.is_empty() => "see below".to_owned(),
                Some(value) => format!("`{value}`"),
                None => "none".to_owned(),
            };
            self.out += &format!("| `{key}` | {} | {default} | {} |\n", kind(property), text(property));
        }
        for (key, property) in first.into_iter().chain(then).filter(|(key, _)| key.as_str() != "environments") {
            let below = if heading == "Top level" { key.clone() } else { format!("{}.{key}", bare(heading)) };
            self.follow(&below, property, false);
        }
    }

    /// Writes the section that a property leads to, if it leads to one that was not written yet.
    fn follow(&mut self, path: &str, property: &'static Value, array: bool) {
        if let Some(items) = property.get("items") {
            return self.follow(path, items, true);
        }
        if let Some(values @ Value::Object(_)) = property.get("additionalProperties") {
            return self.follow(&format!("{path}.NAME"), values, array);
        }
        let alternatives = chain(property).find_map(|part| part.get("oneOf").or_else(|| part.get("anyOf"))?.as_array());
        if let Some(alternatives) = alternatives {
            return self.alternatives(path, property, alternatives, array);
        }
        if !properties(property).is_empty() && self.seen.insert(path.to_owned()) {
            let heading = if array { format!("`[[{path}]]`") } else { format!("`[{path}]`") };
            self.section(&heading, property);
        }
    }

    fn alternatives(&mut self, path: &str, property: &'static Value, alternatives: &'static [Value], array: bool) {
        let some: Vec<&'static Value> = alternatives.iter().filter(|one| one["type"] != "null").collect();
        if let [only] = some.as_slice() {
            return self.follow(path, only, array);
        }
        if some.iter().any(|one| one["properties"]["type"].get("const").is_some()) {
            for one in some {
                let tag = one["properties"]["type"]["const"].as_str().unwrap_or_default();
                self.section(&format!("`[[{path}]]` with `type = \"{tag}\"`"), one);
            }
            return;
        }
        self.out += &format!("\n## `{path}`\n\n{}\n\n| value | |\n|---|---|\n", text(property));
        for one in &some {
            let value = match one.get("const").and_then(Value::as_str) {
                Some(word) => format!("`\"{word}\"`"),
                None => one["properties"]
                    .as_object()
                    .and_then(|map| map.iter().next())
                    .map_or_else(String::new, |(key, inner)| format!("`{{ {key} = … }}` ({})", kind(inner))),
            };
            self.out += &format!("| {value} | {} |\n", text(one));
        }
        for one in some {
            for (key, inner) in one.get("properties").and_then(Value::as_object).into_iter().flatten() {
                self.follow(&format!("{path}.{key}"), inner, false);
            }
        }
    }
}

/// A schema and what it refers to.
fn chain(schema: &'static Value) -> impl Iterator<Item = &'static Value> {
    std::iter::successors(Some(schema), |part| schema::target(part.get("$ref")?.as_str()?).map(|(_, target)| target))
}

fn properties(schema: &'static Value) -> Vec<(String, &'static Value)> {
    let maps = chain(schema).filter_map(|part| part.get("properties").and_then(Value::as_object));
    maps.flat_map(Map::iter).map(|(key, value)| (key.clone(), value)).collect()
}

/// The description, on one line, safe in a table.
fn text(schema: &'static Value) -> String {
    let found = chain(schema).find_map(|part| part.get("description")?.as_str());
    found.unwrap_or_default().replace('\n', " ").replace('|', "\\|")
}

/// The path in a heading.
fn bare(heading: &str) -> String {
    let path = heading.split(']').next().unwrap_or(heading);
    path.trim_start_matches(['`', '[']).to_owned()
}

/// What can stand there.
fn kind(schema: &'static Value) -> String {
    if let Some(word) = schema.get("const").and_then(Value::as_str) {
        return format!("`\"{word}\"`");
    }
    if schema.get("$ref").and_then(Value::as_str).is_some_and(|reference| reference.ends_with("/Duration")) {
        return "duration".to_owned();
    }
    let alternatives = chain(schema).find_map(|part| part.get("oneOf").or_else(|| part.get("anyOf"))?.as_array());
    if let Some(alternatives) = alternatives {
        let some: Vec<&'static Value> = alternatives.iter().filter(|one| one["type"] != "null").collect();
        return match some.as_slice() {
            [only] => kind(only),
            _ if some.iter().any(|one| one.get("const").is_some()) => {
                let mut all: Vec<String> = some.iter().map(|one| kind(one)).collect();
                all.dedup();
                all.join(" or ")
            }
            _ => "table".to_owned(),
        };
    }
    let wanted = chain(schema).find_map(|part| part.get("type"));
    let names: Vec<&str> = match wanted {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => {
            several.iter().filter_map(Value::as_str).filter(|name| *name != "null").collect()
        }
        _ => Vec::new(),
    };
    let name = match names.as_slice() {
        [one] => *one,
        [rest @ .., last] => return format!("{} or {last}", rest.join(", ")),
        [] => "",
    };
    match (name, schema.get("items"), schema.get("additionalProperties")) {
        ("array", Some(items), _) => format!("array of {}", kind(items)),
        ("object", _, Some(values @ Value::Object(_))) => format!("table of {}", kind(values)),
        ("object", ..) => "table".to_owned(),
        (other, ..) => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_of_every_section_is_there() {
        let page = reference_markdown();
        for heading in [
            "## Top level",
            "## `[providers.NAME]`",
            "## `[image]`",
            "## `[[image.provision]]` with `type = \"artifact\"`",
            "## `[[image.verify]]`",
            "## `health.check`",
            "## `[health.check.http]`",
            "## `address.static_ip`",
            "## `secrets.NAME`",
            "## `[config]`",
            "## `deploy.retire`",
            "## `[[instance.user_data]]`",
        ] {
            assert_eq!(page.matches(&format!("{heading}\n")).count(), 1, "{heading}\n{page}");
        }
        for row in [
            "| `sha256` | string | required | The SHA-256 of its content, in hexadecimal. |",
            "| `timeout` | duration | `\"30m\"` | How long it may take. |",
            "| `retire` | `\"destroy\"` or `\"park\"` | `\"destroy\"` | What becomes of the old instances. |",
            "| `expect` | integer, string or array | `200` | The statuses that are expected: one (`200`), a range (`\"200-299\"` or \
             `\"2xx\"`), or an array of them. |",
            "| `copy_to` | array of string | `[]` | Further regions that a baked image is copied to. |",
        ] {
            assert!(page.contains(row), "{row}\n{page}");
        }
    }
}
