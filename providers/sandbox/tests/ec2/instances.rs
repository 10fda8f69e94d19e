//! Instances: their launch, their states and what is refused.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::account::{Account, REGION};

#[tokio::test]
async fn an_instance_goes_through_its_states() {
    let account = Account::start().await;
    let image = account.debian(REGION).await;
    let user_data = STANDARD.encode("#cloud-config\n{}\n");
    let launched = account
        .call(
            "RunInstances",
            &[
                ("ImageId", &image),
                ("InstanceType", "t3.small"),
                ("MinCount", "1"),
                ("MaxCount", "2"),
                ("UserData", &user_data),
                ("TagSpecification.1.ResourceType", "instance"),
                ("TagSpecification.1.Tag.1.Key", "remint:role"),
                ("TagSpecification.1.Tag.1.Value", "a <b> & \"c\""),
                ("MetadataOptions.HttpTokens", "required"),
                ("NetworkInterface.1.DeviceIndex", "0"),
                ("NetworkInterface.1.AssociatePublicIpAddress", "true"),
            ],
        )
        .await
        .good();
    let ids = launched.all("instanceId");
    assert_eq!(ids.len(), 2);
    assert!(launched.text.contains("<code>0</code><name>pending</name>"), "{launched:?}");
    let [first, second] = &ids[..] else { panic!("{ids:?}") };
    let running = account.until(first, "running").await;
    assert!(running.text.contains("<code>16</code>"));
    assert!(running.get("ipAddress").unwrap().starts_with("127."), "{running:?}");
    assert_eq!(running.get("httpTokens").unwrap(), "required");
    assert!(running.text.contains("<value>a &lt;b&gt; &amp; &quot;c&quot;</value>"), "{running:?}");
    account.until(second, "running").await;

    let stopped = account.call("StopInstances", &[("InstanceId.1", first)]).await.good();
    assert!(stopped.get("currentState").unwrap().contains("<code>64</code>"), "{stopped:?}");
    assert!(stopped.get("previousState").unwrap().contains("running"));
    let off = account.until(first, "stopped").await;
    assert_eq!(off.get("ipAddress"), None, "a stopped instance has no public address");
    assert_eq!(account.call("RebootInstances", &[("InstanceId.1", first)]).await.code(), "IncorrectInstanceState");
    account.call("StopInstances", &[("InstanceId.1", first)]).await.good();
    account.call("StartInstances", &[("InstanceId.1", first)]).await.good();
    account.until(first, "running").await;
    account.call("RebootInstances", &[("InstanceId.1", first)]).await.good();
    account.call("StopInstances", &[("InstanceId.1", first), ("Force", "true")]).await.good();
    account.until(first, "stopped").await;

    let gone = account.call("TerminateInstances", &[("InstanceId.1", first), ("InstanceId.2", second)]).await.good();
    assert_eq!(gone.text.matches("<name>shutting-down</name>").count(), 2, "{gone:?}");
    let gone = account.until(first, "terminated").await;
    assert!(gone.text.contains("User initiated ("), "{gone:?}");
    assert_eq!(gone.get("volumeId"), None);
    account.until(second, "terminated").await;
    // Once more is a success; anything else is not.
    account.call("TerminateInstances", &[("InstanceId.1", first)]).await.good();
    for action in ["StartInstances", "StopInstances", "RebootInstances"] {
        assert_eq!(account.call(action, &[("InstanceId.1", first)]).await.code(), "IncorrectInstanceState", "{action}");
    }
}

