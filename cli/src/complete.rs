//! What a shell is offered where the manifest or the journal knows the values: environments and releases.
//!
//! The shell runs `remint` itself to complete a line (`clap_complete`'s engine), so that one description of the command line
//! serves bash, zsh and fish, and the values are those of the folder that the line works in. Nothing is said on failure: a
//! manifest that cannot be read has no completions.

use std::{ffi::OsStr, path::PathBuf};

use clap_complete::CompletionCandidate;
use remint_core::manifest;

use crate::{
    args::GlobalArgs,
    run::process_env,
    session,
    settings::{Reach, Settings},
};

pub(crate) fn environments(word: &OsStr) -> Vec<CompletionCandidate> {
    let names = manifest::environments(&settings(&words()).manifest_path());
    matching(word, names.into_iter().map(CompletionCandidate::new))
}

/// The releases of the environment that the line names, the newest first.
pub(crate) fn releases(word: &OsStr) -> Vec<CompletionCandidate> {
    let settings = settings(&words());
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return Vec::new() };
    let read = async {
        let (_, journal) = session::with_journal(&settings, true).await.ok()?;
        journal.history().await.ok()
    };
    let mut releases = runtime.block_on(read).unwrap_or_default();
    releases.sort_by_key(|release| std::cmp::Reverse(release.id()));
    let candidates = releases.iter().map(|release| {
        let at = release.record.created_at.strftime("%Y-%m-%d %H:%M");
        CompletionCandidate::new(release.id().to_string()).help(Some(format!("{}, {at}", release.phase()).into()))
    });
    matching(word, candidates)
}

fn matching(word: &OsStr, candidates: impl Iterator<Item = CompletionCandidate>) -> Vec<CompletionCandidate> {
    let word = word.to_string_lossy();
    candidates.filter(|candidate| candidate.get_value().to_string_lossy().starts_with(&*word)).collect()
}

/// The words of the line that is completed: the shell passes them behind `--`.
fn words() -> Vec<String> {
    std::env::args_os()
        .map(|word| word.to_string_lossy().into_owned())
        .skip_while(|word| word != "--")
        .skip(1)
        .collect()
}

/// Where an unfinished line works: it cannot be parsed as a whole.
fn settings(words: &[String]) -> Settings {
    let value = |short: &str, long: &str| {
        let spaced =
            words.windows(2).rev().find(|pair| pair[0] == short || pair[0] == long).map(|pair| pair[1].clone());
        spaced.or_else(|| {
            words.iter().rev().find_map(|word| Some(word.strip_prefix(long)?.strip_prefix('=')?.to_owned()))
        })
    };
    let process_env = process_env();
    let env = value("-e", "--env").or_else(|| process_env.get("REMINT_ENV").cloned());
    let directory = value("-C", "--directory").map(PathBuf::from);
    let settings = Settings::new(GlobalArgs { directory, env, ..GlobalArgs::default() }, process_env);
    Settings { reach: Reach::Look { secrets: false }, ..settings }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unfinished_line_says_where_it_works() {
        let of = |line: &str| settings(&line.split(' ').map(str::to_owned).collect::<Vec<_>>());
        let found = of("remint -C web --env=staging rollback ");
        assert_eq!((found.directory, found.env), (PathBuf::from("web"), Some("staging".to_owned())));
        let found = of("remint rollback -e production r");
        assert_eq!((found.directory, found.env), (PathBuf::from("."), Some("production".to_owned())));
    }
}
