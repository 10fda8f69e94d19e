//! Listeners.

use super::{
    engine::sync,
    model::{Balancer, Listener, TargetProtocol},
    read::{arn, fresh, keep, page, port},
    refusal::{invalid, no_listener},
    tags,
    target_groups::{self, protocol},
};
use crate::{
    State,
    call::Call,
    query::Params,
    reply::{refuse, unsupported},
    xml::Xml,
};
use remint_sandbox_cloud::{ApiResult, now};

/// How many a load balancer has.
pub(super) const MOST: usize = 50;

/// `CreateListener`.
pub(super) fn create(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let params = &call.params;
    let balancer = params.need("LoadBalancerArn")?;
    let port = port(params, "Port")?.ok_or_else(|| invalid("A port must be specified"))?;
    let asked = params.need("Protocol")?;
    let given = tags::given(params)?;
    let arn = call.change(|state| {
        let balancer = state.own.elb.balancer(call.region, balancer)?.clone();
        let protocol = read_protocol(params, asked, &balancer)?;
        let group = target(state, call.region, params, &balancer)?
            .ok_or_else(|| invalid("A default action must be specified"))?;
        let known = state.own.elb.listeners_of(&balancer.arn);
        if let Some(known) = known.iter().find(|known| known.port == port) {
            // As it is wanted already.
            if (known.protocol, &known.group) == (protocol, &group) {
                return Ok(known.arn.clone());
            }
            return Err(duplicate(port));
        }
        if known.len() >= MOST {
            return Err(refuse("TooManyListeners", format!("The limit of {MOST} listeners is reached")));
        }
        let (kind, name, id) = (balancer.kind.short(), &balancer.name, &balancer.id);
        let arn = arn(state, call.region, &format!("listener/{kind}/{name}/{id}/{}", fresh()));
        let listener =
            Listener { arn: arn.clone(), balancer: balancer.arn.clone(), port, protocol, group, created_at: now() };
        state.own.elb.listeners.insert(arn.clone(), listener);
        state.own.tag(&arn, given.clone());
        sync(state, call.config(), &balancer.arn);
        Ok(arn)
    })?;
    shown(call, xml, &arn)
}

/// `DescribeListeners`.
pub(super) fn describe(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let params = &call.params;
    call.read(|state| {
        let all = match params.get("LoadBalancerArn") {
            Some(arn) => {
                state.own.elb.balancer(call.region, arn)?;
                state.own.elb.listeners_of(arn)
            }
            None if params.list("ListenerArns.member").is_empty() => {
                return Err(invalid("You must specify either listener ARNs or a load balancer ARN"));
            }
            None => {
                let mut all = state.own.elb.listeners.values().collect();
                keep(params, "ListenerArns", &mut all, |listener: &&Listener| &listener.arn, no_listener)?;
                all
            }
        };
        page(call, xml, "Listeners", all, |xml, listener| write(xml, listener))
    })
}

/// `ModifyListener`.
pub(super) fn modify(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let params = &call.params;
    let arn = params.need("ListenerArn")?;
    call.change(|state| {
        let mut listener = find(state, arn)?.clone();
        let balancer = state.own.elb.balancer(call.region, &listener.balancer)?.clone();
        if let Some(port) = port(params, "Port")? {
            let taken = |other: &&Listener| other.port == port && other.arn != listener.arn;
            if state.own.elb.listeners_of(&balancer.arn).iter().any(taken) {
                return Err(duplicate(port));
            }
            listener.port = port;
        }
        listener.protocol = match params.get("Protocol") {
            Some(asked) => read_protocol(params, asked, &balancer)?,
            None => read_protocol(params, listener.protocol.name(), &balancer)?,
        };
        if let Some(group) = target(state, call.region, params, &balancer)? {
            listener.group = group;
        }
        state.own.elb.listeners.insert(arn.to_owned(), listener);
        sync(state, call.config(), &balancer.arn);
        Ok(())
    })?;
    shown(call, xml, arn)
}

/// `DeleteListener`.
pub(super) fn delete(call: &Call<'_>, _: &mut Xml) -> ApiResult<()> {
    let arn = call.params.need("ListenerArn")?;
    call.change(|state| {
        let balancer = find(state, arn)?.balancer.clone();
        state.own.elb.balancer(call.region, &balancer)?;
        state.own.elb.listeners.remove(arn);
        state.own.tags.remove(arn);
        sync(state, call.config(), &balancer);
        Ok(())
    })
}

