//! What every command of the engine is given.

mod options;

use std::{collections::BTreeMap, fmt, future::Future, sync::Arc, time::Duration};

use futures::future::BoxFuture;
pub use options::{Asker, BakeOptions, OnError};
use tokio::{sync::watch, time::timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    events::Events,
    health::{Network, Services},
    journal::Place,
    manifest::Loaded,
    provider::{Error, ErrorKind, Provider, Result},
    remote::{Machines, Ssh},
    watch::Watcher,
};

/// How long an interrupted run waits for the reply to a request that it has sent.
const REPLY_WITHIN: Duration = Duration::from_secs(30);

/// One run of one command on one environment: the manifest, the clouds, and where news goes.
#[derive(Debug, Clone)]
pub struct Context {
    /// The manifest, with its environment chosen.
    pub loaded: Loaded,
    /// The cloud that hosts the instances.
    pub provider: Arc<dyn Provider>,
    /// The cloud that serves the DNS zone, where it is another one.
    pub dns: Option<Arc<dyn Provider>>,
    /// Builds the providers of other places where the environment once was.
    pub elsewhere: Elsewhere,
    /// Receives the events of this run; clones go to all its tasks.
    pub events: Events,
    /// Cancelled when the user asks to stop.
    pub cancel: CancellationToken,
    /// This run; in names, labels and the lock.
    pub run: Uuid,
    /// Environment variables that `secrets` may name, so that tests need not touch the process's own.
    pub process_env: BTreeMap<String, String>,
    /// How long to wait for the environment's lock where another run holds it; `None` fails at once.
    pub lock_wait: Option<Duration>,
    /// How this run bakes, where it does.
    pub bake: BakeOptions,
    /// Waits for the cloud on behalf of everybody in this run.
    pub watcher: Watcher,
    /// The way to machines.
    pub(crate) machines: Arc<dyn Machines>,
    /// The way to services.
    pub(crate) services: Arc<dyn Services>,
    /// Requests that change something and have no reply yet.
    pub(crate) sent: Sent,
}

/// The provider of a place, on its way.
type Built = BoxFuture<'static, Result<Arc<dyn Provider>>>;

/// Builds the provider of a place.
#[derive(Clone)]
pub struct Elsewhere(Arc<dyn Fn(Place) -> Built + Send + Sync>);

impl Elsewhere {
    /// Builds providers with the function.
    pub fn new(build: impl Fn(Place) -> Built + Send + Sync + 'static) -> Self {
        Self(Arc::new(build))
    }
}

impl Default for Elsewhere {
    /// Refuses every place, with `InvalidInput`.
    fn default() -> Self {
        Self::new(|place| {
            let error = Error::new(ErrorKind::InvalidInput, "configure provider", "it is not available here");
            Box::pin(async move { Err(error.with_resource(place)) })
        })
    }
}

impl fmt::Debug for Elsewhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Elsewhere").finish_non_exhaustive()
    }
}

/// How many requests are without a reply.
#[derive(Debug, Clone)]
pub(crate) struct Sent(Arc<watch::Sender<usize>>);

impl Default for Sent {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }
}

impl Sent {
    fn begin(&self) -> Pending<'_> {
        self.0.send_modify(|pending| *pending += 1);
        Pending(self)
    }
}

struct Pending<'a>(&'a Sent);

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        self.0.0.send_modify(|pending| *pending -= 1);
    }
}

impl Context {
    /// A context with a new run id, the process's environment variables, and nothing to cancel it yet. Variables that are not
    /// UTF-8 are left out.
    pub fn new(loaded: Loaded, provider: Arc<dyn Provider>, events: Events) -> Self {
        let watcher = Watcher::new(Arc::clone(&provider));
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self {
            loaded,
            provider,
            dns: None,
            elsewhere: Elsewhere::default(),
            events,
            cancel: CancellationToken::new(),
            run: Uuid::now_v7(),
            process_env: std::env::vars_os().filter_map(text).collect(),
            lock_wait: None,
            bake: BakeOptions::default(),
            watcher,
            machines: Arc::new(Ssh),
            services: Arc::new(Network),
            sent: Sent::default(),
        }
    }

