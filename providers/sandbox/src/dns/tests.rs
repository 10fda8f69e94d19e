//! The real server, asked by hickory-resolver and, for what a resolver hides, by single messages.

use std::net::{Ipv4Addr, SocketAddr};

use hickory_proto::{
    op::{Message, MessageType, OpCode, Query, ResponseCode},
    rr::{Name, RData, RecordType},
};
use hickory_resolver::{
    TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolverConfig},
    net::runtime::TokioRuntimeProvider,
};
use tokio::net::UdpSocket;

use super::*;
use crate::cloud::{ZoneRecord, ZoneSnapshot};

/// A record; the data is preceded by what its kind has beside it, as zone files write it.
fn record(name: &str, kind: &str, data: &str) -> ZoneRecord {
    let mut words: Vec<&str> = data.splitn(if kind == "SRV" { 4 } else { 3 }, ' ').collect();
    let mut number = |kinds: &[&str]| kinds.contains(&kind).then(|| words.remove(0).parse::<u16>().unwrap());
    let (priority, weight, port) = (number(&["MX", "SRV"]), number(&["SRV"]), number(&["SRV"]));
    let flags = number(&["CAA"]).map(|flags| u8::try_from(flags).unwrap());
    let tag = (kind == "CAA").then(|| words.remove(0).to_owned());
    let data = if kind == "TXT" { data.to_owned() } else { words.join(" ") };
    ZoneRecord { id: 1, kind: kind.into(), name: name.into(), data, priority, port, ttl: 60, weight, flags, tag }
}

fn zone(records: Vec<ZoneRecord>) -> ZoneSnapshot {
    ZoneSnapshot { name: "example.test".into(), records }
}

fn a(name: &str, last: u8) -> ZoneRecord {
    record(name, "A", &ip(last).to_string())
}

fn ip(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 16, 0, last)
}

fn everything() -> ZoneSnapshot {
    zone(vec![
        record("@", "SOA", "1800"),
        record("@", "NS", "ns1.cloud.test"),
        a("@", 1),
        a("www", 1),
        a("www", 2),
        ZoneRecord { ttl: 20, ..a("www", 2) },
        record("www", "AAAA", "::1"),
        record("alias", "CNAME", "www.example.test"),
        record("loop", "CNAME", "loop.example.test"),
        record("away", "CNAME", "elsewhere.invalid."),
        record("home", "CNAME", "@"),
        record("dangling", "CNAME", "missing.example.test"),
        record("@", "MX", "10 mail.example.test"),
        record("@", "TXT", "v=spf1 \"quoted\"; -all"),
        record("long", "TXT", &"x".repeat(600)),
        record("_sip._tcp", "SRV", "1 2 5060 www.example.test"),
        record("@", "CAA", "128 issue ca.test; a=b"),
        a("*.wild", 9),
        record("known.wild", "TXT", "here"),
        record("part", "NS", "ns.part.example.test"),
        a("ns.part", 7),
    ])
}

async fn server() -> Dns {
    let dns = Dns::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    dns.replace(&everything()).unwrap();
    dns
}

fn resolver(dns: &Dns, mut connection: ConnectionConfig) -> TokioResolver {
    connection.port = dns.address().port();
    let server = NameServerConfig::new(dns.address().ip(), true, vec![connection]);
    let config = ResolverConfig::from_name_servers(vec![server]);
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    builder.options_mut().cache_size = 0;
    builder.build().unwrap()
}

/// One message by UDP, as sent.
async fn ask(server: SocketAddr, name: &str, kind: RecordType) -> Message {
    let mut message = Message::new(7, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(Name::from_str_relaxed(name).unwrap(), kind));
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.send_to(&message.to_vec().unwrap(), server).await.unwrap();
    let mut buffer = [0; 4096];
    let (length, _) = socket.recv_from(&mut buffer).await.unwrap();
    Message::from_vec(&buffer[..length]).unwrap()
}

#[tokio::test]
async fn a_resolver_reads_every_kind() {
    let dns = server().await;
    let resolver = resolver(&dns, ConnectionConfig::udp());
    let look = async |name: &str, kind| {
        let found = resolver.lookup(name, kind).await.unwrap();
        let mut texts: Vec<_> = found.answers().iter().map(|record| record.data.to_string()).collect();
        texts.sort();
        texts
    };
    assert_eq!(look("www.example.test.", RecordType::A).await, ["127.16.0.1", "127.16.0.2"]);
    assert_eq!(look("WWW.Example.test.", RecordType::AAAA).await, ["::1"]);
    assert_eq!(look("home.example.test.", RecordType::A).await, ["127.16.0.1", "example.test."]);
    assert_eq!(look("alias.example.test.", RecordType::CNAME).await, ["www.example.test."]);
    assert_eq!(look("alias.example.test.", RecordType::A).await, ["127.16.0.1", "127.16.0.2", "www.example.test."]);
    assert_eq!(look("example.test.", RecordType::MX).await, ["10 mail.example.test."]);
    assert_eq!(look("example.test.", RecordType::TXT).await, ["v=spf1 \"quoted\"; -all"]);
    assert_eq!(look("example.test.", RecordType::NS).await, ["ns1.cloud.test."]);
    assert_eq!(look("_sip._tcp.example.test.", RecordType::SRV).await, ["1 2 5060 www.example.test."]);
    assert_eq!(look("example.test.", RecordType::CAA).await, ["128 issue \"ca.test; a=b\""]);
    let soa = look("example.test.", RecordType::SOA).await;
    let serial = dns.serial("example.test").unwrap();
    assert_eq!(soa, [format!("ns1.cloud.test. hostmaster.example.test. {serial} 10800 3600 604800 1800")]);
}