fn find<'a>(state: &'a State, arn: &str) -> ApiResult<&'a Listener> {
    state.own.elb.listeners.get(arn).ok_or_else(|| no_listener(&[arn]))
}

fn duplicate(port: u16) -> remint_sandbox_cloud::ApiError {
    refuse("DuplicateListener", format!("A listener already exists on this port for this load balancer: {port}"))
}

/// The protocol of a listener. The sandbox has no certificates, so those of TLS cannot be had.
fn read_protocol(params: &Params, asked: &str, balancer: &Balancer) -> ApiResult<TargetProtocol> {
    let named = params.groups("Certificates.member");
    if let Some(certificate) = named.first() {
        let arn = certificate.need("CertificateArn")?;
        return Err(refuse("CertificateNotFound", format!("Certificate '{arn}' not found (the sandbox has none)")));
    }
    if matches!(asked, "HTTPS" | "TLS") {
        return Err(invalid(format!("A certificate must be specified for {asked} listeners")));
    }
    if let Some(policy) = params.get("SslPolicy") {
        return Err(invalid(format!("The SSL policy {policy} is for listeners with TLS only")));
    }
    let protocol = protocol(asked, "listeners")?;
    if protocol != balancer.kind.protocol() {
        let message =
            format!("Protocol '{asked}' is not supported by load balancers of type '{}'", balancer.kind.name());
        return Err(invalid(message));
    }
    Ok(protocol)
}

/// The target group that the default action sends to, where there is one.
fn target(state: &State, region: &str, params: &Params, balancer: &Balancer) -> ApiResult<Option<String>> {
    let actions = params.groups("DefaultActions.member");
    let action = match actions.as_slice() {
        [] => return Ok(None),
        [action] => action,
        _ => return Err(unsupported("several default actions of a listener")),
    };
    match action.need("Type")? {
        "forward" => {}
        other @ ("redirect" | "fixed-response" | "authenticate-oidc" | "authenticate-cognito") => {
            return Err(unsupported(&format!("the action {other} of listeners")));
        }
        other => return Err(refuse("InvalidLoadBalancerAction", format!("Action type '{other}' is not valid"))),
    }
    let forwards = action.groups("ForwardConfig.TargetGroups.member");
    if forwards.len() > 1 {
        return Err(unsupported("a listener that forwards to several target groups"));
    }
    let configured = forwards.first().map(|group| group.need("TargetGroupArn")).transpose()?;
    let arn = match (action.get("TargetGroupArn"), configured) {
        (Some(one), Some(other)) if one != other => {
            return Err(invalid("TargetGroupArn and ForwardConfig name different target groups"));
        }
        (one, other) => one.or(other).ok_or_else(|| invalid("A target group ARN must be specified"))?,
    };
    let group = target_groups::find(state, region, arn)?;
    if group.protocol != balancer.kind.protocol() {
        let message = format!(
            "The {} target group '{arn}' cannot be used with a load balancer of type '{}'",
            group.protocol.name(),
            balancer.kind.name()
        );
        return Err(refuse("IncompatibleProtocols", message));
    }
    if state.own.elb.users(arn).any(|listener| listener.balancer != balancer.arn) {
        let message = format!("The target group '{arn}' is used by another load balancer");
        return Err(refuse("TargetGroupAssociationLimit", message));
    }
    Ok(Some(arn.to_owned()))
}

fn shown(call: &Call<'_>, xml: &mut Xml, arn: &str) -> ApiResult<()> {
    call.read(|state| {
        xml.members("Listeners", [find(state, arn)?], write);
        Ok(())
    })
}

fn write(xml: &mut Xml, listener: &Listener) {
    xml.text("ListenerArn", &listener.arn).text("LoadBalancerArn", &listener.balancer);
    xml.text("Port", listener.port).text("Protocol", listener.protocol.name());
    xml.members("DefaultActions", [&listener.group], |xml, group| {
        xml.text("Type", "forward").text("TargetGroupArn", group).text("Order", 1);
        xml.node("ForwardConfig", |xml| {
            xml.members("TargetGroups", [group], |xml, group| {
                xml.text("TargetGroupArn", group).text("Weight", 1);
            });
            xml.node("TargetGroupStickinessConfig", |xml| {
                xml.text("Enabled", false);
            });
        });
    });
}
