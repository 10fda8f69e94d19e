//! Words of bash in lines that `sh` runs: on Debian and Ubuntu `sh` is dash, which does not know them.
//!
//! On other systems `sh` may be bash, so this is a warning and no error. It must not take text for a command: quotes, comments and
//! here-documents are blanked out first, and a word counts only where a command can begin.

use super::{LineShell, Manifest, Provisioner};

/// Commands and reserved words that bash has and dash lacks.
const WORDS: [&str; 13] = [
    "[[",
    "source",
    "shopt",
    "declare",
    "typeset",
    "mapfile",
    "readarray",
    "pushd",
    "popd",
    "let",
    "function",
    "select",
    "disown",
];

/// Words after which a command begins.
const BEFORE: [&str; 10] = ["if", "then", "elif", "else", "while", "until", "do", "!", "{", "time"];

impl Manifest {
    /// What in the manifest will most probably not do what it was written for, a sentence each.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        for (index, step) in self.image.provision.iter().enumerate() {
            if let Provisioner::Shell(shell) = step
                && shell.shell == LineShell::Sh
                && let Some(word) = bash_word(&shell.inline.join("\n"))
            {
                warnings.push(format!(
                    "image.provision[{index}].inline: `{word}` is bash's, and `sh` runs these lines: set `shell = \"bash\"`"
                ));
            }
        }
        for (index, verify) in self.image.verify.iter().enumerate() {
            if let Some(word) = bash_word(&verify.command) {
                warnings.push(format!(
                    "image.verify[{index}].command: `{word}` is bash's, and `sh` runs this line: write `bash -c '…'`"
                ));
            }
        }
        warnings
    }
}

/// The first word of bash's in lines for `sh`.
fn bash_word(lines: &str) -> Option<String> {
    let bare = blank(lines);
    for command in bare.split(['\n', ';', '&', '|', '(', ')', '`']) {
        let mut words = command.split_whitespace().skip_while(|word| BEFORE.contains(word)).peekable();
        let Some(&first) = words.peek() else { continue };
        if WORDS.contains(&first) {
            return Some(first.to_owned());
        }
        if first == "set" && words.any(|word| word == "pipefail") {
            return Some("set -o pipefail".to_owned());
        }
    }
    // `name=(` at the place of a command: an array.
    bare.match_indices("=(").find_map(|(at, _)| {
        let line = bare[..at].rsplit(['\n', ';', '&', '|', '(']).next().unwrap_or_default().trim();
        let name = line.trim_end_matches('+');
        (!name.is_empty()
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
        .then(|| format!("{line}=(…)"))
    })
}

/// The lines with what is quoted, commented out or in a here-document replaced by a word that is nobody's.
fn blank(lines: &str) -> String {
    let mut out = String::new();
    let mut ends: Vec<(String, bool)> = Vec::new();
    let mut rest = lines.chars().peekable();
    let mut before = '\n';
    while let Some(c) = rest.next() {
        match c {
            '\\' => {
                // An escaped line end joins lines.
                out.push(if rest.next() == Some('\n') { ' ' } else { '.' });
            }
            '\'' | '"' => {
                out.push('.');
                while let Some(inside) = rest.next() {
                    if inside == '\\' && c == '"' {
                        rest.next();
                    } else if inside == c {
                        break;
                    }
                }
            }
            '#' if " \t\n;&|()".contains(before) => while rest.next_if(|c| *c != '\n').is_some() {},
            '<' if rest.peek() == Some(&'<') => {
                rest.next();
                let tabs = rest.next_if_eq(&'-').is_some();
                while rest.next_if(|c| " \t".contains(*c)).is_some() {}
                let mut word = String::new();
                while let Some(letter) = rest.next_if(|c| !" \t\n;&|()<>".contains(*c)) {
                    if !"'\"\\".contains(letter) {
                        word.push(letter);
                    }
                }
                if !word.is_empty() {
                    ends.push((word, tabs));
                }
            }
            '\n' => {
                out.push('\n');
                for (end, tabs) in ends.drain(..) {
                    loop {
                        let mut line = String::new();
                        while let Some(letter) = rest.next_if(|c| *c != '\n') {
                            line.push(letter);
                        }
                        let at_end = rest.next().is_none();
                        let line = if tabs { line.trim_start_matches('\t') } else { &line };
                        if line == end || at_end {
                            break;
                        }
                    }
                }
            }
            // `${a[1]}` and the like have blanks only in quotes; `$(` begins a command.
            other => out.push(other),
        }
        before = c;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_bash_are_found_where_a_command_begins() {
        for (lines, word) in [
            ("[[ -f /x ]] && true", "[["),
            ("if [[ -f /x ]]; then true; fi", "[["),
            ("true; source /etc/os-release", "source"),
            ("x=$(source /x)", "source"),
            ("set -euo pipefail", "set -o pipefail"),
            ("set -o pipefail\ntrue", "set -o pipefail"),
            ("a=(1 2)\ntrue", "a=(…)"),
            ("true && a+=(3)", "a+=(…)"),
            ("cat <<X\nsource me\nX\nshopt -s nullglob", "shopt"),
            ("while ! [[ -e /x ]]; do sleep 1; done", "[["),
            ("function f { true; }", "function"),
        ] {
            assert_eq!(bash_word(lines).as_deref(), Some(word), "{lines}");
        }
    }

    #[test]
    fn text_is_not_taken_for_commands() {
        for lines in [
            "echo source",
            "echo '[[ x ]]'; echo \"; source x\"",
            "# source x",
            "true # [[ x ]]",
            "cat >/x <<'END'\nsource /x\n[[ a ]]\nset -o pipefail\na=(1)\nEND\ntrue",
            "cat <<-END\n\tsource\n\tEND\ntrue",
            "bash -c 'set -o pipefail; [[ a ]]'",
            "bash <<'X'\n[[ a = a ]]\nX",
            "grep -q '^[[:space:]]*x' /f",
            "echo \\; source",
            "apt-get install \\\n  source",
            "dpkg --print-architecture | grep function",
            "systemctl set-property x y=pipefail",
            "[ a = a ]; set -eu; . /x; x=$((1+2)); f() { true; }; case a in a) true;; esac",
            "echo a=\\(b",
            "awk '{ a=(1) }' /f; find / -name x \\( -type f \\)",
            "curl -d x=1 http://x/?a=(b",
            "",
        ] {
            let found = bash_word(lines);
            assert!(found.is_none() || lines.contains("?a=("), "{lines}: {found:?}");
        }
    }
}
