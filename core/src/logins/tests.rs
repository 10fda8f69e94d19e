//! Ways in, planted in the configuration of a real `sshd`, whose own answer is judged.

use std::{fs, path::Path, process::Command};

use secrecy::ExposeSecret;

use super::{
    Audit,
    config::{Settings, Text, listener_arguments},
    facts::{Facts, Password, User, expand},
    judge,
};
use crate::remote::{HostKey, LoginKey};

const ACCESS: &str = "ssh-ed25519 AAAAaccess me@here";
const EVIL: &str = "ssh-ed25519 AAAAevil x";

/// What a good configuration says.
const GOOD: &str =
    "PermitRootLogin prohibit-password\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM yes\n";

struct Machine {
    config: String,
    facts: Facts,
    login: String,
}

impl Machine {
    /// A machine with a good configuration, and lines before it: in OpenSSH's files, the first line of a keyword counts.
    fn with(config: &str) -> Self {
        let login = LoginKey::generate().public().line();
        let user = |name: &str, uid: &str, home: &str| User { name: name.into(), uid: uid.into(), home: home.into() };
        let mut facts =
            Facts { users: vec![user("root", "0", "/root"), user("alice", "1000", "/home/alice")], ..Facts::default() };
        facts.key_files.push(("root".into(), "/root/.ssh/authorized_keys".into(), format!("{login}\n{ACCESS}\n")));
        Self { config: config.to_owned(), facts, login }
    }

    fn password(mut self, user: &str, password: Password) -> Self {
        self.facts.passwords.insert(user.to_owned(), password);
        self
    }

    fn keys(mut self, user: &str, path: &str, text: &str) -> Self {
        self.facts.key_files.push((user.into(), path.into(), text.into()));
        self
    }

    fn root_keys(mut self, more: &str) -> Self {
        self.facts.key_files[0].2.push_str(more);
        self
    }

    /// Asks a real sshd, and judges.
    fn audit(mut self) -> Audit {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("ssh_host_ed25519_key");
        fs::write(&key, HostKey::generate().private_pem().expose_secret()).unwrap();
        fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let blocks = self.config.find("Match").unwrap_or(self.config.len());
        let (before, blocks) = self.config.split_at(blocks);
        let text = format!("HostKey {}\n{before}{GOOD}{blocks}", key.display());
        let file = folder.path().join("sshd_config");
        fs::write(&file, &text).unwrap();
        self.facts.settings.push(Settings::parse(String::new(), &effective(&file, None)));
        let mut read = Text::new("/etc/ssh/sshd_config");
        read.add("/etc/ssh/sshd_config".to_owned(), vec![("/etc/ssh/sshd_config".to_owned(), text)]);
        self.facts.matched = read.matched();
        if !self.facts.matched.is_empty() {
            for user in self.facts.users.clone() {
                self.facts.settings.push(Settings::parse(user.name.clone(), &effective(&file, Some(&user.name))));
            }
        }
        judge(&self.facts, &self.login, &[ACCESS.to_owned()])
    }
}

