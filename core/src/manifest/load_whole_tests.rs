//! All that is wrong with a file is reported in one run.

use super::{BASE, error};

/// What one run over the file reports, of every kind.
#[test]
fn keys_types_references_values_and_other_files_are_told_in_one_run() {
    let text = "imag = 1\n[instance]\ncout = 2\nuser_data = [{ path = \"seed.yaml\", interpolate = true }, { path = \"gone\" }]\n\
        [[image.provision]]\ntype = \"file\"\nsource = \"${var.gone}/x\"\ndestination = \"opt\"\nmode = 644\n\
        [[image.provision]]\ntype = \"scirpt\"\n\
        [[image.provision]]\ntype = \"file\"\ndestination = \"srv\"\n\
        [[image.provision]]\ntype = \"shell\"\ninline = [\"true\"]\ntimeout = \"${var.gone}\"\nenv = { \"1x\" = \"a\" }\n\
        [secrets]\npw = { env = \"PW\" }\nno = { env = \"A\", file = \"b\" }\n[vars]\nwho = \"me\"\n\
        [deploy]\nretire = \"parc\"\nkeep_images = 0\nobserve = \"soon\"\n\
        [environments.other]\nvarz = 1\n";
    let text = format!("{}{}{}", &text[..9], BASE.replace("service = \"app\"\n", ""), &text[9..]);
    let error = error(&text).replace("error: ", "\nerror: ");
    let lines: Vec<_> = error.lines().filter(|line| line.starts_with("error: ")).collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    error: unknown key `imag`
    error: missing key `service`
    error: unknown key `cout`
    error: cannot read `gone`: No such file or directory (os error 2)
    error: there is no variable `gone`
    error: `opt` is not an absolute path
    error: expected a string, found an integer
    error: `scirpt` is not a type of step
    error: missing key `source`
    error: `srv` is not an absolute path
    error: there is no variable `gone`
    error: `1x` cannot be the name of an environment variable
    error: exactly one of `env`, `file`, `command` is wanted, found 2
    error: `parc` is not a choice
    error: no image would be kept
    error: `soon` is not a duration; write it like "250ms", "90s", "5m" or "1h 30m"
    error: unknown key `varz`
    error: `${var.whom}`: there is no variable `whom`
    "#);
}

/// What is wrong in one place is said once, and nothing is said of what takes its place.
#[test]
fn a_manifest_with_one_mistake_has_one_error() {
    let mistakes = [
        ("service = \"app\"", ""),
        ("service = \"app\"", "service = 1"),
        ("provider = \"sandbox\"", ""),
        ("provider = \"sandbox\"", "provider = []"),
        ("region = \"local1\"", ""),
        ("base = \"debian-12-x64\"", ""),
        ("size = \"s-1vcpu-1gb\"", "size = true"),
        ("[image]", "[image]\nscript_folder = 3"),
        ("[image]", "[image]\nprovision = { type = \"shell\" }"),
        ("[image]", "[[image.provision]]\ntype = \"file\""),
        ("[image]", "[[image.provision]]\ntype = \"script\""),
        ("[image]", "[[image.provision]]\ntype = \"artifact\""),
        ("[image]", "[[image.provision]]\ntype = \"artefact\"\nurl = \"x\""),
        ("[image]", "[[image.verify]]"),
        ("[health]\ncheck = { http = { port = 8080, path = \"/health\" } }", ""),
        ("{ http = { port = 8080, path = \"/health\" } }", "{}"),
        ("{ http = { port = 8080, path = \"/health\" } }", "{ htp = {} }"),
        ("port = 8080", "port = 70000"),
        ("port = 8080", "port = 8080, headers = { a = 1 }"),
        ("port = 8080", "port = 8080, expect = [\"2x\"]"),
        ("[image]", "dns = 1\n[image]"),
        ("[image]", "[dns]\n[image]"),
        ("[image]", "[config]\npath = \"/x\"\nenv = { A = \"${var.gone}\" }\n[image]"),
        ("[image]", "[config]\npath = \"/x\"\nmode = 644\n[image]"),
        ("[image]", "[instance]\nuser_data = [{}]\n[image]"),
        ("[image]", "[instance]\nuser_data = [{ path = \"gone\" }]\n[image]"),
        ("[image]", "[instance]\nuser_data = [1]\n[image]"),
        ("[image]", "[address]\nstatic_ip = { existing = 1 }\n[image]"),
        ("[image]", "[access]\nssh_keys = [1]\n[image]"),
        ("[image]", "[secrets]\npw = \"hush\"\n[image]"),
        ("[image]", "[image]\nboot_timeout = \"${var.gone}\""),
    ];
    for (place, mistake) in mistakes {
        assert!(BASE.contains(place), "{place}");
        let found = error(&BASE.replace(place, mistake));
        assert_eq!(found.matches("error: ").count(), 1, "{mistake}: {found}");
    }
}
