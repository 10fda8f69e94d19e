//! A run: decided, agreed to, carried out, and looked after.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use remint_core::provider::{Account, Error, Provider, Selector};
use tokio_util::sync::CancellationToken;

use super::{Estimate, estimate::keep_within, is_prepared};
use crate::{
    Block, Cost, Decision, Header, LEDGER_VERSION, LedgerError, LedgerFile, Outcome, Progress, Report, Runner, Step,
    Suite, Tags, Target,
};

/// How long the last list is repeated while it still shows what is on its way out.
const LAST_LOOK: Duration = Duration::from_secs(120);

/// Why a run on an account does not begin, or cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// Nobody said that the account may be run on.
    #[error("account {name} ({id}) does not carry the marker `{}`", super::MARKER)]
    NotPrepared {
        /// The cloud's id of the account.
        id: String,
        /// The name that its owner recognises, as the cloud shows it.
        name: String,
    },
    /// A call of the provider failed: reading the account, the marker, a size, or looking for leftovers.
    #[error("the provider answered with an error")]
    Provider(#[from] Error),
    /// The ledger cannot be written or read; there is no run without one.
    #[error("no run without a ledger")]
    Ledger(#[from] LedgerError),
}

impl AccountError {
    /// What can be done about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotPrepared { .. } => {
                Some("run `remint conformance prepare` with these credentials first".to_owned())
            }
            Self::Provider(error) => error.hint().map(str::to_owned),
            Self::Ledger(_) => None,
        }
    }
}

/// How a run is carried out.
#[derive(Debug, Clone)]
pub struct Options {
    /// The folder of ledgers; the run's own is `RUN.jsonl` in it.
    pub ledgers: PathBuf,
    /// What the report calls the target.
    pub target: String,
    /// After how long whatever is left may be swept.
    pub lifetime: SignedDuration,
    /// Ends the run: the case that is under way is ended and cleaned up after, further ones are not begun.
    pub cancel: CancellationToken,
}

impl Options {
    /// A ledger in this folder, four hours for what is left, and nothing that ends the run.
    pub fn new(ledgers: impl Into<PathBuf>) -> Self {
        Self {
            ledgers: ledgers.into(),
            target: "account".to_owned(),
            lifetime: SignedDuration::from_hours(4),
            cancel: CancellationToken::new(),
        }
    }
}

/// A run on an account that is allowed and has not begun.
#[derive(Debug)]
pub struct AccountRun {
    target: Target,
    suite: Suite,
    account: Account,
    hourly_usd: Option<f64>,
}

impl AccountRun {
    /// Looks whether the account may be run on, and what that would cost; changes nothing.
    ///
    /// With a budget, the cases that no longer fit are blocked; see [`Estimate`] for how they are counted.
    ///
    /// # Errors
    ///
    /// [`AccountError::NotPrepared`], and whatever reading account, marker and size answers.
    pub async fn plan(target: Target, mut suite: Suite, budget: Option<f64>) -> Result<Self, AccountError> {
        let provider = &*target.provider;
        let account = provider.account().await?;
        if !is_prepared(provider).await? {
            return Err(AccountError::NotPrepared { id: account.id, name: account.name });
        }
        let hourly_usd = provider.instances().shape(&target.size, &target.region).await?.price_hourly_usd;
        if let Some(budget) = budget {
            keep_within(&mut suite, budget, hourly_usd);
        }
        Ok(Self { target, suite, account, hourly_usd })
    }

    /// Whose account the run uses, as the provider names it; shown before anything is created.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// The cases and what is to be done about each; those beyond the budget are blocked.
    pub fn suite(&self) -> &Suite {
        &self.suite
    }

    /// What it may cost. Whoever pays is asked before [`AccountRun::run`], unless it is free.
    pub fn estimate(&self) -> Estimate {
        Estimate::of(&self.suite, self.hourly_usd)
    }

    /// Whoever pays said no: only what launches nothing is run.
    pub fn decline_billable(&mut self) {
        for decided in &mut self.suite.cases {
            if decided.decision == Decision::Run && decided.case.cost == Cost::Billable {
                decided.decision = Decision::Report(Outcome::Blocked(Block::Declined));
            }
        }
    }

    /// Runs the cases one after the other, and looks at the end for whatever is left.
    ///
    /// `on` hears how far it is. A run that is cancelled has a report, too.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be made, or the last look fails. What fails within a case is the case's outcome.
    pub async fn run(
        self,
        options: Options,
        on: &mut (dyn FnMut(Progress<'_>) + Send),
    ) -> Result<Report, AccountError> {
        let Self { target, suite, account, .. } = self;
        let tags = Tags::new(options.lifetime);
        let started = Timestamp::now();
        let provider = Arc::clone(&target.provider);
        let descriptor = provider.descriptor();
        let header = Header {
            version: LEDGER_VERSION,
            provider: descriptor.id.to_owned(),
            account: account.id,
            run: tags.run.clone(),
            started,
        };
        let file = LedgerFile::create(&ledger_path(&options.ledgers, &tags.run), &header)?;
        let file = Arc::new(file);
        let poll = target.poll;
        let runner = Runner::new(target).tagged(tags.clone()).recording(Arc::clone(&file));
        let ended = suite.run(&runner.cancelled_by(options.cancel), on).await;
        let leaks = leftovers(&*provider, &tags.selector(), poll).await?;
        file.append("", Step::Finished, Vec::new()).await?;
        Ok(Report::new(descriptor, &options.target, started, &ended).with_leaks(&tags.run, leaks))
    }
}

fn ledger_path(folder: &Path, run: &str) -> PathBuf {
    folder.join(format!("{run}.jsonl"))
}

/// What the labels still find. Looks again for a while: lists may lag behind.
async fn leftovers(provider: &dyn Provider, selector: &Selector, poll: Duration) -> Result<Vec<String>, Error> {
    let deadline = tokio::time::Instant::now() + LAST_LOOK;
    loop {
        let mut left = Vec::new();
        for instance in provider.instances().list(selector).await? {
            left.push(format!("instance {} ({})", instance.id, instance.name));
        }
        for image in provider.images().list(selector).await? {
            left.push(format!("image {} ({})", image.id, image.name));
        }
        if let Some(ips) = provider.static_ips() {
            left.extend(ips.list(selector).await?.into_iter().map(|ip| format!("static IP {}", ip.id)));
        }
        if left.is_empty() || tokio::time::Instant::now() >= deadline {
            return Ok(left);
        }
        tokio::time::sleep(poll).await;
    }
}
