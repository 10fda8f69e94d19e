//! Google's APIs: Compute Engine version 1 and Cloud DNS version 1.

mod refusal;
mod routes;
mod state;

pub(crate) use refusal::refuse;
pub(crate) use routes::routes;
pub(crate) use state::Data;
