//! Reading a manifest: parse, choose the environment, fill in, check, and only then build the types.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    HealthCheck, LoadOptions, Manifest, ProviderSection, Secrets, Template, checks,
    diagnostics::{Diagnostics, Reporter, list, suggest},
    grounds::{ALLOW, Grounds},
    interpolate::Interpolator,
    limits::{MAX_DEPTH, MAX_PARTS, MAX_SYNTAX_REPORTS, read_text},
    schema,
    shape::Shape,
    tree::{Node, Step, Value, show},
};
use crate::provider::{EnvironmentName, ProviderId};

/// The environment's name when a manifest has no `[environments]`.
pub const DEFAULT_ENVIRONMENT: &str = "default";

/// A manifest that was read, with its environment chosen and its variables filled in.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The manifest, with the environment's section merged into it.
    pub manifest: Manifest,
    /// The chosen environment; `default` where the manifest has none.
    pub environment: EnvironmentName,
    /// The environments that the manifest has, in the order of their names.
    pub environments: Vec<String>,
    /// Why the chosen environment is refused, unless the journal knows it: the manifest has no section for it (any more).
    pub undeclared: Option<Diagnostics>,
    /// The provider: `--provider`, else the manifest's.
    pub provider: ProviderId,
    /// `[providers.ID]` of that provider.
    pub section: ProviderSection,
    /// The folder of the manifest; relative paths in it start there.
    pub base_dir: PathBuf,
    /// The manifest's path, as it was given.
    pub path: PathBuf,
    /// The user's parts of the user data, ready to be rendered.
    pub user_data: Vec<UserDataFile>,
    /// Reads the secrets, when they are used.
    pub secrets: Arc<Secrets>,
}

/// A part of the user data that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserDataFile {
    /// The path of the file, as the manifest names it.
    pub name: String,
    /// Its text; `${…}` that only a release knows is not filled in yet.
    pub content: Template,
}

impl Loaded {
    /// The name of the DNS record, where there is one.
    pub fn fqdn(&self) -> Option<String> {
        let dns = self.manifest.dns.as_ref()?;
        Some(if dns.name == "@" { dns.zone.clone() } else { format!("{}.{}", dns.name, dns.zone) })
    }

    /// Whether the health check cannot be asked, because its headers hold secrets that this command does not read.
    pub fn health_is_sealed(&self) -> bool {
        let HealthCheck::Http(check) = &self.manifest.health.check else { return false };
        self.secrets.are_sealed() && check.headers.values().flat_map(Template::secrets).next().is_some()
    }

    /// Whether the configuration of an instance cannot be told, because it holds secrets that this command does not read.
    pub fn config_is_sealed(&self) -> bool {
        let env = self.manifest.config.iter().flat_map(|config| config.env.values());
        let templates = env.chain(self.user_data.iter().map(|part| &part.content));
        self.secrets.are_sealed() && templates.flat_map(Template::secrets).next().is_some()
    }
}

/// Reads a manifest. Every error that can be told in one go is in the result.
///
/// `path` is the file itself. Nothing but files in the folder of the manifest and, where `${git.…}` is used, the `git` command
/// is asked; no cloud is.
pub fn load(path: &Path, options: &LoadOptions) -> Result<Loaded, Diagnostics> {
    let base_dir = base_dir(path);
    let grounds = Grounds::new(&base_dir, &options.allowed_paths);
    let text = read(path, &grounds)?;
    let mut reporter = Reporter::new(path, &text);
    let Some(mut root) = parse(&text, &mut reporter) else { return Err(fail(&mut reporter)) };

    // Every environment is looked at, whichever is chosen.
    check_environments(&root, &mut reporter);
    let environments = environment_names(&root);
    let mut undeclared = None;
    let clean = reporter.is_clean();
    let environment = match choose_environment(&mut root, options.env.as_deref(), &mut reporter) {
        Some(environment) => environment,
        // The journal may know it from before: whoever opens it decides.
        None => match options.env.as_deref().filter(|name| clean && is_environment_name(name)) {
            Some(name) => {
                undeclared = Some(fail(&mut reporter));
                reporter = Reporter::new(path, &text);
                EnvironmentName::new(name)
            }
            None => return Err(fail(&mut reporter)),
        },
    };
    let interpolator = Interpolator::new(&root, options, &base_dir, &mut reporter);
    interpolator.fill(&mut root, &mut reporter);
    let raw = !reporter.is_clean();
    let mends = Shape::check(&root, schema::document(), Vec::new(), raw, &mut reporter);
    if reporter.is_full() {
        return Err(fail(&mut reporter));
    }
    // What is wrong so far leaves the rest to be looked at, so that all is reported at once.
    mends.apply(&mut root);
    let Some(manifest) = build(&root, &mut reporter) else { return Err(fail(&mut reporter)) };
    let provider = options.provider.as_ref().unwrap_or(&manifest.provider);
    checks::check(&manifest, provider, &root, &base_dir, &grounds, options.without_recipe, &mut reporter);
    let chosen = choose_provider(&root, &manifest, options.provider.as_ref(), &mut reporter);
    let (user_data, wrong) = read_user_data(&manifest, path, &base_dir, &grounds, &interpolator);
    let mut found = fail(&mut reporter);
    found.0.extend(wrong.0);
    let Some((provider, section)) = chosen.filter(|_| found.0.is_empty()) else { return Err(found) };
    let secrets = Secrets::new(manifest.secrets.clone(), base_dir.clone(), &options.process_env);
    let secrets = Arc::new(if options.without_secrets { secrets.sealed() } else { secrets });
    let path = path.to_owned();
    Ok(Loaded {
        manifest,
        environment,
        environments,
        undeclared,
        provider,
        section,
        base_dir,
        path,
        user_data,
        secrets,
    })
}

