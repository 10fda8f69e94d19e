//! A store in memory, in the middle of whose requests a test can do something.

use std::{
    fmt,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use futures::{
    FutureExt as _,
    future::BoxFuture,
    stream::{BoxStream, StreamExt as _},
};
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, memory::InMemory, path::Path,
};

/// What happens right before a request reaches the store; the error is its answer then.
type Hook = Arc<dyn Fn(&str, &Path) -> BoxFuture<'static, Option<object_store::Error>> + Send + Sync>;

/// A store with something going on between the requests of one run.
pub(super) struct Hooked {
    inner: Arc<InMemory>,
    before: Hook,
    /// `create production/lock/…`, in their order.
    pub(super) log: Mutex<Vec<String>>,
}

impl Hooked {
    pub(super) fn new(
        inner: &Arc<InMemory>,
        before: impl Fn(&str, &Path) -> BoxFuture<'static, Option<object_store::Error>> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self { inner: Arc::clone(inner), before: Arc::new(before), log: Mutex::default() })
    }

    async fn before(&self, operation: &str, location: &Path) -> Result<()> {
        self.log.lock().unwrap().push(format!("{operation} {location}"));
        (self.before)(operation, location).await.map_or(Ok(()), Err)
    }

    pub(super) fn asked(&self, what: &str) -> bool {
        self.log.lock().unwrap().iter().any(|line| line == what)
    }
}

impl fmt::Debug for Hooked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hooked")
    }
}

impl fmt::Display for Hooked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hooked")
    }
}

#[async_trait]
impl ObjectStore for Hooked {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        let operation = if matches!(opts.mode, PutMode::Create) { "create" } else { "replace" };
        self.before(operation, location).await?;
        let put = self.inner.put_opts(location, payload, opts).await?;
        self.before("created", location).await.map(|()| put)
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.before("get", location).await?;
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let before = Arc::clone(&self.before);
        let asked = locations.then(move |location| {
            let before = Arc::clone(&before);
            async move {
                let location = location?;
                before("delete", &location).await.map_or(Ok(location), Err)
            }
        });
        self.inner.delete_stream(asked.boxed())
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let prefix = prefix.cloned().unwrap_or_default();
        self.log.lock().unwrap().push(format!("list {prefix}"));
        let (refused, inner) = ((self.before)("list", &prefix), Arc::clone(&self.inner));
        let listed = async move {
            match refused.await {
                Some(error) => futures::stream::once(async { Err(error) }).boxed(),
                None => inner.list(Some(&prefix)),
            }
        };
        futures::stream::once(listed).flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

pub(super) fn nothing() -> BoxFuture<'static, Option<object_store::Error>> {
    futures::future::ready(None).boxed()
}

pub(super) fn no_answer() -> BoxFuture<'static, Option<object_store::Error>> {
    let error = object_store::Error::Generic { store: "test", source: "no answer".into() };
    futures::future::ready(Some(error)).boxed()
}
