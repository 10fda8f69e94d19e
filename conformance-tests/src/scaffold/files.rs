//! All files of a new provider's crate.

use std::path::{Path, PathBuf};

use remint_core::provider::{CONTRACTS, Registry};

use super::{contract::Contract, rooms};

/// The files that no contract is in, by where they go. Their provider's id is `mycloud`.
const TEMPLATES: &[(&str, &str)] = &[
    ("Cargo.toml", include_str!("templates/Cargo.toml.in")),
    ("README.md", include_str!("templates/README.md.in")),
    (".gitignore", "/target\n"),
    ("rustfmt.toml", "max_width = 120\nuse_small_heuristics = \"Max\"\n"),
    ("src/lib.rs", include_str!("templates/lib.rs.in")),
    ("src/main.rs", include_str!("templates/main.rs.in")),
    ("src/config.rs", include_str!("templates/config.rs.in")),
    ("src/provider.rs", include_str!("templates/provider.rs.in")),
    ("tests/conformance.rs", include_str!("templates/conformance.rs.in")),
];

/// The crates of Remint that the new one needs, and where they are in a checkout.
const CRATES: [(&str, &str); 3] =
    [("remint-core", "core"), ("remint-cli", "cli"), ("remint-conformance", "conformance-tests")];

/// Why a crate cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScaffoldError {
    /// It cannot be a provider's id.
    #[error("`{0}` cannot be a provider's id: at most 32 of a-z, 0-9 and -, a letter first and no - last")]
    Name(String),
    /// This build has a provider of this id.
    #[error("this build has a provider `{0}` already")]
    Taken(String),
    /// A contract's source is not as this version reads it.
    #[error("the contract of `{0}` cannot be read")]
    Contract(&'static str),
}

/// The crate of a new provider, to be written.
#[derive(Debug, Clone)]
pub struct Scaffold {
    id: String,
    checkout: Option<PathBuf>,
}

impl Scaffold {
    /// A crate for the provider of an id. It depends on this version of Remint, or on a checkout of it.
    ///
    /// # Errors
    ///
    /// [`ScaffoldError`] when that cannot be a new provider's id.
    pub fn new(id: &str, checkout: Option<&Path>) -> Result<Self, ScaffoldError> {
        let plain = id.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        if !plain || id.len() > 32 || !id.starts_with(|c: char| c.is_ascii_lowercase()) || id.ends_with('-') {
            return Err(ScaffoldError::Name(id.to_owned()));
        }
        if Registry::find(id).is_ok() {
            return Err(ScaffoldError::Taken(id.to_owned()));
        }
        Ok(Self { id: id.to_owned(), checkout: checkout.map(Path::to_owned) })
    }

    /// The name of the crate, and of the folder that it goes into where nobody says otherwise.
    pub fn package(&self) -> String {
        format!("remint-{}", self.id)
    }

    /// Its files, by their paths in its folder.
    ///
    /// # Errors
    ///
    /// [`ScaffoldError::Contract`]
    pub fn files(&self) -> Result<Vec<(PathBuf, String)>, ScaffoldError> {
        let mut files: Vec<(PathBuf, String)> = Vec::new();
        let mut concerns = Vec::new();
        let (mut provider, mut imports) = (String::new(), String::new());
        for (room, source) in CONTRACTS {
            let contract = Contract::read(source).ok_or(ScaffoldError::Contract(room))?;
            if *room == "provider" {
                (provider, imports) = (rooms::provider(&contract), rooms::provider_imports(&contract));
            } else {
                files.push((format!("src/{room}.rs").into(), rooms::room(room, &contract)));
                concerns.push(format!("mod {room};"));
            }
        }
        concerns.extend(["mod config;".to_owned(), "mod provider;".to_owned()]);
        concerns.sort();
        for (path, text) in TEMPLATES {
            let text = text.replace("// contract: Provider\n", &provider).replace("// contract: imports\n", &imports);
            let text = text.replace("// rooms", &concerns.join("\n"));
            let text = text.replace("# dependencies: remint\n", &self.dependencies(&CRATES[..2]));
            let text = text.replace("# dependencies: remint for tests\n", &self.dependencies(&CRATES[2..]));
            files.push((path.into(), self.named(&text)));
        }
        Ok(files)
    }

    fn named(&self, text: &str) -> String {
        let mut letters = self.id.chars();
        let title = letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters);
        text.replace("remint_mycloud", &self.package().replace('-', "_"))
            .replace("MYCLOUD", &self.id.replace('-', "_").to_ascii_uppercase())
            .replace("mycloud", &self.id)
            .replace("MyCloud", &title.collect::<String>())
    }

    fn dependencies(&self, crates: &[(&str, &str)]) -> String {
        let line = |(name, folder): &(&str, &str)| {
            let source = match &self.checkout {
                Some(checkout) => format!("path = {:?}", checkout.join(folder)),
                None => format!("version = {:?}", env!("CARGO_PKG_VERSION")),
            };
            // Without the providers of Remint's own, and so without their clouds' SDKs.
            let features = if *name == "remint-cli" { ", default-features = false" } else { "" };
            format!("{name} = {{ {source}{features} }}\n")
        };
        crates.iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_no_manifest_can_name_is_refused() {
        for id in ["", "Acme", "9acme", "acme-", "acme cloud", "../acme", &"a".repeat(33)] {
            assert_eq!(Scaffold::new(id, None).unwrap_err(), ScaffoldError::Name(id.to_owned()));
        }
    }

    #[test]
    fn the_id_is_everywhere_and_no_placeholder_is_left() {
        let files = Scaffold::new("acme-cloud", None).unwrap().files().unwrap();
        for (path, text) in &files {
            let left = ["mycloud", "MyCloud", "MYCLOUD", "// contract", "// rooms", "# dependencies", "todo!"];
            assert!(!left.iter().any(|word| text.contains(word)), "{}:\n{text}", path.display());
        }
        let text = |path: &str| &files.iter().find(|(other, _)| other == Path::new(path)).unwrap().1;
        assert!(text("Cargo.toml").contains("name = \"remint-acme-cloud\""));
        assert!(text("src/main.rs").contains("use remint_acme_cloud as _;"));
        assert!(text("src/provider.rs").contains("ID: &str = \"acme-cloud\""));
        assert!(text("src/config.rs").contains("ACME_CLOUD_TOKEN"));
    }

    #[test]
    fn every_contract_has_a_file_that_lib_rs_names() {
        let files = Scaffold::new("acme", None).unwrap().files().unwrap();
        let lib = &files.iter().find(|(path, _)| path == Path::new("src/lib.rs")).unwrap().1;
        for (room, _) in CONTRACTS {
            assert!(files.iter().any(|(path, _)| *path == Path::new("src").join(format!("{room}.rs"))), "{room}");
            assert!(lib.contains(&format!("mod {room};")), "{room}");
        }
    }
}
