//! What a saboteur is: the model, and one fault.
//!
//! A [`Saboteur`] is data: the sentence that it breaks, the [`Fault`], and the cases that must notice. A fault takes the
//! place of one method; the wrapper [`Sabotaged`] forwards all others. So a saboteur is a provider with one bug, of the kind
//! that a real provider has.

mod fault;
mod saboteur;
mod wrapper;

pub(crate) use fault::{Fault, On};
pub(crate) use saboteur::{Saboteur, saboteurs};
pub(crate) use wrapper::Sabotaged;
