//! Typed ids: no bare string crosses between crates.

use std::{borrow::Borrow, fmt};

use serde::{Deserialize, Serialize};

macro_rules! string_id {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Wraps the text as it is.
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The id as text, as it was given.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    )*};
}

string_id! {
    /// A provider's id, as in `provider = "digitalocean"`.
    ProviderId;
    /// The cloud's id of an instance.
    InstanceId;
    /// The cloud's id of a machine image.
    ImageId;
    /// The cloud's id of a static IP; on DigitalOcean the address itself.
    StaticIpId;
    /// The cloud's id of a load balancer.
    LoadBalancerId;
    /// The cloud's id of a registered login key.
    LoginKeyId;
    /// A provider's id of a stray, in a form of its own.
    StrayId;
    /// A region or zone, in the cloud's own words (`nyc3`, `eu-central-1`).
    Region;
    /// An instance size, in the cloud's own words (`s-1vcpu-1gb`, `t3.micro`).
    SizeName;
    /// The digest of everything that goes into an image: 64 lowercase hexadecimal digits; of an image that Remint did not
    /// bake, [`Fingerprint::given`].
    Fingerprint;
    /// The name of one standing copy of a service (`production`, `staging`); `default` when the manifest has none.
    EnvironmentName;
    /// The id of a service: 16 hexadecimal digits, drawn when its journal is created. All environments of a journal share
    /// it, and so do their images. Unlike the service's name, nobody else can have it by accident.
    ServiceId;
    /// The id of one environment: 16 hexadecimal digits, drawn when its part of the journal is created.
    EnvironmentId;
}

impl ServiceId {
    /// A new id, which nothing carries yet.
    pub fn generate() -> Self {
        Self(draw())
    }
}

impl EnvironmentId {
    /// A new id, which nothing carries yet.
    pub fn generate() -> Self {
        Self(draw())
    }
}

/// 64 random bits: short enough for names and tags, and two of one account never meet.
fn draw() -> String {
    hex::encode(crate::chance::bytes::<8>())
}

/// How the fingerprint of a given image begins; no digest does.
const GIVEN: &str = "given-";

impl Fingerprint {
    /// Stands for an image that Remint did not bake: nothing is known of its inputs, so its id is what tells it apart.
    pub fn given(image: &ImageId) -> Self {
        Self(format!("{GIVEN}{image}"))
    }

    /// Whether it stands for an image that Remint did not bake.
    pub fn is_given(&self) -> bool {
        self.0.starts_with(GIVEN)
    }

    /// The first 12 digits, as names and messages show it; that of a given image whole.
    pub fn short(&self) -> &str {
        if self.is_given() { &self.0 } else { self.0.get(..12).unwrap_or(&self.0) }
    }
}

/// The number of a release within its environment; the first one is 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct ReleaseId(pub u64);

impl fmt::Display for ReleaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "r{}", self.0)
    }
}

impl std::str::FromStr for ReleaseId {
    type Err = std::num::ParseIntError;

    /// Reads `r7` or `7`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.strip_prefix('r').unwrap_or(text).parse().map(Self)
    }
}
