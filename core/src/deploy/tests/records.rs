//! Records: the old one goes when nobody can be told it any more, and nothing of a record comes or stays that was taken back.

use std::sync::atomic::AtomicI64;

use super::*;
use crate::{
    clock::skewed,
    deploy::{gc::gc_with, run::DeployOptions},
    journal::Entry,
};

/// A run dies between the announcement of a record and its answer; the record comes while another command takes things back.
#[tokio::test(start_paused = true)]
async fn a_record_that_a_dead_run_asked_for_is_taken_back_although_it_comes_late() {
    let destroy = async |stand: &Stand| {
        let ctx = stand.context();
        destroy_with(&stand.engine(&ctx), true).await.unwrap();
    };
    let abort = async |stand: &Stand| {
        let ctx = stand.context();
        unfinished(&stand.engine(&ctx), "abort", true).await.unwrap();
    };
    for destroys in [true, false] {
        let stand = killed_while_it_sets_the_record().await;
        let ip = stand.cloud.static_ip_list()[0].address.ip.to_string();
        let late = async {
            sleep(Duration::from_secs(3)).await;
            stand.cloud.add_record("www", &ip);
        };
        if destroys {
            tokio::join!(destroy(&stand), late);
        } else {
            tokio::join!(abort(&stand), late);
        }
        assert_eq!(stand.cloud.record("www"), None, "destroy: {destroys}");
        assert_eq!(stand.cloud.standing(), []);
    }
}

/// A cloud that takes records one by one would have two of the same.
#[tokio::test(start_paused = true)]
async fn a_record_that_a_dead_run_asked_for_is_not_asked_for_again_before_it_may_come() {
    let stand = killed_while_it_sets_the_record().await;
    let ip = stand.cloud.static_ip_list()[0].address.ip.to_string();
    let late = async {
        sleep(Duration::from_secs(3)).await;
        stand.cloud.add_record("www", &ip);
    };
    let asked = stand.cloud.count("upsert record");
    let ctx = stand.context();
    let engine = stand.engine(&ctx);
    let (resumed, ()) = tokio::join!(unfinished(&engine, "resume", false), late);
    resumed.unwrap();
    assert_eq!(stand.cloud.count("upsert record"), asked);
    assert_eq!(stand.cloud.record("www"), Some(vec![ip]));
}

#[tokio::test(start_paused = true)]
async fn a_record_whose_zone_is_gone_does_not_hold_up_what_takes_it_back() {
    for destroys in [true, false] {
        let stand = killed_while_it_sets_the_record().await;
        stand.cloud.by_hand("delete the zone", |state| state.zones.clear());
        let ctx = stand.context();
        let engine = stand.engine(&ctx);
        if destroys {
            destroy_with(&engine, true).await.unwrap();
        } else {
            unfinished(&engine, "abort", true).await.unwrap();
        }
        assert_eq!(stand.cloud.standing(), [], "destroy: {destroys}");
    }
}

/// After a first deploy that was killed when it had announced the record and not yet sent the request.
async fn killed_while_it_sets_the_record() -> Stand {
    for killed in 0.. {
        let stand = Stand::new();
        stand.cloud.kill.at(killed);
        let ended = stand.cloud.kill.run(stand.deploy()).await;
        stand.cloud.kill.never();
        assert!(ended.is_none(), "it was never killed between the two");
        let history = stand.journal().history().await.unwrap();
        let last = history.last().and_then(|release| release.entries.last());
        let announced = last.is_some_and(|record| matches!(record.entry, Entry::SettingRecord { .. }));
        let owned = stand.journal().resources().await.unwrap().record().is_some();
        if announced && owned && stand.cloud.record("www").is_none() {
            return stand;
        }
    }
    unreachable!("the loop ends by returning")
}

#[tokio::test(start_paused = true)]
async fn a_record_is_not_removed_before_the_one_that_replaces_it_is_set() {
    removed_when_replaced("").await;
}

#[tokio::test(start_paused = true)]
async fn a_record_is_not_removed_before_the_one_that_is_taken_over_leads_here() {
    removed_when_replaced("\nadopt = true").await;
}

