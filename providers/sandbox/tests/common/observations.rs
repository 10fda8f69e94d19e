//! What commands do on a machine: one table, for simulated and for real ones.

use std::time::Duration;

use remint_core::remote::{Command, Connection};

/// A command, and what comes of it on a Debian 12.
pub(crate) struct Observation {
    /// Lines for `sh -eu`.
    pub(crate) lines: &'static str,
    /// What they write to standard output, the last line with its end.
    pub(crate) out: &'static str,
    /// The status that they end with.
    pub(crate) status: u32,
    /// Whether a simulated machine does the same; one that does not ends with status 126 and says "not simulated".
    pub(crate) simulated: bool,
}

const fn row(lines: &'static str, out: &'static str, status: u32) -> Observation {
    Observation { lines, out, status, simulated: true }
}

const fn real(lines: &'static str, out: &'static str, status: u32) -> Observation {
    Observation { lines, out, status, simulated: false }
}

/// Each row begins in an empty folder. `x` there is made by `printf` and run as a program.
pub(crate) const TABLE: &[Observation] = &[
    // Scripts and their interpreters.
    row("printf 'echo $1\\nfalse\\necho on\\n' >x; chmod 755 x; ./x a", "a\non\n", 0),
    row("printf '' >x; chmod 755 x; ./x", "", 0),
    row("printf '#!\\nexit 3\\n' >x; chmod 755 x; ./x", "", 3),
    row("printf '#! /bin/sh -eu\\necho $1\\nfalse\\necho no\\n' >x; chmod 755 x; ./x a", "a\n", 1),
    row("printf '#!/usr/bin/env sh\\nexit 4\\n' >x; chmod 755 x; ./x", "", 4),
    row("printf '#!/usr/bin/env -S sh -e\\nfalse\\nexit 4\\n' >x; chmod 755 x; ./x", "", 1),
    row("printf '#!/opt/nosuch\\ntrue\\n' >x; chmod 755 x; ./x", "", 127),
    row("printf '#!/usr/bin/ruby\\ntrue\\n' >x; chmod 755 x; ./x", "", 127),
    row("printf '#!/usr/bin/env nosuch\\ntrue\\n' >x; chmod 755 x; ./x", "", 127),
    row("printf '#!/etc/passwd\\n' >x; chmod 755 x; ./x", "", 126),
    row("printf 'true\\n' >x; ./x", "", 126),
    row("/opt", "", 126),
    row("./nosuch", "", 127),
    row("nosuch", "", 127),
    row("printf '#!/bin/sh\\r\\ntrue\\r\\n' >x; chmod 755 x; ./x", "", 127),
    row("printf '#!/usr/bin/env bash\\r\\ntrue\\n' >x; chmod 755 x; ./x", "", 127),
    row("printf '#!/bin/sh\\ntrue\\r\\n' >x; chmod 755 x; ./x", "", 127),
    row("printf '\\357\\273\\277#!/bin/sh\\necho on\\n' >x; chmod 755 x; ./x 2>/dev/null", "on\n", 0),
    row("printf '\\357\\273\\277#!/bin/sh\\n' >x; chmod 755 x; ./x", "", 127),
    real("printf '#!/usr/bin/python3\\nprint(1)\\n' >x; chmod 755 x; ./x", "1\n", 0),
    real("printf '#!/usr/bin/env python3\\nprint(1)\\n' >x; chmod 755 x; ./x || true", "1\n", 0),
    real("perl -e 'print 1' || true", "1\n", 0),
    real("echo a b | awk '{ print $2 }' || true", "b\n", 0),
    real("printf '#!/bin/bash\\nif [[ a < b ]]; then echo yes; fi\\n' >x; chmod 755 x; ./x", "yes\n", 0),
    // A flag that the simulated command does not know.
    real("ls -t || true", "", 0),
    // sh is dash, and bash is another.
    row("[[ a = a ]]", "", 127),
    row("source /dev/null", "", 127),
    row("set -o pipefail", "", 2),
    row("bash -c 'set -euo pipefail; false | true; echo no'", "", 1),
    row("echo $nosuch", "", 2),
    row(
        "x=/a/b; echo \"${x%/*}\" \"${x##*/}\" \"${x%\"/*\"}\" \"${x#'/a'}\" \"${nosuch:-'*'}\"",
        "/a b /a/b /b '*'\n",
        0,
    ),
    row("sh -c 'a=(1)'", "", 2),
    row("echo 'a\\tb'; echo -n c", "a\tb\nc\n", 0),
    row("bash -c 'echo \"a\\tb\"'", "a\\tb\n", 0),
    row(
        "printf '\\033\\101\\0012' | sha256sum",
        "7318a5b690e9a4c664a904834216b93f15ea573bc85cb87b6297049fd21a8c35  -\n",
        0,
    ),
    row("printf '%b' '\\0101\\tx'", "A\tx\n", 0),
    // Owners.
    row("chown root:root ''", "", 1),
    row("chown nosuch .", "", 1),
    row("chown root:nosuch .", "", 1),
    row("chgrp nosuch .", "", 1),
    row("install -d -o nosuch d", "", 1),
    row("chown www-data: .; stat -c %U:%G:%u:%g .", "www-data:www-data:33:33\n", 0),
    row("chown 0:1234 .; stat -c %U:%g .", "root:1234\n", 0),
    row("useradd -r made1 && touch f && chown made1: f && stat -c %U:%G f; userdel made1", "made1:made1\n", 0),
    row("groupadd made2; groupadd made2 2>/dev/null || echo $?; groupdel made2", "9\n", 0),
    row("id nosuch", "", 1),
    row("id -un; id -u", "root\n0\n", 0),
    row("getent passwd nosuch", "", 2),
    // Links.
    row("mkdir d; ln -s /a d; readlink d/a", "/a\n", 0),
    row("mkdir d; ln -sfn /a d; readlink d/a", "/a\n", 0),
    row("mkdir d; ln -s d l; ln -sfn /b l; readlink l", "/b\n", 0),
    row("mkdir d; ln -sT /a d", "", 1),
    row("ln -s a a; cat a", "", 1),
    // Names.
    row("test \"$(hostname)\" = \"$(uname -n)\"", "", 0),
    row("getent hosts nosuch.invalid", "", 2),
    // What is in the background does not hold the script.
    row("sleep 300 & echo on", "on\n", 0),
    row("(while :; do echo tick; sleep 0.2; done) >&2 & echo on", "on\n", 0),
    row("nohup sleep 300 >/dev/null 2>&1 & kill $!; wait $! || echo $?", "143\n", 0),
    row("(exit 3) & wait $! || echo $?", "3\n", 0),
];

/// A row that a machine does not do as the table says.
pub(crate) async fn differences(connection: &Connection, is_real: bool) -> Vec<String> {
    let mut found = Vec::new();
    for Observation { lines, out, status, simulated } in TABLE {
        let lines_in_folder = format!("rm -rf /opt/observed; mkdir /opt/observed; cd /opt/observed\n{lines}");
        let command = Command::shell(lines_in_folder).timeout(Duration::from_secs(60));
        let (outcome, text) = connection.capture(&command).await.unwrap();
        let told = format!("{lines}\n  {}, {text:?}\n  {}", outcome.exit, outcome.tail.join("\n  "));
        let as_told = outcome.exit == remint_core::remote::Exit::Status(*status) && text == *out;
        let refused = outcome.exit == remint_core::remote::Exit::Status(126)
            && outcome.tail.iter().any(|line| line.contains("not simulated"));
        let fits = if is_real || *simulated { as_told } else { refused };
        if !fits || outcome.elapsed > Duration::from_secs(30) {
            found.push(told);
        }
    }
    found
}
