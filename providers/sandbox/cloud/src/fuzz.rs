//! A fuzz target: fault rules.

#[path = "../../../../core/src/fuzz/run.rs"]
mod run;

use run::{JSON, Target};

use crate::faults::{FaultRule, Faults};

#[test]
fn fuzz_fault_rules() {
    let target = Target {
        name: "fault_rules",
        samples: &[r#"{"method":"GET","path":"/v2/*","fault":"rate_limited","nth":2,"count":1,"retry_after":7}"#],
        words: &[JSON, &["{id}", "*", "/", "fault", "nth", "every", "4294967296", "ü", "\u{0}"]],
    };
    target.run(|text| {
        if let Ok(rule) = serde_json::from_str::<FaultRule>(text) {
            drop(Faults::default().add(rule.clone()));
            let written = serde_json::to_string(&rule).unwrap();
            assert_eq!(serde_json::from_str::<FaultRule>(&written).unwrap(), rule);
        }
    });
}
