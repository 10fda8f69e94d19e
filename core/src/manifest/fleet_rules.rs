//! Rules about several instances: the count, the load balancer in front of them, and how a deploy goes through them.

use std::collections::BTreeSet;

use ipnet::IpNet;

use super::{
    HealthCheck, LoadBalancerSection, Manifest, MemberCheckSection, Retire, StaticIpChoice, Strategy, tree::Step,
};
use crate::provider::{Capability, Descriptor, ListenerProtocol};

/// A value that cannot be: where it stands, what is wrong, and what to do.
pub(super) struct Problem {
    pub(super) path: Vec<Step>,
    pub(super) message: String,
    pub(super) help: &'static str,
}

/// What the manifest asks for and a provider cannot do.
pub(crate) struct Beyond {
    pub(super) path: Vec<Step>,
    pub(crate) message: String,
    pub(crate) help: String,
}

impl Manifest {
    /// What a provider cannot do of what the manifest asks for. `dns`: the one that serves the zone.
    pub(crate) fn beyond(&self, provider: &Descriptor, dns: &Descriptor) -> Vec<Beyond> {
        let Some(balancer) = &self.load_balancer else { return Vec::new() };
        let key = |name: &str| Step::Key(name.to_owned());
        let Descriptor { id: provider, capabilities, .. } = provider;
        if !capabilities.contains(&Capability::LoadBalancer) {
            let help = "set `instance.count = 1` and remove `[load_balancer]`, or choose another provider".to_owned();
            let message = format!("provider {provider} has no load balancers");
            return vec![Beyond { path: vec![key("load_balancer")], message, help }];
        }
        let mut found = Vec::new();
        if self.dns.is_some()
            && !capabilities.contains(&Capability::LoadBalancerAddress)
            && !dns.has(Capability::DnsAlias)
        {
            let zones = dns.id;
            let message =
                format!("load balancers of {provider} have a host name, and a record at {zones} cannot lead to one");
            let help = format!("let a provider with aliases serve the zone: `provider = \"{provider}\"`");
            found.push(Beyond { path: vec![key("dns")], message, help });
        }
        for (index, listener) in balancer.listeners.iter().enumerate() {
            let at = |name: &str| vec![key("load_balancer"), key("listeners"), Step::Index(index), key(name)];
            if listener.protocol != ListenerProtocol::Tcp && !capabilities.contains(&Capability::LoadBalancerHttp) {
                let message = format!("load balancers of {provider} do not understand HTTP");
                let help = "write `protocol = \"tcp\"`, and let the service do TLS".to_owned();
                found.push(Beyond { path: at("protocol"), message, help });
            }
            let moves = listener.target_port() != listener.port;
            if moves && !capabilities.contains(&Capability::LoadBalancerTargetPort) {
                let message = format!("load balancers of {provider} leave the port as it is");
                let help = format!("let the service listen on port {}, and leave `target_port` out", listener.port);
                found.push(Beyond { path: at("target_port"), message, help });
            }
        }
        found
    }
}

/// What is wrong with the fleet of a manifest.
pub(super) fn problems(manifest: &Manifest) -> Vec<Problem> {
    let mut found = Found(Vec::new());
    let count = manifest.instance.count;
    if count == 0 {
        found.refuse(&["instance", "count"], "no instance would serve".to_owned(), "set it to 1 or more");
    }
    match &manifest.load_balancer {
        None if count > 1 => {
            let message = format!("{count} instances need a load balancer");
            found.refuse(&["instance", "count"], message, "add `[load_balancer]`, or set `count = 1`");
        }
        None => {}
        Some(balancer) => {
            found.next_to(manifest);
            found.listeners(balancer);
            found.sources(balancer);
            found.check(manifest, balancer);
            if count > 0 {
                found.rollout(manifest, count);
            }
        }
    }
    found.0
}

struct Found(Vec<Problem>);

impl Found {
    fn refuse(&mut self, path: &[&str], message: String, help: &'static str) {
        let path = path.iter().map(|key| Step::Key((*key).to_owned())).collect();
        self.0.push(Problem { path, message, help });
    }

    fn at_item(&mut self, list: &str, index: usize, name: Option<&str>, message: String, help: &'static str) {
        let key = |name: &str| Step::Key(name.to_owned());
        let mut path = vec![key("load_balancer"), key(list), Step::Index(index)];
        path.extend(name.map(key));
        self.0.push(Problem { path, message, help });
    }

