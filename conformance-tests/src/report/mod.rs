//! What a run leaves behind to be read: `report.json`, JUnit and Markdown, and the page of all providers.

mod bundle;
mod document;
mod junit;
mod markdown;
mod matrix;

pub use bundle::{Bundle, RunFacts};
pub use document::{CaseReport, FORMAT_VERSION, Report, ReportError};
pub use matrix::providers_page;
