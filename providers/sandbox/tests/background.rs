//! A sandbox as a background process: this test is also the program that serves it.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test with a main of its own, which clippy does not take for one"
)]

use std::{
    collections::BTreeMap,
    process::{Command, ExitCode},
    time::Duration,
};

use remint_core::provider::{BuildContext, PortMap, Provider, Registry};
use remint_sandbox::{
    cloud::Api,
    faults::{Fault, FaultRule},
    process::{self, KindChoice, SandboxError, StartOptions, State},
};
use secrecy::ExposeSecret as _;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    if let [command, flag, name, verb] = &arguments[..]
        && (command.as_str(), flag.as_str(), verb.as_str()) == ("sandbox", "--name", "serve")
    {
        return match runtime.block_on(process::serve(name)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error}");
                ExitCode::FAILURE
            }
        };
    }
    if arguments.iter().any(|argument| argument == "--list") {
        println!("a_sandbox_lives_in_the_background: test");
        return ExitCode::SUCCESS;
    }
    if std::env::var_os("REMINT_SANDBOX_DIR_OF_TEST").is_none() {
        // The root is read from the environment, which only a new process can be given safely.
        let root = tempfile::tempdir().unwrap();
        let status = Command::new(std::env::current_exe().unwrap())
            .env("REMINT_SANDBOX_DIR", root.path())
            .env("REMINT_SANDBOX_DIR_OF_TEST", "1")
            .status()
            .unwrap();
        return if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    runtime.block_on(async {
        let result = tokio::spawn(lives()).await;
        // Nothing is left running, whatever failed.
        for name in ["one", "two", "broken"] {
            process::reset(name).await.unwrap();
        }
        result.unwrap();
    });
    ExitCode::SUCCESS
}

fn options(name: &str) -> StartOptions {
    StartOptions { name: Some(name.to_owned()), kind: KindChoice::Simulated, ..StartOptions::default() }
}

