//! What requests carry: a query, or a document.

use crate::reply::refuse;
use remint_sandbox_cloud::ApiResult;

/// The query of a request to Route 53.
#[derive(Debug, Default)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads one.
    pub(super) fn parse(query: Option<&str>) -> Self {
        Self(url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned().collect())
    }

    /// A parameter that is there and not empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// How many items a page has, of which there may be so many.
    pub(super) fn max_items(&self, most: usize) -> ApiResult<usize> {
        let Some(text) = self.get("maxitems") else { return Ok(most) };
        let number = text.parse::<usize>().ok().filter(|number| *number > 0);
        number.map(|number| number.min(most)).ok_or_else(|| refuse("InvalidInput", format!("Invalid MaxItems: {text}")))
    }
}

/// A body as XML.
pub(super) fn read_xml<T: serde::de::DeserializeOwned>(body: &[u8]) -> ApiResult<T> {
    let text = std::str::from_utf8(body).map_err(|_| refuse("MalformedXML", "The body is not UTF-8"))?;
    quick_xml::de::from_str(text).map_err(|error| refuse("MalformedXML", error.to_string()))
}
