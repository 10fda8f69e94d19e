//! The answers that a sandbox gave, held against the published specification.

#[path = "../../../providers/sandbox/tests/common/openapi.rs"]
mod openapi;

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::Value;

use openapi::Checker;

/// Asserts that every recorded answer is as the specification says.
#[track_caller]
pub(super) fn check(recorded: &Path) {
    let checker = Checker::load();
    for answer in read(recorded) {
        let text = |key: &str| answer[key].as_str().unwrap().to_owned();
        let status = u16::try_from(answer["status"].as_u64().unwrap()).unwrap();
        let body = Some(&answer["body"]).filter(|body| !body.is_null());
        checker.record(&text("method"), &text("path"), status, body);
    }
    let violations: BTreeSet<String> = checker.violations().into_iter().collect();
    assert!(violations.is_empty(), "answers that are not as the specification says:\n{violations:#?}");
}

/// The recorded answers; none where nothing was recorded. The last line of a sandbox that was killed may be cut short.
pub(super) fn read(recorded: &Path) -> Vec<Value> {
    let text = fs::read_to_string(recorded).unwrap_or_default();
    let whole = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
    whole.map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line:?}: {error}"))).collect()
}
