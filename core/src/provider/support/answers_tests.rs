use std::time::Duration;

use super::*;
use crate::provider::{
    Effect,
    support::{Call, RatePolicy, RetryPolicy},
};

/// What a meter says of a text, whole and byte by byte.
fn measured(text: &str) -> std::result::Result<(usize, usize), Excess> {
    let mut whole = Meter::default();
    let said = whole.feed(text.as_bytes());
    let mut bytewise = Meter::default();
    let again = text.as_bytes().iter().try_for_each(|byte| bytewise.feed(std::slice::from_ref(byte)));
    assert_eq!(said, again);
    said.map(|()| {
        assert_eq!(
            (whole.depth, whole.values, whole.containers),
            (bytewise.depth, bytewise.values, bytewise.containers)
        );
        assert_eq!(whole.depth, 0, "{text}");
        (whole.values, whole.containers)
    })
}

#[test]
fn json_is_measured_outside_of_its_strings() {
    assert_eq!(measured(r#" {"a": [1, 2, "]},,[[{\"\\"], "b": {}}"#), Ok((3 + 2 + 1, 3)));
    assert_eq!(measured("plain, {text} [that] is no JSON"), Ok((0, 0)));
}

#[test]
fn xml_is_measured_with_its_empty_elements() {
    // The root holds others, `empty` and `bare` hold nothing, `leaf` and `twice` hold text.
    let text =
        "<?xml version='1.0'?><root a='>' b=\"</x>\"><empty/><leaf>1</leaf><bare></bare> <twice>a</twice></root>";
    assert_eq!(measured(text), Ok((5, 3)));
    assert_eq!(measured("\u{feff}<r><i><i/></i></r>"), Ok((3, 3)));
}

#[test]
fn each_bound_is_named() {
    let depth = MAX_DEPTH + 1;
    for (text, excess) in [
        ("[".repeat(depth), Excess::Depth),
        ("{\"a\":".repeat(depth), Excess::Depth),
        ("<a>".repeat(depth), Excess::Depth),
        (format!("[{}", "0,".repeat(MAX_VALUES)), Excess::Values),
        (format!("[{}", "{},".repeat(MAX_CONTAINERS)), Excess::Containers),
        (format!("<a>{}", "<i/>".repeat(MAX_CONTAINERS + 1)), Excess::Containers),
        (format!("<a>{}", "<i>1</i>".repeat(MAX_VALUES + 1)), Excess::Values),
        (format!("<a>{}", "<i><x>1</x></i>".repeat(MAX_CONTAINERS + 1)), Excess::Containers),
        ("x".repeat(MAX_BODY + 1), Excess::Bytes),
    ] {
        let mut meter = Meter::default();
        assert_eq!(meter.feed(text.as_bytes()), Err(excess), "{}…", &text[..20]);
    }
    let error = Call::mutation("list instances").excessive(Excess::Depth);
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Unexpected, Effect::Unknown));
    assert!(error.to_string().contains("64 levels") && error.hint().is_some(), "{error}");
}

fn calls() -> Calls {
    let rate = RatePolicy { burst: 100, per_second: 1.0, reserved_for_mutations: 0 };
    Calls::new(rate, RetryPolicy { within: Duration::from_secs(60), ..RetryPolicy::default() })
}

#[tokio::test(start_paused = true)]
async fn a_list_ends_by_its_tokens_pages_bytes_and_time() {
    let token = |number: u32| Some(format!("t{number}"));
    let mut list = Listing::new("list", &calls());
    assert_eq!(list.next(token(1)).unwrap(), token(1));
    assert_eq!(list.next(Some(String::new())).unwrap(), None, "an empty token is none");

    let mut list = Listing::new("list", &calls());
    list.next(token(1)).unwrap();
    list.next(token(2)).unwrap();
    let error = list.next(token(1)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unexpected);
    assert!(error.to_string().contains("page 3 of the list leads back"), "{error}");

    let mut list = Listing::new("list", &calls());
    let error = (0..).find_map(|number| list.next(token(number)).err()).unwrap();
    assert!(error.to_string().contains("after 200 pages"), "{error}");

    let heavy = calls();
    let mut list = Listing::new("list", &heavy);
    heavy.received(usize::try_from(MAX_LIST).unwrap() + 1);
    let error = list.next(token(1)).unwrap_err();
    assert!(error.to_string().contains("after 64 MiB"), "{error}");
    assert!(Listing::new("list", &heavy).next(token(1)).is_ok(), "what came before does not count");

    let mut list = Listing::new("list", &calls());
    tokio::time::advance(Duration::from_secs(121)).await;
    let error = list.next(token(1)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.to_string().contains("within 120 s (1 pages so far)"), "{error}");
}
