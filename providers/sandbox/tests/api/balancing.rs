//! What load balancers do to connections, with HAProxy and simulated machines. `.ci/setup test` installs HAProxy.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use remint_sandbox::embedded::{Embedded, Options};
use reqwest::Method;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::openapi::Checker;

/// A sandbox with simulated machines and real load balancers.
struct World {
    sandbox: Embedded,
    http: reqwest::Client,
    checker: Checker,
}

impl World {
    async fn start() -> Self {
        // Each request is a connection of its own: none waits in a pool for its server to close it.
        let http = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build().unwrap();
        Self { sandbox: Embedded::start(Options::default()).await.unwrap(), http, checker: Checker::load() }
    }

    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let url = format!("{}{path}", self.sandbox.url());
        let mut request = self.http.request(method.clone(), url).bearer_auth(self.sandbox.token().expose_secret());
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        let body: Option<Value> = (!text.is_empty()).then(|| serde_json::from_str(&text).unwrap());
        self.checker.record(method.as_str(), path, status, body.as_ref());
        (status, body.unwrap_or_default())
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let (status, answer) = self.call(Method::POST, path, Some(body)).await;
        assert!((200..300).contains(&status), "POST {path}: {status} {answer}");
        answer
    }

    async fn until(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        for _ in 0..3000 {
            last = self.call(Method::GET, path, None).await.1;
            if wanted(&last) {
                return last;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("GET {path} never was as wanted, at last {last}");
    }

    /// A droplet that is on, with the tag `web` and this `/etc/simulation.toml`.
    async fn droplet(&self, name: &str, simulation: &str) -> u64 {
        let lines: String = simulation.lines().map(|line| format!("    {line}\n")).collect();
        let user_data = format!("#cloud-config\nwrite_files:\n- path: /etc/simulation.toml\n  content: |\n{lines}");
        let body = json!({
            "name": name, "region": "fra1", "size": "s-1vcpu-1gb", "image": "debian-12-x64", "tags": ["web"],
            "user_data": user_data,
        });
        let id = self.post("/v2/droplets", body).await["droplet"]["id"].as_u64().unwrap();
        self.until(&format!("/v2/droplets/{id}"), |body| body["droplet"]["status"] == "active").await;
        id
    }

    /// A load balancer of the droplets with the tag `web` that is active: its path and address.
    async fn balancer(&self, body: Value) -> (String, String) {
        self.call(Method::POST, "/v2/tags", Some(json!({ "name": "web" }))).await;
        let mut whole = json!({ "name": "front", "region": "fra1", "tag": "web" });
        for (key, value) in body.as_object().unwrap() {
            whole[key] = value.clone();
        }
        let made = self.post("/v2/load_balancers", whole).await;
        let path = format!("/v2/load_balancers/{}", made["load_balancer"]["id"].as_str().unwrap());
        let active = self.until(&path, |body| body["load_balancer"]["status"] == "active").await;
        (path, active["load_balancer"]["ip"].as_str().unwrap().to_owned())
    }

    /// Calls until the load balancer is not at work; the status.
    async fn when_free(&self, method: Method, path: &str, body: Option<Value>) -> u16 {
        loop {
            match self.call(method.clone(), path, body.clone()).await.0 {
                403 => tokio::time::sleep(Duration::from_millis(20)).await,
                status => return status,
            }
        }
    }

    async fn members_are(&self, path: &str, members: &[u64]) {
        self.until(path, |body| body["load_balancer"]["droplet_ids"] == json!(members)).await;
    }

    /// Waits until the metric says this of each droplet that was checked.
    async fn health_is(&self, path: &str, health: &[(u64, &str)]) {
        let id = path.rsplit('/').next().unwrap();
        let metric =
            format!("/v2/monitoring/metrics/load_balancer/droplets_health_checks?lb_id={id}&start=0&end=9999999999");
        let wanted: Vec<(String, Value)> = health.iter().map(|(id, value)| (id.to_string(), json!(value))).collect();
        let is = |body: &Value| {
            let series = body["data"]["result"].as_array().unwrap().iter();
            let one =
                |one: &Value| (one["metric"]["droplet_id"].as_str().unwrap().to_owned(), one["values"][0][1].clone());
            series.map(one).collect::<Vec<_>>() == wanted
        };
        self.until(&metric, is).await;
    }

    fn finish(&self) {
        let violations = self.checker.violations();
        assert!(violations.is_empty(), "{}", violations.join("\n"));
    }

    fn url(&self, ip: &str, port: u16) -> String {
        format!("http://{ip}:{}/", self.sandbox.ports().resolve(port))
    }
}

/// The answer, or what went wrong.
async fn ask(http: &reqwest::Client, url: &str) -> String {
    match http.get(url).send().await {
        Ok(response) if response.status() == 200 => response.text().await.unwrap_or_else(|error| format!("{error:?}")),
        Ok(response) => response.status().as_u16().to_string(),
        Err(error) => format!("{error:?}"),
    }
}

/// Waits until this is the answer.
async fn until_answered(http: &reqwest::Client, url: &str, answer: &str) {
    let mut last = String::new();
    for _ in 0..3000 {
        last = ask(http, url).await;
        if last == answer {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{url} never answered {answer:?}, at last {last:?}");
}

/// Clients that ask without end.
struct Load {
    stop: Arc<AtomicBool>,
    answers: Arc<Mutex<Vec<String>>>,
    clients: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    fn start(url: &str) -> Self {
        let (stop, answers) = (Arc::new(AtomicBool::new(false)), Arc::<Mutex<Vec<String>>>::default());
        let client = || {
            let (stop, answers, url) = (stop.clone(), answers.clone(), url.to_owned());
            let http = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build().unwrap();
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let answer = ask(&http, &url).await;
                    answers.lock().unwrap().push(answer);
                }
            })
        };
        let clients = (0..4).map(|_| client()).collect();
        Self { stop, answers, clients }
    }

    fn answered(&self) -> usize {
        self.answers.lock().unwrap().len()
    }

    /// Waits for so many answers more.
    async fn more(&self, count: usize) {
        let before = self.answered();
        while self.answered() < before + count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn end(self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.await.unwrap();
        }
        std::mem::take(&mut *self.answers.lock().unwrap())
    }
}

