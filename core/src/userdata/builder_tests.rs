use std::collections::BTreeMap;

use super::*;
use crate::provider::is_packed;

const LIMIT: usize = 64 * 1024;

fn start() -> UserData {
    UserData::new(&"PEM".into(), &Guest::CLOUD_INIT).authorize("ssh-ed25519 AAAA remint")
}

fn config(value: &str) -> RenderedConfig {
    RenderedConfig {
        path: "/etc/app/app.env".into(),
        owner: "app".into(),
        mode: "0600".into(),
        restart: vec!["app.service".into()],
        env: BTreeMap::from([("GREETING".to_owned(), SecretString::from(value))]),
    }
}

/// The JSON of Remint's own part.
fn own(document: &SecretString) -> Value {
    let text = document.expose_secret();
    let start = text.find("#cloud-config\n").unwrap() + "#cloud-config\n".len();
    serde_json::from_str(text[start..].split("\n--remint-").next().unwrap()).unwrap()
}

#[test]
fn one_part_is_multi_part_too() {
    let document = start().hostname("app-1-0").build(LIMIT).unwrap();
    insta::assert_snapshot!(document.expose_secret(), @r##"
    MIME-Version: 1.0
    Content-Type: multipart/mixed; boundary="remint-c2c08b82ebc23754abcaa5f2511f422b"

    --remint-c2c08b82ebc23754abcaa5f2511f422b
    Content-Type: text/cloud-config; charset="us-ascii"
    MIME-Version: 1.0
    Content-Transfer-Encoding: 7bit
    Content-Disposition: attachment; filename="remint.cfg"
    X-Merge-Type: list(append)+dict(no_replace,recurse_list)+str()

    #cloud-config
    {
      "chpasswd": {
        "expire": false
      },
      "disable_root": false,
      "hostname": "app-1-0",
      "manage_etc_hosts": "localhost",
      "preserve_hostname": false,
      "ssh_deletekeys": true,
      "ssh_keys": {
        "ed25519_private": "PEM\n"
      },
      "ssh_pwauth": false,
      "users": [
        {
          "name": "root",
          "ssh_authorized_keys": [
            "ssh-ed25519 AAAA remint"
          ]
        }
      ],
      "write_files": [
        {
          "content": "# Written by Remint, which logs in as root by key.\nPermitRootLogin prohibit-password\nPubkeyAuthentication yes\n",
          "owner": "root:root",
          "path": "/etc/ssh/sshd_config.d/00-remint.conf",
          "permissions": "0644"
        }
      ]
    }

    --remint-c2c08b82ebc23754abcaa5f2511f422b--
    "##);
}

#[test]
fn writes_the_configuration_and_restarts_the_unit() {
    let document = start().config(&config("say \"hi\"\n$HOME")).unwrap().build(LIMIT).unwrap();
    let own = own(&document);
    assert_eq!(
        own["write_files"][1],
        json!({
            "path": "/etc/app/app.env", "owner": "none:none", "permissions": "0600",
            "content": "GREETING=\"say \\\"hi\\\"\n\\$HOME\"\n",
        })
    );
    assert_eq!(own["bootcmd"][0][5], "app:");
    assert!(
        own["runcmd"][0].as_str().unwrap().ends_with(" /etc/app/app.env app app: || exit 1"),
        "{}",
        own["runcmd"][0]
    );
    assert_eq!(own["runcmd"][1][4], "app.service");
    assert_eq!(own["ssh_keys"]["ed25519_private"], "PEM\n");
}

#[test]
fn a_file_of_root_needs_no_commands() {
    for owner in ["root", "root:root", "0"] {
        let config = RenderedConfig { owner: owner.into(), restart: Vec::new(), ..config("x") };
        let own = own(&start().config(&config).unwrap().build(LIMIT).unwrap());
        assert_eq!(own["write_files"][1]["owner"], "root:root");
        assert!(own.get("bootcmd").is_none() && own.get("runcmd").is_none(), "{own}");
    }
}

#[test]
fn a_part_that_manages_the_hosts_file_is_left_alone() {
    for (part, wanted) in [
        ("#cloud-config\nmanage_etc_hosts: true\n", None),
        ("#cloud-config\n{\"manage_etc_hosts\": false}\n", None),
        ("#cloud-config\nwrite_files: [{path: /x, content: 'manage_etc_hosts: true'}]\n", Some("localhost")),
        ("#!/bin/sh\nmanage_etc_hosts: true\n", Some("localhost")),
    ] {
        let document = start().hostname("app-1").part("it", &part.into()).unwrap().build(LIMIT).unwrap();
        assert_eq!(own(&document).get("manage_etc_hosts").and_then(Value::as_str), wanted, "{part}");
    }
}

#[test]
fn files_of_the_providers_guests_come_before_the_configuration() {
    const GUEST: Guest = Guest {
        files: &[GuestFile { path: "/etc/agent.cfg", content: "\nkeys = no\n", append: true }],
        ..Guest::CLOUD_INIT
    };
    let document = UserData::new(&"PEM".into(), &GUEST).config(&config("x")).unwrap().build(LIMIT).unwrap();
    let files = &own(&document)["write_files"];
    assert_eq!(
        files[1],
        json!({
            "path": "/etc/agent.cfg", "owner": "root:root", "permissions": "0644", "content": "\nkeys = no\n", "append": true,
        })
    );
    assert_eq!(files[2]["path"], "/etc/app/app.env");
}

#[test]
fn is_deterministic_and_depends_on_every_part() {
    let build = |value: &str| start().config(&config(value)).unwrap().build(LIMIT).unwrap();
    assert_eq!(build("a").expose_secret(), build("a").expose_secret());
    let boundary = |document: &SecretString| document.expose_secret().lines().nth(1).unwrap().to_owned();
    assert_ne!(boundary(&build("a")), boundary(&build("b")));
}

#[test]
fn other_parts_append() {
    let parts = [
        ("a.yaml", "#cloud-config\nruncmd: [[echo]]\n", "text/cloud-config", true),
        ("b.yaml", "#cloud-config\nmerge_how: x\n", "text/cloud-config", false),
        ("c.sh", "#!/bin/sh\necho ü\n", "text/x-shellscript", false),
        ("d", "#cloud-boothook\n", "text/cloud-boothook", false),
        ("e", "#include-once\nhttps://example.com\n", "text/x-include-once-url", false),
    ];
    for (name, body, kind, merges) in parts {
        let document = start().part(name, &body.into()).unwrap().build(LIMIT).unwrap();
        let last = document.expose_secret().split("\n--remint-").last_but_one();
        assert!(last.contains(&format!("Content-Type: {kind};")), "{last}");
        assert_eq!(last.contains("X-Merge-Type: list(append)"), merges, "{last}");
        assert_eq!(last.contains("base64"), !body.is_ascii(), "{last}");
    }
    let error = start().part("x.txt", &"hello".into()).unwrap_err();
    assert!(error.to_string().starts_with("x.txt: its first line does not tell its kind"), "{error}");
}

trait LastButOne {
    fn last_but_one(self) -> String;
}

impl<'a, I: Iterator<Item = &'a str>> LastButOne for I {
    /// The last part, before the closing boundary.
    fn last_but_one(self) -> String {
        let all: Vec<&str> = self.collect();
        all[all.len() - 2].to_owned()
    }
}

#[test]
fn characters_that_yaml_refuses_are_escaped() {
    let rendered = cloud_config::render(&json!({ "a": "del \u{7f} nel \u{85} ls \u{2028} rocket 🚀" }));
    assert!(rendered.contains("del \\u007f nel \\u0085 ls \\u2028 rocket 🚀"), "{}", *rendered);
}

#[test]
fn says_which_part_is_too_large_and_nothing_of_its_content() {
    let big = format!("#!/bin/sh\n# hunter2 {}\n", "x".repeat(LIMIT));
    let error = start().part("big.sh", &big.as_str().into()).unwrap().build(LIMIT).unwrap_err().to_string();
    assert!(error.contains("at most 65536: remint.cfg "), "{error}");
    assert!(error.ends_with(&format!("big.sh {}", big.len())), "{error}");
    assert!(!error.contains("hunter2"));
}

#[test]
fn what_is_too_long_is_compressed_where_the_machines_take_it() {
    const GZIP: Guest = Guest { gzip: true, ..Guest::CLOUD_INIT };
    let script = format!("#!/bin/sh\n{}", "echo über alles\n".repeat(1000));
    let build = |guest: &Guest, limit| {
        let data = UserData::new(&"PEM".into(), guest).part("long.sh", &script.as_str().into()).unwrap();
        data.build(limit).map(|document| document.expose_secret().to_owned())
    };
    let (plain, short) = (build(&GZIP, LIMIT).unwrap(), build(&GZIP, 16 * 1024).unwrap());
    assert!(plain.len() > 16 * 1024 && !is_packed(&plain), "what fits stays as it is");
    assert!(is_packed(&short) && user_data_size(&short) <= 16 * 1024, "{}", short.len());
    assert!(matches!(build(&Guest::CLOUD_INIT, 16 * 1024), Err(UserDataError::TooLarge { .. })));
    assert!(matches!(build(&GZIP, 100), Err(UserDataError::TooLarge { size: 101.., .. })));
}
