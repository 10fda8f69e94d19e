//! The API as a client sees it, over HTTP, with fake machines and a fake edge. Every answer is checked against the published
//! specification where it is there.
#![expect(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

#[path = "../common/openapi.rs"]
mod openapi;

mod balancing;
mod delays;
mod dns;
mod fakes;
mod images;
mod lifecycle;
mod load_balancers;
mod reserved_ips;
mod restart;
mod sandbox;
mod shape;
mod tags;
