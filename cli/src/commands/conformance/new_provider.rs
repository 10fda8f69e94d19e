//! `remint conformance new-provider`: the crate of a new provider, which compiles as it is.

use std::{fs, path::Path};

use anyhow::Context as _;
use remint_conformance::scaffold::{Scaffold, ScaffoldError};
use serde::Serialize;

use crate::{
    args::conformance::NewProviderArgs,
    commands::CommandResult,
    exit::{ExitStatus, Failure},
    printer::Printer,
    settings::Settings,
};

#[derive(Debug, Serialize)]
struct Written {
    provider: String,
    folder: String,
    files: Vec<String>,
}

pub(super) fn run(args: &NewProviderArgs, settings: &Settings, printer: &Printer) -> CommandResult {
    let checkout = args.remint.as_ref().map(|checkout| checked(&settings.directory.join(checkout))).transpose()?;
    let scaffold = Scaffold::new(&args.name, checkout.as_deref()).map_err(refused)?;
    let files = scaffold.files().map_err(refused)?;
    let folder = settings.directory.join(args.path.clone().unwrap_or_else(|| scaffold.package().into()));
    let taken = fs::read_dir(&folder).is_ok_and(|mut entries| entries.next().is_some());
    if taken || folder.is_file() {
        let error = anyhow::anyhow!("{} already exists and is not empty", folder.display());
        return Err(Failure::new(ExitStatus::Failure, error).hint("choose another folder with --path DIR"));
    }
    for (path, text) in &files {
        write(&folder.join(path), text)?;
    }
    let written = Written {
        provider: args.name.clone(),
        folder: folder.display().to_string(),
        files: files.iter().map(|(path, _)| path.display().to_string()).collect(),
    };
    printer.result("new_provider", &written, || next_steps(&written))?;
    Ok(ExitStatus::Success)
}

/// The checkout's own path, for a crate that may be moved.
fn checked(checkout: &Path) -> Result<std::path::PathBuf, Failure> {
    let found = checkout.canonicalize().ok().filter(|path| path.join("core/Cargo.toml").is_file());
    found.ok_or_else(|| {
        let error = anyhow::anyhow!("{} is no checkout of Remint", checkout.display());
        Failure::new(ExitStatus::Usage, error).hint("give the folder that holds core/ and cli/")
    })
}

fn refused(error: ScaffoldError) -> Failure {
    let status = if matches!(error, ScaffoldError::Contract(_)) { ExitStatus::Failure } else { ExitStatus::Usage };
    Failure::new(status, error)
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let write = || -> std::io::Result<()> {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(path, text)
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

fn next_steps(written: &Written) -> String {
    let Written { provider, folder, files } = written;
    format!(
        "Wrote {} files to {folder}: a crate that compiles, and a `remint` that has {provider}.\n\nNext:\n  \
         cd {folder}\n  \
         cargo run -- providers       it is there, and can do nothing yet\n  \
         cargo test                   the suite says what is left to do\n",
        files.len()
    )
}
