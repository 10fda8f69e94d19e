//! Fuzz targets of this crate: what is read from files that others may have written.

mod run;

use std::collections::BTreeMap;

use run::{JSON, Target};
use secrecy::SecretString;

use crate::{
    journal::{EntryRecord, EnvironmentRecord, LockRecord, ReleaseRecord, Resources, parse},
    manifest::{
        DEFAULT_ENVIRONMENT, LoadOptions, is_variable_name, load,
        references::{Piece, escape, pieces},
    },
    userdata::env_file,
};

const MANIFEST: &str = r#"
service = "hello"
provider = "sandbox"

[providers.sandbox]
region = "nyc3"
base = "debian-12-x64"
size = "s-1vcpu-1gb"

[vars]
version = "v1"
name = "${var.version} ${env.USER}"

[[image.provision]]
type = "script"
path = "app/install.sh"
env = { VERSION = "${var.version}" }

[[image.verify]]
command = "systemctl is-enabled hello.service"

[secrets]
a = { env = "A" }

[config]
path = "/etc/hello/hello.env"
restart = ["hello.service"]
env = { HELLO_GREETING = "${secret.a}", HELLO_RELEASE = "${release.id}" }

[health]
check.http = { port = 80, path = "/health/check" }

[address]
static_ip = "managed"

[dns]
zone = "example.com"
name = "hello"

[environments.production]
vars.version = "v2"
"#;

#[test]
fn fuzz_manifest() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("remint.toml");
    let target = Target {
        name: "manifest",
        samples: &[
            MANIFEST,
            "service = \"a\"\nprovider = \"sandbox\"\n[[image.provision]]\ntype = \"file\"\nsource = \"x\"\ndestination = \"/y\"\n",
        ],
        words: &[&[
            "[",
            "]",
            "[[",
            "]]",
            "{",
            "}",
            "=",
            ".",
            "\"",
            "'''",
            "\n",
            "${var.",
            "${env.",
            "${secret.",
            "${",
            "$${",
            "}",
            "service",
            "image",
            "vars",
            "environments",
            "secrets",
            "true",
            "-1",
            "1e400",
            "1h",
            "../",
            "#",
            "2026-01-01",
            "\u{202e}",
            "\\u0000",
            "[a.",
            "a = ",
        ]],
    };
    target.run(|text| {
        std::fs::write(&path, text).unwrap();
        for env in [None, Some("production")] {
            let options = LoadOptions { env: env.map(str::to_owned), without_recipe: true, ..LoadOptions::default() };
            match load(&path, &options) {
                Ok(loaded) => {
                    let name = loaded.environment.as_str();
                    assert!(env.is_none_or(|env| env == name) || name == DEFAULT_ENVIRONMENT);
                }
                Err(problems) => {
                    assert!(!problems.to_string().trim().is_empty(), "an error says something");
                    for problem in problems.0.iter() {
                        assert!(!problem.message.is_empty(), "{problem:?}");
                        if let Some(place) = &problem.place {
                            assert!(place.line >= 1 && place.line <= text.lines().count() + 1, "{problem:?}");
                        }
                    }
                }
            }
        }
    });
}

#[test]
fn fuzz_interpolation() {
    let target = Target {
        name: "interpolation",
        samples: &["a ${var.x} b", "$${x} ${HOME} ${1:-a.b} ${var.y", "${secret.a}${env.B}$${${git.sha}"],
        words: &[&["$", "${", "$${", "}", "{", ".", "var", "env.", "a", "_", "-", "\n", "ü", "\u{0}", " "]],
    };
    target.run(|text| {
        // What is cut into pieces is the text, joined.
        let source = |piece: &Piece<'_>| match piece {
            Piece::Text(text) | Piece::Unclosed(text) => (*text).to_owned(),
            Piece::Escape => "$${".to_owned(),
            Piece::Reference(reference) => reference.text.to_owned(),
        };
        assert_eq!(pieces(text).iter().map(source).collect::<String>(), text);
        // A text that was escaped stands for itself.
        let meant = |piece: &Piece<'_>| match piece {
            Piece::Text(text) => (*text).to_owned(),
            Piece::Escape => "${".to_owned(),
            Piece::Reference(_) | Piece::Unclosed(_) => panic!("{text:?} is read as {piece:?}"),
        };
        let escaped = escape(text);
        assert_eq!(pieces(&escaped).iter().map(meant).collect::<String>(), text);
    });
}

#[test]
fn fuzz_journal() {
    let target = Target {
        name: "journal",
        samples: &[
            r#"{"format":1,"seq":1,"at":"2026-01-01T00:00:00Z","run":"67e55044-10b1-426f-9247-bb680e5fe0c8","token":1,"entry":"phase","phase":"gating"}"#,
            r#"{"format":2,"static_ips":[],"records":[]}"#,
            r#"{"format":1,"id":7,"service":"web","environment":"production","provider":"digitalocean","region":"fra1","size":"s","count":1,"image":"1","fingerprint":"00","inputs":[],"config_digest":"","salt":"","created_by":"me","created_at":"2026-01-01T00:00:00Z"}"#,
            r#"{"format":2,"id":"67e55044-10b1-426f-9247-bb680e5fe0c8","places":[{"provider":"digitalocean","region":"fra1"}]}"#,
        ],
        words: &[JSON, &["\"format\":", "\"entry\":", "\"phase\"", "\\ud800", "99999-01-01T00:00:00Z", ""]],
    };
    target.run(|text| {
        fn check<T: serde::de::DeserializeOwned + serde::Serialize>(text: &str) {
            match parse::<T>("x.json", text.as_bytes()) {
                // What was read is written and read as the same.
                Ok(value) => {
                    let written = serde_json::to_value(&value).unwrap();
                    let again: T = serde_json::from_value(written.clone()).unwrap();
                    assert_eq!(serde_json::to_value(&again).unwrap(), written);
                }
                Err(error) => assert!(error.to_string().contains("x.json"), "the object is named: {error}"),
            }
        }
        check::<EntryRecord>(text);
        check::<ReleaseRecord>(text);
        check::<Resources>(text);
        check::<EnvironmentRecord>(text);
        check::<LockRecord>(text);
    });
}

#[test]
fn fuzz_env_file() {
    let target = Target {
        name: "env_file",
        samples: &["KEY=plain", "A=two words\n$HOME `id` \"x\" \\", "B=tab\tü 🚀\n\n"],
        words: &[&[
            "\"", "\\", "`", "$", "\n", "\r", "\0", "=", "'", "#", "${A}", "\u{7f}", "\u{85}", " ", "\\\n", "%",
        ]],
    };
    target.run(|text| {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        let env = BTreeMap::from([(name.to_owned(), SecretString::from(value.to_owned()))]);
        let refused = !is_variable_name(name) || value.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t'));
        match env_file::write(&env) {
            Err(_) => assert!(refused, "{name:?} {value:?}"),
            Ok(file) => {
                assert!(!refused);
                assert_eq!(read_back(&file), Some((name.to_owned(), value.to_owned())), "{}", file.as_str());
            }
        }
    });
}

/// Reads one variable as a shell and systemd do: in double quotes, a backslash takes the next of four characters as it is.
fn read_back(file: &str) -> Option<(String, String)> {
    let (name, rest) = file.split_once("=\"")?;
    let mut value = String::new();
    let mut characters = rest.chars();
    loop {
        match characters.next()? {
            '"' => break,
            '\\' => value.push(characters.next().filter(|c| "\"\\`$".contains(*c))?),
            '`' | '$' => return None,
            c => value.push(c),
        }
    }
    (characters.as_str() == "\n").then(|| (name.to_owned(), value))
}
