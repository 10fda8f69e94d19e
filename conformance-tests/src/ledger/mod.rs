//! What a run makes, written down before it is made.
//!
//! Within a case the [`Ledger`] tells what was asked for, so that whatever else is found afterwards is a leak. On an
//! account it is durable as well: a [`LedgerFile`] has each intent on the disk before the call that makes something goes
//! out, so that after a crash at any moment `sweep` knows of everything, also of what carries no labels.
//!
//! The file is JSON lines: a header with the version, and one [`Line`] for each step. See `docs/conformance.md`.

mod file;
mod made;
mod resource;

pub use file::{Header, LEDGER_VERSION, LedgerError, LedgerFile, Line, PastRun, Step};
pub use made::Ledger;
pub use resource::Resource;
