use super::*;
use crate::health::unhealthy::{LINES, SHOWN};
use crate::{
    health::testing::{Answer, CERTIFICATE, Service},
    manifest::{LoadOptions, Statuses, load},
};

fn check(port: u16) -> HttpCheck {
    HttpCheck { port: Some(port), path: "/health".into(), ..HttpCheck::default() }
}

/// The result of the check against a service that clients know as `app.test`.
async fn ask(check: &HttpCheck) -> Result<(), String> {
    asked(check, None).await
}

async fn asked(check: &HttpCheck, ca: Option<Vec<Certificate>>) -> Result<(), String> {
    let probe = Probe::http(check, Some("app.test"), HeaderMap::new(), ca);
    probe.ask().await.map_err(|answer| answer.to_string())
}

fn tcp(port: u16) -> Probe {
    Probe::network(([127, 0, 0, 1], port).into(), Question::Tcp)
}

/// The probe of a manifest with these lines about health.
async fn of(health: &str, env: &[(&str, &str)]) -> Result<Probe, String> {
    let dir = tempfile::tempdir().unwrap();
    let text = format!(
        "service = \"shop\"\nprovider = \"sandbox\"\n[providers.sandbox]\nregion = \"local1\"\nbase = \"debian-12-x64\"\nsize \
         = \"s-1vcpu-1gb\"\n[image]\n[secrets]\ntoken = {{ env = \"TOKEN\" }}\n[dns]\nzone = \"example.org\"\nname = \
         \"app\"\n{health}"
    );
    std::fs::write(dir.path().join("remint.toml"), text).unwrap();
    std::fs::write(dir.path().join("ca.pem"), CERTIFICATE).unwrap();
    let process_env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let options = LoadOptions { process_env, ..LoadOptions::default() };
    let loaded = load(&dir.path().join("remint.toml"), &options).map_err(|error| error.to_string())?;
    let services: Arc<dyn Services> = Arc::new(Network);
    Probe::of(&loaded, &services, &Address::new([127, 0, 0, 1].into()), None).await
}

#[tokio::test]
async fn http_looks_at_status_and_body_and_sends_the_services_name() {
    let service = Service::start(Answer::Http(200, "all is well".into())).await;
    let check = check(service.port);
    assert_eq!(ask(&check).await, Ok(()));
    assert_eq!(ask(&HttpCheck { body: Some("is well".into()), ..check.clone() }).await, Ok(()));
    let missing = ask(&HttpCheck { body: Some("version 2".into()), ..check }).await.unwrap_err();
    assert_eq!(missing, "200 OK without the text `version 2`: all is well");
    let request = service.last_request();
    assert!(request.starts_with("GET /health HTTP/1.1\r\n"), "{request}");
    assert!(request.to_lowercase().contains(&format!("host: app.test:{}\r\n", service.port)), "{request}");
}

#[tokio::test]
async fn a_wrong_status_is_shown_with_the_start_of_its_body() {
    let service = Service::start(Answer::Http(503, format!("starting\n{}", "x".repeat(5000)))).await;
    let error = ask(&check(service.port)).await.unwrap_err();
    assert!(error.starts_with("503 Service Unavailable: starting x"), "{error}");
    assert!(error.len() <= SHOWN + 3, "{}", error.len());
}

#[tokio::test]
async fn the_end_of_a_long_body_is_kept_for_the_error() {
    let noise: String = (0..40).map(|n| format!("  at frame {n} of the trace\n\n")).collect();
    let service = Service::start(Answer::Http(500, format!("{noise}Caused by: no route to db.internal\n"))).await;
    let probe = Probe::http(&check(service.port), None, HeaderMap::new(), None);
    let answer = probe.ask().await.unwrap_err();
    assert!(!answer.to_string().contains("db.internal"), "{answer}");
    assert_eq!(answer.lines().last().unwrap(), "Caused by: no route to db.internal");
    assert_eq!(answer.lines().len(), LINES);
    service.set(Answer::Http(500, format!("{{\"pad\": \"{}\", \"db\": \"refused\"}}", "x".repeat(300))));
    assert!(probe.ask().await.unwrap_err().lines()[0].ends_with("\"refused\"}"));
    // What the message holds is not said twice.
    service.set(Answer::Http(500, "no database\n".into()));
    assert!(probe.ask().await.unwrap_err().lines().is_empty());
}

#[tokio::test]
async fn a_redirect_is_an_answer_of_its_own() {
    let service = Service::start(Answer::Http(302, String::new())).await;
    assert_eq!(ask(&check(service.port)).await.unwrap_err(), "302 Found to /elsewhere");
}

#[tokio::test]
async fn each_expected_status_counts_and_no_other() {
    let service = Service::start(Answer::Http(204, String::new())).await;
    let expect = |json: &str| -> Statuses { serde_json::from_str(json).unwrap() };
    let check = check(service.port);
    let ranges = HttpCheck { expect: expect("[\"2xx\", 304]"), ..check.clone() };
    assert_eq!(ask(&ranges).await, Ok(()));
    assert!(ask(&check).await.is_err());
    assert_eq!(ask(&HttpCheck { status: Some(204), ..check }).await, Ok(()));
    service.set(Answer::Http(304, String::new()));
    assert_eq!(ask(&ranges).await, Ok(()));
    service.set(Answer::Http(404, String::new()));
    assert_eq!(ask(&ranges).await.unwrap_err(), "404 Not Found");
}

