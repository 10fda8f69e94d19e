//! Waiting until a service is healthy.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

use super::Probe;
use crate::manifest::HealthSection;

/// A service that did not become healthy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HealthError {
    /// Not healthy before its start period was over.
    #[error("not healthy after {} s: {probe}: last answer: {last}", waited.as_secs())]
    NotInTime {
        /// What was asked: `GET http://203.0.113.7:80/health`.
        probe: String,
        /// How long was waited.
        waited: Duration,
        /// The last answer, at most about 200 bytes of it.
        last: String,
        /// The last lines of that answer, where it is longer.
        lines: Vec<String>,
    },
    /// The caller cancelled it.
    #[error("interrupted")]
    Cancelled,
}

/// Asks until the service has answered `section.successes` times in a row.
///
/// Gives up when `section.start_period` is over, or at `deadline` if that is earlier. `on_change` hears each answer that
/// differs from the one before it.
///
/// # Errors
///
/// [`HealthError::NotInTime`] with the last answer, [`HealthError::Cancelled`].
pub async fn wait_healthy(
    probe: &Probe,
    section: &HealthSection,
    deadline: Option<Instant>,
    cancel: &CancellationToken,
    on_change: &mut (dyn FnMut(&str) + Send),
) -> Result<(), HealthError> {
    let wait = until_healthy(probe, section, deadline, on_change);
    tokio::select! {
        biased;
        () = cancel.cancelled() => Err(HealthError::Cancelled),
        ended = wait => ended,
    }
}

async fn until_healthy(
    probe: &Probe,
    section: &HealthSection,
    deadline: Option<Instant>,
    on_change: &mut (dyn FnMut(&str) + Send),
) -> Result<(), HealthError> {
    let started = Instant::now();
    let latest = started + section.start_period.0;
    let latest = deadline.map_or(latest, |deadline| deadline.min(latest));
    let wanted = section.successes.max(1);
    let (mut in_a_row, mut last, mut lines) = (0, String::from("none"), Vec::new());
    loop {
        let answer = timeout_at(latest, probe.ask()).await;
        let now = match answer {
            Ok(Ok(())) => {
                in_a_row += 1;
                if in_a_row >= wanted {
                    return Ok(());
                }
                format!("healthy, {in_a_row} of {wanted} times in a row")
            }
            Ok(Err(reason)) => {
                in_a_row = 0;
                lines = reason.lines().to_vec();
                reason.to_string()
            }
            // The attempt was cut off by the deadline: the answer before it says more.
            Err(_) if last == "none" => "none".to_owned(),
            Err(_) => last.clone(),
        };
        if now != last {
            on_change(&now);
            last = now;
        }
        if Instant::now() + section.interval.0 >= latest {
            return Err(HealthError::NotInTime { probe: probe.to_string(), waited: started.elapsed(), last, lines });
        }
        sleep(section.interval.0).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        health::testing::{Answer, Service},
        manifest::{HealthCheck, HttpCheck, HumanDuration},
    };

    fn section(port: u16, start_period: Duration) -> HealthSection {
        HealthSection {
            check: HealthCheck::Http(HttpCheck { port: Some(port), ..HttpCheck::default() }),
            interval: HumanDuration(Duration::from_millis(5)),
            timeout: HumanDuration::seconds(5),
            successes: 3,
            start_period: HumanDuration(start_period),
        }
    }

    fn probe(section: &HealthSection) -> Probe {
        let HealthCheck::Http(check) = &section.check else { unreachable!() };
        Probe::http(check, None, Default::default(), None)
    }

    #[tokio::test]
    async fn a_failure_starts_the_count_anew() {
        let service = Service::start(Answer::Http(200, String::new())).await;
        let section = section(service.port, Duration::from_secs(60));
        let mut heard = Vec::new();
        let mut on_change = |answer: &str| {
            heard.push(answer.to_owned());
            match heard.len() {
                2 => service.set(Answer::Http(500, "broken".into())),
                3 => service.set(Answer::Http(200, String::new())),
                _ => {}
            }
        };
        wait_healthy(&probe(&section), &section, None, &CancellationToken::new(), &mut on_change).await.unwrap();
        let once = "healthy, 1 of 3 times in a row";
        let twice = "healthy, 2 of 3 times in a row";
        assert_eq!(heard, [once, twice, "500 Internal Server Error: broken", once, twice]);
    }

    #[tokio::test]
    async fn the_timeout_says_the_last_answer() {
        let service = Service::start(Answer::Http(503, "warming up".into())).await;
        let section = section(service.port, Duration::from_millis(300));
        let ended = wait_healthy(&probe(&section), &section, None, &CancellationToken::new(), &mut |_| {}).await;
        let message = ended.unwrap_err().to_string();
        assert!(message.ends_with("last answer: 503 Service Unavailable: warming up"), "{message}");
        assert!(service.requests() > 1);
    }

    #[tokio::test]
    async fn it_can_be_interrupted() {
        let service = Service::start(Answer::Hold).await;
        let section = section(service.port, Duration::from_secs(600));
        let cancel = CancellationToken::new();
        let asked = probe(&section);
        let mut silent = |_: &str| {};
        let wait = wait_healthy(&asked, &section, None, &cancel, &mut silent);
        let (ended, ()) = tokio::join!(wait, async { cancel.cancel() });
        assert_eq!(ended, Err(HealthError::Cancelled));
    }
}
