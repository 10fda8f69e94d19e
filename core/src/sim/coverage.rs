//! How often what befell which command, while it was under way.
//!
//! A pair of a command and a trouble that never met is a hole in what the simulation shows, unless it cannot be: [`NEVER`] says
//! why, and a pair that meets all the same refutes that.

use std::{collections::BTreeMap, fmt};

use crate::fake::Fault;

/// What can befall a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Trouble {
    /// Something goes wrong with one of its requests.
    Request(Fault),
    Kill,
    Interrupt,
    Suspend,
    /// Another process works on the same environment.
    Rival,
    /// The wall clock of its host is set.
    ClockJump,
    /// A write to the journal arrives late.
    LateWrite,
    /// The process is killed while it writes, and half an object is left.
    TornWrite,
    /// The journal's store refuses an operation.
    StoreDown,
    /// An instance of the environment is gone.
    Vanished,
    /// An instance stops answering, or answers again.
    Health,
    /// An instance answers, and does not, and does.
    Flapping,
    /// Somebody points the address elsewhere.
    Moved,
    /// Somebody points the address nowhere.
    Taken,
    /// An image is gone.
    ImageGone,
    /// The manifest is not as it was for the command before.
    Edit,
    /// An instance, or a builder, of the same names is another journal's.
    LookAlike,
    LostJournal,
    OlderCopy,
    /// An object of the journal is cut off, or gone.
    Damage,
    /// The manifest names another service.
    OtherService,
    /// The manifest names another region.
    OtherRegion,
}

use Trouble::{
    ClockJump, Damage, Edit, Flapping, Health, ImageGone, Interrupt, Kill, LateWrite, LookAlike, LostJournal, Moved,
    OlderCopy, OtherRegion, OtherService, Request, Rival, StoreDown, Suspend, Taken, TornWrite, Vanished,
};

const PROCESS: [Trouble; 8] = [Kill, Interrupt, Suspend, Rival, ClockJump, LateWrite, TornWrite, StoreDown];
const PEOPLE: [Trouble; 7] = [Vanished, Health, Flapping, Moved, Taken, ImageGone, Edit];
const JOURNAL: [Trouble; 6] = [LookAlike, LostJournal, OlderCopy, Damage, OtherService, OtherRegion];

impl Trouble {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Request(fault) => fault.name(),
            Kill => "kill",
            Interrupt => "interrupt",
            Suspend => "suspend",
            Rival => "rival",
            ClockJump => "clock jump",
            LateWrite => "late write",
            TornWrite => "torn write",
            StoreDown => "store 5xx",
            Vanished => "vanished",
            Health => "health",
            Flapping => "flapping",
            Moved => "moved",
            Taken => "taken away",
            ImageGone => "image gone",
            Edit => "edit",
            LookAlike => "look-alike",
            LostJournal => "lost",
            OlderCopy => "older copy",
            Damage => "damaged",
            OtherService => "service",
            OtherRegion => "region",
        }
    }
}

/// The commands, each a row.
pub(super) const COMMANDS: [&str; 13] = [
    "deploy",
    "rollback",
    "resume",
    "abort",
    "bake",
    "gc",
    "images prune",
    "destroy",
    "adopt",
    "journal repair",
    "plan",
    "status",
    "gc --dry-run",
];

const READERS: &[&str] = &["plan", "status", "gc --dry-run"];

/// What befalls requests that change something.
const CHANGES: &[Trouble] = &[
    Request(Fault::Busy),
    Request(Fault::Conflict),
    Request(Fault::Quota),
    Request(Fault::Capacity),
    Request(Fault::Lost),
    Request(Fault::Late),
    Request(Fault::NotDone),
    Request(Fault::Fails),
];

/// Commands and troubles that cannot meet, each with the reason.
const NEVER: &[(&[&str], &[Trouble], &str)] = &[
    (READERS, CHANGES, "it only reads: it sends no request that changes anything"),
    (READERS, &[LateWrite, TornWrite], "it only reads: it writes nothing"),
    (&["gc --dry-run"], &[Request(Fault::StaleGet)], "it looks at lists alone"),
    (
        &["adopt"],
        CHANGES,
        "it writes a journal: what carries the environment's id already, it sends the cloud no request to change",
    ),
    (&["journal repair"], CHANGES, "it works on the journal alone, and sends the cloud no request"),
    (
        &["journal repair"],
        &[
            Request(Fault::RateLimited),
            Request(Fault::Unavailable),
            Request(Fault::StaleList),
            Request(Fault::StaleGet),
        ],
        "it works on the journal alone, and sends the cloud no request",
    ),
    (
        &["gc", "images prune", "destroy"],
        &[Request(Fault::Capacity)],
        "it launches nothing and asks for no address; what it may have to finish is a capture",
    ),
];

/// How often what met.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Coverage {
    met: BTreeMap<(&'static str, Trouble), u64>,
    /// Kills, interruptions and suspensions by what the command was doing.
    stages: BTreeMap<(&'static str, &'static str), [u64; 3]>,
}

