//! Files of login keys.

use super::facts::Facts;

/// A file of root's login keys that Remint writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyFile {
    pub(crate) path: String,
    /// How many keys are in it that are neither Remint's nor named by `[access]`.
    pub(crate) foreign: usize,
}

impl KeyFile {
    /// What is in it that does not belong there, in words.
    pub(crate) fn surplus(&self) -> String {
        format!("{} in {} that `[access]` does not name", count(self.foreign), self.path)
    }
}

fn count(keys: usize) -> String {
    if keys == 1 { "a login key".to_owned() } else { format!("{keys} login keys") }
}

/// The kind and the data of a line that is a key and nothing else: without options, which could hide another key.
fn bare(line: &str) -> Option<(&str, &str)> {
    let mut words = line.split_whitespace();
    let (kind, data) = (words.next()?, words.next()?);
    (kind.starts_with("ssh-") || kind.starts_with("ecdsa-") || kind.starts_with("sk-")).then_some((kind, data))
}

/// The lines that sshd may take for keys. One that is not understood counts: it is not Remint's to say that sshd does not either.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .map(|line| line.trim_matches([' ', '\t', '\r']))
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// Whether a line is one of `[access]`: word for word, or the same key without any options.
fn is_named(line: &str, access: &[String]) -> bool {
    access.iter().any(|named| named.trim() == line || (bare(line).is_some() && bare(line) == bare(named.trim())))
}

/// Judges every file of login keys. Gives what is wrong, and the files that are Remint's to write.
pub(super) fn judge(facts: &Facts, login: &str, access: &[String]) -> (Vec<String>, Vec<KeyFile>) {
    let (mut found, mut own) = (Vec::new(), Vec::<KeyFile>::new());
    let is_own = |line: &str| bare(line).is_some() && bare(line) == bare(login);
    for (user, path, text) in &facts.key_files {
        if own.iter().any(|file| file.path == *path) {
            continue;
        }
        let foreign = lines(text).filter(|line| !is_own(line) && !is_named(line, access)).count();
        // Root's file that Remint's key is in is overwritten. Of further ones, only those with nothing else are.
        let ours = user == "root" && lines(text).any(is_own) && (own.is_empty() || foreign == 0);
        if ours {
            own.push(KeyFile { path: path.clone(), foreign });
        } else if foreign > 0 {
            let keys = count(foreign);
            found.push(format!("{path} lets user {user} in with {keys} that `[access]` does not name"));
        }
    }
    (found, own)
}

/// What root's file of login keys is to be: the keys of `[access]`, and nothing else.
pub(crate) fn access_file(access: &[String]) -> String {
    access.iter().map(|key| format!("{}\n", key.trim())).collect()
}
