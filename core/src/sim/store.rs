//! The journal's object store, as one process sees it: each operation takes its time, and a write that was sent happens
//! whatever becomes of its process.

use std::{
    collections::BTreeSet,
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, Result, memory::InMemory, path::Path,
};
use tokio::{
    sync::oneshot,
    time::{Instant, sleep},
};

use super::{coverage::Trouble, life::Life, oracle::Oracle};
use crate::fake::{Actor, Dice, Site};

/// The store of one process.
pub(super) struct SimStore {
    pub(super) objects: Arc<InMemory>,
    pub(super) life: Arc<Life>,
    pub(super) actor: Actor,
    pub(super) oracle: Arc<Oracle>,
    pub(super) dice: Mutex<Dice>,
    /// How often a write arrives late.
    pub(super) late: f64,
    /// Where nothing is to go wrong.
    pub(super) skip: Arc<BTreeSet<String>>,
    /// How many writes there were.
    pub(super) puts: AtomicU32,
}

impl fmt::Debug for SimStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SimStore of {}", self.actor)
    }
}

impl fmt::Display for SimStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SimStore of {}", self.actor)
    }
}

impl SimStore {
    fn delay(&self, most: u64) -> Duration {
        self.dice.lock().unwrap().up_to(Duration::from_millis(most))
    }

    /// Whether the next write arrives late.
    fn is_late(&self) -> bool {
        let number = self.puts.fetch_add(1, Ordering::Relaxed) + 1;
        let late = self.dice.lock().unwrap().hits(self.late);
        let site = Site { actor: &self.actor, operation: "put", number };
        let late = late && (self.skip.is_empty() || !self.skip.contains(&site.to_string()));
        if late {
            self.oracle.fault(&site, Trouble::LateWrite);
        }
        late
    }

    async fn step(&self) {
        if self.life.step() {
            tokio::task::yield_now().await;
        }
    }
}

#[async_trait]
impl ObjectStore for SimStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.step().await;
        sleep(self.delay(10)).await;
        let (reply, answer) = oneshot::channel();
        let (objects, actor, oracle) = (Arc::clone(&self.objects), self.actor.clone(), Arc::clone(&self.oracle));
        let (location, sent) = (location.clone(), Instant::now());
        let late = self.is_late();
        let (commit, back) = (self.delay(if late { 3000 } else { 20 }), self.delay(20));
        tokio::spawn(async move {
            sleep(commit).await;
            let body = payload.clone();
            let put = objects.put_opts(&location, payload, opts).await;
            if put.is_ok() {
                let bytes: Vec<u8> = body.iter().flat_map(|part| part.iter().copied()).collect();
                oracle.written(&actor, sent, location.as_ref(), &bytes);
            }
            sleep(back).await;
            // Nobody may be there any more.
            let _ = reply.send(put);
        });
        let put = answer.await.unwrap_or_else(|_| {
            Err(object_store::Error::Generic { store: "simulated", source: "the write was dropped".into() })
        });
        self.step().await;
        put
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.objects.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        sleep(self.delay(10)).await;
        let got = self.objects.get_opts(location, options).await;
        sleep(self.delay(10)).await;
        got
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let (wait, objects) = (self.delay(20), Arc::clone(&self.objects));
        let (actor, oracle) = (self.actor.clone(), Arc::clone(&self.oracle));
        let deleted = locations.then(move |location| {
            let (objects, actor, oracle) = (Arc::clone(&objects), actor.clone(), Arc::clone(&oracle));
            async move {
                let location = location?;
                sleep(wait).await;
                let one = stream::once(std::future::ready(Ok(location.clone()))).boxed();
                objects.delete_stream(one).try_collect::<Vec<_>>().await?;
                oracle.deleted(&actor, location.as_ref());
                Ok(location)
            }
        });
        deleted.boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (go, back) = (self.delay(10), self.delay(10));
        let (objects, prefix) = (Arc::clone(&self.objects), prefix.cloned());
        let listed = async move {
            sleep(go).await;
            let all: Result<Vec<ObjectMeta>> = objects.list(prefix.as_ref()).try_collect().await;
            sleep(back).await;
            all
        };
        let all = stream::once(listed).map_ok(|all| stream::iter(all.into_iter().map(Ok)));
        all.try_flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        sleep(self.delay(20)).await;
        self.objects.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.objects.copy_opts(from, to, options).await
    }
}
