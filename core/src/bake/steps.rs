//! The steps of a recipe, on the builder.

use std::{collections::BTreeMap, path::Path, time::Duration};

use tokio::time::sleep;

use super::{
    BakeError, apt,
    artifact::Artifacts,
    cause::{self, Failure, Kind},
    files::{self, CopyError, Progress},
    secrets::{SecretEnv, secret_env},
};
use crate::{
    context::Context,
    events::{Event, Stream},
    machine::Machine,
    manifest::{FileProvisioner, LineShell, Provisioner, RunOptions, VerifyCommand},
    provider::Fingerprint,
    recipe::step_name,
    remote::{Command, Completed, Exit, RemoteError, UploadOptions, quote},
    tree::{self, FileEntry, Source},
};

/// The pause before a step is repeated; it doubles each time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// Runs the recipe.
pub(super) struct Steps<'a> {
    ctx: &'a Context,
    fingerprint: &'a Fingerprint,
}

impl<'a> Steps<'a> {
    pub(super) fn new(ctx: &'a Context, fingerprint: &'a Fingerprint) -> Self {
        Self { ctx, fingerprint }
    }

    /// All steps, in their order.
    pub(super) async fn provision(&self, builder: &mut Machine) -> Result<(), BakeError> {
        for warning in self.ctx.loaded.manifest.warnings() {
            self.ctx.events.warn(warning);
        }
        let artifacts = Artifacts::new(&self.ctx.loaded.base_dir)?;
        let doing = "setting up apt";
        builder.progress(doing);
        let set_up = builder.session().exec(&apt::set_up(), &mut |_, _| {}).await.map_err(BakeError::remote(doing))?;
        judge(doing, Kind::Lines, Ok(set_up), false)?;
        for (index, step) in self.ctx.loaded.manifest.image.provision.iter().enumerate() {
            let name = step_name(index, step);
            builder.progress(&*name);
            match step {
                Provisioner::File(file) => self.file(builder, &name, file).await?,
                Provisioner::Script(script) => {
                    let source = self.ctx.loaded.base_dir.join(&script.path);
                    self.script(builder, &name, index, &source, &script.args, &script.run).await?;
                }
                Provisioner::Shell(shell) => {
                    let lines = shell.inline.join("\n");
                    let command = Command::shell(lines);
                    let command = if shell.shell == LineShell::Bash { command.bash() } else { command };
                    self.run(builder, &name, Kind::Lines, &command, &shell.run).await?;
                }
                Provisioner::Artifact(artifact) => {
                    let path = artifacts.fetch(&name, artifact).await?;
                    let mode = artifact.mode.as_deref().map_or(Some(0o644), tree::parse_mode).unwrap_or(0o644);
                    let size = tokio::fs::metadata(&path).await.map_err(|error| {
                        BakeError::copy(&name)(CopyError::Tree(tree::TreeError::read(&path)(error)))
                    })?;
                    let file = FileEntry { path, mode, size: size.len() };
                    let source = Source::File { name: artifact.file_name().unwrap_or_default().into(), file };
                    let (destination, owner) = (&artifact.destination, artifact.owner.as_deref());
                    let mut tell = self.copying(builder, &name);
                    let copied = files::copy(&**builder.session(), source, destination, owner, &mut tell).await;
                    copied.map_err(BakeError::copy(&name))?;
                }
            }
        }
        Ok(())
    }

    /// The verify commands, in their order.
    pub(super) async fn verify(&self, builder: &mut Machine) -> Result<(), BakeError> {
        for (index, verify) in self.ctx.loaded.manifest.image.verify.iter().enumerate() {
            let VerifyCommand { name, command, timeout } = verify;
            let name = format!("verify {} ({})", index + 1, name.as_ref().unwrap_or(command));
            builder.progress(&*name);
            let run = RunOptions { timeout: *timeout, ..RunOptions::default() };
            self.run(builder, &name, Kind::Verify, &Command::shell(command), &run).await?;
        }
        Ok(())
    }

    async fn file(&self, builder: &Machine, name: &str, step: &FileProvisioner) -> Result<(), BakeError> {
        let mut tell = self.copying(builder, name);
        let copied = files::copy_step(&**builder.session(), &self.ctx.loaded.base_dir, step, &mut tell).await;
        copied.map(drop).map_err(BakeError::copy(name))
    }

