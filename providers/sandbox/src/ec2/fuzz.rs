//! What the fuzz target of the request parsers tries here.

use axum::http::{HeaderMap, HeaderValue, header};

use super::{
    auth,
    filter::{Filters, like, page},
    query::Params,
    route53,
};

/// Reads a text as each of the parsers does.
pub(crate) fn read(text: &str) {
    if let Ok(params) = Params::parse(text.as_bytes()) {
        assert_eq!(params.get("Action").unwrap_or_default(), Params::action(text.as_bytes()));
        for group in params.groups("TagSpecification") {
            assert!(group.groups("Tag").len() <= text.len());
        }
        // What is put below a name is found there.
        assert_eq!(params.under("X").below("X").digest(&[]), params.digest(&[]));
        drop(params.flag("DryRun"));
        drop(params.number("MaxResults"));
        if let Ok((items, next)) = page(&params, 5, (0..10).collect()) {
            assert!(items.len() <= 10 && (next.is_none() || !items.is_empty() || params.get("NextToken").is_some()));
        }
        if let Ok(filters) = Filters::of(&params, &["state"]) {
            filters.take(&Default::default(), |_| vec!["running".to_owned()]);
        }
    }
    let (pattern, value) = text.split_once('=').unwrap_or((text, text));
    like(pattern, value);
    assert!(like("*", text));
    if !text.contains(['*', '?', '\\']) {
        assert!(like(text, text), "a text without wildcards matches itself");
    }
    if let Ok(value) = HeaderValue::from_str(text) {
        auth::claimed(&HeaderMap::from_iter([(header::AUTHORIZATION, value)]));
    }
    route53::fuzz(text);
}
