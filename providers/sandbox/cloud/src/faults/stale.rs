//! Lists as they were: what a cloud answers whose list lags behind.

use std::{
    collections::{HashMap, VecDeque},
    sync::Mutex,
    time::{Duration, Instant},
};

use bytes::Bytes;
use serde_json::Value;

use crate::lock::lock;

/// How many lists (a path with its query) are remembered; the one that was asked for first is forgotten first.
const LISTS: usize = 512;

/// The last answers to each list call.
#[derive(Debug, Default)]
pub(super) struct Lists(Mutex<Remembered>);

#[derive(Debug, Default)]
struct Remembered {
    order: VecDeque<String>,
    answers: HashMap<String, Answers>,
}

/// The last answer, and the last one that differed from it; and when each was last given.
#[derive(Debug)]
struct Answers {
    before: Option<(Bytes, Instant)>,
    last: (Bytes, Instant),
}

impl Lists {
    /// Remembers an answer.
    pub(super) fn remember(&self, list: &str, body: &Bytes) {
        let mut remembered = lock(&self.0);
        let given = (body.clone(), Instant::now());
        if let Some(answers) = remembered.answers.get_mut(list) {
            let former = std::mem::replace(&mut answers.last, given);
            if former.0 != body {
                answers.before = Some(former);
            }
            return;
        }
        if remembered.order.len() == LISTS
            && let Some(first) = remembered.order.pop_front()
        {
            remembered.answers.remove(&first);
        }
        remembered.order.push_back(list.to_owned());
        remembered.answers.insert(list.to_owned(), Answers { before: None, last: given });
    }

    /// What the list was before it became `now`: an earlier answer that differs, or a list without items. `None` when
    /// `now` is no list. With `within`, only an answer that was right so short a time ago: what it lacks has changed since.
    pub(super) fn before(&self, list: &str, now: &Bytes, within: Option<Duration>) -> Option<Bytes> {
        let emptied = emptied(now)?;
        let remembered = lock(&self.0);
        let answers = remembered.answers.get(list);
        let older = answers
            .and_then(|answers| if answers.last.0 == now { answers.before.as_ref() } else { Some(&answers.last) });
        match (older, within) {
            (None, None) => Some(emptied),
            (None, Some(_)) => None,
            (Some((body, given)), within) => {
                within.is_none_or(|within| given.elapsed() <= within).then(|| body.clone())
            }
        }
    }
}

/// The same list without its items, or `None` for what is no list of the API's: `{"droplets": [], "meta": {…}, …}`.
fn emptied(body: &Bytes) -> Option<Bytes> {
    let Value::Object(mut fields) = serde_json::from_slice(body).ok()? else { return None };
    let total = fields.get_mut("meta")?.get_mut("total")?;
    *total = Value::from(0);
    fields.values_mut().filter_map(Value::as_array_mut).for_each(Vec::clear);
    if let Some(links) = fields.get_mut("links") {
        *links = Value::Object(serde_json::Map::new());
    }
    Some(Value::Object(fields).to_string().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_goes_back_to_what_it_was_before_it_changed() {
        let lists = Lists::default();
        let list =
            |ids: &str| Bytes::from(format!(r#"{{"droplets":[{ids}],"links":{{"pages":{{}}}},"meta":{{"total":9}}}}"#));
        let empty = Bytes::from(r#"{"droplets":[],"links":{},"meta":{"total":0}}"#);
        assert_eq!(lists.before("/v2/droplets", &list("1"), None), Some(empty));
        lists.remember("/v2/droplets", &list("1"));
        lists.remember("/v2/droplets", &list("1"));
        assert_eq!(lists.before("/v2/droplets", &list("1,2"), None), Some(list("1")));
        lists.remember("/v2/droplets", &list("1,2"));
        lists.remember("/v2/droplets", &list("1,2"));
        assert_eq!(lists.before("/v2/droplets", &list("1,2"), None), Some(list("1")));
        assert_eq!(lists.before("/v2/droplets", &list("1,2"), Some(Duration::from_secs(3600))), Some(list("1")));
        assert_eq!(lists.before("/v2/droplets", &list("1,2"), Some(Duration::ZERO)), None);
        assert_eq!(lists.before("/v2/droplets/1", &Bytes::from(r#"{"droplet":{}}"#), None), None);
    }

    #[test]
    fn no_more_lists_are_remembered_than_have_room() {
        let lists = Lists::default();
        for n in 0..2 * LISTS {
            lists.remember(&format!("/v2/droplets?page={n}"), &Bytes::from("{}"));
        }
        let remembered = lists.0.lock().unwrap();
        assert_eq!((remembered.order.len(), remembered.answers.len()), (LISTS, LISTS));
    }
}
