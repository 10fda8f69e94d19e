//! Several instances behind a load balancer, from outside: the command, and what a client sees meanwhile.
#![expect(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

#[expect(dead_code, reason = "other test files use the rest")]
mod common;

use std::{collections::BTreeSet, future::Future, time::Duration};

use common::{Ended, SIMULATION, TINY, World};
use reqwest::Method;
use serde_json::Value;

/// The service with so many instances behind a load balancer.
fn fleet(count: u32, deploy: &str) -> String {
    let deploy = format!("[deploy]\n{deploy}");
    let balancer = "[load_balancer]\nlisteners = [{ port = 80, protocol = \"http\" }]\n\
                    check = { path = \"/health/check\", interval = \"3s\", timeout = \"3s\" }\n";
    let dns = "[dns]\nzone = \"example.test\"\nname = \"www\"\n";
    format!("{}\n[instance]\ncount = {count}\n\n{balancer}\n{dns}", TINY.replace("[deploy]", &deploy))
}

async fn world() -> World {
    let world = World::with_service().await;
    world.make_zone("example.test").await;
    world.write("remint.toml", &fleet(3, "strategy = \"rolling\""));
    world
}

/// The account's load balancers, as DigitalOcean's API shows them.
async fn balancers(world: &World) -> Vec<Value> {
    let (status, answer) = world.api(Method::GET, "/v2/load_balancers", None).await;
    assert_eq!(status, 200, "{answer}");
    answer["load_balancers"].as_array().unwrap().clone()
}

async fn address(world: &World) -> String {
    let all = balancers(world).await;
    assert_eq!(all.len(), 1, "{all:#?}");
    all[0]["ip"].as_str().unwrap().to_owned()
}

