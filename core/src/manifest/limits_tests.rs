//! Manifests that are too large, too deep or too tangled.

use std::{collections::BTreeMap, path::PathBuf};

use super::{
    Diagnostics, LoadOptions, Loaded,
    limits::{MAX_CHAIN, MAX_REPORTS, MAX_TEXT, MAX_VARS},
    load,
};

const BASE: &str = "service = \"app\"\nprovider = \"fake\"\n[providers.fake]\nregion = \"here\"\nbase = \"debian\"\n\
    size = \"small\"\n[image]\n[health.check.tcp]\nport = 80\n";

fn read(text: &str) -> Result<Loaded, Diagnostics> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("remint.toml");
    std::fs::write(&path, text).unwrap();
    load(&path, &LoadOptions::default())
}

/// The one thing that is wrong with a manifest that is [`BASE`] and more: the line, counted from the end of `BASE`, and the
/// text.
fn refused(more: &str) -> (usize, String) {
    let found = read(&format!("{BASE}{more}")).unwrap_err().0;
    assert_eq!(found.len(), 1, "{found:?}");
    let line = found[0].place.as_ref().map_or(0, |place| place.line.saturating_sub(BASE.lines().count()));
    (line, found[0].to_string())
}

fn chain(length: usize) -> String {
    let mut text = "[vars]\nv0 = \"end\"\n".to_owned();
    for number in 1..length {
        text += &format!("v{number} = \"${{var.v{}}}\"\n", number - 1);
    }
    text
}

#[test]
fn eight_thousand_chained_variables_name_the_limit_and_the_place() {
    let (line, text) = refused(&chain(8000));
    assert!(text.contains(&format!("at most {MAX_VARS} variables; there are 8000")), "{text}");
    assert_eq!(line, 1, "{text}");
}

#[test]
fn a_long_chain_of_variables_is_refused_where_it_gets_too_long() {
    let (_, text) = refused(&chain(MAX_VARS));
    assert!(text.contains(&format!("more than {MAX_CHAIN} variables refer to each other in a row")), "{text}");
    assert!(text.contains("vars.v"), "{text}");
    assert!(read(&format!("{BASE}{}", chain(MAX_CHAIN))).is_ok());
}

#[test]
fn a_variable_that_doubles_is_refused_where_it_gets_too_large() {
    let mut text = "[vars]\nv0 = \"0123456789abcdef\"\n".to_owned();
    for number in 1..32 {
        text += &format!("v{number} = \"${{var.v{0}}}${{var.v{0}}}\"\n", number - 1);
    }
    let (line, said) = refused(&text);
    assert!(said.contains("larger than 1 MiB") && said.contains("vars.v17"), "{said}");
    assert_eq!(line, 19, "{said}");
}

#[test]
fn many_large_texts_are_refused_together() {
    let large = "x".repeat(MAX_TEXT / 2);
    let mut text = format!("[vars]\nv = \"{large}\"\n[config]\npath = \"/etc/app.env\"\n[config.env]\n");
    for number in 0..100 {
        text += &format!("K{number} = \"${{var.v}}\"\n");
    }
    let (_, said) = refused(&text);
    assert!(said.contains("larger than 16 MiB in all"), "{}", &said[..300]);
}

#[test]
fn deep_nesting_is_refused() {
    let (array, closed) = ("[".repeat(50), "]".repeat(50));
    let dotted = ["a"; 50].join(".");
    for more in [format!("[vars]\nx = {array}{closed}\n"), format!("[vars]\n{dotted} = 1\n"), format!("[{dotted}]\n")] {
        let (_, said) = refused(&more);
        assert!(said.contains("nested deeper than 32 levels"), "{said}");
    }
    let levels = 20_000;
    for more in [
        format!("[vars]\nx = {}", "[".repeat(levels)),
        format!("[vars]\nx = {}", "{a=".repeat(levels)),
        format!("[vars]\n{} = 1\n", vec!["a"; levels].join(".")),
        format!("[{}]\n", vec!["a"; levels].join(".")),
    ] {
        let error = read(&format!("{BASE}{more}")).unwrap_err();
        assert!(error.to_string().len() < 200_000, "{}", error.to_string().len());
    }
}

#[test]
fn a_manifest_and_its_files_have_a_size() {
    let text = format!("{BASE}# {}\n", "x".repeat(MAX_TEXT));
    let said = read(&text).unwrap_err().to_string();
    assert!(said.contains("cannot read the manifest: it is larger than 1 MiB"), "{said}");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("remint.toml");
    std::fs::write(&path, format!("{BASE}[[instance.user_data]]\npath = \"part\"\n")).unwrap();
    std::fs::write(folder.path().join("part"), "#".repeat(MAX_TEXT + 1)).unwrap();
    let said = load(&path, &LoadOptions::default()).unwrap_err().to_string();
    assert!(said.contains("a part of the user data: it is larger than 1 MiB"), "{said}");
}

#[test]
fn user_data_has_few_parts() {
    let (_, said) = refused(&"[[instance.user_data]]\npath = \"remint.toml\"\n".repeat(33));
    assert!(said.contains("at most 32 parts; there are 33"), "{said}");
}

#[cfg(unix)]
#[test]
fn what_never_ends_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("remint.toml");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let said = load(&path, &LoadOptions::default()).unwrap_err().to_string();
    assert!(said.contains("not a regular file"), "{said}");
    let pipe = PathBuf::from("part");
    nix::unistd::mkfifo(&folder.path().join(&pipe), nix::sys::stat::Mode::S_IRWXU).unwrap();
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, format!("{BASE}[[instance.user_data]]\npath = \"part\"\n")).unwrap();
    let said = load(&path, &LoadOptions::default()).unwrap_err().to_string();
    assert!(said.contains("not a regular file"), "{said}");
}

#[test]
fn only_the_first_of_many_errors_are_shown() {
    let mut text = format!("{BASE}[config.env]\n");
    for number in 0..20_000 {
        text += &format!("K{number} = \"${{var.missing}}\"\n");
    }
    let found = read(&text).unwrap_err().0;
    assert_eq!(found.len(), MAX_REPORTS + 1);
    assert!(found[MAX_REPORTS].message.contains("more errors"), "{}", found[MAX_REPORTS].message);
    let one_line = format!("{BASE}[config.env]\nK = \"{}\"\n", "${var.missing}".repeat(20_000));
    assert!(read(&one_line).unwrap_err().to_string().len() < 100_000, "a long line is not shown whole");
}

#[test]
fn variables_of_the_command_line_count() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("remint.toml");
    std::fs::write(&path, format!("{BASE}[vars]\nv = \"x\"\n[config.env]\nK = \"${{var.v}}\"\n")).unwrap();
    let vars = BTreeMap::from([("v".to_owned(), "y".repeat(MAX_TEXT + 1))]);
    let said = load(&path, &LoadOptions { vars, ..LoadOptions::default() }).unwrap_err().to_string();
    assert!(said.contains("larger than 1 MiB"), "{said}");
}
