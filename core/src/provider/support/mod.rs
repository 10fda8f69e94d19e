//! What crates of providers share: they would all write it themselves, each a little differently.
//!
//! - [`Call`] describes a call, [`Calls`] counts, paces and repeats it, and [`answered`] tells its log what the HTTP client saw.
//! - [`JsonClient`] is the client of a JSON API with a bearer token; [`endpoint()`] reads where an API is.
//! - [`Meter`] and [`Listing`] bound what a server can send; [`all_pages`] and [`all_by_token`] read lists.
//! - [`Turns`] let one call at a time through a gap between a look and a creation, and [`CreateOnce`] creates in this gap: once,
//!   whatever became of the reply. [`pauses`] are the pauses of its looks.
//! - [`Recent`] and [`Launches`] remember what this process did, for as long as a cloud's answers lag behind.
//!
//! Only providers use these. The engine knows the traits of [`provider`](super), and of the call layer what
//! [`Provider::calls`](super::Provider::calls) gives out.

mod answers;
mod bounds;
mod call;
mod calls;
mod create_once;
mod endpoint;
mod json;
mod pages;
mod pauses;
mod recent;
mod turns;

pub use answers::{Listing, Meter};
pub use bounds::{Excess, MAX_BODY, MAX_CONTAINERS, MAX_DEPTH, MAX_LIST, MAX_PAGES, MAX_VALUES};
pub use call::{Call, CallClass, NoAnswer, answered};
pub use calls::{CallCount, Calls, RatePolicy, RetryPolicy};
pub use create_once::{CreateOnce, Seen};
pub use endpoint::{endpoint, is_local};
pub use json::{JsonApi, JsonClient, JsonRequest, Position, Refusal};
pub use pages::{Page, all_by_token, all_pages};
pub use pauses::pauses;
pub use recent::{Launched, Launches, Recent};
pub use turns::{Turn, Turns};