/// Kills a deploy that renames the record at its n-th step, for every n, and lets `gc` remove what it finds.
async fn removed_when_replaced(dns: &str) {
    let mut unset = 0;
    for killed in 0.. {
        let stand = Stand::new();
        stand.deploy().await.unwrap();
        if !dns.is_empty() {
            stand.cloud.add_record("web", "203.0.113.99");
        }
        let renamed = format!("name = \"web\"{dns}");
        let stand = Stand { manifest: MANIFEST.replace("name = \"www\"", &renamed), ..stand };
        let ours = stand.cloud.record("www");
        stand.cloud.kill.at(killed);
        let ended = stand.cloud.kill.run(stand.deploy()).await;
        stand.cloud.kill.never();
        sleep(Duration::from_secs(3600)).await;
        let (ctx, is_set) = (stand.context(), stand.cloud.record("web") == ours);
        gc_with(&stand.engine(&ctx), None).await.unwrap();
        assert_eq!(stand.cloud.record("www").is_none(), is_set, "killed at {killed}");
        unset += usize::from(!is_set && stand.journal().resources().await.unwrap().superseded().next().is_some());
        stand.deploy().await.unwrap();
        assert_eq!((stand.cloud.record("www"), stand.cloud.record("web")), (None, ours));
        if ended.is_some() {
            assert!(unset > 0, "it was never killed between the announcement and the request");
            return;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_record_is_sent_back_although_the_manifest_names_another_one_by_then() {
    let without = MANIFEST.replace("[dns]", "[address]\nstatic_ip = \"none\"\n\n[dns]");
    let stand = Stand::with(&without);
    stand.deploy().await.unwrap();
    let (serving, record) = (stand.serving(), stand.cloud.record("www"));
    stand.recipe("two");
    let ctx = stand.context();
    let engine = stand.engine(&ctx);
    let switched = async {
        while stand.cloud.record("www") == record {
            sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::select! {
        _ = deploy_with(&engine, DeployOptions::default()) => panic!("it was to be killed"),
        () = switched => {}
    }
    let stand = Stand { manifest: without.replace("\"www\"", "\"web\""), ..stand };
    let ctx = stand.context();
    unfinished(&stand.engine(&ctx), "abort", true).await.unwrap();
    assert_eq!((stand.serving(), stand.cloud.record("www")), (serving, record));
}

/// Kills a deploy at its n-th step, for every n, and deploys again half a minute later. From when `changed` holds, `former` must
/// hold for the record's time to live.
async fn kept_for_its_ttl<C, F>(prepare: impl AsyncFn() -> Stand, watch: impl Fn(&Stand) -> (C, F), steps: i64)
where
    C: Fn(&FakeCloud) -> bool + Send + 'static,
    F: Fn(&FakeCloud) -> bool + Send + 'static,
{
    for killed in 0.. {
        let stand = prepare().await;
        let ((changed, former), cloud) = (watch(&stand), Arc::clone(&stand.cloud));
        let kept = tokio::spawn(async move {
            while !changed(&cloud) {
                sleep(Duration::from_millis(10)).await;
            }
            let since = tokio::time::Instant::now();
            while former(&cloud) {
                sleep(Duration::from_millis(10)).await;
            }
            since.elapsed()
        });
        stand.cloud.kill.at(killed);
        let ended = stand.cloud.kill.run(stand.deploy()).await;
        stand.cloud.kill.never();
        if ended.is_none() {
            sleep(Duration::from_secs(30)).await;
            stand.deploy().await.unwrap();
        }
        let kept = kept.await.unwrap();
        assert!(kept >= Duration::from_secs(60), "killed at step {killed}: what was before goes after {kept:?}");
        if ended.is_some() {
            assert!(killed > steps, "killed only {killed} times");
            return;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_resolvers_still_hand_out_stays_wherever_the_run_that_moved_the_record_is_killed() {
    let prepare = async || {
        let stand = Stand::with(&MANIFEST.replace("[dns]", "[address]\nstatic_ip = \"none\"\n\n[dns]"));
        stand.deploy().await.unwrap();
        stand.recipe("two");
        stand
    };
    let watch = |stand: &Stand| {
        let (former, record) = (stand.serving().id, stand.cloud.record("www"));
        let changed = move |cloud: &FakeCloud| cloud.record("www") != record;
        (changed, move |cloud: &FakeCloud| cloud.standing().iter().any(|instance| instance.id == former))
    };
    kept_for_its_ttl(prepare, watch, 15).await;
}

#[tokio::test(start_paused = true)]
async fn the_ttl_of_a_renamed_record_counts_from_when_the_new_one_is_there() {
    let prepare = async || {
        let stand = Stand::new();
        stand.deploy().await.unwrap();
        Stand { manifest: MANIFEST.replace("name = \"www\"", "name = \"web\""), ..stand }
    };
    let watch = |_: &Stand| {
        (|cloud: &FakeCloud| cloud.record("web").is_some(), |cloud: &FakeCloud| cloud.record("www").is_some())
    };
    kept_for_its_ttl(prepare, watch, 5).await;
}

#[tokio::test(start_paused = true)]
async fn a_renamed_record_serves_before_the_old_one_goes_and_a_dropped_one_goes() {
    let stand = Stand::new();
    stand.deploy().await.unwrap();
    let stand = Stand { manifest: MANIFEST.replace("name = \"www\"", "name = \"web\"\nttl = \"50s\""), ..stand };
    let started = tokio::time::Instant::now();
    let report = stand.deploy().await.unwrap();
    assert!(!report.plan.makes_release(), "{:?}", report.plan);
    assert!(started.elapsed() >= Duration::from_secs(60), "resolvers keep the old one for its TTL");
    assert_eq!((stand.cloud.record("www"), stand.cloud.record("web").is_some()), (None, true));
    let ttl_only = Stand { manifest: stand.manifest.replace("50s", "40s"), ..stand };
    let report = ttl_only.deploy().await.unwrap();
    assert!(
        matches!(report.plan.steps[..], [Step::SetRecord { ttl_before: Some(50), ttl: 40, .. }]),
        "{:?}",
        report.plan
    );
    let dropped = MANIFEST.replace("[dns]\nzone = \"example.org\"\nname = \"www\"\n", "");
    let stand = Stand { manifest: dropped, ..ttl_only };
    stand.deploy().await.unwrap();
    assert_eq!(stand.cloud.record("web"), None);
    assert!(!stand.deploy().await.unwrap().plan.changes());
}

#[tokio::test(start_paused = true)]
async fn a_record_of_somebody_else_is_not_overwritten_by_a_rollback() {
    let stand = replacement().await;
    stand.deploy().await.unwrap();
    stand.cloud.add_record("mail", "192.0.2.9");
    let stand = Stand { manifest: MANIFEST.replace("name = \"www\"", "name = \"mail\""), ..stand };
    let error = stand.rollback(None).await.unwrap_err();
    assert_eq!(error.kind(), EngineErrorKind::Conflict, "{}", error.chain());
    assert_eq!(stand.cloud.record("mail"), Some(vec!["192.0.2.9".to_owned()]));
    let ctx = stand.context();
    destroy_with(&stand.engine(&ctx), false).await.unwrap();
    assert_eq!(stand.cloud.record("mail"), Some(vec!["192.0.2.9".to_owned()]));
    assert_eq!(stand.cloud.record("www"), None, "the one that is ours goes, whatever the manifest says now");
}

/// Works with a wall clock that is wrong by as much as is said at each moment.
async fn with_clock<T>(skew: &AtomicI64, work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    std::future::poll_fn(|cx| skewed(skew.load(Ordering::SeqCst), || work.as_mut().poll(cx))).await
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_makes_the_wait_for_resolvers_neither_longer_nor_shorter() {
    let own = MANIFEST.replace("[dns]", "[address]\nstatic_ip = \"none\"\n\n[dns]");
    let other_name = MANIFEST.replace("name = \"www\"", "name = \"web\"");
    for (before, after, recipe) in [(own.as_str(), own.as_str(), "two"), (MANIFEST, other_name.as_str(), "one")] {
        for (hours, killed) in [(-3, false), (3, false), (-3, true)] {
            let stand = Stand::with(before);
            stand.deploy().await.unwrap();
            stand.recipe(recipe);
            let (former, record) = (stand.serving().id, stand.cloud.record("www"));
            let stand = Stand { manifest: after.to_owned(), ..stand };
            let there = |cloud: &FakeCloud| {
                let stays = cloud.standing().iter().any(|instance| instance.id == former);
                (stays, cloud.record("www") == record, cloud.record("web").is_none())
            };
            let skew = AtomicI64::new(0);
            let set = async {
                let first = there(&stand.cloud);
                while there(&stand.cloud) == first {
                    sleep(Duration::from_millis(10)).await;
                }
                // By then it waits.
                sleep(Duration::from_secs(15)).await;
                skew.store(hours * 3_600_000, Ordering::SeqCst);
            };
            if killed {
                tokio::select! {
                    biased;
                    () = set => {}
                    _ = with_clock(&skew, stand.deploy()) => panic!("it was to be killed"),
                }
                // Of a run that died, the clock that is wrong by now is all that is known.
                let again = tokio::time::Instant::now();
                with_clock(&skew, stand.deploy()).await.unwrap();
                assert!(again.elapsed() < Duration::from_secs(600), "{recipe}, {hours}: {:?}", again.elapsed());
                continue;
            }
            let goes = async {
                set.await;
                let set_at = tokio::time::Instant::now();
                let now = there(&stand.cloud);
                while there(&stand.cloud) == now {
                    sleep(Duration::from_millis(10)).await;
                }
                set_at.elapsed()
            };
            let (deployed, left) = tokio::join!(with_clock(&skew, stand.deploy()), goes);
            deployed.unwrap();
            let left = left.as_secs();
            assert!((44..120).contains(&left), "{recipe}, {hours} h: what was before goes after {left} s");
        }
    }
}
