//! What every cloud would refuse, refused before any is asked.

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use secrecy::ExposeSecret as _;

use super::{
    Capability, CheckProtocol, Descriptor, Error, ErrorKind, Labels, LaunchSpec, Limits, Listener, ListenerProtocol,
    LoadBalancerSpec, MemberCheck, RecordKind, RecordSet, Result, user_data_size,
};

/// What all label keys begin with.
const PREFIX: &str = "remint:";
/// What the names of all load balancers begin with.
const BALANCER_PREFIX: &str = "remint-";
/// The longest name of a load balancer, in characters: AWS allows no more.
const BALANCER_NAME: usize = 32;
/// The longest label of a domain name, in bytes (RFC 1035, section 2.3.4).
const DNS_LABEL: usize = 63;
/// The longest domain name, in characters and without the final dot.
const DNS_NAME: usize = 253;

impl LaunchSpec {
    /// Refuses names, labels and user data that the contract of [`super::Instances::launch`] does not allow. Providers
    /// call it first; what only one cloud refuses (a label's length) they add themselves.
    ///
    /// # Errors
    ///
    /// `InvalidInput`, in the name of `operation`. It never tells what is in the user data.
    pub fn check(&self, operation: &'static str, limits: &Limits) -> Result<()> {
        let invalid = |problem: String| Err(Error::new(ErrorKind::InvalidInput, operation, problem));
        match self.names.len() {
            0 => return invalid("no name was given".to_owned()),
            count if count > limits.launch_batch => {
                return invalid(format!("{count} names in one launch; {} is the most", limits.launch_batch));
            }
            _ => {}
        }
        let mut seen = BTreeSet::new();
        for name in &self.names {
            if let Some(problem) = bad_instance_name(name, limits.name_length) {
                return invalid(format!("`{name}` cannot be an instance's name: {problem}"));
            }
            if !seen.insert(name) {
                return invalid(format!("the name `{name}` is given twice"));
            }
        }
        let size = self.user_data.as_ref().map_or(0, |data| user_data_size(data.expose_secret()));
        if size > limits.user_data_bytes {
            return invalid(format!("user data of {size} bytes; {} is the most", limits.user_data_bytes));
        }
        if self.labels.0.is_empty() {
            return invalid("an instance without labels would not be found again".to_owned());
        }
        self.labels.check(operation)
    }
}

fn bad_instance_name(name: &str, longest: usize) -> Option<String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty() {
        return Some("it is empty".to_owned());
    }
    if name.chars().count() > longest {
        return Some(format!("it has {} characters; {longest} is the most", name.chars().count()));
    }
    if !name.chars().all(plain) || name.starts_with('-') || name.ends_with('-') {
        return Some("it is made of `a-z`, `0-9`, and `-` between them".to_owned());
    }
    None
}

impl Labels {
    /// Refuses keys that are not Remint's, and values that are empty.
    ///
    /// # Errors
    ///
    /// `InvalidInput`, in the name of `operation`.
    pub fn check(&self, operation: &'static str) -> Result<()> {
        for (key, value) in self.iter() {
            if key.strip_prefix(PREFIX).is_none_or(str::is_empty) {
                let problem = format!("label key `{key}` does not start with `{PREFIX}`");
                return Err(Error::new(ErrorKind::InvalidInput, operation, problem));
            }
            if value.is_empty() {
                return Err(Error::new(ErrorKind::InvalidInput, operation, format!("label `{key}` has no value")));
            }
        }
        Ok(())
    }
}

impl LoadBalancerSpec {
    /// Refuses names, ports and checks that the contract of [`super::LoadBalancers::ensure`] does not allow, and what needs a
    /// capability that is not declared. Providers call it first; what only one cloud refuses (the range of an interval) they
    /// add themselves.
    ///
    /// # Errors
    ///
    /// `InvalidInput` or `Unsupported`, in the name of `operation`.
    pub fn check(&self, operation: &'static str, descriptor: &Descriptor) -> Result<()> {
        let error = |kind, problem: String| Error::new(kind, operation, problem).with_resource(&self.name);
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let rest = self.name.strip_prefix(BALANCER_PREFIX).unwrap_or_default();
        if rest.is_empty() || self.name.len() > BALANCER_NAME || !self.name.chars().all(plain) {
            let problem = format!(
                "`{}` cannot be a load balancer's name: `{BALANCER_PREFIX}` and more, at most {BALANCER_NAME} characters of \
                 `a-z`, `0-9` and `-`",
                self.name
            );
            return Err(error(ErrorKind::InvalidInput, problem));
        }
        self.labels.check(operation)?;
        let settings = &self.settings;
        let mut ports = BTreeSet::new();
        let twice = settings.listeners.iter().find(|listener| !ports.insert(listener.port));
        let problem = match twice {
            Some(listener) => Some(format!("port {} is given twice", listener.port)),
            None if ports.is_empty() => Some("no port was given".to_owned()),
            None => settings.listeners.iter().find_map(bad_listener).or_else(|| bad_check(&settings.check)),
        };
        let drain = settings.drain.filter(|time| time.subsec_nanos() > 0);
        let problem = problem.or_else(|| drain.map(|time| format!("a drain time of {time:?}; it has whole seconds")));
        if let Some(problem) = problem {
            return Err(error(ErrorKind::InvalidInput, problem));
        }
        let needed = settings.listeners.iter().flat_map(needed).find(|needed| !descriptor.has(*needed));
        match needed {
            Some(needed) => Err(Error::unsupported(operation, needed).with_resource(&self.name)),
            None => Ok(()),
        }
    }
}