fn http(entry: u16) -> Value {
    json!({ "entry_protocol": "http", "entry_port": entry, "target_protocol": "http", "target_port": 80 })
}

fn says(text: &str) -> String {
    format!("[[http]]\nbody = \"{text}\"\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tagged_droplets_answer_and_no_request_is_lost_when_one_leaves() {
    let world = World::start().await;
    let (path, ip) = world.balancer(json!({ "forwarding_rules": [http(80)] })).await;
    let url = world.url(&ip, 80);
    assert_eq!(ask(&world.http, &url).await, "503", "there is nobody to answer");
    let (one, two) = (world.droplet("one", &says("one")).await, world.droplet("two", &says("two")).await);
    world.members_are(&path, &[one, two]).await;
    world.health_is(&path, &[(one, "1"), (two, "1")]).await;

    let load = Load::start(&url);
    load.more(50).await;
    let resources = json!({ "resources": [{ "resource_id": two.to_string(), "resource_type": "droplet" }] });
    let untagged = world.call(Method::DELETE, "/v2/tags/web/resources", Some(resources.clone())).await;
    assert_eq!(untagged.0, 204);
    world.members_are(&path, &[one]).await;
    for _ in 0..20 {
        assert_eq!(ask(&world.http, &url).await, "one");
    }
    assert_eq!(world.call(Method::DELETE, &format!("/v2/droplets/{two}"), None).await.0, 204);
    load.more(50).await;
    // One that comes gets requests when it can answer them, and one that comes again too.
    let three = world.droplet("three", &says("three")).await;
    world.health_is(&path, &[(one, "1"), (three, "1")]).await;
    let resources = json!({ "resources": [{ "resource_id": one.to_string(), "resource_type": "droplet" }] });
    assert_eq!(world.call(Method::DELETE, "/v2/tags/web/resources", Some(resources.clone())).await.0, 204);
    world.members_are(&path, &[three]).await;
    assert_eq!(world.call(Method::POST, "/v2/tags/web/resources", Some(resources)).await.0, 204);
    world.health_is(&path, &[(one, "1"), (three, "1")]).await;
    load.more(50).await;
    let answers = load.end().await;
    for answer in &answers {
        assert!(["one", "two", "three"].contains(&answer.as_str()), "{answer}");
    }
    for name in ["one", "two", "three"] {
        assert!(answers.iter().any(|answer| answer == name), "{name} never answered");
    }
    world.finish();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_whose_check_fails_gets_no_requests() {
    let world = World::start().await;
    let check = json!({ "protocol": "http", "port": 80, "path": "/health" });
    let (path, ip) = world.balancer(json!({ "forwarding_rules": [http(80)], "health_check": check })).await;
    let url = world.url(&ip, 80);
    let good = world.droplet("good", &says("good")).await;
    world.health_is(&path, &[(good, "1")]).await;
    let load = Load::start(&url);
    let failing = "[[http]]\npath = \"/health\"\nstatus = 503\n\n[[http]]\nbody = \"bad\"\n";
    let bad = world.droplet("bad", failing).await;
    world.health_is(&path, &[(good, "1"), (bad, "0")]).await;
    load.more(50).await;
    let answers = load.end().await;
    assert!(answers.iter().all(|answer| answer == "good"), "{answers:?}");

    // Nobody is healthy any more.
    let off = world.post(&format!("/v2/droplets/{good}/actions"), json!({ "type": "power_off" })).await;
    assert_eq!(off["action"]["type"], "power_off");
    world.health_is(&path, &[(good, "0"), (bad, "0")]).await;
    assert_eq!(ask(&world.http, &url).await, "503");
    world.post(&format!("/v2/droplets/{good}/actions"), json!({ "type": "power_on" })).await;
    until_answered(&world.http, &url, "good").await;
    world.finish();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn listeners_and_sources_change_without_a_lost_request() {
    let world = World::start().await;
    let tcp = json!({ "entry_protocol": "tcp", "entry_port": 5432, "target_protocol": "tcp", "target_port": 5433 });
    let check = json!({ "protocol": "tcp", "port": 80 });
    let body = json!({ "forwarding_rules": [http(80)], "health_check": check });
    let (path, ip) = world.balancer(body.clone()).await;
    let url = world.url(&ip, 80);
    let id = world.droplet("web", &format!("{}\n[[tcp]]\nport = 5433\ngreeting = \"hello\"\n", says("web"))).await;
    world.health_is(&path, &[(id, "1")]).await;
    let load = Load::start(&url);
    load.more(20).await;
    let mut kept = TcpStream::connect((ip.as_str(), 20080)).await.unwrap();
    assert_eq!(once_more(&mut kept).await, "HTTP/1.1 200 OK");
    let added = json!({ "forwarding_rules": [tcp, http(8080)] });
    assert_eq!(world.when_free(Method::POST, &format!("{path}/forwarding_rules"), Some(added)).await, 204);
    until_answered(&world.http, &world.url(&ip, 8080), "web").await;
    world.health_is(&path, &[(id, "1")]).await;
    assert_eq!(greeting(&ip, 5432).await, "hello");
    assert_eq!(once_more(&mut kept).await, "HTTP/1.1 200 OK", "a client that keeps its connection may use it");
    load.more(20).await;
    let answers = load.end().await;
    assert!(answers.iter().all(|answer| answer == "web"), "{answers:?}");

    // Clients on this machine are none of these; the other listeners are gone with the PUT.
    let mut closed =
        json!({ "name": "front", "region": "fra1", "tag": "web", "firewall": { "allow": ["cidr:192.0.2.0/24"] } });
    for (key, value) in body.as_object().unwrap() {
        closed[key] = value.clone();
    }
    assert_eq!(world.when_free(Method::PUT, &path, Some(closed)).await, 200);
    let refused = async |url: &str| !["web", "503"].contains(&ask(&world.http, url).await.as_str());
    while !refused(&url).await {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // The listener is gone, too, once the former HAProxy has closed it.
    while TcpStream::connect((ip.as_str(), 8080)).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(world.when_free(Method::DELETE, &path, None).await, 204);
    world.until(&path, |body| body["id"] == "not_found").await;
    assert!(TcpStream::connect((ip.as_str(), 20080)).await.is_err(), "the load balancer is gone");
    world.finish();
}

/// The first line of the answer to a request on a connection that is kept.
async fn once_more(kept: &mut TcpStream) -> String {
    kept.write_all(b"GET / HTTP/1.1\r\nhost: front\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\nweb") {
        let mut some = [0; 1024];
        let count = kept.read(&mut some).await.unwrap();
        assert!(count > 0, "closed after {:?}", String::from_utf8_lossy(&answer));
        answer.extend(&some[..count]);
    }
    String::from_utf8_lossy(&answer).lines().next().unwrap().to_owned()
}

/// What a service says to a client that connects.
async fn greeting(ip: &str, port: u16) -> String {
    let mut stream = TcpStream::connect((ip, port)).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}
