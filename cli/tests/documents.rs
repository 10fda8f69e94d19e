//! The book and the examples hold to what is there: manifests load, links lead somewhere.
#![expect(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

#[path = "documents/manifests.rs"]
mod manifests;

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use clap::CommandFactory;
use remint_core::manifest::{LoadOptions, Loaded, load};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The text of the first block of TOML that contains the words.
fn block(document: &str, words: &str) -> String {
    let text = fs::read_to_string(root().join(document)).unwrap();
    let blocks = text.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks.into_iter().find(|block| block.contains(words)).unwrap().to_owned()
}

/// Loads a manifest that lies beside the example's files.
fn beside_the_example(manifest: &str, environment: Option<&str>) -> Loaded {
    let folder = tempfile::tempdir().unwrap();
    symlink(root().join("docs/examples/app/app"), folder.path().join("app")).unwrap();
    let path = folder.path().join("remint.toml");
    fs::write(&path, manifest).unwrap();
    let allowed_paths = vec![root().join("docs/examples/app")];
    let options = LoadOptions { env: environment.map(str::to_owned), allowed_paths, ..LoadOptions::default() };
    load(&path, &options).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn the_example_is_a_valid_manifest_on_every_provider() {
    let path = root().join("docs/examples/app/remint.toml");
    for provider in ["sandbox", "digitalocean", "aws", "gcp"] {
        let options = LoadOptions { provider: Some(provider.into()), ..LoadOptions::default() };
        let loaded = load(&path, &options).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((loaded.manifest.service.as_str(), loaded.provider.as_str()), ("hello", provider));
    }
}

#[test]
fn the_manifest_of_the_readme_is_valid() {
    let loaded = beside_the_example(&block("README.md", "service = "), None);
    assert_eq!(loaded.manifest.image.provision.len(), 2);
}

/// What the README compares must have been measured.
#[test]
fn the_figures_of_the_readme_are_those_of_the_book() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap().replace(',', "");
    let measured = fs::read_to_string(root().join("docs/performance.md")).unwrap();
    let rows = readme.lines().filter(|line| line.starts_with("| ") && line.contains(|c: char| c.is_ascii_digit()));
    let mut found = 0;
    for row in rows {
        let numbers = row.split(|c: char| !c.is_ascii_digit()).filter(|number| number.len() > 1);
        for number in numbers {
            found += 1;
            let words = measured.split(|c: char| !c.is_ascii_digit());
            assert!(words.into_iter().any(|word| word == number), "{number} is not in docs/performance.md: {row}");
        }
    }
    assert!(found >= 5, "{found} figures");
}

#[test]
fn the_environments_of_the_book_are_valid() {
    let example = fs::read_to_string(root().join("docs/examples/app/remint.toml")).unwrap();
    let manifest = format!("{example}\n{}", block("docs/getting-started.md", "[environments."));
    for (environment, provider) in [("staging", "sandbox"), ("production", "digitalocean")] {
        let loaded = beside_the_example(&manifest, Some(environment));
        assert_eq!(loaded.provider.as_str(), provider);
    }
}

/// The targets of a page's links, code left out.
fn links(text: &str) -> Vec<String> {
    let prose = text.split("```").step_by(2);
    let targets = prose.flat_map(|prose| prose.split("](").skip(1));
    targets.filter_map(|rest| rest.split_once(')')).map(|(target, _)| target.to_owned()).collect()
}

/// The anchors of a page's headings, as mdbook and code hosts make them.
fn anchors(page: &str) -> Vec<String> {
    let prose = page.split("```").step_by(2).collect::<String>();
    let headings = prose
        .lines()
        .filter_map(|line| line.trim_start_matches('#').strip_prefix(' ').filter(|_| line.starts_with('#')));
    let letters = |heading: &str| heading.to_lowercase().replace(' ', "-");
    let kept = |heading: String| heading.chars().filter(|c| c.is_alphanumeric() || "-_".contains(*c)).collect();
    headings.map(|heading| kept(letters(heading.trim()))).collect()
}

