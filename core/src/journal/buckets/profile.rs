//! The files in which Amazon's tools keep profiles: keys and regions that are written there, and nothing that must be fetched.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use secrecy::SecretString;

use super::keys::{AwsKeys, Env};

/// The profile that the environment chooses; `None` where it chooses none, and then the one called `default` counts.
pub(super) fn chosen(env: &Env) -> Option<&str> {
    env.get("AWS_PROFILE").map(String::as_str).filter(|name| !name.is_empty())
}

/// A profile, as both files have it.
#[derive(Default)]
pub(super) struct Profile {
    pub(super) keys: Option<AwsKeys>,
    pub(super) region: Option<String>,
}

impl Profile {
    /// Reads a profile; one that is in neither file, and files that are not there, have nothing.
    pub(super) fn read(name: &str, env: &Env) -> Self {
        let file = |variable: &str, usual: &str| {
            let given = env.get(variable).map(PathBuf::from);
            given.or_else(|| Some(Path::new(env.get("HOME")?).join(".aws").join(usual)))
        };
        let text = |path: Option<PathBuf>| path.and_then(|path| std::fs::read_to_string(path).ok()).unwrap_or_default();
        Self::parse(
            name,
            &text(file("AWS_SHARED_CREDENTIALS_FILE", "credentials")),
            &text(file("AWS_CONFIG_FILE", "config")),
        )
    }

    /// The same of the texts of `credentials` and `config`. The first one counts where both have a key.
    fn parse(name: &str, credentials: &str, config: &str) -> Self {
        let in_config = if name == "default" { name.to_owned() } else { format!("profile {name}") };
        let mut values = section(config, &in_config);
        values.extend(section(credentials, name));
        let mut take = |key: &str| values.remove(key).filter(|value| !value.is_empty());
        let (id, secret) = (take("aws_access_key_id"), take("aws_secret_access_key"));
        let token = take("aws_session_token").map(SecretString::from);
        let keys = id.zip(secret).map(|(id, secret)| AwsKeys { id, secret: secret.into(), token, expires: None });
        Self { keys, region: take("region") }
    }
}

/// The settings of a section. Those of nested ones, which are indented, are left out.
fn section(text: &str, name: &str) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    let mut inside = false;
    for line in text.lines() {
        if let Some(heading) = line.trim().strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            inside = heading.split_whitespace().eq(name.split_whitespace());
        } else if let Some((key, value)) = line.split_once('=')
            && inside
            && !line.starts_with([' ', '\t', '#', ';'])
        {
            values.insert(key.trim().to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn keys_and_region_of_a_profile_are_read_from_both_files() {
        let credentials = "[default]\naws_access_key_id = A\naws_secret_access_key=a=b\n[ team ]\n# no\n\
                           aws_access_key_id=T\naws_secret_access_key = t\naws_session_token = s\nregion = eu-north-1\n";
        let config = "[default]\nregion = eu-central-1\ns3 =\n  region = nested\n[profile team]\nregion = us-west-2\n\
                      [profile sso]\nsso_session = me\nregion = eu-west-1\n";
        let read = |name: &str| {
            let Profile { keys, region } = Profile::parse(name, credentials, config);
            let shown = keys.map(|keys| {
                let token = keys.token.map(|token| token.expose_secret().to_owned());
                (keys.id, keys.secret.expose_secret().to_owned(), token)
            });
            (shown, region)
        };
        let text = str::to_owned;
        assert_eq!(read("default"), (Some((text("A"), text("a=b"), None)), Some(text("eu-central-1"))));
        assert_eq!(read("team"), (Some((text("T"), text("t"), Some(text("s")))), Some(text("eu-north-1"))));
        assert_eq!(read("sso"), (None, Some(text("eu-west-1"))));
        assert_eq!(read("other"), (None, None));
    }
}
