//! `remint conformance prepare`, and runs on a real account.

use remint_conformance::{
    Report, Suite, Target,
    account::{self, AccountError, AccountRun, Options},
};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::{
    bundle::Recording,
    chosen::{Account, another, place, poll},
    ledgers,
    progress::Progressing,
};
use crate::{
    args::conformance::{PrepareArgs, RunArgs},
    commands::CommandResult,
    exit::{ExitStatus, Failure},
    printer::Printer,
    settings::Settings,
};

#[derive(Debug, Serialize)]
struct Prepared {
    provider: &'static str,
    account: remint_core::provider::Account,
    prepared: bool,
}

pub(super) async fn prepare(args: &PrepareArgs, settings: &Settings, printer: &Printer) -> CommandResult {
    let undo = args.undo;
    let provider = Account::new(settings, args.region.as_deref())?.connect().await?;
    let prepared = Prepared { provider: provider.descriptor().id, account: provider.account().await?, prepared: !undo };
    let Prepared { provider: id, account, .. } = &prepared;
    let whose = format!("account {} ({}) of {id}", account.name, account.id);
    if undo {
        account::release(&*provider).await?;
    } else {
        let question = format!("Allow conformance runs, which make and delete things, on {whose}?");
        if !settings.yes && !printer.confirm(&question).await? {
            let failure = Failure::new(ExitStatus::Failure, anyhow::anyhow!("{whose} was left as it is"));
            return Err(failure.hint("answer yes, or give --yes in a script"));
        }
        account::prepare(&*provider).await?;
    }
    printer.result("conformance prepare", &prepared, || {
        if undo { format!("{whose} is not run on any more") } else { format!("{whose} may be run on") }
    })?;
    Ok(ExitStatus::Success)
}

/// Runs the suite on the account of the user's own credentials.
pub(super) async fn run(
    args: &RunArgs,
    settings: &Settings,
    printer: &Printer,
    cancel: CancellationToken,
    recording: &Recording,
) -> Result<Report, Failure> {
    let ledgers = ledgers::folder(args.ledgers.as_ref(), settings)?;
    let account = Account::new(settings, args.region.as_deref())?;
    let place = place(account.registration, args, account.place.clone(), &account.context)?;
    let provider = account.connect().await?;
    let Account { registration, context, .. } = account;
    let target = Target {
        second_region: place.second_region,
        zone: args.zone.clone(),
        poll: poll(provider.descriptor()),
        another: Some(recording.further(another(registration, context, &provider))),
        ..Target::new(recording.around(provider), place.region, place.size, place.base)
    };
    let suite = Suite::of(target.provider.descriptor(), &target.settings());
    let suite = suite.only(&args.only).map_err(|error| Failure::new(ExitStatus::Usage, error))?;
    let mut planned = AccountRun::plan(target, suite, args.budget).await?;
    let estimate = planned.estimate();
    if !estimate.is_free() && !settings.yes {
        let whose = format!("account {} ({})", planned.account().name, planned.account().id);
        if !printer.confirm(&format!("On {whose}, {estimate}. Run them?")).await? {
            printer.say(&format!("{estimate}: declined; give --yes to run them without a question"));
            planned.decline_billable();
        }
    }
    let mut progressing = Progressing::new(printer);
    let options = Options { cancel, ..Options::new(ledgers) };
    Ok(planned
        .run(options, &mut |progress| {
            recording.hear(&progress);
            progressing.hear(progress);
        })
        .await?)
}

impl From<AccountError> for Failure {
    fn from(error: AccountError) -> Self {
        let hint = error.hint();
        let failure = match error {
            AccountError::Provider(error) => return Self::from(error),
            error => Self::new(ExitStatus::Failure, error),
        };
        hint.into_iter().fold(failure, Self::hint)
    }
}