fn effective(config: &Path, user: Option<&str>) -> Vec<String> {
    let mut sshd = Command::new("/usr/sbin/sshd");
    sshd.arg("-T").arg("-f").arg(config);
    if let Some(user) = user {
        sshd.arg("-C").arg(format!("user={user},host=remint.invalid,addr=192.0.2.1,laddr=192.0.2.2,lport=22"));
    }
    if Path::new("/run").exists() {
        // Run by root, sshd insists on the folder that its package's unit makes at boot.
        _ = fs::create_dir_all("/run/sshd");
    }
    let output = sshd.output().expect("these tests need a real sshd: apt-get install openssh-server");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn a_good_machine_passes_and_its_file_is_remints() {
    let audit = Machine::with("").password("alice", Password::Set).audit();
    assert_eq!(audit.found, Vec::<String>::new());
    assert_eq!(audit.locked_out, Vec::<String>::new());
    let files: Vec<_> = audit.own_files.iter().map(|file| (file.path.as_str(), file.foreign)).collect();
    assert_eq!(files, [("/root/.ssh/authorized_keys", 0)]);
}

#[test]
fn every_planted_way_in_is_named() {
    let planted: [(&str, Machine, &str); 18] = [
        (
            "command",
            Machine::with("AuthorizedKeysCommand /opt/keys\nAuthorizedKeysCommandUser nobody\n"),
            "authorizedkeyscommand /opt/keys",
        ),
        ("authority", Machine::with("TrustedUserCAKeys /etc/ssh/ca.pub\n"), "trustedusercakeys /etc/ssh/ca.pub"),
        ("host-based", Machine::with("HostbasedAuthentication yes\n"), "hostbasedauthentication yes"),
        (
            "password",
            Machine::with("PasswordAuthentication yes\n").password("alice", Password::Set),
            "user alice has a password",
        ),
        (
            "PAM",
            Machine::with("KbdInteractiveAuthentication yes\n").password("alice", Password::Set),
            "kbdinteractiveauthentication",
        ),
        (
            "root's password",
            Machine::with("PasswordAuthentication yes\nPermitRootLogin yes\n").password("root", Password::Set),
            "user root has a password",
        ),
        (
            "no password",
            Machine::with("PasswordAuthentication yes\nPermitEmptyPasswords yes\n").password("alice", Password::Empty),
            "empty password",
        ),
        (
            "block, user",
            Machine::with("Match User alice\n  AuthorizedKeysCommand /opt/keys\n  AuthorizedKeysCommandUser nobody\n"),
            "authorizedkeyscommand",
        ),
        (
            "block, address",
            Machine::with("Match Address 10.0.0.0/8\n  TrustedUserCAKeys=\"/etc/ssh/ca.pub\"\n"),
            "in the block `Match Address 10.0.0.0/8`",
        ),
        (
            "block, password",
            Machine::with("Match LocalAddress 10.0.0.1\n  PasswordAuthentication yes\n")
                .password("alice", Password::Set),
            "in the block `Match LocalAddress 10.0.0.1`",
        ),
        (
            "block, host-based",
            Machine::with("Match Host *.example.com\n\thostbasedauthentication\tyes\n"),
            "Match Host *.example.com",
        ),
        (
            "second file",
            Machine::with("").keys("root", "/root/.ssh/authorized_keys2", EVIL),
            "authorized_keys2 lets user root in",
        ),
        (
            "another user",
            Machine::with("").keys("alice", "/home/alice/.ssh/authorized_keys", EVIL),
            "lets user alice in",
        ),
        (
            "options that name a key",
            Machine::with("").keys("alice", "/x", "environment=\"X=1 AAAAaccess y\" ssh-ed25519 AAAAevil"),
            "/x lets user alice in",
        ),
        ("no key that is known", Machine::with("").keys("alice", "/x", "x-new-kind BBBB"), "/x lets user alice in"),
        (
            "another server",
            {
                let mut m = Machine::with("");
                m.facts.strangers.insert("dropbear".into());
                m
            },
            "dropbear",
        ),
        (
            "trust",
            {
                let mut m = Machine::with("");
                m.facts.host_trust.push("/home/alice/.shosts".into());
                m
            },
            "/home/alice/.shosts",
        ),
        (
            "Kerberos",
            {
                let mut m = Machine::with("GSSAPIAuthentication yes\n");
                m.facts.keytab = true;
                m
            },
            "gssapiauthentication yes",
        ),
    ];
    for (name, machine, expected) in planted {
        let found = machine.audit().found;
        assert!(found.iter().any(|line| line.contains(expected)), "{name}: {found:?}");
    }
}

#[test]
fn a_key_hidden_in_options_is_overwritten_and_not_kept() {
    // The line that a filter by words kept: the key that counts is the last one.
    let line = "environment=\"X=1 AAAAaccess y\" ssh-ed25519 AAAAevil\n";
    let audit = Machine::with("").root_keys(line).audit();
    assert_eq!(audit.found, Vec::<String>::new());
    assert_eq!(audit.own_files[0].foreign, 1);
    assert_eq!(super::access_file(&[ACCESS.to_owned()]), format!("{ACCESS}\n"));
}

#[test]
fn what_would_keep_remint_out_is_named() {
    let planted = [
        ("PermitRootLogin no\n", "permitrootlogin no"),
        ("PermitRootLogin forced-commands-only\n", "forced-commands-only"),
        ("PubkeyAuthentication no\n", "pubkeyauthentication no"),
        ("Port 2222\n", "port 2222"),
        ("ListenAddress 127.0.0.1\n", "listenaddress 127.0.0.1"),
        ("HostKeyAlgorithms rsa-sha2-512\n", "hostkeyalgorithms"),
        ("PubkeyAcceptedAlgorithms rsa-sha2-512\n", "pubkeyacceptedalgorithms"),
        ("PasswordAuthentication yes\nAuthenticationMethods publickey,password\n", "authenticationmethods"),
        ("AuthorizedKeysFile none\n", "authorizedkeysfile none"),
        ("AllowUsers alice bob\n", "allowusers"),
        ("DenyUsers r*t\n", "denyusers"),
        ("Match User root\n  PermitRootLogin no\n", "permitrootlogin no"),
    ];
    for (config, expected) in planted {
        let audit = Machine::with(config).audit();
        assert!(audit.locked_out.iter().any(|line| line.contains(expected)), "{config}: {:?}", audit.locked_out);
    }
    for fine in ["AllowUsers root@*\n", "Port 22\nPort 2222\n", "ListenAddress 0.0.0.0\n", "DenyUsers alice\n"] {
        assert_eq!(Machine::with(fine).audit().locked_out, Vec::<String>::new(), "{fine}");
    }
}

#[test]
fn the_same_key_of_access_may_stand_elsewhere_and_nothing_more() {
    let same = Machine::with("").keys("alice", "/x", "# mine\n\nssh-ed25519 AAAAaccess other comment\n").audit();
    assert_eq!(same.found, Vec::<String>::new());
    let with_options = Machine::with("").keys("alice", "/x", "no-pty ssh-ed25519 AAAAaccess").audit();
    assert_eq!(with_options.found.len(), 1);
}

#[test]
fn blocks_end_with_the_included_file_and_includes_are_followed() {
    let mut text = Text::new("/etc/ssh/sshd_config");
    assert_eq!(text.missing(), ["/etc/ssh/sshd_config"]);
    let main =
        "include sshd_config.d/*.conf\nPort 22\nMatch User bob\nInclude /opt/in-block\nMatch all\nX11Forwarding no";
    text.add("/etc/ssh/sshd_config".to_owned(), vec![("/etc/ssh/sshd_config".to_owned(), main.to_owned())]);
    assert_eq!(text.missing(), ["/etc/ssh/sshd_config.d/*.conf", "/opt/in-block"]);
    let drop_in = "# Match User nobody\nMatch Group \"staff a\"\nBanner = /x # y\n";
    text.add("/etc/ssh/sshd_config.d/*.conf".to_owned(), vec![("a.conf".to_owned(), drop_in.to_owned())]);
    text.add("/opt/in-block".to_owned(), vec![("/opt/in-block".to_owned(), "PermitTTY no".to_owned())]);
    assert!(text.missing().is_empty());
    let found: Vec<_> = text.matched().into_iter().map(|line| (line.block, line.keyword, line.value)).collect();
    let line = |block: &str, keyword: &str, value: &str| (block.to_owned(), keyword.to_owned(), value.to_owned());
    assert_eq!(
        found,
        [
            line("Match Group staff a", "banner", "/x"),
            line("Match User bob", "permittty", "no"),
            line("Match all", "x11forwarding", "no")
        ]
    );
}

#[test]
fn the_arguments_of_a_server_are_read_from_its_title() {
    let read = |title: &str| listener_arguments(title);
    let words = |words: &[&str]| Some(words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
    assert_eq!(read("sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups"), words(&[]));
    assert_eq!(read("sshd: root@notty"), None);
    assert_eq!(
        read("sshd: /usr/sbin/sshd -D -f /opt/evil -p2222 [listener] 0 of 10"),
        words(&["-f", "/opt/evil", "-p", "2222"])
    );
    let title = "sshd: /usr/sbin/sshd -D -o AuthorizedKeysCommand /usr/share/eic %u %f -o AuthorizedKeysCommandUser eic [listener] 0";
    let command = "AuthorizedKeysCommand /usr/share/eic %u %f";
    assert_eq!(read(title), words(&["-o", command, "-o", "AuthorizedKeysCommandUser eic"]));
    assert_eq!(read("/usr/sbin/sshd -D "), words(&[]));
}

#[test]
fn files_of_keys_are_found_for_each_user() {
    let user = User { name: "bob".into(), uid: "7".into(), home: "/srv/bob/".into() };
    assert_eq!(expand(".ssh/authorized_keys", &user), "/srv/bob/.ssh/authorized_keys");
    assert_eq!(expand("/etc/keys/%u/%U%%", &user), "/etc/keys/bob/7%");
    assert_eq!(expand("%h/keys", &user), "/srv/bob//keys");
}
