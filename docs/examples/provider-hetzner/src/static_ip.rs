//! Static IPs are floating IPs: they move between servers by one call, at any time.
//!
//! A server answers under one only when its system has the address configured, which Hetzner leaves to whoever runs it: see
//! the README.

use std::time::Duration;

use async_trait::async_trait;
use remint_core::provider::{
    Address, Error, ErrorKind, InstanceId, Labels, Region, Result, Selector, StaticIp, StaticIpId, StaticIpSpec,
    StaticIps,
    support::{Call, CreateOnce, JsonRequest},
};
use serde_json::{Value, json};

use crate::{Cloud, client::number, instance::region, labels, wire};

/// A floating IP in Remint's words.
fn static_ip(operation: &'static str, ip: wire::FloatingIp) -> Result<StaticIp> {
    let address = ip.ip.parse().map_err(|error| {
        Error::new(ErrorKind::Unexpected, operation, "not an IP address").with_resource(&ip.ip).with_source(error)
    })?;
    Ok(StaticIp {
        id: StaticIpId::new(ip.id.to_string()),
        address: Address::new(address),
        assigned_to: ip.server.map(|server| InstanceId::new(server.to_string())),
        busy: false,
        region: Region::new(ip.home_location.name),
        labels: labels::read(&ip.labels),
    })
}

impl Cloud {
    async fn floating_ip(&self, operation: &'static str, id: &StaticIpId) -> Result<wire::FloatingIp> {
        let request = JsonRequest::get(operation, &["floating_ips", &number(operation, id)?.to_string()]).about(id);
        Ok(self.client.json::<wire::FloatingIpAnswer>(&request).await?.floating_ip)
    }

    async fn floating_ips(
        &self,
        operation: &'static str,
        filter: Option<(&'static str, String)>,
    ) -> Result<Vec<StaticIp>> {
        let mut request = JsonRequest::get(operation, &["floating_ips"]);
        if let Some((name, value)) = filter {
            request = request.query(name, value);
        }
        let all: Vec<wire::FloatingIp> = self.client.list(&request, "floating_ips").await?;
        all.into_iter().map(|ip| static_ip(operation, ip)).collect()
    }

    async fn named(&self, operation: &'static str, spec: &StaticIpSpec) -> Result<Option<StaticIp>> {
        Ok(self.floating_ips(operation, Some(("name", spec.name.clone()))).await?.into_iter().next())
    }

    /// Refuses a server that is gone, or elsewhere: Hetzner would route that over a detour.
    async fn check_server(&self, operation: &'static str, home: &Region, instance: &InstanceId) -> Result<u64> {
        let server = self.server(operation, instance).await?;
        if *home != region(&server) {
            let message = format!("the server is in {}, the floating IP in another location", region(&server));
            return Err(Error::new(ErrorKind::InvalidInput, operation, message).with_resource(instance));
        }
        Ok(server.id)
    }

    /// Moves an address to a server, or to none, and waits until it is there.
    async fn point(&self, operation: &'static str, id: &StaticIpId, server: Option<u64>) -> Result<()> {
        let path = ["floating_ips", id.as_str(), "actions", if server.is_some() { "assign" } else { "unassign" }];
        let body = server.map_or(json!({}), |server| json!({ "server": server }));
        match self.settle(&JsonRequest::post(operation, &path, body).about(id).idempotent()).await {
            // The call was repeated because its reply was lost, and is refused for having been obeyed.
            Err(error) if error.kind() == ErrorKind::Conflict => {
                if self.floating_ip(operation, id).await?.server == server { Ok(()) } else { Err(error) }
            }
            result => result,
        }
    }

    /// Adds to a quota error how many addresses there are: the API does not tell the limit.
    async fn explain_quota(&self, error: Error) -> Error {
        let Ok(all) = self.floating_ips(error.operation(), None).await else { return error };
        let explained = error.map_message(|said| format!("{said}; the project has {} floating IPs", all.len()));
        explained.with_hint("release one that is not needed, or request Hetzner to raise the project's limits")
    }
}

#[async_trait]
impl StaticIps for Cloud {
    async fn ensure(&self, spec: &StaticIpSpec) -> Result<StaticIp> {
        const OPERATION: &str = "reserve static ip";
        let tags = labels::write(OPERATION, &spec.labels)?;
        let look = || async { Ok(self.named(OPERATION, spec).await?.into()) };
        let call = Call::idempotent(OPERATION).about(&spec.name);
        let create = |()| async {
            let server = self.check_server(OPERATION, &spec.region, &spec.instance).await?;
            let body = json!({ "type": "ipv4", "name": spec.name, "server": server, "labels": tags });
            // The name is unique, as a server's is.
            let create = JsonRequest::post(OPERATION, &["floating_ips"], body).about(&spec.name).idempotent();
            static_ip(OPERATION, self.client.json::<wire::FloatingIpAnswer>(&create).await?.floating_ip)
        };
        let mut ip: StaticIp = match CreateOnce::new(&call, Duration::ZERO).run(look, create).await {
            Err(error) if error.kind() == ErrorKind::Quota => return Err(self.explain_quota(error).await),
            result => result?,
        };
        // A name proves nothing: whoever has it first keeps it.
        if !ip.labels.matches(&spec.identity()) {
            return Err(Error::new(ErrorKind::Conflict, OPERATION, "a floating IP of this name is somebody else's")
                .with_resource(&spec.name));
        }
        if ip.assigned_to.as_ref() != Some(&spec.instance) {
            let server = self.check_server(OPERATION, &ip.region, &spec.instance).await?;
            self.point(OPERATION, &ip.id, Some(server)).await?;
            ip.assigned_to = Some(spec.instance.clone());
        }
        Ok(ip)
    }

