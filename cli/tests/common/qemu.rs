//! Whether real machines can be had.

use std::process::Command;

use remint_sandbox::base_image::{self, DEBIAN_12};

/// Whether there are QEMU and the base image; where there are not, says that the test did not run, or fails if they are required.
pub(crate) fn is_possible() -> bool {
    let Some(missing) = missing() else { return true };
    assert!(std::env::var_os("REMINT_REQUIRE_QEMU").is_none_or(|value| value != "1"), "{missing}");
    eprintln!("NOT RUN: {missing}");
    false
}

fn missing() -> Option<String> {
    for program in ["qemu-system-x86_64", "qemu-img"] {
        if Command::new(program).arg("--version").output().is_err() {
            return Some(format!("{program} is not installed"));
        }
    }
    let Some(dir) = base_image::default_dir() else { return Some("there is no folder for base images".to_owned()) };
    base_image::open(&dir, DEBIAN_12).err().map(|error| error.to_string())
}
