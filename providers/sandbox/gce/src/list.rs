//! How lists are answered: the page that was asked for, of one place or of all.

use std::cmp::Ordering;

use axum::Json;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};

use super::{
    call::Call,
    catalogue,
    error::{Refusal, Result},
    filter::Filter,
};

/// How many items a page has at most.
const PAGE: usize = 500;

impl Call {
    /// The page of a list that was asked for, as (items, token of the next page).
    fn page(&self, mut items: Vec<Value>) -> Result<(Vec<Value>, Option<String>)> {
        if let Some(filter) = self.get("filter") {
            let filter = Filter::parse(filter)?;
            items.retain(|item| filter.lets_through(item));
        }
        let newest_first = match self.get("orderBy") {
            None | Some("name") => false,
            Some(order) if order.starts_with("creationTimestamp") => true,
            Some(order) => {
                return Err(Refusal::invalid("orderBy", order, "Only name and creationTimestamp desc are supported."));
            }
        };
        let order = |one: &Value, other: &Value| -> Ordering {
            let part = |item: &Value, name: &str| item[name].as_str().unwrap_or_default().to_owned();
            let same = |name| part(one, name).cmp(&part(other, name));
            let by_time = if newest_first { same("creationTimestamp").reverse() } else { Ordering::Equal };
            // An instance of a group has neither.
            by_time.then_with(|| same("name")).then_with(|| same("id")).then_with(|| same("instance"))
        };
        items.sort_by(|one, other| order(one, other));
        if let Some(token) = self.get("pageToken") {
            let last: Option<Value> =
                URL_SAFE_NO_PAD.decode(token).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
            let last = last.ok_or_else(|| Refusal::invalid("pageToken", token, "The page token is invalid."))?;
            items.retain(|item| order(item, &last) == Ordering::Greater);
        }
        let most = match self.get("maxResults") {
            None => PAGE,
            Some(text) => match text.parse::<usize>() {
                Ok(most) if most <= PAGE => most,
                _ => return Err(Refusal::invalid("maxResults", text, "The value must be between 0 and 500.")),
            },
        };
        let more = items.len() > most && most > 0;
        items.truncate(most);
        let token = items.last().filter(|_| more).map(|last| {
            let mark =
                ["name", "id", "creationTimestamp", "instance"].map(|field| (field.to_owned(), last[field].clone()));
            URL_SAFE_NO_PAD.encode(Value::from(Map::from_iter(mark)).to_string())
        });
        Ok((items, token))
    }

    /// The list that the call asks for, as the API answers it; an empty one has no items at all.
    pub(super) fn list(&self, kind: &str, items: Vec<Value>) -> Result<Json<Value>> {
        let (items, token) = self.page(items)?;
        let items = (!items.is_empty()).then(|| items.into());
        Ok(self.answer(kind, items, token))
    }

    fn answer(&self, kind: &str, items: Option<Value>, token: Option<String>) -> Json<Value> {
        let mut list = json!({ "kind": kind, "id": self.full_path(), "selfLink": self.own_link() });
        if let Some(items) = items {
            list["items"] = items;
        }
        if let Some(token) = token {
            list["nextPageToken"] = token.into();
        }
        Json(list)
    }

    /// A list over all zones, or over all regions: by place. The place of an item is its own `zone` or `region`.
    pub(super) fn aggregated(&self, kind: &str, items: Vec<Value>) -> Result<Json<Value>> {
        let plural = self.full_path().rsplit('/').next().unwrap_or_default();
        let (items, token) = self.page(items)?;
        let mut places: Map<String, Value> = catalogue::ZONES
            .iter()
            .map(|zone| format!("zones/{}", zone.slug))
            .chain(catalogue::regions().into_iter().map(|region| format!("regions/{region}")))
            .map(|scope| {
                let data = json!([{ "key": "scope", "value": scope }]);
                let message = format!("There are no results for scope '{scope}' on this page.");
                let empty = json!({ "warning": { "code": "NO_RESULTS_ON_PAGE", "message": message, "data": data } });
                (scope, empty)
            })
            .collect();
        for item in items {
            let place = item["zone"].as_str().or_else(|| item["region"].as_str()).unwrap_or_default();
            let mut parts = place.rsplit('/');
            // A machine type names its zone and does not link to it.
            let (name, kind) = (parts.next().unwrap_or_default(), parts.next().unwrap_or("zones"));
            let entry = places.entry(format!("{kind}/{name}")).or_insert_with(|| json!({}));
            match entry.get_mut(plural).and_then(Value::as_array_mut) {
                Some(list) => list.push(item),
                None => *entry = json!({ plural: [item] }),
            }
        }
        Ok(self.answer(kind, Some(places.into()), token))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(count: usize) -> Vec<Value> {
        (0..count)
            .map(|n| json!({ "name": format!("i{n:03}"), "id": n.to_string(), "creationTimestamp": format!("{n:03}") }))
            .collect()
    }

    #[test]
    fn lists_have_pages_that_follow_each_other() {
        let mut token = String::new();
        let mut seen = Vec::new();
        loop {
            let call = Call::test("/x", &[("maxResults", "3"), ("pageToken", &token)]);
            let (page, next) = call.page(items(7)).unwrap();
            seen.extend(page.iter().map(|item| item["name"].as_str().unwrap().to_owned()));
            match next {
                Some(next) => token = next,
                None => break,
            }
        }
        assert_eq!(seen.len(), 7);
        let newest =
            Call::test("/x", &[("orderBy", "creationTimestamp desc"), ("maxResults", "1")]).page(items(7)).unwrap().0;
        assert_eq!(newest[0]["name"], "i006");
        for bad in [("maxResults", "501"), ("pageToken", "x"), ("filter", "("), ("orderBy", "size")] {
            assert_eq!(Call::test("/x", &[bad]).page(items(1)).unwrap_err().code, 400, "{bad:?}");
        }
    }

    #[test]
    fn an_empty_list_has_no_items_and_a_place_without_any_says_so() {
        let list = Call::test("/compute/v1/projects/p/zones/z/instances", &[]).list("k", Vec::new()).unwrap().0;
        assert!(list.get("items").is_none());
        let item = json!({ "name": "a", "zone": "http://x/zones/us-central1-a" });
        let list =
            Call::test("/compute/v1/projects/p/aggregated/instances", &[]).aggregated("k", vec![item]).unwrap().0;
        assert_eq!(list["items"]["zones/us-central1-a"]["instances"][0]["name"], "a");
        assert_eq!(list["items"]["zones/us-central1-b"]["warning"]["code"], "NO_RESULTS_ON_PAGE");
    }
}
