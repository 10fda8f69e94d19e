//! The network around the instances, and what stands before the API's routes: DNS, static IPs, load balancers, faults, limits,
//! counts.

use std::{collections::BTreeMap, net::Ipv4Addr, sync::Arc};

use async_trait::async_trait;
use axum::{Json, Router, extract::State, middleware, routing::get};
use serde::{Deserialize, Serialize};

use crate::{
    balance::Balancers,
    cloud::{
        Api, ApiError, ApiResult, Edge, Shape, ZoneSnapshot,
        balancer::{BalancerSnapshot, MemberHealth},
        calls::{self, CallCounts},
        faults::{self, Faults},
    },
    dns::Dns,
    forward::Forwarder,
    machine::Hypervisor,
    rate::{self, RateLimits},
};

/// The ports that are open beside 22, as `GET /sandbox/v1/ports` shows them and `POST` adds to them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenPorts {
    /// The ports, as guests see them.
    pub ports: Vec<u16>,
}

/// Told when ports were opened, so that they are open after a restart too.
pub type PortsOpened = Box<dyn Fn(&[u16]) -> std::io::Result<()> + Send + Sync>;

/// What surrounds the accounts of one sandbox: DNS, port forwarding, load balancers, faults, call counts and rate limits.
pub struct LocalEdge {
    dns: Dns,
    forwarder: Forwarder,
    balancers: Arc<Balancers>,
    hypervisor: Arc<dyn Hypervisor>,
    faults: Arc<Faults>,
    calls: Arc<CallCounts>,
    rate: Arc<RateLimits>,
    opened: PortsOpened,
}

impl std::fmt::Debug for LocalEdge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalEdge").field("dns", &self.dns).finish_non_exhaustive()
    }
}

impl LocalEdge {
    /// Puts the parts together.
    pub fn new(
        dns: Dns,
        forwarder: Forwarder,
        balancers: Arc<Balancers>,
        hypervisor: Arc<dyn Hypervisor>,
        rate: RateLimits,
        opened: PortsOpened,
    ) -> Arc<Self> {
        Arc::new(Self {
            dns,
            forwarder,
            balancers,
            hypervisor,
            faults: Arc::default(),
            calls: Arc::default(),
            rate: Arc::new(rate),
            opened,
        })
    }

    /// The DNS server.
    pub fn dns(&self) -> &Dns {
        &self.dns
    }

    /// The fault rules.
    pub fn faults(&self) -> &Arc<Faults> {
        &self.faults
    }

    /// Opens further service ports, on machines and on static IPs, now and from now on.
    async fn open_ports(&self, ports: &[u16]) -> ApiResult<()> {
        if ports.contains(&0) {
            return Err(ApiError::unprocessable("port 0 cannot be opened"));
        }
        (self.opened)(ports)
            .map_err(|error| ApiError::internal(format!("the open ports cannot be written down: {error}")))?;
        self.hypervisor.open_ports(ports).await.map_err(|error| ApiError::internal(error.to_string()))?;
        // A static IP's port that something else holds is in the log, and tried again at each assignment.
        self.forwarder.open_ports(ports).await;
        Ok(())
    }
}

/// The part of the edge that admin routes share; the trait hands out no `Arc` of itself.
#[derive(Clone)]
struct Ports(Arc<LocalEdge>);

/// The edge as the cloud holds it.
#[derive(Debug, Clone)]
pub struct EdgeHandle(pub Arc<LocalEdge>);

#[async_trait]
impl Edge for EdgeHandle {
    async fn static_ip(&self, ip: Ipv4Addr, target: Option<Ipv4Addr>) {
        // Failures are in the log: the address works on its other ports.
        self.0.forwarder.assign(ip, target).await;
    }

    async fn remove_static_ip(&self, ip: Ipv4Addr) {
        self.0.forwarder.assign(ip, None).await;
    }

    fn can_balance(&self) -> Result<(), String> {
        self.0.balancers.possible()
    }

    async fn load_balancer(&self, balancer: BalancerSnapshot) -> Result<(), String> {
        self.0.balancers.set(balancer).await
    }

    async fn remove_load_balancer(&self, id: u64) {
        self.0.balancers.remove(id).await;
    }

    async fn member_health(&self, id: u64) -> BTreeMap<u64, MemberHealth> {
        self.0.balancers.health(id).await
    }

    async fn listener_health(&self, id: u64) -> BTreeMap<u16, BTreeMap<u64, MemberHealth>> {
        self.0.balancers.listener_health(id).await
    }

    async fn zone(&self, zone: ZoneSnapshot) {
        if let Err(error) = self.0.dns.replace(&zone) {
            tracing::warn!(%error, "a zone is served as it was before its last change");
        }
    }

    async fn remove_zone(&self, name: &str) {
        self.0.dns.remove(name);
    }

    fn layers(&self, shape: Shape, routes: Router) -> Router {
        // The last one added is the first one that a request passes.
        let routes = routes.layer(middleware::from_fn_with_state((Arc::clone(&self.0.faults), shape), faults::layer));
        let routes = match shape.api {
            Api::DigitalOcean => routes.layer(middleware::from_fn_with_state(Arc::clone(&self.0.rate), rate::layer)),
            // Their limits are far above what one client reaches; a fault rule shows how they refuse.
            Api::Ec2 | Api::Gce => routes,
        };
        routes.layer(middleware::from_fn_with_state(Arc::clone(&self.0.calls), calls::layer))
    }

    fn admin(&self) -> Router {
        Router::new()
            .route("/sandbox/v1/ports", get(ports).post(open))
            .with_state(Ports(Arc::clone(&self.0)))
            .merge(faults::routes(Arc::clone(&self.0.faults)))
            .merge(calls::routes(Arc::clone(&self.0.calls)))
    }
}

async fn ports(State(Ports(edge)): State<Ports>) -> Json<OpenPorts> {
    Json(OpenPorts { ports: edge.forwarder.open().await })
}

async fn open(State(Ports(edge)): State<Ports>, Json(wanted): Json<OpenPorts>) -> ApiResult<Json<OpenPorts>> {
    edge.open_ports(&wanted.ports).await?;
    Ok(Json(OpenPorts { ports: edge.forwarder.open().await }))
}
