//! `sshd -T`: what the machine's own SSH configuration says, as OpenSSH 9.2 prints it.
//!
//! The simulated server itself knows root and one file of login keys. What is answered here is what a real server would make of
//! the files on the disk. A criterion of `Match` that is not known is an error, and not a guess.

use std::collections::BTreeMap;

use super::super::{
    flags::Words,
    pattern::{marked, matches},
    work::Work,
};
use crate::simulated::disk::lock;

/// How deep files may include each other.
const DEPTH: usize = 16;

/// What is printed where the files say nothing. Keywords that Debian's server has and that are not here are not printed.
const DEFAULTS: [(&str, &str); 22] = [
    ("port", "22"),
    ("usepam", "no"),
    ("permitrootlogin", "without-password"),
    ("pubkeyauthentication", "yes"),
    ("passwordauthentication", "yes"),
    ("kbdinteractiveauthentication", "yes"),
    ("permitemptypasswords", "no"),
    ("hostbasedauthentication", "no"),
    ("ignorerhosts", "yes"),
    ("kerberosauthentication", "no"),
    ("gssapiauthentication", "no"),
    ("strictmodes", "yes"),
    ("authorizedkeysfile", ".ssh/authorized_keys .ssh/authorized_keys2"),
    ("authorizedkeyscommand", "none"),
    ("authorizedkeyscommanduser", "none"),
    ("authorizedprincipalsfile", "none"),
    ("authorizedprincipalscommand", "none"),
    ("trustedusercakeys", "none"),
    ("authenticationmethods", "any"),
    ("hostkeyalgorithms", "ssh-ed25519,ecdsa-sha2-nistp256,rsa-sha2-512,rsa-sha2-256"),
    ("pubkeyacceptedalgorithms", "ssh-ed25519,ecdsa-sha2-nistp256,rsa-sha2-512,rsa-sha2-256"),
    ("hostkey", "/etc/ssh/ssh_host_rsa_key\n/etc/ssh/ssh_host_ecdsa_key\n/etc/ssh/ssh_host_ed25519_key"),
];

/// Keywords that may stand several times and add up.
const LISTS: [&str; 8] =
    ["port", "hostkey", "listenaddress", "allowusers", "denyusers", "allowgroups", "denygroups", "acceptenv"];

pub(super) fn sshd(work: &mut Work<'_>, _: Words) {
    let (mut test, mut user, mut file) = (false, None, "/etc/ssh/sshd_config".to_owned());
    let mut words = work.arguments.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "-T" | "-t" => test = true,
            "-C" => {
                let given = words.next().map(String::as_str).unwrap_or_default();
                user = given.split(',').find_map(|pair| pair.strip_prefix("user=")).map(str::to_owned);
            }
            "-f" => file = words.next().cloned().unwrap_or_default(),
            "-D" => {}
            other => return work.lack(other),
        }
    }
    if !test {
        return work.fail("a simulated machine's server cannot be started; it runs from the boot on");
    }
    let mut read = Reading { user, applies: true, said: BTreeMap::new(), refused: None };
    read.file(work, &file, 0);
    if let Some(reason) = read.refused {
        return work.fail_with(255, reason);
    }
    for (keyword, value) in DEFAULTS {
        read.said.entry(keyword.to_owned()).or_insert_with(|| value.lines().map(str::to_owned).collect());
    }
    if work.arguments.iter().any(|word| word == "-T") {
        for (keyword, values) in &read.said {
            for value in values {
                work.line(&format!("{keyword} {value}"));
            }
        }
    }
}

/// The files on the way to their meaning.
struct Reading {
    user: Option<String>,
    /// Whether the block that is being read applies.
    applies: bool,
    said: BTreeMap<String, Vec<String>>,
    refused: Option<String>,
}

impl Reading {
    fn file(&mut self, work: &Work<'_>, path: &str, depth: usize) {
        if depth > DEPTH {
            self.refused = Some(format!("{path}: too many levels of Include"));
            return;
        }
        let text = lock(work.disk).text(path);
        let outer = self.applies;
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (keyword, value) = line.split_once([' ', '\t', '=']).unwrap_or((line, ""));
            let value = value.trim().trim_start_matches('=').trim().replace('"', "");
            match keyword.to_ascii_lowercase().as_str() {
                "include" => {
                    for pattern in value.split_whitespace() {
                        for found in included(work, pattern) {
                            self.file(work, &found, depth + 1);
                        }
                    }
                }
                "match" => match self.matched(&value) {
                    Some(applies) => self.applies = applies,
                    None => {
                        let reason = format!("Match {value} is not known to this simulated machine");
                        self.refused = Some(format!("{path} line {}: {reason}", number + 1));
                        return;
                    }
                },
                "" => {}
                keyword if value.is_empty() => {
                    self.refused = Some(format!("{path} line {}: {keyword}: missing argument", number + 1));
                    return;
                }
                keyword if self.applies => self.say(keyword, &value),
                _ => {}
            }
        }
        if depth > 0 {
            self.applies = outer;
        }
    }

    /// The first value counts, but for lists.
    fn say(&mut self, keyword: &str, value: &str) {
        let (keyword, value) = match (keyword, value) {
            ("challengeresponseauthentication", value) => ("kbdinteractiveauthentication", value),
            ("permitrootlogin", "prohibit-password") => ("permitrootlogin", "without-password"),
            other => other,
        };
        let values = self.said.entry(keyword.to_owned()).or_default();
        if values.is_empty() || LISTS.contains(&keyword) {
            values.push(value.to_owned());
        }
    }

    /// Whether a block applies: `all`, or a user's. Without a user, as in plain `-T`, only `all` does.
    fn matched(&self, criteria: &str) -> Option<bool> {
        let words: Vec<&str> = criteria.split_whitespace().collect();
        match words[..] {
            [all] if all.eq_ignore_ascii_case("all") => Some(true),
            [kind, patterns] if kind.eq_ignore_ascii_case("user") => {
                let user = self.user.as_deref();
                Some(user.is_some_and(|user| patterns.split(',').any(|pattern| matches(&marked(pattern), user))))
            }
            // The address of a test is one of the documentation's, which is nobody's.
            [kind, _] if kind.eq_ignore_ascii_case("address") => Some(false),
            _ => None,
        }
    }
}

fn included(work: &Work<'_>, pattern: &str) -> Vec<String> {
    let pattern = if pattern.starts_with('/') { pattern.to_owned() } else { format!("/etc/ssh/{pattern}") };
    let Some((folder, name)) = pattern.rsplit_once('/') else { return Vec::new() };
    let disk = lock(work.disk);
    let mut found = disk.list(folder).unwrap_or_default();
    found.retain(|entry| matches(&marked(name), entry));
    found.sort();
    found.into_iter().map(|entry| format!("{folder}/{entry}")).collect()
}
