//! What the calls have in common: names, ARNs and pages.

use std::collections::BTreeSet;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::refusal::invalid;
use crate::{State, call::Call, query::Params, state::account, xml::Xml};
use remint_sandbox_cloud::{ApiError, ApiResult};

/// How many items a page has at most.
const PAGE: usize = 400;

/// The name of something new: 1 to 32 letters, digits and hyphens.
pub(super) fn name<'a>(params: &'a Params, what: &str) -> ApiResult<&'a str> {
    let name = params.need("Name")?;
    let good = name.len() <= 32 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if !good || name.starts_with('-') || name.ends_with('-') || name.starts_with("internal-") {
        return Err(invalid(format!(
            "{what} name '{name}' must have 1 to 32 letters, digits and hyphens, and cannot begin or end with a hyphen, or \
             begin with 'internal-'"
        )));
    }
    Ok(name)
}

/// A fresh last part of an ARN.
pub(super) fn fresh() -> String {
    format!("{:016x}", rand::random::<u64>())
}

/// An ARN of this service.
pub(super) fn arn(state: &State, region: &str, resource: &str) -> String {
    format!("arn:aws:elasticloadbalancing:{region}:{}:{resource}", account(state))
}

/// A port.
pub(super) fn port(params: &Params, name: &str) -> ApiResult<Option<u16>> {
    let read = |number: u64| u16::try_from(number).ok().filter(|port| *port > 0);
    let bad = || invalid(format!("{name} must be a port from 1 to 65535"));
    params.number(name)?.map(|number| read(number).ok_or_else(bad)).transpose()
}

/// A number within limits.
pub(super) fn within(params: &Params, name: &str, least: u64, most: u64) -> ApiResult<Option<u64>> {
    match params.number(name)? {
        Some(number) if !(least..=most).contains(&number) => {
            Err(invalid(format!("{name} '{number}' must be between {least} and {most}")))
        }
        number => Ok(number),
    }
}

/// The values of a list, none of them twice.
pub(super) fn set(params: &Params, name: &str) -> BTreeSet<String> {
    params.list(&format!("{name}.member")).into_iter().map(str::to_owned).collect()
}

/// Keeps what a list names, all of which has to be there; everything where it names nothing.
pub(super) fn keep<T>(
    params: &Params,
    list: &str,
    all: &mut Vec<T>,
    key: impl Fn(&T) -> &str,
    absent: fn(&[&str]) -> ApiError,
) -> ApiResult<()> {
    let named = params.list(&format!("{list}.member"));
    if named.is_empty() {
        return Ok(());
    }
    let missing: Vec<&str> = named.iter().copied().filter(|name| all.iter().all(|one| key(one) != *name)).collect();
    if !missing.is_empty() {
        return Err(absent(&missing));
    }
    all.retain(|one| named.contains(&key(one)));
    Ok(())
}

/// Writes the page that a call asks for.
pub(super) fn page<T>(
    call: &Call<'_>,
    xml: &mut Xml,
    element: &str,
    all: Vec<T>,
    mut write: impl FnMut(&mut Xml, &T),
) -> ApiResult<()> {
    let params = &call.params;
    let start = match params.get("Marker") {
        None => 0,
        Some(marker) => URL_SAFE_NO_PAD
            .decode(marker)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok()?.strip_prefix("at ")?.parse::<usize>().ok())
            .ok_or_else(|| invalid("The marker is not valid"))?,
    };
    let size = within(params, "PageSize", 1, PAGE as u64)?;
    let size = size.and_then(|size| usize::try_from(size).ok()).unwrap_or(PAGE);
    let end = start.saturating_add(size);
    let next = (end < all.len()).then(|| URL_SAFE_NO_PAD.encode(format!("at {end}")));
    xml.members(element, all.iter().skip(start).take(size), |xml, one| write(xml, one));
    xml.maybe("NextMarker", next);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_can_be_in_a_host_name() {
        let read =
            |text: &str| name(&Params::parse(format!("Name={text}").as_bytes()).unwrap(), "x").map(str::to_owned);
        assert_eq!(read("remint-0a").unwrap(), "remint-0a");
        for bad in ["", "-a", "a-", "a_b", "internal-a", "aaaaaaaaaabbbbbbbbbbccccccccccddd"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
