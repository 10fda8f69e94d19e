//! The listening server.

use std::{net::SocketAddr, sync::Arc};

use tokio::{net::TcpListener, task::JoinHandle};

use super::{record::Recorder, router::router};
use crate::{
    cloud::{Cloud, CloudError, Config, Edge},
    connection::{ConnectionHandle, Connections},
    machine::Hypervisor,
};

/// A running sandbox: the API on its address, and the cloud behind it.
#[derive(Debug)]
pub struct Server {
    /// Where the API answers.
    pub addr: SocketAddr,
    cloud: Cloud,
    serving: JoinHandle<()>,
}

impl Server {
    /// Opens the cloud of the state folder and serves its API. Returns when it answers.
    pub async fn start(
        config: Config,
        hypervisor: Arc<dyn Hypervisor>,
        edge: Arc<dyn Edge>,
    ) -> Result<Self, CloudError> {
        let address = config.listen;
        if !address.ip().is_loopback() {
            return Err(CloudError::NotLoopback { address });
        }
        let listen = |source| CloudError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(listen)?;
        let addr = listener.local_addr().map_err(listen)?;
        let recorder = match &config.record {
            Some(path) => {
                let file = |source| CloudError::Record { path: path.clone(), source };
                Some(Recorder::open(path).map_err(file)?)
            }
            None => None,
        };
        let cloud = Cloud::open(config, hypervisor, edge.clone()).await?;
        let app = router(&cloud, &edge, recorder).into_make_service_with_connect_info::<ConnectionHandle>();
        let stop = cloud.stopped();
        let serving = tokio::spawn(async move {
            let serve =
                axum::serve(Connections(listener), app).with_graceful_shutdown(async move { stop.cancelled().await });
            if let Err(error) = serve.await {
                tracing::error!(%error, "the API stopped");
            }
        });
        Ok(Self { addr, cloud, serving })
    }

    /// The cloud behind the API.
    pub fn cloud(&self) -> &Cloud {
        &self.cloud
    }

    /// Stops serving and working; the state file and the machines stay. Open connections are cut.
    pub async fn stop(self) {
        self.cloud.stop();
        self.serving.abort();
        // Cancelled by the abort: how it ended says nothing.
        drop(self.serving.await);
    }
}
