//! Writes the file of one concern: the trait's methods with the contract's words, each answering `Unsupported`.

use std::{collections::BTreeSet, fmt::Write as _};

use super::contract::{Contract, Method};

/// As the crate's `rustfmt.toml` has it.
const WIDTH: usize = 120;

/// What keeps the compiler quiet about methods that use nothing of what they are given.
const SKELETON: &str =
    "\n#![expect(unused_variables, reason = \"a skeleton: remove this line when its methods are written\")]\n";

/// The words of signatures that need no import.
const PRELUDE: [&str; 3] = ["Option", "Vec", "String"];

/// The file of a concern; `room` is its name.
pub(super) fn room(room: &str, contract: &Contract<'_>) -> String {
    let mut imports: BTreeSet<&str> = contract.methods.iter().flat_map(names).collect();
    imports.extend(["Error", contract.name]);
    if contract.methods.iter().any(|method| needed(contract, method).is_some()) {
        imports.insert("Capability");
    }
    if contract.methods.iter().any(|method| needed(contract, method).is_none()) {
        imports.insert("ErrorKind");
    }
    let mut text = String::new();
    for line in &contract.docs {
        comment(&mut text, "//!", line);
    }
    if contract.methods.iter().any(|method| method.arguments.len() > 1) {
        text.push_str(SKELETON);
    }
    text.push_str("\nuse async_trait::async_trait;\n");
    text.push_str(&import(&imports));
    text.push_str("\nuse crate::Cloud;\n\n");
    text.push_str(&implementation(contract, |method| unsupported(room, contract, method)));
    text
}

/// What the file of [`remint_core::provider::Provider`] itself imports: what its methods name, and what it is built with.
pub(super) fn provider_imports(contract: &Contract<'_>) -> String {
    let mut imports: BTreeSet<&str> = contract.methods.iter().flat_map(names).collect();
    imports.extend(["BuildContext", "Capability", "Environment", "Error", "ErrorKind", "Guest", "Limits", "Provider"]);
    imports.extend(["RatePolicy", "Registration", "RetryPolicy"]);
    import(&imports)
}

/// The implementation of [`remint_core::provider::Provider`] itself, whose answers follow from their types.
pub(super) fn provider(contract: &Contract<'_>) -> String {
    implementation(contract, |method| match method.result.as_str() {
        "&'static Descriptor" => "&DESCRIPTOR".to_owned(),
        "&Calls" => "&self.calls".to_owned(),
        "Vec<String>" => "vec![\"https://api.example.com\".to_owned()]".to_owned(),
        result if result.starts_with("&dyn ") => "self".to_owned(),
        result if result.starts_with("Option<&dyn ") => match method.requires() {
            Some(capability) => format!("DESCRIPTOR.has(Capability::{capability}).then_some(self)"),
            None => "None".to_owned(),
        },
        _ => unsupported("provider", contract, method),
    })
}

fn implementation(contract: &Contract<'_>, body: impl Fn(&Method<'_>) -> String) -> String {
    let mut text = format!("#[async_trait]\nimpl {} for Cloud {{\n", contract.name);
    for (place, method) in contract.methods.iter().enumerate() {
        if place > 0 {
            text.push('\n');
        }
        for line in &method.docs {
            comment(&mut text, "    ///", line);
        }
        text.push_str(&head(method));
        let _ = writeln!(text, "        {}\n    }}", body(method));
    }
    text.push_str("}\n");
    text
}

/// A line of documentation; what it names beside it in core is named from outside.
fn comment(text: &mut String, slashes: &str, line: &str) {
    let line = line.replace("`super::", "`remint_core::provider::");
    let space = if line.is_empty() { "" } else { " " };
    let _ = writeln!(text, "{slashes}{space}{line}");
}

/// The signature, on one line where it fits.
fn head(method: &Method<'_>) -> String {
    let Method { keyword, name, arguments, result, .. } = method;
    let line = format!("    {keyword} {name}({}) -> {result} {{\n", arguments.join(", "));
    if line.trim_end().len() <= WIDTH {
        return line;
    }
    let arguments: String = arguments.iter().map(|argument| format!("        {argument},\n")).collect();
    format!("    {keyword} {name}(\n{arguments}    ) -> {result} {{\n")
}

fn needed<'a>(contract: &Contract<'a>, method: &Method<'a>) -> Option<&'a str> {
    method.requires().or_else(|| contract.requires())
}

fn unsupported(room: &str, contract: &Contract<'_>, method: &Method<'_>) -> String {
    let operation = format!("{} {}", room.replace('_', " "), method.name.replace('_', " "));
    let line = match needed(contract, method) {
        Some(capability) => format!("Err(Error::unsupported(\"{operation}\", Capability::{capability}))"),
        None => format!("Err(Error::new(ErrorKind::Unsupported, \"{operation}\", \"not written yet\"))"),
    };
    if line.len() + 8 <= WIDTH { line } else { line.replacen("Err(", "Err(\n            ", 1) }
}

/// The names of types in a signature.
fn names<'a>(method: &'a Method<'_>) -> impl Iterator<Item = &'a str> {
    let words = method.arguments.iter().chain([&method.result]);
    let words = words.flat_map(|text| text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'));
    words.filter(|word| word.starts_with(|c: char| c.is_ascii_uppercase()) && !PRELUDE.contains(word))
}

/// An import of core's names, filled to the width.
fn import(names: &BTreeSet<&str>) -> String {
    const FROM: &str = "use remint_core::provider::{";
    let all = names.iter().copied().collect::<Vec<_>>().join(", ");
    if FROM.len() + all.len() + "};".len() <= WIDTH {
        return format!("{FROM}{all}}};\n");
    }
    let (mut text, mut line) = (format!("{FROM}\n"), String::from("   "));
    for name in names {
        if line.len() + name.len() + 2 > WIDTH {
            let _ = writeln!(text, "{line}");
            line = String::from("   ");
        }
        let _ = write!(line, " {name},");
    }
    let _ = writeln!(text, "{line}\n}};");
    text
}
