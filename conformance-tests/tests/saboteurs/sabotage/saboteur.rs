//! A saboteur as data.

use std::sync::Arc;

use remint_conformance::Target;
use remint_core::provider::Descriptor;

use super::{Fault, Sabotaged};
use crate::cloud::target;

/// A provider broken on purpose.
pub(crate) struct Saboteur {
    /// Its id: the concern, a dot, what it does.
    pub(crate) id: &'static str,
    /// The method whose contract it breaks, and the sentence.
    pub(crate) breaks: &'static str,
    /// What its model declares.
    pub(crate) on: &'static Descriptor,
    /// What is broken.
    pub(crate) fault: Fault,
    /// The cases that name the fault: each of them must notice.
    pub(crate) caught_by: &'static [&'static str],
}

impl Saboteur {
    /// What it declares.
    pub(crate) fn descriptor(&self) -> &'static Descriptor {
        match self.fault {
            Fault::Descriptor(descriptor) => descriptor,
            _ => self.on,
        }
    }

    /// A target of its own, on a new cloud. Each of its clients has the fault, and a memory of its own.
    pub(crate) fn target(&'static self) -> Target {
        target(self.on, |model| Arc::new(Sabotaged::new(model, &self.fault)))
    }
}

/// Makes a table of `id, sentence, fault, cases`. A fault is `Method(arguments) => function`, or `= Fault::…`.
macro_rules! saboteurs {
    (on $on:expr; $($id:literal, $breaks:literal,
        $($place:ident($($argument:ident),*) => $run:ident)? $(= $fault:expr)?, [$($case:literal),+ $(,)?];)*) => {
        &[$($crate::sabotage::Saboteur {
            id: $id,
            breaks: $breaks,
            on: $on,
            $(fault: $crate::sabotage::Fault::$place(|on, $($argument),*| Box::pin($run(on, $($argument),*))),)?
            $(fault: $fault,)?
            caught_by: &[$($case),+],
        },)*]
    };
}
pub(crate) use saboteurs;
