//! What the types cannot say: rules about values, and files that must be there.

use std::{collections::BTreeSet, path::Path};

use reqwest::Certificate;

use super::{
    FileProvisioner, HealthCheck, HttpCheck, Links, Manifest, Provisioner, RunOptions, SecretSource, StaticIpChoice,
    config::is_variable_name,
    diagnostics::Reporter,
    dns_names, fleet_rules,
    grounds::{ALLOW, Grounds},
    http_rules, journal_url,
    limits::read_text,
    owner::owner_problem,
    references::{Late, Piece, pieces},
    scripts,
    tree::{Node, Step, show},
};
use crate::{
    provider::{ProviderId, Registry},
    tree::{self, TreeError, parse_mode},
};

struct Checks<'r, 't, 'n> {
    root: &'n Node,
    base_dir: &'n Path,
    grounds: &'n Grounds,
    reporter: &'r mut Reporter<'t>,
}

/// Checks a manifest that has its shape, for one of its providers; `without_recipe` leaves out what only a bake needs.
pub(crate) fn check(
    manifest: &Manifest,
    provider: &ProviderId,
    root: &Node,
    base_dir: &Path,
    grounds: &Grounds,
    without_recipe: bool,
    reporter: &mut Reporter<'_>,
) {
    let mut checks = Checks { root, base_dir, grounds, reporter };
    checks.names(manifest);
    checks.files(manifest);
    if !without_recipe {
        checks.bases(manifest);
        checks.image(manifest);
    }
    checks.config(manifest);
    checks.health(manifest);
    checks.dns(manifest);
    checks.fleet(manifest, provider);
    checks.rest(manifest);
}

/// Whether a text has a late reference of that kind.
fn uses(text: &str, late: Late<'_>) -> bool {
    pieces(text).iter().any(|piece| matches!(piece, Piece::Reference(reference) if reference.late() == Some(late)))
}

fn key(name: &str) -> Step {
    Step::Key(name.to_owned())
}

