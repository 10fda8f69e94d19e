//! `remint schema`: the JSON Schemas of `remint.toml` and of what commands print, or the book's manifest reference.

use remint_core::{
    manifest::{reference_markdown, schema},
    provider::Registry,
};

use super::{CommandResult, plan::Planned};
use crate::{
    args::SchemaArgs,
    exit::{ExitStatus, Failure},
    printer::Printer,
    settings::Settings,
};

pub(super) fn run(args: &SchemaArgs, settings: &Settings, printer: &Printer) -> CommandResult {
    if args.reference {
        printer.data(&reference_markdown())?;
        return Ok(ExitStatus::Success);
    }
    let schema = match settings.provider() {
        _ if args.events => Printer::line_schema(),
        _ if args.plan => Printer::result_schema::<Planned>(),
        Some(id) => {
            let registration = Registry::find(id.as_str()).map_err(|error| Failure::new(ExitStatus::Usage, error))?;
            (registration.options_schema)()
        }
        None => schema(),
    };
    printer.data(&serde_json::to_string_pretty(&schema).map_err(anyhow::Error::from)?)?;
    Ok(ExitStatus::Success)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_book_has_the_reference_of_these_types() {
        let book = include_str!("../../../docs/manifest-reference.md");
        assert!(
            book == remint_core::manifest::reference_markdown(),
            "docs/manifest-reference.md is out of date: run `make docs/manifest-reference.md`"
        );
    }
}
