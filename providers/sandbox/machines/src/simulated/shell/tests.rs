//! Scripts and what they print.

use std::sync::{Arc, Mutex};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    super::disk::{Disk, base_image, lock},
    io::Held,
    *,
};

struct Ran {
    ended: Ended,
    out: String,
    err: String,
    host: Host,
    requests: mpsc::UnboundedReceiver<Request>,
}

async fn run_with(script: &str, input: &str) -> Ran {
    run_within(Limits::default(), script, input).await
}

fn job(script: &str, input: Input, out: Output, err: Output) -> Job {
    Job { script: script.to_owned(), arguments: Vec::new(), environment: Vec::new(), input, out, err }
}

async fn run_within(limits: Limits, script: &str, input: &str) -> Ran {
    let ((out_buffer, out), (err_buffer, err)) = (Output::buffer(&limits), Output::buffer(&limits));
    let input = Input::bytes(input.as_bytes().to_vec(), &limits);
    let (host, requests) = Host::alone(limits, base_image().unwrap());
    let ended = run(&host, job(script, input, out, err), &CancellationToken::new()).await;
    let text = |buffer: Arc<Mutex<Held>>| String::from_utf8(lock(&buffer).bytes.clone()).unwrap();
    Ran { ended, out: text(out_buffer), err: text(err_buffer), host, requests }
}

async fn check(table: &[(&str, &str, i32)]) {
    for (script, out, code) in table {
        let ran = run_with(script, "").await;
        assert_eq!((ran.out.as_str(), ran.ended), (*out, Ended::Code(*code)), "{script}\nstderr: {}", ran.err);
    }
}

