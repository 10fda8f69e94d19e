//! An environment file as systemd's `EnvironmentFile=` and a shell's `.` both read it.
//!
//! Every value stands in double quotes. In those, both readers take a backslash before `"`, `\`, `` ` `` and `$` as
//! quoting that character, and a line end as itself (systemd.exec(5), POSIX 2.2.3).

use std::{collections::BTreeMap, fmt::Write};

use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::UserDataError;
use crate::manifest::is_variable_name;

pub(crate) fn write(env: &BTreeMap<String, SecretString>) -> Result<Zeroizing<String>, UserDataError> {
    let mut out = Zeroizing::new(String::new());
    for (name, value) in env {
        if !is_variable_name(name) {
            return Err(UserDataError::VariableName(name.clone()));
        }
        // systemd drops a variable with any other control character, and says so only in its own log.
        if let Some(bad) = value.expose_secret().chars().find(|c| c.is_control() && !matches!(c, '\n' | '\t')) {
            return Err(UserDataError::VariableValue { name: name.clone(), character: u32::from(bad) });
        }
        // Writing to a string cannot fail.
        let _ = write!(out, "{name}=\"");
        for character in value.expose_secret().chars() {
            if matches!(character, '"' | '\\' | '`' | '$') {
                out.push('\\');
            }
            out.push(character);
        }
        out.push_str("\"\n");
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(value: &str) -> Result<Zeroizing<String>, UserDataError> {
        write(&BTreeMap::from([("KEY".to_owned(), SecretString::from(value))]))
    }

    const TABLE: &[(&str, &str)] = &[
        ("plain", "KEY=\"plain\"\n"),
        ("", "KEY=\"\"\n"),
        ("two words # no comment", "KEY=\"two words # no comment\"\n"),
        ("line 1\nline 2\n", "KEY=\"line 1\nline 2\n\"\n"),
        ("say \"hi\"", "KEY=\"say \\\"hi\\\"\"\n"),
        ("it's", "KEY=\"it's\"\n"),
        ("$HOME `id` $(id)", "KEY=\"\\$HOME \\`id\\` \\$(id)\"\n"),
        ("C:\\new\\\n", "KEY=\"C:\\\\new\\\\\n\"\n"),
        ("tab\tumlaut ü 🚀", "KEY=\"tab\tumlaut ü 🚀\"\n"),
    ];

    #[test]
    fn quotes() {
        for (value, expected) in TABLE {
            assert_eq!(file(value).unwrap().as_str(), *expected, "{value:?}");
        }
    }

    #[test]
    fn a_shell_reads_back_what_was_written() {
        let dir = tempfile::tempdir().unwrap();
        for (value, _) in TABLE {
            let path = dir.path().join("env");
            std::fs::write(&path, file(value).unwrap().as_bytes()).unwrap();
            let output = std::process::Command::new("sh")
                .args(["-c", ". \"$1\"; printf %s \"$KEY\"", "sh"])
                .arg(&path)
                .output()
                .unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), *value);
        }
    }

    #[test]
    fn refuses_what_systemd_would_drop() {
        for bad in ["\r", "\u{1b}[0m", "\0", "\u{7f}"] {
            assert!(matches!(file(bad), Err(UserDataError::VariableValue { .. })), "{bad:?}");
        }
        for bad in ["", "1A", "A-B", "A B", "Ä"] {
            assert!(!is_variable_name(bad), "{bad}");
        }
    }
}
