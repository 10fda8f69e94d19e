use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{PermissionsExt, symlink},
};

use proptest::prelude::*;

use super::*;
use crate::manifest::{Links, ScriptProvisioner, ShellProvisioner, VerifyCommand};

/// A recipe on disk that every test starts from.
struct Fixture {
    dir: tempfile::TempDir,
    image: ImageSection,
    base: ImageId,
    provider: ProviderId,
}

fn write(path: &Path, content: &[u8], mode: u32) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        write(&dir.path().join("app/server"), b"#!/bin/sh\necho hello\n", 0o755);
        write(&dir.path().join("app/static/page.html"), b"<h1>hello</h1>\n", 0o644);
        for folder in ["app", "app/static"] {
            fs::set_permissions(dir.path().join(folder), fs::Permissions::from_mode(0o755)).unwrap();
        }
        symlink("static/page.html", dir.path().join("app/index.html")).unwrap();
        write(&dir.path().join("install.sh"), b"#!/bin/sh\ntrue\n", 0o755);
        let run = RunOptions { env: BTreeMap::from([("VERSION".into(), "v1".into())]), ..RunOptions::default() };
        let file = FileProvisioner {
            source: "app".into(),
            destination: "/opt/app".into(),
            mode: None,
            owner: None,
            links: None,
            exclude: vec![],
        };
        let verify = VerifyCommand {
            name: None,
            command: "test -x /opt/app/server".into(),
            timeout: crate::manifest::HumanDuration::seconds(60),
        };
        let image = ImageSection {
            provision: vec![
                Provisioner::File(file),
                Provisioner::Script(ScriptProvisioner { path: "install.sh".into(), args: vec![], run: run.clone() }),
                Provisioner::Shell(ShellProvisioner {
                    inline: vec!["systemctl enable app".into()],
                    shell: LineShell::Sh,
                    run,
                }),
            ],
            verify: vec![verify],
            boot_timeout: crate::manifest::HumanDuration::seconds(600),
            capture_timeout: crate::manifest::HumanDuration::seconds(600),
            boot_check: false,
            script_folder: SCRIPT_FOLDER.into(),
        };
        Self { dir, image, base: "debian-12-x64@158".into(), provider: "sandbox".into() }
    }

    fn digests(&self) -> (Fingerprint, Vec<InputDigest>) {
        let Self { image, provider, base, .. } = self;
        compute(&Inputs { image, provider, base, base_dir: self.dir.path() }).unwrap()
    }

    fn fingerprint(&self) -> Fingerprint {
        self.digests().0
    }

    fn file(&mut self) -> &mut FileProvisioner {
        match &mut self.image.provision[0] {
            Provisioner::File(file) => file,
            other => panic!("{other:?}"),
        }
    }

    fn shell(&mut self) -> &mut ShellProvisioner {
        match &mut self.image.provision[2] {
            Provisioner::Shell(shell) => shell,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn is_the_same_on_every_machine() {
    // A literal: if this changes, VERSION must change too, because every user's images are baked anew.
    assert_eq!(
        Fixture::new().fingerprint().as_str(),
        "9b2bad2056377e9171056b8b89510b71ffcd3bcc718454a4c0e99f426be53dbd"
    );
}

#[test]
fn times_and_place_do_not_matter() {
    let (one, other) = (Fixture::new(), Fixture::new());
    let file = File::options().write(true).open(other.dir.path().join("app/server")).unwrap();
    file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    assert_ne!(one.dir.path(), other.dir.path());
    assert_eq!(one.fingerprint(), other.fingerprint());
}

#[test]
fn what_a_link_leads_to_matters_where_it_is_followed() {
    let mut fixture = Fixture::new();
    write(&fixture.dir.path().join("shared"), b"one", 0o644);
    symlink("../shared", fixture.dir.path().join("app/shared")).unwrap();
    let kept = fixture.fingerprint();
    write(&fixture.dir.path().join("shared"), b"two", 0o644);
    assert_eq!(kept, fixture.fingerprint());
    fixture.file().links = Some(Links::Follow);
    let followed = fixture.fingerprint();
    write(&fixture.dir.path().join("shared"), b"six", 0o644);
    assert_ne!(followed, fixture.fingerprint());
}

#[test]
fn the_name_of_a_single_file_matters() {
    let mut fixture = Fixture::new();
    write(&fixture.dir.path().join("one/a.conf"), b"same", 0o644);
    write(&fixture.dir.path().join("other/a.conf"), b"same", 0o644);
    write(&fixture.dir.path().join("other/b.conf"), b"same", 0o644);
    let mut of = |source: &str| {
        fixture.file().source = source.into();
        fixture.fingerprint()
    };
    let one = of("one/a.conf");
    // Where it lies does not matter, and in a folder of the machine it keeps its name.
    assert_eq!(one, of("other/a.conf"));
    assert_ne!(one, of("other/b.conf"));
}

#[test]
fn what_is_not_in_the_image_does_not_matter() {
    let mut fixture = Fixture::new();
    let before = fixture.fingerprint();
    fixture.image.boot_check = true;
    fixture.image.boot_timeout = crate::manifest::HumanDuration::seconds(1);
    fixture.image.verify[0].name = Some("the server is there".into());
    assert_eq!(before, fixture.fingerprint());
}

#[test]
fn a_secret_of_a_step_counts_by_its_name() {
    let mut fixture = Fixture::new();
    let with = |fixture: &mut Fixture, name: &str, text: &str| {
        fixture.shell().run.secret_env = BTreeMap::from([(name.into(), crate::manifest::Template(text.into()))]);
        fixture.fingerprint()
    };
    let plain = fixture.fingerprint();
    let token = with(&mut fixture, "TOKEN", "${secret.token}");
    let others =
        [with(&mut fixture, "TOKEN2", "${secret.token}"), with(&mut fixture, "TOKEN", "${secret.other}"), plain];
    assert!(others.iter().all(|other| *other != token), "{others:?}");
    // Where the value comes from is not asked: only the name of the secret is in what is digested.
    assert_eq!(with(&mut fixture, "TOKEN", "${secret.token}"), token);
}

#[test]
fn every_input_matters() {
    type Change = fn(&mut Fixture);
    let changes: &[(&str, Change, &str)] = &[
        ("base", |f| f.base = "debian-12-x64@159".into(), "base image"),
        ("provider", |f| f.provider = "digitalocean".into(), "base image"),
        ("destination", |f| f.file().destination = "/opt/other".into(), "step 1 (file app)"),
        ("owner", |f| f.file().owner = Some("app".into()), "step 1 (file app)"),
        ("mode", |f| f.file().mode = Some("0600".into()), "step 1 (file app): content"),
        ("exclude", |f| f.file().exclude = vec!["*.html".into()], "step 1 (file app): content"),
        (
            "link",
            |f| {
                fs::remove_file(f.dir.path().join("app/index.html")).unwrap();
                symlink("server", f.dir.path().join("app/index.html")).unwrap();
            },
            "step 1 (file app): content",
        ),
        (
            "mode of a folder",
            |f| fs::set_permissions(f.dir.path().join("app/static"), fs::Permissions::from_mode(0o750)).unwrap(),
            "step 1 (file app): content",
        ),
        ("folder", |f| fs::create_dir(f.dir.path().join("app/empty")).unwrap(), "step 1 (file app): content"),
        (
            "name",
            |f| fs::rename(f.dir.path().join("app/server"), f.dir.path().join("app/Server")).unwrap(),
            "step 1 (file app): content",
        ),
        (
            "script",
            |f| write(&f.dir.path().join("install.sh"), b"#!/bin/sh\nfals\n", 0o755),
            "step 2 (script install.sh): content",
        ),
        ("line", |f| f.shell().inline.push("true".into()), "step 3 (shell)"),
        ("shell", |f| f.shell().shell = LineShell::Bash, "step 3 (shell)"),
        ("script folder", |f| f.image.script_folder = "/opt/steps".into(), "script folder"),
        ("variable", |f| drop(f.shell().run.env.insert("VERSION".into(), "v2".into())), "step 3 (shell)"),
        ("reboot", |f| f.shell().run.expect_reboot = true, "step 3 (shell)"),
        ("verify", |f| f.image.verify[0].command.push('!'), "verify 1"),
    ];
    let (before, inputs) = Fixture::new().digests();
    for (name, change, input) in changes {
        let mut fixture = Fixture::new();
        change(&mut fixture);
        let (after, digests) = fixture.digests();
        assert_ne!(before, after, "{name}");
        assert_eq!(changed(&inputs, &digests), [*input], "{name}");
    }
}

#[test]
fn order_matters() {
    let mut fixture = Fixture::new();
    let before = fixture.fingerprint();
    fixture.image.provision.swap(0, 2);
    assert_ne!(before, fixture.fingerprint());
}

#[test]
fn fields_do_not_run_together() {
    let mut fixture = Fixture::new();
    fixture.shell().inline = vec!["ab".into(), "c".into()];
    let one = fixture.fingerprint();
    fixture.shell().inline = vec!["a".into(), "bc".into()];
    assert_ne!(one, fixture.fingerprint());
}

#[test]
fn a_local_artifact_must_be_what_it_claims() {
    let mut fixture = Fixture::new();
    write(&fixture.dir.path().join("tool.tar"), b"tool", 0o644);
    let artifact = |sha256: &str| {
        Provisioner::Artifact(crate::manifest::ArtifactProvisioner {
            url: "file:tool.tar".into(),
            sha256: sha256.into(),
            destination: "/opt/tool.tar".into(),
            mode: None,
            owner: None,
        })
    };
    let right = hex::encode(Sha256::digest(b"tool"));
    fixture.image.provision = vec![artifact(&right.to_uppercase())];
    let upper = fixture.fingerprint();
    fixture.image.provision = vec![artifact(&right)];
    assert_eq!(upper, fixture.fingerprint());
    fixture.image.provision = vec![artifact(&"0".repeat(64))];
    let Fixture { image, provider, base, dir } = &fixture;
    let error = compute(&Inputs { image, provider, base, base_dir: dir.path() }).unwrap_err();
    assert!(error.to_string().contains(&right), "{error}");
}

#[test]
fn a_missing_file_is_named() {
    let mut fixture = Fixture::new();
    fixture.file().source = "nowhere".into();
    let Fixture { image, provider, base, dir } = &fixture;
    let error = compute(&Inputs { image, provider, base, base_dir: dir.path() }).unwrap_err();
    assert_eq!(error.to_string(), "cannot take the fingerprint of step 1 (file nowhere)");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn one_byte_or_one_mode_bit_changes_it(
        content in proptest::collection::vec(any::<u8>(), 1..200), at in any::<prop::sample::Index>(),
        flip in 1_u8.., mode in 0o400_u32..0o777, bit in 0_u32..8,
    ) {
        let fixture = Fixture::new();
        let path = fixture.dir.path().join("app/static/page.html");
        write(&path, &content, mode | 0o400);
        let before = fixture.fingerprint();

        let mut other = content.clone();
        other[at.index(content.len())] ^= flip;
        write(&path, &other, mode | 0o400);
        prop_assert_ne!(&before, &fixture.fingerprint());

        write(&path, &content, (mode | 0o400) ^ (1 << bit));
        prop_assert_ne!(&before, &fixture.fingerprint());

        write(&path, &content, mode | 0o400);
        prop_assert_eq!(&before, &fixture.fingerprint());
    }
}