#[tokio::test]
async fn words() {
    check(&[
        ("echo a  b", "a b\n", 0),
        ("echo 'a  b' \"c  d\" e\\ f", "a  b c  d e f\n", 0),
        ("x='1  2'; echo $x; echo \"$x\"", "1 2\n1  2\n", 0),
        ("echo ${x:-none} ${x-n} ${#PATH} >/dev/null; x=abc; echo ${x:+yes}${#x}", "yes3\n", 0),
        (r#"x=/a/b; echo "${x%/*}" "${x##*/}" "${x%"/*"}" "${x#'/a'}" "${nosuch:-'*'}""#, "/a b /a/b /b '*'\n", 0),
        ("x=a/b/c.txt; echo ${x##*/} ${x%.txt} ${x#*/} ${x%%/*}", "c.txt a/b/c b/c.txt a\n", 0),
        ("echo $(echo a; echo b) `echo c`", "a b c\n", 0),
        ("i=3; i=$((i * 2 + 1)); echo $i", "7\n", 0),
        ("set -- a 'b c'; for x in \"$@\"; do echo \"[$x]\"; done; echo $#", "[a]\n[b c]\n2\n", 0),
        ("set --; for x in \"$@\"; do echo no; done", "", 0),
        ("echo \"$HOME\" ~/x '$HOME'", "/root /root/x $HOME\n", 0),
        ("cd /etc; echo host* /etc/ssh/*.none", "hostname hosts /etc/ssh/*.none\n", 0),
        ("printf '%s-%d\\n' a 1 b 2; printf '%05d|%-3s|' 42 x", "a-1\nb-2\n00042|x  |", 0),
        ("echo a # comment\necho b#c", "a\nb#c\n", 0),
        ("x= y=1; echo \"<$x>\" $y", "<> 1\n", 0),
        ("echo \"$(echo \"in ner\")\"", "in ner\n", 0),
    ])
    .await;
}

#[tokio::test]
async fn flow() {
    check(&[
        ("true && echo a || echo b; false && echo c || echo d", "a\nd\n", 0),
        ("if false; then echo a; elif true; then echo b; else echo c; fi", "b\n", 0),
        ("for i in 1 2 3; do [ $i = 2 ] && continue; echo $i; done", "1\n3\n", 0),
        ("i=0; while [ $i -lt 5 ]; do i=$((i+1)); [ $i -eq 3 ] && break; done; echo $i", "3\n", 0),
        ("i=0; until [ $i -ge 2 ]; do i=$((i+1)); done; echo $i", "2\n", 0),
        ("case abc in x) echo x;; a*|b) echo m;; *) echo d;; esac", "m\n", 0),
        ("f() { echo \"$1\"; return 3; }; f hi; echo $?", "hi\n3\n", 0),
        ("(x=1; exit 4); echo $? ${x:-unset}", "4 unset\n", 0),
        ("{ echo a; echo b; } | wc -l", "2\n", 0),
        ("printf 'b\\na\\nb\\n' | sort -u | tr a-z A-Z | head -n 1", "A\n", 0),
        ("! false; echo $?", "0\n", 0),
        ("exit 7; echo no", "", 7),
        ("printf 'a 1\\nb 2\\n' | while read n v; do echo $v$n; done", "1a\n2b\n", 0),
        ("cat <<EOF | tr a b\nxa $((1+1))\nEOF\necho end", "xb 2\nend\n", 0),
        ("cat <<'EOF'\n$x\nEOF\n", "$x\n", 0),
        ("if cat <<A && true; then\none\nA\necho two; fi", "one\ntwo\n", 0),
    ])
    .await;
}

#[tokio::test]
async fn options() {
    check(&[
        ("set -e; false; echo no", "", 1),
        ("set -e; if false; then :; fi; false || true; ! true; echo yes", "yes\n", 0),
        ("set -e; f() { false; echo in; }; f || echo out; f; echo no", "in\n", 1),
        ("set -eu; (false); echo no", "", 1),
        ("set -u; echo $nothing; echo no", "", 2),
        ("sh -c 'echo $0 $1' zero one", "zero one\n", 0),
        ("sh -euc 'false; echo no'; echo $?", "1\n", 0),
        ("echo 'echo from stdin $1' | sh -s", "from stdin\n", 0),
        ("echo 'x=5' > /tmp/v; . /tmp/v; echo $x", "5\n", 0),
        ("export A=1; B=2; env A=3 sh -c 'echo $A$B'; A=9 sh -c 'echo $A'; echo $A", "3\n9\n1\n", 0),
        ("x=1 true; echo ${x:-gone}", "gone\n", 0),
    ])
    .await;
    let ran = run_with("set -x; echo a", "").await;
    assert_eq!(ran.err, "+ echo a\n");
}

#[tokio::test]
async fn redirections() {
    check(&[
        ("echo a > /tmp/f; echo b >> /tmp/f; cat /tmp/f; cat < /tmp/f | wc -l", "a\nb\n2\n", 0),
        ("ls /none 2>/dev/null; echo $?", "2\n", 0),
        ("{ echo out; echo err >&2; } > /tmp/f 2>&1; sort /tmp/f", "err\nout\n", 0),
        ("echo x >&2", "", 0),
        ("cat /none 2>&1", "cat: /none: No such file or directory\n", 1),
        ("echo a > /none/f", "", 2),
        ("echo secret | tee /tmp/t >/dev/null; cat /tmp/t", "secret\n", 0),
    ])
    .await;
}

#[tokio::test]
async fn files() {
    check(&[
        ("mkdir -p /a/b && touch /a/b/c && ls /a/b && rm -rf /a && [ ! -e /a ]", "c\n", 0),
        ("echo x > /f; chmod 600 /f; chmod u+x,g=r /f; stat -c '%a %U' /f", "740 root\n", 0),
        ("echo x > /f; useradd app; groupadd web; chown app:web /f; stat -c %U:%G /f", "app:web\n", 0),
        (
            "echo hi > /f; useradd app; install -D -m 0755 -o app /f /opt/x/f; stat -c '%a %U' /opt/x/f; cat /opt/x/f",
            "755 app\nhi\n",
            0,
        ),
        ("cd /tmp; echo 1 > a; cp a b; mv b c; ln -s c d; cat d; readlink d", "1\nc\n", 0),
        ("mkdir /d; echo 1 > /d/a; cp -r /d /e; cat /e/a; cp /d /g 2>/dev/null; echo $?", "1\n1\n", 0),
        ("cd /tmp; echo x > a.log; echo y > b.txt; find . -name '*.log' -type f -delete; ls", "b.txt\n", 0),
        ("printf 'a=1\\nb=2\\n' > /f; grep -q '^a=' /f && sed -i 's/^a=.*/a=9/' /f; grep a /f; grep zz /f", "a=9\n", 1),
        (
            "echo abc | sha256sum | cut -c1-8; echo abc > /f; sha256sum /f > /s; sha256sum -c /s",
            "edeaaff3\n/f: OK\n",
            0,
        ),
        ("f=$(mktemp); [ -f $f ] && echo yes; basename /a/b.c .c; dirname /a/b", "yes\nb\n/a\n", 0),
        ("seq 1 3 | tail -n 1; id -u; hostname; uname", "3\n0\ndebian\nLinux\n", 0),
        ("truncate -s 0 /etc/hostname; wc -c < /etc/hostname; [ -s /etc/hostname ] || echo empty", "0\nempty\n", 0),
    ])
    .await;
}

#[tokio::test]
async fn programs() {
    check(&[
        ("nosuch; echo $?", "127\n", 0),
        ("curl http://x 2>/dev/null; echo $?", "1\n", 0),
        (
            "printf '#!/bin/sh -e\\necho run $1\\nfalse\\necho no\\n' > /tmp/p; chmod +x /tmp/p; /tmp/p now; echo $?",
            "run now\n1\n",
            0,
        ),
        ("echo x > /tmp/p; /tmp/p 2>/dev/null; echo $?", "126\n", 0),
        (
            "printf 'echo v1\n' > /usr/local/bin/app; chmod +x /usr/local/bin/app; app --version; echo $?; command -v app",
            "v1\n0\n/usr/local/bin/app\n",
            0,
        ),
        (
            "systemctl is-active x; systemctl enable --now x; systemctl is-active x && echo up",
            "inactive\nactive\nup\n",
            0,
        ),
        (
            "systemctl mask x; systemctl is-enabled x; systemctl unmask x; systemctl enable x; systemctl is-enabled x",
            "disabled\nenabled\n",
            0,
        ),
        ("apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y nginx && echo ok", "ok\n", 0),
        ("useradd --system app; id -u app; cloud-init status --wait", "999\nstatus: done\n", 0),
        ("timeout 5 echo hi; /bin/echo there", "hi\nthere\n", 0),
    ])
    .await;
    let ran = run_with("nosuch", "").await;
    assert_eq!(ran.err, "sh: nosuch: not found\n");
    let ran = run_with("cat > /tmp/up", "line\n").await;
    assert_eq!(lock(&ran.host.disk).text("/tmp/up"), "line\n");
    assert_eq!(run_with("kill -9 $$; echo no", "").await.ended, Ended::Signal("KILL"));
    let mut ran = run_with("reboot", "").await;
    assert_eq!(ran.requests.try_recv(), Ok(Request::Reboot));
}

/// A script at `/x` with this text, made by `printf`, is run as a program.
fn script(text: &str) -> String {
    format!("printf '{text}' > /x; chmod 755 /x; /x 1 2; echo \"status $?\"")
}

#[tokio::test]
async fn files_run_as_the_kernel_and_the_shell_run_them() {
    check(&[
        // The kernel does not know the format: the shell reads it.
        (&script("echo $1; false; echo on\\n"), "1\non\nstatus 0\n", 0),
        (&script(""), "status 0\n", 0),
        (&script("#!\\nexit 3\\n"), "status 3\n", 0),
        (&script("#! /bin/sh -eu\\necho $2\\nfalse\\necho no\\n"), "2\nstatus 1\n", 0),
        (&script("#!/usr/bin/env sh\\nexit 4\\n"), "status 4\n", 0),
        (&script("#!/usr/bin/env -S sh -e\\nfalse\\necho no\\n"), "status 1\n", 0),
        (&script("#!/bin/sh\\r\\necho no\\n"), "status 127\n", 0),
        (&script("#!/usr/bin/env bash\\r\\necho no\\n"), "status 127\n", 0),
        (&script("#!/opt/nosuch\\n"), "status 127\n", 0),
        (&script("#!/usr/bin/ruby\\n"), "status 127\n", 0),
        (&script("#!/etc/passwd\\n"), "status 126\n", 0),
        (&script("\\357\\273\\277#!/bin/sh\\necho on\\n"), "on\nstatus 0\n", 0),
        (&script("#!/bin/sh\\ntrue\\r\\n"), "status 127\n", 0),
        (&script("#!/bin/sh\\nif true; then\\r\\necho x\\nfi\\n"), "status 2\n", 0),
        ("/opt; echo $?", "126\n", 0),
        ("printf '#!/bin/sh\\necho $2\\n' > /i; chmod 755 /i; printf '#!/i\\n' > /x; chmod 755 /x; /x a", "a\n", 0),
        ("printf '#!/x\\n' > /x; chmod 755 /x; /x; echo $?", "126\n", 0),
    ])
    .await;
}

/// No `||` and no `if` makes something of what could not run.
#[tokio::test]
async fn what_only_debian_has_ends_every_script() {
    for (script, names) in [
        ("printf '#!/usr/bin/python3\\n' > /x; chmod 755 /x; /x || true; echo no", "python3"),
        ("printf '#!/usr/bin/env python3\\n' > /x; chmod 755 /x; if /x; then :; fi; echo no", "python3"),
        ("printf '\\177ELF' > /x; chmod 755 /x; x=$(/x) || true; echo no", "/x, a compiled program"),
        ("(perl -e 1) || echo no", "perl"),
        ("echo a | awk '{print}' | cat; echo no", "awk"),
        ("bash -c 'if [[ a < b ]]; then :; fi' || true; echo no", "[["),
        ("bash -c 'shopt -s nullglob; echo no'; echo no", "shopt"),
    ] {
        let ran = run_with(script, "").await;
        assert_eq!((ran.ended, ran.out.as_str()), (Ended::Code(126), ""), "{script}: {}", ran.err);
        assert!(ran.err.contains(&format!("{names}: not simulated")), "{script}: {}", ran.err);
    }
}

#[tokio::test]
async fn dash_and_bash_differ() {
    check(&[
        ("bash -c 'false | true; set -o pipefail; echo $?; false | true; echo $?'", "0\n1\n", 0),
        ("bash -euo pipefail -c 'false | true; echo no'", "", 1),
        ("sh -c 'set -o pipefail; echo no'; echo $?", "2\n", 0),
        ("sh -c 'set -euo pipefail; echo no'; echo $?", "2\n", 0),
        ("sh -c '[[ a = a ]]'; echo $?", "127\n", 0),
        ("echo x=1 > /s; bash -c 'source /s; echo $x'; sh -c 'source /s'; echo $?", "1\n127\n", 0),
        ("sh -c 'a=(1 2)'; echo $?; sh -c 'cat <<<x'; echo $?", "2\n2\n", 0),
        (
            "sh -c 'echo \"a\\tb\\0101\\c\"; echo -n x'; bash -c 'echo \"a\\tb\"; echo -e \"a\\tb\"'",
            "a\tbAxa\\tb\na\tb\n",
            0,
        ),
    ])
    .await;
}

#[tokio::test]
async fn printf_writes_octal_numbers() {
    check(&[
        ("printf '\\033[1m\\101\\0012' | od -c >/dev/null 2>&1; printf '\\101\\1012\\8'", "AA2\\8", 0),
        ("printf '%b' '\\0101\\n' '\\ta'; printf '%b no' 'a\\cb'", "A\n\taa", 0),
        ("printf '\\33' > /f; wc -c < /f; printf '\\357\\273\\277' > /f; wc -c < /f", "1\n3\n", 0),
    ])
    .await;
    assert_eq!(run_with("printf '\\033'", "").await.out, "\u{1b}");
}

#[tokio::test]
async fn owners_must_exist() {
    for (script, says) in [
        ("chown root:root ''", "chown: cannot access '': No such file or directory\n"),
        ("chown nosuch /opt", "chown: invalid user: 'nosuch'\n"),
        ("chown root:nosuch /opt", "chown: invalid group: 'root:nosuch'\n"),
        ("chown :nosuch /opt", "chown: invalid group: ':nosuch'\n"),
        ("chgrp nosuch /opt", "chgrp: invalid group: 'nosuch'\n"),
        ("install -d -o nosuch /a", "install: invalid user: 'nosuch'\n"),
        ("useradd root", "useradd: user 'root' already exists\n"),
        ("id nosuch", "id: 'nosuch': no such user\n"),
    ] {
        let ran = run_with(script, "").await;
        assert_eq!(ran.err, says);
        assert_ne!(ran.ended, Ended::Code(0), "{script}");
    }
    check(&[
        ("chown www-data: /opt; stat -c %U:%G:%u /opt; chown 0:1234 /opt; stat -c %U:%g /opt", "www-data:www-data:33\nroot:1234\n", 0),
        ("useradd -r -g www-data app; id -gn app; groupadd web; useradd web; echo $?; userdel app; id app 2>&1", "www-data\n9\nid: 'app': no such user\n", 1),
        ("getent passwd nosuch; echo $?; getent passwd root; getent group sudo", "2\nroot:x:0:0:root:/root:/bin/bash\nsudo:x:27:\n", 0),
        ("echo '127.0.1.1 a.b a' >> /etc/hosts; getent hosts a; getent hosts b; echo $?", "127.0.1.1       a.b a\n2\n", 0),
        ("mkdir /d /e; ln -s /d /l; ln -sfn /x /e; readlink /e/x; ln -sfn /e /l; readlink /l; ln -s /y /l; readlink /e/y", "/x\n/e\n/y\n", 0),
    ])
    .await;
}

#[tokio::test]
async fn a_script_does_not_wait_for_what_it_starts_in_the_background() {
    check(&[
        ("sleep 1000 & echo on", "on\n", 0),
        ("(while :; do sleep 0.1; done) & kill $!; wait $!; echo $?", "143\n", 0),
        ("(exit 3) & wait $!; echo $?; wait; wait 77; echo $?", "3\n127\n", 0),
        ("x=1; { x=2; echo in > /f; } & wait; echo $x; cat /f", "1\nin\n", 0),
        ("nohup sh -c 'sleep 1000' >/dev/null 2>&1 & (wait); kill -0 $! && echo runs", "runs\n", 0),
        ("set -e; false & echo on", "on\n", 0),
    ])
    .await;
    let ran = run_with("sleep 1000 & sleep 1000 &", "").await;
    ran.host.power.cancel();
    ran.host.limits.idle().await;
}

#[tokio::test]
async fn bounds() {
    assert_eq!(run_with("while :; do :; done", "").await.ended, Ended::Signal("XCPU"));
    assert_eq!(run_with("f() { f; }; f", "").await.ended, Ended::Signal("SEGV"));
    assert_eq!(run_with("echo 'sh /tmp/x' > /tmp/x; sh /tmp/x", "").await.ended, Ended::Signal("SEGV"));
    let deep = format!("{}echo{}", "$(".repeat(500), ")".repeat(500));
    let ran = run_with(&deep, "").await;
    assert_eq!(ran.ended, Ended::Code(2));
    assert!(ran.err.contains("too deeply nested"), "{}", ran.err);
    let deep = format!("echo {}x{}", "${a:-".repeat(5000), "}".repeat(5000));
    assert_eq!(run_with(&deep, "").await.ended, Ended::Code(2));
    let path = "a/".repeat(10_000);
    assert_eq!(run_with(&format!("mkdir -p /tmp/{path}"), "").await.ended, Ended::Code(1));
    assert_eq!(run_with(&format!("[ {} x ]", "! ".repeat(10_000)), "").await.ended, Ended::Code(2));
    let nested = format!("{}echo in{}", "(".repeat(30), ")".repeat(30));
    assert_eq!(run_with(&nested, "").await.out, "in\n", "what is bounded is far from what scripts do");
    for broken in ["if true", "echo 'x", "for in", "a | ; b", "(echo", "echo ${x", "fi", "case x in", "echo $("] {
        assert_eq!(run_with(broken, "").await.ended, Ended::Code(2), "{broken}");
    }
}

#[tokio::test]
async fn memory_has_a_limit() {
    for script in [
        "x=x; while :; do x=$x$x; done",
        "x=x; while :; do x=\"$x$x\"; done",
        "set -- x; while :; do set -- \"$@\" \"$@\"; done",
        "f() { f \"$@\" \"$@\"; }; f xxxxxxxxxxxxxxxx",
        "x=x; while :; do x=$(echo $x$x); done",
        "echo x > /f; while :; do cat /f /f > /g; x=$(cat /g); mv /g /f; done",
        "x=$(printf '%01000d' 0); y=$(echo $x$x$x$x$x$x$x$x$x$x | sed 's/0/&&&&&&&&&&&&&&&&&&&&/g'); echo \"$y$y$y\"          | sed 's/0/0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000/g'",
        "i=0; while :; do i=$((i+1)); eval \"v$i=\\$(printf '%0999d' 0)$(printf '%0999d%0999d%0999d' 0 0 0)\"; done",
        "for i in $(seq 1 1000000); do :; done; for i in $(seq 1 1000000) $(seq 1 1000000) $(seq 1 1000000); do :; done",
    ] {
        // A small machine, on which this takes little time.
        let ran = run_within(Limits::new(8 << 20, 5000), script, "").await;
        assert!(matches!(ran.ended, Ended::Signal("KILL" | "XCPU" | "SEGV")), "{script}: {:?} {}", ran.ended, ran.err);
        assert!(ran.host.limits.held() < 1 << 20, "{script}: all is given back, but for what it printed");
    }
    let ran = run_with("x=x; while :; do x=$x$x; done", "").await;
    assert_eq!(ran.ended, Ended::Signal("KILL"));
    assert_eq!(ran.err, "sh: killed: this simulated machine has 128 MiB of memory for its commands\n");
    let large = format!("# {}", "x".repeat(2 << 20));
    assert_eq!(run_with(&large, "").await.ended, Ended::Signal("KILL"));
    let far = "x=0123456789; for i in 1 2 3 4 5 6 7 8 9 10; do x=$x$x; done; echo ${#x}";
    assert_eq!(run_with(far, "").await.out, "10240\n", "what is bounded is far from what scripts do");
}

#[tokio::test]
async fn work_has_a_limit() {
    // Few steps, each of which would take ages.
    let long = "x=$(printf '%01000d' 0); x=$x$x$x$x$x$x$x$x$x$x; x=$x$x$x$x$x$x$x$x$x$x";
    for script in ["echo ${x##*a*b*c}", "echo ${x%%a*b*c}", "case $x in *1*2*3*$x) :;; esac"] {
        let ran = run_with(&format!("{long}; {script}"), "").await;
        assert_eq!(ran.ended, Ended::Signal("XCPU"), "{script}: {}", ran.err);
    }
    let read = "for i in 1 2 3 4 5 6 7 8 9 10; do echo $x >> /tmp/f; done; i=0; while [ $i -lt 300 ]; do i=$((i+1)); sed s/1/2/ \
                /tmp/f > /dev/null; done";
    let ran = run_with(&format!("{long}; {read}"), "").await;
    assert_eq!(ran.ended, Ended::Signal("XCPU"), "{}", ran.err);
    let chain = format!("{}:", "a() ".repeat(100_000));
    let ran = run_with(&chain, "").await;
    assert_eq!(ran.ended, Ended::Code(2), "{}", ran.err);
    assert!(ran.err.contains("too deeply nested"), "{}", ran.err);
    let numbers = "x=-0x-8000000000000000; echo $((x)); seq 9223372036854775806 9223372036854775807; echo ${00}";
    assert_ne!(run_with(numbers, "").await.ended, Ended::Signal("ABRT"), "no panic");
}

#[tokio::test]
async fn a_busy_script_ends_when_it_is_cancelled() {
    let (host, _requests) = Host::alone(Limits::default(), Disk::default());
    let job = job("while :; do :; done", Input::empty(), Output::Null, Output::Null);
    let cancel = CancellationToken::new();
    cancel.cancel();
    assert_eq!(run(&host, job, &cancel).await, Ended::Signal("HUP"));
    assert_eq!(host.limits.held(), 0);
}

#[tokio::test]
async fn jobs_have_a_limit() {
    let (host, _requests) = Host::alone(Limits::default(), Disk::default());
    let cancel = CancellationToken::new();
    let job = |script: &str| job(script, Input::empty(), Output::Null, Output::Null);
    let sleepers: Vec<_> = (0..64)
        .map(|_| {
            let (host, cancel, job) = (host.clone(), cancel.clone(), job("sleep 1000"));
            tokio::spawn(async move { run(&host, job, &cancel).await })
        })
        .collect();
    while host.limits.job().is_some() {
        tokio::task::yield_now().await;
    }
    assert_eq!(run(&host, job(":"), &cancel).await, Ended::Code(2), "one too many");
    cancel.cancel();
    for sleeper in sleepers {
        assert_eq!(sleeper.await.unwrap(), Ended::Signal("HUP"));
    }
    assert_eq!(run(&host, job(":"), &CancellationToken::new()).await, Ended::Code(0));
}

#[tokio::test]
async fn sshd_says_what_the_machines_own_files_say() {
    let conf = "/etc/ssh/sshd_config";
    let ask = |lines: &str, call: &str, keyword: &str| {
        format!("printf '{lines}' > {conf}; mkdir -p /etc/ssh/d; {call} | grep '^{keyword} '")
    };
    check(&[
        ("sshd -T | grep -c .", "24\n", 0),
        (
            "sshd -T | grep -E '^(permitrootlogin|passwordauthentication) '",
            "passwordauthentication no\npermitrootlogin without-password\n",
            0,
        ),
        // The first value counts, but for lists; a block counts for those whom it is for.
        (&ask("Port 1\\nPort 2\\nUsePAM yes\\nusepam=no\\n", "sshd -T", "port"), "port 1\nport 2\n", 0),
        (&ask("UsePAM yes\\nusepam=no\\n", "sshd -T", "usepam"), "usepam yes\n", 0),
        (&ask("Match User a*\\n UsePAM yes\\n", "sshd -T -C user=alice,host=x,addr=y", "usepam"), "usepam yes\n", 0),
        (&ask("Match User a*\\n UsePAM yes\\n", "sshd -T -C user=bob,host=x,addr=y", "usepam"), "usepam no\n", 0),
        (&ask("Include d/*.conf\\n", "echo UsePAM yes > /etc/ssh/d/a.conf; sshd -T", "usepam"), "usepam yes\n", 0),
        // What is not known is an error.
        ("echo 'Match RDomain x' > /etc/ssh/sshd_config; sshd -T", "", 255),
        ("sshd -D", "", 1),
    ])
    .await;
}

#[tokio::test]
async fn a_cancelled_script_ends() {
    let (host, _requests) = Host::alone(Limits::default(), Disk::default());
    let (buffer, out) = Output::buffer(&host.limits);
    let job = job("echo first; sleep 1000; echo second", Input::empty(), out, Output::Null);
    let cancel = CancellationToken::new();
    let canceller = async {
        while lock(&buffer).bytes.is_empty() {
            tokio::task::yield_now().await;
        }
        cancel.cancel();
    };
    let (ended, ()) = tokio::join!(run(&host, job, &cancel), canceller);
    assert_eq!(ended, Ended::Signal("HUP"));
    assert_eq!(lock(&buffer).bytes, b"first\n");
}

/// Each command, with a flag that no program has, and with a letter that is in no row.
#[tokio::test]
async fn a_flag_that_a_command_does_not_know_fails_loudly() {
    use super::{builtins::COMMANDS, flags::Flags};
    for command in COMMANDS {
        for name in command.names.split(' ') {
            for flag in ["--no-such-flag", "-Y"] {
                let ran = run_with(&format!("{name} {flag} x || echo went on"), "").await;
                match command.flags {
                    Flags::Known(_) | Flags::Leading(_) | Flags::Own(_) => {
                        assert_ne!(ran.ended, Ended::Code(0), "{name} {flag}: {}", ran.out);
                        let told =
                            ran.err.contains(flag) || ran.err.contains("- -: not") || ran.err.contains("--: not");
                        assert!(told, "{name} {flag}: {}", ran.err);
                    }
                    // Words, or a command that does nothing or always fails: the same with any flag.
                    Flags::None | Flags::Any => {
                        let plain = run_with(&format!("{name} x || echo went on"), "").await;
                        assert_eq!(ran.ended, plain.ended, "{name} {flag}: {}", ran.err);
                    }
                }
            }
        }
    }
}

#[test]
fn a_name_is_in_one_row() {
    let mut names: Vec<_> = super::builtins::COMMANDS.iter().flat_map(|command| command.names.split(' ')).collect();
    let all = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), all);
}
