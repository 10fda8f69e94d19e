//! Fuzz targets: what a machine is told at its first boot, and the scripts that it runs.

use remint_core::{provider::Guest, userdata::UserData};
use secrecy::ExposeSecret as _;
use tokio_util::sync::CancellationToken;

use super::{
    disk::base_image,
    guest,
    shell::{self, Ended, Host, Input, Job, Limits, Output},
};
use crate::fuzz::{JSON, Target};

/// How large Remint's user data may become here, in bytes.
const ROOM: usize = 1 << 20;

#[test]
fn fuzz_user_data() {
    let target = Target {
        name: "user_data",
        samples: &[
            "#cloud-config\nruncmd: [a, [b, c]]\nhostname: x\nwrite_files:\n  - {path: /x, content: \"y\", encoding: b64}\n",
            "#!/bin/sh\necho ö\n",
            "Content-Type: multipart/mixed; boundary=\"b\"\n\n--b\nContent-Type: text/cloud-config\n\n#cloud-config\na: 1\n\n--b\n\
             Content-Transfer-Encoding: base64\nContent-Disposition: attachment; filename=\"s\"\n\nIyEvYmluL3No\n--b--\n",
            "#cloud-config\na: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n",
        ],
        words: &[
            JSON,
            &[
                "--b\n", "--b--\n", "\n\n", "\n", ":", "- ", "  ", "[", "]", "{", "}", "&a ", "*a", "<<: ", "|\n",
                ">\n", "---\n", "\t", "#", "\r\n", "base64", "\u{0}", "'", "\"", "? ",
            ],
            &[
                "Content-Type: ",
                "multipart/mixed; boundary=b",
                "text/x-shellscript",
                "!!binary ",
                "\u{1f}\u{8b}",
                "9999999999999999999999",
                "#cloud-config\n",
            ],
        ],
    };
    let host_key = "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n".to_owned().into();
    target.run(|text| {
        guest::read_user_data(text.as_bytes());
        // What Remint writes is read as it was meant.
        let script = format!("#!/bin/sh\n{text}");
        let built = UserData::new(&host_key, &Guest::CLOUD_INIT)
            .hostname("h")
            .part("s.sh", &script.clone().into())
            .unwrap()
            .build(ROOM);
        let Ok(built) = built else { return };
        let (scripts, errors) = guest::read_user_data(built.expose_secret().as_bytes());
        assert_eq!(errors, [""; 0], "{text:?}");
        assert_eq!(scripts, [script], "{text:?}");
    });
}

#[test]
fn fuzz_shell() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let disk = base_image().unwrap();
    let target = Target {
        name: "shell",
        samples: &[
            "set -eu; for i in 1 2 3; do x=${x:-}$i; done; echo \"$x\" | sed 's/1/&&/g' | tr a-z A-Z",
            "f() { case $1 in a*|b) echo m;; *) return 3;; esac; }; f abc || echo $?; echo $((1 + (2 << 3) % 5))",
            "cat <<EOF | grep -c x > /tmp/f 2>&1\nx $(echo y) `echo z`\nEOF\nif [ -s /tmp/f ]; then cat < /tmp/f; fi",
            "i=0; while [ $i -lt 3 ]; do i=$((i+1)); done; printf '%05d|%-3s\\n' $i x; echo ${i#*/} ${i%%.*} ~/x /etc/h*",
            "mkdir -p /a/b; cd /a; echo 1 > b/c; cp -r b d; find . -name 'c' -exec rm {} +; ls -l; stat -c %a d; seq 1 9",
            "eval \"x=1\"; export y=2; env z=3 sh -c 'echo $0 $y $z'; timeout 1 true; echo a b | read p q; set -- 1 2; shift",
        ],
        words: &[
            &[
                "$(", ")", "`", "${", "}", "$((", "))", "\"", "'", "\\", "\n", ";", ";;", "&&", "||", "|", "&", "(",
                "{ ", "; }", "if ", "then ", "fi", "for ", "do ", "done", "case ", "esac", " in ", "f() ", "f ",
                "<<A\n", "<", ">", ">>", "2>&1", "$x", "\"$@\"", "$#", "x=$x$x", "${x##*", "${x:-", "[", "*", "?", "~",
                "#", "!", "set -- ", "eval ", "xargs ", "0x", "${00}", "ü", "head -c ", "find / ", "dd ", "exit ",
                "shift ",
            ],
            &[
                "while :; do ",
                "sed 's/x/",
                "printf '%0999d' ",
                "grep -E '",
                "-9223372036854775808",
                "cut -d, -f1-",
                "tr 'a-z' ",
                "kill -9 $$",
                "break 99999999999",
            ],
        ],
    };
    target.run(|script| {
        // It would only wait.
        if script.contains("sleep") || script.contains("wait") {
            return;
        }
        let limits = Limits::new(8 << 20, 1000);
        let (host, _requests) = Host::alone(limits.clone(), disk.clone());
        let out = Output::Null;
        let job = Job {
            script: script.to_owned(),
            arguments: vec!["sh".to_owned(), "a b".to_owned()],
            environment: vec![],
            input: Input::bytes(b"1 2\n".to_vec(), &limits),
            out: out.clone(),
            err: out,
        };
        let ended = runtime.block_on(shell::run(&host, job, &CancellationToken::new()));
        // That is how a panic ends.
        assert_ne!(ended, Ended::Signal("ABRT"), "{script:?}");
        host.power.cancel();
        drop(host);
        runtime.block_on(limits.idle());
        assert_eq!(limits.held(), 0, "{script:?} keeps memory");
    });
}
