//! Real sockets on loopback addresses of a slot that no sandbox takes.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use super::*;

const MAP: PortMap = PortMap { through: 1023, offset: 20000 };

/// A droplet that answers every line with its name, and says how many connections it has had.
async fn droplet(address: Ipv4Addr, port: u16, name: &'static str) -> (Arc<AtomicUsize>, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind((address, port)).await.unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    let task = tokio::spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            counter.fetch_add(1, Ordering::SeqCst);
            connections.spawn(async move {
                let mut byte = [0];
                while stream.read_exact(&mut byte).await.is_ok() {
                    if byte[0] == b'\n' && stream.write_all(format!("{name}\n").as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    (count, task)
}

async fn ask(stream: &mut TcpStream) -> io::Result<String> {
    stream.write_all(b"\n").await?;
    let mut text = String::new();
    loop {
        match stream.read_u8().await? {
            b'\n' => return Ok(text),
            byte => text.push(char::from(byte)),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_switch_loses_no_connection() {
    let (reserved, old, new) = (Ipv4Addr::new(127, 9, 1, 1), Ipv4Addr::new(127, 9, 1, 2), Ipv4Addr::new(127, 9, 1, 3));
    let (old_count, _old) = droplet(old, 20080, "old").await;
    let (new_count, _new) = droplet(new, 20080, "new").await;
    let forwarder = Forwarder::new(MAP, [80]);
    assert_eq!(forwarder.assign(reserved, Some(old)).await, vec![]);

    let mut standing = TcpStream::connect((reserved, 20080)).await.unwrap();
    assert_eq!(ask(&mut standing).await.unwrap(), "old");

    // Half of the clients are through before the switch is asked for, the other half start at any moment around it.
    let through = Arc::new(tokio::sync::Semaphore::new(0));
    let mut clients = JoinSet::new();
    for _ in 0..300 {
        let through = Arc::clone(&through);
        clients.spawn(async move {
            let mut stream = TcpStream::connect((reserved, 20080)).await?;
            let answer = ask(&mut stream).await;
            through.add_permits(1);
            answer
        });
        tokio::task::yield_now().await;
    }
    through.acquire_many(150).await.unwrap().forget();
    assert_eq!(forwarder.assign(reserved, Some(new)).await, vec![]);
    for _ in 0..50 {
        // Connected after the switch was acknowledged: always the new one.
        assert_eq!(ask(&mut TcpStream::connect((reserved, 20080)).await.unwrap()).await.unwrap(), "new");
    }
    let answers: Vec<_> = clients.join_all().await.into_iter().map(|answer| answer.unwrap()).collect();
    let by_old = answers.iter().filter(|answer| *answer == "old").count();
    assert!(by_old >= 150, "{by_old}");
    assert_eq!(answers.len(), 300);
    assert_eq!(old_count.load(Ordering::SeqCst), by_old + 1);
    assert_eq!(new_count.load(Ordering::SeqCst), 300 - by_old + 50);

    // The connection that stood before is the old droplet's still.
    assert_eq!(ask(&mut standing).await.unwrap(), "old");
}

#[tokio::test]
async fn an_unassigned_address_refuses_and_can_be_assigned_again() {
    let (reserved, target) = (Ipv4Addr::new(127, 9, 2, 1), Ipv4Addr::new(127, 9, 2, 2));
    let (_count, _droplet) = droplet(target, 8080, "it").await;
    let forwarder = Forwarder::new(MAP, [8080]);
    for _ in 0..3 {
        assert_eq!(forwarder.assign(reserved, Some(target)).await, vec![]);
        let mut stream = TcpStream::connect((reserved, 8080)).await.unwrap();
        assert_eq!(ask(&mut stream).await.unwrap(), "it");
        assert_eq!(forwarder.assign(reserved, None).await, vec![]);
        let refused = TcpStream::connect((reserved, 8080)).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(ask(&mut stream).await.unwrap(), "it");
    }
}

#[tokio::test]
async fn a_closed_port_of_the_droplet_is_a_reset() {
    let reserved = Ipv4Addr::new(127, 9, 3, 1);
    let forwarder = Forwarder::new(MAP, [8080]);
    forwarder.assign(reserved, Some(Ipv4Addr::new(127, 9, 3, 2))).await;
    let mut stream = TcpStream::connect((reserved, 8080)).await.unwrap();
    assert_eq!(stream.read_u8().await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn ports_open_at_run_time_and_the_end_of_a_stream_passes_through() {
    let (reserved, target) = (Ipv4Addr::new(127, 9, 4, 1), Ipv4Addr::new(127, 9, 4, 2));
    let forwarder = Forwarder::new(MAP, []);
    forwarder.assign(reserved, Some(target)).await;
    assert!(TcpStream::connect((reserved, 7777)).await.is_err());
    assert_eq!(forwarder.open_ports(&[7777]).await, vec![]);
    assert_eq!(forwarder.open().await, vec![22, 7777]);
    let listener = TcpListener::bind((target, 7777)).await.unwrap();
    let mut client = TcpStream::connect((reserved, 7777)).await.unwrap();
    let (mut droplet, _) = listener.accept().await.unwrap();
    client.write_all(b"question").await.unwrap();
    client.shutdown().await.unwrap();
    let mut text = String::new();
    droplet.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "question");
    droplet.write_all(b"answer").await.unwrap();
    drop(droplet);
    text.clear();
    client.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "answer");
}

#[tokio::test]
async fn a_port_that_something_else_holds_is_reported_and_taken_later() {
    let (reserved, target) = (Ipv4Addr::new(127, 9, 5, 1), Ipv4Addr::new(127, 9, 5, 2));
    let (_count, _droplet) = droplet(target, 8080, "it").await;
    let other = TcpListener::bind((reserved, 8080)).await.unwrap();
    let forwarder = Forwarder::new(MAP, [8080, 9000]);
    let failures = forwarder.assign(reserved, Some(target)).await;
    assert_eq!(failures.iter().map(|failure| failure.port).collect::<Vec<_>>(), vec![8080]);
    drop(other);
    assert_eq!(forwarder.assign(reserved, Some(target)).await, vec![]);
    let mut stream = TcpStream::connect((reserved, 8080)).await.unwrap();
    assert_eq!(ask(&mut stream).await.unwrap(), "it");
}

#[tokio::test]
async fn a_cut_connection_is_cut_on_the_other_side() {
    let (reserved, target) = (Ipv4Addr::new(127, 9, 6, 1), Ipv4Addr::new(127, 9, 6, 2));
    let listener = TcpListener::bind((target, 8080)).await.unwrap();
    let forwarder = Forwarder::new(MAP, [8080]);
    forwarder.assign(reserved, Some(target)).await;
    let mut client = TcpStream::connect((reserved, 8080)).await.unwrap();
    let (droplet, _) = listener.accept().await.unwrap();
    droplet.set_zero_linger().unwrap();
    drop(droplet);
    let error = tokio::time::timeout(Duration::from_secs(60), client.read_u8()).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}