fn pages(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("docs/book") {
            pages(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
}

#[test]
fn every_relative_link_leads_to_a_file_and_a_heading() {
    let mut all = vec![root().join("README.md"), root().join("CONTRIBUTING.md")];
    pages(&root().join("docs"), &mut all);
    assert!(all.len() > 10, "{all:?}");
    let mut broken = Vec::new();
    for page in all {
        let text = fs::read_to_string(&page).unwrap();
        for link in links(&text).into_iter().filter(|link| !link.contains("://")) {
            let (target, anchor) =
                link.split_once('#').map_or((link.as_str(), None), |(to, anchor)| (to, Some(anchor)));
            let to = if target.is_empty() { page.clone() } else { page.parent().unwrap().join(target) };
            let found = match anchor {
                None => to.exists(),
                Some(anchor) => {
                    anchors(&fs::read_to_string(&to).unwrap_or_default()).iter().any(|known| known == anchor)
                }
            };
            if !found {
                broken.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn anchors_are_made_of_headings() {
    let page = "# The first\ntext # no\n```sh\n# no heading\n```\n## What is left: `gc`\n### A, b and 2\n";
    assert_eq!(anchors(page), ["the-first", "what-is-left-gc", "a-b-and-2"]);
}

#[test]
fn every_page_of_the_book_is_in_its_summary() {
    let docs = root().join("docs");
    let named = links(&fs::read_to_string(docs.join("SUMMARY.md")).unwrap());
    let mut all = Vec::new();
    pages(&docs, &mut all);
    let missing: Vec<_> = all
        .iter()
        .map(|page| page.strip_prefix(&docs).unwrap().to_str().unwrap())
        .filter(|page| *page != "SUMMARY.md" && !named.iter().any(|link| link == page))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// What the book takes over from files: the path from the page, and the anchor.
fn inclusions(text: &str) -> Vec<(String, Option<String>)> {
    let targets = text.split("{{#include ").skip(1).filter_map(|rest| rest.split_once("}}"));
    let parts = targets.map(|(target, _)| match target.trim().split_once(':') {
        Some((path, anchor)) => (path.to_owned(), Some(anchor.to_owned())),
        None => (target.trim().to_owned(), None),
    });
    parts.collect()
}

#[test]
fn whatever_the_book_includes_is_there() {
    let mut all = Vec::new();
    pages(&root().join("docs"), &mut all);
    let (mut found, mut broken) = (0, Vec::new());
    for page in all {
        for (path, anchor) in inclusions(&fs::read_to_string(&page).unwrap()) {
            found += 1;
            let text = fs::read_to_string(page.parent().unwrap().join(&path)).unwrap_or_default();
            let ends = anchor.as_ref().map(|anchor| [format!("ANCHOR: {anchor}\n"), format!("ANCHOR_END: {anchor}\n")]);
            if text.is_empty() || !ends.iter().flatten().all(|end| text.contains(end)) {
                broken.push(format!("{}: {path} {anchor:?}", page.display()));
            }
        }
    }
    assert!(found > 0 && broken.is_empty(), "{found} inclusions; broken: {broken:?}");
}

/// Rust files below a folder.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn the_book_tells_what_the_example_took() {
    let example = root().join("docs/examples/provider-hetzner");
    let mut table = String::from("| part | files | lines |\n|---|---|---|\n");
    for (part, folder) in [("the provider and its command", "src"), ("the suite's target and the fake", "tests")] {
        let mut files = Vec::new();
        sources(&example.join(folder), &mut files);
        let lines: usize = files.iter().map(|file| fs::read_to_string(file).unwrap().lines().count()).sum();
        table += &format!("| {part}, `{folder}/` | {} | {lines} |\n", files.len());
    }
    let page = fs::read_to_string(root().join("docs/writing-a-provider.md")).unwrap();
    assert!(page.contains(&table), "docs/writing-a-provider.md should say\n{table}");
}

/// Names and versions of the packages of a lock file.
fn locked(path: &str) -> Vec<(String, String)> {
    let text = fs::read_to_string(root().join(path)).unwrap();
    let packages = text.split("[[package]]\nname = \"").skip(1).filter_map(|rest| {
        let (name, rest) = rest.split_once("\"\nversion = \"")?;
        Some((name.to_owned(), rest.split('"').next()?.to_owned()))
    });
    packages.collect()
}

#[test]
fn the_example_is_locked_to_the_versions_of_the_workspace() {
    let (ours, example) = (locked("Cargo.lock"), locked("docs/examples/provider-hetzner/Cargo.lock"));
    let other: Vec<_> =
        example.iter().filter(|package| package.0 != "remint-hetzner" && !ours.contains(package)).collect();
    assert!(example.len() > 100 && other.is_empty(), "copy Cargo.lock over the example's and build it: {other:?}");
}

#[test]
fn nothing_of_remint_knows_the_example() {
    let mut all = Vec::new();
    for folder in ["core/src", "cli/src", "conformance-tests/src", "providers"] {
        sources(&root().join(folder), &mut all);
    }
    let knows = |file: &&PathBuf| fs::read_to_string(file).unwrap().to_lowercase().contains("hetzner");
    assert_eq!((all.len() > 100, all.iter().find(knows)), (true, None));
}

/// The verbs, down to `remint VERB VERB`, as the help texts have them.
fn verbs(of: &clap::Command, above: &str, table: &mut String) {
    for verb in of.get_subcommands().filter(|verb| !verb.is_hide_set()) {
        let name = format!("{above}{}", verb.get_name());
        *table += &format!("| `{name}` | {} |\n", verb.get_about().map(ToString::to_string).unwrap_or_default());
        if above.is_empty() {
            verbs(verb, &format!("{name} "), table);
        }
    }
}

/// Written by `REMINT_BLESS=1 cargo test --workspace --test documents -- verbs`.
#[test]
fn the_book_has_the_verbs_of_the_help() {
    let mut table = String::from("| verb | what it does |\n|---|---|\n");
    verbs(&remint_cli::args::Cli::command(), "", &mut table);
    let path = root().join("docs/cli.md");
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once("<!-- verbs: made from the help texts -->\n").unwrap();
    let (known, after) = rest.split_once("<!-- end of verbs -->\n").unwrap();
    if std::env::var_os("REMINT_BLESS").is_some() {
        let marks = ["<!-- verbs: made from the help texts -->\n", "<!-- end of verbs -->\n"];
        fs::write(&path, format!("{before}{}{table}{}{after}", marks[0], marks[1])).unwrap();
    } else {
        assert_eq!(known, table, "docs/cli.md is out of date: run the test with REMINT_BLESS=1");
    }
}

/// The code of a file without its comments and without its unit tests.
fn code(text: &str) -> String {
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// What the command knows of a provider is in the provider's registration.
#[test]
fn neither_the_command_nor_the_core_names_a_provider() {
    let mut ids = Vec::new();
    for entry in fs::read_dir(root().join("providers")).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path().join("src/provider.rs")).unwrap();
        let id = text.split("pub const ID: &str = ").nth(1).and_then(|rest| rest.split(';').next()).unwrap();
        ids.push(id.to_owned()); // In quotes.
    }
    assert!(ids.len() >= 4, "{ids:?}");
    let mut all = Vec::new();
    for folder in ["core/src", "cli/src"] {
        sources(&root().join(folder), &mut all);
    }
    let mut named = Vec::new();
    for file in &all {
        let path = file.strip_prefix(root()).unwrap().to_string_lossy();
        if path.contains("test") || path.starts_with("core/src/fuzz") {
            continue;
        }
        let code = code(&fs::read_to_string(file).unwrap());
        let names = |line: &&str| ids.iter().any(|id| line.contains(id) && !line.contains("feature = "));
        named.extend(code.lines().filter(names).map(|line| format!("{path}: {}", line.trim())));
    }
    assert!(named.is_empty(), "{}", named.join("\n"));
}

/// A cloud can change its texts at any time: kinds, effects and codes decide.
#[test]
fn nothing_decides_by_the_message_of_an_error() {
    const READS: [&str; 7] = ["contains", "starts_with", "ends_with", "split", "find", "matches", "strip_prefix"];
    let mut all = Vec::new();
    for folder in ["core/src", "cli/src", "providers", "docs/examples/provider-hetzner/src"] {
        sources(&root().join(folder), &mut all);
    }
    let mut found = Vec::new();
    for file in &all {
        let path = file.strip_prefix(root()).unwrap().to_string_lossy();
        if path.contains("test") {
            continue;
        }
        let code: String = code(&fs::read_to_string(file).unwrap()).split_whitespace().collect();
        let parts: Vec<&str> = code.split(".message()").collect();
        for (before, after) in parts.iter().zip(&parts[1..]) {
            let reads = after.starts_with("==") || READS.iter().any(|read| after.starts_with(&format!(".{read}")));
            // Tests may look at what users see.
            if reads && !before.ends_with("assert!(error") {
                found.push(format!("{path}: {}", after.chars().take(60).collect::<String>()));
            }
        }
    }
    assert!(all.len() > 100 && found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn every_test_that_make_leaves_out_is_run_by_itself() {
    let makefile = fs::read_to_string(root().join("Makefile")).unwrap();
    let mut all = Vec::new();
    for folder in ["core", "cli", "conformance-tests", "providers"] {
        sources(&root().join(folder), &mut all);
    }
    let mut found = 0;
    for file in all {
        let text = fs::read_to_string(&file).unwrap();
        let lines: Vec<_> = text.lines().map(str::trim).collect();
        let is_left_out = |pair: &&[&str]| {
            let name = pair[1].trim_start_matches("async ").strip_prefix("fn ").and_then(|rest| rest.split('(').next());
            pair[0].ends_with("test]") && name.is_some_and(|name| name.contains("real_machine"))
        };
        for pair in lines.windows(2).filter(is_left_out) {
            found += 1;
            let program = file.file_stem().unwrap().to_str().unwrap();
            let told = format!("--test {program} ");
            assert!(makefile.contains(&told), "test-machines in the Makefile lacks `{told}`: {}", pair[1]);
        }
    }
    assert!(found >= 5, "{found} tests on real machines");
}

#[test]
fn the_links_of_a_page_are_found_outside_code() {
    let page = "[a](a.md) and ![b](b.svg#x)\n```sh\n[c](c.md)\n```\n[d](https://d.example)";
    assert_eq!(links(page), ["a.md", "b.svg#x", "https://d.example"]);
}
