//! A server of S3's API that nobody here wrote: moto. The tests of the command use it, too.

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// Serves on a free port, and ends when its standard input does: however this program ends, the other end of that pipe closes
/// with it.
///
/// Moto looks at the condition of a write and then writes, in as many threads as there are requests, so that of twenty two may
/// win. S3 does both at once: so one request is served at a time here.
const MOTO: &str = "
import logging, os, sys, threading
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server
logging.getLogger('werkzeug').setLevel(logging.ERROR)
moto, turn = DomainDispatcherApplication(create_backend_app), threading.Lock()
def one_at_a_time(environ, start_response):
    with turn:
        return list(moto(environ, start_response))
server = make_server('127.0.0.1', 0, one_at_a_time, threaded=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_port, flush=True)
sys.stdin.read()
os._exit(0)
";

/// The folder of the workspace into which `.ci/setup` installs things.
pub(crate) fn target_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target")
}

/// A server that ends with its handle.
pub(crate) struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Starts a program that prints its port; the server's URL.
pub(crate) fn start(program: &mut Command, name: &str) -> (Server, String) {
    let started = program.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut process = started.unwrap_or_else(|error| panic!("{name} does not start ({error}): run `.ci/setup test`"));
    let mut port = String::new();
    BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut port).unwrap();
    let port = port.trim().to_owned();
    let server = Server(process);
    assert!(!port.is_empty(), "{name} does not start: run `.ci/setup test`");
    (server, format!("http://127.0.0.1:{port}"))
}

pub(crate) struct Moto {
    pub(crate) url: String,
    _server: Server,
}

impl Moto {
    pub(crate) fn start() -> Self {
        let given = std::env::var_os("REMINT_TEST_PYTHON").map(PathBuf::from);
        let python = given.unwrap_or_else(|| target_folder().join("python/bin/python"));
        assert!(python.is_file(), "{} is missing: run `.ci/setup test`, or set REMINT_TEST_PYTHON", python.display());
        let (server, url) = start(Command::new(python).args(["-c", MOTO]), "moto");
        Self { url, _server: server }
    }

    pub(crate) async fn bucket(&self, name: &str) {
        let made = reqwest::Client::new().put(format!("{}/{name}", self.url)).send().await.unwrap();
        assert!(made.status().is_success(), "{made:?}");
    }
}
