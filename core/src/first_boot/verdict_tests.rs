use serde_json::json;

use super::{
    super::report::{
        Answers,
        tests::{debian_locale, debian_scripts, ubuntu},
    },
    *,
};

const STRICT: Expected = Expected { rule: CloudInitRule::Strict, commands: true };
const LENIENT: Expected = Expected { rule: CloudInitRule::Lenient, commands: true };

fn on(status: u32, answers: &Answers, expected: Expected) -> Verdict {
    judge(&Exit::Status(status), &Report::read(answers), expected)
}

fn failed(verdict: Verdict) -> Failure {
    match verdict {
        Verdict::Failed(failure) => failure,
        other => panic!("{other:?}"),
    }
}

fn warned(verdict: Verdict) -> Vec<String> {
    match verdict {
        Verdict::Warned(told) => told,
        other => panic!("{other:?}"),
    }
}

/// cloud-init 22.4.2 with one module that failed.
fn module(name: &str) -> Answers {
    let error = format!("('{name}', RuntimeError('no'))");
    Answers { result: json!({ "v1": { "errors": [error] } }).to_string(), ..Answers::default() }
}

#[test]
fn a_module_that_is_not_remints_is_for_the_rule() {
    let strict = failed(on(1, &debian_locale(), STRICT));
    assert!(strict.summary.starts_with("module locale failed: "), "{strict:?}");
    assert!(strict.hint.contains("lenient") && strict.log[0].contains("locale"), "{strict:?}");
    let told = warned(on(1, &debian_locale(), LENIENT));
    assert!(told.len() == 1 && told[0].starts_with("module locale failed: "), "{told:?}");
}

#[test]
fn a_module_that_remint_relies_on_always_fails() {
    for name in ["ssh", "users-groups", "users_groups", "set-passwords", "write-files", "write_files", "set_hostname"] {
        for expected in [STRICT, LENIENT] {
            let failure = failed(on(1, &module(name), expected));
            assert!(failure.summary.contains(name) && !failure.hint.contains("lenient"), "{failure:?}");
        }
    }
}

#[test]
fn scripts_are_remints_where_it_restarts_units() {
    let without = Expected { commands: false, ..LENIENT };
    let runcmd = debian_scripts("runcmd");
    assert!(failed(on(1, &runcmd, LENIENT)).summary.contains("runcmd"));
    assert_eq!(warned(on(1, &runcmd, without)).len(), 1);
    // A script of the user's own.
    assert_eq!(warned(on(1, &debian_scripts("part-003"), LENIENT)).len(), 1);
    assert!(failed(on(1, &debian_scripts("part-003"), STRICT)).hint.contains("lenient"));
    assert!(failed(on(1, &module("runcmd"), LENIENT)).summary.contains("runcmd"));
    // An error of another shape is not taken for harmless.
    failed(on(1, &module("scripts_user"), LENIENT));
}

#[test]
fn a_failure_of_remints_own_is_not_hidden_by_a_harmless_one() {
    let errors = ["('locale', E('x'))", "('ssh', E('y'))"];
    let both = Answers { result: json!({ "v1": { "errors": errors } }).to_string(), ..Answers::default() };
    let failure = failed(on(1, &both, LENIENT));
    assert_eq!(failure.summary, "module ssh failed: E('y'); module locale failed: E('x')");
    let mut errors: Vec<String> = (0..30).map(|at| format!("('m{at}', E('x'))")).collect();
    errors.push("('users-groups', E('y'))".to_owned());
    let many = Answers { result: json!({ "v1": { "errors": errors } }).to_string(), ..Answers::default() };
    let summary = failed(on(1, &many, LENIENT)).summary;
    assert!(summary.starts_with("module users-groups failed") && summary.ends_with("; and 23 more"), "{summary}");
}

#[test]
fn deprecations_are_nothing_and_warnings_are_told() {
    let deprecated =
        json!({ "DEPRECATED": ["Config key 'x' is deprecated in 23.1 and scheduled to be removed in 28.1."] });
    for expected in [STRICT, LENIENT] {
        assert!(matches!(on(2, &ubuntu(deprecated.clone()), expected), Verdict::Clean));
        let warning = json!({ "WARNING": ["cloud-config failed schema validation!"], "DEPRECATED": ["x"] });
        assert_eq!(warned(on(2, &ubuntu(warning), expected)), ["cloud-config failed schema validation!"]);
    }
    // Status 2 and nothing to read: something was wrong, and nobody says what.
    assert!(warned(on(2, &Answers::default(), STRICT)).is_empty());
}

#[test]
fn an_error_without_a_module_always_fails() {
    let errors = ["Can not apply stage final, no datasource found! Likely bad things to come!"];
    let answers = Answers { result: json!({ "v1": { "errors": errors } }).to_string(), ..Answers::default() };
    assert!(failed(on(1, &answers, LENIENT)).summary.contains("no datasource found"));
    // As after a unit that systemd killed: no list names anything.
    assert_eq!(failed(on(1, &ubuntu(json!({})), LENIENT)).summary, "exit status 1");
    assert!(failed(on(127, &Answers::default(), LENIENT)).summary.contains("no `cloud-init` command"));
    failed(judge(&Exit::Signal("KILL".to_owned()), &Report::default(), LENIENT));
}

#[test]
fn what_remints_own_command_says_is_the_message() {
    let said = "remint: there is no user `app`, who is the owner in `[config]`";
    let answers = Answers { output: format!("Reading package lists...\n{said}\n"), ..debian_scripts("runcmd") };
    for expected in [STRICT, LENIENT] {
        let failure = failed(on(1, &answers, expected));
        assert_eq!(failure.summary, "there is no user `app`, who is the owner in `[config]`");
        assert!(
            failure.hint.contains("correct `[config]`") && failure.log.iter().any(|line| line == said),
            "{failure:?}"
        );
    }
    // A script of the user's that says so proves nothing where Remint has no commands.
    let without = Expected { commands: false, ..LENIENT };
    assert!(warned(on(1, &answers, without))[0].contains("scripts-user"));
}
