//! The static IP of an environment.

use crate::{
    context::Context,
    error::{EngineError, EngineErrorKind},
    journal::Resources,
    manifest::StaticIpChoice,
    provider::{ErrorKind, Selector, StaticIp, StaticIpId, StaticIps},
};

/// The static IP that the manifest asks for, where the environment has it by now.
pub(crate) async fn static_ip(ctx: &Context, resources: &Resources) -> Result<Option<StaticIp>, EngineError> {
    let choice = ctx.loaded.manifest.static_ip();
    if *choice == StaticIpChoice::None {
        return Ok(None);
    }
    let Some(static_ips) = ctx.provider.static_ips() else {
        let id = ctx.provider.descriptor().id;
        return Err(EngineError::new(EngineErrorKind::Manifest, format!("provider {id} has no static IPs"))
            .hint("write `static_ip = \"none\"` in `[address]`"));
    };
    match choice {
        StaticIpChoice::Existing(ip) => {
            let all = static_ips.list(&Selector::all()).await?;
            match all.into_iter().find(|found| found.address.ip == *ip) {
                Some(found) => Ok(Some(found)),
                None => Err(EngineError::new(
                    EngineErrorKind::Manifest,
                    format!("the account has no static IP {ip} (address.static_ip)"),
                )
                .hint("check the address, or let Remint make one: `static_ip = \"managed\"`")),
            }
        }
        _ => match resources.static_ip().filter(|(owned, _)| owned.made_by.is_some()) {
            None => Ok(None),
            Some((_, owned)) => find(static_ips, &owned.id).await,
        },
    }
}

/// A static IP by its id, if it exists.
pub(crate) async fn find(static_ips: &dyn StaticIps, id: &StaticIpId) -> Result<Option<StaticIp>, EngineError> {
    match static_ips.get(id).await {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}
