//! The verbs, a file each; this one sends a command to its file.

mod adopt;
mod bake;
mod completions;
mod conformance;
mod deploy;
mod doctor;
mod gc;
mod history;
mod images;
mod init;
mod journal;
mod lock;
mod overview;
mod plan;
mod providers;
#[cfg(feature = "sandbox")]
mod sandbox;
mod schema;
mod ssh;
mod status;
mod unfinished;
mod validate;

use tokio_util::sync::CancellationToken;

use crate::{
    args::{Command, ImagesCommand, LockCommand, journal::JournalCommand},
    exit::{ExitStatus, Failure},
    printer::Printer,
    settings::{Reach, Settings},
};

/// How a command ended.
pub(crate) type CommandResult = Result<ExitStatus, Failure>;

/// Whether a command may change something in a cloud or in the journal, and so may have to clean up when it is interrupted.
pub(crate) fn changes(command: &Command) -> bool {
    match command {
        Command::Images(args) => matches!(args.command, Some(ImagesCommand::Prune { dry_run: false })),
        Command::Gc(args) => !args.dry_run,
        Command::Lock(args) => matches!(args.command, LockCommand::Release),
        Command::Journal(args) => matches!(args.command, JournalCommand::Repair | JournalCommand::Move(_)),
        Command::Init(_)
        | Command::Validate
        | Command::Plan(_)
        | Command::Status(_)
        | Command::History(_)
        | Command::Show(_)
        | Command::Console(_)
        | Command::Providers
        | Command::Doctor
        | Command::Schema(_)
        | Command::Completions(_) => false,
        _ => true,
    }
}

pub(crate) async fn run(
    command: Command,
    settings: Settings,
    printer: Printer,
    cancel: CancellationToken,
) -> CommandResult {
    let settings = Settings { reach: reach(&command), ..settings };
    let (settings, printer) = (&settings, &printer);
    if settings.providers.len() > 1 && !matches!(command, Command::Bake(_)) {
        let error = anyhow::anyhow!("only `remint bake` works on several providers at once");
        return Err(Failure::new(ExitStatus::Usage, error).hint("name one: --provider ID"));
    }
    match command {
        Command::Init(args) => init::run(&args, settings, printer),
        Command::Validate => validate::run(settings, printer).await,
        Command::Plan(args) => plan::run(&args, settings, printer, cancel).await,
        Command::Bake(args) => bake::run(&args, settings, printer, cancel).await,
        Command::Deploy(args) => deploy::deploy(&args, settings, printer, cancel).await,
        Command::Rollback(args) => deploy::rollback(args.release, settings, printer, cancel).await,
        Command::Status(args) if args.all => overview::run(settings, printer).await,
        Command::Status(_) => status::run(settings, printer, cancel).await,
        Command::History(args) => history::list(&args, settings, printer).await,
        Command::Show(args) => history::show(args.release, settings, printer).await,
        Command::Resume => unfinished::resume(settings, printer, cancel).await,
        Command::Abort => unfinished::abort(settings, printer, cancel).await,
        Command::Adopt(args) => adopt::run(&args, settings, printer, cancel).await,
        Command::Gc(args) => gc::gc(&args, settings, printer, cancel).await,
        Command::Destroy(args) => gc::destroy(&args, settings, printer, cancel).await,
        Command::Images(args) => images::run(&args, settings, printer, cancel).await,
        Command::Lock(args) => lock::run(args.command, settings, printer).await,
        Command::Journal(args) => journal::run(args.command, settings, printer, cancel).await,
        Command::Ssh(args) => ssh::ssh(&args, settings, printer, cancel).await,
        Command::Console(args) => ssh::console(&args, settings, printer, cancel).await,
        Command::Providers => providers::run(printer),
        Command::Conformance(args) => conformance::run(args, settings, printer, cancel).await,
        Command::Doctor => doctor::run(settings, printer).await,
        Command::Schema(args) => schema::run(&args, settings, printer),
        Command::Completions(args) => completions::run(&args, printer),
        #[cfg(feature = "sandbox")]
        Command::Sandbox(args) => sandbox::run(args, settings, printer).await,
    }
}

/// Which commands only look. `gc`, `ssh` and `journal move` are among them: what they change needs no secret, and nothing that is
/// started.
fn reach(command: &Command) -> Reach {
    match command {
        Command::Plan(args) => Reach::Look { secrets: args.with_secrets },
        Command::Status(args) => Reach::Look { secrets: args.with_secrets },
        Command::Images(args) => match args.command {
            None | Some(ImagesCommand::List | ImagesCommand::Prune { dry_run: true }) => Reach::Look { secrets: false },
            Some(ImagesCommand::Prune { dry_run: false }) => Reach::Change,
        },
        Command::Lock(args) => match args.command {
            LockCommand::Status => Reach::Look { secrets: false },
            LockCommand::Release => Reach::Change,
        },
        Command::Journal(args) => match args.command {
            JournalCommand::Check | JournalCommand::Move(_) => Reach::Look { secrets: false },
            JournalCommand::Repair => Reach::Change,
        },
        Command::Validate
        | Command::History(_)
        | Command::Show(_)
        | Command::Gc(_)
        | Command::Console(_)
        | Command::Ssh(_)
        | Command::Doctor
        | Command::Providers
        | Command::Schema(_)
        | Command::Completions(_) => Reach::Look { secrets: false },
        Command::Init(_)
        | Command::Bake(_)
        | Command::Deploy(_)
        | Command::Rollback(_)
        | Command::Resume
        | Command::Abort
        | Command::Destroy(_)
        | Command::Adopt(_)
        | Command::Conformance(_) => Reach::Change,
        #[cfg(feature = "sandbox")]
        Command::Sandbox(_) => Reach::Change,
    }
}