fn bad_listener(listener: &Listener) -> Option<String> {
    let Listener { port, protocol, target_port, certificate } = listener;
    match certificate.as_deref() {
        _ if *port == 0 || *target_port == 0 => Some("port 0 is no port".to_owned()),
        None | Some("") if *protocol == ListenerProtocol::Https => Some(format!("port {port} has no certificate")),
        Some(_) if *protocol != ListenerProtocol::Https => {
            Some(format!("port {port} has a certificate, and does not end TLS"))
        }
        _ => None,
    }
}

/// The capabilities that a port needs.
fn needed(listener: &Listener) -> impl Iterator<Item = Capability> {
    let http = (listener.protocol != ListenerProtocol::Tcp).then_some(Capability::LoadBalancerHttp);
    let other = (listener.target_port != listener.port).then_some(Capability::LoadBalancerTargetPort);
    http.into_iter().chain(other)
}

fn bad_check(check: &MemberCheck) -> Option<String> {
    let whole = |time: Duration| time.as_secs() > 0 && time.subsec_nanos() == 0;
    if check.port == 0 {
        return Some("port 0 cannot be checked".to_owned());
    }
    if check.healthy == 0 || check.unhealthy == 0 {
        return Some("a member is judged after 1 check at least".to_owned());
    }
    if !whole(check.interval) || !whole(check.timeout) {
        let MemberCheck { interval, timeout, .. } = check;
        return Some(format!("checks every {interval:?} within {timeout:?}; both have whole seconds, 1 at least"));
    }
    match &check.protocol {
        CheckProtocol::Http { path } if !path.starts_with('/') => Some(format!("`{path}` does not begin with `/`")),
        _ => None,
    }
}

impl RecordSet {
    /// Refuses names, values and a TTL that the contract of [`super::DnsZones::upsert`] does not allow. Providers call it
    /// first.
    ///
    /// # Errors
    ///
    /// `InvalidInput`, in the name of `operation`.
    pub fn check(&self, operation: &'static str, descriptor: &Descriptor) -> Result<()> {
        let invalid =
            |problem: String| Err(Error::new(ErrorKind::InvalidInput, operation, problem).with_resource(self.fqdn()));
        let limits = &descriptor.limits;
        if self.ttl < limits.dns_min_ttl {
            let (ttl, least) = (self.ttl.as_secs(), limits.dns_min_ttl.as_secs());
            return invalid(format!("a TTL of {ttl} s; {least} s is the least"));
        }
        if !is_record_name(&self.name, &self.zone) {
            return invalid(format!(
                "`{}` cannot be a record's name: its labels are 1 to {DNS_LABEL} of letters, digits, `-` and `_`, only the \
                 first may be `*`, and with the zone it has at most {DNS_NAME} characters",
                self.name
            ));
        }
        if self.values.is_empty() {
            return invalid("a record set without values; remove it instead".to_owned());
        }
        if self.kind == RecordKind::Cname && self.values.len() > 1 {
            return invalid(format!("a CNAME has one value, not {}", self.values.len()));
        }
        if descriptor.has(Capability::DnsAlias) && self.alias().is_some_and(is_host_name) {
            return Ok(());
        }
        match self.values.iter().find(|value| !is_value(self.kind, value)) {
            Some(value) => invalid(format!("`{value}` cannot be the value of a record of kind {}", self.kind)),
            None => Ok(()),
        }
    }
}

/// Whether a name below a zone can be a record's: `@`, a domain name, or one with a `*` in front; and with the zone it is no
/// longer than DNS has.
pub fn is_record_name(name: &str, zone: &str) -> bool {
    let below = name.strip_prefix("*.").unwrap_or(name);
    name == "@" || (name == "*" || is_domain_name(below)) && name.len() + 1 + zone.len() <= DNS_NAME
}

