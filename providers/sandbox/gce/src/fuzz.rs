//! A fuzz target: what requests of Google's APIs hold.

#[path = "../../../../core/src/fuzz/run.rs"]
mod run;

use serde_json::{Value, json};

use run::{JSON, Target};

use super::{batch, dns, filter::Filter, json};

#[test]
fn fuzz_gce_requests() {
    let target = Target {
        name: "gce_requests",
        samples: &[
            "(labels.a=1 OR name eq 'web-.*') AND NOT (tags.items:http) id>3",
            "MX 10 mail.example.com.",
            r#"{"a": [1, "x", null, {"b": -1.5e3}]}"#,
            r#"TXT "v=spf1 \" -all" "b""#,
            "--b\nContent-Type: application/http\nContent-ID: <1>\n\nGET /compute/v1/x HTTP/1.1\nA: b\n\n{}\n--b--",
        ],
        words: &[
            JSON,
            &[
                "(",
                ")",
                "NOT ",
                "-",
                " OR ",
                " AND ",
                "=",
                "!=",
                "<=",
                ":",
                "*",
                "?",
                "\\",
                "\"",
                "'",
                " eq ",
                " ne ",
                "a.example.com.",
                "\\052",
                "::1",
                "0 issue \"x\"",
                "(a{99}){99}",
                "ü",
                "\u{0}",
            ],
        ],
    };
    target.run(read);
}

/// Reads a text as each of the parsers does.
fn read(text: &str) {
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
    batch::fuzz(text);
    // Where any value may be, a body is read as it is.
    if let Ok(body) = serde_json::from_str::<Value>(text) {
        assert_eq!(json::read::<Value>(body.clone()).unwrap(), body, "{text:?}");
    }
}
