//! Puts the user data together.

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};
use zeroize::{Zeroize, Zeroizing};

use super::{
    UserDataError, cloud_config, env_file,
    mime::{self, Part},
    owner, pack,
};
use crate::{
    manifest::{RenderedConfig, is_root},
    provider::{Guest, GuestFile, user_data_size},
};

/// Where Remint's own settings of the SSH server go. The server takes the first value that it reads of a setting; files in
/// this folder are read in the order of their names, and before the rest of the main file, which includes them at its top.
pub(crate) const SSH_DROP_IN: &str = "/etc/ssh/sshd_config.d/00-remint.conf";

/// The owner of what the machine itself needs.
const ROOT: &str = "root:root";

/// Images may say `PermitRootLogin no`, as Google's do. A server that was started already has another host key, too, and is
/// restarted with this; one that a socket starts reads its files when somebody connects.
const SSH_SETTINGS: &str =
    "# Written by Remint, which logs in as root by key.\nPermitRootLogin prohibit-password\nPubkeyAuthentication yes\n";

/// User data in the making.
///
/// Remint's own part installs the host key and the login keys, so that the first connection is verified and nobody else
/// gets in, and writes the files that keep it so: those that the provider declares ([`Guest::files`]), and settings of the
/// SSH server that let root in by key. Then come the service's configuration and the user's parts.
///
/// ```
/// use remint_core::{provider::Guest, userdata::UserData};
///
/// let host_key = "-----BEGIN OPENSSH PRIVATE KEY-----\n…\n-----END OPENSSH PRIVATE KEY-----\n".into();
/// let user_data = UserData::new(&host_key, &Guest::CLOUD_INIT).authorize("ssh-ed25519 AAAA… remint").build(64 * 1024)?;
/// # Ok::<(), remint_core::userdata::UserDataError>(())
/// ```
#[derive(Debug)]
pub struct UserData {
    host_key: SecretString,
    authorized: Vec<String>,
    hostname: Option<String>,
    files: Vec<File>,
    /// Commands before files are written.
    boot: Vec<Value>,
    /// Commands after users and packages are there.
    run: Vec<Value>,
    parts: Vec<Part>,
    gzip: bool,
}

#[derive(Debug)]
struct File {
    path: String,
    owner: &'static str,
    mode: String,
    content: SecretString,
    append: bool,
}

impl UserData {
    /// Starts with the machine's ed25519 host key: the private key in OpenSSH's PEM form. cloud-init derives the public
    /// one from it. `guest` is what the provider's descriptor says of its machines.
    pub fn new(host_key_pem: &SecretString, guest: &Guest) -> Self {
        let ssh = GuestFile { path: SSH_DROP_IN, content: SSH_SETTINGS, append: false };
        Self {
            host_key: host_key_pem.clone(),
            authorized: Vec::new(),
            hostname: None,
            files: std::iter::once(&ssh).chain(guest.files).map(File::from).collect(),
            boot: Vec::new(),
            run: Vec::new(),
            parts: Vec::new(),
            gzip: guest.gzip,
        }
    }

    /// Lets a public key, in OpenSSH's one-line form, log in as root.
    #[must_use]
    pub fn authorize(mut self, public_key: impl Into<String>) -> Self {
        self.authorized.push(public_key.into());
        self
    }

    /// Sets the host name that cloud-init gives the machine.
    #[must_use]
    pub fn hostname(mut self, name: impl Into<String>) -> Self {
        self.hostname = Some(name.into());
        self
    }

    /// Writes the service's configuration as an environment file, and restarts its units.
    pub fn config(mut self, config: &RenderedConfig) -> Result<Self, UserDataError> {
        let content = SecretString::from(env_file::write(&config.env)?.as_str());
        let RenderedConfig { path, owner, mode, restart, .. } = config;
        let is_root = is_root(owner);
        if !is_root {
            self.boot.push(owner::early(path, owner));
            self.run.push(owner::late(path, owner));
        }
        let owner = if is_root { ROOT } else { owner::KEPT };
        self.files.push(File { path: path.clone(), owner, mode: mode.clone(), content, append: false });
        self.run.extend(restart.iter().map(|unit| cloud_config::restart(unit)));
        Ok(self)
    }

