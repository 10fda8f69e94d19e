//! Lists by pages, which have numbers or tokens.

use std::future::Future;

use super::{Calls, Listing};
use crate::provider::{Error, ErrorKind, Result};

/// How often a list is read that changes between its pages.
const READINGS: u32 = 10;

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The items of this page, in the cloud's order.
    pub items: Vec<T>,
    /// How much the whole list holds, where the cloud says so.
    pub total: Option<u64>,
    /// Whether another page follows.
    pub more: bool,
}

/// Reads all pages of a list, each asked for by its number, from 1 on.
///
/// Such pages are counted off: where something is removed meanwhile, what follows moves up, and one of it to a page that was
/// read already. So a list whose total changes between two pages is read anew. What is removed and made between the same
/// two pages leaves the total as it is, and may still hide something; a list by cursors, where a cloud has one, does not.
///
/// # Errors
///
/// Those of `fetch`, and of [`Listing::next`] when the list does not end; `Busy` when it has changed between its pages ten
/// times in a row.
pub async fn all_pages<T, F, Fut>(calls: &Calls, operation: &'static str, fetch: F) -> Result<Vec<T>>
where
    F: Fn(u32) -> Fut,
    Fut: Future<Output = Result<Page<T>>>,
{
    for _ in 0..READINGS {
        if let Some(all) = reading(Listing::new(operation, calls), &fetch).await? {
            return Ok(all);
        }
    }
    let message = format!("the list changed between its pages, {READINGS} times in a row");
    Err(Error::new(ErrorKind::Busy, operation, message)
        .with_hint("run this again when less is made and removed in the account"))
}

/// Reads all pages of a list, each asked for by the token that the page before gave; the first one without. `fetch` gives the
/// items of a page and the token of the next.
///
/// # Errors
///
/// Those of `fetch`, and of [`Listing::next`] when the list does not end.
pub async fn all_by_token<T, F, Fut>(calls: &Calls, operation: &'static str, fetch: F) -> Result<Vec<T>>
where
    F: Fn(Option<String>) -> Fut,
    Fut: Future<Output = Result<(Vec<T>, Option<String>)>>,
{
    let (mut all, mut list) = (Vec::new(), Listing::new(operation, calls));
    let mut token = None;
    loop {
        let (items, next) = fetch(token).await?;
        all.extend(items);
        token = list.next(next)?;
        if token.is_none() {
            return Ok(all);
        }
    }
}

/// All pages of a list, unless its total changed between them.
async fn reading<T, F, Fut>(mut list: Listing, fetch: &F) -> Result<Option<Vec<T>>>
where
    F: Fn(u32) -> Fut,
    Fut: Future<Output = Result<Page<T>>>,
{
    let (mut all, mut first_total) = (Vec::new(), None);
    let mut number = 1;
    loop {
        let Page { items, total, more } = fetch(number).await?;
        if total != *first_total.get_or_insert(total) {
            return Ok(None);
        }
        let is_last = !more || items.is_empty();
        all.extend(items);
        number += 1;
        if list.next((!is_last).then(|| number.to_string()))?.is_none() {
            return Ok(Some(all));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::provider::{RatePolicy, RetryPolicy};

    fn calls() -> Calls {
        Calls::new(RatePolicy { burst: 1, per_second: 1.0, reserved_for_mutations: 0 }, RetryPolicy::default())
    }

    /// Reads a list of numbers by pages of two, of which the first is removed before each of these requests, counted from 0.
    async fn read(numbers: &[u32], removed_before: impl Fn(u32) -> bool) -> (Result<Vec<u32>>, u32) {
        let asked = Cell::new(0);
        let all = all_pages(&calls(), "list", |page| {
            let now = asked.replace(asked.get() + 1);
            let gone = (0..=now).filter(|request| removed_before(*request)).count();
            let left = &numbers[gone..];
            let start = 2 * (page as usize - 1);
            let items = left.iter().skip(start).take(2).copied().collect();
            std::future::ready(Ok(Page { items, total: u64::try_from(left.len()).ok(), more: left.len() > start + 2 }))
        })
        .await;
        (all, asked.get())
    }

    #[tokio::test]
    async fn pages_are_read_once_while_nothing_changes() {
        let (all, asked) = read(&[1, 2, 3, 4, 5], |_| false).await;
        assert_eq!((all.unwrap(), asked), (vec![1, 2, 3, 4, 5], 3));
        let (all, asked) = read(&[], |_| false).await;
        assert_eq!((all.unwrap(), asked), (Vec::new(), 1));
    }

    #[tokio::test]
    async fn a_list_that_shrinks_between_two_pages_is_read_anew() {
        let (all, asked) = read(&[1, 2, 3, 4], |request| request == 1).await;
        assert_eq!((all.unwrap(), asked), (vec![2, 3, 4], 4), "without that, 3 would be missing");
    }

    #[tokio::test]
    async fn a_list_that_never_holds_still_is_an_error() {
        let (all, asked) = read(&[0; 100], |request| request % 2 == 1).await;
        let error = all.unwrap_err();
        assert_eq!((error.kind(), asked), (ErrorKind::Busy, 2 * READINGS));
        assert!(error.to_string().contains("changed between its pages") && error.hint().is_some(), "{error}");
    }

    #[tokio::test]
    async fn tokens_lead_from_page_to_page() {
        let fetch = |token: Option<String>| {
            let page = match token.as_deref() {
                None => (vec![1, 2], Some("b".to_owned())),
                Some("b") => (vec![3], Some("c".to_owned())),
                _ => (vec![], Some(String::new())),
            };
            std::future::ready(Ok(page))
        };
        assert_eq!(all_by_token(&calls(), "list", fetch).await.unwrap(), [1, 2, 3]);
        let circle = |_| std::future::ready(Ok((vec![0], Some("a".to_owned()))));
        assert_eq!(all_by_token(&calls(), "list", circle).await.unwrap_err().kind(), ErrorKind::Unexpected);
    }

    #[tokio::test]
    async fn a_list_that_does_not_end_is_an_error() {
        let endless = |_| std::future::ready(Ok(Page { items: vec![0], total: None, more: true }));
        assert_eq!(all_pages(&calls(), "list", endless).await.unwrap_err().kind(), ErrorKind::Unexpected);
        let empty = |_| std::future::ready(Ok(Page::<u32> { items: Vec::new(), total: None, more: true }));
        assert_eq!(
            all_pages(&calls(), "list", empty).await.unwrap(),
            Vec::<u32>::new(),
            "nothing follows an empty page"
        );
    }
}
