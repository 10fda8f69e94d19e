//! Sockets, wire format, and the swap of a zone.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use hickory_proto::{
    op::{Edns, Header, HeaderCounts, MessageType, Metadata, OpCode, ResponseCode},
    rr::{DNSClass, LowerName, Name, Record},
};
use hickory_server::{
    net::runtime::Time,
    server::{Request, RequestHandler, ResponseHandler, ResponseInfo, Server},
    zone_handler::MessageResponseBuilder,
};
use tokio::net::{TcpListener, UdpSocket};

use super::{
    record::ZoneError,
    zone::{Answer, Zone, Zones},
};
use crate::cloud::ZoneSnapshot;

/// How long an idle TCP connection is kept.
const TCP_IDLE: Duration = Duration::from_secs(10);

/// Answers that wait to be written on one TCP connection, at most.
const TCP_ANSWERS: usize = 32;

/// How many ports are tried before it is given up to find one that is free for both UDP and TCP.
const PORT_TRIES: usize = 20;

/// An authoritative DNS server. Dropping it closes its sockets.
pub struct Dns {
    address: SocketAddr,
    zones: Arc<Swap>,
    /// Serialises changes; readers never wait for it.
    change: Mutex<()>,
    _server: Server<Handler>,
}

impl std::fmt::Debug for Dns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dns").field("address", &self.address).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Swap(RwLock<Arc<Zones>>);

impl Swap {
    fn current(&self) -> Arc<Zones> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, zones: Zones) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(zones);
    }
}

impl Dns {
    /// Listens on the address, by UDP and TCP on one port; port 0 takes any that is free for both.
    ///
    /// # Errors
    ///
    /// Those of binding.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        let (udp, tcp) = bind_both(address).await?;
        let address = udp.local_addr()?;
        let zones = Arc::new(Swap::default());
        let mut server = Server::new(Handler(Arc::clone(&zones)));
        server.register_socket(udp);
        server.register_listener(tcp, TCP_IDLE, TCP_ANSWERS);
        Ok(Self { address, zones, change: Mutex::new(()), _server: server })
    }

    /// Where it listens, by UDP and by TCP.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves a zone from now on, in place of the one of that name where there is one, with a higher serial.
    ///
    /// # Errors
    ///
    /// A record that DNS cannot carry; the zone that was served before is kept.
    pub fn replace(&self, data: &ZoneSnapshot) -> Result<(), ZoneError> {
        let _change = self.change.lock().unwrap_or_else(PoisonError::into_inner);
        let mut zones = Zones::clone(&self.zones.current());
        let name = zone_key(&data.name)?;
        let before = zones.0.get(&name).map(|zone| zone.serial());
        zones.0.insert(name, Arc::new(Zone::build(data, next_serial(before))?));
        self.zones.set(zones);
        Ok(())
    }

    /// Serves a zone no longer. One that is not served is left alone.
    pub fn remove(&self, name: &str) {
        let _change = self.change.lock().unwrap_or_else(PoisonError::into_inner);
        let mut zones = Zones::clone(&self.zones.current());
        if let Ok(name) = zone_key(name)
            && zones.0.remove(&name).is_some()
        {
            self.zones.set(zones);
        }
    }

    /// The SOA serial of a zone; `None` where it is not served. It grows with each change.
    pub fn serial(&self, name: &str) -> Option<u32> {
        self.zones.current().0.get(&zone_key(name).ok()?).map(|zone| zone.serial())
    }
}

fn zone_key(name: &str) -> Result<LowerName, ZoneError> {
    let mut parsed = Name::from_str_relaxed(name).map_err(|_| ZoneError::new(&Name::root(), "zone name", name))?;
    parsed.set_fqdn(true);
    Ok(LowerName::new(&parsed))
}

/// The seconds since 1970, so that it advances over a restart too, or one more than before within one second.
fn next_serial(before: Option<u32>) -> u32 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let now = u32::try_from(now).unwrap_or(u32::MAX);
    before.map_or(now, |before| now.max(before.wrapping_add(1)))
}

async fn bind_both(address: SocketAddr) -> io::Result<(UdpSocket, TcpListener)> {
    let mut tries = if address.port() == 0 { PORT_TRIES } else { 1 };
    loop {
        tries -= 1;
        let udp = UdpSocket::bind(address).await?;
        match TcpListener::bind(udp.local_addr()?).await {
            Ok(tcp) => return Ok((udp, tcp)),
            Err(error) if tries == 0 => return Err(error),
            Err(_) => {}
        }
    }
}

struct Handler(Arc<Swap>);

#[async_trait]
impl RequestHandler for Handler {
    async fn handle_request<R: ResponseHandler, T: Time>(&self, request: &Request, mut out: R) -> ResponseInfo {
        let reply = self.reply(request);
        let edns = request.edns.as_ref().map(|asked| {
            let mut edns = Edns::new();
            edns.set_max_payload(asked.max_payload().max(512));
            edns.set_version(0);
            edns
        });
        let mut builder = MessageResponseBuilder::from_message_request(request);
        if let Some(edns) = &edns {
            builder.edns(edns);
        }
        let none: [Record; 0] = [];
        let response = builder.build(reply.metadata, &reply.answers, &reply.authorities, &none, &none);
        match out.send_response(response).await {
            Ok(info) => info,
            Err(error) => {
                tracing::debug!(%error, "a DNS answer could not be sent");
                let mut metadata = Metadata::new(request.metadata.id, MessageType::Response, OpCode::Query);
                metadata.response_code = ResponseCode::ServFail;
                Header { metadata, counts: HeaderCounts::default() }.into()
            }
        }
    }
}

struct Reply {
    metadata: Metadata,
    answers: Vec<Record>,
    authorities: Vec<Record>,
}

impl Handler {
    fn reply(&self, request: &Request) -> Reply {
        let mut metadata = Metadata::response_from_request(&request.metadata);
        let mut reply = |code, authoritative, answers, authorities| {
            metadata.response_code = code;
            metadata.authoritative = authoritative;
            Reply { metadata, answers, authorities }
        };
        if request.metadata.op_code != OpCode::Query {
            return reply(ResponseCode::NotImp, false, vec![], vec![]);
        }
        if request.edns.as_ref().is_some_and(|edns| edns.version() > 0) {
            return reply(ResponseCode::BADVERS, false, vec![], vec![]);
        }
        let Ok(info) = request.request_info() else {
            return reply(ResponseCode::FormErr, false, vec![], vec![]);
        };
        if !matches!(info.query.query_class(), DNSClass::IN | DNSClass::ANY) {
            return reply(ResponseCode::Refused, false, vec![], vec![]);
        }
        match self.0.current().lookup(info.query.name(), info.query.query_type()) {
            Answer::Records(records) => reply(ResponseCode::NoError, true, records, vec![]),
            Answer::NoData { chain, soa } => reply(ResponseCode::NoError, true, chain, vec![soa]),
            Answer::NoName { chain, soa } => reply(ResponseCode::NXDomain, true, chain, vec![soa]),
            Answer::Delegated { chain, servers } => {
                let authoritative = !chain.is_empty();
                reply(ResponseCode::NoError, authoritative, chain, servers)
            }
            Answer::NotOurs => reply(ResponseCode::Refused, false, vec![], vec![]),
        }
    }
}
