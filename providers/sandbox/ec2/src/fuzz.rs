//! A fuzz target: what requests of Amazon's APIs hold.

#[path = "../../../../core/src/fuzz/run.rs"]
mod run;

use axum::http::{Request, header};

use run::{JSON, Target};

use super::{
    auth,
    list::{Filters, like, page},
    query::Params,
    route53,
};

#[test]
fn fuzz_ec2_requests() {
    let target = Target {
        name: "ec2_requests",
        samples: &[
            "Action=RunInstances&TagSpecification.1.Tag.1.Key=a&TagSpecification.1.Tag.2.Value=b&MaxResults=5&DryRun=true",
            "Action=DescribeInstances&Filter.1.Name=tag:a&Filter.1.Value.1=w*b?&NextToken=YXQgNQ",
            "<ChangeResourceRecordSetsRequest><ChangeBatch><Changes><Change><Action>UPSERT</Action><ResourceRecordSet><Name>a.</Name><Type>A</Type><TTL>3</TTL><ResourceRecords><ResourceRecord><Value>1.2.3.4</Value></ResourceRecord></ResourceRecords></ResourceRecordSet></Change></Changes></ChangeBatch></ChangeResourceRecordSetsRequest>",
            "<ChangeResourceRecordSetsRequest><ChangeBatch><Changes><Change><Action>CREATE</Action><ResourceRecordSet><Name>a.</Name><Type>A</Type><AliasTarget><HostedZoneId>Z1</HostedZoneId><DNSName>b.</DNSName><EvaluateTargetHealth>false</EvaluateTargetHealth></AliasTarget></ResourceRecordSet></Change></Changes></ChangeBatch></ChangeResourceRecordSetsRequest>",
            "AWS4-HMAC-SHA256 Credential=A/20260101/us-east-1/ec2/aws4_request, SignedHeaders=host;x-amz-date, Signature=00",
            "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=A/20260101/us-east-1/ec2/aws4_request&X-Amz-Date=x&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature=00",
            "MX 10 mail.example.com.",
            r#"TXT "v=spf1 \" -all" "b""#,
        ],
        words: &[
            JSON,
            &[
                "&",
                "=",
                ".",
                "*",
                "?",
                "\\",
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
                "ü",
                "\u{0}",
            ],
        ],
    };
    target.run(read);
}

/// Reads a text as each of the parsers does.
fn read(text: &str) {
    if let Ok(params) = Params::parse(text.as_bytes()) {
        assert_eq!(params.get("Action").unwrap_or_default(), Params::action(text.as_bytes()));
        for group in params.groups("TagSpecification") {
            assert!(group.groups("Tag").len() <= text.len());
        }
        drop(params.attributes());
        drop(params.flag("DryRun"));
        drop(params.number("MaxResults"));
        if let Ok((items, next)) = page(&params, 5, (0..10).collect()) {
            assert!(items.len() <= 10 && (next.is_none() || !items.is_empty() || params.get("NextToken").is_some()));
        }
        if let Ok(filters) = Filters::of("DescribeImages", &params, &["state"]) {
            filters.take(&Default::default(), |_| vec!["running".to_owned()]);
        }
    }
    let (pattern, value) = text.split_once('=').unwrap_or((text, text));
    like(pattern, value);
    assert!(like("*", text));
    if !text.contains(['*', '?', '\\']) {
        assert!(like(text, text), "a text without wildcards matches itself");
    }
    for request in [Request::get("/").header(header::AUTHORIZATION, text), Request::get(format!("/?{text}"))] {
        if let Ok(request) = request.body(()) {
            auth::claimed(&request.into_parts().0);
        }
    }
    route53::fuzz(text);
}
