//! A page of the book as a session of a shell.

use std::{fs, path::Path, sync::LazyLock};

use regex::Regex;

/// A command of a page, and what the page shows of its output.
#[derive(Debug, PartialEq)]
pub(crate) struct Step {
    /// The page and the line.
    pub(crate) at: String,
    /// What is typed.
    pub(crate) command: String,
    /// What is printed, line by line.
    pub(crate) shown: Vec<String>,
}

/// A page's commands, in their order.
pub(crate) struct Page {
    pub(crate) steps: Vec<Step>,
}

impl Page {
    /// Reads a page of the book.
    pub(crate) fn read(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("docs").join(name);
        Self::parse(name, &fs::read_to_string(path).unwrap())
    }

    pub(crate) fn parse(name: &str, text: &str) -> Self {
        let (mut steps, mut within) = (Vec::<Step>::new(), false);
        for (number, line) in text.lines().enumerate() {
            if line.starts_with("```") {
                within = !within && line == "```console";
                continue;
            }
            if !within {
                continue;
            }
            match (line.strip_prefix("$ "), line.strip_prefix("> "), steps.last_mut()) {
                (Some(command), ..) => {
                    let at = format!("{name}:{}", number + 1);
                    steps.push(Step { at, command: command.to_owned(), shown: Vec::new() });
                }
                (None, Some(more), Some(step)) if step.shown.is_empty() => step.command += &format!("\n{more}"),
                (None, _, Some(step)) => step.shown.push(line.to_owned()),
                (None, _, None) => panic!("{name}:{}: output without a command", number + 1),
            }
        }
        Self { steps }
    }
}

/// What differs from run to run, and what stands for it.
static VARIES: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let patterns = [
        (r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\dZ", "[date]"),
        (r"127(\.\d+){3}", "[address]"),
        (r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "[uuid]"),
        (r"\b[0-9a-f]{12}\b", "[fingerprint]"),
        (r"-([0-9a-f]{8}|[0-9a-f]{4})\b", "-[run]"),
        (r"\b\d{9}\b", "[id]"),
        (r"\b\d+(\.\d+)? m?s\b", "[time]"),
        (r"^ *\d+\.\d+s ", "[time] "),
        (r"\b\d+ (API calls|reads|mutations|requests)", "[count] $1"),
        (r"127\.0\.0\.1:\d+|\[address\]:\d{4,5}", "[endpoint]"),
        (r"\w+@[\w.-]+", "[user]"),
        (" {2,}", "  "),
    ];
    patterns.map(|(pattern, instead)| (Regex::new(pattern).unwrap(), instead)).into()
});

fn settled(line: &str) -> String {
    let line =
        VARIES.iter().fold(line.to_owned(), |line, (pattern, instead)| pattern.replace_all(&line, *instead).into());
    line.trim_end().to_owned()
}

/// Whether the page's lines, with `…` for what it leaves out, are what was printed.
pub(crate) fn compare(shown: &[String], printed: &str) -> Result<(), String> {
    let mut pattern = "^".to_owned();
    for line in shown {
        pattern += &match line.trim() {
            "…" => "(.*\n)*?".to_owned(),
            _ => settled(line).split('…').map(regex::escape).collect::<Vec<_>>().join(".*") + "\n",
        };
    }
    let settled: String = printed.lines().map(|line| settled(line) + "\n").collect();
    match Regex::new(&(pattern + "$")).unwrap().is_match(&settled) {
        true => Ok(()),
        false => Err(format!("the book shows:\n{}\nit printed:\n{printed}", shown.join("\n"))),
    }
}

#[test]
fn a_page_is_read_as_a_session() {
    let text = "text\n```console\n$ cat <<END\n> a\n> END\na\n$ true\n```\n```sh\n$ not this\n```\n```console\n$ date\n…\n```\n";
    let steps = Page::parse("page.md", text).steps;
    let found: Vec<_> = steps.iter().map(|step| (step.at.as_str(), step.command.as_str(), step.shown.len())).collect();
    assert_eq!(found, [("page.md:3", "cat <<END\na\nEND", 1), ("page.md:7", "true", 0), ("page.md:13", "date", 1)]);
}

#[test]
fn output_is_compared_but_for_what_varies() {
    let shown = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let printed = "    0.3s ==> seal\nr1 serves, after 8.6 s\n  image     100000009 (baked)\n";
    for same in ["…\nr1 serves, after 12 s\n  image     200000001 (baked)", "…\n  image     100000009 …", "…"] {
        assert_eq!(compare(&shown(same), printed), Ok(()), "{same}");
    }
    for other in ["", "r1 serves, after 8.6 s", "…\nr2 serves, after 8.6 s\n…", "…\n  image     100000009 (reused)"]
    {
        assert!(compare(&shown(other), printed).is_err(), "{other}");
    }
}