/// Asks for the page all the time while a command runs. Gives what was answered: all of it must be good.
async fn asking(world: &World, ip: &str, command: impl Future<Output = Ended>) -> (Ended, BTreeSet<String>) {
    let mut pages = BTreeSet::new();
    let mut asked = 0;
    let ask = async {
        loop {
            let (status, page) = world.page(ip).await;
            assert_eq!(status, 200, "after {asked} good answers: {page}");
            asked += 1;
            pages.insert(page);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let ended = tokio::select! {
        ended = command => ended,
        () = ask => unreachable!("it does not end"),
    };
    assert!(asked > 10, "nobody asked: {asked}");
    (ended, pages)
}

#[tokio::test]
async fn a_fleet_is_deployed_rolled_over_scaled_rolled_back_and_destroyed() {
    let world = world().await;
    world.remint(&["validate"]).await.success();
    let deployed = world.remint(&["--json", "deploy"]).await.success();
    assert_eq!(deployed.result()["release"], 1, "{}", deployed.text());
    let ip = address(&world).await;
    let first = world.standing().await;
    assert_eq!((first.droplets.len(), first.keys.len(), first.reserved_ips.len()), (3, 0, 0), "{first:#?}");
    assert_eq!(first.records.get("www.example.test"), Some(&vec![ip.clone()]), "{first:#?}");
    assert_eq!(world.page(&ip).await, (200, "version v1".to_owned()));
    world.remint(&["deploy"]).await.success().says("nothing to do");

    // Each strategy takes over without a lost request.
    for (index, deploy) in
        ["strategy = \"rolling\"", "strategy = \"canary\"\nbatch = 2", "strategy = \"all\""].into_iter().enumerate()
    {
        let version = format!("version=v{}", index + 2);
        world.write("remint.toml", &fleet(3, deploy));
        world.remint(&["plan", "--var", &version]).await.success().says("launch 3 of");
        let (ended, pages) = asking(&world, &ip, world.remint(&["deploy", "--var", &version])).await;
        ended.success();
        assert_eq!(pages.len(), 2, "{deploy}: the former and the new version: {pages:?}");
        let now = world.standing().await;
        assert_eq!((now.droplets.len(), now.keys.len()), (3, 0), "{deploy}: {now:#?}");
    }

    // Another count alone replaces nothing.
    let before = world.standing().await;
    for (count, sign) in [(4, "scale from 3 to 4"), (2, "scale from 4 to 2")] {
        world.write("remint.toml", &fleet(count, "strategy = \"rolling\""));
        world.remint(&["plan", "--var", "version=v4"]).await.success().says(sign);
        let (ended, _) = asking(&world, &ip, world.remint(&["deploy", "--var", "version=v4"])).await;
        ended.success().says_not("capturing");
    }
    let after = world.standing().await;
    assert_eq!(after.droplets.len(), 2);
    assert!(after.droplets.keys().any(|id| before.droplets.contains_key(id)), "{before:#?} {after:#?}");

    // A rollback is a rollout of an image that exists.
    let (ended, _) = asking(&world, &ip, world.remint(&["rollback", "r3"])).await;
    ended.success();
    assert_eq!(world.page(&ip).await.1, "version v3");
    let status = world.remint(&["--var", "version=v3", "status"]).await.success();
    status.says("in service").says(&ip).says("active");

    world.remint(&["gc", "--yes"]).await.success();
    assert_eq!(world.standing().await.droplets.len(), 2, "everything is accounted for");
    world.remint(&["destroy", "--images", "--yes"]).await.success();
    let left = world.standing().await;
    assert!(left.is_empty() && balancers(&world).await.is_empty(), "{left:#?}");
}

#[tokio::test]
async fn a_bad_release_is_undone_in_each_wave() {
    let world = world().await;
    world.remint(&["deploy"]).await.success();
    let (ip, before) = (address(&world).await, world.standing().await);
    world.write("simulation.toml", "[[http]]\nport = 80\npath = \"/health/check\"\nstatus = 503\n");
    for deploy in ["strategy = \"rolling\"", "strategy = \"canary\"", "strategy = \"all\""] {
        world.write("remint.toml", &fleet(3, deploy).replace("start_period = \"5s\"", "start_period = \"1s\""));
        let (ended, pages) = asking(&world, &ip, world.remint(&["deploy"])).await;
        ended.code(6).says("503");
        assert_eq!(pages, BTreeSet::from(["version v1".to_owned()]), "{deploy}");
        assert_eq!(world.standing().await.droplets, before.droplets, "{deploy}");
    }
}

/// The way back is as long, and core's tests go it: each waits for a TTL of 30 s, the least that DigitalOcean has.
#[tokio::test]
async fn from_one_to_several_the_name_leads_to_the_service() {
    let world = world().await;
    let one = fleet(1, "").replace("[load_balancer]", "[unused]");
    let one = one.split("[unused]").next().unwrap().to_owned()
        + "[dns]\nzone = \"example.test\"\nname = \"www\"\nttl = \"1s\"\n";
    world.write("remint.toml", &one);
    world.remint(&["deploy"]).await.success();
    let first = world.standing().await;
    world.write("remint.toml", &fleet(2, "strategy = \"rolling\""));
    world.remint(&["plan"]).await.success().says("create a load balancer").says("the address changes");
    world.remint(&["deploy"]).await.success();
    let ip = address(&world).await;
    let several = world.standing().await;
    assert_eq!((several.droplets.len(), several.reserved_ips.len()), (2, 0), "{several:#?}");
    assert_eq!(several.records["www.example.test"], [ip]);
    assert!(first.droplets.keys().all(|id| !several.droplets.contains_key(id)));
}

const HTTP: &str = "{ port = 80, protocol = \"http\" }";
/// AWS has another kind of load balancer for these than for requests, and Google no other one.
const TCP: &str = "{ port = 80 }";
const STRATEGIES: [&str; 3] = ["strategy = \"rolling\"", "strategy = \"canary\"\nbatch = 2", "strategy = \"all\""];

/// Rolls a good and a bad release over by each of these strategies, and destroys everything.
async fn rolls_over(provider: &str, listener: &str, strategies: &[&str]) {
    let world = World::on_every_cloud().await;
    let fleet = format!(
        "[instance]\ncount = 3\n\n[load_balancer]\nlisteners = [{listener}]\n\
         check = {{ path = \"/health/check\", interval = \"5s\", timeout = \"3s\" }}\n\n[deploy]\n# How\n"
    );
    world.edit("[deploy]\n", &fleet);
    let on = |args: &[&str]| {
        let all: Vec<String> = ["--provider", provider].iter().chain(args).map(|arg| (*arg).to_owned()).collect();
        let world = &world;
        async move { world.remint(&all.iter().map(String::as_str).collect::<Vec<_>>()).await }
    };
    on(&["deploy"]).await.success();
    let status = world.json(&["--provider", provider, "status"]).await;
    let ip = status["endpoint"].as_str().unwrap().split(':').next().unwrap().to_owned();
    assert_eq!(world.page(&ip).await, (200, "version v1".to_owned()), "{status:#}");
    let mut how = "# How".to_owned();
    for (index, strategy) in strategies.iter().enumerate() {
        let when = format!("{provider} {listener} {strategy}");
        world.edit(&how, strategy);
        how = (*strategy).to_owned();
        let version = format!("version=v{}", index + 2);
        let (ended, pages) = asking(&world, &ip, on(&["deploy", "--var", &version])).await;
        ended.success();
        assert_eq!(pages.len(), 2, "{when}: the former and the new version: {pages:?}");
        let before = world.account(provider).instances();
        assert_eq!(before.len(), 3, "{when}: {before:?}");

        world.write("simulation.toml", &SIMULATION.replace("status = 200", "status = 503"));
        world.edit("start_period = \"5s\"", "start_period = \"1s\"");
        let (ended, pages) = asking(&world, &ip, on(&["deploy", "--var", "version=bad"])).await;
        ended.code(6).says("503");
        assert_eq!(pages.len(), 1, "{when}: {pages:?}");
        assert_eq!(world.account(provider).instances(), before, "{when}");
        world.write("simulation.toml", SIMULATION);
        world.edit("start_period = \"1s\"", "start_period = \"5s\"");
    }
    on(&["gc", "--yes"]).await.success();
    assert_eq!(world.account(provider).instances().len(), 3, "{provider}: everything is accounted for");
    on(&["destroy", "--images", "--yes"]).await.success();
    let account = world.account(provider);
    assert!(account.instances().is_empty() && account.load_balancers().is_empty(), "{:#?}", world.books());
}

#[tokio::test]
async fn a_fleet_on_aws_is_rolled_over_behind_an_application_load_balancer() {
    rolls_over("aws", HTTP, &STRATEGIES[..1]).await;
}

#[tokio::test]
async fn a_fleet_on_aws_is_rolled_over_behind_a_network_load_balancer() {
    rolls_over("aws", TCP, &STRATEGIES[1..2]).await;
}

#[tokio::test]
async fn a_fleet_on_google_is_rolled_over() {
    rolls_over("gcp", TCP, &STRATEGIES[..1]).await;
}

#[tokio::test]
#[ignore = "four minutes, and three of its twelve rollovers run always: make fleets"]
async fn each_strategy_rolls_over_on_each_cloud() {
    for (provider, listener) in [("digitalocean", HTTP), ("aws", HTTP), ("aws", TCP), ("gcp", TCP)] {
        rolls_over(provider, listener, &STRATEGIES).await;
    }
}

#[tokio::test]
async fn what_a_cloud_cannot_do_is_refused_before_anything_is_changed() {
    let world = World::on_every_cloud().await;
    world.append("\n[instance]\ncount = 2\n");
    world.refused(&["validate"], 3).await.says("2 instances need a load balancer");
    world.append("\n[load_balancer]\nlisteners = [{ port = 80, protocol = \"http\" }]\n");
    let gcp = ["--provider", "gcp"];
    for command in ["validate", "deploy"] {
        let refused = world.refused(&[&gcp[..], &[command]].concat(), 3).await;
        refused.says("load balancers of gcp do not understand HTTP").says("write `protocol = \"tcp\"`");
    }
    // What only the provider knows is refused before a bake, too.
    world.append("check = { path = \"/\", interval = \"3s\", timeout = \"2s\" }\n");
    for command in ["plan", "deploy"] {
        let refused = world.refused(&["--provider", "aws", command], 3).await;
        refused.says("Amazon Web Services cannot set up a load balancer like this").says("AWS takes 5 to 300 s");
    }
    world.append("\n[dns]\nprovider = \"digitalocean\"\nzone = \"example.test\"\nname = \"www\"\n");
    for command in ["validate", "deploy"] {
        let refused = world.refused(&["--provider", "aws", command], 3).await;
        refused.says("load balancers of aws have a host name").says("`provider = \"aws\"`");
    }
}

/// The example of the book is what it says, and works.
#[tokio::test]
async fn the_example_of_the_talk_runs() {
    let world = World::empty().await;
    world.make_zone("deploy.example.com").await;
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/examples/talk");
    world.copy(example.as_ref(), "service");
    world.edit("strategy = \"rolling\"", "strategy = \"rolling\"\nobserve = \"300ms\"\ndrain = \"0s\"");
    world.remint(&["validate"]).await.success();
    world.remint(&["deploy"]).await.success();
    let ip = address(&world).await;
    let first = world.standing().await;
    assert_eq!((first.droplets.len(), &first.records["talk.deploy.example.com"]), (3, &vec![ip.clone()]));
    let all = balancers(&world).await;
    assert_eq!(all[0]["forwarding_rules"][0]["entry_port"], 8080, "{all:#?}");
    world.remint(&["deploy", "--var", "version=v2"]).await.success();
    let endpoint = format!("http://{}/", world.endpoint(&ip, 8080));
    let page = reqwest::get(&endpoint).await.unwrap().text().await.unwrap();
    assert_eq!(page.trim(), "version v2");
}
