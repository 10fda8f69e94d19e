//! What a service is asked from outside.

use std::{fmt, net::SocketAddr, time::Duration};

use async_trait::async_trait;
use tokio::{io::AsyncReadExt, net::TcpStream, time::timeout};

use super::{
    http::HttpQuestion,
    unhealthy::{Unhealthy, innermost},
};

/// How long a TCP connection must stay open. User-mode networking accepts for a guest that does not listen, and closes
/// at once.
const STAYS_OPEN: Duration = Duration::from_millis(200);

/// A question to the service at an endpoint.
#[derive(Debug, Clone)]
pub(crate) enum Question {
    Http(Box<HttpQuestion>),
    Tcp,
}

/// The way to services. [`Network`] is the real one; a simulation answers for services that do not exist.
#[async_trait]
pub(crate) trait Services: fmt::Debug + Send + Sync {
    /// Asks once, however long that takes.
    async fn ask(&self, endpoint: SocketAddr, question: &Question) -> Result<(), Unhealthy>;
}

/// Services that answer over the network.
#[derive(Debug)]
pub(crate) struct Network;

#[async_trait]
impl Services for Network {
    async fn ask(&self, endpoint: SocketAddr, question: &Question) -> Result<(), Unhealthy> {
        match question {
            Question::Http(question) => question.ask().await,
            Question::Tcp => ask_tcp(endpoint).await,
        }
    }
}

async fn ask_tcp(endpoint: SocketAddr) -> Result<(), Unhealthy> {
    let mut stream = TcpStream::connect(endpoint).await.map_err(|error| Unhealthy::new(&innermost(&error)))?;
    match timeout(STAYS_OPEN, stream.read(&mut [0; 16])).await {
        Err(_) => Ok(()),
        Ok(Ok(0)) => Err(Unhealthy::new("accepted and closed at once")),
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(Unhealthy::new(&innermost(&error))),
    }
}
