//! A small service for the tests of this module.

use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

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
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (answer, requests) = (Arc::new(Mutex::new(answer)), Arc::new(Mutex::new(Vec::new())));
        let (current, seen) = (Arc::clone(&answer), Arc::clone(&requests));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let answer = current.lock().unwrap().clone();
                tokio::spawn(serve(stream, answer, Arc::clone(&seen)));
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

    pub(super) fn requests(&self) -> usize {
        self.requests.lock().unwrap().len()
    }

    pub(super) async fn stop(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

async fn serve(mut stream: TcpStream, answer: Answer, seen: Arc<Mutex<Vec<String>>>) {
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
        }
    }
}
