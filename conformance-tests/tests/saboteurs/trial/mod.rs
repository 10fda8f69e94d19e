//! The trial: everybody is run through the suite, the outcomes are judged, and the page of the book is made from the roll.

mod judgement;
mod page;
mod record;
mod run;

pub(crate) use run::main;
