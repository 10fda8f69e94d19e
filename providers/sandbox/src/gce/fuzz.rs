//! What the fuzz target of the request parsers tries here.

use serde_json::json;

use super::{dns, filter::Filter};

/// Reads a text as each of the parsers does.
pub(crate) fn read(text: &str) {
    let item = json!({ "name": "web-1", "labels": { "a": "1" }, "tags": { "items": ["http"] }, "id": "7" });
    match Filter::parse(text) {
        Ok(filter) => {
            filter.lets_through(&item);
            // Twice what was asked for is the same, and both at once are, too.
            if let Ok(both) = Filter::parse(&format!("({text}) AND ({text})")) {
                assert_eq!(both.lets_through(&item), filter.lets_through(&item), "{text:?}");
            }
        }
        Err(refusal) => {
            assert_eq!((refusal.code, refusal.reason), (400, "invalid"));
            assert!(refusal.message.contains("filter"), "the parameter is named: {}", refusal.message);
        }
    }
    dns::fuzz(text);
}