    /// Tells how far the copy of a step is.
    fn copying(&self, builder: &Machine, name: &str) -> impl FnMut(Progress) + Send + use<'_, 'a> {
        let (events, task, step) = (&self.ctx.events, builder.name().to_owned(), name.to_owned());
        move |Progress { done, all }| {
            events.emit(Event::Copying {
                task: task.clone(),
                step: step.clone(),
                items: done.items,
                of_items: all.items,
                bytes: done.bytes,
                of_bytes: all.bytes,
            });
        }
    }

    async fn script(
        &self,
        builder: &mut Machine,
        name: &str,
        index: usize,
        source: &Path,
        args: &[String],
        run: &RunOptions,
    ) -> Result<(), BakeError> {
        let folder = self.ctx.loaded.manifest.image.script_folder.as_str();
        let folder = if folder == "/" { "" } else { folder.trim_end_matches('/') };
        let path = format!("{folder}/remint-step-{}", index + 1);
        let made = make_folder(builder, name, folder).await?;
        let options = UploadOptions { mode: Some(0o700), owner: None };
        builder.session().upload_file(source, &path, &options).await.map_err(BakeError::remote(name))?;
        let words: Vec<_> = std::iter::once(path.as_str()).chain(args.iter().map(String::as_str)).map(quote).collect();
        self.run(builder, name, Kind::Script(&path), &Command::shell(words.join(" ")), run).await?;
        let remove = match made {
            // What else a step may have put there is its own.
            true => format!("rm -f {}; rmdir {} 2>/dev/null || true", quote(&path), quote(folder)),
            false => format!("rm -f {}", quote(&path)),
        };
        builder.session().exec(&Command::shell(remove), &mut |_, _| {}).await.map(drop).map_err(BakeError::remote(name))
    }

