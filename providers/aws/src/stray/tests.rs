use remint_core::provider::{EnvironmentId, Error, ServiceId};
use wiremock::{MockServer, ResponseTemplate};

use super::*;
use crate::testing::{actions, ec2, elb, elb_refusal, image, images, provider, refusal, serve};

const SERVICE: (&str, &str) = (label::SERVICE_ID, "0a1b2c3d4e5f6071");
const ENVIRONMENT: (&str, &str) = (label::ENV_ID, "1b2c3d4e5f60710a");
const SNAPSHOT: &str = "snap-0a1b2c3d";
const GROUP: &str = "sg-0a1b2c3d";

fn owner() -> Owner {
    Owner { service: ServiceId::from(SERVICE.1), environment: Some(EnvironmentId::from(ENVIRONMENT.1)) }
}

fn tags(tags: &[(&str, &str)]) -> String {
    let item = |(key, value): &(&str, &str)| format!("<item><key>{key}</key><value>{value}</value></item>");
    format!("<tagSet>{}</tagSet>", tags.iter().map(item).collect::<String>())
}

fn snapshot(id: &str, description: &str, of: (&str, &str)) -> String {
    format!(
        "<item><snapshotId>{id}</snapshotId><status>completed</status><startTime>2026-11-28T08:00:00.000Z</startTime>\
         <description>{description}</description>{}</item>",
        tags(&[of])
    )
}

fn snapshots(items: &[String]) -> ResponseTemplate {
    ec2("DescribeSnapshots", &format!("<snapshotSet>{}</snapshotSet>", items.concat()))
}

fn group(of: (&str, &str)) -> ResponseTemplate {
    let item = format!("<item><groupId>{GROUP}</groupId><groupName>remint-x-22</groupName>{}</item>", tags(&[of]));
    ec2("DescribeSecurityGroups", &format!("<securityGroupInfo>{item}</securityGroupInfo>"))
}

fn no_group() -> ResponseTemplate {
    ec2("DescribeSecurityGroups", "<securityGroupInfo/>")
}

fn interfaces(used: bool) -> ResponseTemplate {
    let item = if used { "<item><networkInterfaceId>eni-0a1b2c3d</networkInterfaceId></item>" } else { "" };
    ec2("DescribeNetworkInterfaces", &format!("<networkInterfaceSet>{item}</networkInterfaceSet>"))
}

fn stray(kind: StrayKind, id: &str) -> Stray {
    let region = Region::from("us-east-1");
    super::stray(kind, id, None, &region, "")
}

const TARGETS: &str = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/remint-1b2c-80/73e2d6bc24d8a067";
const USED: &str = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/remint-1b2c-81/73e2d6bc24d8a067";
const THEIRS: &str = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/web/73e2d6bc24d8a067";

/// Target groups, each with whether a load balancer leads to it.
fn target_groups(all: &[(&str, bool)]) -> ResponseTemplate {
    let one = |(arn, used): &(&str, bool)| {
        let name = arn.split('/').nth(1).unwrap();
        let used = if *used { "<member>a-load-balancer</member>" } else { "" };
        format!(
            "<member><TargetGroupArn>{arn}</TargetGroupArn><TargetGroupName>{name}</TargetGroupName>\
             <LoadBalancerArns>{used}</LoadBalancerArns></member>"
        )
    };
    let all = all.iter().map(one).collect::<String>();
    elb("DescribeTargetGroups", &format!("<TargetGroups>{all}</TargetGroups>"))
}

fn target_group_tags(of: (&str, &str)) -> ResponseTemplate {
    let tag = format!("<member><Key>{}</Key><Value>{}</Value></member>", of.0, of.1);
    let one = format!("<member><ResourceArn>{TARGETS}</ResourceArn><Tags>{tag}</Tags></member>");
    elb("DescribeTags", &format!("<TagDescriptions>{one}</TagDescriptions>"))
}

async fn list(server: &MockServer) -> Vec<(StrayKind, String)> {
    // Those that a test serves itself come first.
    serve(server, "DescribeTargetGroups", vec![target_groups(&[])]).await;
    let found = Strays::list(&provider(server), &owner()).await.unwrap();
    found.into_iter().map(|stray| (stray.kind, stray.id.to_string())).collect()
}

async fn remove(server: &MockServer, stray: &Stray) -> Result<(), Error> {
    Strays::remove(&provider(server), &owner(), stray).await
}

