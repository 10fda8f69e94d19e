//! The table as shell: what removes, and what looks again.
//!
//! Only commands that every distribution has are used, and nothing fails because something is not there. `$r` is empty on a
//! machine; tests set it to a folder.

use std::fmt::Write as _;

use super::table::{Sealed, TABLE};

/// A loop over what a pattern matches: `run` is done with each `$path`.
fn each(out: &mut String, pattern: &str, files_only: bool, run: &str) {
    let kind = if files_only { " -type f" } else { "" };
    match pattern.split_once("//") {
        Some((base, name)) => {
            _ = writeln!(
                out,
                "if test -d \"$r{base}\"; then\n    find \"$r{base}\" -xdev -depth -mindepth 1 -name '{name}'{kind} 2>/dev/null | \
             while IFS= read -r path; do\n        {run}\n    done || true\nfi"
            )
        }
        None => {
            _ = writeln!(
                out,
                "for path in \"$r\"{pattern}; do\n    if test -e \"$path\" || test -L \"$path\"; then\n        {run}\n    fi\ndone"
            )
        }
    }
}

/// Removes what a row names.
pub(super) fn removal(row: &Sealed) -> String {
    let mut out = format!("# {}: {}.\n{}", row.what, row.why, row.also);
    for pattern in row.gone {
        each(&mut out, pattern, false, "rm -rf \"$path\"");
    }
    for pattern in row.emptied {
        each(&mut out, pattern, true, "truncate -s 0 \"$path\"");
    }
    out
}

/// Prints a line for each thing that a row names and that is there.
pub(super) fn look(row: &Sealed) -> String {
    let mut out = String::new();
    let say = format!("echo \"{}: $path\"", row.what);
    for pattern in row.gone {
        each(&mut out, pattern, false, &say);
    }
    for pattern in row.emptied.iter().filter(|_| !row.is_busy) {
        each(&mut out, pattern, true, &format!("if test -s \"$path\"; then {say}; fi"));
    }
    for (file, start, harmless) in row.lines {
        // A class must not start with `!` or `^`, which would mean its opposite.
        let class = if harmless.is_empty() { "^$".to_owned() } else { format!("^{harmless}") };
        _ = writeln!(
            out,
            "if test -f \"$r{file}\" && grep -q '^{start}[{class}]' \"$r{file}\"; then echo \"{}: {file}\"; fi",
            row.what
        );
    }
    out
}

/// The script that removes and empties what [`TABLE`] names, in its order.
pub(super) fn seal() -> String {
    let rows: String = TABLE.iter().map(removal).collect();
    format!("r=${{REMINT_ROOT-}}\n{rows}")
}

/// The script that looks for what should be gone. It does not trust that the other one has done what it should.
pub(super) fn check() -> String {
    let rows: String = TABLE.iter().map(look).collect();
    format!("r=${{REMINT_ROOT-}}\n{rows}")
}