#[tokio::test]
async fn a_client_token_gives_the_same_instance_again() {
    let account = Account::start().await;
    let image = account.debian(REGION).await;
    let launch = async |kind: &str, token: &str| {
        let parameters = [
            ("ImageId", image.as_str()),
            ("InstanceType", kind),
            ("MinCount", "1"),
            ("MaxCount", "1"),
            ("ClientToken", token),
        ];
        account.call("RunInstances", &parameters).await
    };
    let first = launch("t3.micro", "one").await.good().get("instanceId").unwrap();
    let again = launch("t3.micro", "one").await.good();
    assert_eq!(again.get("instanceId").unwrap(), first);
    assert_eq!(again.get("clientToken").unwrap(), "one");
    assert_eq!(launch("t3.small", "one").await.code(), "IdempotentParameterMismatch");
    assert_ne!(launch("t3.micro", "two").await.good().get("instanceId").unwrap(), first);
    assert_eq!(account.call("DescribeInstances", &[]).await.all("instanceId").len(), 2);
    // The token outlives the instance.
    account.call("TerminateInstances", &[("InstanceId.1", &first)]).await.good();
    account.until(&first, "terminated").await;
    assert_eq!(launch("t3.micro", "one").await.good().get("instanceId").unwrap(), first);
}

#[tokio::test]
async fn an_instance_can_be_terminated_while_it_is_pending() {
    let account = Account::start().await;
    let image = account.debian(REGION).await;
    let launched = account.call("RunInstances", &[("ImageId", &image), ("MinCount", "1"), ("MaxCount", "1")]).await;
    let id = launched.good().get("instanceId").unwrap();
    let ended = account.call("TerminateInstances", &[("InstanceId.1", &id)]).await.good();
    assert!(ended.get("currentState").unwrap().contains("shutting-down"), "{ended:?}");
    account.until(&id, "terminated").await;
}

#[tokio::test]
async fn a_launch_that_cannot_be_is_refused_and_makes_nothing() {
    let account = Account::start().await;
    let image = account.debian(REGION).await;
    let long = STANDARD.encode(vec![b'x'; 16 * 1024 + 1]);
    let count = [("MinCount", "1"), ("MaxCount", "1")];
    let known = [("ImageId", image.as_str()), count[0], count[1]];
    for (parameters, code) in [
        (vec![count[0], count[1]], "MissingParameter"),
        (vec![("ImageId", "ami-0123456789abcdef0"), count[0], count[1]], "InvalidAMIID.NotFound"),
        (vec![("ImageId", "debian"), count[0], count[1]], "InvalidAMIID.Malformed"),
        (vec![("ImageId", &image), ("MinCount", "2"), ("MaxCount", "1")], "InvalidParameterValue"),
        (vec![("ImageId", &image), ("MinCount", "100"), ("MaxCount", "100")], "InstanceLimitExceeded"),
        ([&known[..], &[("InstanceType", "x9.huge")]].concat(), "InvalidParameterValue"),
        ([&known[..], &[("KeyName", "missing")]].concat(), "InvalidKeyPair.NotFound"),
        ([&known[..], &[("SecurityGroupId.1", "sg-0123456789abcdef0")]].concat(), "InvalidGroup.NotFound"),
        ([&known[..], &[("SubnetId", "subnet-0123456789abcdef0")]].concat(), "InvalidSubnetID.NotFound"),
        ([&known[..], &[("Placement.AvailabilityZone", "us-west-2a")]].concat(), "InvalidParameterValue"),
        ([&known[..], &[("UserData", "%%%")]].concat(), "InvalidUserData.Malformed"),
        ([&known[..], &[("UserData", &long)]].concat(), "InvalidParameterValue"),
        (
            [&known[..], &[("TagSpecification.1.ResourceType", "image"), ("TagSpecification.1.Tag.1.Key", "k")]]
                .concat(),
            "InvalidParameterValue",
        ),
    ] {
        let refused = account.call("RunInstances", &parameters).await;
        assert_eq!(refused.code(), code, "{refused:?}");
    }
    assert_eq!(account.call("DescribeInstances", &[]).await.all("instanceId").len(), 0);
}

