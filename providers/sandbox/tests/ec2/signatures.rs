//! Who is let in.

use jiff::{Timestamp, ToSpan as _};

use reqwest::Method;

use super::account::{Account, REGION, Sent};

#[tokio::test]
async fn requests_without_a_valid_signature_are_refused_in_the_services_own_words() {
    let account = Account::start().await;
    let form = |action: &str| format!("Action={action}&Version=2016-11-15");
    let ec2 = || account.query("ec2", REGION, form("DescribeRegions"));
    assert_eq!(account.send(ec2()).await.status, 200);
    let unknown = account.send(Sent { key: ("AKIAOTHER".to_owned(), account.key().1), ..ec2() }).await;
    assert_eq!((unknown.status, unknown.code().as_str()), (401, "AuthFailure"));
    let wrong = account.send(Sent { key: (account.key().0, "wrong".to_owned()), ..ec2() }).await;
    assert_eq!((wrong.status, wrong.code().as_str()), (403, "SignatureDoesNotMatch"));
    let late = account.send(Sent { at: Timestamp::now() - 20.minutes(), ..ec2() }).await;
    assert_eq!((late.status, late.code().as_str()), (400, "RequestExpired"));
    let elsewhere = account.send(account.query("ec2", "mars-north-1", form("DescribeRegions"))).await;
    assert!(elsewhere.code() == "AuthFailure" && elsewhere.text.contains("mars-north-1"), "{elsewhere:?}");

    let sts = |key| Sent { key, ..account.query("sts", REGION, form("GetCallerIdentity")) };
    let caller = account.send(sts(account.key())).await.good();
    assert_eq!(caller.get("Account").unwrap().len(), 12, "{caller:?}");
    let refused = account.send(sts(("AKIAOTHER".to_owned(), "x".to_owned()))).await;
    assert_eq!((refused.status, refused.code().as_str()), (403, "InvalidClientTokenId"));

    // Without any signature.
    let url = account.sandbox.url();
    let bare = reqwest::Client::new();
    let ec2 = bare.post(&url).body(form("DescribeRegions")).send().await.unwrap();
    assert_eq!(ec2.status(), 401);
    assert!(ec2.text().await.unwrap().contains("<Code>AuthFailure</Code>"));
    let zones = bare.get(format!("{url}/2013-04-01/hostedzone")).send().await.unwrap();
    assert_eq!(zones.status(), 403);
    assert!(zones.text().await.unwrap().contains("<Code>MissingAuthenticationToken</Code>"));
    let ssm = bare.post(&url).header("x-amz-target", "AmazonSSM.GetParameter").body("{}").send().await.unwrap();
    assert_eq!(ssm.status(), 400);
    assert!(ssm.text().await.unwrap().contains("MissingAuthenticationTokenException"));
}

#[tokio::test]
async fn what_is_not_there_is_said_to_be_unknown() {
    let account = Account::start().await;
    let unknown = account.call("CreateVpnGateway", &[]).await;
    assert_eq!((unknown.status, unknown.code().as_str()), (400, "InvalidAction"));
    assert_eq!(account.call("DescribeInstances", &[("DryRun", "true")]).await.code(), "DryRunOperation");
    let path = account.zones(Method::POST, "/2013-04-01/healthcheck", "").await;
    assert_eq!((path.status, path.code().as_str()), (501, "NotImplemented"));
    let (status, body) = account.parameters("DescribeParameters", "{}").await;
    assert_eq!((status, body["__type"].as_str()), (400, Some("UnknownOperationException")));
}

#[tokio::test]
async fn a_call_may_be_in_the_query_of_a_get() {
    let account = Account::start().await;
    let get =
        |path| Sent { method: Method::GET, path, body: String::new(), ..account.query("ec2", REGION, String::new()) };
    let query = "/?Action=DescribeRegions&RegionName.1=us-west-2&Version=2016-11-15";
    assert_eq!(account.send(get(query)).await.good().all("regionName"), ["us-west-2"]);
    let action = "/?Action=DescribeRegions&Version=2016-11-15";
    // A part of the parameters may be in the body.
    let both = Sent { path: action, ..account.query("ec2", REGION, "RegionName.1=eu-central-1".to_owned()) };
    assert_eq!(account.send(both).await.good().all("regionName"), ["eu-central-1"]);
    let refused = account.send(get("/?Action=DescribeRegions&Colour=red&Version=2016-11-15")).await;
    assert_eq!(refused.code(), "UnsupportedOperation");
    assert_eq!(account.send(get("/")).await.code(), "MissingAction");
    let sts = Sent {
        method: Method::GET,
        path: "/?Action=GetCallerIdentity&Version=2011-06-15",
        ..account.query("sts", REGION, String::new())
    };
    account.send(sts).await.good();
}
