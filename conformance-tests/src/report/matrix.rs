//! The page of all providers: what each can do, its limits, and what the suite says of it.

use std::{collections::BTreeMap, fmt::Write as _};

use remint_core::provider::{Capability, Descriptor, Limits};

use super::Report;
use crate::{Counts, OutcomeKind};

/// The page, from what the providers declare and from reports of runs against their sandboxes.
pub fn providers_page(descriptors: &[&Descriptor], reports: &[Report]) -> String {
    let mut page = String::from(
        "# Providers\n\n\
         <!-- Made by `make providers` from what the providers declare and from reports of the suite; a test compares. -->\n\n\
         What each provider declares, its limits, and how many cases of the [conformance suite](conformance.md) it passed\n\
         against the sandbox. A capability that is not declared is answered by `Unsupported`, which the suite holds a\n\
         provider to as well.\n\n## Capabilities\n\n",
    );
    let heads: Vec<&str> = descriptors.iter().map(|descriptor| descriptor.title).collect();
    row(&mut page, "capability", &heads, ":---:");
    for capability in Capability::ALL {
        let cells: Vec<&str> =
            descriptors.iter().map(|descriptor| if descriptor.has(*capability) { "yes" } else { "" }).collect();
        line(&mut page, &format!("`{capability}`: {}", capability.summary().trim_end_matches('.')), &cells);
    }
    page.push_str("\n## Limits\n\n");
    row(&mut page, "limit", &heads, "---:");
    let mut limit = |what: &str, of: &dyn Fn(&Limits) -> u64| {
        let cells: Vec<String> = descriptors.iter().map(|descriptor| of(&descriptor.limits).to_string()).collect();
        line(&mut page, what, &cells);
    };
    limit("user data, bytes", &|limits| limits.user_data_bytes as u64);
    limit("instances in one launch call", &|limits| limits.launch_batch as u64);
    limit("smallest TTL of a record, seconds", &|limits| limits.dns_min_ttl.as_secs());
    limit("longest instance name, characters", &|limits| limits.name_length as u64);
    page.push_str("\n## Conformance\n\n");
    let reported: Vec<&Report> =
        descriptors.iter().filter_map(|d| reports.iter().find(|report| report.provider == d.id)).collect();
    let heads: Vec<&str> = reported.iter().map(|report| report.title.as_str()).collect();
    row(&mut page, "concern", &heads, ":---:");
    let mut concerns: BTreeMap<&str, Vec<Counts>> = BTreeMap::new();
    for (place, report) in reported.iter().enumerate() {
        for case in &report.cases {
            let columns = concerns.entry(case.concern()).or_insert_with(|| vec![Counts::default(); reported.len()]);
            columns[place].add(case.outcome);
        }
    }
    for (concern, columns) in &concerns {
        line(&mut page, &format!("`{concern}`"), &columns.iter().map(passed).collect::<Vec<_>>());
    }
    let all: Vec<String> = reported.iter().map(|report| format!("**{}**", passed(&report.counts))).collect();
    line(&mut page, "**all**", &all);
    page
}

/// Passed of run, and why the others were not.
fn passed(counts: &Counts) -> String {
    let run: usize = OutcomeKind::ALL.into_iter().filter(|kind| kind.was_run()).map(|kind| counts.of(kind)).sum();
    let mut text = if run == 0 { String::new() } else { format!("{} of {run}", counts.passed) };
    for kind in OutcomeKind::ALL.into_iter().filter(|kind| !kind.was_run() && counts.of(*kind) > 0) {
        let comma = if text.is_empty() { "" } else { ", " };
        let _ = write!(text, "{comma}{} {}", counts.of(kind), kind.as_str());
    }
    text
}

fn row(page: &mut String, first: &str, heads: &[&str], rule: &str) {
    line(page, first, heads);
    let _ = writeln!(page, "|---|{}", format!("{rule}|").repeat(heads.len()));
}

fn line<S: AsRef<str>>(page: &mut String, first: &str, cells: &[S]) {
    let _ = write!(page, "| {first} |");
    for cell in cells {
        match cell.as_ref() {
            "" => page.push_str(" |"),
            text => drop(write!(page, " {text} |")),
        }
    }
    page.push('\n');
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use remint_core::provider::Guest;

    use super::*;
    use crate::report::document::tests::sample;

    #[test]
    fn the_page_tells_capabilities_limits_and_results() {
        let limits = Limits {
            user_data_bytes: 65536,
            launch_batch: 10,
            dns_min_ttl: Duration::from_secs(30),
            name_length: 63,
            launch_time: Duration::ZERO,
            capture_time: Duration::ZERO,
            assign_time: Duration::ZERO,
            balancer_time: Duration::ZERO,
            destroy_time: Duration::ZERO,
            settle_time: Duration::ZERO,
        };
        let one = Descriptor {
            id: "digitalocean",
            title: "One",
            capabilities: &[Capability::Dns],
            limits,
            guest: Guest::CLOUD_INIT,
        };
        let two = Descriptor { id: "two", title: "Two", capabilities: &[], limits, guest: Guest::CLOUD_INIT };
        let page = providers_page(&[&one, &two], &[sample()]);
        assert!(page.contains("| capability | One | Two |\n|---|:---:|:---:|\n"), "{page}");
        assert!(page.contains("| `dns`: DNS zones and record sets | yes | |\n"), "{page}");
        assert!(page.contains("| user data, bytes | 65536 | 65536 |\n"), "{page}");
        assert!(page.contains("| **all** | **1 of 4, 1 exempt, 1 blocked, 1 not declared** |\n"), "{page}");
    }
}