#[tokio::test]
async fn the_manifests_host_and_headers_are_sent() {
    let service = Service::start(Answer::Http(200, String::new())).await;
    let health = format!(
        "[health.check.http]\nport = {}\nhost = \"admin.example.net\"\nheaders = {{ X-Token = \"${{secret.token}}\", X-For = \
         \"${{release.service}} at ${{dns.fqdn}}\" }}\n",
        service.port
    );
    let probe = of(&health, &[("TOKEN", "hunter2-hunter2")]).await.unwrap();
    probe.ask().await.unwrap();
    let request = service.last_request();
    for line in
        [format!("host: admin.example.net:{}\r\n", service.port), "x-for: shop at app.example.org\r\n".to_owned()]
    {
        assert!(request.to_lowercase().contains(&line), "{request}");
    }
    assert!(request.contains("hunter2-hunter2"));
    assert_eq!(
        probe.to_string(),
        format!("GET http://127.0.0.1:{0}/ (Host: admin.example.net:{0})", service.port),
        "no header is shown but this one"
    );
    // A service that repeats what it was sent does not give it away.
    service.set(Answer::Http(403, "hunter2-hunter2 is no token".into()));
    let answer = probe.ask().await.unwrap_err().to_string();
    assert!(answer.starts_with("403 Forbidden: ") && !answer.contains("hunter2"), "{answer}");
}

#[tokio::test]
async fn a_secret_that_is_no_header_value_is_not_shown() {
    let health = "[health.check.http]\nheaders = { Authorization = \"Bearer ${secret.token}\" }\n";
    let error = of(health, &[("TOKEN", "hunter2\nX-Evil: 1")]).await.unwrap_err();
    assert_eq!(error, "the value of the header `Authorization` holds a line end or a control character");
}

#[tokio::test]
async fn https_is_verified_against_the_name() {
    let service = Service::start_tls(Answer::Http(200, "behind TLS".into())).await;
    let https = HttpCheck { https: true, body: Some("behind TLS".into()), ..check(service.port) };
    let ca = || Some(Certificate::from_pem_bundle(CERTIFICATE.as_bytes()).unwrap());
    assert_eq!(asked(&https, ca()).await, Ok(()));
    assert!(service.was_asked_for("app.test"));
    assert!(service.last_request().to_lowercase().contains(&format!("host: app.test:{}\r\n", service.port)));

    let unknown = ask(&https).await.unwrap_err();
    assert!(unknown.contains("certificate"), "{unknown}");
    let other = HttpCheck { host: Some("other.test".into()), ..https.clone() };
    let wrong = asked(&other, ca()).await.unwrap_err();
    assert!(wrong.contains("certificate") && wrong.contains("other.test"), "{wrong}");
    let nameless = Probe::http(&https, None, HeaderMap::new(), ca()).ask().await.unwrap_err().to_string();
    assert!(nameless.contains("certificate"), "{nameless}");
}

#[tokio::test]
async fn https_without_verification_takes_any_certificate() {
    let service = Service::start_tls(Answer::Http(200, String::new())).await;
    let https = HttpCheck { https: true, verify: false, ..check(service.port) };
    assert_eq!(ask(&https).await, Ok(()));
    let other = HttpCheck { host: Some("other.test".into()), ..https.clone() };
    assert_eq!(ask(&other).await, Ok(()));
    assert!(service.was_asked_for("other.test"));
    assert_eq!(Probe::http(&https, None, HeaderMap::new(), None).ask().await, Ok(()));
    // A service without TLS is no answer, and one with TLS none to a check without.
    let plain = Service::start(Answer::Http(200, String::new())).await;
    assert!(ask(&HttpCheck { port: Some(plain.port), ..https }).await.is_err());
    assert!(ask(&check(service.port)).await.is_err());
}

#[tokio::test]
async fn the_authorities_of_the_manifest_are_the_only_ones() {
    let service = Service::start_tls(Answer::Http(200, String::new())).await;
    let health = |ca: &str| {
        let port = service.port;
        format!("[health.check.http]\nport = {port}\nhttps = true\nhost = \"app.test\"\nca = \"{ca}\"\n")
    };
    of(&health("ca.pem"), &[]).await.unwrap().ask().await.unwrap();
    let error = of(&health("remint.toml"), &[]).await.unwrap_err();
    assert!(error.contains("`remint.toml` holds no certificate in PEM form"), "{error}");
    assert!(of(&health("../ca.pem"), &[]).await.unwrap_err().contains("outside of the manifest's folder"));
    assert!(of(&health("none.pem"), &[]).await.unwrap_err().contains("cannot read `none.pem`"));
}

#[test]
fn a_scheme_has_its_port() {
    let probe = |https| {
        let check = HttpCheck { https, host: Some("app.test".into()), ..HttpCheck::default() };
        Probe::http(&check, None, HeaderMap::new(), None).to_string()
    };
    assert_eq!(probe(false), "GET http://127.0.0.1:80/ (Host: app.test)");
    assert_eq!(probe(true), "GET https://127.0.0.1:443/ (Host: app.test)");
}

#[tokio::test]
async fn a_connection_that_is_accepted_and_closed_is_no_service() {
    let service = Service::start(Answer::Close).await;
    let told = async |port| tcp(port).ask().await.map_err(|answer| answer.to_string());
    assert_eq!(told(service.port).await.unwrap_err(), "accepted and closed at once");
    service.set(Answer::Hold);
    assert_eq!(told(service.port).await, Ok(()));
    let port = service.port;
    service.stop().await;
    let refused = told(port).await.unwrap_err();
    assert!(refused.to_lowercase().contains("refused"), "{refused}");
}

#[tokio::test]
async fn a_command_needs_a_way_in() {
    let error = of("[health.check.command]\ncommand = \"true\"\n", &[]).await.unwrap_err();
    assert!(error.contains("needs a connection"), "{error}");
}
