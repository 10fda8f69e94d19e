//! Listeners: one for each port on which clients connect. Each leads to one target group.

use aws_sdk_elasticloadbalancingv2::types::{Action, ActionTypeEnum, Certificate, Listener as Body, ProtocolEnum};
use remint_core::provider::{ErrorKind, Listener, ListenerProtocol, Result};

use super::{
    groups::Named,
    parts::Parts,
    settings::{certificate, target},
    task::Task,
};
use crate::Aws;

/// How clients and load balancer agree on TLS: 1.2 or 1.3. The API's own default is of 2016, and takes 1.0.
const TLS: &str = "ELBSecurityPolicy-TLS13-1-2-2021-06";

fn protocol(listener: &Listener) -> ProtocolEnum {
    match listener.protocol {
        ListenerProtocol::Tcp => ProtocolEnum::Tcp,
        ListenerProtocol::Http => ProtocolEnum::Http,
        ListenerProtocol::Https => ProtocolEnum::Https,
    }
}

fn leads_to(group: &str) -> Action {
    Action::builder().r#type(ActionTypeEnum::Forward).target_group_arn(group).build()
}

fn certificates(listener: &Listener) -> Option<Vec<Certificate>> {
    let certificate = listener.certificate.as_ref()?;
    Some(vec![Certificate::builder().certificate_arn(certificate).build()])
}

fn is_as(body: &Body, wanted: &Listener, group: &str) -> bool {
    body.protocol() == Some(&protocol(wanted))
        && target(body) == Some(group)
        && certificate(body) == wanted.certificate.as_deref()
}

impl Aws {
    /// Gives each port its listener, as it is wanted, and deletes the others; whether something was changed.
    pub(super) async fn put_listeners_right(&self, task: &Task<'_>, parts: &Parts, groups: &[Named]) -> Result<bool> {
        let mut changed = false;
        let mut wanted: Vec<&Listener> = task.wanted.settings.listeners.iter().collect();
        // Those that may be refused come first.
        wanted.sort_by_key(|listener| listener.certificate.is_none());
        for listener in wanted {
            let group = groups.iter().find(|named| named.port == listener.target_port);
            let group = group.map_or("", |named| named.arn.as_str());
            let port = i32::from(listener.port);
            match parts.listeners.iter().find(|body| body.port() == Some(port)) {
                Some(body) if is_as(body, listener, group) => continue,
                Some(body) => self.change_listener(task, body, listener, group).await?,
                None => self.create_listener(task, parts, listener, group).await?,
            }
            self.leads(parts, group);
            changed = true;
        }
        for body in &parts.listeners {
            let unwanted = |listener: &Listener| Some(i32::from(listener.port)) != body.port();
            if task.wanted.settings.listeners.iter().all(unwanted) {
                self.delete_listener(task, body).await?;
                changed = true;
            }
        }
        Ok(changed)
    }

    async fn create_listener(&self, task: &Task<'_>, parts: &Parts, wanted: &Listener, group: &str) -> Result<()> {
        let request = self.client.elb(task.region()).create_listener().load_balancer_arn(parts.arn());
        let request = request
            .port(i32::from(wanted.port))
            .protocol(protocol(wanted))
            .set_certificates(certificates(wanted))
            .set_ssl_policy(wanted.certificate.as_ref().map(|_| TLS.to_owned()))
            .default_actions(leads_to(group));
        self.client.call_within(task.turn, &task.call(), || request.clone().send()).await.map(drop)
    }

    /// Remembers that a listener leads to a target group. Where the group was not created a moment ago, lists show it.
    fn leads(&self, parts: &Parts, group: &str) {
        if let Some(made) = self.memory.lock().target_groups.get_mut(group) {
            made.load_balancer_arns = Some(vec![parts.arn().to_owned()]);
        }
    }

    async fn change_listener(&self, task: &Task<'_>, body: &Body, wanted: &Listener, group: &str) -> Result<()> {
        let arn = body.listener_arn().unwrap_or_default();
        let request = self.client.elb(task.region()).modify_listener().listener_arn(arn);
        let policy = wanted.certificate.as_ref().map(|_| body.ssl_policy().unwrap_or(TLS).to_owned());
        let request = request
            .protocol(protocol(wanted))
            .set_certificates(certificates(wanted))
            .set_ssl_policy(policy)
            .default_actions(leads_to(group));
        self.client.call(&task.call(), || request.clone().send()).await.map(drop)
    }

    async fn delete_listener(&self, task: &Task<'_>, body: &Body) -> Result<()> {
        let arn = body.listener_arn().unwrap_or_default();
        let request = self.client.elb(task.region()).delete_listener().listener_arn(arn);
        match self.client.call(&task.call(), || request.clone().send()).await {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            result => result.map(drop),
        }
    }
}