/// The environments that a manifest names, or the one that it has without any; none where it cannot be read. Nothing is checked:
/// for a shell that completes a line.
pub fn environments(path: &Path) -> Vec<String> {
    let text = read_text(path).unwrap_or_default();
    match Node::parse(&text) {
        Ok((root, None)) if !text.is_empty() => environment_names(&root),
        _ => Vec::new(),
    }
}

/// Looks at the top level and at each environment alone: their keys and types, not what is missing.
fn check_environments(root: &Node, reporter: &mut Reporter<'_>) {
    let Some(table) = root.as_table() else { return };
    let Some(environments) = table.get("environments") else { return };
    let mut top = table.clone();
    top.remove("environments");
    let top = Node { key: None, span: 0..0, value: Value::Table(top) };
    Shape::check(&top, schema::partial(), Vec::new(), true, reporter);
    let path = |name: &str| vec![Step::Key("environments".to_owned()), Step::Key(name.to_owned())];
    let Some(named) = environments.as_table() else {
        let message = format!("expected a table, found {}", environments.kind());
        reporter.report(environments.span.clone(), "environments", message, None);
        return;
    };
    for (name, environment) in named {
        if !is_environment_name(name) {
            let message = format!("`{name}` cannot be the name of an environment");
            let help = "use `a-z`, `0-9` and `-`, start with a letter, at most 32 characters";
            reporter.report(environment.head(), &show(&path(name)), message, Some(help.to_owned()));
        }
        Shape::check(environment, schema::partial(), path(name), true, reporter);
    }
}

/// The environments of a manifest, or the one that it has without any.
fn environment_names(root: &Node) -> Vec<String> {
    let named = root.as_table().and_then(|table| table.get("environments")).and_then(Node::as_table);
    match named.filter(|named| !named.is_empty()) {
        Some(named) => named.keys().cloned().collect(),
        None => vec![DEFAULT_ENVIRONMENT.to_owned()],
    }
}

