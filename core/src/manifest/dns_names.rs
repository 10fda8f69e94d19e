//! Whether `[dns]` names something that DNS, the clouds and a service's clients take.
//!
//! The rules are those for names of hosts (RFC 1123, section 2.1; RFC 1035, section 2.3.4): labels of letters, digits and `-`, at
//! most 63 bytes each and 253 together. DNS itself also carries `_` and `*`, but no certificate is issued for a host with `_`,
//! and a wildcard has no single name that could be asked or given to the service as `${dns.fqdn}`.

use url::Host;

/// The longest name, written with dots and without the final one.
const LONGEST_NAME: usize = 253;
/// The longest part between two dots.
const LONGEST_LABEL: usize = 63;

/// What is wrong with a name, and what to write in its place.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) message: String,
    pub(super) help: String,
}

impl Problem {
    fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { message: message.into(), help: help.into() }
    }
}

pub(super) fn check_zone(zone: &str) -> Result<(), Problem> {
    if let Some(rest) = zone.strip_suffix('.').filter(|rest| !rest.is_empty()) {
        return Err(Problem::new(format!("`{zone}` ends with a dot"), format!("write `{rest}`")));
    }
    if zone.is_empty() {
        return Err(Problem::new("the zone is empty", "write the zone's name, such as `example.com`"));
    }
    check_labels(zone)?;
    check_length(zone)
}

/// Checks `dns.name`, below a zone that passed [`check_zone`].
pub(super) fn check_name(name: &str, zone: &str) -> Result<(), Problem> {
    if name == "@" {
        return Ok(());
    }
    if name.is_empty() {
        return Err(Problem::new("the name is empty", format!("write `@` for `{zone}` itself")));
    }
    let whole = name.strip_suffix('.').unwrap_or(name);
    if let Some(relative) = below(whole, zone) {
        let message = format!("`{name}` repeats the zone: the record would be `{whole}.{zone}`");
        return Err(Problem::new(message, format!("write `{relative}` for `{whole}`")));
    }
    if whole != name {
        let message = format!("`{name}` ends with a dot, and is not in the zone `{zone}`");
        return Err(Problem::new(message, "write the name below the zone, without the dot"));
    }
    check_labels(name)?;
    check_length(&format!("{name}.{zone}"))
}

/// What is left of a name that ends in the zone; `@` for the zone itself.
fn below<'a>(name: &'a str, zone: &str) -> Option<&'a str> {
    if name.eq_ignore_ascii_case(zone) {
        return Some("@");
    }
    let cut = name.len().checked_sub(zone.len() + 1)?;
    let (relative, end) = (name.get(..cut)?, name.get(cut..)?);
    let repeats = end.strip_prefix('.').is_some_and(|end| end.eq_ignore_ascii_case(zone));
    (repeats && !relative.is_empty()).then_some(relative)
}

fn check_length(name: &str) -> Result<(), Problem> {
    if name.len() <= LONGEST_NAME {
        return Ok(());
    }
    let message = format!("`{name}` has {} bytes, a name in DNS has at most {LONGEST_NAME}", name.len());
    Err(Problem::new(message, "choose a shorter name"))
}

fn check_labels(name: &str) -> Result<(), Problem> {
    if !name.is_ascii() {
        let help = match Host::parse(name) {
            Ok(Host::Domain(ascii)) => format!("write it as DNS does: `{ascii}`"),
            _ => "write it in the ASCII form that your registrar shows (`xn--…`)".to_owned(),
        };
        return Err(Problem::new(format!("`{name}` has characters outside of ASCII"), help));
    }
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        // DNS does not tell them apart, and clouds answer in lower case: the record would seem to be another one.
        return Err(Problem::new(
            format!("`{name}` has capital letters"),
            format!("write `{}`", name.to_ascii_lowercase()),
        ));
    }
    name.split('.').try_for_each(|label| check_label(name, label))
}

