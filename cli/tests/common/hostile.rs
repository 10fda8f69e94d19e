//! An API that means no good: each answer of it is too much of something.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// What is wrong with the answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Malice {
    /// A body without an end, as fast as it is read.
    Endless,
    /// A body that says beforehand how large it is: four gigabytes.
    Huge,
    /// An error with a body without an end.
    EndlessRefusal,
    /// Few bytes that become many structures.
    Objects,
    /// As many structures as there may be, in as few bytes.
    Full,
    /// Nested very deeply.
    Deep,
    /// A body of one byte a second.
    Slow,
    /// No answer.
    Silent,
    /// Headers that never end, ten a second.
    HeaderDrip,
    /// Headers that never end, as fast as they are read.
    Headers,
    /// A redirect that leads to itself.
    Redirect,
    /// A list whose every page leads to the first one.
    SamePage,
}

/// A hostile API that runs until it is dropped.
pub(crate) struct Hostile {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Hostile {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Hostile {
    pub(crate) async fn start(malice: Malice) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&asked);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let counter = Arc::clone(&counter);
                // The client may go at any time.
                tokio::spawn(async move { serve(stream, malice, &counter).await.ok() });
            }
        });
        Self { address, asked, task }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many requests came, those for access tokens left out.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// Waits until so many requests came.
    pub(crate) async fn until_asked(&self, times: usize) {
        while self.asked() < times {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

async fn serve(mut stream: TcpStream, malice: Malice, asked: &AtomicUsize) -> std::io::Result<()> {
    while let Some(request) = request(&mut stream).await? {
        if request.contains(" /token ") {
            // What Google's credentials ask for first.
            let token = r#"{"access_token":"x","expires_in":3600,"token_type":"Bearer"}"#;
            whole(&mut stream, "200 OK", "application/json", token).await?;
            continue;
        }
        asked.fetch_add(1, Ordering::SeqCst);
        answer(&mut stream, malice, &request).await?;
    }
    Ok(())
}

/// Reads a request.
async fn request(stream: &mut TcpStream) -> std::io::Result<Option<String>> {
    let mut bytes = Vec::new();
    loop {
        let mut chunk = [0; 4096];
        let count = stream.read(&mut chunk).await?;
        if count == 0 {
            return Ok(None);
        }
        bytes.extend_from_slice(&chunk[..count]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.to_ascii_lowercase();
        let length = length.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.trim().parse().ok());
        if body.len() >= length.unwrap_or(0) {
            return Ok(Some(text));
        }
    }
}

async fn whole(stream: &mut TcpStream, status: &str, kind: &str, body: &str) -> std::io::Result<()> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await
}

/// Sends the text over and over.
async fn forever(stream: &mut TcpStream, text: &str, pause: Duration) -> std::io::Result<()> {
    loop {
        stream.write_all(text.as_bytes()).await?;
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
    }
}

async fn answer(stream: &mut TcpStream, malice: Malice, request: &str) -> std::io::Result<()> {
    let xml = request.starts_with("POST / ");
    let kind = if xml { "text/xml" } else { "application/json" };
    let (open, filler, item, level) = match xml {
        true => ("<DescribeImagesResponse><imagesSet>", " ", "<item/>", "<item>"),
        false => ("{\"images\":[", " ", "{},", "["),
    };
    let filler = filler.repeat(64 * 1024);
    let endless = format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\nconnection: close\r\n\r\n{open}");
    match malice {
        Malice::Endless => {
            stream.write_all(endless.as_bytes()).await?;
            forever(stream, &filler, Duration::ZERO).await
        }
        Malice::Huge => {
            let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: 4294967296\r\n\r\n{open}");
            stream.write_all(head.as_bytes()).await?;
            forever(stream, &filler, Duration::ZERO).await
        }
        Malice::EndlessRefusal => {
            let refusal = endless.replace("200 OK", "403 Forbidden");
            stream.write_all(refusal.as_bytes()).await?;
            forever(stream, &filler, Duration::ZERO).await
        }
        Malice::Objects | Malice::Full => {
            let items = item.repeat(if malice == Malice::Full { 99_990 } else { 2_000_000 });
            let end = if xml { "</imagesSet></DescribeImagesResponse>" } else { "{}]}" };
            // Google calls its list otherwise.
            let open = if request.contains("/compute/") { "{\"items\":[" } else { open };
            whole(stream, "200 OK", kind, &format!("{open}{items}{end}")).await
        }
        Malice::Deep => whole(stream, "200 OK", kind, &format!("{open}{}", level.repeat(1_000_000))).await,
        Malice::Slow => {
            stream.write_all(endless.as_bytes()).await?;
            forever(stream, " ", Duration::from_secs(1)).await
        }
        Malice::Silent => std::future::pending().await,
        Malice::HeaderDrip => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n").await?;
            forever(stream, "x-drip: drop\r\n", Duration::from_millis(100)).await
        }
        Malice::Headers => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n").await?;
            forever(stream, &"x-flood: wave\r\n".repeat(4096), Duration::ZERO).await
        }
        Malice::Redirect => {
            stream.write_all(b"HTTP/1.1 302 Found\r\nlocation: /again\r\ncontent-length: 0\r\n\r\n").await
        }
        Malice::SamePage => {
            let image = r#"{"id":1,"name":"n","distribution":"Debian","public":false,"regions":[],"created_at":"2026-01-01T00:00:00Z","min_disk_size":1,"size_gigabytes":1.0,"type":"snapshot","status":"available","tags":[]}"#;
            let operation =
                if request.contains("Action=DescribeInstances") { "DescribeInstances" } else { "DescribeImages" };
            let items = if request.contains("/aggregated/") { "{}" } else { "[]" };
            let body = match xml {
                true => format!("<{operation}Response><nextToken>again</nextToken></{operation}Response>"),
                false => format!(
                    r#"{{"images":[{image}],"droplets":[],"items":{items},"nextPageToken":"again","meta":{{"total":9}},"links":{{"pages":{{"next":"http://127.0.0.1/v2/images?page=1"}}}}}}"#
                ),
            };
            whole(stream, "200 OK", kind, &body).await
        }
    }
}
