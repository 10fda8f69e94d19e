//! Tags, keys, security groups, parameters, and what is on offer.

use super::account::{Account, REGION};

#[tokio::test]
async fn tags_come_and_go_on_every_kind_of_resource() {
    let account = Account::start().await;
    let id = account.instance(&[]).await;
    let described = account.call("DescribeInstances", &[("InstanceId.1", &id)]).await;
    let volume = described.get("volumeId").unwrap();
    let put = [
        ("ResourceId.1", id.as_str()),
        ("ResourceId.2", volume.as_str()),
        ("Tag.1.Key", "k"),
        ("Tag.1.Value", "v"),
        ("Tag.2.Key", "empty"),
        ("Tag.2.Value", ""),
    ];
    account.call("CreateTags", &put).await.good();
    let all = account.call("DescribeTags", &[("Filter.1.Name", "key"), ("Filter.1.Value.1", "k")]).await.good();
    let mut found = all.all("resourceId");
    found.sort();
    let mut expected = vec![id.clone(), volume];
    expected.sort();
    assert_eq!(found, expected);
    let wrong = [("ResourceId.1", id.as_str()), ("Tag.1.Key", "k"), ("Tag.1.Value", "other")];
    account.call("DeleteTags", &wrong).await.good();
    let here = [("Filter.1.Name", "resource-id"), ("Filter.1.Value.1", id.as_str())];
    assert_eq!(account.call("DescribeTags", &here).await.all("key"), ["empty", "k"]);
    account.call("DeleteTags", &[("ResourceId.1", id.as_str()), ("Tag.1.Key", "k")]).await.good();
    assert_eq!(account.call("DescribeTags", &here).await.all("key"), ["empty"]);
    let long = "x".repeat(257);
    for (key, value, code) in [("aws:x", "", "InvalidParameterValue"), ("k", &long, "InvalidParameterValue")] {
        let refused = [("ResourceId.1", id.as_str()), ("Tag.1.Key", key), ("Tag.1.Value", value)];
        assert_eq!(account.call("CreateTags", &refused).await.code(), code);
    }
    let nothing = [("ResourceId.1", "i-0123456789abcdef0"), ("Tag.1.Key", "k"), ("Tag.1.Value", "v")];
    assert_eq!(account.call("CreateTags", &nothing).await.code(), "InvalidInstanceID.NotFound");
    let keys: Vec<String> = (0..51).map(|number| format!("Tag.{}.Key", number + 1)).collect();
    let names: Vec<String> = (0..51).map(|number| format!("key-{number}")).collect();
    let mut many = vec![("ResourceId.1", id.as_str())];
    many.extend(keys.iter().map(String::as_str).zip(names.iter().map(String::as_str)));
    assert_eq!(account.call("CreateTags", &many).await.code(), "TagLimitExceeded");
}

#[tokio::test]
async fn key_pairs_are_made_imported_and_deleted() {
    let account = Account::start().await;
    let made = account.call("CreateKeyPair", &[("KeyName", "one"), ("KeyType", "ed25519")]).await.good();
    let private = made.get("keyMaterial").unwrap();
    let key = russh::keys::PrivateKey::from_openssh(&private).unwrap();
    let described = account.call("DescribeKeyPairs", &[("IncludePublicKey", "true")]).await.good();
    assert_eq!(described.get("publicKey").unwrap(), key.public_key().to_openssh().unwrap());
    assert_eq!(account.call("CreateKeyPair", &[("KeyName", "one")]).await.code(), "InvalidKeyPair.Duplicate");
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let material = STANDARD.encode(key.public_key().to_openssh().unwrap());
    account.call("ImportKeyPair", &[("KeyName", "two"), ("PublicKeyMaterial", &material)]).await.good();
    let bad = STANDARD.encode("no key");
    let refused = account.call("ImportKeyPair", &[("KeyName", "x"), ("PublicKeyMaterial", &bad)]).await;
    assert_eq!(refused.code(), "InvalidKey.Format");
    account.call("DeleteKeyPair", &[("KeyName", "one")]).await.good();
    account.call("DeleteKeyPair", &[("KeyName", "one")]).await.good();
    assert_eq!(account.call("DescribeKeyPairs", &[]).await.all("keyName"), ["two"]);
    assert_eq!(account.call("DescribeKeyPairs", &[("KeyName.1", "one")]).await.code(), "InvalidKeyPair.NotFound");
}

#[tokio::test]
async fn security_groups_keep_their_rules_and_are_not_deleted_in_use() {
    let account = Account::start().await;
    let new = [("GroupName", "web"), ("GroupDescription", "for the web")];
    let group = account.call("CreateSecurityGroup", &new).await.good().get("groupId").unwrap();
    assert_eq!(account.call("CreateSecurityGroup", &new).await.code(), "InvalidGroup.Duplicate");
    let rule = [
        ("GroupId", group.as_str()),
        ("IpPermissions.1.IpProtocol", "tcp"),
        ("IpPermissions.1.FromPort", "80"),
        ("IpPermissions.1.ToPort", "80"),
        ("IpPermissions.1.IpRanges.1.CidrIp", "0.0.0.0/0"),
        ("IpPermissions.1.IpRanges.1.Description", "all"),
    ];
    account.call("AuthorizeSecurityGroupIngress", &rule).await.good();
    assert_eq!(account.call("AuthorizeSecurityGroupIngress", &rule).await.code(), "InvalidPermission.Duplicate");
    let described = account.call("DescribeSecurityGroups", &[("GroupId.1", &group)]).await.good();
    assert_eq!(
        (described.get("fromPort").unwrap(), described.get("cidrIp").unwrap()),
        ("80".into(), "0.0.0.0/0".into())
    );
    let id = account.instance(&[("SecurityGroupId.1", &group)]).await;
    assert_eq!(account.call("DeleteSecurityGroup", &[("GroupId", &group)]).await.code(), "DependencyViolation");
    account.call("RevokeSecurityGroupIngress", &rule).await.good();
    assert_eq!(account.call("RevokeSecurityGroupIngress", &rule).await.code(), "InvalidPermission.NotFound");
    account.call("TerminateInstances", &[("InstanceId.1", &id)]).await.good();
    account.until(&id, "terminated").await;
    account.call("DeleteSecurityGroup", &[("GroupId", &group)]).await.good();
    assert_eq!(account.call("DescribeSecurityGroups", &[]).await.all("groupName"), ["default"]);
}