fn check_label(name: &str, label: &str) -> Result<(), Problem> {
    if label.is_empty() {
        let message = format!("`{name}` has an empty part between its dots");
        return Err(Problem::new(message, "each dot is between two parts"));
    }
    if label.len() > LONGEST_LABEL {
        let message = format!("`{label}` has {} letters, a part of a name has at most {LONGEST_LABEL}", label.len());
        return Err(Problem::new(message, "choose a shorter name"));
    }
    if label.contains('*') {
        return Err(Problem::new(
            format!("`{name}` is a wildcard, which cannot be the name of a service"),
            "choose one name, and let a wildcard record point to it",
        ));
    }
    if label.contains('_') {
        return Err(Problem::new(
            format!("`{name}` has a `_`, which the name of a host cannot have"),
            format!("write `{}`", name.replace('_', "-")),
        ));
    }
    if let Some(odd) = label.chars().find(|c| !c.is_ascii_alphanumeric() && *c != '-') {
        return Err(Problem::new(
            format!("`{name}` has the character {odd:?}, which the name of a host cannot have"),
            "use `a-z`, `0-9` and `-`, with dots between the parts",
        ));
    }
    if label.starts_with('-') || label.ends_with('-') {
        let message = format!("`{label}` begins or ends with `-`");
        return Err(Problem::new(message, "begin and end each part with a letter or a digit"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> (String, String) {
        let problem = check_name(text, "example.test").unwrap_err();
        (problem.message, problem.help)
    }

    #[test]
    fn names_of_hosts_pass() {
        let longest = ["a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(48)].join(".");
        assert_eq!(longest.len() + ".example.test".len(), LONGEST_NAME);
        for good in ["@", "app", "a.b", "x--y", "1", "xn--bcher-kva", "example", "test", "notexample.test1", &longest] {
            assert_eq!(check_name(good, "example.test"), Ok(()), "{good}");
        }
        for good in ["example.test", "test", "a-b.example.co.uk", "10.in-addr.arpa"] {
            assert_eq!(check_zone(good), Ok(()), "{good}");
        }
    }

    #[test]
    fn a_name_that_repeats_the_zone_is_refused_with_the_likely_intention() {
        for (text, wanted) in [
            ("hello.example.test", "write `hello` for `hello.example.test`"),
            ("hello.example.test.", "write `hello` for `hello.example.test`"),
            ("a.b.Example.TEST", "write `a.b` for `a.b.Example.TEST`"),
            ("example.test", "write `@` for `example.test`"),
        ] {
            let (message, help) = name(text);
            assert!(message.contains("repeats the zone"), "{message}");
            assert_eq!(help, wanted);
        }
        assert_eq!(check_name("helloexample.test", "example.test"), Ok(()), "the zone begins at a dot");
    }

    #[test]
    fn what_dns_or_its_clients_do_not_take_is_refused_by_its_cause() {
        for (text, says, wanted) in [
            ("my service", "the character ' '", "a-z"),
            ("", "is empty", "`@`"),
            ("a..b", "empty part", "between two parts"),
            (".a", "empty part", "between two parts"),
            ("app.", "ends with a dot", "without the dot"),
            ("app.elsewhere.test.", "ends with a dot", "without the dot"),
            ("-a", "begins or ends with `-`", "letter or a digit"),
            ("a-.b", "begins or ends with `-`", "letter or a digit"),
            ("*.apps", "wildcard", "one name"),
            ("*", "wildcard", "one name"),
            ("my_app", "has a `_`", "`my-app`"),
            ("Ünï", "outside of ASCII", "`xn--n-nga1b`"),
            ("App", "capital letters", "`app`"),
            ("a\u{7f}", "the character '\\u{7f}'", "a-z"),
            ("http://app", "the character ':'", "a-z"),
            ("@.app", "the character '@'", "a-z"),
        ] {
            let (message, help) = name(text);
            assert!(message.contains(says) && help.contains(wanted), "{text}: {message}; {help}");
        }
        assert!(name(&"a".repeat(64)).0.contains("has 64 letters"));
        let long = ["a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(49)].join(".");
        assert!(name(&long).0.contains("has 254 bytes"), "{long}");
    }

    #[test]
    fn a_zone_is_checked_likewise() {
        for (text, says) in [
            ("", "is empty"),
            ("example.test.", "ends with a dot"),
            (".", "empty part"),
            ("exa mple.test", "the character ' '"),
            ("*.test", "wildcard"),
            ("bücher.test", "outside of ASCII"),
        ] {
            let problem = check_zone(text).unwrap_err();
            assert!(problem.message.contains(says), "{text}: {problem:?}");
        }
        assert_eq!(check_zone("bücher.test").unwrap_err().help, "write it as DNS does: `xn--bcher-kva.test`");
        assert_eq!(check_zone("example.test.").unwrap_err().help, "write `example.test`");
    }
}
