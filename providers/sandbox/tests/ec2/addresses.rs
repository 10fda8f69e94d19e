//! Elastic IPs, and that they really forward.

use std::{net::SocketAddr, time::Duration};

use tokio::{io::AsyncReadExt as _, net::TcpStream};

use super::account::Account;

/// The greeting of the SSH server behind an address; nothing where nobody answers.
async fn greeting(account: &Account, ip: &str) -> Option<String> {
    let at: SocketAddr = format!("{ip}:{}", account.sandbox.ports().resolve(22)).parse().unwrap();
    let mut stream = TcpStream::connect(at).await.ok()?;
    let mut buffer = [0; 64];
    let length = stream.read(&mut buffer).await.ok()?;
    (length > 0).then(|| String::from_utf8_lossy(&buffer[..length]).into_owned())
}

async fn answers(account: &Account, ip: &str) {
    for _ in 0..1000 {
        if greeting(account, ip).await.is_some_and(|text| text.starts_with("SSH-2.0")) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{ip} does not answer by SSH");
}

#[tokio::test]
async fn an_address_moves_in_one_call_and_goes_with_nothing() {
    let account = Account::start().await;
    let (one, two) = (account.instance(&[]).await, account.instance(&[]).await);
    let tagged = [
        ("Domain", "vpc"),
        ("TagSpecification.1.ResourceType", "elastic-ip"),
        ("TagSpecification.1.Tag.1.Key", "k"),
        ("TagSpecification.1.Tag.1.Value", "v"),
    ];
    let made = account.call("AllocateAddress", &tagged).await.good();
    let (id, ip) = (made.get("allocationId").unwrap(), made.get("publicIp").unwrap());
    assert!(greeting(&account, &ip).await.is_none());
    let first = [("AllocationId", id.as_str()), ("InstanceId", one.as_str())];
    let association = account.call("AssociateAddress", &first).await.good().get("associationId").unwrap();
    answers(&account, &ip).await;
    let seen = account.call("DescribeInstances", &[("InstanceId.1", &one)]).await;
    assert_eq!(seen.get("ipAddress").unwrap(), ip, "an Elastic IP takes the place of the instance's own address");

    let second = [("AllocationId", id.as_str()), ("InstanceId", two.as_str())];
    let refused = account.call("AssociateAddress", &second).await;
    assert_eq!(refused.code(), "Resource.AlreadyAssociated");
    let moved =
        account.call("AssociateAddress", &[&second[..], &[("AllowReassociation", "true")]].concat()).await.good();
    assert_ne!(moved.get("associationId").unwrap(), association);
    let described = account.call("DescribeAddresses", &[("AllocationId.1", &id)]).await.good();
    assert_eq!(described.get("instanceId").unwrap(), two);
    let old = account.call("DescribeInstances", &[("InstanceId.1", &one)]).await;
    assert_ne!(old.get("ipAddress").unwrap(), ip, "the old instance does not show it any more");
    let gone = account.call("DisassociateAddress", &[("AssociationId", &association)]).await;
    assert_eq!(gone.code(), "InvalidAssociationID.NotFound", "the old association is over");

    assert_eq!(account.call("ReleaseAddress", &[("AllocationId", &id)]).await.code(), "InvalidIPAddress.InUse");
    // The end of its instance sets it free.
    account.call("TerminateInstances", &[("InstanceId.1", &two)]).await.good();
    account.until(&two, "terminated").await;
    let free = account.call("DescribeAddresses", &[("AllocationId.1", &id)]).await.good();
    assert_eq!((free.get("instanceId"), free.get("associationId")), (None, None), "{free:?}");
    assert!(greeting(&account, &ip).await.is_none());
    account.call("ReleaseAddress", &[("AllocationId", &id)]).await.good();
    assert_eq!(
        account.call("DescribeAddresses", &[("AllocationId.1", &id)]).await.code(),
        "InvalidAllocationID.NotFound"
    );
}

#[tokio::test]
async fn an_account_has_five_addresses_in_a_region() {
    let account = Account::start().await;
    for _ in 0..5 {
        account.call("AllocateAddress", &[]).await.good();
    }
    assert_eq!(account.call("AllocateAddress", &[]).await.code(), "AddressLimitExceeded");
    account.call_in("us-west-2", "AllocateAddress", &[]).await.good();
    let ended = account.call("AssociateAddress", &[("AllocationId", "eipalloc-0"), ("InstanceId", "i-1")]).await;
    assert_eq!(ended.code(), "InvalidAllocationID.NotFound");
}
