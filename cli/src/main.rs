//! The `remint` command.

fn main() -> std::process::ExitCode {
    remint_cli::main()
}
