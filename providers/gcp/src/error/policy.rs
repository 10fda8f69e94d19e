//! What an organization's policy forbids, at each call that creates something: `Forbidden` at once, with the constraint and what
//! to ask for, whether the call is refused or its operation fails.

use remint_core::provider::{
    CaptureSpec, EnvironmentId, Error, ErrorKind, ImageId, Images, InstanceId, Instances, Labels, LaunchSpec, Region,
    SizeName, StaticIpSpec, StaticIps, label,
};
use serde_json::{Value, json};
use wiremock::{MockServer, ResponseTemplate};

use crate::{
    ClientOptions, Config, Gcp,
    testing::{self, PROJECT, REGION, ZONE, failed, missing, operation, refusal, regional, requests, serve},
};

/// A call that creates something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Insert {
    Image,
    Instance,
    Firewall,
    ForwardingRule,
    TargetInstance,
}

/// How the policy is told.
#[derive(Debug, Clone, Copy)]
enum Told {
    /// The call is refused.
    Refused,
    /// It is accepted with an operation that has failed by then.
    FailedAtOnce,
    /// It is accepted, and its operation fails.
    FailedLater,
}

const ALL: [Insert; 5] =
    [Insert::Image, Insert::Instance, Insert::Firewall, Insert::TargetInstance, Insert::ForwardingRule];

impl Insert {
    fn route(self) -> String {
        match self {
            Self::Image => format!("{PROJECT}/global/images"),
            Self::Instance => format!("{ZONE}/instances"),
            Self::Firewall => format!("{PROJECT}/global/firewalls"),
            Self::ForwardingRule => format!("{REGION}/forwardingRules"),
            Self::TargetInstance => format!("{ZONE}/targetInstances"),
        }
    }

    /// A constraint that policies forbid this by.
    fn constraint(self) -> &'static str {
        match self {
            Self::Image => "constraints/compute.storageResourceUseRestrictions",
            Self::Instance => "constraints/compute.requireOsLogin",
            Self::Firewall => "constraints/gcp.resourceLocations",
            Self::ForwardingRule | Self::TargetInstance => {
                "constraints/compute.restrictProtocolForwardingCreationForTypes"
            }
        }
    }

    /// Its operation, and where it is read.
    fn operation(self, status: &str) -> (Value, String) {
        match self {
            Self::Image | Self::Firewall => {
                (json!({"name": "op-9", "status": status}), format!("{PROJECT}/global/operations/op-9"))
            }
            Self::Instance | Self::TargetInstance => (operation("op-9", status), format!("{ZONE}/operations/op-9")),
            Self::ForwardingRule => (regional("op-9", status), format!("{REGION}/operations/op-9")),
        }
    }

    async fn serve(self, server: &MockServer, told: Told) {
        let message = format!("Constraint {} violated for project 7421. Contact the administrator.", self.constraint());
        let (running, reading) = self.operation("RUNNING");
        let mut ended = failed(running.clone(), "CONDITION_NOT_MET", &message);
        ended["httpErrorStatusCode"] = 412.into();
        ended["httpErrorMessage"] = "PRECONDITION FAILED".into();
        let answer = match told {
            Told::Refused => refusal(412, "conditionNotMet", &message),
            Told::FailedAtOnce => testing::json(ended.clone()),
            Told::FailedLater => testing::json(running),
        };
        serve(server, "POST", &self.route(), vec![answer]).await;
        serve(server, "GET", &reading, vec![testing::json(ended)]).await;
    }
}

fn labels() -> Labels {
    Labels::new().with(label::SERVICE, "app").with(label::ENV_ID, EnvironmentId::from("0a1b2c3d4e5f6071").as_str())
}

async fn launch(gcp: &Gcp) -> Result<(), Error> {
    let spec = LaunchSpec {
        names: vec!["app-1".to_owned()],
        new_names: false,
        image: ImageId::new("mine/app"),
        size: SizeName::new("e2-small"),
        region: Region::new("us-central1-a"),
        labels: labels(),
        user_data: None,
        login_keys: Vec::new(),
    };
    gcp.launch(&spec).await.map(drop)
}

