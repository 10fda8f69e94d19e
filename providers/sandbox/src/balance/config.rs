//! HAProxy's configuration.

use std::{
    collections::BTreeSet,
    fmt::{self, Write as _},
    net::Ipv4Addr,
    time::Duration,
};

use remint_core::provider::PortMap;

use crate::cloud::balancer::{BalancerSnapshot, CheckProtocol, MemberCheck, NoneHealthy, Protocol};

/// The control socket, in the folder of the process.
pub(super) const SOCKET: &str = "admin.sock";

/// The control socket of the process that starts the others.
pub(super) const MASTER: &str = "master.sock";

/// How long a connection may be idle: of DigitalOcean's `http_idle_timeout_seconds` the default, and for bytes what its
/// documentation says of TCP connections.
const IDLE_HTTP: Duration = Duration::from_secs(60);
const IDLE_TCP: Duration = Duration::from_secs(60 * 60);

/// The file descriptors that one may have. HAProxy reserves memory for each that it could have, and some machines allow a thousand
/// million.
const DESCRIPTORS: u32 = 8000;

/// Members that get connections, with the ports of the listeners that they get them from.
pub(super) type InService = BTreeSet<(u16, u64)>;

/// The name of the part that has a listener's members.
pub(super) fn backend(port: u16) -> String {
    format!("to-{port}")
}

/// The name of the part that has the same members without checks: where no member is healthy, connections go there.
pub(super) fn spare(backend: &str) -> String {
    format!("{SPARE}{backend}")
}

/// The part whose members a part has without checks.
pub(super) fn checked(spare: &str) -> Option<&str> {
    spare.strip_prefix(SPARE)
}

const SPARE: &str = "any-";

/// The name of a member there.
pub(super) fn server(member: u64) -> String {
    format!("i-{member}")
}

/// The member that a name is of.
pub(super) fn member(server: &str) -> Option<u64> {
    server.strip_prefix("i-")?.parse().ok()
}

/// All but the members: what takes a new configuration when it changes.
pub(super) fn differs(one: &BalancerSnapshot, other: &BalancerSnapshot) -> bool {
    one.without_members() != other.without_members()
}

/// A member of a listener, as HAProxy's configuration and its control socket take it after the name.
pub(super) fn at(address: Ipv4Addr, target_port: u16, check: &MemberCheck, ports: PortMap) -> String {
    format!(
        "{address}:{} check port {} inter {} rise {} fall {} weight 100",
        ports.resolve(target_port),
        ports.resolve(check.port),
        Milliseconds(check.interval),
        check.healthy,
        check.unhealthy
    )
}

/// A member without checks.
pub(super) fn unchecked(address: Ipv4Addr, target_port: u16, ports: PortMap) -> String {
    format!("{address}:{} weight 100", ports.resolve(target_port))
}

/// The whole file. Members that are `in_service` get connections at once; the others wait until they are enabled.
pub(super) fn render(balancer: &BalancerSnapshot, in_service: &InService, ports: PortMap) -> String {
    // Writing to a string cannot fail.
    let mut text = String::new();
    let _ = write(&mut text, balancer, in_service, ports);
    text
}

fn write(text: &mut String, balancer: &BalancerSnapshot, in_service: &InService, ports: PortMap) -> fmt::Result {
    write!(
        text,
        "global\n    nbthread 1\n    noreuseport\n    fd-hard-limit {DESCRIPTORS}\n    \
         stats socket unix@{SOCKET} mode 600 level admin expose-fd listeners\n\n\
         defaults\n    timeout connect 5s\n    \
         # One that takes no connection while its checks still pass is to be seen.\n    retries 0\n"
    )?;
    for listener in &balancer.listeners {
        let (port, address) = (listener.port, balancer.address);
        let (mode, idle) = match listener.protocol {
            Protocol::Http => ("http", IDLE_HTTP),
            Protocol::Tcp | Protocol::Tls => ("tcp", IDLE_TCP),
        };
        let idle = Milliseconds(idle);
        write!(
            text,
            "\nfrontend at-{port}\n    mode {mode}\n    timeout client {idle}\n    bind {address}:{}\n",
            ports.resolve(port)
        )?;
        if !balancer.sources.is_empty() {
            let sources: Vec<String> = balancer.sources.iter().map(ToString::to_string).collect();
            writeln!(text, "    tcp-request connection reject unless {{ src {} }}", sources.join(" "))?;
        }
        if listener.protocol == Protocol::Http {
            write!(
                text,
                "    # A connection that a client keeps is not closed under its next request by a new configuration.\n    \
                 option idle-close-on-response\n    option forwardfor\n    http-request set-header X-Forwarded-Proto http\n    \
                 http-request set-header X-Forwarded-Port {port}\n"
            )?;
        }
        let (backend, pool) = (backend(port), balancer.of(listener));
        let check = &pool.check;
        if balancer.none_healthy == NoneHealthy::Spread {
            writeln!(text, "    use_backend {} if {{ nbsrv({backend}) eq 0 }}", spare(&backend))?;
        }
        writeln!(text, "    default_backend {backend}")?;
        let open = |text: &mut String, backend: &str| -> fmt::Result {
            write!(text, "\nbackend {backend}\n    mode {mode}\n    timeout server {idle}\n    balance roundrobin\n")?;
            if listener.protocol == Protocol::Http {
                text.push_str("    option http-server-close\n");
            }
            Ok(())
        };
        open(text, &backend)?;
        writeln!(text, "    timeout check {}", Milliseconds(check.timeout))?;
        if let CheckProtocol::Http { path } = &check.protocol {
            write!(
                text,
                "    option httpchk\n    http-check send meth GET uri {}\n    http-check expect status 200-299\n",
                quoted(path)
            )?;
        }
        for (member, address) in &pool.members {
            let at = at(*address, listener.target_port, check, ports);
            let waits = if in_service.contains(&(port, *member)) { "" } else { " disabled" };
            writeln!(text, "    server {} {at}{waits}", server(*member))?;
        }
        if balancer.none_healthy == NoneHealthy::Spread {
            open(text, &spare(&backend))?;
            for (member, address) in &pool.members {
                writeln!(text, "    server {} {}", server(*member), unchecked(*address, listener.target_port, ports))?;
            }
        }
    }
    Ok(())
}

