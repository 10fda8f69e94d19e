//! The secrets that steps are given, and the proof that none of them is in the image.
//!
//! They travel over the connection as part of the script that the shell reads, into the environment of the step. Nothing of that
//! is a file, or an argument of a process. What a step itself does with a secret only the disk can tell: once the builder is
//! sealed, all of its files are searched.

use std::{collections::BTreeMap, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::BakeError;
use crate::{context::Context, machine::Machine, manifest::RunOptions, recipe::step_name, redact, remote::Command};

/// The variables of one step.
pub(super) type SecretEnv = BTreeMap<String, SecretString>;

/// How long the search may take: it reads the whole disk.
const WITHIN: Duration = Duration::from_secs(1200);
/// A value with fewer characters would be found in files that have nothing to do with it.
const SHORTEST: usize = 8;
/// How much of the base64 form is looked for: a line of it may end after 64 characters.
const ENCODED: usize = 40;

/// Searches every file, except in what is in memory only. The patterns are taken out of the environment, so that they are not in
/// that of the programs, which has a limit. `grep` ends with 2 where a file was gone before it was read; more means that it did
/// not run.
const SEARCH: &str = r#"patterns=$REMINT_PATTERNS
unset REMINT_PATTERNS
for path in /* /.[!.]*; do
    case $path in /proc | /sys | /dev | /run) continue ;; esac
    if test -L "$path" || ! test -e "$path"; then continue; fi
    status=0
    printf '%s\n' "$patterns" | grep -r -l -F -s -f - -- "$path" || status=$?
    if test "$status" -gt 2; then exit "$status"; fi
done
"#;

/// The variables of a step, with their values.
pub(super) async fn secret_env(ctx: &Context, step: &str, run: &RunOptions) -> Result<SecretEnv, BakeError> {
    let mut all = SecretEnv::new();
    for (name, template) in &run.secret_env {
        let value = template.with_secrets(&ctx.loaded.secrets).await;
        let value = value.map_err(|source| BakeError::Secret { step: step.to_owned(), source })?;
        // The text around the secret counts, too: a program that encodes `user:${secret.password}` encodes it as one text.
        redact::learn(&value);
        all.insert(name.clone(), value);
    }
    Ok(all)
}

/// Whether any step is given a secret.
pub(super) fn are_given(ctx: &Context) -> bool {
    let mut steps = ctx.loaded.manifest.image.provision.iter();
    steps.any(|step| step.run().is_some_and(|run| !run.secret_env.is_empty()))
}

/// The variables of all steps. One that cannot be read is reported before anything is created.
pub(super) async fn read_all(ctx: &Context) -> Result<Vec<(String, SecretString)>, BakeError> {
    let mut all = Vec::new();
    for (index, step) in ctx.loaded.manifest.image.provision.iter().enumerate() {
        if let Some(run) = step.run() {
            all.extend(secret_env(ctx, &step_name(index, step), run).await?);
        }
    }
    Ok(all)
}

/// Fails when a file of the sealed builder holds a secret, as it is or in base64.
pub(super) async fn prove_absent(ctx: &Context, builder: &Machine) -> Result<(), BakeError> {
    builder.progress("looking for secrets on the disk");
    let mut patterns = Zeroizing::new(String::new());
    for (name, value) in read_all(ctx).await? {
        match patterns_of(value.expose_secret()) {
            Some(found) => found.iter().for_each(|pattern| {
                patterns.push_str(pattern);
                patterns.push('\n');
            }),
            None => ctx.events.warn(format!("the value of {name} is too short to be looked for in the image")),
        }
    }
    if patterns.is_empty() {
        return Ok(());
    }
    let patterns = SecretString::from(patterns.trim_end_matches('\n'));
    let search = Command::shell(SEARCH).secret_env("REMINT_PATTERNS", patterns).timeout(WITHIN);
    let searched = builder.session().capture(&search).await;
    let (outcome, text) = searched.map_err(BakeError::remote("looking for secrets on the builder"))?;
    if !outcome.exit.is_success() {
        let reason = format!("the search for secrets: {}", outcome.exit);
        return Err(BakeError::Seal { reason, tail: outcome.tail });
    }
    let found: Vec<_> = text.lines().map(str::to_owned).collect();
    if found.is_empty() { Ok(()) } else { Err(BakeError::SecretsLeft { found }) }
}

/// What is looked for: the longest line of the value that is not the frame of a PEM file, and what base64 makes of it wherever it
/// begins. `None` for a value that is too short.
fn patterns_of(value: &str) -> Option<Zeroizing<Vec<String>>> {
    let lines = value.lines().map(str::trim).filter(|line| !line.starts_with("-----"));
    let line = lines.max_by_key(|line| line.len()).filter(|line| line.chars().count() >= SHORTEST)?;
    let mut patterns = Zeroizing::new(vec![line.to_owned()]);
    for before in 0..3 {
        let mut encoded = redact::base64(line.as_bytes(), before);
        encoded.truncate(ENCODED);
        patterns.push(encoded);
    }
    Some(patterns)
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        process::{Command as Process, Stdio},
    };

    use base64::{Engine as _, engine::general_purpose::STANDARD};

    use super::*;

    /// What the search finds below a folder, which stands for the disk.
    fn search(value: &str, root: &std::path::Path) -> Vec<String> {
        let script = SEARCH.replace("/* /.[!.]*", &format!("'{}'/*", root.display()));
        let mut shell = Process::new("sh")
            .args(["-eu", "-s"])
            .env("REMINT_PATTERNS", patterns_of(value).unwrap().join("\n"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        shell.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
        let output = shell.wait_with_output().unwrap();
        assert!(output.status.success());
        let text = String::from_utf8(output.stdout).unwrap();
        let mut found: Vec<_> = text.lines().map(|line| line.rsplit('/').next().unwrap().to_owned()).collect();
        found.sort();
        found
    }

    #[test]
    fn a_secret_is_found_in_any_file_as_it_is_and_in_base64() {
        let root = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| {
            let path = root.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        };
        let value = "-gh_p$token'\"*[x";
        write("etc/app.conf", format!("token = {value}\n").as_bytes());
        write("var/.hidden/binary", format!("\0\u{1}{value}\0").as_bytes());
        write("root/docker.json", STANDARD.encode(format!("user:{value}")).as_bytes());
        write("root/other.json", STANDARD.encode(format!("x{value}\n")).as_bytes());
        write("etc/innocent", b"-gh_p$token'\"*[y\n-gh_p\n");
        write("etc/empty", b"");
        std::os::unix::fs::symlink("nowhere", root.path().join("etc/link")).unwrap();
        assert_eq!(search(value, root.path()), ["app.conf", "binary", "docker.json", "other.json"]);
    }

    #[test]
    fn of_a_value_of_several_lines_the_frame_is_not_looked_for() {
        let key = "-----BEGIN PRIVATE KEY-----\nabc\nMC4CAQAwBQYDK2VwBCIEIA\n-----END PRIVATE KEY-----\n";
        assert_eq!(patterns_of(key).unwrap()[0], "MC4CAQAwBQYDK2VwBCIEIA");
        assert!(patterns_of("1234567").is_none() && patterns_of("a\nb\n").is_none());
    }
}