#[tokio::test]
async fn a_snapshot_is_a_stray_once_no_image_is_made_of_it() {
    let server = MockServer::start().await;
    let left = snapshot("snap-00000001", "Created by CreateImage(i-0a1b2c3d) for ami-00000009", SERVICE);
    let used = snapshot("snap-00000002", "", SERVICE);
    // The AMI is being made, and does not say yet what of.
    let coming = snapshot("snap-00000003", "Created by CreateImage(i-0a1b2c3d) for ami-00000003", SERVICE);
    serve(&server, "DescribeSnapshots", vec![snapshots(&[left, used, coming])]).await;
    let (none, ours) = (images(&[]), image("ami-00000002", "available", "snap-00000002", &[SERVICE]));
    let pending = image("ami-00000003", "pending", "", &[SERVICE]);
    let answers = vec![images(&[ours]), none.clone(), none.clone(), images(&[pending])];
    serve(&server, "DescribeImages", answers).await;
    serve(&server, "DescribeSecurityGroups", vec![no_group()]).await;
    assert_eq!(list(&server).await, [(StrayKind::Snapshot, "snap-00000001".to_owned())]);
}

#[tokio::test]
async fn a_copy_is_a_stray_once_its_original_is_gone() {
    let copy = [SERVICE, (tags::SOURCE, "ami-00000009"), (tags::SOURCE_REGION, "eu-central-1")];
    for there in [false, true] {
        let server = MockServer::start().await;
        let original = image("ami-00000009", "available", "snap-00000009", &[SERVICE]);
        let original = if there { images(&[original]) } else { images(&[]) };
        serve(&server, "DescribeSnapshots", vec![snapshots(&[])]).await;
        let copies = images(&[image("ami-00000001", "available", "snap-00000001", &copy)]);
        serve(&server, "DescribeImages", vec![copies, original]).await;
        serve(&server, "DescribeSecurityGroups", vec![no_group()]).await;
        let wanted = if there { vec![] } else { vec![(StrayKind::Image, "ami-00000001".to_owned())] };
        assert_eq!(list(&server).await, wanted);
    }
}

#[tokio::test]
async fn a_group_is_a_stray_once_nothing_is_in_it() {
    for used in [false, true] {
        let server = MockServer::start().await;
        serve(&server, "DescribeSnapshots", vec![snapshots(&[])]).await;
        serve(&server, "DescribeImages", vec![images(&[])]).await;
        serve(&server, "DescribeSecurityGroups", vec![group(ENVIRONMENT)]).await;
        serve(&server, "DescribeNetworkInterfaces", vec![interfaces(used)]).await;
        let wanted = if used { vec![] } else { vec![(StrayKind::SecurityGroup, GROUP.to_owned())] };
        assert_eq!(list(&server).await, wanted);
    }
}

#[tokio::test]
async fn what_is_used_or_anothers_by_now_is_not_removed() {
    let other = (label::ENV_ID, "ffffffffffffffff");
    for (of, used, removed) in [(ENVIRONMENT, false, true), (ENVIRONMENT, true, false), (other, false, false)] {
        let server = MockServer::start().await;
        serve(&server, "DescribeSecurityGroups", vec![group(of)]).await;
        serve(&server, "DescribeNetworkInterfaces", vec![interfaces(used)]).await;
        serve(&server, "DeleteSecurityGroup", vec![ec2("DeleteSecurityGroup", "<return>true</return>")]).await;
        let result = remove(&server, &stray(StrayKind::SecurityGroup, GROUP)).await;
        assert_eq!(result.err().map(|error| error.kind()), (!removed).then_some(ErrorKind::Conflict), "{of:?} {used}");
        assert_eq!(actions(&server).await.contains(&"DeleteSecurityGroup".to_owned()), removed);
    }
    let other = (label::SERVICE_ID, "ffffffffffffffff");
    let ami = image("ami-00000001", "available", SNAPSHOT, &[]);
    for (of, made, removed) in [(SERVICE, vec![], true), (SERVICE, vec![ami], false), (other, vec![], false)] {
        let server = MockServer::start().await;
        serve(&server, "DescribeSnapshots", vec![snapshots(&[snapshot(SNAPSHOT, "", of)])]).await;
        serve(&server, "DescribeImages", vec![images(&made)]).await;
        serve(&server, "DeleteSnapshot", vec![ec2("DeleteSnapshot", "<return>true</return>")]).await;
        let result = remove(&server, &stray(StrayKind::Snapshot, SNAPSHOT)).await;
        assert_eq!(result.err().map(|error| error.kind()), (!removed).then_some(ErrorKind::Conflict), "{of:?}");
        assert_eq!(actions(&server).await.contains(&"DeleteSnapshot".to_owned()), removed);
    }
}

