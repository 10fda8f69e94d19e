//! Servers of S3's API that nobody here wrote: moto, and s3rver, which ignores conditions.

use std::process::Command;

pub(super) use super::moto::Moto;
use super::{
    moto::{Server, start, target_folder},
    target::Target,
};

/// The same for s3rver, with its bucket and its folder.
const S3RVER: &str = "
const S3rver = require(process.argv[1]);
const [bucket, directory] = process.argv.slice(2);
const options = { address: '127.0.0.1', port: 0, silent: true, directory, configureBuckets: [{ name: bucket }] };
new S3rver(options).run().then(({ port }) => console.log(port));
process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
";

impl Moto {
    pub(super) fn target(&self, url: &str) -> Target {
        Target::s3(url, &self.url)
    }
}

pub(super) struct S3rver {
    url: String,
    _server: Server,
    _folder: tempfile::TempDir,
}

impl S3rver {
    pub(super) fn start(bucket: &str) -> Self {
        let module = target_folder().join("npm/node_modules/s3rver");
        assert!(module.is_dir(), "{} is missing: run `.ci/setup test`", module.display());
        let folder = tempfile::tempdir().unwrap();
        let mut node = Command::new("node");
        node.args(["-e", S3RVER]).args([module.as_os_str(), bucket.as_ref(), folder.path().as_os_str()]);
        let (server, url) = start(&mut node, "s3rver");
        Self { url, _server: server, _folder: folder }
    }

    pub(super) fn target(&self, url: &str) -> Target {
        Target::s3(url, &self.url)
    }
}
