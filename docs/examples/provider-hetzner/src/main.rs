//! A `remint` command that has this provider.

// Named in code, or the linker drops it and its entry in the registry with it.
use remint_hetzner as _;

fn main() -> std::process::ExitCode {
    remint_cli::main()
}
