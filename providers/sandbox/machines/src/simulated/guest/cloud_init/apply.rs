//! Doing what the user data says.

use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use super::{
    accounts,
    parts::{self, Parts, list},
};
use crate::simulated::{
    disk::{Disk, DiskError, lock, parent},
    machine::Machine,
    shell::{self, Ended, Host, Input, Job, Output},
};

const LOG: &str = "/var/log/cloud-init.log";
const OUTPUT: &str = "/var/log/cloud-init-output.log";

/// Keys that mean something here.
const KNOWN: &str = "ssh_keys ssh_authorized_keys users disable_root write_files hostname runcmd bootcmd chpasswd fqdn \
                     groups manage_etc_hosts";

/// The module that runs the script of `runcmd` and the user's own, as 22.4.2 names it.
const SCRIPTS: &str = "scripts-user";

/// How a first boot goes.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    first_boot: bool,
    errors: Vec<String>,
    parts: Parts,
}

fn folder(machine: &Machine) -> String {
    format!("/var/lib/cloud/instances/{}", machine.spec().id)
}

/// The first stage: before SSH answers.
pub(crate) async fn early(machine: &Machine, host: &Host, power: &CancellationToken) -> Progress {
    let spec = machine.spec();
    let folder = folder(machine);
    if lock(machine.disk()).exists(&format!("{folder}/boot-finished")) {
        return Progress::default();
    }
    let user_data = spec.user_data.clone().unwrap_or_default();
    let parts = parts::parse(user_data.as_bytes());
    let mut progress = Progress { first_boot: true, errors: parts.errors.clone(), parts };
    let set_up = prepare(&mut lock(machine.disk()), &folder, &user_data);
    if let Err(error) = set_up {
        progress.errors.push(format!("cannot set up {folder}: {error}"));
    }
    for hook in progress.parts.hooks.clone() {
        if let Err(ended) = progress.run(machine, host, power, "boothook", &hook).await {
            progress.errors.push(format!("Failed to run boothook: {ended}"));
        }
    }
    for command in commands(progress.parts.config.get("bootcmd")) {
        if let Err(ended) = progress.run(machine, host, power, "bootcmd", &command).await {
            progress.errors.push(module_error("bootcmd", "ProcessExecutionError", &ended));
        }
    }
    let config = progress.parts.config.clone();
    {
        let mut disk = lock(machine.disk());
        for file in list(config.get("write_files")) {
            if let Err(error) = write_file(&mut disk, &file) {
                progress.errors.push(module_error("write-files", "OSError", &error));
            }
        }
        let name = config.get("hostname").and_then(Value::as_str).unwrap_or(&spec.name);
        if let Err(error) = identify(&mut disk, name, config.get("manage_etc_hosts")) {
            progress.errors.push(module_error("set-hostname", "OSError", &error.to_string()));
        }
        if let Err(error) = accounts::make(&mut disk, &config) {
            progress.errors.push(module_error("users-groups", "OSError", &error.to_string()));
        }
        if let Err(error) = keys(&mut disk, &config, &spec.ssh_keys) {
            progress.errors.push(module_error("ssh", "OSError", &error.to_string()));
        }
        for key in config.keys().filter(|key| !KNOWN.split(' ').any(|known| known == *key)) {
            log(&mut disk, &format!("cc_{key}: not simulated, skipped"));
        }
    }
    machine.log("cloud-init[500]: Cloud-init v. 22.4.2 finished stage 'init'");
    progress
}

/// The last stage: scripts. Gives whether everything went well.
pub(crate) async fn late(mut progress: Progress, machine: &Machine, host: &Host, power: &CancellationToken) -> bool {
    if progress.first_boot {
        let run = commands(progress.parts.config.get("runcmd"));
        let mut scripts = progress.parts.scripts.clone();
        if !run.is_empty() {
            scripts.insert(0, ("runcmd".to_owned(), format!("#!/bin/sh\n{}\n", run.join("\n"))));
        }
        let mut failed = Vec::new();
        for (name, script) in &scripts {
            if progress.run(machine, host, power, name, script).await.is_err() {
                failed.push(name.as_str());
            }
        }
        if !failed.is_empty() {
            let (count, names) = (failed.len(), failed.join(","));
            let said = format!("Runparts: {count} failures ({names}) in {} attempted commands", scripts.len());
            progress.errors.push(module_error(SCRIPTS, "RuntimeError", &said));
        }
    }
    for error in &progress.errors {
        machine.log(&format!("cloud-init[600]: error: {error}"));
    }
    let written = conclude(&mut lock(machine.disk()), &folder(machine), &progress.errors);
    machine.log("cloud-init[600]: Cloud-init v. 22.4.2 finished. Datasource DataSourceDigitalOcean");
    if let Err(error) = written {
        machine.log(&format!("cloud-init[600]: cannot write its result: {error}"));
    }
    progress.errors.is_empty()
}