async fn lives() {
    // Two at once, and one twice at once: one process, one set of addresses each.
    let (one, again, two) =
        tokio::join!(process::start(options("one")), process::start(options("one")), process::start(options("two")));
    let (one, again, two) = (one.unwrap(), again.unwrap(), two.unwrap());
    assert_eq!(one.record, again.record);
    assert!(one.reused != again.reused);
    assert_ne!(one.record.slot, two.record.slot);
    assert_ne!(one.token.expose_secret(), two.token.expose_secret());

    // Only its token opens it.
    let url = format!("{}/v2/account", one.record.api_url());
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for (token, status) in [(&one.token, 200), (&two.token, 401)] {
        let answer = client.get(&url).bearer_auth(token.expose_secret()).send().await.unwrap();
        assert_eq!(answer.status(), status);
        assert_eq!(answer.headers().contains_key("ratelimit-remaining"), status == 200);
    }
    assert_eq!(client.get(format!("{}/sandbox/v1/calls", one.record.api_url())).send().await.unwrap().status(), 401);
    let calls = process::calls("one", true).await.unwrap();
    assert_eq!((calls.total, calls.calls["GET /v2/account"]), (1, 1));
    assert_eq!(process::calls("one", false).await.unwrap().total, 0);

    faults(&client, &url, one.token.expose_secret()).await;
    log("one").await;

    // Other settings are not passed off as those asked for; more ports are opened.
    let differs = process::start(StartOptions { seed: Some(9), ..options("one") }).await.unwrap_err();
    assert!(matches!(differs, SandboxError::Differs { setting: "seed", .. }), "{differs}");
    process::start(StartOptions { ports: vec![7777], ..options("one") }).await.unwrap();

    // The provider finds it, and opens the service's ports.
    let build = Registry::find("sandbox").unwrap().build;
    let table: toml::Table = "name = 'one'\nautostart = false".parse().unwrap();
    let context = BuildContext { options: table, service_ports: vec![8081, 22], ..BuildContext::default() };
    let provider: std::sync::Arc<dyn Provider> = build(context).await.unwrap();
    assert_eq!(provider.descriptor().id, "sandbox");
    provider.account().await.unwrap();

    let balanced = balancer(&client, &one).await;

    // Killed, it comes back as it was.
    let killed = process::status("one").await.unwrap();
    assert_eq!((killed.state, killed.pid), (State::Running, Some(one.record.pid)));
    let pid = nix::unistd::Pid::from_raw(i32::try_from(one.record.pid).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
    while process::status("one").await.unwrap().state == State::Running {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(matches!(process::env("one"), Err(SandboxError::NotRunning(_))));
    let back = process::start(options("one")).await.unwrap();
    let same = |record: &process::Record| (record.api, record.dns, record.slot, record.ports);
    assert_eq!(same(&back.record), same(&one.record));
    assert_ne!(back.record.pid, one.record.pid);
    assert_eq!(back.token.expose_secret(), one.token.expose_secret());
    answers(&client, &balanced).await;
    assert!([7777, 8081].iter().all(|port| back.settings.open.contains(port)), "{:?}", back.settings.open);

    let variables = process::env("one").unwrap().variables(Api::DigitalOcean).unwrap();
    let value = |name: &str| variables.iter().find(|one| one.name == name).unwrap().value.clone();
    assert_eq!(value("DIGITALOCEAN_API_URL"), one.record.api_url());
    assert_eq!(value("REMINT_SANDBOX_DNS").parse(), Ok(one.record.dns));
    let map = BTreeMap::from([(PortMap::VARIABLE.to_owned(), value(PortMap::VARIABLE))]);
    assert_eq!(PortMap::from_env(&map).unwrap(), one.record.ports);

    apis(&client, &two.record.api_url()).await;

    // Stopped in order, then gone.
    assert!(process::stop("one", false).await.unwrap());
    assert!(!process::stop("one", false).await.unwrap());
    assert_eq!(process::status("one").await.unwrap().state, State::Stopped);
    assert!(process::reset("one").await.unwrap());
    assert_eq!(process::status("one").await.unwrap().state, State::Missing);

    // One that cannot start says why.
    let taken = StartOptions { api_port: Some(two.record.api.port()), ..options("broken") };
    let error = process::start(taken).await.unwrap_err().to_string();
    assert!(error.contains("did not start") && error.contains("cannot listen on"), "{error}");
}

/// A sandbox that is started anew with some of the APIs: the others are refused, each in its own words, and it stays so.
async fn apis(client: &reqwest::Client, url: &str) {
    let all = process::env("two").unwrap();
    let secret = all.variables(Api::Ec2).unwrap()[2].value.clone();
    assert!(secret.len() == 40 && secret != all.token.expose_secret());
    assert!(Api::ALL.iter().all(|api| all.variables(*api).is_ok()));
    let some = StartOptions { apis: Some(vec![Api::Gce, Api::Ec2]), ..options("two") };
    let differs = process::start(some.clone()).await.unwrap_err();
    assert!(matches!(differs, SandboxError::Differs { setting: "the APIs", .. }), "{differs}");
    process::stop("two", false).await.unwrap();
    process::start(some).await.unwrap();
    process::stop("two", false).await.unwrap();
    let back = process::start(options("two")).await.unwrap();
    assert_eq!(back.settings.apis, [Api::Ec2, Api::Gce], "kept for the next start");
    let refused = process::env("two").unwrap().variables(Api::DigitalOcean).unwrap_err();
    assert!(refused.to_string().contains("does not speak digitalocean"), "{refused}");
    assert_eq!(
        process::env("two").unwrap().variables(Api::Ec2).unwrap()[2].value,
        secret,
        "and so are the credentials"
    );
    let answer = client.get(format!("{url}/v2/account")).bearer_auth(back.token.expose_secret()).send().await.unwrap();
    assert_eq!(answer.status(), 501);
    let build = Registry::find("sandbox").unwrap().build;
    let context = BuildContext { options: "name = 'two'".parse().unwrap(), ..BuildContext::default() };
    let error = build(context).await.unwrap_err();
    assert!(error.to_string().contains("does not speak digitalocean"), "{error}");

    process::stop("two", false).await.unwrap();
    process::start(StartOptions { apis: Some(vec![Api::DigitalOcean]), ..options("two") }).await.unwrap();
    for (path, shape) in
        [("/", "<Code>"), ("/2013-04-01/hostedzone", "<Code>"), ("/compute/v1/projects/x", "\"error\"")]
    {
        let answer = client.get(format!("{url}{path}")).send().await.unwrap();
        assert_eq!(answer.status(), 501, "{path}");
        let text = answer.text().await.unwrap();
        assert!(text.contains(shape) && text.contains("does not implement the API"), "{path}: {text}");
    }
}

/// A log that has become too large is kept as the former one, while the sandbox runs.
async fn log(name: &str) {
    let path = process::status(name).await.unwrap().log;
    let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
    for _ in 0..9 {
        std::io::Write::write_all(&mut file, &vec![b'x'; 1 << 20]).unwrap();
    }
    while std::fs::metadata(&path).unwrap().len() > 8 << 20 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(std::fs::metadata(path.with_extension("1")).unwrap().len() > 8 << 20);
}

/// Makes a load balancer with a machine behind it; where it answers.
async fn balancer(client: &reqwest::Client, one: &process::Running) -> String {
    let call = async |method: &str, path: &str, body: serde_json::Value| {
        let request = client.request(method.parse().unwrap(), format!("{}{path}", one.record.api_url()));
        let answer = request.bearer_auth(one.token.expose_secret()).json(&body).send().await.unwrap();
        answer.json::<serde_json::Value>().await.unwrap()
    };
    let droplet = serde_json::json!({
        "name": "web", "region": "fra1", "size": "s-1vcpu-1gb", "image": "debian-12-x64", "tags": ["web"],
    });
    call("POST", "/v2/droplets", droplet).await;
    let rule = serde_json::json!({
        "entry_protocol": "http", "entry_port": 80, "target_protocol": "http", "target_port": 8080,
    });
    let wanted = serde_json::json!({ "name": "front", "region": "fra1", "tag": "web", "forwarding_rules": [rule] });
    let made = call("POST", "/v2/load_balancers", wanted).await;
    let path = format!("/v2/load_balancers/{}", made["load_balancer"]["id"].as_str().unwrap());
    loop {
        let shown = call("GET", &path, serde_json::Value::Null).await["load_balancer"].clone();
        if shown["status"] == "active" {
            let url = format!("http://{}:{}/", shown["ip"].as_str().unwrap(), one.record.ports.resolve(80));
            answers(client, &url).await;
            return url;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until the machine behind a load balancer answers.
async fn answers(client: &reqwest::Client, url: &str) {
    let mut last = String::new();
    for _ in 0..1500 {
        last = match client.get(url).send().await {
            Ok(answer) => answer.text().await.unwrap(),
            Err(error) => format!("{error:?}"),
        };
        if last == "a simulated machine: web\n" {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{url} does not answer: {last}");
}

async fn faults(client: &reqwest::Client, url: &str, token: &str) {
    let rule = FaultRule::new("GET", "/v2/account", Fault::ResetBeforeCommit);
    process::faults_add("one", &rule).await.unwrap();
    let list = process::faults_list("one").await.unwrap();
    assert_eq!(list.faults[0].rule, rule);
    let mut wrong = rule.clone();
    wrong.nth = 0;
    assert!(process::faults_add("one", &wrong).await.unwrap_err().to_string().contains("counted from 1"));
    let answer = client.get(url).bearer_auth(token).send().await;
    // The client may have repeated what was reset on a connection that it had used before.
    assert_eq!(process::faults_list("one").await.unwrap().faults[0].hit, 1, "{answer:?}");
    process::faults_clear("one").await.unwrap();
    assert_eq!(process::faults_list("one").await.unwrap().faults, []);
}