    /// The provider whose zones hold the DNS record.
    pub fn dns_provider(&self) -> &Arc<dyn Provider> {
        self.dns.as_ref().unwrap_or(&self.provider)
    }

    /// Where the manifest puts instances.
    pub fn place(&self) -> Place {
        Place { provider: self.loaded.provider.clone(), region: self.loaded.section.region.clone() }
    }

    /// The same run at another place.
    ///
    /// # Errors
    ///
    /// When the provider of that place cannot be configured: there are no credentials, or this build does not have it.
    pub async fn at(&self, place: &Place) -> Result<Self> {
        if *place == self.place() {
            return Ok(self.clone());
        }
        let provider = (self.elsewhere.0)(place.clone()).await?;
        Ok(Self { watcher: Watcher::new(Arc::clone(&provider)), provider, ..self.clone() })
    }

    /// Four characters of the run id, which tell the names of two attempts apart.
    ///
    /// A version 7 UUID starts with its time: the last characters are the random ones.
    pub fn run4(&self) -> String {
        crate::journal::short(self.run)
    }

    /// Makes a call that changes something, and that an interruption must not cut off: the cloud may carry out what was asked
    /// after the caller is gone. Once the user asked to stop, nothing is begun any more.
    ///
    /// Whoever uses it waits for the work as a whole beside [`Context::interrupted`].
    pub async fn commit<T>(&self, call: impl Future<Output = T>) -> T {
        // What belongs to a call that was begun before goes with it.
        if self.cancel.is_cancelled() && *self.sent.0.borrow() == 0 {
            return std::future::pending().await;
        }
        let _pending = self.sent.begin();
        call.await
    }

    /// Waits until the user asks to stop, and then, within a bound, until what [`Context::commit`] sent has its reply.
    pub async fn interrupted(&self) {
        self.cancel.cancelled().await;
        let mut sent = self.sent.0.subscribe();
        let answered = sent.wait_for(|pending| *pending == 0);
        if timeout(REPLY_WITHIN, answered).await.is_err() {
            self.events.warn("a request has no reply yet; the next command looks for what it may have changed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fake::{FakeCloud, Pace},
        manifest::{LoadOptions, load},
    };

    fn context() -> Context {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("remint.toml");
        let manifest = "service = \"app\"\nprovider = \"fake\"\n[providers.fake]\nregion = \"here\"\nbase = \"debian\"\n\
            size = \"small\"\n[image]\n[health.check.tcp]\nport = 80\n";
        std::fs::write(&path, manifest).unwrap();
        let loaded = load(&path, &LoadOptions::default()).unwrap();
        Context::new(loaded, FakeCloud::new(Pace::default()), Events::silent())
    }

    #[tokio::test(start_paused = true)]
    async fn an_interruption_waits_for_the_reply_to_what_was_sent() {
        let ctx = context();
        let started = tokio::time::Instant::now();
        let reply = async {
            ctx.commit(tokio::time::sleep(Duration::from_secs(10))).await;
            // A wait, which is cut off.
            tokio::time::sleep(Duration::from_secs(3600)).await;
        };
        let stop = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            ctx.cancel.cancel();
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = reply => panic!("the wait ended"),
            () = stop => {}
            () = ctx.interrupted() => {}
        }
        assert_eq!(started.elapsed().as_secs(), 10);
        // Nothing new is begun, and a reply that never comes does not hold it up for good.
        let begun = tokio::time::timeout(Duration::from_secs(60), ctx.commit(async {})).await;
        assert!(begun.is_err());
        let _pending = ctx.sent.begin();
        ctx.interrupted().await;
        assert_eq!(started.elapsed().as_secs(), 10 + 60 + 30);
    }
}
