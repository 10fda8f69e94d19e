//! What a machine says of itself, collected in a few rounds.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    time::Duration,
};

use super::config::{Directive, Settings, Text, listener_arguments};
use crate::remote::{Command, RemoteError, Session, quote};

const FACTS: &str = include_str!("facts.sh");
/// How long each round may take; an emulated machine is slow.
const WITHIN: Duration = Duration::from_secs(120);
/// How deep configuration files may include each other, as in OpenSSH.
const INCLUDES: usize = 16;
/// How many files of configuration, users or servers are looked at. A machine that has more is not understood.
const MANY: usize = 2_000;

/// A user of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct User {
    pub(super) name: String,
    pub(super) uid: String,
    pub(super) home: String,
}

/// A user's password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Password {
    Set,
    /// Nothing needs to be typed.
    Empty,
}

/// All that was asked.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) users: Vec<User>,
    pub(super) passwords: BTreeMap<String, Password>,
    /// Servers of other kinds that run.
    pub(super) strangers: BTreeSet<String>,
    /// What each server's `sshd -T` prints, for nobody in particular and for each user.
    pub(super) settings: Vec<Settings>,
    /// What `Match` blocks say: the block, and its lines.
    pub(super) matched: Vec<Directive>,
    /// Files of login keys that exist, by the user whose they are: the path and the text.
    pub(super) key_files: Vec<(String, String, String)>,
    /// Files that trust other hosts.
    pub(super) host_trust: Vec<String>,
    /// Whether there is a Kerberos keytab.
    pub(super) keytab: bool,
}

/// Splits a script's output at its marks.
fn blocks<'a>(text: &'a str, mark: &str) -> Vec<(&'a str, Vec<&'a str>)> {
    let mut blocks: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in text.lines() {
        if let Some(title) = line.strip_prefix(mark) {
            blocks.push((title.trim(), Vec::new()));
        } else if let Some((_, lines)) = blocks.last_mut() {
            lines.push(line);
        }
    }
    blocks
}

/// The blocks of a script's output: the rest of the mark's line, and the lines after it.
type Blocks = Vec<(String, Vec<String>)>;

/// Runs a script that marks its output; gives the blocks, or why it failed.
async fn ask(session: &dyn Session, script: &str) -> Result<Result<Blocks, String>, RemoteError> {
    let mark = format!("remint-{}", uuid::Uuid::new_v4().simple());
    let command = Command::shell(script).env("REMINT_MARK", &mark).timeout(WITHIN);
    let (outcome, text) = session.capture(&command).await?;
    if !outcome.exit.is_success() {
        let last = outcome.tail.last().cloned().unwrap_or_default();
        return Ok(Err(format!("{} {last}", outcome.exit).trim().to_owned()));
    }
    let owned = |(title, lines): (&str, Vec<&str>)| (title.to_owned(), lines.into_iter().map(str::to_owned).collect());
    Ok(Ok(blocks(&text, &mark).into_iter().map(owned).collect()))
}

macro_rules! known {
    ($asked:expr) => {
        match $asked {
            Ok(known) => known,
            Err(reason) => return Ok(Err(reason)),
        }
    };
}

