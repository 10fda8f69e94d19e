//! A small service for the tests of this module.

use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
    task::JoinHandle,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};

/// The certificate of a service with TLS: for `app.test` until 2120, vouched for by itself. Its key is for nothing else.
pub(super) const CERTIFICATE: &str = include_str!("testdata/service.crt");
const KEY: &str = include_str!("testdata/service.key");

/// What it does with a connection.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    /// Answers over HTTP with a status and a body.
    Http(u16, String),
    /// Closes at once.
    Close,
    /// Says nothing and stays.
    Hold,
}

/// A listener on loopback.
pub(super) struct Service {
    pub(super) port: u16,
    answer: Arc<Mutex<Answer>>,
    requests: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Service {
    pub(super) async fn start(answer: Answer) -> Self {
        Self::listen(answer, None).await
    }

    /// Behind TLS, with [`CERTIFICATE`].
    pub(super) async fn start_tls(answer: Answer) -> Self {
        let chain = vec![CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(KEY.as_bytes()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let config = config.with_single_cert(chain, key).unwrap();
        Self::listen(answer, Some(TlsAcceptor::from(Arc::new(config)))).await
    }

    async fn listen(answer: Answer, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (answer, requests) = (Arc::new(Mutex::new(answer)), Arc::new(Mutex::new(Vec::new())));
        let (current, seen) = (Arc::clone(&answer), Arc::clone(&requests));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (answer, seen, tls) = (current.lock().unwrap().clone(), Arc::clone(&seen), tls.clone());
                tokio::spawn(async move {
                    let Some(tls) = tls else { return serve(stream, answer, seen).await };
                    if let Ok(stream) = tls.accept(stream).await {
                        let name = stream.get_ref().1.server_name().unwrap_or("nobody").to_owned();
                        seen.lock().unwrap().push(format!("TLS for {name}"));
                        serve(stream, answer, seen).await;
                    }
                });
            }
        });
        Self { port, answer, requests, task }
    }

    pub(super) fn set(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }

    pub(super) fn last_request(&self) -> String {
        self.requests.lock().unwrap().last().cloned().unwrap_or_default()
    }

    /// Whether a client asked TLS for that name.
    pub(super) fn was_asked_for(&self, name: &str) -> bool {
        self.requests.lock().unwrap().contains(&format!("TLS for {name}"))
    }

    pub(super) fn requests(&self) -> usize {
        self.requests.lock().unwrap().len()
    }

    pub(super) async fn stop(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, answer: Answer, seen: Arc<Mutex<Vec<String>>>) {
    match answer {
        Answer::Close => {}
        Answer::Hold => {
            let _ = stream.read(&mut [0; 1]).await;
        }
        Answer::Http(status, body) => {
            let mut request = vec![0; 4096];
            let read = stream.read(&mut request).await.unwrap_or(0);
            seen.lock().unwrap().push(String::from_utf8_lossy(&request[..read]).into_owned());
            let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n", body.len());
            let _ = stream.write_all(format!("{head}location: /elsewhere\r\n\r\n{body}").as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    }
}
