//! Every block of TOML of the book loads: a manifest as it is, a part of one within a small manifest.

use std::{fs, path::Path};

use remint_cli as _;
use remint_core::{
    manifest::{LoadOptions, load},
    provider::Registry,
};
use toml::{Table, Value};

use super::{inclusions, pages, root};

/// What a part of a manifest is put into.
const SMALL: &str = r#"
service = "small"
provider = "sandbox"

[providers.sandbox]
region = "nyc3"
base = "debian-12-x64"
size = "s-1vcpu-1gb"

[vars]
greeting = "hello"

[secrets]
token = { env = "TOKEN" }
health_token = { env = "HEALTH_TOKEN" }

[image]

[health]
check.http = {}
"#;

/// What a section of a provider needs where a block shows its options alone.
const PLACE: &str = "region = \"nyc3\"\nbase = \"debian-12-x64\"\nsize = \"s-1vcpu-1gb\"\n";

/// Providers of the book's examples, which this build does not have.
const OUTSIDE: [&str; 1] = ["hetzner"];

/// A block of TOML: where it is, and its text.
struct Block {
    at: String,
    text: String,
}

/// The blocks of TOML of a page. What a block includes from a file is checked as that file.
fn blocks(page: &str, text: &str) -> Vec<Block> {
    let (mut found, mut open) = (Vec::new(), None::<(bool, Block)>);
    for (number, line) in text.lines().enumerate() {
        let fence = line.trim_start().strip_prefix("```");
        match (&mut open, fence) {
            (None, Some(language)) => {
                let is_toml = language.split(',').next() == Some("toml");
                open = Some((is_toml, Block { at: format!("{page}:{}", number + 1), text: String::new() }));
            }
            (Some(_), Some(_)) => found.extend(open.take().filter(|(is_toml, _)| *is_toml).map(|(_, block)| block)),
            (Some((_, block)), None) => block.text += &format!("{line}\n"),
            (None, None) => {}
        }
    }
    found.retain(|block| inclusions(&block.text).is_empty());
    found
}

/// Puts `over` into `under`: tables key by key, all else instead of what was there.
fn merge(under: &mut Table, over: Table) {
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            (Some(Value::Table(under)), Value::Table(over)) => merge(under, over),
            (_, value) => _ = under.insert(key, value),
        }
    }
}

/// What is wrong with a block, if anything.
fn problem(block: &str) -> Result<(), String> {
    let part: Table = block.parse().map_err(|error| format!("{error}"))?;
    // What names a service claims to be a whole manifest.
    let manifest = if part.contains_key("service") {
        part
    } else {
        let mut small: Table = SMALL.parse().map_err(|error| format!("{error}"))?;
        merge(&mut small, part);
        for (_, section) in small.get_mut("providers").and_then(Value::as_table_mut).into_iter().flatten() {
            let Some(section) = section.as_table_mut().filter(|section| section.keys().eq(["options"])) else {
                continue;
            };
            section.extend(PLACE.parse::<Table>().map_err(|error| format!("{error}"))?);
        }
        small
    };
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    // The files that a manifest may name are the example's.
    std::os::unix::fs::symlink(root().join("docs/examples/app/app"), folder.path().join("app"))
        .map_err(|error| error.to_string())?;
    let path = folder.path().join("remint.toml");
    fs::write(&path, toml::to_string(&manifest).map_err(|error| error.to_string())?)
        .map_err(|error| error.to_string())?;
    let environments = manifest.get("environments").and_then(Value::as_table).map(|named| named.keys().collect());
    for environment in environments.unwrap_or_else(Vec::new).into_iter().map(Some).chain([None]) {
        if environment.is_none() && manifest.contains_key("environments") {
            continue;
        }
        for provider in providers(&manifest) {
            let options = LoadOptions {
                env: environment.cloned(),
                provider: provider.as_deref().map(Into::into),
                allowed_paths: vec![root().join("docs/examples/app")],
                ..LoadOptions::default()
            };
            let loaded = load(&path, &options).map_err(|error| error.to_string())?;
            if OUTSIDE.contains(&loaded.provider.as_str()) {
                continue;
            }
            known_options(loaded.provider.as_str(), &loaded.section.options)?;
        }
    }
    Ok(())
}

/// The providers that a manifest has sections of; without any, its own choice.
fn providers(manifest: &Table) -> Vec<Option<String>> {
    let sections = manifest.get("providers").and_then(Value::as_table);
    let named: Vec<_> = sections.into_iter().flat_map(Table::keys).cloned().map(Some).collect();
    if named.is_empty() { vec![None] } else { named }
}

/// A provider reads its options when it connects; until then, their schema says what it takes.
fn known_options(provider: &str, options: &Table) -> Result<(), String> {
    let registration = Registry::find(provider).map_err(|error| error.to_string())?;
    let schema = (registration.options_schema)().to_value();
    let schema = jsonschema::validator_for(&schema).map_err(|error| error.to_string())?;
    let options = serde_json::to_value(options).map_err(|error| error.to_string())?;
    schema.validate(&options).map_err(|error| format!("options of {provider}: {error}"))
}

#[test]
fn every_manifest_of_the_book_loads() {
    let mut all = vec![root().join("README.md"), root().join("CONTRIBUTING.md")];
    pages(&root().join("docs"), &mut all);
    let (mut found, mut wrong) = (0, Vec::new());
    for page in all {
        let name = page.strip_prefix(root()).unwrap_or(Path::new("")).display().to_string();
        for block in blocks(&name, &fs::read_to_string(&page).unwrap()) {
            // The manifest of a crate, not of a service.
            if block.text.contains("[dependencies]") {
                continue;
            }
            found += 1;
            if let Err(problem) = problem(&block.text) {
                wrong.push(format!("{}: {problem}", block.at));
            }
        }
    }
    assert!(found >= 4, "{found} blocks of TOML");
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn a_broken_block_is_found() {
    for (block, word) in [
        // The manifest of an older page: no section of the provider, and a base that belongs into one.
        ("service = \"a\"\nprovider = \"gcp\"\nregion = \"b\"\n[image]\nbase = \"c\"\n", "region"),
        ("[health]\ncheck.http = { prot = 80 }\n", "prot"),
        ("[instance]\ncloud_init = \"relaxed\"\n", "cloud_init"),
        (
            "[providers.gcp]\nregion = \"a\"\nbase = \"b\"\nsize = \"c\"\n[providers.gcp.options]\nporject = \"d\"\n",
            "porject",
        ),
        ("[environments.staging]\ndeploy = { retire = \"sell\" }\n", "retire"),
        ("a = [", "a = ["),
    ] {
        let problem = problem(block).unwrap_err();
        assert!(problem.contains(word), "{block}\n{problem}");
    }
    assert_eq!(problem("[providers.sandbox]\nsize = \"s-2vcpu-2gb\"\n"), Ok(()));
    let page = "text\n```sh\na = 1\n```\n  ```toml\n[a]\n```\n```toml\n{{#include a.toml}}\n```\n";
    let found = blocks("page.md", page);
    assert_eq!((found.len(), found[0].at.as_str(), found[0].text.as_str()), (1, "page.md:5", "[a]\n"));
}
