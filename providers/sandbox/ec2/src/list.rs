//! What describe calls have in common: resources that are named, filters and pages.

use std::borrow::Borrow;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{
    call::Call,
    kinds::Kind,
    query::Params,
    reply::{invalid_value, refuse, unsupported},
    state::Tags,
    xml::Xml,
};
use crate::State;
use remint_sandbox_cloud::{ApiError, ApiResult};

/// A field of a resource that filters may name, and what it holds, which may be several values or none.
pub(super) type Field<T> = (&'static str, fn(&State, &T) -> Vec<String>);

/// How a call describes resources.
pub(super) struct List<T: 'static> {
    /// The element of the answer that they are in.
    pub(super) element: &'static str,
    /// The size of the smallest page; none where the call has no pages.
    pub(super) least: Option<u64>,
    pub(super) tags: fn(&State, &T) -> Tags,
    pub(super) fields: &'static [Field<T>],
}

impl<T> List<T> {
    /// Answers with those of the resources that the filters take, as far as they are on the page.
    pub(super) fn answer<R: Borrow<T>>(
        &self,
        call: &Call<'_>,
        state: &State,
        all: Vec<R>,
        xml: &mut Xml,
        mut write: impl FnMut(&mut Xml, &T),
    ) -> ApiResult<()> {
        let (shown, next) = self.page(call, state, all)?;
        xml.items(self.element, shown, |xml, one| write(xml, one.borrow())).maybe("nextToken", next);
        Ok(())
    }

    /// The page that a call asks for, and the token of the next one.
    pub(super) fn page<R: Borrow<T>>(
        &self,
        call: &Call<'_>,
        state: &State,
        mut all: Vec<R>,
    ) -> ApiResult<(Vec<R>, Option<String>)> {
        let names: Vec<&str> = self.fields.iter().map(|(name, _)| *name).collect();
        let filters = Filters::of(call.operation, &call.params, &names)?;
        all.retain(|one| {
            let one = one.borrow();
            let field = |name: &str| self.fields.iter().find(|(known, _)| *known == name);
            filters.take(&(self.tags)(state, one), |name| {
                field(name).map(|(_, held)| held(state, one)).unwrap_or_default()
            })
        });
        match self.least {
            Some(least) => page(&call.params, least, all),
            None => Ok((all, None)),
        }
    }
}

/// A field with one value.
pub(super) fn one(value: impl ToString) -> Vec<String> {
    vec![value.to_string()]
}

/// A field that may have a value.
pub(super) fn maybe(value: Option<impl ToString>) -> Vec<String> {
    value.map(|value| value.to_string()).into_iter().collect()
}

/// Keeps those of the resources that a list parameter names, which have to be there; all where it names none.
pub(super) fn keep_named<R>(
    params: &Params,
    parameter: &str,
    kind: &Kind,
    all: &mut Vec<R>,
    key: impl Fn(&R) -> &str,
) -> ApiResult<()> {
    keep(params, parameter, all, |one| key(one).to_owned(), |missing| kind.absent(missing))
}

/// The same with another error for those that are not there.
pub(super) fn keep<R>(
    params: &Params,
    parameter: &str,
    all: &mut Vec<R>,
    key: impl Fn(&R) -> String,
    absent: impl Fn(&[&str]) -> ApiError,
) -> ApiResult<()> {
    let named = params.list(parameter);
    if named.is_empty() {
        return Ok(());
    }
    let missing: Vec<&str> = named.iter().copied().filter(|name| all.iter().all(|one| key(one) != **name)).collect();
    if !missing.is_empty() {
        return Err(absent(&missing));
    }
    all.retain(|one| named.contains(&key(one).as_str()));
    Ok(())
}

/// One filter: a field, and the patterns of which its value has to match one.
#[derive(Debug)]
struct Filter {
    name: String,
    values: Vec<String>,
}

/// The filters of a call, all of which have to match.
#[derive(Debug)]
pub(super) struct Filters(Vec<Filter>);

impl Filters {
    /// Reads them. `fields` are those that the operation knows beside the tags.
    pub(super) fn of(operation: &str, params: &Params, fields: &[&str]) -> ApiResult<Self> {
        let mut filters = Vec::new();
        for filter in params.groups("Filter") {
            let name = filter.need("Name")?.to_owned();
            let tag = name.starts_with("tag:") || matches!(name.as_str(), "tag-key" | "tag-value");
            if !tag && !fields.contains(&name.as_str()) {
                return Err(match is_documented(operation, &name) {
                    true => unsupported(&format!("the filter {name} of {operation}")),
                    false => invalid_value(format!("The filter '{name}' is invalid")),
                });
            }
            let values: Vec<String> = filter.list("Value").into_iter().map(str::to_owned).collect();
            if values.is_empty() {
                return Err(refuse("MissingParameter", "The request must contain the parameter Filter.Value"));
            }
            filters.push(Filter { name, values });
        }
        Ok(Self(filters))
    }

    /// Whether something with these values and tags is asked for. `values` gives what a field holds, which may be several.
    pub(super) fn take(&self, tags: &Tags, values: impl Fn(&str) -> Vec<String>) -> bool {
        self.0.iter().all(|filter| {
            let held = match filter.name.as_str() {
                "tag-key" => tags.keys().cloned().collect(),
                "tag-value" => tags.values().cloned().collect(),
                name => match name.strip_prefix("tag:") {
                    Some(key) => tags.get(key).cloned().into_iter().collect(),
                    None => values(name),
                },
            };
            filter.values.iter().any(|pattern| held.iter().any(|value| like(pattern, value)))
        })
    }
}

