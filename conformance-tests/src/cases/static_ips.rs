//! Static IPs: ensure, move, take away, release.

use remint_core::provider::{Capability, ErrorKind, Selector};

use super::table;
use crate::{Case, CaseContext, Failure, Setting, context::check, steps::refused};

pub(super) const CASES: &[Case] = table! {
    "static_ips.ensure", "a static IP points at its instance, and is listed", ensure, needs(&[Capability::StaticIp]);
    "static_ips.assign", "a static IP moves, keeps its address, and moves back", assign,
        needs(&[Capability::StaticIp]);
    "static_ips.reassign", "a static IP that moves in one call points somewhere at every moment",
        reassign, needs(&[Capability::StaticIp, Capability::StaticIpReassign]);
    "static_ips.unassign", "a static IP that is taken away is kept, and taking it away again is a success",
        unassign, needs(&[Capability::StaticIp]);
    "static_ips.outlives", "a static IP outlives its instance and points at another", outlives,
        needs(&[Capability::StaticIp]);
    "static_ips.release", "a released static IP is really gone, and releasing it again is a success",
        release, needs(&[Capability::StaticIp]);
    "static_ips.unknown", "an instance that is gone gets no static IP, and one that has it keeps it",
        unknown, needs(&[Capability::StaticIp]);
    "static_ips.quota", "one more than the account may have is Quota, with the limit in the message",
        quota, needs(&[Capability::StaticIp]), with(&[Setting::StaticIpLimit]);
};

async fn ensure(context: CaseContext) -> Result<(), Failure> {
    let instance = context.running("web").await?;
    let ip = context.static_ip(&instance.id).await?;
    check!(ip.region == instance.region, "it is in {}, the instance in {}", ip.region, instance.region);
    let listed = context.static_ips()?.list(&Selector::all()).await?;
    check!(listed.iter().any(|other| other.id == ip.id && other.address == ip.address), "it is not listed");
    let ours = context.static_ips()?.list(&context.selector()).await?;
    check!(ours.len() == 1 && ours[0].id == ip.id, "listed by labels: {ours:?}");
    Ok(())
}

async fn assign(context: CaseContext) -> Result<(), Failure> {
    let (one, two) = (context.running("one").await?, context.running("two").await?);
    let ip = context.static_ip(&one.id).await?;
    let ips = context.static_ips()?;
    for to in [&two.id, &one.id] {
        context.patiently("assign", || ips.assign(&ip.id, to)).await?;
        let there = context.points_at(&ip, Some(to)).await?;
        check!(there.address == ip.address, "the address changed from {:?} to {:?}", ip.address, there.address);
    }
    Ok(())
}

async fn reassign(context: CaseContext) -> Result<(), Failure> {
    let (one, two) = (context.running("one").await?, context.running("two").await?);
    let ip = context.static_ip(&one.id).await?;
    let ips = context.static_ips()?;
    context.patiently("assign", || ips.assign(&ip.id, &two.id)).await?;
    let look = async || {
        let now = ips.get(&ip.id).await?;
        check!(now.assigned_to.is_some(), "it points nowhere while it moves");
        Ok((now.assigned_to.as_ref() == Some(&two.id) && !now.busy).then_some(()))
    };
    context.until("the static IP to move", look).await
}

async fn unassign(context: CaseContext) -> Result<(), Failure> {
    let instance = context.running("web").await?;
    let ip = context.static_ip(&instance.id).await?;
    let ips = context.static_ips()?;
    for _ in 0..2 {
        context.patiently("unassign", || ips.unassign(&ip.id)).await?;
        context.points_at(&ip, None).await?;
    }
    context.patiently("assign", || ips.assign(&ip.id, &instance.id)).await?;
    context.points_at(&ip, Some(&instance.id)).await?;
    Ok(())
}

async fn outlives(context: CaseContext) -> Result<(), Failure> {
    let one = context.running("one").await?;
    let ip = context.static_ip(&one.id).await?;
    context.destroy(&one.id).await?;
    context.points_at(&ip, None).await?;
    let two = context.running("two").await?;
    let ips = context.static_ips()?;
    context.patiently("assign", || ips.assign(&ip.id, &two.id)).await?;
    let there = context.points_at(&ip, Some(&two.id)).await?;
    check!(there.address == ip.address, "the address changed");
    Ok(())
}

async fn release(context: CaseContext) -> Result<(), Failure> {
    let instance = context.running("web").await?;
    let ip = context.static_ip(&instance.id).await?;
    let ips = context.static_ips()?;
    for _ in 0..2 {
        context.patiently("release", || ips.release(&ip.id)).await?;
    }
    let gone = async || match ips.get(&ip.id).await {
        Ok(_) => Ok(None),
        Err(error) => refused::<()>(Err(error), &[ErrorKind::NotFound], "reading what is released").map(Some),
    };
    context.until("the static IP to be gone", gone).await?;
    let listed = ips.list(&Selector::all()).await?;
    check!(listed.iter().all(|other| other.id != ip.id), "a released static IP is listed");
    refused(ips.assign(&ip.id, &instance.id).await, &[ErrorKind::NotFound], "assigning what is released")?;
    Ok(())
}

async fn unknown(context: CaseContext) -> Result<(), Failure> {
    let former = context.former_instance().await?;
    let ips = context.static_ips()?;
    let spec = context.static_ip_spec(&former);
    let before = ips.list(&Selector::all()).await?.len();
    refused(ips.ensure(&spec).await, &[ErrorKind::NotFound], "a static IP for what is gone")?;
    check!(ips.list(&Selector::all()).await?.len() == before, "a static IP was made all the same");
    let instance = context.running("web").await?;
    let ip = context.static_ip(&instance.id).await?;
    refused(ips.assign(&ip.id, &former).await, &[ErrorKind::NotFound], "assigning to what is gone")?;
    context.points_at(&ip, Some(&instance.id)).await?;
    Ok(())
}

async fn quota(context: CaseContext) -> Result<(), Failure> {
    let limit = context.target().static_ip_limit.unwrap_or_default();
    let ips = context.static_ips()?;
    for number in 0..=limit {
        let instance = context.running(&format!("web-{number}")).await?;
        let spec = context.static_ip_spec(&instance.id);
        match ips.ensure(&spec).await {
            Ok(ip) => context.ledger().static_ip(&ip.id),
            Err(error) => {
                let error = refused::<()>(Err(error), &[ErrorKind::Quota], "one static IP too many")?;
                check!(error.message().contains(&limit.to_string()), "the message does not say {limit}: {error}");
                check!(error.hint().is_some(), "it does not say what to do: {error}");
                return Ok(());
            }
        }
    }
    Err(Failure::new(format!("{} static IPs were made; {limit} is the limit", limit + 1)))
}
