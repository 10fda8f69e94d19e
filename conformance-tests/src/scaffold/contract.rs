//! Reads a trait from its source.
//!
//! The source is this workspace's own and formatted by rustfmt, so lines tell enough: a trait runs from `pub trait` to a
//! line `}`, a method's signature to a line that ends with `;`. No contract has a method with a body.

/// A trait of a provider.
#[derive(Debug)]
pub(super) struct Contract<'a> {
    pub(super) name: &'a str,
    /// What it says of itself, a line each, without the slashes.
    pub(super) docs: Vec<&'a str>,
    pub(super) methods: Vec<Method<'a>>,
}

#[derive(Debug)]
pub(super) struct Method<'a> {
    /// The contract's words, a line each, without the slashes.
    pub(super) docs: Vec<&'a str>,
    /// `fn` or `async fn`.
    pub(super) keyword: &'a str,
    pub(super) name: String,
    /// What it takes, `&self` first.
    pub(super) arguments: Vec<String>,
    /// Its return type, as the source has it.
    pub(super) result: String,
}

impl<'a> Contract<'a> {
    /// The first public trait of a source file; `None` where there is none, or a method is not as expected.
    pub(super) fn read(source: &'a str) -> Option<Self> {
        let (mut docs, mut lines) = (Vec::new(), source.lines());
        let name = loop {
            let line = lines.next()?;
            if let Some(rest) = line.strip_prefix("pub trait ") {
                break rest.split(':').next()?;
            } else if let Some(doc) = doc(line) {
                docs.push(doc);
            } else if !line.starts_with("#[") {
                docs.clear();
            }
        };
        let (mut methods, mut method_docs, mut signature) = (Vec::new(), Vec::new(), String::new());
        for line in lines.take_while(|line| *line != "}").map(str::trim).filter(|line| !line.is_empty()) {
            if let Some(doc) = doc(line) {
                method_docs.push(doc);
                continue;
            }
            signature.push_str(line);
            signature.push(' ');
            if line.ends_with(';') {
                methods.push(Method::read(&signature, std::mem::take(&mut method_docs))?);
                signature.clear();
            }
        }
        Some(Self { name, docs, methods })
    }

    /// The capability that all of its methods require.
    pub(super) fn requires(&self) -> Option<&'a str> {
        required(&self.docs)
    }
}

impl<'a> Method<'a> {
    fn read(signature: &str, docs: Vec<&'a str>) -> Option<Self> {
        let (keyword, rest) = match signature.strip_prefix("async fn ") {
            Some(rest) => ("async fn", rest),
            None => ("fn", signature.strip_prefix("fn ")?),
        };
        let (name, rest) = rest.split_once('(')?;
        let (arguments, result) = rest.rsplit_once(") -> ")?;
        let arguments = arguments.split(", ").map(|argument| argument.trim().trim_end_matches(',').to_owned());
        let arguments = arguments.filter(|argument| !argument.is_empty()).collect();
        let result = result.trim_end().strip_suffix(';')?.to_owned();
        Some(Self { docs, keyword, name: name.to_owned(), arguments, result })
    }

    /// The capability that it requires, or that its documentation ties it to.
    pub(super) fn requires(&self) -> Option<&'a str> {
        required(&self.docs)
    }
}

fn doc(line: &str) -> Option<&str> {
    let text = line.strip_prefix("///")?;
    Some(text.strip_prefix(' ').unwrap_or(text))
}

/// The first capability that is named after "Requires" or "exactly when".
fn required<'a>(docs: &[&'a str]) -> Option<&'a str> {
    let demanding = docs.iter().find(|line| line.contains("*Requires*") || line.contains("exactly when"))?;
    let (_, rest) = demanding.split_once("Capability::")?;
    rest.split('`').next()
}

#[cfg(test)]
mod tests {
    use remint_core::provider::CONTRACTS;

    use super::*;

    #[test]
    fn every_contract_is_read_with_every_method_and_its_words() {
        for (room, source) in CONTRACTS {
            let contract = Contract::read(source).unwrap_or_else(|| panic!("{room} has no trait that can be read"));
            let (_, body) = source.split_once(&format!("pub trait {}", contract.name)).unwrap();
            let body = body.split("\n}").next().unwrap();
            assert_eq!(contract.methods.len(), body.matches("fn ").count(), "{room}");
            assert!(!contract.methods.is_empty() && !contract.docs.is_empty(), "{room}");
            for method in &contract.methods {
                assert!(!method.docs.is_empty(), "{room}: {} says nothing", method.name);
                assert_eq!(method.arguments.first().map(String::as_str), Some("&self"), "{room}: {}", method.name);
            }
        }
    }

    #[test]
    fn every_concern_of_a_provider_is_among_the_contracts() {
        let all: Vec<_> = CONTRACTS.iter().filter_map(|(_, source)| Contract::read(source)).collect();
        let results = all[0].methods.iter().map(|method| method.result.trim_start_matches("Option<"));
        for concern in results.filter_map(|result| result.strip_prefix("&dyn ")) {
            let concern = concern.trim_end_matches('>');
            assert!(all.iter().any(|contract| contract.name == concern), "{concern} is missing in CONTRACTS");
        }
    }

    #[test]
    fn a_signature_may_span_lines_and_name_what_it_requires() {
        let source = "/// Things.\n#[async_trait]\npub trait Things: Send {\n    /// Makes one.\n    ///\n    \
                      /// - *Requires*: [`super::Capability::Dns`].\n    async fn make(\n        &self,\n        \
                      name: &str,\n    ) -> Result<Thing>;\n}\n";
        let contract = Contract::read(source).unwrap();
        assert_eq!((contract.name, contract.docs.as_slice()), ("Things", ["Things."].as_slice()));
        let [make] = contract.methods.as_slice() else { panic!("{contract:?}") };
        assert_eq!((make.keyword, make.name.as_str(), make.result.as_str()), ("async fn", "make", "Result<Thing>"));
        assert_eq!(
            (make.arguments.as_slice(), make.requires()),
            (["&self", "name: &str"].map(str::to_owned).as_slice(), Some("Dns"))
        );
    }
}
