//! The journal's object store, as one process sees it: each operation takes its time, and a write that was sent happens
//! whatever becomes of its process.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use futures::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, memory::InMemory, path::Path,
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
    pub(super) seed: u64,
    pub(super) rates: StoreRates,
    /// Where nothing is to go wrong.
    pub(super) skip: Arc<BTreeSet<String>>,
    /// How many operations of each kind there were.
    pub(super) asked: Mutex<BTreeMap<&'static str, u32>>,
}

/// How often what goes wrong, each from zero to one.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct StoreRates {
    /// A write arrives late.
    pub(super) late: f64,
    /// A write whose process is killed before it arrives leaves half an object.
    pub(super) torn: f64,
    /// An operation is refused, or done without a reply.
    pub(super) down: f64,
}

/// What goes wrong with an operation.
#[derive(Debug, Default)]
struct Wrong {
    late: bool,
    torn: bool,
    down: bool,
    /// Whether it is done all the same.
    done: bool,
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

    /// What goes wrong with the next operation of a kind.
    fn wrong(&self, operation: &'static str) -> Wrong {
        let number = {
            let mut asked = self.asked.lock().unwrap();
            let number = asked.entry(operation).or_default();
            *number += 1;
            *number
        };
        let site = Site { actor: &self.actor, operation, number };
        let mut dice = Dice::at(self.seed, [operation.as_bytes(), &number.to_le_bytes()]);
        let [late, torn, down] = [self.rates.late, self.rates.torn, self.rates.down].map(|rate| dice.hits(rate));
        let put = operation == "put";
        let mut wrong = Wrong { late: late && put, torn: torn && put, down, done: put && dice.hits(0.5) };
        if self.skip.is_empty() || !(wrong.late || wrong.torn || wrong.down) {
            return wrong;
        }
        let skips = |what: &str| self.skip.contains(what);
        let all = skips(&site.to_string());
        wrong.late &= !all && !skips(Trouble::LateWrite.name());
        wrong.torn &= !all && !skips(Trouble::TornWrite.name());
        wrong.down &= !all && !skips(Trouble::StoreDown.name());
        wrong
    }

    fn site(&self, operation: &'static str) -> Site<'_> {
        let number = self.asked.lock().unwrap().get(operation).copied().unwrap_or_default();
        Site { actor: &self.actor, operation, number }
    }

    /// Refuses an operation now and then.
    fn admit(&self, operation: &'static str) -> Result<()> {
        match self.wrong(operation).down {
            false => Ok(()),
            true => {
                self.oracle.fault(&self.site(operation), Trouble::StoreDown);
                Err(unavailable())
            }
        }
    }

    async fn step(&self) {
        if self.life.step() {
            tokio::task::yield_now().await;
        }
    }
}

fn unavailable() -> object_store::Error {
    object_store::Error::Generic { store: "simulated", source: "503 for a moment".into() }
}

/// Whether `journal repair` can do something about half of it.
fn is_mendable(path: &str) -> bool {
    path.contains("/journal/") || path.contains("/lock/") || path.ends_with("/release.json")
}

#[async_trait]
impl ObjectStore for SimStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.step().await;
        sleep(self.delay(10)).await;
        let (reply, answer) = oneshot::channel();
        let (objects, actor, oracle) = (Arc::clone(&self.objects), self.actor.clone(), Arc::clone(&self.oracle));
        let (location, sent) = (location.clone(), Instant::now());
        let Wrong { late, torn, down, done } = self.wrong("put");
        if late {
            self.oracle.fault(&self.site("put"), Trouble::LateWrite);
        }
        if down {
            self.oracle.fault(&self.site("put"), Trouble::StoreDown);
            if !done {
                return Err(unavailable());
            }
        }
        let (commit, back) = (self.delay(if late { 3000 } else { 20 }), self.delay(20));
        // Only what is new is written in place; of what is replaced, the former object stays until the new one is whole.
        // A client that repeats a create whose reply was lost hears that its own object exists.
        let repeated = down && opts.mode == PutMode::Create && self.dice.lock().unwrap().hits(0.5);
        let torn = torn && opts.mode == PutMode::Create && is_mendable(location.as_ref());
        let (life, number) = (Arc::clone(&self.life), self.site("put").number);
        tokio::spawn(async move {
            sleep(commit).await;
            let bytes: Vec<u8> = payload.iter().flat_map(|part| part.iter().copied()).collect();
            if torn && life.is_killed() {
                let half = PutPayload::from(bytes[..bytes.len() / 2].to_vec());
                if objects.put_opts(&location, half, opts).await.is_ok() {
                    oracle.fault(&Site { actor: &actor, operation: "put", number }, Trouble::TornWrite);
                    oracle.line(&actor, format_args!("leaves half of {location}"));
                }
                return;
            }
            let put = objects.put_opts(&location, payload, opts).await;
            if put.is_ok() {
                oracle.written(&actor, sent, location.as_ref(), &bytes);
            }
            sleep(back).await;
            // Nobody may be there any more.
            let exists =
                || object_store::Error::AlreadyExists { path: location.to_string(), source: "repeated".into() };
            let _ = reply.send(match down {
                true if repeated => Err(exists()),
                true => Err(unavailable()),
                false => put,
            });
        });
        // Killed here, it does not live to see the write happen.
        self.step().await;
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
        self.admit("get")?;
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
        let (objects, prefix, admitted) = (Arc::clone(&self.objects), prefix.cloned(), self.admit("list"));
        let listed = async move {
            sleep(go).await;
            admitted?;
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
