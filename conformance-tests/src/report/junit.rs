//! JUnit, for whoever collects test results. Each concern is a test suite.

use std::{collections::BTreeMap, time::Duration};

use quick_junit::{NonSuccessKind, SerializeError, TestCase, TestCaseStatus, TestSuite};

use super::{CaseReport, Report};
use crate::OutcomeKind;

impl Report {
    /// The report as JUnit's XML.
    ///
    /// What was not run is skipped, with the reason as its message. Leaks of the whole run are a failed test of their own.
    ///
    /// # Errors
    ///
    /// When the XML cannot be written.
    pub fn junit(&self) -> Result<String, SerializeError> {
        let mut junit = quick_junit::Report::new(format!("remint conformance: {}", self.provider));
        junit.set_time(Duration::from_secs_f64(self.seconds));
        let mut concerns: BTreeMap<&str, TestSuite> = BTreeMap::new();
        for case in &self.cases {
            let concern = case.concern();
            let suite = concerns.entry(concern).or_insert_with(|| TestSuite::new(concern));
            suite.add_test_case(self.test_case(case));
        }
        junit.add_test_suites(concerns.into_values());
        if !self.leaks.is_empty() {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_type("leaked").set_message(self.leaks.join("; "));
            let mut suite = TestSuite::new("run");
            suite.add_test_case(TestCase::new("run.leaves_nothing", status));
            junit.add_test_suite(suite);
        }
        junit.to_string()
    }

    fn test_case(&self, case: &CaseReport) -> TestCase {
        let mut status = match case.outcome {
            OutcomeKind::Passed => TestCaseStatus::success(),
            OutcomeKind::Failed | OutcomeKind::Leaked => TestCaseStatus::non_success(NonSuccessKind::Failure),
            OutcomeKind::TimedOut => TestCaseStatus::non_success(NonSuccessKind::Error),
            OutcomeKind::Exempt | OutcomeKind::Blocked | OutcomeKind::NotDeclared => TestCaseStatus::skipped(),
        };
        if case.outcome != OutcomeKind::Passed {
            status.set_type(case.outcome.as_str());
            status.set_message(format!("{}: {}", case.outcome.as_str(), case.detail)).set_description(&case.title);
        }
        let mut test = TestCase::new(&case.id, status);
        test.set_classname(format!("{}.{}", self.provider, case.concern()));
        test.set_time(Duration::from_secs_f64(case.seconds));
        test
    }
}

impl CaseReport {
    /// The concern: what stands before the last dot of the id.
    pub fn concern(&self) -> &str {
        self.id.rsplit_once('.').map_or(&self.id, |(concern, _)| concern)
    }
}

#[cfg(test)]
mod tests {
    use crate::report::document::tests::sample;

    #[test]
    fn each_outcome_is_what_junit_calls_it() {
        let xml = sample().junit().unwrap();
        assert!(
            xml.contains(r#"tests="7" skipped="3" failures="2" errors="1""#) || {
                // The order of attributes is the library's.
                let head = xml.lines().nth(1).unwrap_or_default();
                ["tests=\"7\"", "failures=\"2\"", "errors=\"1\""].iter().all(|part| head.contains(part))
            },
            "{xml}"
        );
        assert!(xml.contains("not declared: dns") && xml.contains("timed out"), "{xml}");
        let leaking = sample().with_leaks("r", vec!["instance 7".to_owned()]).junit().unwrap();
        assert!(leaking.contains("run.leaves_nothing") && leaking.contains("instance 7"), "{leaking}");
    }
}
