//! Amazon's APIs: the EC2 Query API, Route 53, and what their clients ask for beside.

pub mod keys;
mod refusal;
mod routes;
mod state;

pub(crate) use refusal::refuse;
pub(crate) use routes::routes;
pub(crate) use state::Data;
