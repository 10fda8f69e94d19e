//! `docs/providers.md` tells what the providers of this build declare.
//!
//! `make providers` writes it anew, with what the suite says of each: it runs the suite with reports and then this test
//! with `REMINT_BLESS=1`. Without that the test compares, all but the suite's results: those are of the day when they were
//! written.
#![cfg(all(feature = "aws", feature = "digitalocean", feature = "gcp", feature = "sandbox"))]
#![expect(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use remint_cli as _;
use remint_conformance::{REPORT_VARIABLE, Report, providers_page};
use remint_core::provider::{Descriptor, Registry};

/// Where the results of the suite begin.
const RESULTS: &str = "\n## Conformance\n";

fn reports(folder: &Path) -> Vec<Report> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| Report::read(&path.join("report.json")).unwrap()).collect()
}

#[test]
fn the_page_of_providers_tells_what_they_declare() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("docs/providers.md");
    let descriptors: Vec<&Descriptor> = Registry::all().iter().map(|entry| entry.descriptor).collect();
    if std::env::var_os("REMINT_BLESS").is_some() {
        let folder = std::env::var_os(REPORT_VARIABLE).unwrap_or_else(|| panic!("{REPORT_VARIABLE} is not set"));
        fs::write(&page, providers_page(&descriptors, &reports(Path::new(&folder)))).unwrap();
    }
    let text = fs::read_to_string(&page).unwrap();
    let (declared, results) = text.split_once(RESULTS).expect("the page has a section of results");
    let wanted = providers_page(&descriptors, &[]);
    let (wanted, _) = wanted.split_once(RESULTS).unwrap();
    assert_eq!(declared, wanted, "docs/providers.md is out of date: `make providers` writes it anew");
    assert!(results.contains("| **all** | **"), "no results: {results}");
}
