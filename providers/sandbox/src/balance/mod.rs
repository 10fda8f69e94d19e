//! Load balancers: one HAProxy for each, in the sandbox's folder and without root.
//!
//! An HAProxy that serves one load balancer fails alone, and goes with it. Its members are changed by commands to its control
//! socket, which interrupts nobody; any other setting takes a new configuration, which it takes over without closing its
//! ports. It ends with the sandbox, however that ends: it reads the end of a pipe whose other end only the sandbox has.
//!
//! ```text
//! FOLDER/                0700
//!   NUMBER/              0700, one for each load balancer
//!     haproxy.cfg        0600
//!     admin.sock         0600
//!     master.sock        0600, of the process that starts the others
//! ```

mod balancer;
mod balancers;
mod config;
mod control;
mod haproxy;
mod listening;
mod parts;
#[cfg(test)]
mod tests;

pub use balancers::Balancers;
