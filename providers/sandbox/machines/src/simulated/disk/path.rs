//! Paths of the virtual disk: absolute strings with `/`, never of the host's own kind.

/// The path that `path` means in the folder `cwd`, without `.`, `..` and double slashes.
///
/// `..` is taken away in the text, as a shell's `cd` does it; links are followed by the tree.
pub(crate) fn absolute(cwd: &str, path: &str) -> String {
    let whole = if path.starts_with('/') { path.to_owned() } else { format!("{cwd}/{path}") };
    let mut parts: Vec<&str> = Vec::new();
    for part in whole.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// The folder that holds the path; `/` for itself.
pub(crate) fn parent(path: &str) -> &str {
    match path.rfind('/') {
        None | Some(0) => "/",
        Some(at) => &path[..at],
    }
}

/// The path's last part.
pub(crate) fn basename(path: &str) -> &str {
    path.trim_end_matches('/').rsplit('/').next().unwrap_or_default()
}

/// An entry of a folder.
pub(crate) fn join(folder: &str, name: &str) -> String {
    if folder.ends_with('/') { format!("{folder}{name}") } else { format!("{folder}/{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_made_plain() {
        assert_eq!(absolute("/root", "a/./b/../c"), "/root/a/c");
        assert_eq!(absolute("/root", "/etc//x/"), "/etc/x");
        assert_eq!(absolute("/", "../.."), "/");
        assert_eq!(parent("/etc"), "/");
        assert_eq!(parent("/etc/ssh"), "/etc");
        assert_eq!(basename("/etc/ssh/"), "ssh");
        assert_eq!(join("/", "a"), "/a");
    }
}