    /// Adds a part of the user's; its first line tells its kind. `name` is its file, for messages.
    pub fn part(mut self, name: impl Into<String>, body: &SecretString) -> Result<Self, UserDataError> {
        let name = name.into();
        let body = Zeroizing::new(body.expose_secret().to_owned());
        let content_type = mime::content_type(&body).ok_or_else(|| UserDataError::Kind(name.clone()))?;
        self.parts.push(Part { name, content_type, body });
        Ok(self)
    }

    /// Composes all of it: always as multi-part MIME, and the same bytes from the same input. What is longer than the limit is
    /// compressed where the provider's machines take that ([`Guest::gzip`]); [`super::size`] measures either.
    pub fn build(self, limit_bytes: usize) -> Result<SecretString, UserDataError> {
        let mut config = self.own_config();
        let own = cloud_config::render(&config);
        wipe(&mut config);
        let mut parts = vec![Part { name: "remint.cfg".to_owned(), content_type: "text/cloud-config", body: own }];
        parts.extend(self.parts);
        let mut document = mime::compose(&parts);
        if document.len() > limit_bytes && self.gzip {
            document = pack::pack(&document);
        }
        let size = user_data_size(&document);
        if size > limit_bytes {
            let sizes = parts.iter().map(|part| format!("{} {}", part.name, part.body.len()));
            let parts = sizes.collect::<Vec<_>>().join(", ");
            return Err(UserDataError::TooLarge { size, limit: limit_bytes, parts });
        }
        Ok(SecretString::from(document.as_str()))
    }

    fn own_config(&self) -> Value {
        let mut pem = Zeroizing::new(self.host_key.expose_secret().to_owned());
        if !pem.ends_with('\n') {
            pem.push('\n');
        }
        let mut out = Map::new();
        out.insert("ssh_deletekeys".into(), json!(true));
        out.insert("ssh_keys".into(), json!({ "ed25519_private": pem.as_str() }));
        // Root itself, and no default user beside it. `disable_root` would put a command before the keys that a cloud
        // hands over, and refuse the login.
        out.insert("disable_root".into(), json!(false));
        out.insert("users".into(), json!([{ "name": "root", "ssh_authorized_keys": self.authorized }]));
        out.insert("ssh_pwauth".into(), json!(false));
        // A cloud may hand over an expired root password, which would refuse every login, keys included.
        out.insert("chpasswd".into(), json!({ "expire": false }));
        if let Some(hostname) = &self.hostname {
            out.insert("hostname".into(), json!(hostname));
            out.insert("preserve_hostname".into(), json!(false));
            // The machine resolves its own name, and the other lines of the file stay as the image has them.
            if !self.parts.iter().any(|part| part.sets("manage_etc_hosts")) {
                out.insert("manage_etc_hosts".into(), json!("localhost"));
            }
        }
        let files: Vec<Value> = self.files.iter().map(File::entry).collect();
        out.insert("write_files".into(), Value::Array(files));
        for (key, commands) in [("bootcmd", &self.boot), ("runcmd", &self.run)] {
            if !commands.is_empty() {
                out.insert(key.into(), Value::Array(commands.clone()));
            }
        }
        Value::Object(out)
    }
}

impl File {
    fn entry(&self) -> Value {
        let mut entry = json!({
            "path": self.path,
            "owner": self.owner,
            "permissions": self.mode,
            "content": self.content.expose_secret(),
        });
        if self.append {
            entry["append"] = json!(true);
        }
        entry
    }
}

impl From<&GuestFile> for File {
    fn from(file: &GuestFile) -> Self {
        Self {
            path: file.path.to_owned(),
            owner: ROOT,
            mode: "0644".to_owned(),
            content: SecretString::from(file.content),
            append: file.append,
        }
    }
}

/// Overwrites the texts in a JSON value, which held secrets.
fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(fields) => fields.values_mut().for_each(wipe),
        _ => {}
    }
}

#[cfg(test)]
#[path = "builder_tests.rs"]
mod tests;
