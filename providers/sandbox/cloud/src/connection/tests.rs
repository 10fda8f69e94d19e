//! Connections to a server of a test's own.

use axum::{Router, extract::ConnectInfo, middleware, routing::get};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    task::JoinHandle,
};

use super::*;

const GET: &[u8] = b"GET /well HTTP/1.1\r\nhost: x\r\n\r\n";

async fn serve(limits: ConnectionLimits) -> (SocketAddr, JoinHandle<io::Result<()>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let slow = async || {
        tokio::time::sleep(Duration::from_secs(2)).await;
        "slow"
    };
    let app = Router::new().route("/well", get(async || "well")).route("/slow", get(slow)).route(
        "/reset",
        get(async |ConnectInfo(connection): ConnectInfo<ConnectionHandle>| {
            connection.reset();
            "never seen"
        }),
    );
    let app = app.layer(middleware::from_fn(attend)).into_make_service_with_connect_info::<ConnectionHandle>();
    (address, tokio::spawn(axum::serve(Connections::new(listener, limits), app).into_future()))
}

/// Asks, and reads the answer.
async fn answered(stream: &mut TcpStream) -> bool {
    let mut piece = [0; 1024];
    stream.write_all(GET).await.is_ok()
        && stream.read(&mut piece).await.is_ok_and(|read| piece[..read].starts_with(b"HTTP/1.1 200 OK"))
}

/// Whether the server has ended a connection, in whatever way.
async fn ended(stream: &mut TcpStream) -> bool {
    let mut rest = Vec::new();
    tokio::time::timeout(Duration::from_secs(60), stream.read_to_end(&mut rest)).await.is_ok()
}

#[tokio::test]
async fn a_reset_reaches_the_client_and_other_connections_live_on() {
    let (address, server) = serve(ConnectionLimits::default()).await;
    let mut other = TcpStream::connect(address).await.unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /reset HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut seen = Vec::new();
    let error = stream.read_to_end(&mut seen).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    assert_eq!(seen, b"");
    assert!(answered(&mut other).await);
    server.abort();
}

#[tokio::test]
async fn idle_connections_make_room_and_busy_ones_do_not() {
    let (address, server) = serve(ConnectionLimits { most: 4, ..ConnectionLimits::default() }).await;
    let mut busy = TcpStream::connect(address).await.unwrap();
    busy.write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut used = TcpStream::connect(address).await.unwrap();
    assert!(answered(&mut used).await);
    let mut idle = Vec::new();
    for _ in 0..40 {
        idle.push(TcpStream::connect(address).await.unwrap());
    }
    let mut late = TcpStream::connect(address).await.unwrap();
    assert!(answered(&mut late).await, "whoever comes after forty others is served");
    assert!(ended(&mut idle[0]).await && ended(&mut used).await, "the oldest have made room");
    let mut seen = Vec::new();
    busy.read_to_end(&mut seen).await.unwrap();
    assert!(seen.ends_with(b"slow"), "{}", String::from_utf8_lossy(&seen));
    server.abort();
}

#[tokio::test]
async fn connections_without_requests_are_closed() {
    let (first, idle) = (Duration::from_secs(1), Duration::from_secs(1));
    let (address, server) = serve(ConnectionLimits { first, idle, ..ConnectionLimits::default() }).await;
    let mut slow = TcpStream::connect(address).await.unwrap();
    slow.write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut used = TcpStream::connect(address).await.unwrap();
    assert!(answered(&mut used).await);
    let mut silent = TcpStream::connect(address).await.unwrap();
    // Headers that come byte by byte, and never to their end.
    let mut drip = TcpStream::connect(address).await.unwrap();
    let dripping = async {
        while drip.write_all(b"a").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), dripping).await.unwrap();
    assert!(ended(&mut silent).await && ended(&mut used).await);
    let mut seen = Vec::new();
    slow.read_to_end(&mut seen).await.unwrap();
    assert!(seen.ends_with(b"slow"), "a request that takes longer is answered: {}", String::from_utf8_lossy(&seen));
    server.abort();
}
