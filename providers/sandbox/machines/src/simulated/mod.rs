//! Simulated machines: no hypervisor, all in the sandbox's own process.
//!
//! A machine is a virtual disk, a real SSH server (commands run in a small POSIX shell over that disk) and real HTTP and
//! TCP listeners on the machine's own loopback address. It boots, runs cloud-init, is provisioned, captured, rebooted and
//! destroyed as a virtual machine is, in milliseconds. How its service behaves is decided by `/etc/simulation.toml` on
//! its disk (the table of its keys is in the book), so that a test bakes behaviour into images.
//!
//! A machine that had power when the sandbox was killed has power again as soon as the sandbox is back, without a new
//! boot: a real cloud's machines do not notice either that its API is away. So [`Hypervisor::machines`] never tells of
//! machines here that lost their power with the sandbox.
//!
//! [`Hypervisor::machines`]: super::Hypervisor::machines

mod disk;
#[cfg(test)]
mod fuzz;
mod guest;
mod hypervisor;
mod machine;
mod power;
mod record;
mod shell;
mod store;

#[cfg(test)]
mod tests;

pub use hypervisor::Simulated;
pub use shell::commands;