/// A time as HAProxy reads it.
struct Milliseconds(Duration);

impl fmt::Display for Milliseconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}ms", self.0.as_millis())
    }
}

/// A word that HAProxy takes as it is, whatever is in it.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::cloud::balancer::{Listener, PoolSnapshot};

    const MOVED: PortMap = PortMap { through: 1023, offset: 20000 };

    fn balancer() -> BalancerSnapshot {
        let listener = |port, protocol, target_port| Listener { port, protocol, target_port, pool: None };
        BalancerSnapshot {
            id: 5,
            address: Ipv4Addr::new(127, 7, 128, 10),
            listeners: vec![listener(80, Protocol::Http, 8080), listener(443, Protocol::Tls, 443)],
            check: MemberCheck {
                protocol: CheckProtocol::Http { path: "/it's up".to_owned() },
                port: 81,
                interval: Duration::from_millis(100),
                timeout: Duration::from_secs(5),
                healthy: 3,
                unhealthy: 5,
            },
            sources: vec!["10.0.0.0/8".parse().unwrap(), "192.0.2.1/32".parse().unwrap()],
            members: [(7, Ipv4Addr::new(127, 7, 0, 10)), (8, Ipv4Addr::new(127, 7, 0, 11))].into(),
            none_healthy: NoneHealthy::Refuse,
            drain: None,
            first_pass: false,
            join: Duration::ZERO,
            leave: Duration::ZERO,
            known: BTreeSet::new(),
            pools: BTreeMap::new(),
        }
    }

    #[test]
    fn ports_are_moved_and_members_wait_that_are_not_in_service() {
        let text = render(&balancer(), &[(80, 8), (443, 8)].into(), MOVED);
        for line in [
            "    bind 127.7.128.10:20080\n",
            "    bind 127.7.128.10:20443\n",
            "    server i-7 127.7.0.10:8080 check port 20081 inter 100ms rise 3 fall 5 weight 100 disabled\n",
            "    server i-8 127.7.0.11:8080 check port 20081 inter 100ms rise 3 fall 5 weight 100\n",
            "    server i-8 127.7.0.11:20443 check port 20081 inter 100ms rise 3 fall 5 weight 100\n",
            "    tcp-request connection reject unless { src 10.0.0.0/8 192.0.2.1/32 }\n",
            "    http-check send meth GET uri '/it'\\''s up'\n",
        ] {
            assert!(text.contains(line), "{line} is not in {text}");
        }
        assert_eq!(text.matches("mode tcp").count(), 2, "TLS passes through: {text}");
        assert!(!text.contains("nbsrv"), "nobody gets connections who is not healthy: {text}");
    }

    #[test]
    fn a_pool_has_its_own_check_and_all_its_members_where_none_is_healthy() {
        let mut spread = balancer();
        spread.none_healthy = NoneHealthy::Spread;
        spread.listeners[1].pool = Some(3);
        let check = MemberCheck { protocol: CheckProtocol::Tcp, port: 443, healthy: 2, ..spread.check.clone() };
        let members = [(9, Ipv4Addr::new(127, 7, 0, 12))].into();
        spread.pools.insert(3, PoolSnapshot { check, members, drain: None, cuts: true, known: BTreeSet::new() });
        let text = render(&spread, &BTreeSet::new(), MOVED);
        let part = |name: &str| {
            let from = text.find(&format!("\n{name}\n")).unwrap() + 1;
            text[from..].split("\n\n").next().unwrap().to_owned()
        };
        assert!(part("frontend at-443").contains("use_backend any-to-443 if { nbsrv(to-443) eq 0 }"), "{text}");
        let pool = part("backend to-443");
        assert!(pool.contains("server i-9 127.7.0.12:20443 check port 20443 inter 100ms rise 2 fall 5"), "{pool}");
        assert!(!pool.contains("httpchk") && !pool.contains("i-7"), "{pool}");
        assert!(part("backend any-to-443").contains("server i-9 127.7.0.12:20443 weight 100"), "{text}");
        assert!(part("backend any-to-80").contains("server i-7 127.7.0.10:8080 weight 100"), "{text}");
    }

    #[test]
    fn members_alone_take_no_new_configuration() {
        let (one, mut other) = (balancer(), balancer());
        other.members.clear();
        other.known.insert(7);
        assert!(!differs(&one, &other));
        other.check.healthy = 2;
        assert!(differs(&one, &other));
    }

    #[test]
    fn a_member_is_known_by_its_name() {
        assert_eq!(member(&server(12)), Some(12));
        assert_eq!(member("BACKEND"), None);
    }
}
