//! The one source of randomness of the engine, so that a simulation can replay a run from its seed.
//!
//! What only has to be unknown to others, such as keys, is drawn elsewhere.

use std::ops::RangeInclusive;

/// Random bytes.
pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    #[cfg(test)]
    if let Some(drawn) = seeded::draw(|dice| std::array::from_fn(|_| dice.next().to_le_bytes()[0])) {
        return drawn;
    }
    std::array::from_fn(|_| rand::random())
}

/// A number of a range.
pub(crate) fn within(range: RangeInclusive<f64>) -> f64 {
    #[cfg(test)]
    if let Some(share) = seeded::draw(|dice| dice.share()) {
        return range.start() + share * (range.end() - range.start());
    }
    rand::random_range(range)
}

#[cfg(test)]
pub(crate) mod seeded {
    use std::cell::RefCell;

    use crate::fake::Dice;

    thread_local! {
        static DICE: RefCell<Option<Dice>> = const { RefCell::new(None) };
    }

    /// Draws everything on this thread from these dice from now on.
    pub(crate) fn start(dice: Dice) {
        DICE.set(Some(dice));
    }

    /// Draws as outside of simulations again.
    pub(crate) fn stop() {
        DICE.set(None);
    }

    /// Draws everything from these dice meanwhile: those of one process.
    pub(crate) fn with<T>(dice: &mut Dice, work: impl FnOnce() -> T) -> T {
        let outer = DICE.replace(Some(dice.clone()));
        let value = work();
        if let Some(used) = DICE.replace(outer) {
            *dice = used;
        }
        value
    }

    pub(super) fn draw<T>(draw: impl FnOnce(&mut Dice) -> T) -> Option<T> {
        DICE.with_borrow_mut(|dice| dice.as_mut().map(draw))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::Dice;

    #[test]
    fn what_is_drawn_from_a_seed_is_drawn_again() {
        let draw = || {
            seeded::start(Dice::new(7));
            let drawn = (bytes::<8>(), within(0.9..=1.1));
            seeded::stop();
            drawn
        };
        assert_eq!(draw(), draw());
        assert_ne!(bytes::<8>(), bytes::<8>());
        assert!((0.9..=1.1).contains(&within(0.9..=1.1)));
    }
}