    /// Runs a command with the step's environment, as often as it may be repeated, and waits for its reboot.
    async fn run(
        &self,
        builder: &mut Machine,
        name: &str,
        kind: Kind<'_>,
        command: &Command,
        run: &RunOptions,
    ) -> Result<(), BakeError> {
        let boots_within = self.ctx.loaded.manifest.image.boot_timeout.0;
        let mut pause = FIRST_PAUSE;
        let secrets = secret_env(self.ctx, name, run).await?;
        for attempt in 1.. {
            if builder.session().is_closed() {
                builder.reconnect(boots_within).await?;
            }
            let before = match run.expect_reboot {
                true => builder.boot_id().await.map_err(BakeError::remote(name))?,
                false => String::new(),
            };
            let mut result = self.once(builder, name, command, run, &secrets).await;
            if let Ok(outcome) = &mut result {
                ask(builder, kind, outcome).await;
            }
            let error = match judge(name, kind, result, run.expect_reboot) {
                Ok(()) if run.expect_reboot => return Ok(builder.rebooted(&before, boots_within).await?),
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            if attempt > run.retries {
                return Err(count(error, attempt));
            }
            let message = format!("{name}: attempt {attempt} of {} failed, trying again", run.retries + 1);
            self.ctx.events.warn(message);
            sleep(pause).await;
            pause *= 2;
        }
        Ok(())
    }

    async fn once(
        &self,
        builder: &Machine,
        name: &str,
        command: &Command,
        run: &RunOptions,
        secrets: &SecretEnv,
    ) -> Result<Completed, RemoteError> {
        let mut command = command.clone().timeout(run.timeout.0);
        for (key, value) in self.environment(&run.env) {
            command = command.env(key, value);
        }
        for (key, value) in secrets {
            command = command.secret_env(key, value.clone());
        }
        let mut on_line = |stream: Stream, line: &str| {
            self.ctx.events.emit(Event::Output {
                task: builder.name().to_owned(),
                step: name.to_owned(),
                stream,
                line: line.to_owned(),
            });
        };
        builder.session().exec(&command, &mut on_line).await
    }

    /// What every command of a recipe finds in its environment, and what its step adds.
    fn environment(&self, own: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let mut all = BTreeMap::from([
            ("REMINT_SERVICE".to_owned(), self.ctx.loaded.manifest.service.clone()),
            ("REMINT_FINGERPRINT".to_owned(), self.fingerprint.to_string()),
            ("REMINT_PROVIDER".to_owned(), self.ctx.loaded.provider.to_string()),
            ("DEBIAN_FRONTEND".to_owned(), "noninteractive".to_owned()),
        ]);
        all.extend(own.iter().map(|(key, value)| (key.clone(), value.clone())));
        all
    }
}

/// Makes the folder for scripts where it is not there; whether it was made.
async fn make_folder(builder: &Machine, name: &str, folder: &str) -> Result<bool, BakeError> {
    let quoted = quote(if folder.is_empty() { "/" } else { folder });
    let make = format!("if ! test -d {quoted}; then mkdir -p {quoted}; chmod 700 {quoted}; echo made; fi");
    let (outcome, said) = builder.session().capture(&Command::shell(make)).await.map_err(BakeError::remote(name))?;
    if outcome.exit.is_success() {
        return Ok(said.trim() == "made");
    }
    let hint = "set `[image] script_folder` to a folder that can be made".to_owned();
    let reason = format!("cannot make the folder for scripts: {}", outcome.exit);
    Err(BakeError::Step { step: name.to_owned(), reason, tail: outcome.tail, hint })
}

/// Adds to a failure's last lines what the builder knows of its cause.
async fn ask(builder: &Machine, kind: Kind<'_>, outcome: &mut Completed) {
    if outcome.exit.is_success() {
        return;
    }
    let Some(question) = cause::question(kind, &Failure::Exit(outcome.exit.clone()), &outcome.tail) else { return };
    // Without an answer the failure is reported as it is.
    if let Ok((_, answer)) = builder.session().capture(&question).await {
        outcome.tail.extend(answer.lines().map(str::to_owned));
    }
}

/// Whether a run of a step counts as done. One that reboots the machine may be cut off by that.
fn judge(
    step: &str,
    kind: Kind<'_>,
    result: Result<Completed, RemoteError>,
    expect_reboot: bool,
) -> Result<(), BakeError> {
    let failed = |reason: String, failure: Failure, tail: Vec<String>| {
        let hint = cause::hint(kind, &failure, &tail);
        Err(BakeError::Step { step: step.to_owned(), reason, tail, hint })
    };
    match result {
        Ok(outcome) if outcome.exit.is_success() => Ok(()),
        Ok(Completed { exit: Exit::Signal(_), .. }) | Err(RemoteError::ConnectionLost { .. }) if expect_reboot => {
            Ok(())
        }
        Ok(outcome) => failed(outcome.exit.to_string(), Failure::Exit(outcome.exit), outcome.tail),
        Err(error @ RemoteError::CommandTimeout { .. }) => {
            failed(error.to_string(), Failure::Timeout, error.tail().to_vec())
        }
        Err(error @ RemoteError::ConnectionLost { .. }) => {
            failed(error.to_string(), Failure::Lost, error.tail().to_vec())
        }
        Err(error) => Err(BakeError::remote(step)(error)),
    }
}

/// Says after how many attempts a step was given up.
fn count(error: BakeError, attempts: u32) -> BakeError {
    match error {
        BakeError::Step { step, reason, tail, hint } if attempts > 1 => {
            BakeError::Step { step, reason: format!("{reason}, in the last of {attempts} attempts"), tail, hint }
        }
        error => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(exit: Exit) -> Result<Completed, RemoteError> {
        Ok(Completed { exit, tail: vec!["last words".into()], elapsed: Duration::ZERO })
    }

    fn lost() -> Result<Completed, RemoteError> {
        let endpoint = ([127, 0, 0, 1], 22).into();
        Err(RemoteError::ConnectionLost { endpoint, doing: "running a command".into(), tail: Vec::new() })
    }

    #[test]
    fn a_failure_is_told_with_the_last_lines() {
        let error = judge("step 2 (shell)", Kind::Lines, ended(Exit::Status(3)), false).unwrap_err();
        assert_eq!(error.to_string(), "step 2 (shell) failed: exit status 3; its last lines:\n  last words");
        let error = count(error, 3);
        assert!(error.to_string().contains("exit status 3, in the last of 3 attempts"), "{error}");
    }

    #[test]
    fn only_a_step_that_reboots_may_be_cut_off() {
        assert!(judge("s", Kind::Lines, lost(), true).is_ok());
        assert!(judge("s", Kind::Lines, ended(Exit::Signal("TERM".into())), true).is_ok());
        assert!(judge("s", Kind::Lines, ended(Exit::Status(1)), true).is_err());
        assert!(judge("s", Kind::Lines, ended(Exit::Signal("KILL".into())), false).is_err());
        let error = judge("s", Kind::Lines, lost(), false).unwrap_err();
        assert!(error.hint().unwrap().contains("expect_reboot"));
        let error = judge("verify 1", Kind::Verify, lost(), false).unwrap_err();
        assert!(!error.hint().unwrap().contains("expect_reboot"), "a verify command has no such key");
    }
}