impl Facts {
    /// Asks the machine. The inner error says in words why it cannot be understood.
    pub(super) async fn collect(session: &dyn Session) -> Result<Result<Self, String>, RemoteError> {
        let blocks: BTreeMap<String, Vec<String>> = known!(ask(session, FACTS).await?).into_iter().collect();
        let block = |name: &str| blocks.get(name).map_or(&[][..], Vec::as_slice);
        let mut facts = Self::default();
        for line in block("users") {
            let fields: Vec<&str> = line.split(':').collect();
            let [name, password, uid, _, _, home, ..] = fields[..] else { continue };
            // A password may be in this file itself.
            match password {
                "" => _ = facts.passwords.insert(name.to_owned(), Password::Empty),
                "x" => {}
                locked if locked.starts_with(['!', '*']) => {}
                _ => _ = facts.passwords.insert(name.to_owned(), Password::Set),
            }
            facts.users.push(User { name: name.to_owned(), uid: uid.to_owned(), home: home.to_owned() });
        }
        for line in block("passwords") {
            let Some((user, kind)) = line.rsplit_once(' ') else { continue };
            let kind = if kind == "empty" { Password::Empty } else { Password::Set };
            facts.passwords.insert(user.to_owned(), kind);
        }
        let [server] = block("server") else { return Ok(Err("the machine says nothing of its SSH server".to_owned())) };
        if server.is_empty() {
            return Ok(Err("the machine has no sshd".to_owned()));
        }
        if facts.users.is_empty() || facts.users.len() > MANY {
            return Ok(Err(format!("the machine names {} users", facts.users.len())));
        }
        let mut servers = BTreeSet::new();
        for line in block("processes") {
            let (name, title) = line.split_once(' ').unwrap_or((line, ""));
            if !name.starts_with("sshd") {
                facts.strangers.insert(name.to_owned());
            } else if let Some(arguments) = listener_arguments(title) {
                servers.insert(arguments);
            }
        }
        if servers.is_empty() {
            servers.insert(Vec::new());
        }
        let default = block("config").first().cloned().unwrap_or_else(|| "/etc/ssh/sshd_config".to_owned());
        for arguments in servers {
            known!(facts.server(session, server, &arguments, &default).await?);
        }
        known!(facts.read_key_files(session).await?);
        Ok(Ok(facts))
    }

    /// The configuration of one server. OpenSSH 9.2 prints none for nobody in particular where a block is for a `LocalPort`:
    /// then it cannot be told who may log in, and that is the finding.
    async fn server(
        &mut self,
        session: &dyn Session,
        program: &str,
        arguments: &[String],
        default: &str,
    ) -> Result<Result<(), String>, RemoteError> {
        let words: Vec<_> = arguments.iter().map(|word| quote(word)).collect();
        let call = format!("{} -T {}", quote(program), words.join(" "));
        self.settings.extend(known!(effective(session, &[(call.clone(), String::new())]).await?));
        let file = arguments.iter().position(|word| word == "-f").and_then(|at| arguments.get(at + 1));
        let texts = known!(texts(session, file.map_or(default, String::as_str)).await?);
        let matched = texts.matched();
        if matched.is_empty() {
            return Ok(Ok(()));
        }
        self.matched.extend(matched);
        let for_users: Vec<_> = (self.users.iter())
            .map(|user| {
                let whom =
                    quote(&format!("user={},host=remint.invalid,addr=192.0.2.1,laddr=192.0.2.2,lport=22", user.name));
                (format!("{call} -C {whom}"), user.name.clone())
            })
            .collect();
        self.settings.extend(known!(effective(session, &for_users).await?));
        Ok(Ok(()))
    }

    /// The files of login keys that the settings name, of all users.
    async fn read_key_files(&mut self, session: &dyn Session) -> Result<Result<(), String>, RemoteError> {
        let mut patterns = BTreeSet::new();
        for settings in &self.settings {
            patterns.extend(settings.words("authorizedkeysfile").map(str::to_owned));
        }
        for directive in self.matched.iter().filter(|directive| directive.keyword == "authorizedkeysfile") {
            patterns.extend(directive.words().map(str::to_owned));
        }
        patterns.remove("none");
        let mut files = Vec::new();
        let mut script = "mark=$REMINT_MARK\n".to_owned();
        for user in &self.users {
            for pattern in &patterns {
                let path = expand(pattern, user);
                let number = files.len();
                let quoted = quote(&path);
                // The last `echo` ends a last line that has no end.
                _ = writeln!(
                    script,
                    "if test -f {quoted}; then echo \"$mark {number}\"; cat {quoted}; echo; elif test -e {quoted}; then \
                     echo \"$mark {number}\"; echo 'not a regular file'; fi"
                );
                files.push((user.name.clone(), path));
            }
        }
        let mut trusting: Vec<String> =
            ["/etc/hosts.equiv", "/etc/shosts.equiv", "/etc/ssh/shosts.equiv"].map(str::to_owned).to_vec();
        for user in &self.users {
            trusting.extend([".rhosts", ".shosts"].map(|name| format!("{}/{name}", user.home.trim_end_matches('/'))));
        }
        for file in trusting {
            let quoted = quote(&file);
            _ = writeln!(script, "if test -s {quoted}; then echo \"$mark trust {file}\"; fi", file = plain(&file));
        }
        script.push_str("if test -e /etc/krb5.keytab; then echo \"$mark keytab\"; fi\n");
        for (title, lines) in known!(ask(session, &script).await?) {
            if title == "keytab" {
                self.keytab = true;
            } else if let Some(file) = title.strip_prefix("trust ") {
                self.host_trust.push(file.to_owned());
            } else if let Some((user, path)) = title.parse().ok().and_then(|number: usize| files.get(number)) {
                self.key_files.push((user.clone(), path.clone(), lines.join("\n")));
            }
        }
        self.host_trust.sort();
        self.host_trust.dedup();
        Ok(Ok(()))
    }
}

