//! What the facts mean.

use super::{
    config::Settings,
    facts::{Facts, Password},
};

/// What a keyword with a value lets in, whoever it is for. Passwords and key files are judged apart, with their users.
fn way_in(keyword: &str, value: &str, keytab: bool) -> Option<String> {
    let on = value.eq_ignore_ascii_case("yes");
    let named = !value.is_empty() && !value.eq_ignore_ascii_case("none");
    let why = match keyword {
        "authorizedkeyscommand" if named => "a program that names login keys",
        "trustedusercakeys" if named => "certificates of an authority",
        "hostbasedauthentication" if on => "users that other hosts vouch for",
        "kerberosauthentication" if on => "Kerberos passwords",
        "gssapiauthentication" if on && keytab => "Kerberos tickets (there is a keytab)",
        _ => return None,
    };
    Some(format!("`{keyword} {value}` lets in {why}"))
}

/// Ways in that the configuration opens.
pub(super) fn configuration(facts: &Facts) -> Vec<String> {
    let mut found: Vec<_> = facts.strangers.iter().map(|name| format!("another login server runs: {name}")).collect();
    let ways = |settings: &Settings| -> Vec<String> {
        settings.each().filter_map(|(keyword, value)| way_in(keyword, value, facts.keytab)).collect()
    };
    for settings in facts.settings.iter().filter(|settings| settings.user.is_empty()) {
        found.extend(ways(settings));
    }
    // What a block says applies to connections that cannot all be tried: each line is judged as if it applied.
    for directive in &facts.matched {
        let way = way_in(&directive.keyword, &directive.value, facts.keytab);
        found.extend(way.map(|way| format!("{way}, in the block `{}`", directive.block)));
    }
    // What sshd says for a user comes from one of these; where it does not, that is said too.
    for settings in facts.settings.iter().filter(|settings| !settings.user.is_empty()) {
        for way in ways(settings) {
            if !found.iter().any(|line| line.starts_with(&way)) {
                found.push(format!("{way}, for user {}", settings.user));
            }
        }
    }
    found
}

/// Whether a keyword is switched on anywhere, and where.
fn switched_on(facts: &Facts, keywords: &[&str], value: &str) -> Option<String> {
    for keyword in keywords {
        if facts.settings.iter().any(|settings| settings.is(keyword, value)) {
            return Some(format!("`{keyword} {value}`"));
        }
        let block =
            facts.matched.iter().find(|line| line.keyword == *keyword && line.value.eq_ignore_ascii_case(value));
        if let Some(line) = block {
            return Some(format!("`{keyword} {value}` in the block `{}`", line.block));
        }
    }
    None
}

/// Users that a password lets in.
pub(super) fn passwords(facts: &Facts) -> Vec<String> {
    let typed = switched_on(facts, &["passwordauthentication"], "yes").or_else(|| {
        // Where PAM is not used, there is nobody whom this asks.
        switched_on(facts, &["usepam"], "yes")?;
        switched_on(facts, &["kbdinteractiveauthentication", "challengeresponseauthentication"], "yes")
    });
    let Some(typed) = typed else { return Vec::new() };
    let empty = switched_on(facts, &["permitemptypasswords"], "yes").is_some();
    let root = switched_on(facts, &["permitrootlogin"], "yes").is_some();
    let mut found = Vec::new();
    for (name, password) in &facts.passwords {
        let is_root = facts.users.iter().any(|user| user.name == *name && user.uid == "0");
        if (is_root && !root) || (*password == Password::Empty && !empty) {
            continue;
        }
        let what = if *password == Password::Empty { "an empty password" } else { "a password" };
        found.push(format!("user {name} has {what}, and {typed} accepts it"));
    }
    found
}

/// What would keep Remint out.
pub(super) fn locked_out(facts: &Facts) -> Vec<String> {
    let mut found = Vec::new();
    // Those of the server that Remint reaches: at least one has to let it in.
    let of_root = |user: &str| user.is_empty() || user == "root";
    for settings in facts.settings.iter().filter(|settings| of_root(&settings.user)) {
        let mut refuse = |reason: String| {
            if !found.contains(&reason) {
                found.push(reason);
            }
        };
        for value in ["no", "forced-commands-only"] {
            if settings.is("permitrootlogin", value) {
                refuse(format!("`permitrootlogin {value}`: Remint logs in as root"));
            }
        }
        if settings.is("pubkeyauthentication", "no") {
            refuse("`pubkeyauthentication no`: Remint logs in with a key".to_owned());
        }
        if !settings.words("port").any(|port| port == "22") {
            let ports: Vec<_> = settings.words("port").collect();
            refuse(format!("`port {}`: Remint connects to port 22", ports.join(" ")));
        }
        let listens = settings.all("listenaddress");
        let loopback = |at: &String| at.starts_with("127.") || at.starts_with("[::1]") || at.starts_with("localhost");
        if !listens.is_empty() && listens.iter().all(loopback) {
            refuse(format!("`listenaddress {}`: only the machine itself reaches it", listens.join(" ")));
        }
        if !settings.words("hostkey").any(|file| file.ends_with("ssh_host_ed25519_key")) {
            refuse("no `hostkey` is /etc/ssh/ssh_host_ed25519_key: Remint knows the machine by that key".to_owned());
        }
        let algorithms =
            [("hostkeyalgorithms", "hostkeyalgorithms"), ("pubkeyacceptedalgorithms", "pubkeyacceptedkeytypes")];
        for (keyword, former) in algorithms {
            let named: Vec<_> = settings.items(keyword).chain(settings.items(former)).collect();
            if !named.is_empty() && !named.contains(&"ssh-ed25519") {
                refuse(format!("`{keyword}` lacks ssh-ed25519, the kind of Remint's keys"));
            }
        }
        let methods = settings.words("authenticationmethods").collect::<Vec<_>>();
        if !methods.is_empty() && !methods.iter().any(|method| ["any", "publickey"].contains(method)) {
            refuse(format!("`authenticationmethods {}`: Remint has a key and nothing else", methods.join(" ")));
        }
        let files: Vec<_> = settings.words("authorizedkeysfile").collect();
        if files.iter().all(|file| *file == "none") {
            refuse("`authorizedkeysfile none`: no login key is accepted".to_owned());
        }
        let names = |keyword: &str| settings.words(keyword).map(str::to_owned).collect::<Vec<_>>();
        let names_root = |patterns: &[String]| patterns.iter().any(|pattern| pattern_matches(pattern, "root"));
        for (keyword, value) in [("allowusers", names("allowusers")), ("allowgroups", names("allowgroups"))] {
            if !value.is_empty() && !names_root(&value) {
                refuse(format!("`{keyword} {}` leaves out root", value.join(" ")));
            }
        }
        for (keyword, value) in [("denyusers", names("denyusers")), ("denygroups", names("denygroups"))] {
            if names_root(&value) {
                refuse(format!("`{keyword} {}` names root", value.join(" ")));
            }
        }
    }
    found
}

/// Whether one of OpenSSH's patterns (`*`, `?`, a host after `@`) matches a name.
fn pattern_matches(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.split('@').next().unwrap_or_default().chars().collect();
    let name: Vec<char> = name.chars().collect();
    let mut reached = vec![false; name.len() + 1];
    reached[0] = true;
    for symbol in pattern {
        let mut next = vec![false; name.len() + 1];
        for at in 0..=name.len() {
            next[at] = match symbol {
                '*' => reached[..=at].contains(&true),
                '?' => at > 0 && reached[at - 1],
                other => at > 0 && reached[at - 1] && name[at - 1] == other,
            };
        }
        reached = next;
    }
    reached[name.len()]
}