    /// What cannot be together with a load balancer.
    fn next_to(&mut self, manifest: &Manifest) {
        if let StaticIpChoice::Existing(ip) = manifest.address.static_ip {
            let message = format!("static IP {ip} cannot point at a load balancer, which has an address of its own");
            self.refuse(&["address", "static_ip"], message, "leave it out, and let clients use the name of `[dns]`");
        }
        if manifest.deploy.retire == Retire::Park {
            let message = "instances behind a load balancer cannot be parked".to_owned();
            self.refuse(&["deploy", "retire"], message, "leave it out: a rollback launches from the image that exists");
        }
    }

    fn listeners(&mut self, balancer: &LoadBalancerSection) {
        if balancer.listeners.is_empty() {
            let message = "no client could connect".to_owned();
            self.refuse(
                &["load_balancer", "listeners"],
                message,
                "add a listener: `[{ port = 80, protocol = \"http\" }]`",
            );
        }
        let mut ports = BTreeSet::new();
        for (index, listener) in balancer.listeners.iter().enumerate() {
            if listener.port == 0 {
                self.at_item("listeners", index, Some("port"), "port 0 cannot be used".to_owned(), "name a port");
            } else if !ports.insert(listener.port) {
                let message = format!("there are two listeners on port {}", listener.port);
                self.at_item("listeners", index, Some("port"), message, "remove one of them");
            }
            if listener.target_port == Some(0) {
                let help = "name the port that the service listens on";
                self.at_item("listeners", index, Some("target_port"), "port 0 cannot be used".to_owned(), help);
            }
            match (listener.protocol, &listener.certificate) {
                (ListenerProtocol::Https, None) => {
                    let message = "TLS needs a certificate".to_owned();
                    let help = "name one that exists in the account: `certificate = \"NAME\"`";
                    self.at_item("listeners", index, None, message, help);
                }
                (ListenerProtocol::Tcp | ListenerProtocol::Http, Some(_)) => {
                    let message = "no TLS ends here, so that the certificate is not used".to_owned();
                    let help = "write `protocol = \"https\"`, or leave it out";
                    self.at_item("listeners", index, Some("certificate"), message, help);
                }
                _ => {}
            }
        }
    }

    fn sources(&mut self, balancer: &LoadBalancerSection) {
        for (index, source) in balancer.sources.iter().enumerate() {
            match source.parse::<IpNet>() {
                Err(_) => {
                    let message = format!("`{source}` is not a network");
                    self.at_item("sources", index, None, message, "write an address and a length: \"203.0.113.0/24\"");
                }
                Ok(net) if net.trunc() != net => {
                    let message = format!("`{source}` has bits after its length");
                    self.at_item("sources", index, None, message, "write the first address of the network");
                }
                Ok(_) => {}
            }
        }
    }

    fn check(&mut self, manifest: &Manifest, balancer: &LoadBalancerSection) {
        const CHECK: [&str; 2] = ["load_balancer", "check"];
        let Some(check) = &balancer.check else {
            if let HealthCheck::Http(http) = &manifest.health.check
                && !http.https
                && !(200..300).any(|status| http.expects(status))
            {
                let message = format!(
                    "the load balancer can only expect 2xx, and `health.check` expects {}: its check could never pass",
                    http.status.map_or_else(|| http.expect.to_string(), |status| status.to_string())
                );
                let help = "give it a check of its own: `[load_balancer.check]`";
                self.refuse(&["load_balancer"], message, help);
            }
            return;
        };
        let mut refuse = |name: &str, message: String, help| self.refuse(&[CHECK[0], CHECK[1], name], message, help);
        if let Some(path) = check.path.as_ref().filter(|path| !path.starts_with('/')) {
            refuse("path", format!("`{path}` does not start with `/`"), "write the path alone: \"/health\"");
        }
        if check.port == Some(0) {
            refuse("port", "port 0 cannot be checked".to_owned(), "name the port that the service listens on");
        }
        for (name, duration) in [("interval", check.interval.0), ("timeout", check.timeout.0)] {
            if duration.as_secs() == 0 || duration.subsec_nanos() != 0 {
                refuse(name, "it must be whole seconds, at least one".to_owned(), "write \"5s\"");
            }
        }
        let MemberCheckSection { interval, timeout, .. } = check;
        if timeout.0 > interval.0 {
            let message = format!("{timeout} is longer than `interval` ({interval})");
            refuse("timeout", message, "a check must be over before the next one begins");
        }
        for (name, times) in [("healthy", check.healthy), ("unhealthy", check.unhealthy)] {
            if !(2..=10).contains(&times) {
                refuse(name, format!("{times} is out of range: clouds take 2 to 10"), "2 is the quickest");
            }
        }
    }

