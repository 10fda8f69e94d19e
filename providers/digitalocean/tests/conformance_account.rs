//! Runs of the suite on an account, with a sandbox standing in as one: refused, agreed to, killed, and swept.

#![expect(clippy::unwrap_used, reason = "a test whose sandbox does not start has failed")]

#[path = "conformance/interference.rs"]
mod interference;
#[path = "conformance/sandbox.rs"]
mod sandbox;

use std::{path::Path, sync::Arc, time::Duration};

use remint_conformance::{
    Guarded, OutcomeKind, PastRun, RUN_LABEL, Report, SERVICE, Suite, Target, Tenancy, Verdict,
    account::{AccountError, AccountRun, Options, Sweep, SweepOptions, Swept, Thing, Why, prepare, release},
};
use remint_core::provider::{
    CheckProtocol, Instance, InstanceState, Labels, LaunchSpec, Listener, ListenerProtocol, LoadBalancerSettings,
    LoadBalancerSpec, MemberCheck, Provider, RecordKind, RecordSet, Selector, label,
};

async fn account() -> Guarded {
    let account = sandbox::start(Tenancy::Shared).await;
    prepare(&*account.target.provider).await.unwrap();
    account
}

fn suite(target: &Target, only: &[&str]) -> Suite {
    let only: Vec<_> = only.iter().map(|pattern| (*pattern).to_owned()).collect();
    Suite::of(target.provider.descriptor(), &target.settings()).only(&only).unwrap()
}

async fn run(target: &Target, only: &[&str], budget: Option<f64>, ledgers: &Path) -> Report {
    let run = AccountRun::plan(target.clone(), suite(target, only), budget).await.unwrap();
    run.run(Options::new(ledgers), &mut |_| ()).await.unwrap()
}

async fn standing(provider: &dyn Provider) -> Vec<Instance> {
    provider.instances().list(&Selector::all()).await.unwrap()
}

/// An instance that somebody else's labels are on.
async fn stray(target: &Target, name: &str, labels: Labels) -> Instance {
    let base = target.provider.images().resolve(&target.base_image, &target.region).await.unwrap();
    let spec = LaunchSpec {
        names: vec![name.to_owned()],
        new_names: false,
        image: base.id,
        size: target.size.clone(),
        region: target.region.clone(),
        labels,
        user_data: None,
        login_keys: Vec::new(),
    };
    target.provider.instances().launch(&spec).await.unwrap().remove(0)
}