impl Coverage {
    /// A command that was under way met a trouble.
    pub(super) fn meet(&mut self, command: &'static str, trouble: Trouble) {
        *self.met.entry((command, trouble)).or_default() += 1;
    }

    /// One of them befell the process itself, at this stage of what it does.
    pub(super) fn strike(&mut self, command: &'static str, stage: &'static str, trouble: Trouble) {
        self.meet(command, trouble);
        if let Some(column) = [Kill, Interrupt, Suspend].iter().position(|blow| *blow == trouble) {
            self.stages.entry((command, stage)).or_default()[column] += 1;
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        for (pair, count) in other.met {
            *self.met.entry(pair).or_default() += count;
        }
        for (at, counts) in other.stages {
            let sums = self.stages.entry(at).or_default();
            sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        }
    }

    fn of(&self, command: &'static str, trouble: Trouble) -> u64 {
        self.met.get(&(command, trouble)).copied().unwrap_or_default()
    }

    /// The pairs that never met although they could, and those that met although it is said that they cannot.
    pub(super) fn holes(&self) -> Vec<String> {
        let pairs =
            COMMANDS.into_iter().flat_map(|command| columns().into_iter().map(move |trouble| (command, trouble)));
        let wrong = pairs.filter_map(|(command, trouble)| {
            let pair = format!("{command} × {}", trouble.name());
            match (self.of(command, trouble), never(command, trouble)) {
                (0, None) => Some(format!("{pair} never met")),
                (1.., Some(why)) => Some(format!("{pair} met, although {why}")),
                _ => None,
            }
        });
        wrong.collect()
    }

    /// The pairs that met although it is said that they cannot; known to be wrong however few seeds there were.
    pub(super) fn refuted(&self) -> Vec<String> {
        let mut holes = self.holes();
        holes.retain(|hole| hole.contains(" met, "));
        holes
    }

    fn table(&self, f: &mut fmt::Formatter<'_>, title: &str, columns: &[Trouble]) -> fmt::Result {
        write!(f, "\n| {title:<14} |")?;
        columns.iter().try_for_each(|trouble| write!(f, " {:>10} |", trouble.name()))?;
        write!(f, "\n|{:-<16}|", "")?;
        columns.iter().try_for_each(|_| write!(f, "{:->11}:|", ""))?;
        for command in COMMANDS {
            write!(f, "\n| {command:<14} |")?;
            for trouble in columns {
                match (self.of(command, *trouble), never(command, *trouble)) {
                    (0, Some(_)) => write!(f, " {:>10} |", "–")?,
                    (count, _) => write!(f, " {count:>10} |")?,
                }
            }
        }
        writeln!(f)
    }
}

fn columns() -> Vec<Trouble> {
    Fault::ALL.into_iter().map(Request).chain(PROCESS).chain(PEOPLE).chain(JOURNAL).collect()
}

/// Why a pair cannot meet, where it cannot.
fn never(command: &str, trouble: Trouble) -> Option<&'static str> {
    let found = NEVER.iter().find(|(commands, troubles, _)| commands.contains(&command) && troubles.contains(&trouble));
    found.map(|(_, _, why)| *why)
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, second) = Fault::ALL.split_at(6);
        let requests = |faults: &[Fault]| faults.iter().map(|fault| Request(*fault)).collect::<Vec<_>>();
        self.table(f, "requests", &requests(first))?;
        self.table(f, "requests", &requests(second))?;
        self.table(f, "processes", &PROCESS)?;
        self.table(f, "people", &PEOPLE)?;
        self.table(f, "journals", &JOURNAL)?;
        writeln!(f)?;
        for (commands, troubles, why) in NEVER {
            let troubles: Vec<_> = troubles.iter().map(|trouble| trouble.name()).collect();
            writeln!(f, "– {} × {}: {why}", commands.join(", "), troubles.join(", "))?;
        }
        writeln!(f, "\n| {:<14} | {:<11} |       kill |  interrupt |    suspend |", "command", "stage")?;
        writeln!(f, "|{:-<16}|{:-<13}|-----------:|-----------:|-----------:|", "", "")?;
        for ((command, stage), [kill, interrupt, suspend]) in &self.stages {
            writeln!(f, "| {command:<14} | {stage:<11} | {kill:>10} | {interrupt:>10} | {suspend:>10} |")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything that can meet has met once.
    fn full() -> Coverage {
        let mut coverage = Coverage::default();
        for command in COMMANDS {
            for trouble in columns().into_iter().filter(|trouble| never(command, *trouble).is_none()) {
                coverage.meet(command, trouble);
            }
        }
        coverage
    }

    #[test]
    fn a_pair_that_never_met_is_a_hole_and_one_that_cannot_is_not() {
        let mut coverage = full();
        assert_eq!(coverage.holes(), Vec::<String>::new());
        coverage.met.remove(&("deploy", Kill));
        assert_eq!(coverage.holes(), ["deploy × kill never met"]);
        assert_eq!(coverage.refuted(), Vec::<String>::new());
        coverage.meet("plan", Request(Fault::Lost));
        assert_eq!(coverage.refuted().len(), 1);
        assert!(coverage.refuted()[0].starts_with("plan × lost reply met, although it only reads"));
    }
}