#[tokio::test]
async fn tcp_answers_what_does_not_fit_in_a_datagram() {
    let dns = server().await;
    assert!(ask(dns.address(), "long.example.test.", RecordType::TXT).await.metadata.truncation);
    let found = resolver(&dns, ConnectionConfig::tcp()).lookup("long.example.test.", RecordType::TXT).await.unwrap();
    let RData::TXT(text) = &found.answers()[0].data else { panic!("{found:?}") };
    assert_eq!(text.txt_data.iter().map(|string| string.len()).collect::<Vec<_>>(), [255, 255, 90]);
}

#[tokio::test]
async fn what_is_not_there_is_said_in_the_right_way() {
    use ResponseCode::{NXDomain, NoError, Refused};
    let dns = server().await;
    for (name, kind, code, answers, authorities) in [
        // The name exists without this kind, or only has names below it.
        ("example.test.", RecordType::AAAA, NoError, 0, 1),
        ("_tcp.example.test.", RecordType::A, NoError, 0, 1),
        ("wild.example.test.", RecordType::A, NoError, 0, 1),
        // The name does not exist.
        ("missing.example.test.", RecordType::A, NXDomain, 0, 1),
        ("dangling.example.test.", RecordType::A, NXDomain, 1, 1),
        // A wildcard stands for names that do not exist, and for none that do.
        ("any.wild.example.test.", RecordType::A, NoError, 1, 0),
        ("very.deep.wild.example.test.", RecordType::A, NoError, 1, 0),
        ("any.wild.example.test.", RecordType::TXT, NoError, 0, 1),
        ("known.wild.example.test.", RecordType::A, NoError, 0, 1),
        // A chain that leaves the zones here, and one that never ends.
        ("away.example.test.", RecordType::A, NoError, 1, 0),
        ("loop.example.test.", RecordType::A, NoError, 8, 0),
        // A delegated part.
        ("host.part.example.test.", RecordType::A, NoError, 0, 1),
        // Not ours.
        ("example.org.", RecordType::A, Refused, 0, 0),
        ("test.", RecordType::A, Refused, 0, 0),
    ] {
        let message = ask(dns.address(), name, kind).await;
        assert_eq!(message.metadata.response_code, code, "{name} {kind}");
        assert_eq!(
            (message.answers.len(), message.authorities.len()),
            (answers, authorities),
            "{name} {kind}: {message}"
        );
        let authoritative = code != Refused && name != "host.part.example.test.";
        assert_eq!(message.metadata.authoritative, authoritative, "{name}");
        if answers == 0 && authoritative {
            assert_eq!(message.authorities[0].record_type(), RecordType::SOA, "{name}");
            assert_eq!(message.authorities[0].ttl, 1800, "{name}");
        }
    }
    let set = ask(dns.address(), "www.example.test.", RecordType::A).await;
    assert!(set.answers.iter().all(|record| record.ttl == 20), "one TTL for one set: {set}");
}

#[tokio::test]
async fn a_bad_record_keeps_the_zone_as_it_was() {
    let dns = server().await;
    let serial = dns.serial("example.test");
    let error = dns.replace(&zone(vec![a("elsewhere.org.", 1)])).unwrap_err();
    assert_eq!(error.to_string(), "`elsewhere.org.` in zone example.test. is not a valid name inside the zone");
    for bad in [
        a("a..b", 1),
        record("www", "A", "www"),
        record("www", "PTR", "www"),
        ZoneRecord { priority: None, ..record("@", "MX", "10 mail.example.test") },
        ZoneRecord { tag: None, ..record("@", "CAA", "0 issue ca.test") },
    ] {
        assert!(dns.replace(&zone(vec![bad.clone()])).is_err(), "{bad:?}");
    }
    assert_eq!(dns.serial("example.test"), serial);
    assert_eq!(ask(dns.address(), "www.example.test.", RecordType::A).await.answers.len(), 2);
    dns.remove("Example.Test.");
    assert_eq!(
        ask(dns.address(), "www.example.test.", RecordType::A).await.metadata.response_code,
        ResponseCode::Refused
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_is_there_at_every_moment_of_a_change() {
    let dns = std::sync::Arc::new(server().await);
    let first = dns.serial("example.test").unwrap();
    let changes = tokio::task::spawn_blocking({
        let dns = std::sync::Arc::clone(&dns);
        move || {
            for round in 0..200_u8 {
                dns.replace(&zone(vec![a("www", round)])).unwrap();
            }
        }
    });
    while !changes.is_finished() {
        let message = ask(dns.address(), "www.example.test.", RecordType::A).await;
        assert_eq!(message.metadata.response_code, ResponseCode::NoError);
        assert!(!message.answers.is_empty());
    }
    assert!(dns.serial("example.test").unwrap() >= first + 200);
    let last = ask(dns.address(), "www.example.test.", RecordType::A).await;
    assert_eq!(last.answers[0].data, RData::A(ip(199).into()));
}

#[tokio::test]
async fn dropping_the_server_frees_its_port() {
    let dns = server().await;
    let address = dns.address();
    drop(dns);
    // The sockets close when their tasks are dropped, which the runtime does soon after.
    for _ in 0..1000 {
        if Dns::bind(address).await.is_ok() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("{address} is still held");
}
