use remint_core::provider::{ErrorKind, Instances, Labels, Selector, StaticIpSpec, StaticIps, label};
use tokio::time::Instant;
use wiremock::{MockServer, ResponseTemplate};

use crate::testing::{actions, drop_once_asked, ec2, forms, instance, instances, provider, refusal, serve, serve_late};

const INSTANCE: &str = "i-0123456789abcdef0";
const ADDRESS: &str = "eipalloc-0a1b2c3d";

fn spec() -> StaticIpSpec {
    StaticIpSpec {
        name: "app-production".into(),
        labels: Labels::new()
            .with(label::SERVICE, "app")
            .with(label::ENV_ID, "0a1b2c3d4e5f6071")
            .with(label::RELEASE, "7"),
        region: "us-east-1".into(),
        instance: INSTANCE.into(),
    }
}

fn addresses(instance: Option<&str>) -> ResponseTemplate {
    listed(&[address(ADDRESS, "app-production", "0a1b2c3d4e5f6071", instance)])
}

fn address(id: &str, name: &str, environment: &str, instance: Option<&str>) -> String {
    let assigned = instance
        .map_or(String::new(), |id| format!("<instanceId>{id}</instanceId><associationId>eipassoc-1</associationId>"));
    let tags = [("Name", name), (label::SERVICE, "app"), (label::ENV_ID, environment), (label::RELEASE, "6")];
    let tags = tags.map(|(key, value)| format!("<item><key>{key}</key><value>{value}</value></item>")).concat();
    format!(
        "<item><allocationId>{id}</allocationId><publicIp>198.51.100.7</publicIp>{assigned}<tagSet>{tags}</tagSet></item>"
    )
}

fn listed(items: &[String]) -> ResponseTemplate {
    ec2("DescribeAddresses", &format!("<addressesSet>{}</addressesSet>", items.concat()))
}

fn none() -> ResponseTemplate {
    ec2("DescribeAddresses", "<addressesSet/>")
}

async fn serve_instance(server: &MockServer, state: &str) {
    serve(server, "DescribeInstances", vec![instances(&[instance(INSTANCE, "app-7-0", state, "")])]).await;
}

#[tokio::test]
async fn an_address_whose_reply_is_lost_is_found_by_its_name() {
    let server = MockServer::start().await;
    serve_instance(&server, "running").await;
    serve(&server, "DescribeAddresses", vec![none(), none(), addresses(None)]).await;
    serve(&server, "AllocateAddress", vec![refusal(503, "Unavailable", "")]).await;
    serve(&server, "AssociateAddress", vec![ec2("AssociateAddress", "<associationId>eipassoc-1</associationId>")])
        .await;
    let made = provider(&server).ensure(&spec()).await.unwrap();
    assert_eq!((made.id.as_str(), made.assigned_to), (ADDRESS, Some(INSTANCE.into())));
    assert_eq!(forms(&server, "AllocateAddress").await.len(), 1);
    let form = forms(&server, "AssociateAddress").await.remove(0);
    assert!(form.contains("AllowReassociation=true"), "{form}");
}

#[tokio::test]
async fn an_address_that_is_being_made_for_a_dropped_call_is_the_one_of_the_next() {
    let server = MockServer::start().await;
    serve_instance(&server, "running").await;
    let made = ec2(
        "AllocateAddress",
        &format!("<publicIp>198.51.100.7</publicIp><domain>vpc</domain><allocationId>{ADDRESS}</allocationId>"),
    );
    serve_late(&server, ("AllocateAddress", made), ("DescribeAddresses", none(), addresses(None))).await;
    serve(&server, "AssociateAddress", vec![ec2("AssociateAddress", "<associationId>eipassoc-1</associationId>")])
        .await;
    let aws = provider(&server);
    drop_once_asked(&server, "AllocateAddress", aws.ensure(&spec())).await;
    assert_eq!(aws.ensure(&spec()).await.unwrap().id.as_str(), ADDRESS);
    assert_eq!(forms(&server, "AllocateAddress").await.len(), 1);
}

#[tokio::test]
async fn nothing_is_made_for_an_instance_that_cannot_take_it() {
    for (state, kind) in [("terminated", ErrorKind::NotFound), ("pending", ErrorKind::Busy)] {
        let server = MockServer::start().await;
        serve_instance(&server, state).await;
        serve(&server, "DescribeAddresses", vec![none()]).await;
        let error = provider(&server).ensure(&spec()).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{state}");
        assert_eq!(actions(&server).await, ["DescribeAddresses", "DescribeInstances"]);
    }
}

