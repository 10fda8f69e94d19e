//! What crates of providers share: they would all write it themselves, each a little differently.

mod answers;
mod call;
mod calls;
mod pages;
mod pauses;
mod recent;
mod turns;

pub use answers::{Excess, Listing, MAX_BODY, MAX_CONTAINERS, MAX_DEPTH, MAX_LIST, MAX_PAGES, MAX_VALUES, Meter};
pub use call::{Call, CallClass, answered};
pub use calls::{CallCount, Calls, RatePolicy, RetryPolicy};
pub use pages::{Page, all_by_token, all_pages};
pub use pauses::pauses;
pub use recent::{Launched, Launches, Recent};
pub use turns::{Turn, Turns};
