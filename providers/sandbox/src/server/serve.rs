//! The listening server.

use std::{net::SocketAddr, sync::Arc};

use tokio::{net::TcpListener, task::JoinHandle};

use super::{accounts::Accounts, record::Recorder, router::router};
use crate::{
    cloud::{
        Account, Api, CloudError, Config, Edge,
        connection::{ConnectionHandle, ConnectionLimits, Connections},
    },
    digitalocean, ec2, gce,
    machine::Hypervisor,
};

/// A running sandbox: all APIs on one address, and the accounts behind them.
#[derive(Debug)]
pub struct Server {
    /// Where the APIs answer.
    pub addr: SocketAddr,
    accounts: Accounts,
    serving: JoinHandle<()>,
}

impl Server {
    /// Opens the accounts of the state folder and serves their APIs. Returns when it answers.
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
                let file = |source| CloudError::File { what: "record answers in", path: path.clone(), source };
                Some(Recorder::open(path).map_err(file)?)
            }
            None => None,
        };
        // The address is known only now, and some answers tell it.
        let config = Config { listen: addr, ..config };
        let accounts = Accounts {
            digitalocean: digitalocean::Cloud::open(config.clone(), hypervisor.clone(), edge.clone()).await?,
            ec2: ec2::Cloud::open(config.clone(), hypervisor.clone(), edge.clone()).await?,
            gce: gce::Cloud::open(config, hypervisor, edge.clone()).await?,
        };
        let app = router(&accounts, &edge, recorder).into_make_service_with_connect_info::<ConnectionHandle>();
        let stop = accounts.digitalocean.stopped();
        let serving = tokio::spawn(async move {
            let serve = axum::serve(Connections::new(listener, ConnectionLimits::default()), app)
                .with_graceful_shutdown(async move { stop.cancelled().await });
            if let Err(error) = serve.await {
                tracing::error!(%error, "the API stopped");
            }
        });
        Ok(Self { addr, accounts, serving })
    }

    /// The account that callers of this API have; each API has its own.
    pub fn account(&self, api: Api) -> &dyn Account {
        self.accounts.of(api)
    }

    /// Stops serving and working; the state file and the machines stay. Open connections are cut.
    pub async fn stop(self) {
        for cloud in self.accounts.all() {
            cloud.stop();
        }
        self.serving.abort();
        // Cancelled by the abort: how it ended says nothing.
        drop(self.serving.await);
    }
}
