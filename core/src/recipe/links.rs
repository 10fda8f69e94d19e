//! Symbolic links in a folder that is copied, which may lead nowhere on the machine.

use std::{
    collections::BTreeSet,
    path::{Component, Path, PathBuf},
};

use super::Destination;
use crate::{
    manifest::FileProvisioner,
    tree::{EntryKind, Source},
};

/// How many links are named; a folder may have thousands.
const NAMED: usize = 5;

/// What is to be said of the links of a step that does not say what becomes of them.
pub fn warnings(step: &FileProvisioner, source: &Source) -> Vec<String> {
    let Source::Folder { entries, .. } = source else { return Vec::new() };
    if step.links.is_some() {
        return Vec::new();
    }
    let copied: BTreeSet<&Path> = entries.iter().map(|entry| entry.relative.as_path()).collect();
    let links: BTreeSet<&Path> = entries
        .iter()
        .filter(|entry| matches!(entry.kind, EntryKind::Symlink { .. }))
        .map(|entry| entry.relative.as_path())
        .collect();
    let destination = Destination::new(&step.destination);
    let mut found = Vec::new();
    for entry in entries {
        let EntryKind::Symlink { target } = &entry.kind else { continue };
        let wrong = match inside(&entry.relative, target, &destination.path) {
            None => "which is outside the folder and is not copied",
            // What is behind another link is that link's matter.
            Some(path) if copied.contains(&*path) || path.ancestors().any(|above| links.contains(above)) => continue,
            Some(path) if path.as_os_str().is_empty() => continue,
            Some(_) => "which is not among the files that are copied",
        };
        found.push(format!("the link `{}` points to `{}`, {wrong}", entry.relative.display(), target.display()));
    }
    let more = found.len().saturating_sub(NAMED);
    found.truncate(NAMED);
    if more > 0 {
        found.push(format!("{more} more links point outside the folder, or to files that are not copied"));
    }
    if let Some(last) = found.last_mut() {
        *last +=
            "; `links = \"follow\"` copies what links point to, and `links = \"keep\"` says that they are meant so";
    }
    found
}

/// The path in the folder that a link's text means, or none where it leads out of it.
fn inside(link: &Path, target: &Path, destination: &Path) -> Option<PathBuf> {
    let mut path = PathBuf::new();
    let rest = if target.is_absolute() {
        target.strip_prefix(destination).ok()?
    } else {
        path.extend(link.parent());
        target
    };
    for component in rest.components() {
        match component {
            Component::ParentDir if !path.pop() => return None,
            Component::Normal(name) => path.push(name),
            _ => {}
        }
    }
    Some(path)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;
    use crate::{manifest::Links, tree};

    fn step(destination: &str, links: Option<Links>) -> FileProvisioner {
        FileProvisioner {
            source: "app".into(),
            destination: destination.to_owned(),
            mode: None,
            owner: None,
            links,
            exclude: vec!["/left-out".to_owned()],
        }
    }

    #[test]
    fn links_that_lead_nowhere_on_the_machine_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let app = dir.path().join("app");
        fs::create_dir_all(app.join("sub")).unwrap();
        for file in ["file", "left-out"] {
            fs::write(app.join(file), "").unwrap();
        }
        let links = [
            ("good", "file"),
            ("sub/good", "../file"),
            ("sub/self", ".."),
            ("sub/whole", "/opt/app/file"),
            ("through", "sub/self/file"),
            ("climbs", "../shared"),
            ("sub/climbs", "../../shared"),
            ("absolute", "/usr/bin/python3"),
            ("dangles", "nothing"),
            ("excluded", "left-out"),
        ];
        for (link, target) in links {
            symlink(target, app.join(link)).unwrap();
        }
        let said = |step: &FileProvisioner| warnings(step, &tree::read(dir.path(), step.tree()).unwrap());
        let named = said(&step("/opt/app/", None)).join("\n");
        for (link, target) in &links[5..] {
            assert!(named.contains(&format!("`{link}` points to `{target}`")), "{link}: {named}");
        }
        assert_eq!(named.lines().count(), 5, "{named}");
        assert!(named.contains("links = \"follow\""), "{named}");
        // There, the absolute one leads into what is copied.
        assert!(!said(&step("/usr/bin", None)).join("\n").contains("/usr/bin/python3`, which is outside"));
        assert!(said(&step("/opt/app", Some(Links::Keep))).is_empty());
        for number in 0..9 {
            symlink("/nowhere", app.join(format!("many-{number}"))).unwrap();
        }
        assert!(said(&step("/opt/app", None)).last().unwrap().starts_with("9 more links"));
    }
}
