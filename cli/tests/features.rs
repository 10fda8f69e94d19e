//! What a build without a cloud does not compile.
#![expect(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

use std::{path::Path, process::Command};

/// The names of the packages that a build of the command with these features compiles, tests left out.
fn packages(features: &[&str]) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let output = Command::new(env!("CARGO"))
        .current_dir(root)
        .args([
            "tree",
            "--offline",
            "--locked",
            "--package",
            "remint-cli",
            "--edges",
            "normal,build",
            "--prefix",
            "none",
        ])
        .args(["--format", "{p}", "--no-default-features", "--features", &features.join(",")])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).unwrap();
    tree.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

/// The packages of a cloud's own kit; `aws-lc` is the cryptography that everything here uses.
fn of_a_kit(name: &str) -> bool {
    let aws = name.starts_with("aws-") && !name.starts_with("aws-lc-");
    aws || name.starts_with("google-cloud-") || matches!(name, "remint-aws" | "remint-gcp")
}

#[test]
fn a_build_without_a_cloud_does_not_compile_its_kit() {
    let small = packages(&["digitalocean", "sandbox"]);
    assert!(small.iter().any(|name| name == "remint-sandbox"), "{small:?}");
    let kits: Vec<_> = small.iter().filter(|name| of_a_kit(name)).collect();
    assert!(kits.is_empty(), "a build for digitalocean and sandbox compiles {kits:?}");

    // The same look finds them where they are.
    let whole = packages(&["aws", "gcp"]);
    for kit in ["aws-sdk-ec2", "aws-sdk-route53", "google-cloud-compute-v1", "google-cloud-dns-v1"] {
        assert!(whole.iter().any(|name| name == kit), "{kit} is not in a build with aws and gcp");
    }
}
