//! An object store in memory whose writes are steps at which the process can die.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, Result, memory::InMemory, path::Path,
};

use super::Kill;

/// Dies before and behind every write.
#[derive(Debug)]
pub(crate) struct KillStore {
    inner: Arc<InMemory>,
    kill: Arc<Kill>,
}

impl KillStore {
    pub(crate) fn new(inner: Arc<InMemory>, kill: Arc<Kill>) -> Self {
        Self { inner, kill }
    }
}

impl fmt::Display for KillStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KillStore")
    }
}

#[async_trait]
impl ObjectStore for KillStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        // The lock's renewal runs beside the command, at times of its own.
        if location.as_ref().contains("/lock/") {
            return self.inner.put_opts(location, payload, opts).await;
        }
        self.kill.step().await;
        let put = self.inner.put_opts(location, payload, opts).await;
        self.kill.step().await;
        put
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
