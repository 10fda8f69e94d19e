//! The table as a page of the book has it.

use super::{
    super::{flags::Flags, state::Reads},
    COMMANDS,
};

/// The commands of simulated machines, as a table in Markdown.
pub fn commands() -> String {
    let mut page = "| command | flags | standard input | what it imitates |\n|---|---|---|---|\n".to_owned();
    for command in COMMANDS {
        let names: Vec<_> = command.names.split(' ').map(|name| format!("`{name}`")).collect();
        let flags = match command.flags {
            Flags::Known("") | Flags::Leading("") | Flags::Own("") => String::new(),
            Flags::Known(known) | Flags::Leading(known) => {
                let known = known.split(' ').map(|flag| format!("`{}`", flag.replace('|', "`, `").replace('=', "=…")));
                known.collect::<Vec<_>>().join("; ")
            }
            Flags::Own(known) => known.replace('|', "\\|"),
            Flags::None => "none: they are words".to_owned(),
            Flags::Any => "any".to_owned(),
        };
        let reads = match command.reads {
            Reads::Nothing => "",
            Reads::All => "all",
            Reads::Files(_) => "without a file",
            Reads::Itself => "as it goes",
        };
        page += &format!("| {} | {flags} | {reads} | {} |\n", names.join(", "), command.imitates);
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by `REMINT_BLESS=1 cargo test -p remint-sandbox-machines the_book_has`.
    #[test]
    fn the_book_has_the_table_of_commands() {
        const MARKS: [&str; 2] = ["<!-- commands: made from the shell's table -->\n", "<!-- end of commands -->\n"];
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../docs/sandbox.md");
        let page = std::fs::read_to_string(path).unwrap();
        let (before, rest) = page.split_once(MARKS[0]).unwrap();
        let (known, after) = rest.split_once(MARKS[1]).unwrap();
        if std::env::var_os("REMINT_BLESS").is_some() {
            std::fs::write(path, format!("{before}{}{}{}{after}", MARKS[0], commands(), MARKS[1])).unwrap();
        } else {
            assert_eq!(known, commands(), "docs/sandbox.md is out of date: run the test with REMINT_BLESS=1");
        }
    }
}
