//! Servers of S3's API that nobody here wrote: moto, and s3rver, which ignores conditions.

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use super::target::Target;

/// Serves on a free port, and ends when its standard input does: however this program ends, the other end of that pipe closes
/// with it.
const MOTO: &str = "
import logging, os, sys
from moto.server import ThreadedMotoServer
logging.getLogger('werkzeug').setLevel(logging.ERROR)
server = ThreadedMotoServer(ip_address='127.0.0.1', port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
os._exit(0)
";

/// The same for s3rver, with its bucket and its folder.
const S3RVER: &str = "
const S3rver = require(process.argv[1]);
const [bucket, directory] = process.argv.slice(2);
const options = { address: '127.0.0.1', port: 0, silent: true, directory, configureBuckets: [{ name: bucket }] };
new S3rver(options).run().then(({ port }) => console.log(port));
process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
";

fn target_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target")
}

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Starts a program that prints its port; the server's URL.
fn start(program: &mut Command, name: &str) -> (Server, String) {
    let started = program.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut process = started.unwrap_or_else(|error| panic!("{name} does not start ({error}): run `.ci/setup test`"));
    let mut port = String::new();
    BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut port).unwrap();
    let port = port.trim().to_owned();
    let server = Server(process);
    assert!(!port.is_empty(), "{name} does not start: run `.ci/setup test`");
    (server, format!("http://127.0.0.1:{port}"))
}

pub(super) struct Moto {
    pub(super) url: String,
    _server: Server,
}

impl Moto {
    pub(super) fn start() -> Self {
        let given = std::env::var_os("REMINT_TEST_PYTHON").map(PathBuf::from);
        let python = given.unwrap_or_else(|| target_folder().join("python/bin/python"));
        assert!(python.is_file(), "{} is missing: run `.ci/setup test`, or set REMINT_TEST_PYTHON", python.display());
        let (server, url) = start(Command::new(python).args(["-c", MOTO]), "moto");
        Self { url, _server: server }
    }

    pub(super) async fn bucket(&self, name: &str) {
        let made = reqwest::Client::new().put(format!("{}/{name}", self.url)).send().await.unwrap();
        assert!(made.status().is_success(), "{made:?}");
    }

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
