//! What `remint conformance run --report` keeps of a run, and writes.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, OnceLock},
};

use remint_conformance::{Bundle, CallLog, Connect, Progress, Report, RunFacts, Traced};
use remint_core::provider::{CallCount, Calls, Provider};

use crate::{
    args::conformance::RunArgs,
    exit::{ExitStatus, Failure},
};

/// Keeps the calls of a run's clients.
#[derive(Debug, Clone, Default)]
pub(super) struct Recording {
    log: CallLog,
    /// Of the run's first client.
    calls: Arc<OnceLock<Calls>>,
}

impl Recording {
    /// The provider, whose calls are kept from now on.
    pub(super) fn around(&self, provider: Arc<dyn Provider>) -> Arc<dyn Provider> {
        self.calls.get_or_init(|| provider.calls().clone());
        Arc::new(Traced::new(provider, self.log.clone()))
    }

    /// Further clients, whose calls are kept, too.
    pub(super) fn further(&self, connect: Connect) -> Connect {
        let log = self.log.clone();
        Arc::new(move || -> Arc<dyn Provider> { Arc::new(Traced::new(connect(), log.clone())) })
    }

    /// Cases run one after the other, so a call belongs to the one that began last.
    pub(super) fn hear(&self, progress: &Progress<'_>) {
        if let Progress::Starts(case) = progress {
            self.log.case(case.id);
        }
    }

    fn requests(&self) -> CallCount {
        self.calls.get().map(Calls::count).unwrap_or_default()
    }
}

/// The folder that the report goes into.
#[derive(Debug)]
pub(super) struct Written(Bundle);

impl Written {
    /// Makes it, or refuses one that is not empty.
    pub(super) fn create(folder: &Path) -> Result<Self, Failure> {
        let bundle = Bundle::create(folder).map_err(|error| Failure::new(ExitStatus::Usage, error));
        bundle.map(Self)
    }

    /// Writes the files, and says where they are.
    pub(super) fn write(&self, report: &Report, args: &RunArgs, recording: &Recording) -> Result<String, Failure> {
        let lines = recording.log.lines();
        let facts = RunFacts::new(env!("CARGO_PKG_VERSION"), options(args), recording.requests(), &lines);
        self.0.write(report, &facts, &lines).map_err(anyhow::Error::from)?;
        Ok(self.0.folder().display().to_string())
    }
}

/// The options of the command. A new one is not written until it is named here.
fn options(args: &RunArgs) -> BTreeMap<String, String> {
    let RunArgs { target, only, budget, report: _, zone, region, second_region, size, base, ledgers: _ } = args;
    let only = (!only.is_empty()).then(|| only.join(","));
    let given = [
        ("target", Some(target.name())),
        ("only", only),
        ("budget", budget.map(|budget| budget.to_string())),
        ("zone", zone.clone()),
        ("region", region.clone()),
        ("second-region", second_region.clone()),
        ("size", size.clone()),
        ("base", base.clone()),
    ];
    given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}
