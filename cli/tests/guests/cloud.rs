//! What tells a guest which cloud it is in.

use remint_core::provider::Descriptor;

/// The guest's address, and what else is on its network. QEMU forwards from inside its own network only, so that this must
/// hold the metadata service's address.
pub(crate) const NETWORK: &str = "169.254.0.0/16";
pub(crate) const GUEST_ADDRESS: &str = "169.254.0.15";
pub(crate) const ROUTER: &str = "169.254.0.2";
pub(crate) const RESOLVER: &str = "169.254.0.3";
pub(crate) const MAC: &str = "52:54:00:12:34:56";

/// A cloud whose firmware and metadata service a guest sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cloud {
    DigitalOcean,
    Ec2,
    Gce,
}

impl Cloud {
    /// The provider whose user data the guest gets.
    pub(crate) fn descriptor(self) -> &'static Descriptor {
        match self {
            Self::DigitalOcean => &remint_digitalocean::DESCRIPTOR,
            Self::Ec2 => &remint_aws::DESCRIPTOR,
            Self::Gce => &remint_gcp::DESCRIPTOR,
        }
    }

    /// What `cloud-id` says.
    pub(crate) fn id(self) -> &'static str {
        match self {
            Self::DigitalOcean => "digitalocean",
            Self::Ec2 => "aws",
            Self::Gce => "gce",
        }
    }

    /// The firmware's tables, by which cloud-init's `ds-identify` knows a cloud.
    pub(crate) fn smbios(self) -> &'static str {
        match self {
            Self::DigitalOcean => "type=1,manufacturer=DigitalOcean,product=Droplet,serial=12345",
            Self::Ec2 => {
                "type=1,manufacturer=Amazon EC2,uuid=ec2e1916-9099-7caf-fd21-012345abcdef,\
                 serial=ec2e1916-9099-7caf-fd21-012345abcdef"
            }
            Self::Gce => "type=1,manufacturer=Google,product=Google Compute Engine,serial=GoogleCloud-0123456789ABCDEF",
        }
    }

    /// Units of the image that another cloud's images do not have.
    pub(crate) fn masked(self) -> &'static [&'static str] {
        match self {
            Self::Gce => &[],
            Self::DigitalOcean | Self::Ec2 => {
                &["google-guest-agent.service", "google-startup-scripts.service", "google-shutdown-scripts.service"]
            }
        }
    }
}
