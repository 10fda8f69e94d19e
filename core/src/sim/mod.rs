//! The engine under simulation: two processes, one journal, one cloud, and whatever may befall them.
//!
//! Everything is drawn from a seed: what the users do, when processes are killed, suspended and interrupted, what goes wrong
//! with requests, what people change by hand. Time is tokio's paused time, so hours pass in milliseconds, and the same seed gives
//! the same run. The [`oracle`] checks the rules of the promise after every change of the world, and once all is at rest.
//!
//! `make sim SEEDS=20000` runs that many seeds on all cores, and `make sim SEED=1234` one of them. The seed of a rule that was
//! broken is printed with the run's trace.

mod command;
mod coverage;
mod driver;
mod fleets;
mod hands;
mod holders;
mod impostor;
mod life;
mod lost;
mod machines;
mod minimize;
mod oracle;
mod plots;
mod resource;
mod rest;
mod rules;
mod serving;
mod store;
mod tests;
mod trace;
mod wishes;