async fn capture(gcp: &Gcp) -> Result<(), Error> {
    let (instance, name) = (InstanceId::new("us-central1-a/app-1/1"), "app-0123456789ab".to_owned());
    gcp.capture(&CaptureSpec { instance, name, labels: labels() }).await.map(drop)
}

async fn ensure(gcp: &Gcp) -> Result<(), Error> {
    let (instance, region) = (InstanceId::new("us-central1-a/app-1/1"), Region::new("us-central1-a"));
    gcp.ensure(&StaticIpSpec { name: "app".to_owned(), labels: labels(), region, instance }).await.map(drop)
}

/// Serves what stands before the call, and what else the way to it asks for.
async fn serve_the_rest(server: &MockServer, but: Insert) {
    let done = |operation: Value| vec![testing::json(operation)];
    let zonal = operation("op-1", "DONE");
    if but != Insert::Instance {
        serve(server, "POST", &Insert::Instance.route(), done(zonal.clone())).await;
    }
    if but != Insert::TargetInstance {
        serve(server, "POST", &Insert::TargetInstance.route(), done(zonal)).await;
    }
    serve(server, "POST", &format!("{REGION}/addresses"), done(regional("op-1", "DONE"))).await;
    let description = crate::labelling::Description { labels: labels(), zone: "us-central1-a".to_owned() };
    let address = json!({"name": "app", "address": "203.0.113.9", "description": description.to_text("test").unwrap()});
    serve(server, "GET", &format!("{REGION}/addresses/app"), done(address)).await;
    let builder = json!({"id": "1", "name": "app-1", "status": "TERMINATED", "zone": format!("https://www.googleapis.com{ZONE}"),
        "disks": [{"boot": true, "source": format!("https://www.googleapis.com{ZONE}/disks/app-1")}]});
    serve(server, "GET", &format!("{ZONE}/instances/1"), done(builder)).await;
    serve(server, "GET", &Insert::Firewall.route(), done(json!({}))).await;
    let absent = [
        format!("{ZONE}/instances/app-1"),
        format!("{PROJECT}/global/images/app-0123456789ab"),
        format!("{REGION}/forwardingRules/app"),
    ];
    for route in absent {
        serve(server, "GET", &route, vec![missing()]).await;
    }
}

async fn provider(server: &MockServer, config: Config) -> Gcp {
    Gcp::new(ClientOptions { config, ..testing::options(server) }).await.unwrap()
}

/// The error of a call, and how often it and its operation were asked for.
async fn forbidden(insert: Insert, told: Told) -> (Error, usize, usize) {
    let server = MockServer::start().await;
    insert.serve(&server, told).await;
    serve_the_rest(&server, insert).await;
    let gcp = provider(&server, Config { firewall: insert == Insert::Firewall, ..Config::default() }).await;
    let result = match insert {
        Insert::Image => capture(&gcp).await,
        Insert::Instance | Insert::Firewall => launch(&gcp).await,
        Insert::ForwardingRule | Insert::TargetInstance => ensure(&gcp).await,
    };
    let sent = requests(&server, "POST", &insert.route()).await.len();
    let looks = requests(&server, "GET", &insert.operation("").1).await.len();
    (result.unwrap_err(), sent, looks)
}

#[tokio::test]
async fn every_insert_that_a_policy_forbids_is_forbidden_at_once() {
    for insert in ALL {
        for (told, most_looks) in [(Told::Refused, 0), (Told::FailedAtOnce, 0), (Told::FailedLater, 1)] {
            let (error, sent, looks) = forbidden(insert, told).await;
            assert_eq!(error.kind(), ErrorKind::Forbidden, "{insert:?} {told:?}: {error}");
            assert!(error.message().contains(insert.constraint()), "{insert:?} {told:?}: {error}");
            let hint = error.hint().unwrap();
            assert!(
                hint.contains(insert.constraint()) && hint.contains("administrator"),
                "{insert:?} {told:?}: {hint}"
            );
            assert_eq!((sent, looks), (1, most_looks), "{insert:?} {told:?}: not again, and nothing is waited for");
        }
    }
}