/// A path inside double quotes of a script.
fn plain(path: &str) -> String {
    path.chars().map(|c| if matches!(c, '"' | '$' | '`' | '\\' | '\n') { '?' } else { c }).collect()
}

/// A path of `AuthorizedKeysFile` for a user.
pub(super) fn expand(pattern: &str, user: &User) -> String {
    let mut out = String::new();
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        match (character, character == '%') {
            (_, true) => match characters.next() {
                Some('h') => out.push_str(&user.home),
                Some('u') => out.push_str(&user.name),
                Some('U') => out.push_str(&user.uid),
                Some(other) => out.push(other),
                None => {}
            },
            (other, false) => out.push(other),
        }
    }
    if out.starts_with('/') { out } else { format!("{}/{out}", user.home.trim_end_matches('/')) }
}

/// What `sshd -T` prints for each call. A configuration that sshd refuses is an error in words.
async fn effective(
    session: &dyn Session,
    calls: &[(String, String)],
) -> Result<Result<Vec<Settings>, String>, RemoteError> {
    let mut script = "mark=$REMINT_MARK\n".to_owned();
    for (number, (call, _)) in calls.iter().enumerate() {
        _ = writeln!(script, "echo \"$mark {number}\"; {call} </dev/null");
    }
    let blocks = match ask(session, &script).await? {
        Ok(blocks) => blocks,
        Err(reason) => return Ok(Err(format!("`sshd -T` failed: {reason}"))),
    };
    let mut all = Vec::new();
    for (title, lines) in blocks {
        let user = title.parse().ok().and_then(|number: usize| calls.get(number)).map(|(_, user)| user.clone());
        let settings = Settings::parse(user.unwrap_or_default(), &lines);
        if settings.words("port").next().is_none() {
            return Ok(Err("`sshd -T` printed no configuration".to_owned()));
        }
        all.push(settings);
    }
    Ok(if all.len() == calls.len() { Ok(all) } else { Err("`sshd -T` printed no configuration".to_owned()) })
}

/// A configuration file with all that it includes.
async fn texts(session: &dyn Session, main: &str) -> Result<Result<Text, String>, RemoteError> {
    let mut text = Text::new(main);
    for _ in 0..=INCLUDES {
        let wanted = text.missing();
        if wanted.is_empty() {
            return Ok(Ok(text));
        }
        let mut script = "mark=$REMINT_MARK\n".to_owned();
        for (number, pattern) in wanted.iter().enumerate() {
            _ = writeln!(
                script,
                "echo \"$mark {number} pattern\"\nfor file in {}; do if test -f \"$file\"; then echo \"$mark {number} \
                 $file\"; cat \"$file\"; echo; fi; done",
                glob(pattern)
            );
        }
        let mut found: Vec<Vec<(String, String)>> = vec![Vec::new(); wanted.len()];
        for (title, lines) in known!(ask(session, &script).await?) {
            let Some((number, path)) = title.split_once(' ') else { continue };
            let Some(files) = number.parse().ok().and_then(|number: usize| found.get_mut(number)) else { continue };
            if path != "pattern" {
                files.push((path.to_owned(), lines.join("\n")));
            }
        }
        for (pattern, files) in wanted.into_iter().zip(found) {
            text.add(pattern, files);
        }
        if text.len() > MANY {
            break;
        }
    }
    Ok(Err(format!("{main} includes too much")))
}

/// A pattern of file names as a word of a script: only its wildcards mean something.
fn glob(pattern: &str) -> String {
    let mut out = String::new();
    for character in pattern.chars() {
        let bare = character.is_ascii_alphanumeric() || "/._-*?[]".contains(character);
        match bare {
            true => out.push(character),
            false => _ = write!(out, "'{}'", if character == '\'' { '?' } else { character }),
        }
    }
    out
}
