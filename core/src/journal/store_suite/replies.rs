//! A proxy that loses replies: the request was carried out, and the connection is closed instead of an answer.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

pub(super) struct Replies {
    pub(super) url: String,
    /// How many were lost.
    pub(super) lost: Arc<AtomicUsize>,
    /// How many of how many are to be lost.
    share: Arc<Mutex<(usize, usize)>>,
}

impl Replies {
    /// Connections are closed in an orderly way, or reset.
    pub(super) async fn before(server: &str, reset: bool) -> Self {
        let server = server.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (share, lost) = (Arc::new(Mutex::new((0, 1))), Arc::new(AtomicUsize::new(0)));
        let (each, gone, puts) = (Arc::clone(&share), Arc::clone(&lost), Arc::new(AtomicUsize::new(0)));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&server).await.unwrap();
                let (each, gone, puts) = (Arc::clone(&each), Arc::clone(&gone), Arc::clone(&puts));
                tokio::spawn(carry(client, server, reset, move || {
                    let (some, of) = *each.lock().unwrap();
                    let lose = puts.fetch_add(1, Ordering::Relaxed) % of < some;
                    gone.fetch_add(lose.into(), Ordering::Relaxed);
                    lose
                }));
            }
        });
        Self { url, lost, share }
    }

    /// Loses the replies to so many of so many writes from now on.
    pub(super) fn lose(&self, some: usize, of: usize) {
        *self.share.lock().unwrap() = (some, of);
    }
}

/// Carries bytes both ways. A request begins where the client speaks after the server has: nobody sends two at once.
async fn carry(mut client: TcpStream, mut server: TcpStream, reset: bool, lose: impl Fn() -> bool) {
    let (mut up, mut down) = (vec![0; 65536], vec![0; 65536]);
    let (mut answered, mut write) = (true, false);
    loop {
        tokio::select! {
            read = client.read(&mut up) => {
                let Ok(read @ 1..) = read else { return };
                if std::mem::take(&mut answered) {
                    write = up.starts_with(b"PUT ");
                }
                if server.write_all(&up[..read]).await.is_err() { return }
            }
            read = server.read(&mut down) => {
                let Ok(read @ 1..) = read else { return };
                if std::mem::take(&mut write) && lose() {
                    if reset { client.set_zero_linger().unwrap() }
                    return
                }
                answered = true;
                if client.write_all(&down[..read]).await.is_err() { return }
            }
        }
    }
}
