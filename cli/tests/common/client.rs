//! A client that asks for the page again and again, a new connection each time.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) struct Client {
    stop: CancellationToken,
    asking: JoinHandle<(usize, Vec<String>)>,
}

impl Client {
    /// Starts to ask at an endpoint.
    pub(crate) fn start(endpoint: &str) -> Self {
        let stop = CancellationToken::new();
        let (stopped, url) = (stop.clone(), format!("http://{endpoint}/"));
        let client = reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap();
        let asking = tokio::spawn(async move {
            let (mut asked, mut failures) = (0, Vec::new());
            while !stopped.is_cancelled() {
                asked += 1;
                match client.get(&url).send().await {
                    Ok(answer) if answer.status().is_success() => {}
                    Ok(answer) => failures.push(format!("request {asked}: {}", answer.status())),
                    Err(error) => failures.push(format!("request {asked}: {error:?}")),
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            (asked, failures)
        });
        Self { stop, asking }
    }

    /// Stops asking; how often it asked, and what failed.
    pub(crate) async fn stop(self) -> (usize, Vec<String>) {
        self.stop.cancel();
        self.asking.await.unwrap()
    }
}
