//! The suite is proved: a model passes all of it, and no provider that is broken on purpose does.
//!
//! The model is core's cloud in memory, whose provider keeps every sentence of the contracts; [`cloud`] says which habits it has here.
//! A saboteur is that provider with one fault ([`sabotage`]); [`roll`] lists them, each with the cases that name its fault. [`trial`] runs every saboteur
//! through every case, in stopped time, and holds that
//!
//! - the model passes each case, with nothing blocked and nothing left undeclared, and so does a modest one that
//!   declares nothing, of the cases that then remain;
//! - each saboteur fails each case that is said to catch it;
//! - each case is said to catch one, unless it needs machines that boot;
//! - a case that alone catches a saboteur cannot be taken away: without it, the same judgement fails.
//!
//! `--table` prints `docs/saboteurs.md` in place of running tests; a test compares.

mod cloud;
mod roll;
mod sabotage;
mod trial;

fn main() -> std::process::ExitCode {
    trial::main()
}