#[tokio::test]
async fn hints_say_what_to_ask_the_administrator_for() {
    let (error, ..) = forbidden(Insert::ForwardingRule, Told::Refused).await;
    assert!(error.hint().unwrap().contains("allow EXTERNAL"), "{error:?}");
    assert!(error.hint().unwrap().contains("address.static_ip"), "{error:?}");
    let (error, ..) = forbidden(Insert::Instance, Told::Refused).await;
    assert!(error.hint().unwrap().contains("turn constraints/compute.requireOsLogin off"), "{error:?}");
    assert!(error.hint().unwrap().contains("enable-oslogin"), "{error:?}");
    let (error, ..) = forbidden(Insert::Firewall, Told::FailedLater).await;
    assert!(error.hint().unwrap().contains("exception from constraints/gcp.resourceLocations"), "{error:?}");
}

#[tokio::test]
async fn a_capture_that_a_policy_forbids_late_says_so_too() {
    let server = MockServer::start().await;
    let running = json!({"name": "op-9", "status": "RUNNING"});
    let mut ended =
        failed(running.clone(), "CONDITION_NOT_MET", "Constraint constraints/compute.x violated for project 7");
    ended["httpErrorStatusCode"] = 412.into();
    serve(&server, "POST", &Insert::Image.route(), vec![testing::json(running.clone())]).await;
    let answers: Vec<ResponseTemplate> = [running, ended].map(testing::json).into();
    serve(&server, "GET", &Insert::Image.operation("").1, answers).await;
    serve_the_rest(&server, Insert::Image).await;
    let gcp = testing::provider(&server).await;
    capture(&gcp).await.unwrap();
    let error = capture(&gcp).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden, "{error}");
    assert!(error.hint().unwrap().contains("exception from constraints/compute.x"), "{error:?}");
}

const ACCOUNT: &str = "app@mine.iam.gserviceaccount.com";

async fn launch_as_account(answers: Vec<ResponseTemplate>) -> (Result<(), Error>, usize) {
    let server = MockServer::start().await;
    serve(&server, "POST", &Insert::Instance.route(), answers).await;
    serve_the_rest(&server, Insert::Instance).await;
    let config = Config { firewall: false, service_account: Some(ACCOUNT.to_owned()), ..Config::default() };
    let launched = launch(&provider(&server, config).await).await;
    (launched, requests(&server, "POST", &Insert::Instance.route()).await.len())
}

#[tokio::test]
async fn a_service_account_that_is_not_found_yet_is_busy_and_asked_for_again() {
    let unseen =
        refusal(404, "notFound", &format!("The resource 'projects/mine/serviceAccounts/{ACCOUNT}' was not found"));
    let done = testing::json(operation("op-1", "DONE"));
    let (launched, sent) = launch_as_account(vec![unseen.clone(), unseen.clone(), done]).await;
    assert_eq!((launched.map_err(|error| error.to_string()), sent), (Ok(()), 3));

    let (launched, sent) = launch_as_account(vec![unseen]).await;
    let error = launched.unwrap_err();
    assert_eq!((error.kind(), sent), (ErrorKind::Busy, 4), "{error}");
    assert!(
        error.hint().unwrap().contains(ACCOUNT) && error.hint().unwrap().contains("`service_account`"),
        "{error:?}"
    );

    let late =
        failed(operation("op-1", "DONE"), "RESOURCE_NOT_FOUND", &format!("Service account {ACCOUNT} does not exist."));
    let (launched, _) = launch_as_account(vec![testing::json(late)]).await;
    assert_eq!(launched.unwrap_err().kind(), ErrorKind::Busy);
}

#[tokio::test]
async fn what_does_not_name_the_service_account_as_missing_is_not_waited_for() {
    let image = refusal(404, "notFound", "The resource 'projects/mine/global/images/app' was not found");
    let (launched, sent) = launch_as_account(vec![image]).await;
    assert_eq!((launched.unwrap_err().kind(), sent), (ErrorKind::InvalidInput, 1));

    // It may not exist yet, and the caller may not be allowed to use it: Google says the same of both.
    let denied = format!("The user does not have access to service account '{ACCOUNT}', or it does not exist.");
    let (launched, sent) = launch_as_account(vec![refusal(403, "forbidden", &denied)]).await;
    let error = launched.unwrap_err();
    assert_eq!((error.kind(), sent), (ErrorKind::Forbidden, 1), "{error}");
    assert!(error.hint().unwrap().contains("roles/iam.serviceAccountUser"), "{error:?}");
}
