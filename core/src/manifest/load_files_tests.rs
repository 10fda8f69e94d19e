//! Files that a manifest names: user data, what steps copy, and the manifest itself.

use super::*;

#[test]
fn user_data_files_are_read_and_filled_in() {
    let part = "[instance]\nuser_data = [{ path = \"seed.yaml\", interpolate = true }]\n";
    let text = with(&format!("{part}[vars]\nwho = \"me\"\n[secrets]\npw = {{ env = \"PW\" }}\n"));
    insta::assert_snapshot!(error(&text), @r#"
    error: `${var.whom}`: there is no variable `whom`
    --> seed.yaml:3:3
     = help: did you mean `who`?
    "#);
    let text = text.replace("who = \"me\"", "who = \"me\"\nwhom = \"x\"");
    let loaded = load_text(&text, &LoadOptions::default()).unwrap();
    assert_eq!(loaded.user_data[0].content.as_str(), "#cloud-config\n# me ${secret.pw}\n# x\n");
}

#[test]
fn what_stands_in_another_file_is_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let part = "[instance]\nuser_data = [{ path = \"part\", interpolate = true }]\n";
    std::fs::write(folder.path().join("remint.toml"), with(part)).unwrap();
    let contents = [
        "hunter2 ${var.x} hunter2",
        "${hunter2.x}",
        "${secret.hunter2",
        "${env.X:hunter2} hunter2",
        "${var.hunter2 and more}",
        "${git.dirty-hunter2}",
    ];
    for content in contents {
        std::fs::write(folder.path().join("part"), content).unwrap();
        let error = load(&folder.path().join("remint.toml"), &LoadOptions::default()).unwrap_err().to_string();
        assert!(error.contains("part:1:"), "{error}");
        assert!(!error.to_lowercase().contains("hunter2"), "{content}: {error}");
    }
}

/// Every key of the manifest that names a file, with a file outside and with a link to it.
#[test]
fn files_outside_of_the_manifest_s_folder_need_an_option() {
    let root = tempfile::tempdir().unwrap();
    let (own, other) = (root.path().join("own"), root.path().join("other"));
    std::fs::create_dir_all(&own).unwrap();
    std::fs::create_dir_all(&other).unwrap();
    std::fs::write(other.join("file"), "#!/bin/sh\n").unwrap();
    std::os::unix::fs::symlink("../other/file", own.join("link")).unwrap();
    std::os::unix::fs::symlink("../other", own.join("folder")).unwrap();
    let digest = "0".repeat(64);
    let keys = [
        (
            "image.provision[0].source",
            "[[image.provision]]\ntype = \"file\"\ndestination = \"/x\"\nsource = \"FILE\"\n".to_owned(),
        ),
        ("image.provision[0].path", "[[image.provision]]\ntype = \"script\"\npath = \"FILE\"\n".to_owned()),
        (
            "image.provision[0].url",
            format!(
                "[[image.provision]]\ntype = \"artifact\"\ndestination = \"/x\"\nsha256 = \"{digest}\"\nurl = \"file:FILE\"\n"
            ),
        ),
        ("instance.user_data[0].path", "[instance]\nuser_data = [{ path = \"FILE\" }]\n".to_owned()),
        ("secrets.pw.file", "[secrets]\npw = { file = \"FILE\" }\n".to_owned()),
    ];
    let manifest = own.join("remint.toml");
    for (key, text) in &keys {
        for file in ["../other/file", "link", "folder/file", "../other/absent", other.join("file").to_str().unwrap()] {
            std::fs::write(&manifest, with(&text.replace("FILE", file))).unwrap();
            for without_recipe in [false, true] {
                let options = LoadOptions { without_recipe, ..LoadOptions::default() };
                let error = load(&manifest, &options).unwrap_err().to_string();
                assert!(error.contains("is outside of the manifest's folder"), "{key}, {file}: {error}");
                assert!(error.contains(key) && error.contains("--allow-path"), "{key}, {file}: {error}");
                assert!(!error.contains("cannot read"), "{error}");
            }
            if !file.ends_with("absent") {
                let options = LoadOptions { allowed_paths: vec![other.clone()], ..LoadOptions::default() };
                load(&manifest, &options).unwrap();
            }
        }
    }
}

#[test]
fn links_that_are_followed_stay_within_what_the_manifest_may_name() {
    let root = tempfile::tempdir().unwrap();
    let (own, other) = (root.path().join("own"), root.path().join("other"));
    std::fs::create_dir_all(own.join("app")).unwrap();
    std::fs::create_dir_all(&other).unwrap();
    std::os::unix::fs::symlink("../../other", own.join("app/config")).unwrap();
    let manifest = own.join("remint.toml");
    let step = "[[image.provision]]\ntype = \"file\"\ndestination = \"/x\"\nsource = \"app\"\n";
    let write = |more: &str| std::fs::write(&manifest, with(&format!("{step}{more}\n"))).unwrap();
    write("links = \"keep\"");
    load(&manifest, &LoadOptions::default()).unwrap();
    write("links = \"follow\"");
    let error = load(&manifest, &LoadOptions::default()).unwrap_err().to_string();
    assert!(
        error.contains("app/config` leads out of the manifest's folder") && error.contains("--allow-path"),
        "{error}"
    );
    load(&manifest, &LoadOptions { allowed_paths: vec![other], ..LoadOptions::default() }).unwrap();
    write("links = \"follow\"\nexclude = [\"/config\"]");
    load(&manifest, &LoadOptions::default()).unwrap();
}

#[test]
fn destinations_and_owners_that_name_nothing_are_refused() {
    let digest = "0".repeat(64);
    let artifact = |url: &str, destination: &str| {
        format!(
            "[[image.provision]]\ntype = \"artifact\"\nurl = \"{url}\"\nsha256 = \"{digest}\"\ndestination = \"{destination}\"\n"
        )
    };
    let folder = tempfile::tempdir().unwrap();
    let manifest = folder.path().join("remint.toml");
    let says = |text: &str| {
        std::fs::write(&manifest, with(text)).unwrap();
        load(&manifest, &LoadOptions::default()).err().map(|error| error.to_string()).unwrap_or_default()
    };
    assert_eq!(says(&artifact("https://example.org/tool?x", "/opt/")), "");
    assert_eq!(says(&artifact("https://example.org/", "/opt/tool")), "");
    let error = says(&artifact("https://example.org/dir/", "/opt/"));
    assert!(error.contains("does not end with the name of a file") && error.contains("destination"), "{error}");
    for owner in ["", " ", ":"] {
        let error = says(&format!("{}owner = \"{owner}\"\n", artifact("https://example.org/tool", "/opt/")));
        assert!(error.contains("the owner is empty"), "{error}");
    }
}

#[test]
fn a_manifest_that_is_a_link_to_elsewhere_is_not_read() {
    let (own, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::write(other.path().join("key"), "hunter2 is not TOML").unwrap();
    let manifest = own.path().join("remint.toml");
    std::os::unix::fs::symlink(other.path().join("key"), &manifest).unwrap();
    let error = load(&manifest, &LoadOptions::default()).unwrap_err().to_string();
    assert!(error.contains("a link that leads outside") && !error.contains("hunter2"), "{error}");
    let options = LoadOptions { allowed_paths: vec![other.path().to_owned()], ..LoadOptions::default() };
    assert!(load(&manifest, &options).unwrap_err().to_string().contains("this is not TOML"));
}