fn is_environment_name(name: &str) -> bool {
    name.len() <= 32
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

/// Reads the user's parts of the user data; what is wrong in one is reported at its own lines. A part that is outside of the
/// grounds or not there, which the checks report, is not read.
fn read_user_data(
    manifest: &Manifest,
    manifest_path: &Path,
    base_dir: &Path,
    grounds: &Grounds,
    interpolator: &Interpolator<'_>,
) -> (Vec<UserDataFile>, Diagnostics) {
    let mut files = Vec::new();
    let mut wrong = Vec::new();
    let parts = manifest.instance.user_data.len();
    if parts > MAX_PARTS {
        let mut reporter = Reporter::new(manifest_path, "");
        reporter.report_file(format!("the user data may have at most {MAX_PARTS} parts; there are {parts}"), None);
        return (files, fail(&mut reporter));
    }
    for part in manifest.instance.user_data.iter().filter(|part| grounds.hold(&part.path)) {
        let path = base_dir.join(&part.path);
        if !path.exists() {
            continue;
        }
        let content = match read_text(&path) {
            Ok(text) if part.interpolate => {
                let mut reporter = Reporter::without_text(&path, &text);
                let filled = interpolator.file(&text, &mut reporter).unwrap_or_default();
                wrong.extend(fail(&mut reporter).0);
                Template(filled)
            }
            Ok(text) => Template::literal(&text),
            Err(error) => {
                let mut reporter = Reporter::new(&path, "");
                reporter.report_file(format!("cannot read a part of the user data: {error}"), None);
                wrong.extend(fail(&mut reporter).0);
                continue;
            }
        };
        files.push(UserDataFile { name: part.path.display().to_string(), content });
    }
    (files, Diagnostics(wrong))
}

fn fail(reporter: &mut Reporter<'_>) -> Diagnostics {
    reporter.check().err().unwrap_or_default()
}

fn read(path: &Path, grounds: &Grounds) -> Result<String, Diagnostics> {
    let name = path.file_name().map_or(path, Path::new);
    if !grounds.hold(name) {
        let mut reporter = Reporter::new(path, "");
        let message = "the manifest is a link that leads outside of its folder";
        reporter.report_file(message, Some(format!("write the manifest there, or {ALLOW}")));
        return Err(fail(&mut reporter));
    }
    read_text(path).map_err(|error| {
        let mut reporter = Reporter::new(path, "");
        let help = (error.kind() == std::io::ErrorKind::NotFound)
            .then(|| "`remint init` writes one, `-C DIR` looks in another folder".to_owned());
        reporter.report_file(format!("cannot read the manifest: {error}"), help);
        fail(&mut reporter)
    })
}

fn base_dir(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn parse(text: &str, reporter: &mut Reporter<'_>) -> Option<Node> {
    match Node::parse(text) {
        Ok((_, Some(deep))) => {
            let message = format!("the manifest is nested deeper than {MAX_DEPTH} levels here");
            reporter.report(deep, "", message, None);
            None
        }
        Ok((root, None)) => Some(root),
        Err(errors) => {
            for error in errors.into_iter().take(MAX_SYNTAX_REPORTS) {
                let message = format!("this is not TOML: {}", error.message());
                reporter.report_new(error.span().unwrap_or(0..0), "", message, None);
            }
            None
        }
    }
}

/// Takes `[environments]` out of the tree and lays the chosen one over it.
fn choose_environment(root: &mut Node, wanted: Option<&str>, reporter: &mut Reporter<'_>) -> Option<EnvironmentName> {
    let Value::Table(table) = &mut root.value else { return None };
    let environments = table.remove("environments");
    let head = environments.as_ref().map_or(0..0, Node::head);
    let mut named = match environments.map(|node| node.value) {
        Some(Value::Table(named)) => named,
        _ => BTreeMap::new(),
    };
    let names = || list(named.keys().map(String::as_str));
    let chosen = match (wanted, named.len()) {
        (Some(name), 0) if name == DEFAULT_ENVIRONMENT => name.to_owned(),
        (Some(name), 0) => {
            let help = format!("add `[environments.{name}]`, or leave `-e` out");
            reporter.report(head, "", format!("there is no environment `{name}`: the manifest has none"), Some(help));
            return None;
        }
        (Some(name), _) if named.contains_key(name) => name.to_owned(),
        (Some(name), _) => {
            let help = suggest(name, "environments", named.keys().map(String::as_str));
            reporter.report(head, "environments", format!("there is no environment `{name}`"), help);
            return None;
        }
        (None, 0) => DEFAULT_ENVIRONMENT.to_owned(),
        (None, 1) => named.keys().next().cloned().unwrap_or_default(),
        (None, _) => {
            let message = format!("the manifest has several environments: {}", names());
            reporter.report(head, "environments", message, Some("choose one with `-e NAME`".to_owned()));
            return None;
        }
    };
    if let Some(over) = named.remove(&chosen) {
        root.overlay(Node { key: None, ..over }, &mut Vec::new(), &is_choice);
    }
    Some(EnvironmentName::new(chosen))
}

/// The tables that hold one of several keys.
fn is_choice(path: &[String]) -> bool {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    matches!(path.as_slice(), ["health", "check"] | ["secrets", _] | ["address", "static_ip"])
}

/// Builds the types. What is wrong by now is rare: the shape was checked before.
fn build(root: &Node, reporter: &mut Reporter<'_>) -> Option<Manifest> {
    let value = root.to_toml();
    match serde_path_to_error::deserialize(value) {
        Ok(manifest) => Some(manifest),
        Err(error) => {
            let path: Vec<Step> = error
                .path()
                .iter()
                .filter_map(|segment| match segment {
                    serde_path_to_error::Segment::Seq { index } => Some(Step::Index(*index)),
                    serde_path_to_error::Segment::Map { key } => Some(Step::Key(key.clone())),
                    serde_path_to_error::Segment::Enum { .. } | serde_path_to_error::Segment::Unknown => None,
                })
                .collect();
            let message = error.inner().message().to_owned();
            reporter.report_new(root.find(&path).span.clone(), &show(&path), message, None);
            None
        }
    }
}

fn choose_provider(
    root: &Node,
    manifest: &Manifest,
    wanted: Option<&ProviderId>,
    reporter: &mut Reporter<'_>,
) -> Option<(ProviderId, ProviderSection)> {
    let provider = wanted.unwrap_or(&manifest.provider).clone();
    if let Some(section) = manifest.providers.get(&provider) {
        return Some((provider, section.clone()));
    }
    let key = if wanted.is_some() { "providers" } else { "provider" };
    let node = root.find(&[Step::Key(key.to_owned())]);
    let span = if wanted.is_some() { node.head() } else { node.span.clone() };
    let names = list(manifest.providers.keys().map(ProviderId::as_str));
    let help = format!("add `[providers.{provider}]`, or choose one that is there with `--provider`: {names}");
    reporter.report_new(span, key, format!("there is no `[providers.{provider}]`"), Some(help));
    None
}

#[cfg(test)]
#[path = "load_tests.rs"]
mod tests;
