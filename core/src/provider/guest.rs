//! What a cloud's machines do and need when they boot for the first time.

/// A cloud's machines at their first boot, apart from what is the same on every cloud.
///
/// A provider declares it in its [`Descriptor`](super::Descriptor); Remint's part of the user data and the errors of a
/// login are made from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guest {
    /// Files for the cloud's own programs. cloud-init writes them before it installs the host key, and so before any unit
    /// that starts after `cloud-init.service`.
    pub files: &'static [GuestFile],
    /// What replaces the host keys of a machine there, and what keeps it from replacing Remint's: a sentence for the error
    /// of a machine that never shows Remint's key, lowercase and without a period.
    pub host_keys: &'static str,
    /// Whether user data may be compressed: the provider hands gzip in base64 ([`crate::provider::is_packed`]) to the machine as
    /// bytes, and counts these.
    pub gzip: bool,
}

impl Guest {
    /// Machines on which nothing but cloud-init touches host keys.
    pub const CLOUD_INIT: Self = Self {
        files: &[],
        host_keys: "cloud-init replaces the host keys of an image at an instance's first boot, if the image runs it and it \
                    finds its user data",
        gzip: false,
    };
}

/// A file that every machine of a cloud gets, mode 0644, of root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GuestFile {
    /// Its absolute path.
    pub path: &'static str,
    /// The text that is written, as it is.
    pub content: &'static str,
    /// Whether the content goes to the end of a file that the image may have. An image that was baked has it already, so it
    /// must be right to have it twice. Otherwise the content replaces the file.
    pub append: bool,
}