impl Checks<'_, '_, '_> {
    fn report(&mut self, path: &[Step], message: impl Into<String>, help: Option<&str>) {
        let span = self.root.find(path).span.clone();
        self.reporter.report_new(span, &show(path), message, help.map(str::to_owned));
    }

    fn names(&mut self, manifest: &Manifest) {
        let service = &manifest.service;
        let fits = service.len() <= 32
            && service.starts_with(|c: char| c.is_ascii_lowercase())
            && !service.ends_with('-')
            && service.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        if !fits {
            let help = "use `a-z`, `0-9` and `-`, start with a letter, end without `-`, at most 32 characters";
            self.report(&[key("service")], format!("`{service}` cannot be the name of a service"), Some(help));
        }
    }

    fn mode(&mut self, path: &[Step], mode: &str) {
        if parse_mode(mode).is_none() {
            let help = "write it in octal, such as \"0644\"";
            self.report(path, format!("`{mode}` is not a mode"), Some(help));
        }
    }

    fn absolute(&mut self, path: &[Step], text: &str) {
        if !text.starts_with('/') || text.split('/').any(|component| component == "..") {
            self.report(
                path,
                format!("`{text}` is not an absolute path"),
                Some("it must start with `/`, without `..`"),
            );
        }
    }

    /// Every file that the manifest names lies in its folder, or in one that the user allows.
    fn files(&mut self, manifest: &Manifest) {
        let mut named = Vec::new();
        for (index, step) in manifest.image.provision.iter().enumerate() {
            let at = |name: &str| vec![key("image"), key("provision"), Step::Index(index), key(name)];
            match step {
                Provisioner::File(file) => named.push((at("source"), file.source.as_path())),
                Provisioner::Script(script) => named.push((at("path"), script.path.as_path())),
                Provisioner::Artifact(artifact) => {
                    named.extend(artifact.url.strip_prefix("file:").map(|local| (at("url"), Path::new(local))));
                }
                Provisioner::Shell(_) => {}
            }
        }
        for (index, part) in manifest.instance.user_data.iter().enumerate() {
            named.push((vec![key("instance"), key("user_data"), Step::Index(index), key("path")], part.path.as_path()));
        }
        for (name, source) in &manifest.secrets {
            if let SecretSource::File(file) = source {
                named.push((vec![key("secrets"), key(name), key("file")], file.as_path()));
            }
        }
        if let HealthCheck::Http(HttpCheck { ca: Some(ca), .. }) = &manifest.health.check {
            named.push((vec![key("health"), key("check"), key("http"), key("ca")], ca.as_path()));
        }
        for (path, file) in named {
            if !self.grounds.hold(file) {
                let message = format!("`{}` is outside of the manifest's folder", file.display());
                self.report(&path, message, Some(&format!("move it into the folder, or {ALLOW}")));
            }
        }
    }

    fn exists(&mut self, path: &[Step], file: &Path, folder_too: bool) {
        // Whether something is there is not told of a file that may not be read.
        if !self.grounds.hold(file) {
            return;
        }
        let full = self.base_dir.join(file);
        let shown = file.display();
        match std::fs::metadata(&full) {
            Ok(metadata) if metadata.is_dir() && !folder_too => {
                self.report(path, format!("`{shown}` is a folder, a file is wanted"), None);
            }
            Ok(_) => {}
            Err(error) => {
                let help = format!("paths start at the folder of the manifest: {}", self.base_dir.display());
                self.report(path, format!("cannot read `{shown}`: {error}"), Some(&help));
            }
        }
    }

    fn owner(&mut self, path: &[Step], owner: Option<&str>) {
        if owner.is_some_and(|owner| owner.trim().is_empty() || owner == ":") {
            self.report(path, "the owner is empty", Some("write `user` or `user:group`, or leave it out for root"));
        }
    }

    /// Links that are followed would carry away what the manifest may not name itself.
    fn followed(&mut self, path: &[Step], step: &FileProvisioner) {
        // Nothing is read of a folder that may not be; whatever else is wrong with it is said elsewhere.
        if !self.grounds.hold(&step.source) {
            return;
        }
        let listed = tree::read_within(self.base_dir, step.tree(), &|link| self.grounds.hold(link));
        if let Err(TreeError::Outside { path: link }) = listed {
            let message = format!("`{}` leads out of the manifest's folder, and would be followed", link.display());
            self.report(path, message, Some(&format!("leave it out with `exclude`, or {ALLOW}")));
        }
    }

    fn script(&mut self, path: &[Step], file: &Path) {
        // Nothing is read of a file that may not be.
        if !self.grounds.hold(file) {
            return;
        }
        if let Some((message, help)) = scripts::script_problem(&self.base_dir.join(file)) {
            self.report(path, format!("`{}`: {message}", file.display()), Some(help));
        }
    }

    fn bases(&mut self, manifest: &Manifest) {
        for (id, section) in &manifest.providers {
            if let Err(refused) = Registry::check_base(id.as_str(), &section.base, &section.options) {
                let path = [key("providers"), key(id.as_str()), key("base")];
                self.report(&path, refused.message(), refused.hint());
            }
        }
    }

    fn image(&mut self, manifest: &Manifest) {
        for (index, step) in manifest.image.provision.iter().enumerate() {
            let at = |name: &str| [key("image"), key("provision"), Step::Index(index), key(name)];
            let (mode, destination, run) = match step {
                Provisioner::File(file) => {
                    self.exists(&at("source"), &file.source, true);
                    for (number, pattern) in file.exclude.iter().enumerate() {
                        if let Err(error) = tree::excludes(std::slice::from_ref(pattern)) {
                            let mut path = at("exclude").to_vec();
                            path.push(Step::Index(number));
                            self.report(&path, error.to_string(), None);
                        }
                    }
                    if file.links == Some(Links::Follow) {
                        self.followed(&at("links"), file);
                    }
                    self.owner(&at("owner"), file.owner.as_deref());
                    (file.mode.as_deref(), Some(&file.destination), None)
                }
                Provisioner::Script(script) => {
                    self.exists(&at("path"), &script.path, false);
                    self.script(&at("path"), &script.path);
                    (None, None, Some(&script.run))
                }
                Provisioner::Shell(shell) => {
                    if let Some((number, message, help)) = scripts::inline_problem(&shell.inline) {
                        let mut path = at("inline").to_vec();
                        path.push(Step::Index(number));
                        self.report(&path, message, Some(help));
                    }
                    (None, None, Some(&shell.run))
                }
                Provisioner::Artifact(artifact) => {
                    if artifact.sha256.len() != 64 || !artifact.sha256.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                        let help = "`sha256sum FILE` prints it: 64 hexadecimal digits";
                        self.report(&at("sha256"), format!("`{}` is not a SHA-256", artifact.sha256), Some(help));
                    }
                    match artifact.url.strip_prefix("file:") {
                        Some(local) => self.exists(&at("url"), Path::new(local), false),
                        None if artifact.url.starts_with("https://") || artifact.url.starts_with("http://") => {}
                        None => {
                            let help = "it must start with `https://`, `http://` or `file:`";
                            self.report(&at("url"), format!("`{}` cannot be fetched", artifact.url), Some(help));
                        }
                    }
                    if artifact.destination.ends_with('/') && artifact.file_name().is_none() {
                        let help = "write the whole path, with the name of the file";
                        let message = format!(
                            "`{}` is a folder, and the URL does not end with the name of a file",
                            artifact.destination
                        );
                        self.report(&at("destination"), message, Some(help));
                    }
                    self.owner(&at("owner"), artifact.owner.as_deref());
                    (artifact.mode.as_deref(), Some(&artifact.destination), None)
                }
            };
            if let Some(mode) = mode {
                self.mode(&at("mode"), mode);
            }
            if let Some(destination) = destination {
                self.absolute(&at("destination"), destination);
            }
            if let Some(run) = run {
                if run.timeout.0.is_zero() {
                    self.report(&at("timeout"), "a timeout of zero always fails", None);
                }
                self.variables(&at("env"), run.env.keys());
                self.secret_variables(&at("secret_env"), run);
            }
        }
        self.absolute(&[key("image"), key("script_folder")], &manifest.image.script_folder);
        let mut names = BTreeSet::new();
        for (index, verify) in manifest.image.verify.iter().enumerate() {
            if let Some(name) = verify.name.as_ref().filter(|name| !names.insert(name.as_str())) {
                let path = [key("image"), key("verify"), Step::Index(index), key("name")];
                self.report(&path, format!("there are two checks named `{name}`"), None);
            }
        }
        for (name, timeout) in
            [("boot_timeout", manifest.image.boot_timeout), ("capture_timeout", manifest.image.capture_timeout)]
        {
            if timeout.0.is_zero() {
                self.report(&[key("image"), key(name)], "a timeout of zero always fails", None);
            }
        }
    }

    fn variables<'a>(&mut self, path: &[Step], names: impl Iterator<Item = &'a String>) {
        for name in names.filter(|name| !is_variable_name(name)) {
            let mut path = path.to_vec();
            path.push(key(name));
            let help = "use letters, digits and `_`, and do not start with a digit";
            self.report(&path, format!("`{name}` cannot be the name of an environment variable"), Some(help));
        }
    }

    fn secret_variables(&mut self, path: &[Step], run: &RunOptions) {
        self.variables(path, run.secret_env.keys());
        for (name, template) in &run.secret_env {
            let mut path = path.to_vec();
            path.push(key(name));
            if let Some(text) = template.other_than_secrets().next() {
                let help = "only `${secret.NAME}` is known when a step runs";
                self.report(&path, format!("`{text}` cannot stand here"), Some(help));
            } else if template.secrets().next().is_none() {
                self.report(&path, "there is no `${secret.NAME}` in it", Some("what is no secret belongs in `env`"));
            }
            if run.env.contains_key(name) {
                self.report(&path, format!("`{name}` is in `env`, too"), Some("remove one of them"));
            }
        }
    }

    fn config(&mut self, manifest: &Manifest) {
        for (index, part) in manifest.instance.user_data.iter().enumerate() {
            let path = [key("instance"), key("user_data"), Step::Index(index), key("path")];
            self.exists(&path, &part.path, false);
        }
        let Some(config) = &manifest.config else { return };
        self.absolute(&[key("config"), key("path")], &config.path);
        self.mode(&[key("config"), key("mode")], &config.mode);
        if let Some(help) = owner_problem(&config.owner) {
            let message = format!("`{}` cannot be an owner", config.owner.escape_debug());
            self.report(&[key("config"), key("owner")], message, Some(help));
        }
        self.variables(&[key("config"), key("env")], config.env.keys());
        for (name, template) in &config.env {
            let path = [key("config"), key("env"), key(name)];
            let text = template.as_str();
            if manifest.dns.is_none() && uses(text, Late::Fqdn) {
                self.report(&path, "`${dns.fqdn}` has no value here", Some("add `[dns]`"));
            }
            if *manifest.static_ip() == StaticIpChoice::None && uses(text, Late::StaticIp) {
                let help = match manifest.load_balancer {
                    Some(_) => "an instance behind a load balancer has no static IP; use `${dns.fqdn}`",
                    None => "choose another `address.static_ip` than \"none\"",
                };
                self.report(&path, "`${address.static_ip}` has no value here", Some(help));
            }
        }
    }

    fn health(&mut self, manifest: &Manifest) {
        let health = &manifest.health;
        let at = |kind: &str, name: &str| [key("health"), key("check"), key(kind), key(name)];
        match &health.check {
            HealthCheck::Http(http) => {
                for problem in http_rules::problems(http, manifest.dns.is_some()) {
                    let mut path = vec![key("health"), key("check"), key("http")];
                    path.extend(problem.path);
                    self.report(&path, problem.message, Some(problem.help));
                }
                if let Some(ca) = &http.ca {
                    self.authorities(&at("http", "ca"), ca);
                }
            }
            HealthCheck::Tcp(tcp) if tcp.port == 0 => self.report(&at("tcp", "port"), "port 0 cannot be asked", None),
            HealthCheck::Tcp(_) | HealthCheck::Command(_) => {}
        }
        if health.successes == 0 {
            self.report(&[key("health"), key("successes")], "no success at all would let everything pass", None);
        }
        for (name, duration) in
            [("interval", health.interval), ("timeout", health.timeout), ("start_period", health.start_period)]
        {
            if duration.0.is_zero() {
                self.report(&[key("health"), key(name)], "it must be longer than zero", None);
            }
        }
    }

    /// A file of certificates: there, and with at least one.
    fn authorities(&mut self, path: &[Step], file: &Path) {
        self.exists(path, file, false);
        if !self.grounds.hold(file) {
            return;
        }
        // A file that cannot be read was reported.
        let Ok(pem) = read_text(&self.base_dir.join(file)) else { return };
        if !Certificate::from_pem_bundle(pem.as_bytes()).is_ok_and(|certificates| !certificates.is_empty()) {
            let help = "it starts with `-----BEGIN CERTIFICATE-----`";
            self.report(path, format!("`{}` holds no certificate in PEM form", file.display()), Some(help));
        }
    }

    fn dns(&mut self, manifest: &Manifest) {
        let Some(dns) = &manifest.dns else { return };
        let found = match dns_names::check_zone(&dns.zone) {
            Err(problem) => Some(("zone", problem)),
            Ok(()) => dns_names::check_name(&dns.name, &dns.zone).err().map(|problem| ("name", problem)),
        };
        if let Some((name, problem)) = found {
            self.report(&[key("dns"), key(name)], problem.message, Some(&problem.help));
        }
    }

    fn fleet(&mut self, manifest: &Manifest, provider: &ProviderId) {
        for problem in fleet_rules::problems(manifest) {
            self.report(&problem.path, problem.message, Some(problem.help));
        }
        let dns = manifest.dns.as_ref().and_then(|dns| dns.provider.as_ref()).unwrap_or(provider);
        let (Ok(provider), Ok(dns)) = (Registry::find(provider.as_str()), Registry::find(dns.as_str())) else { return };
        for beyond in manifest.beyond(provider.descriptor, dns.descriptor) {
            self.report(&beyond.path, beyond.message, Some(&beyond.help));
        }
    }

    fn rest(&mut self, manifest: &Manifest) {
        if manifest.deploy.timeout.0.is_zero() {
            self.report(&[key("deploy"), key("timeout")], "a timeout of zero always fails", None);
        }
        if manifest.deploy.keep_images == 0 {
            let help = "the running release needs its image; set it to 1 or more";
            self.report(&[key("deploy"), key("keep_images")], "no image would be kept", Some(help));
        }
        for (index, ssh_key) in manifest.access.ssh_keys.iter().enumerate() {
            if russh::keys::PublicKey::from_openssh(ssh_key).is_err() {
                let path = [key("access"), key("ssh_keys"), Step::Index(index)];
                let help = "write the line of the `.pub` file: `ssh-ed25519 AAAA… name`";
                self.report(&path, "this is not a public key in OpenSSH's form", Some(help));
            }
        }
        for problem in journal_url::problems(&manifest.journal) {
            self.report(&[key("journal"), key(problem.key)], problem.message, Some(problem.help));
        }
        for (name, source) in &manifest.secrets {
            if matches!(source, SecretSource::Command(argv) if argv.is_empty()) {
                self.report(&[key("secrets"), key(name), key("command")], "the command is empty", None);
            }
        }
    }
}