/// Whether EC2 documents a filter of an operation.
pub(super) fn is_documented(operation: &str, filter: &str) -> bool {
    let lines = include_str!("filters.txt").lines().skip_while(|line| *line != operation).skip(1);
    let mut names = lines.take_while(|line| line.starts_with(' ')).flat_map(str::split_whitespace);
    names.any(|name| name == filter)
}

/// Whether the text is what the pattern says: `*` stands for any text, `?` for one character, `\` takes the next one as it
/// is.
pub(super) fn like(pattern: &str, text: &str) -> bool {
    /// One place of a pattern: any text, any character, or this one.
    #[derive(PartialEq)]
    enum Place {
        Text,
        Any,
        This(char),
    }
    let mut places = Vec::new();
    let mut rest = pattern.chars();
    while let Some(c) = rest.next() {
        places.push(match c {
            '*' => Place::Text,
            '?' => Place::Any,
            '\\' => Place::This(rest.next().unwrap_or('\\')),
            c => Place::This(c),
        });
    }
    // Without recursion, and with one place to come back to: the last star. So it takes no longer than the product of the
    // lengths, whatever the pattern is.
    let text: Vec<char> = text.chars().collect();
    let (mut at, mut read) = (0, 0);
    let mut back = None;
    while read < text.len() {
        match places.get(at) {
            Some(Place::Text) => {
                back = Some((at, read));
                at += 1;
            }
            Some(place) if *place == Place::Any || *place == Place::This(text[read]) => {
                at += 1;
                read += 1;
            }
            _ => match &mut back {
                Some((star, from)) => {
                    *from += 1;
                    (at, read) = (*star + 1, *from);
                }
                None => return false,
            },
        }
    }
    places[at..].iter().all(|place| *place == Place::Text)
}

/// The page that was asked for, and the token of the next one.
pub(super) fn page<T>(params: &Params, least: u64, items: Vec<T>) -> ApiResult<(Vec<T>, Option<String>)> {
    let start = match params.get("NextToken") {
        None => 0,
        Some(token) => URL_SAFE_NO_PAD
            .decode(token)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok()?.strip_prefix("at ")?.parse::<usize>().ok())
            .ok_or_else(|| refuse("InvalidNextToken", "The token is not valid."))?,
    };
    let most = match params.number("MaxResults")? {
        None => 1000,
        Some(most) if (least..=1000).contains(&most) => usize::try_from(most).unwrap_or(1000),
        Some(most) => {
            return Err(invalid_value(format!(
                "Value ( {most} ) for parameter maxResults is invalid. Expecting a value between {least} and 1000."
            )));
        }
    };
    let end = start.saturating_add(most);
    let next = (end < items.len()).then(|| URL_SAFE_NO_PAD.encode(format!("at {end}")));
    Ok((items.into_iter().skip(start).take(most).collect(), next))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, text, expected) in [
            ("debian-12-*", "debian-12-amd64", true),
            ("debian-1?-amd64", "debian-12-amd64", true),
            ("debian", "debian-12", false),
            (r"a\*b", "a*b", true),
            (r"a\*b", "axb", false),
            ("*", "", true),
            ("?", "", false),
            ("**a**", "bab", true),
            ("Case", "case", false),
        ] {
            assert_eq!(like(pattern, text), expected, "{pattern} {text}");
        }
        let long = "a".repeat(200_000);
        assert!(like(&long, &long), "no recursion");
        assert!(!like(&"*a".repeat(60), &"ab".repeat(200)), "nor each way to read it");
    }

    #[test]
    fn all_filters_must_match_one_of_their_values() {
        let body =
            "Filter.1.Name=tag:role&Filter.1.Value.1=web&Filter.1.Value.2=db&Filter.2.Name=state&Filter.2.Value.1=run*";
        let filters = Filters::of("Describe", &Params::parse(body.as_bytes()).unwrap(), &["state"]).unwrap();
        let tags = |role: &str| Tags::from([("role".to_owned(), role.to_owned())]);
        let running = |_: &str| vec!["running".to_owned()];
        assert!(filters.take(&tags("db"), running));
        assert!(!filters.take(&tags("cache"), running));
        assert!(!filters.take(&Tags::new(), running));
        assert!(!filters.take(&tags("web"), |_| vec!["stopped".to_owned()]));
        for (name, code) in [("colour", "InvalidParameterValue"), ("ramdisk-id", "UnsupportedOperation")] {
            let params = Params::parse(format!("Filter.1.Name={name}&Filter.1.Value.1=x").as_bytes()).unwrap();
            assert_eq!(Filters::of("DescribeImages", &params, &["state"]).unwrap_err().id, code, "{name}");
        }
    }

    #[test]
    fn pages_follow_one_another() {
        let items: Vec<u32> = (0..12).collect();
        let (first, token) = page(&Params::parse(b"MaxResults=5").unwrap(), 5, items.clone()).unwrap();
        let next = format!("MaxResults=7&NextToken={}", token.unwrap());
        let (second, end) = page(&Params::parse(next.as_bytes()).unwrap(), 5, items.clone()).unwrap();
        assert_eq!((first.len(), second[0], second.len(), end), (5, 5, 7, None));
        assert_eq!(
            page(&Params::parse(b"MaxResults=4").unwrap(), 5, items.clone()).unwrap_err().id,
            "InvalidParameterValue"
        );
        assert_eq!(page(&Params::parse(b"NextToken=x").unwrap(), 5, items).unwrap_err().id, "InvalidNextToken");
    }
}
