//! What a part of the user's says that Remint's own part says, too.

use serde_json::Value;

use super::mime::{self, content_type};

/// Keys of Remint's own part that have one value each. Lists (`users`, `write_files`, `bootcmd`, `runcmd`) grow by what parts add.
const OWN: [&[&str]; 7] = [
    &["chpasswd", "expire"],
    &["disable_root"],
    &["hostname"],
    &["preserve_hostname"],
    &["ssh_deletekeys"],
    &["ssh_keys", "ed25519_private"],
    &["ssh_pwauth"],
];

/// A key that is in a part and in Remint's own, with a dot before each level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overridden {
    /// The key: `chpasswd.expire`.
    pub key: String,
    /// The part merges by a rule of its own, so that its value may replace Remint's.
    pub own_rule: bool,
}

/// The keys of a part whose values are without effect, because Remint's own part comes first. Nothing for what is no cloud-config, or
/// none that can be read.
pub fn overridden(text: &str) -> Vec<Overridden> {
    let Some(map) = (content_type(text) == Some("text/cloud-config")).then(|| mime::top_level(text)).flatten() else {
        return Vec::new();
    };
    let own_rule = map.contains_key("merge_how") || map.contains_key("merge_type");
    let whole = Value::Object(map);
    let is_set = |path: &&&[&str]| path.iter().try_fold(&whole, |value, key| value.get(key)).is_some();
    OWN.iter().filter(is_set).map(|path| Overridden { key: path.join("."), own_rule }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &str) -> Vec<String> {
        overridden(text).into_iter().map(|found| found.key).collect()
    }

    #[test]
    fn keys_of_remints_own_part_are_found_at_their_level() {
        let text = "#cloud-config\nssh_pwauth: true\nhostname: web\nusers: [default, {name: app}]\nwrite_files:\n- path: \
                    /etc/x\n  content: 'disable_root: true'\nchpasswd: {expire: true, users: []}\n";
        assert_eq!(keys(text), ["chpasswd.expire", "hostname", "ssh_pwauth"]);
        assert_eq!(
            keys("#cloud-config\n{\"ssh_keys\": {\"ed25519_private\": \"x\", \"rsa_private\": \"y\"}}\n"),
            ["ssh_keys.ed25519_private"]
        );
        assert_eq!(keys("#cloud-config\nchpasswd: {list: 'a:b'}\npackages: [nginx]\n"), [""; 0]);
        for none in ["#!/bin/sh\nhostname: web\n", "#cloud-config\n", "#cloud-config\n- a\n", "#cloud-config\na: [\n"] {
            assert_eq!(keys(none), [""; 0], "{none}");
        }
        let own = "#cloud-config\nmerge_how: dict(replace)\ndisable_root: true\n";
        assert_eq!(overridden(own), [Overridden { key: "disable_root".into(), own_rule: true }]);
    }

    #[test]
    fn every_single_value_of_remints_own_part_is_in_the_table() {
        let document = crate::userdata::UserData::new(&"PEM".into(), &crate::provider::Guest::CLOUD_INIT);
        let document = document.hostname("app-1").build(64 * 1024).unwrap();
        let text = secrecy::ExposeSecret::expose_secret(&document);
        let own: Value = serde_json::from_str(&text[text.find('{').unwrap()..=text.rfind('}').unwrap()]).unwrap();
        let mut singles: Vec<String> = Vec::new();
        for (key, value) in own.as_object().unwrap() {
            match value {
                Value::Object(map) => singles.extend(map.keys().map(|inner| format!("{key}.{inner}"))),
                Value::Array(_) => {}
                // A part's value goes before Remint's.
                _ if key == "manage_etc_hosts" => {}
                _ => singles.push(key.clone()),
            }
        }
        assert_eq!(singles, OWN.map(|path| path.join(".")));
    }
}
