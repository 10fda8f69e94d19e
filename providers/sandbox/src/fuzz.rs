//! A fuzz target: what requests hold. The targets of the simulated machines are with them.

#[path = "../../../core/src/fuzz/run.rs"]
mod run;

pub(crate) use run::{JSON, Target};

use crate::{
    ec2,
    faults::{FaultRule, Faults},
    gce,
};

#[test]
fn fuzz_requests() {
    let target = Target {
        name: "requests",
        samples: &[
            "(labels.a=1 OR name eq 'web-.*') AND NOT (tags.items:http) id>3",
            "Action=RunInstances&TagSpecification.1.Tag.1.Key=a&TagSpecification.1.Tag.2.Value=b&MaxResults=5&DryRun=true",
            "Action=DescribeInstances&Filter.1.Name=tag:a&Filter.1.Value.1=w*b?&NextToken=YXQgNQ",
            "<ChangeResourceRecordSetsRequest><ChangeBatch><Changes><Change><Action>UPSERT</Action><ResourceRecordSet><Name>a.</Name><Type>A</Type><TTL>3</TTL><ResourceRecords><ResourceRecord><Value>1.2.3.4</Value></ResourceRecord></ResourceRecords></ResourceRecordSet></Change></Changes></ChangeBatch></ChangeResourceRecordSetsRequest>",
            "AWS4-HMAC-SHA256 Credential=A/20260101/us-east-1/ec2/aws4_request, SignedHeaders=host;x-amz-date, Signature=00",
            "MX 10 mail.example.com.",
            "TXT \"v=spf1 \\\" -all\" \"b\"",
            r#"{"method":"GET","path":"/v2/*","fault":"rate_limited","nth":2,"count":1,"retry_after":7}"#,
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
                "&",
                ".",
                "1",
                "4294967296",
                "Filter.",
                ".Value.",
                "%00",
                "%ff",
                "+",
                "<a>",
                "</a>",
                "<![CDATA[",
                "&#x41;",
                "<!--",
                "a.example.com.",
                "\\052",
                "::1",
                "0 issue \"x\"",
                "{",
                "}",
                "[",
                "]",
                ",",
                "(a{99}){99}",
                "ü",
                "\u{0}",
            ],
        ],
    };
    target.run(|text| {
        ec2::fuzz::read(text);
        gce::fuzz::read(text);
        if let Ok(rule) = serde_json::from_str::<FaultRule>(text) {
            drop(Faults::default().add(rule.clone()));
            let written = serde_json::to_string(&rule).unwrap();
            assert_eq!(serde_json::from_str::<FaultRule>(&written).unwrap(), rule);
        }
    });
}
