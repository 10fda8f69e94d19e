//! Writing XML answers.

use std::fmt::Display;

use jiff::Timestamp;
use quick_xml::escape::escape;

/// An XML fragment that grows from its beginning to its end.
#[derive(Debug, Default)]
pub(super) struct Xml(String);

impl Xml {
    /// An element with text in it.
    pub(super) fn text(&mut self, name: &str, value: impl Display) -> &mut Self {
        // What XML 1.0 has no way to write would make the whole answer unreadable.
        let value: String = value.to_string().chars().map(|c| if writable(c) { c } else { '\u{fffd}' }).collect();
        self.0.push_str(&format!("<{name}>{}</{name}>", escape(value)));
        self
    }

    /// The same where there is a value.
    pub(super) fn maybe(&mut self, name: &str, value: Option<impl Display>) -> &mut Self {
        match value {
            Some(value) => self.text(name, value),
            None => self,
        }
    }

    /// A moment, as EC2 and Route 53 write them: UTC in milliseconds.
    pub(super) fn time(&mut self, name: &str, moment: Timestamp) -> &mut Self {
        self.text(name, stamp(moment))
    }

    /// An element with elements in it.
    pub(super) fn node(&mut self, name: &str, inside: impl FnOnce(&mut Self)) -> &mut Self {
        self.0.push_str(&format!("<{name}>"));
        inside(self);
        self.0.push_str(&format!("</{name}>"));
        self
    }

    /// An attribute as EC2 writes them: an element with a `value` in it.
    pub(super) fn value(&mut self, name: &str, value: impl Display) -> &mut Self {
        self.node(name, |xml| {
            xml.text("value", value);
        })
    }

    /// A list as EC2 writes them: an `item` for each.
    pub(super) fn items<T>(
        &mut self,
        name: &str,
        items: impl IntoIterator<Item = T>,
        item: impl FnMut(&mut Self, T),
    ) -> &mut Self {
        self.list(name, "item", items, item)
    }

    /// A list of texts.
    pub(super) fn texts(&mut self, name: &str, items: impl IntoIterator<Item = impl Display>) -> &mut Self {
        self.node(name, |xml| {
            for one in items {
                xml.text("item", one);
            }
        })
    }

    /// A list as the Query API's newer services write them: a `member` for each.
    pub(super) fn members<T>(
        &mut self,
        name: &str,
        items: impl IntoIterator<Item = T>,
        item: impl FnMut(&mut Self, T),
    ) -> &mut Self {
        self.list(name, "member", items, item)
    }

    fn list<T>(
        &mut self,
        name: &str,
        element: &str,
        items: impl IntoIterator<Item = T>,
        mut item: impl FnMut(&mut Self, T),
    ) -> &mut Self {
        self.node(name, |xml| {
            for one in items {
                xml.node(element, |xml| item(xml, one));
            }
        })
    }

    /// Text without an element of its own.
    pub(super) fn plain(&mut self, value: impl Display) -> &mut Self {
        let value: String = value.to_string().chars().map(|c| if writable(c) { c } else { '\u{fffd}' }).collect();
        self.0.push_str(&escape(value));
        self
    }

    /// Another fragment, at the end.
    pub(super) fn append(&mut self, other: &Self) -> &mut Self {
        self.0.push_str(&other.0);
        self
    }

    /// The document: this fragment in a root element without a namespace.
    pub(super) fn bare(&self, root: &str) -> String {
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{root}>{}</{root}>\n", self.0)
    }

    /// The document: this fragment in a root element with a namespace.
    pub(super) fn document(&self, root: &str, namespace: &str) -> String {
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{root} xmlns=\"{namespace}\">{}</{root}>\n", self.0)
    }
}

/// A moment in UTC and milliseconds: `2026-11-25T08:00:00.000Z`.
pub(super) fn stamp(moment: Timestamp) -> String {
    moment.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

fn writable(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_break_the_document_is_escaped() {
        let mut xml = Xml::default();
        xml.text("key", "a<b>&\"\u{1}").maybe("none", None::<u8>).items("set", [1, 2], |xml, n| {
            xml.text("n", n);
        });
        let document = xml.document("Root", "urn:x");
        assert!(document.contains("<key>a&lt;b&gt;&amp;&quot;\u{fffd}</key>"), "{document}");
        assert!(document.contains("<set><item><n>1</n></item><item><n>2</n></item></set></Root>"), "{document}");
        assert!(document.contains("<Root xmlns=\"urn:x\">"));
    }

    #[test]
    fn moments_are_written_in_milliseconds() {
        let moment = Timestamp::from_millisecond(1_764_057_600_007).unwrap();
        assert_eq!(stamp(moment), "2025-11-25T08:00:00.007Z");
    }
}