#[tokio::test]
async fn a_young_instance_that_is_not_known_everywhere_yet_gets_its_address_a_moment_later() {
    let server = MockServer::start().await;
    serve_instance(&server, "running").await;
    serve(&server, "DescribeAddresses", vec![addresses(None)]).await;
    let missing = || refusal(400, "InvalidInstanceID.NotFound", "The instance ID does not exist");
    let done = ec2("AssociateAddress", "<associationId>eipassoc-1</associationId>");
    serve(&server, "AssociateAddress", vec![missing(), missing(), done]).await;
    let aws = provider(&server);
    Instances::list(&aws, &Selector::all()).await.unwrap();
    let gone = aws.ensure(&spec()).await.unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::NotFound, "this process did not launch it");
    aws.memory.lock().instances.get_mut(INSTANCE).unwrap().at = Some(Instant::now());
    assert_eq!(aws.ensure(&spec()).await.unwrap().assigned_to, Some(INSTANCE.into()));
    assert_eq!(forms(&server, "AssociateAddress").await.len(), 3);
}

#[tokio::test]
async fn a_quota_is_told_with_its_number() {
    let server = MockServer::start().await;
    serve_instance(&server, "running").await;
    serve(&server, "DescribeAddresses", vec![none()]).await;
    let refused = refusal(400, "AddressLimitExceeded", "The maximum number of addresses has been reached.");
    serve(&server, "AllocateAddress", vec![refused]).await;
    let attribute = "<accountAttributeSet><item><attributeName>vpc-max-elastic-ips</attributeName><attributeValueSet>\
                     <item><attributeValue>5</attributeValue></item></attributeValueSet></item></accountAttributeSet>";
    serve(&server, "DescribeAccountAttributes", vec![ec2("DescribeAccountAttributes", attribute)]).await;
    let error = provider(&server).ensure(&spec()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Quota);
    assert!(error.message().contains("is 5 Elastic IPs"), "{error}");
}

#[tokio::test]
async fn an_address_that_points_somewhere_is_taken_away_before_it_is_released() {
    let server = MockServer::start().await;
    serve(&server, "DescribeAddresses", vec![addresses(Some(INSTANCE))]).await;
    for action in ["DisassociateAddress", "ReleaseAddress"] {
        serve(&server, action, vec![ec2(action, "<return>true</return>")]).await;
    }
    provider(&server).release(&ADDRESS.into()).await.unwrap();
    let changed: Vec<_> = actions(&server).await.into_iter().filter(|action| !action.starts_with("Describe")).collect();
    assert_eq!(changed, ["DisassociateAddress", "ReleaseAddress"]);
}

#[tokio::test]
async fn an_address_of_another_environment_is_not_taken_whatever_its_name() {
    let server = MockServer::start().await;
    serve_instance(&server, "running").await;
    let theirs = address("eipalloc-0000000a", "app-production", "ffffffffffffffff", Some("i-0ffffffffffffffff"));
    let unproven = address("eipalloc-0000000b", "app-production", "", None);
    serve(&server, "DescribeAddresses", vec![listed(&[theirs, unproven])]).await;
    let made = format!("<publicIp>198.51.100.8</publicIp><domain>vpc</domain><allocationId>{ADDRESS}</allocationId>");
    serve(&server, "AllocateAddress", vec![ec2("AllocateAddress", &made)]).await;
    serve(&server, "AssociateAddress", vec![ec2("AssociateAddress", "<associationId>eipassoc-1</associationId>")])
        .await;
    assert_eq!(provider(&server).ensure(&spec()).await.unwrap().id.as_str(), ADDRESS);
    assert_eq!(forms(&server, "AllocateAddress").await.len(), 1);
}

#[tokio::test]
async fn an_instance_that_has_somebody_elses_address_gets_no_other() {
    let server = MockServer::start().await;
    let theirs = address("eipalloc-0000000a", "other", "ffffffffffffffff", Some(INSTANCE));
    let ours = address(ADDRESS, "app-production", "0a1b2c3d4e5f6071", None);
    serve(&server, "DescribeAddresses", vec![listed(&[theirs, ours])]).await;
    let error = provider(&server).ensure(&spec()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    assert_eq!(actions(&server).await, ["DescribeAddresses"]);
}