fn is_domain_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    name.split('.').all(|label| (1..=DNS_LABEL).contains(&label.len()) && label.bytes().all(plain))
}

/// Whether a value can be the name of a host, and cannot be meant as an address.
fn is_host_name(value: &str) -> bool {
    let last = value.rsplit('.').next().unwrap_or_default();
    let numeric = last.bytes().all(|byte| byte.is_ascii_digit());
    value.len() <= DNS_NAME && value.contains('.') && !numeric && is_domain_name(value)
}

fn is_value(kind: RecordKind, value: &str) -> bool {
    match kind {
        RecordKind::A => value.parse::<Ipv4Addr>().is_ok(),
        RecordKind::Aaaa => value.parse::<Ipv6Addr>().is_ok(),
        RecordKind::Cname => value.len() <= DNS_NAME && is_domain_name(value.strip_suffix('.').unwrap_or(value)),
        RecordKind::Txt => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::{Guest, LoadBalancerSettings, label};

    const LIMITS: Limits = Limits {
        user_data_bytes: 8,
        launch_batch: 2,
        dns_min_ttl: Duration::from_secs(30),
        name_length: 10,
        launch_time: Duration::ZERO,
        capture_time: Duration::ZERO,
        assign_time: Duration::ZERO,
        balancer_time: Duration::ZERO,
        destroy_time: Duration::ZERO,
        settle_time: Duration::ZERO,
    };

    fn launch(names: &[&str]) -> LaunchSpec {
        LaunchSpec {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            new_names: false,
            image: "1".into(),
            size: "small".into(),
            region: "here".into(),
            labels: Labels::new().with(label::SERVICE, "app"),
            user_data: None,
            login_keys: Vec::new(),
        }
    }

    fn refused(spec: &LaunchSpec) -> Option<String> {
        spec.check("test", &LIMITS).err().map(|error| {
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            error.to_string()
        })
    }

    #[test]
    fn names_are_few_short_plain_and_distinct() {
        for good in [&["a"][..], &["a-1", "b-1"], &["0123456789"]] {
            assert_eq!(refused(&launch(good)), None);
        }
        for bad in [&[][..], &["a", "b", "c"], &["a", "a"], &["01234567890"], &["A"], &["a_b"], &["-a"], &["a-"], &[""]]
        {
            assert!(refused(&launch(bad)).is_some(), "{bad:?}");
        }
    }

    #[test]
    fn user_data_is_measured_in_bytes_and_not_told() {
        assert_eq!(refused(&LaunchSpec { user_data: Some("12345678".into()), ..launch(&["a"]) }), None);
        let message = refused(&LaunchSpec { user_data: Some("secüret!".into()), ..launch(&["a"]) }).unwrap();
        assert!(message.contains("9 bytes") && !message.contains("sec"), "{message}");
    }

    #[test]
    fn labels_are_of_remint_and_have_values() {
        for (key, value) in [("service", "app"), ("remint:", "app"), ("remint:service", "")] {
            assert!(
                refused(&LaunchSpec { labels: Labels::new().with(key, value), ..launch(&["a"]) }).is_some(),
                "{key}"
            );
        }
        assert!(refused(&LaunchSpec { labels: Labels::new(), ..launch(&["a"]) }).is_some());
    }

    fn balancer() -> LoadBalancerSpec {
        let listener = Listener { port: 80, protocol: ListenerProtocol::Tcp, target_port: 80, certificate: None };
        let check = MemberCheck {
            protocol: CheckProtocol::Http { path: "/".to_owned() },
            port: 80,
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(5),
            healthy: 3,
            unhealthy: 5,
        };
        let settings = LoadBalancerSettings { listeners: vec![listener], check, drain: None, sources: Vec::new() };
        let labels = Labels::new().with(label::SERVICE, "app");
        LoadBalancerSpec { name: "remint-0123456789abcdef".to_owned(), labels, region: "here".into(), settings }
    }

    #[test]
    fn load_balancers_are_what_every_cloud_can_hold() {
        const MODEST: &[Capability] = &[Capability::LoadBalancer];
        const FULL: &[Capability] =
            &[Capability::LoadBalancer, Capability::LoadBalancerHttp, Capability::LoadBalancerTargetPort];
        type Change = fn(&mut LoadBalancerSpec);
        let refused = |capabilities, change: Change| {
            let descriptor = Descriptor { id: "x", title: "X", capabilities, limits: LIMITS, guest: Guest::CLOUD_INIT };
            let mut spec = balancer();
            change(&mut spec);
            spec.check("test", &descriptor).err().map(|error| error.kind())
        };
        let tls: Change = |spec| {
            spec.settings.listeners[0].protocol = ListenerProtocol::Https;
            spec.settings.listeners[0].certificate = Some("app".to_owned());
        };
        let other_port: Change = |spec| spec.settings.listeners[0].target_port = 8080;
        assert_eq!(refused(MODEST, |_| ()), None);
        for change in [tls, other_port] {
            assert_eq!(refused(FULL, change), None);
            assert_eq!(refused(MODEST, change), Some(ErrorKind::Unsupported));
        }
        let changes: [Change; 17] = [
            |spec| spec.name = "remint-".to_owned(),
            |spec| spec.name = "app-0123456789abcdef".to_owned(),
            |spec| spec.name.push('_'),
            |spec| spec.name.push_str("0123456789"),
            |spec| spec.labels = Labels::new().with("service", "app"),
            |spec| spec.settings.listeners.clear(),
            |spec| spec.settings.listeners.extend(balancer().settings.listeners),
            |spec| spec.settings.listeners[0].port = 0,
            |spec| spec.settings.listeners[0].target_port = 0,
            |spec| spec.settings.listeners[0].certificate = Some("app".to_owned()),
            |spec| spec.settings.listeners[0].protocol = ListenerProtocol::Https,
            |spec| spec.settings.check.port = 0,
            |spec| spec.settings.check.healthy = 0,
            |spec| spec.settings.check.unhealthy = 0,
            |spec| spec.settings.check.timeout = Duration::from_millis(1500),
            |spec| spec.settings.check.protocol = CheckProtocol::Http { path: "health".to_owned() },
            |spec| spec.settings.drain = Some(Duration::from_millis(1500)),
        ];
        for (place, change) in changes.into_iter().enumerate() {
            assert_eq!(refused(FULL, change), Some(ErrorKind::InvalidInput), "change {place}");
        }
    }

    #[test]
    fn record_sets_are_what_a_zone_can_hold() {
        let set = |name: &str, kind, values: &[&str]| RecordSet {
            zone: "example.org".to_owned(),
            name: name.to_owned(),
            kind,
            ttl: LIMITS.dns_min_ttl,
            values: values.iter().map(|value| (*value).to_owned()).collect(),
        };
        let zones =
            |capabilities| Descriptor { id: "x", title: "X", capabilities, limits: LIMITS, guest: Guest::CLOUD_INIT };
        let (plain, aliases) = (zones(&[]), zones(&[Capability::DnsAlias]));
        let holds = |set: &RecordSet| set.check("test", &plain).is_ok();
        use RecordKind::{A, Aaaa, Cname, Txt};
        for (name, kind, value) in [
            ("@", A, "192.0.2.1"),
            ("*", A, "192.0.2.1"),
            ("*.a.b", Aaaa, "2001:db8::1"),
            ("_acme-challenge.www", Txt, "a \"b\" ü"),
            ("www", Cname, "elsewhere.example"),
            ("www", Cname, "elsewhere.example."),
        ] {
            assert!(holds(&set(name, kind, &[value])), "{name} {kind} {value}");
        }
        let long = "w".repeat(64);
        for (name, kind, value) in [
            ("", A, "192.0.2.1"),
            ("a..b", A, "192.0.2.1"),
            ("a.*", A, "192.0.2.1"),
            ("*.*", A, "192.0.2.1"),
            ("a b", A, "192.0.2.1"),
            (&*long, A, "192.0.2.1"),
            (&*[&long[1..]; 4].join("."), A, "192.0.2.1"),
            ("www", A, "2001:db8::1"),
            ("www", Aaaa, "192.0.2.1"),
            ("www", A, ""),
            ("www", A, "192.0.2"),
            ("www", A, "192.0.2.300"),
            ("www", A, "host"),
            ("www", Cname, "not a name"),
        ] {
            for zones in [&plain, &aliases] {
                assert!(set(name, kind, &[value]).check("test", zones).is_err(), "{name} {kind} {value}");
            }
        }
        let alias = set("@", A, &["app-1.elb.example"]);
        assert!(alias.check("test", &aliases).is_ok() && !holds(&alias));
        assert_eq!((alias.alias(), set("@", A, &["192.0.2.1"]).alias()), (Some("app-1.elb.example"), None));
        assert!(set("@", A, &["app-1.elb.example", "192.0.2.1"]).check("test", &aliases).is_err());
        assert!(!holds(&set("www", A, &[])) && !holds(&set("www", Cname, &["a.example", "b.example"])));
        assert!(!holds(&RecordSet { ttl: Duration::from_secs(29), ..set("www", A, &["192.0.2.1"]) }));
    }
}
