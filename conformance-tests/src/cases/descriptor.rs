//! What a provider says of itself, and the account behind it.

use remint_core::provider::{Capability, ErrorKind};

use super::table;
use crate::{Case, CaseContext, Cost, Failure, Setting, context::check, steps::refused};

pub(super) const CASES: &[Case] = table! {
    "descriptor.concerns", "optional concerns are there exactly when they are declared", concerns, costs(Cost::Free);
    "descriptor.capabilities", "capabilities are declared once, and the finer ones with what they refine",
        capabilities, costs(Cost::Free);
    "descriptor.limits", "limits are of use", limits, costs(Cost::Free);
    "account.tells_owner", "the account has an id and a name", owner, costs(Cost::Free);
    "account.counted", "a call is counted as a read", counted, costs(Cost::Free);
    "account.refused_credentials", "credentials that the cloud refuses are Unauthenticated, at once",
        stranger, with(&[Setting::Stranger]), costs(Cost::Free);
};

async fn concerns(context: CaseContext) -> Result<(), Failure> {
    let provider = context.provider();
    for (capability, is_there) in [
        (Capability::StaticIp, provider.static_ips().is_some()),
        (Capability::LoadBalancer, provider.load_balancers().is_some()),
        (Capability::Dns, provider.dns_zones().is_some()),
        (Capability::LoginKey, provider.login_keys().is_some()),
        (Capability::Marker, provider.markers().is_some()),
        (Capability::Strays, provider.strays().is_some()),
    ] {
        let declared = provider.descriptor().has(capability);
        check!(declared == is_there, "{capability}: declared is {declared}, and `Some` is {is_there}");
    }
    Ok(())
}

async fn capabilities(context: CaseContext) -> Result<(), Failure> {
    let descriptor = context.provider().descriptor();
    let mut declared = descriptor.capabilities.to_vec();
    declared.sort();
    declared.dedup();
    check!(declared.len() == descriptor.capabilities.len(), "a capability is declared twice");
    for (more, refined) in [
        (Capability::StaticIpReassign, Capability::StaticIp),
        (Capability::StaticIpLabels, Capability::StaticIp),
        (Capability::LoadBalancerHttp, Capability::LoadBalancer),
        (Capability::LoadBalancerTargetPort, Capability::LoadBalancer),
        (Capability::LoadBalancerDrain, Capability::LoadBalancer),
    ] {
        let without = descriptor.has(more) && !descriptor.has(refined);
        check!(!without, "{more} is declared, and {refined} is not");
    }
    Ok(())
}

async fn limits(context: CaseContext) -> Result<(), Failure> {
    let descriptor = context.provider().descriptor();
    let limits = descriptor.limits;
    check!(limits.user_data_bytes >= 16 * 1024, "user data of {} bytes carries no service", limits.user_data_bytes);
    let batch = descriptor.has(Capability::InstanceLaunchBatch);
    check!((limits.launch_batch > 1) == batch, "batches of {}, and declared is {batch}", limits.launch_batch);
    check!(limits.name_length >= 40, "names of {} characters are too short", limits.name_length);
    Ok(())
}

async fn owner(context: CaseContext) -> Result<(), Failure> {
    let account = context.provider().account().await?;
    check!(!account.id.is_empty() && !account.name.is_empty(), "an account without id or name: {account:?}");
    Ok(())
}

async fn counted(context: CaseContext) -> Result<(), Failure> {
    let calls = context.provider().calls();
    let before = calls.count();
    context.provider().account().await?;
    let spent = calls.count().since(before);
    check!(spent.reads >= 1 && spent.mutations == 0, "reading the account was counted as {spent:?}");
    Ok(())
}

async fn stranger(context: CaseContext) -> Result<(), Failure> {
    let stranger = context.target().stranger.clone().ok_or_else(|| Failure::new("no stranger"))?;
    let kinds = &[ErrorKind::Unauthenticated];
    refused(stranger.account().await, kinds, "reading the account")?;
    refused(stranger.instances().list(&context.selector()).await, kinds, "listing instances")?;
    let spec = context.spec("stranger").await?;
    refused(stranger.instances().launch(&spec).await, kinds, "launching")?;
    let spent = stranger.calls().count();
    check!(spent.retries == 0, "refused credentials were tried {} times more", spent.retries);
    Ok(())
}