    fn rollout(&mut self, manifest: &Manifest, count: u32) {
        let deploy = &manifest.deploy;
        if deploy.strategy == Strategy::All {
            return;
        }
        let mut refuse = |name: &str, message: String, help| self.refuse(&["deploy", name], message, help);
        let batch = deploy.batch.of(count);
        if batch == 0 {
            refuse("batch", "no instance would be replaced".to_owned(), "set it to 1 or more");
        }
        let canary = deploy.strategy == Strategy::Canary;
        if canary && (deploy.canary == 0 || deploy.canary >= count) {
            let message = format!("{} of {count} instances cannot be watched before the rest", deploy.canary);
            refuse("canary", message, "choose fewer than `instance.count` and more than none, or another `strategy`");
        }
        let unavailable = deploy.max_unavailable.at_most_of(count);
        if unavailable >= count {
            let message = format!("{} of {count} instances may be missing, so that none would serve", unavailable);
            refuse("max_unavailable", message, "leave at least one");
        }
        let Some(surge) = deploy.max_surge.map(|surge| surge.of(count)) else { return };
        if surge + unavailable == 0 {
            let message = "no instance may be added and none may be missing, so that none can be replaced".to_owned();
            refuse("max_surge", message, "set it to 1 or more, or `max_unavailable`");
        } else if canary && surge < deploy.canary {
            let message = format!("{} canaries are launched next to {count} instances, not {surge}", deploy.canary);
            refuse("max_surge", message, "set it to `canary` or more, or leave it out");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fake::{Actor, FakeCloud, Flavour, Pace, World},
        manifest::tree::show,
        provider::Provider as _,
    };

    const BASE: &str = "service = \"app\"\nprovider = \"p\"\nproviders = {}\n[image]\n[health]\n\
                        check = { http = { path = \"/health\", port = 8080 } }\n";
    const BALANCER: &str = "[load_balancer]\nlisteners = [{ port = 80, protocol = \"http\", target_port = 8080 }]\n";

    fn found(text: &str) -> Vec<String> {
        let manifest: Manifest = toml::from_str(&format!("{BASE}{text}")).unwrap();
        problems(&manifest).into_iter().map(|problem| format!("{}: {}", show(&problem.path), problem.message)).collect()
    }

    #[test]
    fn what_can_be_is_accepted() {
        for text in [
            "",
            "[instance]\ncount = 1\n",
            "[instance]\ncount = 3\n[load_balancer]\nlisteners = [{ port = 80 }]\n",
            "[instance]\ncount = 3\n[load_balancer]\nlisteners = [{ port = 443, protocol = \"https\", certificate = \"c\" }]\n\
             sources = [\"10.0.0.0/8\", \"2001:db8::/32\"]\ncheck = { path = \"/ready\", interval = \"10s\" }\n\
             [deploy]\nstrategy = \"canary\"\nbatch = \"50%\"\ncanary = 2\nmax_unavailable = 1\n",
            // A single instance without a balancer has one wave, whatever the strategy says.
            "[deploy]\nstrategy = \"rolling\"\nbatch = 0\n",
        ] {
            assert!(found(text).is_empty(), "{text}: {:?}", found(text));
        }
    }

    #[test]
    fn what_the_provider_cannot_do_is_refused_with_the_alternative() {
        let zone = "[dns]\nzone = \"example.org\"\nname = \"www\"\n";
        let manifest: Manifest = toml::from_str(&format!("{BASE}[instance]\ncount = 2\n{BALANCER}{zone}")).unwrap();
        let usual = FakeCloud::connect(&World::new(Pace::default(), Flavour::default()), Actor("somebody".to_owned()))
            .descriptor();
        let beyond_with = |capabilities: &'static [Capability], dns: &'static [Capability]| {
            let provider = |id, capabilities| Descriptor { id, capabilities, ..*usual };
            let all = manifest.beyond(&provider("p", capabilities), &provider("q", dns));
            all.into_iter().map(|beyond| format!("{}: {}", show(&beyond.path), beyond.help)).collect::<Vec<_>>()
        };
        use Capability::{DnsAlias, LoadBalancer, LoadBalancerAddress, LoadBalancerHttp, LoadBalancerTargetPort};
        const NAMED: &[Capability] = &[LoadBalancer, LoadBalancerHttp, LoadBalancerTargetPort];
        let beyond = |capabilities| beyond_with(capabilities, &[]);
        assert!(beyond(&[LoadBalancer, LoadBalancerHttp, LoadBalancerTargetPort, LoadBalancerAddress]).is_empty());
        assert!(beyond_with(NAMED, &[DnsAlias]).is_empty());
        assert_eq!(beyond(NAMED), ["dns: let a provider with aliases serve the zone: `provider = \"p\"`"]);
        assert!(beyond(&[])[0].starts_with("load_balancer: set `instance.count = 1`"));
        let all = beyond(&[LoadBalancer, LoadBalancerAddress]);
        assert!(all[0].starts_with("load_balancer.listeners[0].protocol: write `protocol = \"tcp\"`"), "{all:?}");
        assert!(all[1].starts_with("load_balancer.listeners[0].target_port: let the service listen on port 80"));
        assert_eq!(all.len(), 2);
    }

    #[test]
    fn what_cannot_be_is_refused_where_it_stands() {
        let fleet = format!("[instance]\ncount = 3\n{BALANCER}");
        let deploy = |text: &str| format!("{fleet}[deploy]\n{text}\n");
        let check = |text: &str| format!("{fleet}check = {{ {text} }}\n");
        let listeners = |text: &str| format!("[load_balancer]\nlisteners = [{text}]\n");
        for (text, place, words) in [
            ("[instance]\ncount = 0\n".to_owned(), "instance.count", "no instance"),
            ("[instance]\ncount = 2\n".to_owned(), "instance.count", "2 instances need a load balancer"),
            (format!("{BALANCER}[address]\nstatic_ip = {{ existing = \"192.0.2.1\" }}\n"), "address.static_ip", "own"),
            (deploy("retire = \"park\""), "deploy.retire", "parked"),
            (listeners(""), "load_balancer.listeners", "no client"),
            (listeners("{ port = 0 }"), "load_balancer.listeners[0].port", "port 0"),
            (listeners("{ port = 80 }, { port = 80 }"), "load_balancer.listeners[1].port", "two listeners"),
            (listeners("{ port = 80, target_port = 0 }"), "load_balancer.listeners[0].target_port", "port 0"),
            (listeners("{ port = 443, protocol = \"https\" }"), "load_balancer.listeners[0]", "certificate"),
            (listeners("{ port = 443, certificate = \"c\" }"), "load_balancer.listeners[0].certificate", "is not used"),
            (format!("{BALANCER}sources = [\"10.0.0.0\"]\n"), "load_balancer.sources[0]", "not a network"),
            (format!("{BALANCER}sources = [\"10.0.0.1/8\"]\n"), "load_balancer.sources[0]", "bits after"),
            (check("path = \"health\""), "load_balancer.check.path", "start with `/`"),
            (check("port = 0"), "load_balancer.check.port", "port 0"),
            (check("interval = \"5500ms\""), "load_balancer.check.interval", "whole seconds"),
            (check("timeout = \"9s\""), "load_balancer.check.timeout", "longer than `interval`"),
            (check("healthy = 1"), "load_balancer.check.healthy", "2 to 10"),
            (check("unhealthy = 11"), "load_balancer.check.unhealthy", "2 to 10"),
            (deploy("strategy = \"rolling\"\nbatch = 0"), "deploy.batch", "no instance"),
            (deploy("strategy = \"canary\"\ncanary = 3"), "deploy.canary", "3 of 3"),
            (deploy("strategy = \"canary\"\ncanary = 0"), "deploy.canary", "0 of 3"),
            (deploy("strategy = \"rolling\"\nmax_unavailable = 3"), "deploy.max_unavailable", "none would serve"),
            (deploy("strategy = \"rolling\"\nmax_surge = 0"), "deploy.max_surge", "none can be replaced"),
            (deploy("strategy = \"canary\"\ncanary = 2\nmax_surge = 1"), "deploy.max_surge", "2 canaries"),
        ] {
            let all = found(&text);
            assert_eq!(all.len(), 1, "{text}: {all:?}");
            assert!(all[0].starts_with(&format!("{place}: ")) && all[0].contains(words), "{text}: {all:?}");
        }
        let redirect = format!("{}{BALANCER}", BASE.replace("port = 8080 }", "port = 8080, expect = 301 }"));
        let manifest: Manifest = toml::from_str(&redirect).unwrap();
        assert!(problems(&manifest)[0].message.contains("could never pass"), "{redirect}");
    }
}
