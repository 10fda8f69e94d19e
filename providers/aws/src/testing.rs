//! What the tests share: a provider with short pauses in front of a mock server that speaks EC2's Query API.

use std::{
    future::Future,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use remint_core::provider::{LaunchSpec, PortMap, RatePolicy, RetryPolicy, Shape, SizeName, label};
use wiremock::{
    Mock, MockServer, Request, Respond, ResponseTemplate,
    matchers::{body_string_contains, method},
};

use crate::{Aws, ClientOptions, Settings, memory::Offer};

pub(crate) const SECRET: &str = "wJalrXUtnFEMI/K7MDENG";
pub(crate) const AMI: &str = "ami-0a1b2c3d";

pub(crate) fn settings() -> Settings {
    let short = Duration::from_millis(2);
    Settings {
        rate: RatePolicy { burst: 10_000, per_second: 1000.0, reserved_for_mutations: 1 },
        retry: RetryPolicy { attempts: 3, first_pause: short, max_pause: short, ..RetryPolicy::default() },
        ports: PortMap { through: 1023, offset: 20000 },
        settle: Duration::from_millis(60),
        sync: Duration::from_millis(400),
        ..Settings::default()
    }
}

pub(crate) fn provider(server: &MockServer) -> Aws {
    provider_at(server.uri())
}

pub(crate) fn provider_at(endpoint_url: String) -> Aws {
    Aws::new(ClientOptions {
        endpoint_url,
        region: "us-east-1".into(),
        access_key_id: "AKIDEXAMPLE".to_owned(),
        secret_access_key: SECRET.into(),
        settings: settings(),
    })
}

/// As [`provider`], with the size known already.
pub(crate) fn launcher(server: &MockServer) -> Aws {
    let aws = provider(server);
    let size = SizeName::new("t3.micro");
    let shape = Shape { size: size.clone(), vcpus: 2, memory_mib: 1024, disk_gib: 8, price_hourly_usd: None };
    let key = (size.as_str().to_owned(), "us-east-1".into());
    let (zones, architectures) = (vec!["us-east-1b".to_owned()], vec!["x86_64".to_owned()]);
    aws.memory.lock().offers.insert(key, Offer { shape, zones, architectures });
    aws
}

pub(crate) fn spec(name: &str) -> LaunchSpec {
    LaunchSpec {
        names: vec![name.to_owned()],
        new_names: false,
        image: AMI.into(),
        size: "t3.micro".into(),
        region: "us-east-1".into(),
        labels: remint_core::provider::Labels::new().with(label::SERVICE, "app").with(label::RELEASE, "7"),
        user_data: Some("#cloud-config\n".into()),
        login_keys: Vec::new(),
    }
}

fn tag_set(tags: &[(&str, &str)]) -> String {
    let item = |(key, value): &(&str, &str)| format!("<item><key>{key}</key><value>{value}</value></item>");
    format!("<tagSet>{}</tagSet>", tags.iter().map(item).collect::<String>())
}

/// An instance as EC2 shows it, with the name and labels of [`spec`].
pub(crate) fn instance(id: &str, name: &str, state: &str, token: &str) -> String {
    let tags = tag_set(&[("Name", name), (label::SERVICE, "app"), (label::RELEASE, "7")]);
    format!(
        "<item><instanceId>{id}</instanceId><imageId>{AMI}</imageId><instanceState><name>{state}</name></instanceState>\
         <instanceType>t3.micro</instanceType><launchTime>2026-11-25T08:00:00.000Z</launchTime>\
         <ipAddress>203.0.113.7</ipAddress><clientToken>{token}</clientToken>{tags}</item>"
    )
}

pub(crate) fn instances(items: &[String]) -> ResponseTemplate {
    ec2(
        "DescribeInstances",
        &format!("<reservationSet><item><instancesSet>{}</instancesSet></item></reservationSet>", items.concat()),
    )
}

pub(crate) fn launched(item: &str) -> ResponseTemplate {
    ec2("RunInstances", &format!("<instancesSet>{item}</instancesSet>"))
}

/// An AMI as EC2 shows it.
pub(crate) fn image(id: &str, state: &str, snapshot: &str, tags: &[(&str, &str)]) -> String {
    format!(
        "<item><imageId>{id}</imageId><imageState>{state}</imageState><name>app-0123456789ab</name>\
         <isPublic>false</isPublic><creationDate>2026-11-25T08:00:00.000Z</creationDate>\
         <rootDeviceName>/dev/xvda</rootDeviceName><blockDeviceMapping><item><deviceName>/dev/xvda</deviceName>\
         <ebs><snapshotId>{snapshot}</snapshotId><volumeSize>8</volumeSize></ebs></item></blockDeviceMapping>{}</item>",
        tag_set(tags)
    )
}

pub(crate) fn images(items: &[String]) -> ResponseTemplate {
    ec2("DescribeImages", &format!("<imagesSet>{}</imagesSet>", items.concat()))
}

/// An answer of EC2's.
pub(crate) fn ec2(action: &str, inside: &str) -> ResponseTemplate {
    let xml = format!(
        "<{action}Response xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>4d9d</requestId>{inside}\
         </{action}Response>"
    );
    ResponseTemplate::new(200).set_body_raw(xml, "text/xml")
}

/// A refusal of EC2's.
pub(crate) fn refusal(status: u16, code: &str, message: &str) -> ResponseTemplate {
    let xml = format!(
        "<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors>\
         <RequestID>4d9d</RequestID></Response>"
    );
    ResponseTemplate::new(status).set_body_raw(xml, "text/xml")
}

/// An answer of Elastic Load Balancing's.
pub(crate) fn elb(action: &str, inside: &str) -> ResponseTemplate {
    let xml = format!(
        "<{action}Response xmlns=\"http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/\"><{action}Result>{inside}\
         </{action}Result><ResponseMetadata><RequestId>4d9d</RequestId></ResponseMetadata></{action}Response>"
    );
    ResponseTemplate::new(200).set_body_raw(xml, "text/xml")
}

/// A refusal of Elastic Load Balancing's.
pub(crate) fn elb_refusal(code: &str) -> ResponseTemplate {
    let xml = format!(
        "<ErrorResponse xmlns=\"http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/\"><Error><Type>Sender</Type>\
         <Code>{code}</Code><Message>It is not as you think</Message></Error><RequestId>4d9d</RequestId></ErrorResponse>"
    );
    ResponseTemplate::new(400).set_body_raw(xml, "text/xml")
}

/// Answers in this order; the last one again and again.
struct InOrder {
    answers: Vec<ResponseTemplate>,
    asked: AtomicUsize,
}

impl Respond for InOrder {
    fn respond(&self, _: &Request) -> ResponseTemplate {
        let asked = self.asked.fetch_add(1, Ordering::Relaxed);
        self.answers[asked.min(self.answers.len() - 1)].clone()
    }
}

/// Serves an action that takes its time, and one that shows what it made: before that time is over, and after.
pub(crate) async fn serve_late(
    server: &MockServer,
    (make, made): (&str, ResponseTemplate),
    (show, before, after): (&str, ResponseTemplate, ResponseTemplate),
) {
    const TIME: Duration = Duration::from_millis(300);
    let asked: Arc<OnceLock<Instant>> = Arc::default();
    let since = Arc::clone(&asked);
    let making = move |_: &Request| {
        asked.get_or_init(Instant::now);
        made.clone().set_delay(TIME)
    };
    let showing = move |_: &Request| {
        let shown = since.get().is_some_and(|at| at.elapsed() >= TIME);
        if shown { after.clone() } else { before.clone() }
    };
    let of = |action: &str| Mock::given(method("POST")).and(body_string_contains(format!("Action={action}&")));
    of(make).respond_with(making).mount(server).await;
    of(show).respond_with(showing).mount(server).await;
}

/// Drops a call as soon as the action has been asked for.
pub(crate) async fn drop_once_asked<T>(server: &MockServer, action: &str, call: impl Future<Output = T>) {
    let asked = async {
        while forms(server, action).await.is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        _ = call => panic!("{action} was answered at once"),
        () = asked => {}
    }
}

/// Serves an action with these answers in order.
pub(crate) async fn serve(server: &MockServer, action: &str, answers: Vec<ResponseTemplate>) {
    let answers = InOrder { answers, asked: AtomicUsize::new(0) };
    let asks = body_string_contains(format!("Action={action}&"));
    Mock::given(method("POST")).and(asks).respond_with(answers).mount(server).await;
}

/// As [`launcher`], with a size that two zones have.
pub(crate) fn launcher_in_two_zones(server: &MockServer) -> Aws {
    let aws = launcher(server);
    for offer in aws.memory.lock().offers.values_mut() {
        offer.zones = ["us-east-1a", "us-east-1b"].map(str::to_owned).to_vec();
    }
    aws
}

/// Serves what a launch asks beside: the subnet and the group.
pub(crate) async fn serve_network(server: &MockServer) {
    let subnet = |id: &str, zone: &str| {
        format!(
            "<item><subnetId>{id}</subnetId><vpcId>vpc-0a1b2c3d</vpcId><availabilityZone>{zone}</availabilityZone></item>"
        )
    };
    let subnets = [subnet("subnet-0000000b", "us-east-1b"), subnet("subnet-0000000a", "us-east-1a")].concat();
    serve(server, "DescribeSubnets", vec![ec2("DescribeSubnets", &format!("<subnetSet>{subnets}</subnetSet>"))]).await;
    let group = "<securityGroupInfo><item><groupId>sg-0a1b2c3d</groupId><groupName>remint-22</groupName><ipPermissions>\
                 <item><ipProtocol>tcp</ipProtocol><fromPort>22</fromPort><toPort>22</toPort></item></ipPermissions>\
                 </item></securityGroupInfo>";
    serve(server, "DescribeSecurityGroups", vec![ec2("DescribeSecurityGroups", group)]).await;
}

/// The forms that were sent for an action, in order.
pub(crate) async fn forms(server: &MockServer, action: &str) -> Vec<String> {
    let wanted = format!("Action={action}&");
    let requests = server.received_requests().await.unwrap();
    let bodies = requests.iter().map(|request| String::from_utf8(request.body.clone()).unwrap());
    bodies.filter(|body| body.contains(&wanted)).collect()
}

/// The value of a form's field, as it was sent.
pub(crate) fn field(form: &str, name: &str) -> Option<String> {
    form.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}="))).map(str::to_owned)
}

/// The actions that were asked for, in order.
pub(crate) async fn actions(server: &MockServer) -> Vec<String> {
    let requests = server.received_requests().await.unwrap();
    let bodies = requests.iter().map(|request| String::from_utf8(request.body.clone()).unwrap());
    bodies.filter_map(|body| field(&body, "Action")).collect()
}
