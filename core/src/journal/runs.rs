//! The runs that a journal knows: what a run created carries its id, so a run that is not among them worked with another journal,
//! or with a later copy of this one.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// How many are kept.
const KEPT: usize = 100;

/// The runs that have held the lock of an environment, the latest last. Of the earliest nothing is known any more.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Runs(Vec<Uuid>);

impl Runs {
    /// These, and one more.
    #[must_use]
    pub(crate) fn and(&self, run: Uuid) -> Self {
        let known: Vec<_> = self.0.iter().copied().filter(|known| *known != run).chain([run]).collect();
        Self(known[known.len().saturating_sub(KEPT)..].to_vec())
    }

    /// These, and others.
    #[must_use]
    pub(crate) fn with(&self, others: &Self) -> Self {
        others.0.iter().fold(self.clone(), |known, run| known.and(*run))
    }

    /// The run whose four characters end a name: all of it that is known, where no label names it.
    pub(crate) fn of_name(name: &str) -> Option<Uuid> {
        let (_, end) = name.rsplit_once('-')?;
        (end.len() == 4).then(|| u16::from_str_radix(end, 16).ok()).flatten().map(|end| Uuid::from_u128(end.into()))
    }

    /// Whether the run of this label is one of them.
    pub(crate) fn has(&self, label: Option<&str>) -> bool {
        label.and_then(|label| Uuid::parse_str(label).ok()).is_some_and(|run| self.0.contains(&run))
    }

    /// Whether a name is of one of them: it ends with the run's four characters.
    pub(crate) fn has_name(&self, name: &str) -> bool {
        name.rsplit_once('-').is_some_and(|(_, end)| self.0.iter().any(|run| short(*run) == end))
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Four characters of a run, for names.
pub(crate) fn short(run: Uuid) -> String {
    let text = run.simple().to_string();
    text[text.len() - 4..].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_runs_are_known_by_label_and_by_name() {
        let runs: Vec<_> = (0..KEPT + 2).map(|_| Uuid::new_v4()).collect();
        let known = runs.iter().fold(Runs::default(), |known, run| known.and(*run).and(*run));
        assert_eq!(known.0, runs[2..]);
        assert!(known.has(Some(&runs[2].to_string())) && !known.has(Some(&runs[1].to_string())));
        assert!(!known.has(None) && !known.has(Some("another")));
        assert!(known.has_name(&format!("remint-0123-bake-{}", short(runs[2]))));
        assert!(!known.has_name("remint-0123-bake-zzzz") && !known.has_name("bake"));
    }
}
