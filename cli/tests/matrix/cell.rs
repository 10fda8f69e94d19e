//! The cells: each call of the story with each fault that there is for it.

use std::{collections::BTreeSet, fmt};

use serde_json::{Value, json};

use super::call::{Call, SCENES, STORY};

/// What happens at a call.
#[derive(Debug, PartialEq)]
pub(crate) struct Fault {
    pub(crate) name: &'static str,
    pub(crate) way: Way,
}

/// How it is brought about, and what Remint may make of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// A fault of the sandbox that passes: the command must succeed all the same.
    Passes(&'static str),
    /// The sandbox refuses for good, or fails what it has accepted: the command may fail, and says why.
    Refuses(&'static str),
    /// Lists are out of date for a moment from this call on; the command must succeed.
    Stale,
    /// Remint is killed while the call is on its way. It never arrives.
    KillBefore,
    /// Remint is killed while the call is on its way. It arrives late, while the next run is at work.
    KillDuring,
    /// Remint is killed after the call was carried out, and before it sees the answer.
    KillAfter,
}

const fn fault(name: &'static str, way: Way) -> Fault {
    Fault { name, way }
}

/// All of them. What the sandbox calls `reset_after_commit` with `applied` is `reset-after`, and so on.
pub(crate) const FAULTS: [Fault; 16] = [
    fault("rate-limited", Way::Passes("rate_limited")),
    fault("server-error", Way::Passes("server_error")),
    fault("server-error-applied", Way::Passes("server_error+applied")),
    fault("bad-gateway", Way::Passes("bad_gateway")),
    fault("bad-gateway-applied", Way::Passes("bad_gateway+applied")),
    fault("gateway-timeout", Way::Passes("gateway_timeout")),
    fault("gateway-timeout-applied", Way::Passes("gateway_timeout+applied")),
    fault("reset-before", Way::Passes("reset_before_commit")),
    fault("reset-after", Way::Passes("reset_after_commit")),
    fault("delay", Way::Passes("delay")),
    fault("stale", Way::Stale),
    fault("action-errored", Way::Refuses("action_errored")),
    fault("no-capacity", Way::Refuses("no_capacity")),
    fault("kill-before", Way::KillBefore),
    fault("kill-during", Way::KillDuring),
    fault("kill-after", Way::KillAfter),
];

/// How long a call is held back.
const HELD_MS: u64 = 1500;
/// How long one is held back during which Remint is killed: longer than it takes to kill it on a machine that is busy.
const KILLED_MS: u64 = 4000;
/// How long one is held back that never arrives.
const NEVER_MS: u64 = 60_000;

impl Fault {
    /// The rule for the sandbox, which the caller completes with the call that it is for.
    pub(crate) fn rule(&self) -> Value {
        match self.way {
            Way::Passes(fault) | Way::Refuses(fault) => {
                let mut rule = json!({ "fault": fault.trim_end_matches("+applied") });
                if fault.ends_with("+applied") {
                    rule["applied"] = true.into();
                }
                match fault {
                    "delay" => rule["delay_ms"] = HELD_MS.into(),
                    // Without it, DigitalOcean's answer says to come back within the hour.
                    "rate_limited" => rule["retry_after"] = 1.into(),
                    _ => {}
                }
                rule
            }
            // The lists go out of date while the call is held.
            Way::Stale => json!({ "fault": "delay", "delay_ms": 200 }),
            Way::KillBefore => json!({ "fault": "reset_before_commit", "delay_ms": NEVER_MS }),
            Way::KillDuring | Way::KillAfter => json!({ "fault": "delay", "delay_ms": KILLED_MS }),
        }
    }

    pub(crate) fn kills(&self) -> bool {
        matches!(self.way, Way::KillBefore | Way::KillDuring | Way::KillAfter)
    }

    /// Whether the sandbox does anything at this call that it would not do without the fault.
    fn is_possible(&self, provider: &str, call: &Call) -> bool {
        match self.name {
            // Only what is created needs room; of EC2, launches alone.
            "no-capacity" if provider == "aws" => call.action() == Some("RunInstances"),
            "no-capacity" => call.method() == "POST",
            // Of EC2, only launches and images are not done when the call is answered.
            "action-errored" if provider == "aws" => matches!(call.action(), Some("RunInstances" | "CreateImage")),
            // Google's lists are never out of date, and so are not the sandbox's.
            "stale" => provider != "gcp",
            _ => true,
        }
    }
}

/// One call with one fault.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    /// The place of the scene in [`SCENES`].
    pub(crate) scene: usize,
    /// The place of the command in [`STORY`].
    pub(crate) command: usize,
    pub(crate) call: Call,
    pub(crate) fault: &'static Fault,
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scene, command) = (SCENES[self.scene].name, STORY[self.command].0);
        write!(f, "{scene}/{command}/{}/{}", self.call.name(), self.fault.name)
    }
}

/// All cells of a command at calls whose kind is not among those known.
pub(crate) fn cells(scene: usize, command: usize, calls: &[Call], known: &BTreeSet<String>) -> Vec<Cell> {
    let of = |call: &Call| -> Vec<Cell> {
        let faults = FAULTS.iter().filter(|fault| fault.is_possible(SCENES[scene].provider, call));
        faults.map(|fault| Cell { scene, command, call: call.clone(), fault }).collect()
    };
    calls.iter().filter(|call| !known.contains(&call.kind())).flat_map(of).collect()
}

/// Whether a name is this one, or begins with these steps. A `*` in it stands for any one step.
pub(crate) fn is_named(name: &str, wanted: &str) -> bool {
    let mut steps = name.split('/');
    wanted.split('/').all(|wanted| steps.next().is_some_and(|step| wanted == "*" || wanted == step))
}

#[test]
fn cells_are_chosen_by_the_beginning_of_their_names() {
    let name = "aws/deploy/RunInstances#1/delay";
    for wanted in [name, "aws", "aws/deploy", "*/*/RunInstances#1", "*/*/*/delay"] {
        assert!(is_named(name, wanted), "{wanted}");
    }
    for wanted in ["gcp", "aws/dep", "*/*/*/stale", "aws/deploy/RunInstances#1/delay/x"] {
        assert!(!is_named(name, wanted), "{wanted}");
    }
}

/// Chooses by a text, the same for the same one, and evenly.
pub(crate) fn draw(from: &str, count: usize) -> usize {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = from.bytes().fold(0xcbf2_9ce4_8422_2325, step);
    // The low bits of this hash say little.
    usize::try_from((hash ^ (hash >> 32)) % u64::try_from(count).unwrap()).unwrap()
}

/// A fault that the sandbox learns belongs into the matrix.
#[test]
fn every_fault_of_the_sandbox_is_in_the_matrix() {
    for fault in remint_sandbox::faults::Fault::ALL {
        let is = |one: &Fault| match one.way {
            Way::Stale => fault.name() == "stale_list",
            _ => one.rule()["fault"] == fault.name(),
        };
        assert!(FAULTS.iter().any(is), "{}", fault.name());
    }
}

#[test]
fn a_sample_is_drawn_from_all_cells() {
    let drawn: BTreeSet<_> = (0..1000).map(|commit| draw(&format!("{commit:x}/aws"), 16)).collect();
    assert_eq!(drawn.len(), 16);
    assert_eq!(draw("a", 16), draw("a", 16));
}
