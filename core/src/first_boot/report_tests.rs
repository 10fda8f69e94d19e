use super::*;

/// Debian 12, cloud-init 22.4.2: `/etc/default/locale` is missing.
pub(in super::super) fn debian_locale() -> Answers {
    Answers {
        status: r#"{
  "boot_status_code": "enabled-by-generator",
  "datasource": "digitalocean",
  "detail": "DataSourceDigitalOcean",
  "errors": [
    "('locale', ProcessExecutionError(\"Unexpected error while running command.\\nCommand: ['update-locale', '--locale-file=/etc/default/locale', 'LANG=C.UTF-8']\\nExit code: 1\"))"
  ],
  "last_update": "Sat, 28 Nov 2026 10:00:00 +0000",
  "status": "error"
}
"#
        .to_owned(),
        result: r#"{ "v1": { "datasource": "DataSourceDigitalOcean", "errors": ["('locale', ProcessExecutionError(\"Unexpected\"))"] } }"#
            .to_owned(),
        log: "2026-11-28 10:00:00,000 - cc_ntp.py[WARNING]: something else\n\
              2026-11-28 10:00:01,000 - util.py[WARNING]: Running module locale (<module 'cloudinit.config.cc_locale' from \
              '/usr/lib/python3/dist-packages/cloudinit/config/cc_locale.py'>) failed\n\
              2026-11-28 10:00:01,001 - handlers.py[DEBUG]: finish: modules-config/config-locale: FAIL: running config-locale \
              with frequency once-per-instance\n"
            .to_owned(),
        output: "*** update-locale: Error: invalid locale settings\n".to_owned(),
    }
}

/// Debian 12: the script of `runcmd` and one of the user's failed.
pub(in super::super) fn debian_scripts(scripts: &str) -> Answers {
    let error = format!("('scripts-user', RuntimeError('Runparts: 1 failures ({scripts}) in 2 attempted commands'))");
    Answers { result: serde_json::json!({ "v1": { "errors": [error] } }).to_string(), ..Answers::default() }
}

/// Ubuntu 24.04, cloud-init 24.x: nothing failed, and there are messages of these levels.
pub(in super::super) fn ubuntu(recoverable: serde_json::Value) -> Answers {
    let stage = serde_json::json!({ "errors": [], "finished": 2.5, "recoverable_errors": {}, "start": 1.5 });
    let status = serde_json::json!({
        "boot_status_code": "enabled-by-generator", "datasource": "gce", "detail": "DataSourceGCE", "errors": [],
        "extended_status": "degraded done", "init": stage, "init-local": stage, "last_update": "", "modules-config": stage,
        "modules-final": stage, "recoverable_errors": recoverable, "stage": null, "status": "done",
    });
    Answers { status: format!("{status:#}\n"), ..Answers::default() }
}

#[test]
fn a_failed_module_is_named_with_its_reason_and_its_lines() {
    let report = Report::read(&debian_locale());
    assert_eq!(report.failed.len(), 1, "both documents tell of the same: {report:?}");
    assert_eq!(report.failed[0].module, "locale");
    assert!(report.failed[0].reason.contains("update-locale"), "{report:?}");
    assert_eq!((report.unnamed.len(), report.warnings.len()), (0, 0));
    assert_eq!(report.log.len(), 3, "{:?}", report.log);
    assert!(report.log[0].contains("Running module locale") && report.log[1].contains("config-locale: FAIL"));
    assert!(report.log[2].contains("invalid locale settings"));
}

#[test]
fn messages_are_told_by_their_level() {
    let recoverable = serde_json::json!({
        "DEPRECATED": ["Config key 'lists' is deprecated in 22.3"],
        "WARNING": ["Running module ntp (<module 'cloudinit.config.cc_ntp' from '/x.py'>) failed", "No active metadata service"],
    });
    let report = Report::read(&ubuntu(recoverable));
    assert_eq!(report.failed, [Failed { module: "ntp".to_owned(), reason: String::new() }]);
    assert_eq!(report.warnings, ["No active metadata service"]);
    assert!(report.is_known);
}

#[test]
fn names_of_all_versions_are_one() {
    for name in ["users-groups", "users_groups", "cc_users_groups", "config-users-groups"] {
        assert_eq!(key(name), "users_groups");
    }
}

#[test]
fn what_a_machine_says_is_cleaned_and_bounded() {
    let errors: Vec<String> = (0..1000).map(|at| format!("('m{at}', E('\u{1b}[2J{}'))", "x".repeat(5000))).collect();
    let unnamed: Vec<String> = (0..1000).map(|at| format!("{at} \u{202e}{}", "y".repeat(5000))).collect();
    let status = serde_json::json!({ "errors": errors, "recoverable_errors": { "WARNING": unnamed } }).to_string();
    let log = "z\u{1b}]0;title\u{7}".repeat(1000) + "\n";
    let report = Report::read(&Answers { status, log: log.repeat(60), output: log.repeat(40), ..Answers::default() });
    assert_eq!((report.failed.len(), report.warnings.len(), report.log.len()), (MODULES, ENTRIES, LOG_LINES));
    let reasons = report.failed.iter().map(|failed| &failed.reason);
    for text in reasons.chain(&report.warnings).chain(&report.log) {
        assert!(text.len() <= LINE_BYTES && !text.contains(['\u{1b}', '\u{202e}', '\n']), "{text}");
    }
}

#[test]
fn a_secret_in_a_log_is_masked() {
    let secret = "hunter2-in-the-log-of-a-machine";
    redact::learn(&secret.to_owned().into());
    let status = serde_json::json!({ "errors": [format!("('write-files', E('{secret}'))"), secret] }).to_string();
    let report = Report::read(&Answers { status, log: format!("write_files {secret}\n"), ..Answers::default() });
    assert_eq!(report.failed.len(), 1);
    assert!(!format!("{report:?}").contains(secret), "{report:?}");
}

#[test]
fn what_is_no_document_is_no_report() {
    for status in
        ["", "Usage: cloud-init status", "{", "[]", "{\"errors\": 3}", "{\"errors\": [{}], \"recoverable_errors\": []}"]
    {
        let report = Report::read(&Answers { status: status.to_owned(), ..Answers::default() });
        assert!(report.failed.is_empty() && report.unnamed.is_empty() && report.warnings.is_empty(), "{status}");
    }
}

/// Debian 12, cloud-init 22.4.2: `write_files` with an owner that is not there.
#[test]
fn the_exception_of_a_failed_module_is_shown_with_its_lines() {
    let error = "('write-files', OSError('Unknown user or group: \"getgrnam(): name not found: \\'app\\'\"'))";
    let answers = Answers {
        result: serde_json::json!({ "v1": { "errors": [error] } }).to_string(),
        log: "2026-11-28 10:00:00,000 - cc_ntp.py[WARNING]: something else\n\
              ValueError: of something else\n\
              2026-11-28 10:00:01,000 - util.py[WARNING]: Running module write-files (<module 'cloudinit.config.cc_write_files'>) \
              failed\n\
              KeyError: \"getgrnam(): name not found: 'app'\"\n\
              OSError: Unknown user or group: \"getgrnam(): name not found: 'app'\"\n"
            .to_owned(),
        ..Answers::default()
    };
    let report = Report::read(&answers);
    assert_eq!(report.log.len(), 3, "{:?}", report.log);
    assert!(report.log[0].contains("Running module write-files"), "{:?}", report.log);
    assert_eq!(report.log[2], "OSError: Unknown user or group: \"getgrnam(): name not found: 'app'\"");
}
