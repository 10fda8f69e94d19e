//! How real machines are run.

use std::path::PathBuf;

/// What [`super::Qemu`] needs to know beside its folder.
#[derive(Debug, Clone)]
pub struct QemuOptions {
    /// The store of base images, shared by all sandboxes of a user: [`crate::base_image::default_dir`].
    pub images: PathBuf,
    /// What runs the guests' instructions.
    pub accel: AccelChoice,
    /// Whether a machine whose image allows it goes on from a guest that was saved after booting. The first machine of a
    /// size waits until that guest has been made; the others answer within seconds. Cold boots take longer and are what a
    /// real cloud does.
    pub warm: bool,
}

/// What runs the guests' instructions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AccelChoice {
    /// KVM where a guest really runs under it, else emulation.
    #[default]
    Auto,
    /// KVM, unprobed.
    Kvm,
    /// Emulation.
    Tcg,
}