async fn sweep(provider: &dyn Provider, options: &SweepOptions) -> Swept {
    let plan = Sweep::plan(provider, options).await.unwrap();
    plan.carry_out(provider, Duration::from_millis(20), &mut |_| ()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_without_the_marker_is_refused() {
    let Guarded { target, guard: _guard } = account().await;
    release(&*target.provider).await.unwrap();
    let error = AccountRun::plan(target.clone(), suite(&target, &["instances.launch"]), None).await.unwrap_err();
    assert!(matches!(error, AccountError::NotPrepared { .. }), "{error}");
    assert!(error.hint().unwrap().contains("remint conformance prepare"));
    prepare(&*target.provider).await.unwrap();
    AccountRun::plan(target.clone(), suite(&target, &["instances.launch"]), None).await.unwrap();
    assert!(standing(&*target.provider).await.is_empty(), "planning made something");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_is_agreed_to_passes_and_leaves_nothing() {
    let Guarded { target, guard: _guard } = account().await;
    let dir = tempfile::tempdir().unwrap();
    let report = run(&target, &["account", "static_ips.assign", "dns.upsert"], None, dir.path()).await;
    assert_eq!(report.verdict, Verdict::Passed, "{:?}", report.cases);
    assert!(report.leaks.is_empty() && report.counts.passed >= 5, "{:?}", report.counts);
    let runs = PastRun::read_all(dir.path()).unwrap();
    assert_eq!(runs.len(), 1);
    assert!(runs[0].finished && runs[0].left.is_empty(), "{:?}", runs[0]);
    assert_eq!(Some(&runs[0].header.run), report.run.as_ref());
    assert!(standing(&*target.provider).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_declined_or_over_the_budget_is_blocked() {
    let Guarded { target, guard: _guard } = account().await;
    let dir = tempfile::tempdir().unwrap();
    let only = ["account.tells_owner", "instances.launch", "power.stop"];
    let mut declined = AccountRun::plan(target.clone(), suite(&target, &only), None).await.unwrap();
    let estimate = declined.estimate();
    assert_eq!((estimate.billable_cases, estimate.machines), (2, 2));
    let hourly = estimate.hourly_usd.expect("the sandbox tells prices");
    declined.decline_billable();
    assert!(declined.estimate().is_free());
    let report = declined.run(Options::new(dir.path()), &mut |_| ()).await.unwrap();
    assert_eq!((report.counts.passed, report.counts.blocked), (1, 2), "{:?}", report.cases);
    let report = run(&target, &only, Some(hourly * 1.5), dir.path()).await;
    assert_eq!((report.counts.passed, report.counts.blocked), (2, 1), "{:?}", report.cases);
    let blocked = report.cases.iter().find(|case| case.outcome == OutcomeKind::Blocked).unwrap();
    assert!(blocked.id == "power.stop" && blocked.detail.contains("budget"), "{blocked:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_run_is_swept_and_a_stray_is_untouched() {
    let Guarded { target, guard: _guard } = account().await;
    let provider = Arc::clone(&target.provider);
    let dir = tempfile::tempdir().unwrap();
    let app = stray(&target, "app-1", Labels::new().with(label::SERVICE, "app")).await;
    let other_run = Labels::new()
        .with(label::SERVICE, SERVICE)
        .with(RUN_LABEL, "another")
        .with(label::EXPIRES, "2999-01-01T00:00:00Z");
    let busy = stray(&target, "cf-other", other_run).await;

    let case = ["journeys.name_to_address"];
    let planned = AccountRun::plan(target.clone(), suite(&target, &case), None).await.unwrap();
    let ledgers = dir.path().to_owned();
    let killed = tokio::spawn(async move { planned.run(Options::new(ledgers), &mut |_| ()).await.map(drop) });
    // Killed while it has an instance, an address and a record.
    let zone = target.zone.clone().unwrap();
    let record = loop {
        let made = PastRun::read_all(dir.path()).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(made.is_empty() || made.contains("under way"), "{made}");
        let ips = provider.static_ips().unwrap().list(&Selector::all()).await.unwrap();
        let text = ledger(dir.path());
        let name = text.split(r#""kind":"record","zone""#).nth(1).and_then(|rest| rest.split(r#""name":""#).nth(1));
        if let (Some(name), false) = (name.and_then(|rest| rest.split('"').next()), ips.is_empty()) {
            let there = provider.dns_zones().unwrap().get(&zone, name, RecordKind::A).await.unwrap();
            if there.is_some() {
                break name.to_owned();
            }
        }
        assert!(!killed.is_finished(), "the case ended before it was killed");
        tokio::time::sleep(Duration::from_millis(2)).await;
    };
    killed.abort();
    assert!(killed.await.unwrap_err().is_cancelled());

    // A line that was on its way to the disk keeps the ledger's lock until it is there.
    let runs = loop {
        match PastRun::read_all(dir.path()) {
            Ok(runs) => break runs,
            Err(error) => assert!(error.to_string().contains("under way"), "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    };
    assert!(!runs[0].finished && !runs[0].left.is_empty());
    let untold = Sweep::plan(&*provider, &SweepOptions::new()).await.unwrap();
    assert!(untold.doomed.is_empty(), "nothing has expired, and no ledger was given: {untold:?}");
    assert_eq!(untold.kept.len(), 2, "what is not swept is told: {untold:?}");

    let options = SweepOptions { runs, ..SweepOptions::new() };
    let swept = sweep(&*provider, &options).await;
    assert!(swept.failed.is_empty(), "{:?}", swept.failed);
    let gone = |what: fn(&Thing) -> bool| swept.deleted.iter().filter(|doomed| what(&doomed.what)).count();
    assert_eq!(gone(|thing| matches!(thing, Thing::Instance(..))), 1, "{:?}", swept.deleted);
    assert_eq!(gone(|thing| matches!(thing, Thing::StaticIp(_))), 1, "{:?}", swept.deleted);
    assert_eq!(gone(|thing| matches!(thing, Thing::Record(..))), 1, "{:?}", swept.deleted);

    let mut left: Vec<_> = standing(&*provider).await.into_iter().map(|instance| instance.id).collect();
    left.sort();
    let mut wanted = [app.id.clone(), busy.id.clone()];
    wanted.sort();
    assert_eq!(left, wanted, "the strays, and nothing else");
    assert!(provider.static_ips().unwrap().list(&Selector::all()).await.unwrap().is_empty());
    assert!(provider.dns_zones().unwrap().get(&zone, &record, RecordKind::A).await.unwrap().is_none());
    let again = Sweep::plan(&*provider, &options).await.unwrap();
    assert!(again.doomed.is_empty(), "{again:?}");

    // Once it has expired, and whatever it is once all are asked for; what is not conformance's never.
    let later = SweepOptions { now: "2999-01-02T00:00:00Z".parse().unwrap(), ..SweepOptions::new() };
    let plan = Sweep::plan(&*provider, &later).await.unwrap();
    assert_eq!(plan.doomed.len(), 1);
    assert!(matches!(plan.doomed[0].why, Why::Expired(_)), "{:?}", plan.doomed[0]);
    sweep(&*provider, &SweepOptions { all: true, ..SweepOptions::new() }).await;
    let left: Vec<_> = standing(&*provider).await.into_iter().map(|instance| instance.id).collect();
    assert_eq!(left, [app.id]);
}

/// The text of the only ledger; empty while there is none.
fn ledger(folder: &Path) -> String {
    let file = std::fs::read_dir(folder).unwrap().find_map(Result::ok);
    file.map(|file| std::fs::read_to_string(file.path()).unwrap_or_default()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_was_given_to_another_instance_is_kept() {
    let Guarded { target, guard: _guard } = account().await;
    let provider = &*target.provider;
    let app = stray(&target, "app-1", Labels::new().with(label::SERVICE, "app")).await;
    while provider.instances().get(&app.id).await.unwrap().state != InstanceState::Running {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let spec = remint_core::provider::StaticIpSpec {
        name: "app".to_owned(),
        labels: Labels::new(),
        region: target.region.clone(),
        instance: app.id.clone(),
    };
    let ip = provider.static_ips().unwrap().ensure(&spec).await.unwrap();
    let record = RecordSet {
        zone: target.zone.clone().unwrap(),
        name: "www".to_owned(),
        kind: RecordKind::A,
        ttl: Duration::from_secs(300),
        values: vec!["192.0.2.1".to_owned()],
    };
    provider.dns_zones().unwrap().upsert(&record).await.unwrap();
    // A ledger that knows the address, and one of another account that knows the record.
    let dir = tempfile::tempdir().unwrap();
    let owner = provider.account().await.unwrap().id;
    for (file, account, resource) in [
        ("1.jsonl", owner.as_str(), format!(r#"{{"kind":"static_ip","instance":"1","id":"{}"}}"#, ip.id)),
        ("2.jsonl", "another", format!(r#"{{"kind":"record","zone":"{}","name":"www","record":"A"}}"#, record.zone)),
    ] {
        let head = format!(
            r#"{{"version":1,"provider":"digitalocean","account":"{account}","run":"r","started":"2026-11-25T08:00:00Z"}}"#
        );
        let line = format!(r#"{{"at":"2026-11-25T08:00:01Z","case":"a.b","step":"intent","resources":[{resource}]}}"#);
        std::fs::write(dir.path().join(file), format!("{head}\n{line}\n")).unwrap();
    }
    let runs = PastRun::read_all(dir.path()).unwrap();
    let plan = Sweep::plan(provider, &SweepOptions { runs, ..SweepOptions::new() }).await.unwrap();
    assert!(plan.doomed.is_empty(), "{plan:?}");
    assert!(plan.kept.len() == 1 && plan.kept[0].why.contains("not swept"), "{plan:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_balancer_of_a_ledger_is_swept_and_one_whose_name_begins_alike_is_not() {
    let Guarded { target, guard: _guard } = account().await;
    let provider = &*target.provider;
    let balancers = provider.load_balancers().unwrap();
    let seconds = Duration::from_secs;
    let listener = Listener { port: 80, protocol: ListenerProtocol::Tcp, target_port: 80, certificate: None };
    let check = MemberCheck {
        protocol: CheckProtocol::Tcp,
        port: 80,
        interval: seconds(10),
        timeout: seconds(5),
        healthy: 3,
        unhealthy: 5,
    };
    let (ours, theirs) = ("remint-cf-0123456789-web", "remint-cf-0123456789-web2");
    for name in [ours, theirs] {
        let settings = LoadBalancerSettings {
            listeners: vec![listener.clone()],
            check: check.clone(),
            drain: None,
            sources: Vec::new(),
        };
        let labels = Labels::new().with(label::SERVICE, SERVICE);
        let spec = LoadBalancerSpec { name: name.to_owned(), labels, region: target.region.clone(), settings };
        balancers.ensure(&spec).await.unwrap();
    }
    let dir = tempfile::tempdir().unwrap();
    let owner = provider.account().await.unwrap().id;
    let head = format!(
        r#"{{"version":1,"provider":"digitalocean","account":"{owner}","run":"r","started":"2026-11-25T08:00:00Z"}}"#
    );
    let resource = format!(r#"{{"kind":"load_balancer","name":"{ours}"}}"#);
    let line = format!(r#"{{"at":"2026-11-25T08:00:01Z","case":"a.b","step":"intent","resources":[{resource}]}}"#);
    std::fs::write(dir.path().join("1.jsonl"), format!("{head}\n{line}\n")).unwrap();
    let runs = PastRun::read_all(dir.path()).unwrap();
    let swept = sweep(provider, &SweepOptions { runs, all: true, ..SweepOptions::new() }).await;
    assert!(swept.failed.is_empty(), "{:?}", swept.failed);
    assert!(matches!(&swept.deleted[..], [one] if matches!(one.what, Thing::LoadBalancer(..))), "{:?}", swept.deleted);
    let left: Vec<_> = balancers.list("").await.unwrap().into_iter().map(|balancer| balancer.name).collect();
    assert_eq!(left, [theirs]);
}