impl Progress {
    /// Runs a script; an error says how it ended.
    async fn run(
        &self,
        machine: &Machine,
        host: &Host,
        power: &CancellationToken,
        name: &str,
        script: &str,
    ) -> Result<(), String> {
        let output = Output::File { disk: machine.disk().clone(), path: OUTPUT.to_owned() };
        let job = Job {
            script: script.to_owned(),
            arguments: vec![name.to_owned()],
            environment: vec![("INSTANCE_ID".to_owned(), machine.spec().id.to_string())],
            input: Input::empty(),
            out: output.clone(),
            err: output,
        };
        match shell::run(host, job, power).await {
            Ended::Code(0) => Ok(()),
            ended => Err(format!("{ended:?}")),
        }
    }
}

/// A failed module as `result.json` lists it: Python's way of writing a pair of its name and the exception.
fn module_error(module: &str, exception: &str, text: &str) -> String {
    format!("('{module}', {exception}('{}'))", text.replace('\'', "\\'"))
}

/// What the log of 22.4.2 has of a failed module: its warning and the end of its event.
fn module_log(error: &str) -> Option<[String; 2]> {
    let module = error.strip_prefix("('")?.split('\'').next()?;
    let file = module.replace('-', "_");
    let python = "/usr/lib/python3/dist-packages/cloudinit/config";
    let which = format!("<module 'cloudinit.config.cc_{file}' from '{python}/cc_{file}.py'>");
    let stage = if module == SCRIPTS { "modules-final" } else { "modules-config" };
    let how = format!("running config-{module} with frequency once-per-instance");
    Some([
        format!("util.py[WARNING]: Running module {module} ({which}) failed"),
        format!("handlers.py[DEBUG]: finish: {stage}/config-{module}: FAIL: {how}"),
    ])
}

fn log(disk: &mut Disk, line: &str) {
    // A full disk loses its log first.
    disk.append(LOG, format!("{line}\n").as_bytes()).ok();
}

fn prepare(disk: &mut Disk, folder: &str, user_data: &str) -> Result<(), DiskError> {
    disk.mkdir_all(folder)?;
    disk.mkdir_all("/run/cloud-init")?;
    disk.mkdir_all("/var/log")?;
    if disk.get_link("/var/lib/cloud/instance").is_ok() {
        disk.remove_tree("/var/lib/cloud/instance")?;
    }
    disk.symlink(folder, "/var/lib/cloud/instance")?;
    let file = format!("{folder}/user-data.txt");
    disk.write(&file, user_data.as_bytes())?;
    disk.update(&file, |node| node.mode = 0o600)?;
    // A new instance never keeps the host keys of the image that it came from.
    for name in disk.list("/etc/ssh").unwrap_or_default() {
        if name.starts_with("ssh_host_") {
            disk.unlink(&format!("/etc/ssh/{name}"))?;
        }
    }
    Ok(())
}

fn conclude(disk: &mut Disk, folder: &str, errors: &[String]) -> Result<(), DiskError> {
    disk.mkdir_all("/run/cloud-init")?;
    let result = json!({ "v1": { "datasource": "DataSourceDigitalOcean", "errors": errors } });
    disk.write("/run/cloud-init/result.json", format!("{result:#}\n").as_bytes())?;
    let status = json!({ "v1": { "datasource": "DataSourceDigitalOcean", "stage": null,
        "init-local": { "errors": [] }, "init": { "errors": [] }, "modules-config": { "errors": [] },
        "modules-final": { "errors": errors } } });
    disk.write("/run/cloud-init/status.json", format!("{status:#}\n").as_bytes())?;
    for error in errors {
        match module_log(error) {
            Some(lines) => lines.iter().for_each(|line| log(disk, line)),
            None => log(disk, &format!("util.py[ERROR]: {error}")),
        }
    }
    disk.mkdir_all(folder)?;
    disk.write(&format!("{folder}/boot-finished"), b"finished\n")
}

