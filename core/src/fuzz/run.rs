//! How a target is run. The crates that have targets include this file.
//!
//! An input is one of the target's samples after some edits: a piece cut out, doubled, moved in from another sample, or
//! replaced by a word of the target's dictionary. So it is deep in the grammar more often than random bytes would be. In a
//! test run each target gets a fixed number of inputs that are the same every time; `make fuzz MINUTES=10` lets bolero
//! draw others for so long, and prints how to play one again that fails.

use std::{
    io::Write as _,
    ops::Deref as _,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use bolero::generator::{
    TypeGenerator as _,
    bolero_generator::driver::{ByteSliceDriver, Options},
};

/// How many inputs a test run tries.
const EXECUTIONS: u64 = 1500;

/// How long one input may take: far more than any does, on a machine that is busy with something else.
const LONGEST: Duration = Duration::from_secs(60);

/// How large an input may become, in bytes.
const LARGEST: usize = 16 << 10;

/// How many edits an input has at most.
const EDITS: usize = 24;

/// What means something in JSON.
pub(crate) const JSON: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    "\"",
    ":",
    ",",
    "null",
    "true",
    "-1",
    "1e999",
    "18446744073709551616",
    "\\u0000",
    "[[[[[[[[[[[[[[[[",
];

/// One edit: what is done, where, how much of the text, and with which word or sample.
type Edit = (u8, u16, u8, u8);

/// What a target is tried with.
pub(crate) struct Target {
    /// The name, as `make fuzz TARGET=` takes it.
    pub(crate) name: &'static str,
    /// Good inputs.
    pub(crate) samples: &'static [&'static str],
    /// What means something in an input, in groups.
    pub(crate) words: &'static [&'static [&'static str]],
}

impl Target {
    /// Tries inputs, for as long as the environment says.
    pub(crate) fn run(&self, check: impl Fn(&str)) {
        let executions = AtomicU64::new(0);
        let begun = Instant::now();
        let try_one = |edits: &[Edit]| {
            executions.fetch_add(1, Ordering::Relaxed);
            let input = self.input(edits);
            let start = Instant::now();
            check(&input);
            assert!(start.elapsed() < LONGEST, "{} took {:?} for {input:?}", self.name, start.elapsed());
        };
        let minutes = std::env::var("REMINT_FUZZ_MINUTES").ok().and_then(|text| text.parse::<f64>().ok());
        match minutes {
            Some(minutes) => {
                // Nothing that a panic leaves half-done is looked at afterwards, but for the input.
                let try_one = std::panic::AssertUnwindSafe(&try_one);
                bolero::check!()
                    .with_iterations(usize::MAX)
                    .with_test_time(Duration::from_secs_f64(minutes * 60.0))
                    .with_type::<Vec<Edit>>()
                    .for_each(|edits: &Vec<Edit>| try_one.deref()(edits));
            }
            None => {
                self.samples.iter().for_each(|sample| check(sample));
                (0..EXECUTIONS).for_each(|number| try_one(&edits(number)));
            }
        }
        // Not by `eprintln`, which the test harness would keep to itself.
        let told = format!(
            "fuzz {}: {} executions in {:.1} s\n",
            self.name,
            executions.load(Ordering::Relaxed),
            begun.elapsed().as_secs_f64()
        );
        std::io::stderr().write_all(told.as_bytes()).unwrap();
    }

    fn input(&self, edits: &[Edit]) -> String {
        let pick = |from: &[&'static str], at: u8| from[usize::from(at) % from.len()];
        let words = self.words.concat();
        let first = edits.first().map_or(0, |edit| edit.3);
        let mut text = pick(self.samples, first).to_owned();
        for (kind, at, length, which) in edits.iter().skip(1).take(EDITS) {
            let from = floor(&text, usize::from(*at) % (text.len() + 1));
            let to = floor(&text, from + usize::from(*length) % 32).max(from);
            let piece = text[from..to].to_owned();
            match kind % 8 {
                0 => text.replace_range(from..to, ""),
                1 => text.insert_str(from, &piece.repeat(usize::from(*which))),
                2 | 3 => text.insert_str(from, pick(&words, *which)),
                4 => text.replace_range(from..to, pick(&words, *which)),
                5 => text.insert_str(from, &pick(&words, *which).repeat(usize::from(*length))),
                6 => {
                    let other = pick(self.samples, *which);
                    let start = floor(other, usize::from(*at) % (other.len() + 1));
                    text.insert_str(from, &other[start..]);
                }
                _ => text.insert(from, char::from_u32(u32::from(*which) << (length % 13)).unwrap_or('\u{fffd}')),
            }
            if text.len() > LARGEST {
                text.truncate(floor(&text, LARGEST));
            }
        }
        text
    }
}

/// The edits of a number: always the same.
fn edits(number: u64) -> Vec<Edit> {
    // SplitMix64; the crate's own generator would be seeded from outside.
    let mut state = number.wrapping_mul(0x2545_f491_4f6c_dd1d);
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = state;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    };
    let bytes: Vec<u8> = (0..64).flat_map(|_| next().to_le_bytes()).collect();
    let mut driver = ByteSliceDriver::new(&bytes, &Options::default());
    Vec::generate(&mut driver).unwrap_or_default()
}

/// The last boundary of a character at or before a place.
fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}
