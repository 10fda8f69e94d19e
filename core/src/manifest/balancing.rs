//! How the load balancer of a manifest is set up, in the provider's words.

use std::time::Duration;

use ipnet::IpNet;

use super::{HealthCheck, HumanDuration, ListenerSection, LoadBalancerSection, Manifest};
use crate::provider::{CheckProtocol, Listener, LoadBalancerSettings, MemberCheck};

impl Manifest {
    /// How the load balancer of the manifest is set up, where it asks for one. Sources that are no networks are left out: loading
    /// the manifest reports them.
    pub fn load_balancer_settings(&self) -> Option<LoadBalancerSettings> {
        let section = self.load_balancer.as_ref()?;
        let listeners = section.listeners.iter().map(|listener| Listener {
            port: listener.port,
            protocol: listener.protocol,
            target_port: listener.target_port(),
            certificate: listener.certificate.clone(),
        });
        Some(LoadBalancerSettings {
            listeners: listeners.collect(),
            check: self.member_check(section),
            drain: Some(self.deploy.drain.0),
            sources: section.sources.iter().filter_map(|source| source.parse::<IpNet>().ok()).collect(),
        })
    }

    fn member_check(&self, section: &LoadBalancerSection) -> MemberCheck {
        let given = section.check.clone();
        let of_service = given.is_none();
        let check = given.unwrap_or_default();
        let (path, service_port) = match &self.health.check {
            HealthCheck::Http(http) if of_service && !http.https => (Some(http.path.clone()), Some(http.port())),
            other => (check.path, other.port().filter(|_| of_service)),
        };
        let first = section.listeners.first().map(ListenerSection::target_port);
        MemberCheck {
            protocol: path.map_or(CheckProtocol::Tcp, |path| CheckProtocol::Http { path }),
            port: check.port.or(service_port).or(first).unwrap_or_default(),
            interval: whole_seconds(check.interval),
            timeout: whole_seconds(check.timeout),
            healthy: check.healthy,
            unhealthy: check.unhealthy,
        }
    }
}

fn whole_seconds(duration: HumanDuration) -> Duration {
    Duration::from_secs(duration.0.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{HttpCheck, MemberCheckSection, Statuses, TcpCheck};

    fn with(check: HealthCheck, own: Option<MemberCheckSection>) -> MemberCheck {
        let text = "service = \"app\"\nprovider = \"p\"\nproviders = {}\n[image]\n[health]\ncheck = { tcp = { port = 1 } }\n\
                    [[load_balancer.listeners]]\nport = 443\nprotocol = \"tcp\"\ntarget_port = 8443\n";
        let mut manifest: Manifest = toml::from_str(text).unwrap();
        manifest.health.check = check;
        manifest.load_balancer.as_mut().unwrap().check = own;
        manifest.load_balancer_settings().unwrap().check
    }

    #[test]
    fn the_check_is_the_services_where_it_has_none_of_its_own() {
        let http = HttpCheck { port: Some(8080), path: "/health".to_owned(), ..HttpCheck::default() };
        let path = |path: &str| CheckProtocol::Http { path: path.to_owned() };
        let found = with(HealthCheck::Http(http.clone()), None);
        assert_eq!((found.protocol, found.port), (path("/health"), 8080));
        let found = with(HealthCheck::Tcp(TcpCheck { port: 9000 }), None);
        assert_eq!((found.protocol, found.port), (CheckProtocol::Tcp, 9000));
        // A balancer does not verify certificates, and a command is not for it.
        let tls = HttpCheck { https: true, expect: Statuses::one(204), ..http.clone() };
        let found = with(HealthCheck::Http(tls), None);
        assert_eq!((found.protocol, found.port), (CheckProtocol::Tcp, 8080));
        let command = HealthCheck::Command(crate::manifest::CommandCheck { command: "true".to_owned() });
        let found = with(command, None);
        assert_eq!((found.protocol, found.port), (CheckProtocol::Tcp, 8443));
        let own = MemberCheckSection { path: Some("/ready".to_owned()), ..MemberCheckSection::default() };
        let found = with(HealthCheck::Http(http), Some(own));
        assert_eq!((found.protocol, found.port), (path("/ready"), 8443));
    }
}