#[tokio::test]
async fn instances_are_found_by_id_tag_and_state_page_by_page() {
    let account = Account::start().await;
    let tag = |role: &'static str| {
        [
            ("TagSpecification.1.ResourceType", "instance"),
            ("TagSpecification.1.Tag.1.Key", "role"),
            ("TagSpecification.1.Tag.1.Value", role),
        ]
    };
    let mut all = Vec::new();
    for _ in 0..6 {
        all.push(account.instance(&tag("web")).await);
    }
    let other = account.instance(&tag("db")).await;
    let web = [("Filter.1.Name", "tag:role"), ("Filter.1.Value.1", "web")];
    assert_eq!(account.call("DescribeInstances", &web).await.all("instanceId"), all);
    let page = account.call("DescribeInstances", &[&web[..], &[("MaxResults", "5")]].concat()).await.good();
    let token = page.get("nextToken").unwrap();
    let next = [&web[..], &[("MaxResults", "5"), ("NextToken", token.as_str())]].concat();
    let rest = account.call("DescribeInstances", &next).await.good();
    assert_eq!([page.all("instanceId"), rest.all("instanceId")].concat(), all);
    assert_eq!(rest.get("nextToken"), None);
    account.call("StopInstances", &[("InstanceId.1", &other)]).await.good();
    account.until(&other, "stopped").await;
    let stopped = [("Filter.1.Name", "instance-state-name"), ("Filter.1.Value.1", "stopped")];
    assert_eq!(account.call("DescribeInstances", &stopped).await.all("instanceId"), std::slice::from_ref(&other));
    assert_eq!(account.call("DescribeInstanceStatus", &[]).await.all("instanceId").len(), 6);
    let both = [("InstanceId.1", other.as_str()), ("InstanceId.2", "i-0123456789abcdef0")];
    assert_eq!(account.call("DescribeInstances", &both).await.code(), "InvalidInstanceID.NotFound");
    assert_eq!(account.call("DescribeInstances", &[("InstanceId.1", "x")]).await.code(), "InvalidInstanceID.Malformed");
    let elsewhere = account.call_in("us-west-2", "DescribeInstances", &[("InstanceId.1", &other)]).await;
    assert_eq!(elsewhere.code(), "InvalidInstanceID.NotFound", "instances are regional");
}

#[tokio::test]
async fn attributes_and_the_console() {
    let account = Account::start().await;
    let id = account.instance(&[("InstanceInitiatedShutdownBehavior", "terminate")]).await;
    let attribute = [("InstanceId", id.as_str()), ("Attribute", "instanceInitiatedShutdownBehavior")];
    let described = account.call("DescribeInstanceAttribute", &attribute).await.good();
    assert_eq!(described.get("value").unwrap(), "terminate");
    let protect = [("InstanceId", id.as_str()), ("DisableApiTermination.Value", "true")];
    account.call("ModifyInstanceAttribute", &protect).await.good();
    assert_eq!(account.call("TerminateInstances", &[("InstanceId.1", &id)]).await.code(), "OperationNotPermitted");
    let kind = [("InstanceId", id.as_str()), ("InstanceType.Value", "t3.medium")];
    assert_eq!(account.call("ModifyInstanceAttribute", &kind).await.code(), "IncorrectInstanceState");
    account.call("StopInstances", &[("InstanceId.1", &id)]).await.good();
    account.until(&id, "stopped").await;
    account.call("ModifyInstanceAttribute", &kind).await.good();
    let small = account.call("DescribeInstances", &[("InstanceId.1", &id)]).await;
    assert_eq!(small.get("instanceType").unwrap(), "t3.medium");
    account.call("StartInstances", &[("InstanceId.1", &id)]).await.good();
    account.until(&id, "running").await;
    let console = account
        .wait("GetConsoleOutput", &[("InstanceId", &id)], |answer| {
            answer.get("output").is_some_and(|text| !text.is_empty())
        })
        .await;
    let output = STANDARD.decode(console.get("output").unwrap()).unwrap();
    assert!(String::from_utf8(output).unwrap().contains("Linux version"));
}
