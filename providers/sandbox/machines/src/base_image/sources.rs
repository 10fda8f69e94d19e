//! Which package mirror the new system uses: the one that this machine uses.

use tokio::process::Command;

use super::tool::run;

/// The suites of Debian 12.
const SUITES: [&str; 3] = ["bookworm", "bookworm-updates", "bookworm-security"];

/// The `deb` lines for Debian 12 in this machine's apt configuration.
pub(super) async fn of_this_machine() -> Result<Vec<String>, String> {
    let mut command = Command::new("apt-get");
    command.args(["indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Identifier: Packages"]);
    let output = run(command, &|_| ()).await.map_err(|error| format!("which mirror this machine uses: {error}"))?;
    let lines = select(&String::from_utf8_lossy(&output));
    if lines.is_empty() {
        return Err("this machine's apt knows no mirror with Debian 12 (bookworm): name one".to_owned());
    }
    Ok(lines)
}

/// Picks Debian 12's own sources out of what `apt-get indextargets` tells.
fn select(targets: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for target in targets.lines() {
        let mut words = target.split_whitespace();
        let (Some(uri), Some(suite), Some("main")) = (words.next(), words.next(), words.next()) else { continue };
        if !SUITES.contains(&suite) || !uri.starts_with("http") {
            continue;
        }
        let line = format!("deb {} {suite} main", uri.trim_end_matches('/'));
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    // The suite that the others build on comes first, and nothing works without it.
    lines.sort_by_key(|line| SUITES.iter().position(|suite| line.contains(&format!(" {suite} "))));
    if lines.iter().any(|line| line.ends_with(" bookworm main")) { lines } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_debian_12_is_taken() {
        let lines = select(
            "https://tools.example/repo nodistro main\n\
             http://mirror.example/debian/ bookworm-updates main\n\
             http://mirror.example/debian/ bookworm main\n\
             http://mirror.example/debian/ bookworm main\n\
             http://mirror.example/debian/ bookworm contrib\n\
             http://mirror.example/debian/ bookworm-backports main\n",
        );
        assert_eq!(
            lines,
            [
                "deb http://mirror.example/debian bookworm main",
                "deb http://mirror.example/debian bookworm-updates main"
            ]
        );
        assert!(select("http://mirror.example/ubuntu noble main\n").is_empty());
        assert!(select("http://mirror.example/debian bookworm-security main\n").is_empty());
    }
}
