//! What a run came to: gathered from the events as they pass, told at its end.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use remint_core::events::Event;
use serde::Serialize;

use super::text::duration;

/// The figures of one run.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Summary {
    /// The image's id, and whether it was there before.
    pub image: Option<(String, bool)>,
    /// The stable address, if the run moved it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// How long each phase took, in their order.
    pub phases: Vec<(String, Duration)>,
    /// What the probe through the stable address saw.
    pub probe: Option<ProbeFigures>,
}

/// What the probe through the stable address saw.
#[derive(Debug, Clone, Serialize)]
pub struct ProbeFigures {
    /// Requests that the probe sent, one after the other.
    pub sent: u64,
    /// How many of them had no answer, or a bad one.
    pub failed: u64,
    /// The longest time between two successes around a failure.
    pub longest_gap: Duration,
}

impl Summary {
    /// The figures as lines for people.
    pub fn lines(&self) -> String {
        let mut text = String::new();
        if let Some((image, reused)) = &self.image {
            let how = if *reused { "reused, nothing was baked" } else { "baked" };
            text.push_str(&format!("  image     {image} ({how})\n"));
        }
        if let Some(address) = &self.address {
            text.push_str(&format!("  address   {address}\n"));
        }
        if !self.phases.is_empty() {
            let phases: Vec<_> = self.phases.iter().map(|(name, time)| format!("{name} {}", duration(*time))).collect();
            text.push_str(&format!("  time      {}\n", phases.join(", ")));
        }
        if let Some(ProbeFigures { sent, failed, longest_gap }) = &self.probe {
            let lost = match failed {
                0 => "none lost".to_owned(),
                _ => format!("{failed} lost, longest gap {}", duration(*longest_gap)),
            };
            text.push_str(&format!("  switch    {sent} requests probed, {lost}\n"));
        }
        text
    }
}

#[derive(Debug, Default)]
pub(super) struct Gatherer(Mutex<Summary>);

impl Gatherer {
    pub(super) fn see(&self, event: &Event) {
        let mut summary = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::ImageReady { image, reused, .. } => summary.image = Some((image.to_string(), *reused)),
            Event::AddressMoved { address, .. } => summary.address = Some(address.clone()),
            Event::PhaseFinished { phase, elapsed } => summary.phases.push((phase.clone(), *elapsed)),
            Event::Probed { sent, failed, longest_gap } => {
                summary.probe = Some(ProbeFigures { sent: *sent, failed: *failed, longest_gap: *longest_gap });
            }
            _ => {}
        }
    }

    pub(super) fn summary(&self) -> Summary {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_tells_what_passed_by() {
        let gatherer = Gatherer::default();
        gatherer.see(&Event::PhaseFinished { phase: "gating".to_owned(), elapsed: Duration::from_secs(31) });
        gatherer.see(&Event::AddressMoved { address: "203.0.113.7".to_owned(), instance: "9".into() });
        gatherer.see(&Event::Probed { sent: 90, failed: 0, longest_gap: Duration::ZERO });
        let text = gatherer.summary().lines();
        assert!(text.contains("  address   203.0.113.7\n"), "{text}");
        assert!(text.contains("gating 31 s") && text.contains("90 requests probed, none lost"), "{text}");
    }
}
