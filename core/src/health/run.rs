//! Watching an address while it moves.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::{
    task::{JoinHandle, JoinSet},
    time::{Instant, MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use super::{Probe, Unhealthy};

/// How many requests may wait for their answers: more would only keep a slow instance from catching up.
const AT_ONCE: usize = 16;

/// What a [`ProbeRun`] saw.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeReport {
    /// Requests that the run sent and judged.
    pub sent: u64,
    /// Requests that had no answer, or a bad one.
    pub failed: u64,
    /// The longest time between two successes around a failure; zero when none failed.
    pub longest_gap: Duration,
    /// What the first failed request was answered.
    pub first_failure: Option<String>,
}

/// Requests at a steady pace, until [`ProbeRun::finish`]. Dropping it stops them too.
#[derive(Debug)]
pub struct ProbeRun {
    stop: CancellationToken,
    task: JoinHandle<()>,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Debug, Default)]
struct Seen {
    /// When each request was sent, and whether it succeeded.
    answers: Vec<(Instant, bool)>,
    first_failure: Option<(Instant, String)>,
}

impl ProbeRun {
    /// Starts sending a request every `every`, whether or not earlier ones were answered, unless many wait already.
    pub fn start(probe: Probe, every: Duration) -> Self {
        let stop = CancellationToken::new();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let task = tokio::spawn(send(probe, every, stop.clone(), Arc::clone(&seen)));
        Self { stop, task, seen }
    }

    /// What was seen so far.
    pub fn report(&self) -> ProbeReport {
        report(&self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Sends no more, waits for the answers that are due, and reports.
    pub async fn finish(mut self) -> ProbeReport {
        self.stop.cancel();
        if let Err(error) = (&mut self.task).await {
            tracing::warn!(%error, "the probe ended early");
        }
        self.report()
    }
}

impl Drop for ProbeRun {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn send(probe: Probe, every: Duration, stop: CancellationToken, seen: Arc<Mutex<Seen>>) {
    let mut ticks = interval(every.max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut under_way = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            _ = ticks.tick(), if under_way.len() < AT_ONCE => {
                let (probe, seen) = (probe.clone(), Arc::clone(&seen));
                under_way.spawn(async move {
                    let sent = Instant::now();
                    let answer = probe.ask().await;
                    seen.lock().unwrap_or_else(PoisonError::into_inner).note(sent, answer);
                });
            }
            Some(_) = under_way.join_next() => {}
        }
    }
    while under_way.join_next().await.is_some() {}
}

impl Seen {
    fn note(&mut self, sent: Instant, answer: Result<(), Unhealthy>) {
        self.answers.push((sent, answer.is_ok()));
        if let Err(reason) = answer
            && self.first_failure.as_ref().is_none_or(|(earlier, _)| sent < *earlier)
        {
            self.first_failure = Some((sent, reason.to_string()));
        }
    }
}

fn report(seen: &Seen) -> ProbeReport {
    let mut answers = seen.answers.clone();
    answers.sort_by_key(|(sent, _)| *sent);
    ProbeReport {
        sent: answers.len() as u64,
        failed: answers.iter().filter(|(_, ok)| !ok).count() as u64,
        longest_gap: longest_gap(&answers),
        first_failure: seen.first_failure.as_ref().map(|(_, reason)| reason.clone()),
    }
}

/// The longest time from the last success before a failure to the first one after it. Where there is no success on one
/// side, the run's own first or last request stands in.
fn longest_gap(answers: &[(Instant, bool)]) -> Duration {
    let mut longest = Duration::ZERO;
    let mut failing_since = None;
    let mut before = answers.first().map(|(sent, _)| *sent);
    for (sent, ok) in answers {
        match (ok, failing_since) {
            (false, None) => failing_since = before,
            (true, Some(since)) => {
                longest = longest.max(sent.duration_since(since));
                failing_since = None;
            }
            _ => {}
        }
        before = Some(*sent);
    }
    match (failing_since, answers.last()) {
        (Some(since), Some((end, _))) => longest.max(end.duration_since(since)),
        _ => longest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        health::testing::{Answer, Service},
        manifest::HttpCheck,
    };

    fn gap(pattern: &str) -> u64 {
        let start = Instant::now();
        let answers: Vec<_> =
            (0..).map(|n| start + Duration::from_secs(n)).zip(pattern.chars().map(|c| c == '+')).collect();
        longest_gap(&answers).as_secs()
    }

    #[test]
    fn the_gap_reaches_from_success_to_success() {
        assert_eq!(gap("+++++"), 0);
        assert_eq!(gap("++-++"), 2);
        assert_eq!(gap("+-+---+-+"), 4);
        assert_eq!(gap("--++"), 2);
        assert_eq!(gap("++--"), 2);
        assert_eq!(gap(""), 0);
    }

    #[tokio::test]
    async fn it_counts_what_was_sent_and_what_failed() {
        let service = Service::start(Answer::Http(200, String::new())).await;
        let check = HttpCheck { port: Some(service.port), ..HttpCheck::default() };
        let probe = Probe::http(&check, None, Default::default(), None);
        let run = ProbeRun::start(probe, Duration::from_millis(2));
        let until = async |condition: &dyn Fn(&ProbeReport) -> bool| {
            while !condition(&run.report()) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        until(&|report| report.sent >= 5).await;
        assert_eq!(run.report().failed, 0);
        service.set(Answer::Http(502, "no backend".into()));
        until(&|report| report.failed >= 3).await;
        service.set(Answer::Http(200, String::new()));
        let failed = run.report().failed;
        until(&|report| report.sent > failed + 20).await;
        let report = run.finish().await;
        assert!(report.failed >= 3 && report.sent > report.failed, "{report:?}");
        assert!(report.longest_gap > Duration::ZERO);
        assert_eq!(report.first_failure.as_deref(), Some("502 Bad Gateway: no backend"));
        assert_eq!(report.sent, service.requests() as u64, "every request is in the report");
    }
}