#[tokio::test]
async fn parameters_are_kept_by_name() {
    let account = Account::start().await;
    let put = |value: &str, overwrite: bool| {
        format!(r#"{{"Name":"/remint/marker","Value":"{value}","Type":"String","Overwrite":{overwrite}}}"#)
    };
    let name = r#"{"Name":"/remint/marker","WithDecryption":true}"#;
    for dropped in [r#""Tags":[{"Key":"a","Value":"b"}]"#, r#""KeyId":"own""#, r#""DataType":"aws:ec2:image""#] {
        let body = put("a", false).replace('}', &format!(",{dropped}}}"));
        let (_, body) = account.parameters("PutParameter", &body).await;
        assert_eq!(body["__type"], "UnsupportedOperationException", "{dropped}");
    }
    let (status, body) = account.parameters("GetParameter", name).await;
    assert_eq!((status, body["__type"].as_str()), (400, Some("ParameterNotFound")));
    assert_eq!(account.parameters("PutParameter", &put("a", false)).await.1["Version"], 1);
    let (_, body) = account.parameters("PutParameter", &put("b", false)).await;
    assert_eq!(body["__type"], "ParameterAlreadyExists");
    assert_eq!(account.parameters("PutParameter", &put("b", true)).await.1["Version"], 2);
    let (_, body) = account.parameters("GetParameter", name).await;
    assert_eq!((&body["Parameter"]["Value"], &body["Parameter"]["Version"]), (&"b".into(), &2.into()));
    let (_, body) = account.parameters("GetParameters", r#"{"Names":["/remint/marker","/x"]}"#).await;
    assert_eq!(body["InvalidParameters"], serde_json::json!(["/x"]));
    assert_eq!(account.parameters("DeleteParameter", name).await.0, 200);
    assert_eq!(account.parameters("DeleteParameter", name).await.1["__type"], "ParameterNotFound");
}

#[tokio::test]
async fn what_is_on_offer() {
    let account = Account::start().await;
    let regions = account.call("DescribeRegions", &[]).await.good().all("regionName");
    assert_eq!(regions, ["us-east-1", "us-west-2", "eu-central-1"]);
    let zones = account.call_in("eu-central-1", "DescribeAvailabilityZones", &[]).await.good().all("zoneName");
    assert_eq!(zones, ["eu-central-1a", "eu-central-1b", "eu-central-1c"]);
    let types = account.call("DescribeInstanceTypes", &[]).await.good().all("instanceType");
    assert_eq!(types, ["t3.nano", "t3.micro", "t3.small", "t3.medium", "t4g.micro"]);
    let unknown = account.call("DescribeInstanceTypes", &[("InstanceType.1", "x9.huge")]).await;
    assert_eq!(unknown.code(), "InvalidInstanceType");
    let filter =
        [("Filter.1.Name", "instance-type"), ("Filter.1.Value.1", "t3.*"), ("LocationType", "availability-zone")];
    let offered = account.call("DescribeInstanceTypeOfferings", &filter).await.good();
    assert_eq!(offered.all("location").len(), 12);
    let vpc = account.call("DescribeVpcs", &[("Filter.1.Name", "is-default"), ("Filter.1.Value.1", "true")]).await;
    let vpc = vpc.good().get("vpcId").unwrap();
    let subnets = account.call("DescribeSubnets", &[("Filter.1.Name", "vpc-id"), ("Filter.1.Value.1", &vpc)]).await;
    let subnet = subnets.good().all("subnetId")[1].clone();
    let id = account.instance(&[("SubnetId", &subnet)]).await;
    let described = account.call("DescribeInstances", &[("InstanceId.1", &id)]).await;
    assert_eq!(described.get("availabilityZone").unwrap(), format!("{REGION}b"));
    assert!(described.get("privateIpAddress").unwrap().starts_with("172.31."), "{described:?}");
    let interface = described.get("networkInterfaceId").unwrap();
    let found = account.call("DescribeNetworkInterfaces", &[("NetworkInterfaceId.1", &interface)]).await.good();
    assert_eq!(found.get("instanceId").unwrap(), id);
    assert_eq!(account.call("DescribeVolumes", &[]).await.good().get("instanceId").unwrap(), id);
    let attributes = account.call("DescribeAccountAttributes", &[("AttributeName.1", "default-vpc")]).await.good();
    assert_eq!(attributes.get("attributeValue").unwrap(), vpc);
}
