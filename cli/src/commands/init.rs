//! `remint init`: a commented manifest and an example service, ready to deploy on the sandbox.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use anyhow::Context as _;
use serde::Serialize;

use super::CommandResult;
use crate::{
    args::InitArgs,
    exit::{ExitStatus, Failure},
    printer::Printer,
    settings::{MANIFEST, Settings},
};

/// The example service is the one that the book shows: `docs/examples/app`.
const FILES: &[(&str, u32, &str)] = &[
    (MANIFEST, 0o644, include_str!("../../../docs/examples/app/remint.toml")),
    ("app/hello.py", 0o755, include_str!("../../../docs/examples/app/app/hello.py")),
    ("app/hello.service", 0o644, include_str!("../../../docs/examples/app/app/hello.service")),
    ("app/install.sh", 0o755, include_str!("../../../docs/examples/app/app/install.sh")),
    ("app/simulation.toml", 0o644, include_str!("../../../docs/examples/app/app/simulation.toml")),
    (".gitignore", 0o644, "/.remint\n"),
];

/// The manifest's JSON Schema, beside it, where editors find it without a network; `remint schema` writes that of a later version.
const SCHEMA: &str = "remint.schema.json";

#[derive(Debug, Serialize)]
struct Written {
    service: String,
    files: Vec<String>,
}

pub(super) fn run(args: &InitArgs, settings: &Settings, printer: &Printer) -> CommandResult {
    let folder = &settings.directory;
    fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let service = match &args.name {
        Some(name) => checked(name)?,
        None => from_folder(folder),
    };
    let schema = serde_json::to_string_pretty(&remint_core::manifest::schema()).map_err(anyhow::Error::from)? + "\n";
    let files: Vec<_> = FILES.iter().copied().chain([(SCHEMA, 0o644, schema.as_str())]).collect();
    // Look at all of them before writing any: half an example is worse than none.
    if let Some((taken, ..)) = files.iter().find(|(path, ..)| folder.join(path).exists()) {
        let error = anyhow::anyhow!("{} already exists", folder.join(taken).display());
        return Err(Failure::new(ExitStatus::Failure, error).hint("choose an empty folder with -C DIR"));
    }
    for (path, mode, content) in &files {
        let content = if *path == MANIFEST { named(content, &service) } else { (*content).to_owned() };
        write(&folder.join(path), *mode, &content)?;
    }
    let files = files.iter().map(|(path, ..)| (*path).to_owned()).collect();
    printer.result("init", &Written { service, files }, || next_steps(folder))?;
    Ok(ExitStatus::Success)
}

fn write(path: &Path, mode: u32, content: &str) -> anyhow::Result<()> {
    let write = || -> std::io::Result<()> {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(path, content)?;
        fs::set_permissions(path, fs::Permissions::from_mode(mode))
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

/// The example's manifest for a service, with the line by which editors with taplo (Even Better TOML and others) find the schema.
fn named(manifest: &str, service: &str) -> String {
    let manifest = format!("#:schema ./{SCHEMA}\n\n{manifest}");
    manifest.replacen("service = \"hello\"", &format!("service = \"{service}\""), 1)
}

fn checked(name: &str) -> Result<String, Failure> {
    if is_service_name(name) {
        return Ok(name.to_owned());
    }
    let error = anyhow::anyhow!("`{name}` cannot be a service's name");
    Err(Failure::new(ExitStatus::Usage, error).hint("use at most 32 of a-z, 0-9 and -, starting with a letter"))
}

fn is_service_name(name: &str) -> bool {
    name.len() <= 32
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

/// The folder's name where it can be a service's, else `hello`.
fn from_folder(folder: &Path) -> String {
    let name = folder.canonicalize().ok().and_then(|path| Some(path.file_name()?.to_str()?.to_lowercase()));
    name.filter(|name| is_service_name(name)).unwrap_or_else(|| "hello".to_owned())
}

fn next_steps(folder: &Path) -> String {
    let at = if folder == Path::new(".") { String::new() } else { format!(" -C {}", folder.display()) };
    format!(
        "Wrote remint.toml and an example service.\n\nNext:\n  \
         remint{at} deploy                      bake it and put it behind a static IP, on the sandbox\n  \
         remint{at} deploy --var version=v2     replace it by a new version\n  \
         remint{at} rollback                    and back\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_takes_the_service_name() {
        let manifest = named(FILES[0].2, "shop");
        assert!(manifest.starts_with("#:schema ./remint.schema.json\n"), "{manifest}");
        assert!(manifest.contains("service = \"shop\""), "docs/examples/app/remint.toml must name the service hello");
    }

    #[test]
    fn a_folder_that_cannot_name_a_service_gives_hello() {
        assert_eq!(from_folder(Path::new("/")), "hello");
        assert!(
            is_service_name("web-2") && !is_service_name("2web") && !is_service_name("Web") && !is_service_name("")
        );
    }
}
