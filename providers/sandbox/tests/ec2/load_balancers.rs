//! What load balancers do to connections, and how the API shows it. `.ci/setup test` installs HAProxy.

use std::time::{Duration, Instant};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use remint_sandbox::{
    cloud::Profile,
    embedded::Options,
    faults::{Fault, FaultRule},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::account::{Account, Answer};

/// A load balancer with one listener, and its target group.
struct Front {
    account: Account,
    group: String,
    balancer: String,
    /// Where its listener on port 80 is.
    at: (String, u16),
}

impl Front {
    /// One that is active.
    async fn start(options: Options, kind: &str, check: &[(&str, &str)]) -> Self {
        let account = Account::start_with(options).await;
        let subnets = account.call("DescribeSubnets", &[]).await.good();
        let (vpc, subnets) = (subnets.get("vpcId").unwrap(), subnets.all("subnetId"));
        let parameters = [
            ("Name", "front"),
            ("Type", kind),
            ("Subnets.member.1", subnets[0].as_str()),
            ("Subnets.member.2", subnets[1].as_str()),
        ];
        let made = account.balancing("CreateLoadBalancer", &parameters).await.good();
        assert_eq!(made.get("Code").unwrap(), "provisioning");
        let balancer = made.get("LoadBalancerArn").unwrap();
        let protocol = if kind == "network" { "TCP" } else { "HTTP" };
        let mut parameters = vec![("Name", "web"), ("Protocol", protocol), ("Port", "8080"), ("VpcId", vpc.as_str())];
        parameters.extend(check);
        let group = account.balancing("CreateTargetGroup", &parameters).await.good().get("TargetGroupArn").unwrap();
        let parameters = [
            ("LoadBalancerArn", balancer.as_str()),
            ("Protocol", protocol),
            ("Port", "80"),
            ("DefaultActions.member.1.Type", "forward"),
            ("DefaultActions.member.1.TargetGroupArn", group.as_str()),
        ];
        account.balancing("CreateListener", &parameters).await.good();
        let front = Self { account, group, balancer, at: (String::new(), 0) };
        front.until("DescribeLoadBalancers", &[], |answer| answer.get("Code").as_deref() == Some("active")).await;
        let nics = front.account.call("DescribeNetworkInterfaces", &[]).await.good();
        let port = front.account.sandbox.ports().resolve(80);
        Self { at: (nics.get("publicIp").unwrap(), port), ..front }
    }

    async fn until(&self, action: &str, parameters: &[(&str, &str)], wanted: impl Fn(&Answer) -> bool) -> Answer {
        let mut last = None;
        for _ in 0..3000 {
            let answer = self.account.balancing(action, parameters).await;
            if wanted(&answer) {
                return answer;
            }
            last = Some(answer);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{action} {parameters:?} never was as wanted, at last {last:?}");
    }

    /// A running instance with this `/etc/simulation.toml`, which is no target yet.
    async fn instance(&self, simulation: &str) -> String {
        let lines: String = simulation.lines().map(|line| format!("    {line}\n")).collect();
        let data = format!("#cloud-config\nwrite_files:\n- path: /etc/simulation.toml\n  content: |\n{lines}");
        let data = STANDARD.encode(data);
        self.account.instance(&[("InstanceType", "t3.small"), ("UserData", &data)]).await
    }

    async fn targets(&self, action: &str, id: &str) {
        let parameters = [("TargetGroupArn", self.group.as_str()), ("Targets.member.1.Id", id)];
        self.account.balancing(action, &parameters).await.good();
    }

    /// What is made of the targets: of each its state, and the reason where there is one.
    async fn health(&self) -> Vec<String> {
        let answer = self.account.balancing("DescribeTargetHealth", &[("TargetGroupArn", &self.group)]).await.good();
        let both = |health: String| health.replace("<State>", "").replace("</State>", " ").replace("<Reason>", "");
        let first = |health: String| health.split("</Reason>").next().unwrap().trim_end().to_owned();
        answer.all("TargetHealth").into_iter().map(both).map(first).collect()
    }

    async fn until_health(&self, wanted: &[&str]) {
        let mut last = Vec::new();
        for _ in 0..3000 {
            last = self.health().await;
            if last == wanted {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the health never was {wanted:?}, at last {last:?}");
    }

    /// The answer to a request on a new connection, without its heading; `None` where there is none.
    async fn ask(&self) -> Option<String> {
        let mut stream = TcpStream::connect(&self.at).await.ok()?;
        stream.write_all(b"GET / HTTP/1.1\r\nhost: front\r\nconnection: close\r\n\r\n").await.ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await.ok()?;
        Some(text.split_once("\r\n\r\n")?.1.to_owned())
    }
}

fn instant() -> Options {
    Options::default()
}

const WEB: &str = "[[http]]\nport = 8080\nbody = \"web\"\n";
const HEALTHY: &str = "healthy";
const DRAINING: &str = "draining Target.DeregistrationInProgress";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_drains_until_its_connection_ends_or_its_time_is_over() {
    let front = Front::start(instant(), "network", &[("HealthyThresholdCount", "2")]).await;
    let id = front.instance(WEB).await;
    front.targets("RegisterTargets", &id).await;
    front.until_health(&[HEALTHY]).await;
    assert_eq!(front.ask().await.as_deref(), Some("web"));
    let hold = async || {
        let mut stream = TcpStream::connect(&front.at).await.unwrap();
        // A first request is answered, so the connection is there; the second one has no end.
        stream.write_all(b"GET / HTTP/1.1\r\nhost: front\r\n\r\n").await.unwrap();
        assert!(stream.read(&mut [0; 1024]).await.unwrap() > 0);
        stream.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        stream
    };
    let held = hold().await;
    front.targets("DeregisterTargets", &id).await;
    front.until_health(&[DRAINING]).await;
    drop(held);
    front.until_health(&[]).await;
    assert_eq!(front.ask().await, None);

    let delay = [
        ("TargetGroupArn", front.group.as_str()),
        ("Attributes.member.1.Key", "deregistration_delay.timeout_seconds"),
        ("Attributes.member.1.Value", "1"),
    ];
    front.account.balancing("ModifyTargetGroupAttributes", &delay).await.good();
    front.targets("RegisterTargets", &id).await;
    front.until_health(&[HEALTHY]).await;
    // Its connections go on when its time is over, unless they are to be cut.
    let mut held = hold().await;
    front.targets("DeregisterTargets", &id).await;
    front.until_health(&[DRAINING]).await;
    front.until_health(&[]).await;
    held.write_all(b"host: front\r\n\r\n").await.unwrap();
    assert!(held.read(&mut [0; 1024]).await.unwrap() > 0);
    drop(held);
    let cuts = [
        ("TargetGroupArn", front.group.as_str()),
        ("Attributes.member.1.Key", "deregistration_delay.connection_termination.enabled"),
        ("Attributes.member.1.Value", "true"),
    ];
    front.account.balancing("ModifyTargetGroupAttributes", &cuts).await.good();
    front.targets("RegisterTargets", &id).await;
    front.until_health(&[HEALTHY]).await;
    let mut held = hold().await;
    front.targets("DeregisterTargets", &id).await;
    let mut rest = Vec::new();
    let read = held.read_to_end(&mut rest);
    assert!(tokio::time::timeout(Duration::from_secs(20), read).await.is_ok(), "the connection is cut");
    front.until_health(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_whose_targets_all_fail_uses_them_all_the_same() {
    let check = [("HealthCheckPath", "/health"), ("HealthCheckIntervalSeconds", "10")];
    let front = Front::start(instant(), "application", &check).await;
    let failing = format!("[[http]]\nport = 8080\npath = \"/health\"\nstatus = 503\n\n{WEB}");
    let id = front.instance(&failing).await;
    front.targets("RegisterTargets", &id).await;
    front.until_health(&["unhealthy Target.FailedHealthChecks"]).await;
    assert_eq!(front.ask().await.as_deref(), Some("web"));
    let good = front.instance("[[http]]\nport = 8080\nbody = \"good\"\n").await;
    front.targets("RegisterTargets", &good).await;
    let both = async || {
        let mut health = front.health().await;
        health.sort();
        health
    };
    while both().await != [HEALTHY, "unhealthy Target.FailedHealthChecks"] {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for _ in 0..10 {
        assert_eq!(front.ask().await.as_deref(), Some("good"));
    }
    front.account.call("StopInstances", &[("InstanceId.1", &good)]).await.good();
    front.account.until(&good, "stopped").await;
    assert!(both().await.contains(&"unused Target.InvalidState".to_owned()), "{:?}", both().await);
}

/// It takes the minutes of AWS, sixty times as fast.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_load_balancer_is_late_at_both_ends() {
    let options = Options { profile: Profile::Realistic, speed: 60.0, ..Options::default() };
    let front = Front::start(options, "network", &[("HealthyThresholdCount", "2")]).await;
    let id = front.instance(WEB).await;
    let joined = Instant::now();
    front.targets("RegisterTargets", &id).await;
    assert_eq!(front.health().await, ["initial Elb.RegistrationInProgress"]);
    front.until_health(&[HEALTHY]).await;
    assert!(joined.elapsed() > Duration::from_secs(90) / 60, "{:?}", joined.elapsed());
    let left = Instant::now();
    front.targets("DeregisterTargets", &id).await;
    assert_eq!(front.health().await, [DRAINING], "it is shown at once");
    assert_eq!(front.ask().await.as_deref(), Some("web"), "it still gets new connections");
    while front.ask().await.is_some() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(left.elapsed() > Duration::from_secs(60) / 60, "{:?}", left.elapsed());
    assert_eq!(front.health().await, [DRAINING]);
    // The delay is 300 seconds by default.
    front.until_health(&[]).await;
    assert!(left.elapsed() > Duration::from_secs(300) / 60, "{:?}", left.elapsed());
}

#[tokio::test]
async fn refusals_are_in_the_words_of_the_service() {
    let front = Front::start(instant(), "application", &[]).await;
    let account = &front.account;
    for (action, parameters, code) in [
        ("CreateTargetGroup", vec![("Name", "a_b"), ("Protocol", "HTTP"), ("Port", "80")], "ValidationError"),
        ("DeleteTargetGroup", vec![("TargetGroupArn", front.group.as_str())], "ResourceInUse"),
        ("DescribeTargetHealth", vec![], "ValidationError"),
        ("DescribeTargetHealth", vec![("TargetGroupArn", "x")], "TargetGroupNotFound"),
        ("DescribeListeners", vec![("LoadBalancerArn", "x")], "LoadBalancerNotFound"),
        ("DescribeLoadBalancers", vec![("PageSize", "0")], "ValidationError"),
        ("CreateRule", vec![], "InvalidAction"),
        ("", vec![], "MissingAction"),
    ] {
        let refused = account.balancing(action, &parameters).await;
        assert_eq!((refused.status, refused.code().as_str()), (400, code), "{action} {parameters:?}");
        assert!(
            refused.text.contains("<ErrorResponse xmlns=\"http://elasticloadbalancing.amazonaws.com/"),
            "{refused:?}"
        );
    }
    let rule = FaultRule {
        action: Some("DescribeLoadBalancers".to_owned()),
        ..FaultRule::new("POST", "/", Fault::RateLimited)
    };
    account.sandbox.add_fault(rule).unwrap();
    assert_eq!(account.balancing("DescribeLoadBalancers", &[]).await.code(), "Throttling");
    // One of another region is not there.
    let other = format!("Action=DescribeLoadBalancers&Version=2015-12-01&LoadBalancerArns.member.1={}", front.balancer);
    let sent = account.query("elasticloadbalancing", "us-west-2", other);
    assert_eq!(account.send(sent).await.code(), "LoadBalancerNotFound");
}

#[tokio::test]
async fn one_that_is_deleted_while_it_is_created_goes_and_frees_its_name() {
    let options = Options { profile: Profile::Realistic, speed: 100.0, ..Options::default() };
    let account = Account::start_with(options).await;
    let subnets = account.call("DescribeSubnets", &[]).await.good().all("subnetId");
    let group = account.call("CreateSecurityGroup", &[("GroupName", "g"), ("GroupDescription", "g")]).await.good();
    let group = group.get("groupId").unwrap();
    let network = [("Name", "front"), ("Type", "network"), ("Subnets.member.1", subnets[0].as_str())];
    let parameters = [network.as_slice(), &[("SecurityGroups.member.1", group.as_str())]].concat();
    let made = account.balancing("CreateLoadBalancer", &parameters).await.good().get("LoadBalancerArn").unwrap();
    account.balancing("DeleteLoadBalancer", &[("LoadBalancerArn", &made)]).await.good();
    assert_eq!(account.balancing("DescribeLoadBalancers", &[]).await.good().all("LoadBalancerArn").len(), 0);
    let again = account.balancing("CreateLoadBalancer", &network).await.good().get("LoadBalancerArn").unwrap();
    assert_ne!(again, made);
    let delete = [("GroupId", group.as_str())];
    assert_eq!(account.call("DeleteSecurityGroup", &delete).await.code(), "DependencyViolation");
    account.wait("DeleteSecurityGroup", &delete, |answer| answer.status == 200).await;
}

#[tokio::test]
async fn one_that_could_not_be_created_has_failed_and_can_be_deleted() {
    let account = Account::start().await;
    let subnets = account.call("DescribeSubnets", &[]).await.good().all("subnetId");
    let network = [("Name", "front"), ("Type", "network"), ("Subnets.member.1", subnets[0].as_str())];
    let doomed = FaultRule {
        action: Some("CreateLoadBalancer".to_owned()),
        ..FaultRule::new("POST", "/", Fault::ActionErrored)
    };
    account.sandbox.add_fault(doomed).unwrap();
    let made = account.balancing("CreateLoadBalancer", &network).await.good().get("LoadBalancerArn").unwrap();
    let mut code = None;
    for _ in 0..1000 {
        code = account.balancing("DescribeLoadBalancers", &[]).await.good().get("Code");
        if code.as_deref() != Some("provisioning") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(code.as_deref(), Some("failed"));
    assert_eq!(account.call("DescribeNetworkInterfaces", &[]).await.good().all("publicIp"), Vec::<String>::new());
    account.balancing("DeleteLoadBalancer", &[("LoadBalancerArn", &made)]).await.good();
    let gone = account.balancing("DescribeLoadBalancers", &[("LoadBalancerArns.member.1", &made)]).await;
    assert_eq!(gone.code(), "LoadBalancerNotFound");
}