#[tokio::test]
async fn what_is_gone_is_removed_and_what_ec2_keeps_is_in_use() {
    let server = MockServer::start().await;
    serve(&server, "DescribeSecurityGroups", vec![refusal(400, "InvalidGroup.NotFound", "")]).await;
    serve(&server, "DescribeSnapshots", vec![refusal(400, "InvalidSnapshot.NotFound", "")]).await;
    remove(&server, &stray(StrayKind::SecurityGroup, GROUP)).await.unwrap();
    remove(&server, &stray(StrayKind::Snapshot, SNAPSHOT)).await.unwrap();

    let server = MockServer::start().await;
    serve(&server, "DescribeSecurityGroups", vec![group(ENVIRONMENT)]).await;
    serve(&server, "DescribeNetworkInterfaces", vec![interfaces(false)]).await;
    serve(&server, "DeleteSecurityGroup", vec![refusal(400, "DependencyViolation", "has a dependent object")]).await;
    let error = remove(&server, &stray(StrayKind::SecurityGroup, GROUP)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
}

#[tokio::test]
async fn a_target_group_is_a_stray_once_no_load_balancer_leads_to_it() {
    for (of, ours) in [(ENVIRONMENT, true), ((label::ENV_ID, "ffffffffffffffff"), false)] {
        let server = MockServer::start().await;
        serve(&server, "DescribeSnapshots", vec![snapshots(&[])]).await;
        serve(&server, "DescribeImages", vec![images(&[])]).await;
        serve(&server, "DescribeSecurityGroups", vec![no_group()]).await;
        let all = target_groups(&[(TARGETS, false), (USED, true), (THEIRS, false)]);
        serve(&server, "DescribeTargetGroups", vec![all]).await;
        serve(&server, "DescribeTags", vec![target_group_tags(of)]).await;
        let wanted = if ours { vec![(StrayKind::TargetGroup, TARGETS.to_owned())] } else { vec![] };
        assert_eq!(list(&server).await, wanted);
    }
}

#[tokio::test]
async fn a_target_group_is_removed_only_where_it_is_ours_and_unused() {
    let other = (label::ENV_ID, "ffffffffffffffff");
    for (of, used, removed) in [(ENVIRONMENT, false, true), (ENVIRONMENT, true, false), (other, false, false)] {
        let server = MockServer::start().await;
        serve(&server, "DescribeTargetGroups", vec![target_groups(&[(TARGETS, used)])]).await;
        serve(&server, "DescribeTags", vec![target_group_tags(of)]).await;
        serve(&server, "DeleteTargetGroup", vec![elb("DeleteTargetGroup", "")]).await;
        let result = remove(&server, &stray(StrayKind::TargetGroup, TARGETS)).await;
        assert_eq!(result.err().map(|error| error.kind()), (!removed).then_some(ErrorKind::Conflict), "{of:?} {used}");
        assert_eq!(actions(&server).await.contains(&"DeleteTargetGroup".to_owned()), removed);
    }
    let server = MockServer::start().await;
    serve(&server, "DescribeTargetGroups", vec![elb_refusal("TargetGroupNotFound")]).await;
    remove(&server, &stray(StrayKind::TargetGroup, TARGETS)).await.unwrap();
    let error = remove(&server, &stray(StrayKind::TargetGroup, "../account")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn the_group_of_a_load_balancer_without_interfaces_is_in_use() {
    for there in [true, false] {
        let server = MockServer::start().await;
        serve(&server, "DescribeSnapshots", vec![snapshots(&[])]).await;
        serve(&server, "DescribeImages", vec![images(&[])]).await;
        let item = format!(
            "<item><groupId>{GROUP}</groupId><groupName>remint-lb-1b2c</groupName>{}</item>",
            tags(&[ENVIRONMENT])
        );
        let group = ec2("DescribeSecurityGroups", &format!("<securityGroupInfo>{item}</securityGroupInfo>"));
        serve(&server, "DescribeSecurityGroups", vec![group]).await;
        let balancer =
            "<LoadBalancers><member><LoadBalancerName>remint-1b2c</LoadBalancerName></member></LoadBalancers>";
        let shown = if there { elb("DescribeLoadBalancers", balancer) } else { elb_refusal("LoadBalancerNotFound") };
        serve(&server, "DescribeLoadBalancers", vec![shown]).await;
        serve(&server, "DescribeNetworkInterfaces", vec![interfaces(false)]).await;
        let wanted = if there { vec![] } else { vec![(StrayKind::SecurityGroup, GROUP.to_owned())] };
        assert_eq!(list(&server).await, wanted);
    }
}