    async fn list(&self, selector: &Selector) -> Result<Vec<StaticIp>> {
        const OPERATION: &str = "list static ips";
        let query = labels::query(OPERATION, selector)?;
        let mut all = self.floating_ips(OPERATION, query.map(|query| ("label_selector", query))).await?;
        all.retain(|ip| !ip.labels.0.is_empty() && ip.labels.matches(selector));
        Ok(all)
    }

    async fn get(&self, id: &StaticIpId) -> Result<StaticIp> {
        const OPERATION: &str = "get static ip";
        static_ip(OPERATION, self.floating_ip(OPERATION, id).await?)
    }

    async fn assign(&self, id: &StaticIpId, instance: &InstanceId) -> Result<()> {
        const OPERATION: &str = "assign static ip";
        let ip = static_ip(OPERATION, self.floating_ip(OPERATION, id).await?)?;
        if ip.assigned_to.as_ref() == Some(instance) {
            return Ok(());
        }
        let server = self.check_server(OPERATION, &ip.region, instance).await?;
        self.point(OPERATION, id, Some(server)).await
    }

    async fn label(&self, id: &StaticIpId, added: &Labels) -> Result<()> {
        const OPERATION: &str = "label static ip";
        let turn = self.turns.take([format!("labels of {id}")]).await;
        let ip = self.floating_ip(OPERATION, id).await?;
        let tags = labels::merge(OPERATION, &ip.labels, added)?;
        let request =
            JsonRequest::put(OPERATION, &["floating_ips", &ip.id.to_string()], json!({ "labels": tags })).about(id);
        self.client.json_within::<wire::FloatingIpAnswer>(&turn, &request).await?;
        Ok(())
    }

    async fn unassign(&self, id: &StaticIpId) -> Result<()> {
        const OPERATION: &str = "unassign static ip";
        match self.floating_ip(OPERATION, id).await?.server {
            Some(_) => self.point(OPERATION, id, None).await,
            None => Ok(()),
        }
    }

    async fn release(&self, id: &StaticIpId) -> Result<()> {
        const OPERATION: &str = "release static ip";
        match self.unassign(id).await {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            result => result?,
        }
        let request = JsonRequest::delete(OPERATION, &["floating_ips", id.as_str()]).about(id);
        self.client.json::<Value>(&request).await.map(drop).or_else(|error| match error.kind() {
            ErrorKind::NotFound => Ok(()),
            _ => Err(error),
        })
    }
}