fn strings(value: Option<&Value>) -> Vec<String> {
    list(value).iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Commands as lines for the shell: a text as it is, a list with each word quoted.
fn commands(value: Option<&Value>) -> Vec<String> {
    let quote = |word: &Value| {
        let text = word.as_str().map_or_else(|| word.to_string(), str::to_owned);
        format!("'{}'", text.replace('\'', r"'\''"))
    };
    let line = |command: &Value| match command {
        Value::Array(words) => words.iter().map(quote).collect::<Vec<_>>().join(" "),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    list(value).iter().map(line).collect()
}

fn write_file(disk: &mut Disk, file: &Value) -> Result<(), String> {
    let text = |key: &str| file.get(key).and_then(Value::as_str);
    let path = text("path").ok_or("an entry without a path")?;
    let mut data = text("content").unwrap_or_default().as_bytes().to_vec();
    let encoding = text("encoding").unwrap_or_default();
    if encoding.contains("b64") || encoding.contains("base64") {
        data = parts::from_base64(&data)?;
    }
    if encoding.contains("gz") {
        data = parts::unpack(data)?;
    }
    let append = file.get("append").and_then(Value::as_bool) == Some(true);
    let mode = match file.get("permissions") {
        Some(Value::Number(number)) => number.as_u64().map_or(0o644, |mode| mode as u32),
        Some(Value::String(octal)) => u32::from_str_radix(octal.trim_start_matches("0o"), 8)
            .map_err(|_| format!("{path}: permissions {octal}"))?,
        _ => 0o644,
    };
    let (owner, group) = accounts::owner(disk, text("owner").unwrap_or("root:root"))?;
    let mut write = || {
        disk.mkdir_all(parent(path))?;
        if append {
            disk.append(path, &data)?
        } else {
            disk.write(path, &data)?
        }
        disk.update(path, |node| {
            node.mode = mode;
            node.give(owner.as_deref(), group.as_deref());
        })
    };
    write().map_err(|error| format!("{path}: {error}"))
}

/// The machine's name, and its line in `/etc/hosts` where `manage_etc_hosts` asks for it: among those that are there, or as all
/// that the distribution's template has.
fn identify(disk: &mut Disk, name: &str, hosts: Option<&Value>) -> Result<(), DiskError> {
    disk.write("/etc/hostname", format!("{name}\n").as_bytes())?;
    let own = format!("127.0.1.1 {name} {name}");
    match hosts {
        Some(Value::String(text)) if text == "localhost" => {
            let before = disk.text("/etc/hosts");
            if before.lines().any(|line| line == own) {
                return Ok(());
            }
            let gap = if before.is_empty() || before.ends_with('\n') { "" } else { "\n" };
            disk.write("/etc/hosts", format!("{before}{gap}{own}\n").as_bytes())
        }
        Some(Value::Bool(true)) => disk.write("/etc/hosts", format!("{own}\n127.0.0.1 localhost\n").as_bytes()),
        _ => Ok(()),
    }
}

/// Host keys and root's login keys. Root may log in unless `disable_root` is set, as DigitalOcean's vendor data has it.
fn keys(disk: &mut Disk, config: &Map<String, Value>, from_cloud: &[String]) -> Result<(), DiskError> {
    if let Some(Value::Object(keys)) = config.get("ssh_keys") {
        for (name, value) in keys {
            let Some((kind, half)) = name.rsplit_once('_') else { continue };
            let (suffix, mode) = if half == "private" { ("", 0o600) } else { (".pub", 0o644) };
            let path = format!("/etc/ssh/ssh_host_{kind}_key{suffix}");
            disk.mkdir_all("/etc/ssh")?;
            let text = value.as_str().unwrap_or_default().trim_end();
            disk.write(&path, format!("{text}\n").as_bytes())?;
            disk.update(&path, |node| node.mode = mode)?;
        }
    }
    let mut authorized = from_cloud.to_vec();
    authorized.extend(strings(config.get("ssh_authorized_keys")));
    for user in list(config.get("users")) {
        if user.get("name").and_then(Value::as_str) == Some("root") {
            authorized.extend(strings(user.get("ssh_authorized_keys").or_else(|| user.get("ssh-authorized-keys"))));
        }
    }
    let refused = config.get("disable_root").and_then(Value::as_bool) == Some(true);
    if authorized.is_empty() || refused {
        return Ok(());
    }
    disk.mkdir_all("/root/.ssh")?;
    disk.update("/root/.ssh", |node| node.mode = 0o700)?;
    let file = "/root/.ssh/authorized_keys";
    let before = disk.text(file);
    for key in authorized.iter().map(|key| key.trim()) {
        if !before.lines().any(|line| line == key) {
            disk.append(file, format!("{key}\n").as_bytes())?;
        }
    }
    disk.update(file, |node| node.mode = 0o600)
}
