//! Which cloud's API an account is reached by.

use std::{fmt, ops::Range, str::FromStr};

use serde::{Deserialize, Serialize};

/// A cloud's API that the sandbox speaks. Each has an account of its own, over the same machines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Api {
    /// DigitalOcean's version 2.
    #[default]
    DigitalOcean,
    /// Amazon's: the EC2 Query API, Route 53, and what clients of them ask for beside.
    Ec2,
    /// Google's: Compute Engine version 1 and Cloud DNS version 1.
    Gce,
}

impl Api {
    /// All of them, in the order in which a sandbox lists them.
    pub const ALL: [Self; 3] = [Self::DigitalOcean, Self::Ec2, Self::Gce];

    /// The name, as on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::DigitalOcean => "digitalocean",
            Self::Ec2 => "ec2",
            Self::Gce => "gce",
        }
    }

    /// The numbers that are the account's. Every number is one account's, so that a machine's number says whose it is, and
    /// no machine is nobody's.
    pub fn ids(self) -> Range<u64> {
        match self {
            Self::DigitalOcean => 0..2_000_000_000,
            Self::Ec2 => 2_000_000_000..3_000_000_000,
            Self::Gce => 3_000_000_000..u64::MAX,
        }
    }

    /// The number after which the account begins to give numbers to what it makes.
    pub(super) fn before_first_id(self) -> u64 {
        self.ids().start.max(100_000_000)
    }

    /// The account's part of each half of the slot's network, as offsets: forty blocks of 256 addresses.
    pub(super) fn offsets(self) -> Range<u32> {
        const EACH: u32 = 40 * 256;
        let share = self as u32;
        share * EACH..(share + 1) * EACH
    }
}

impl fmt::Display for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Api {
    type Err = String;

    /// Reads the name, or the id of the provider that speaks the API.
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "digitalocean" => Ok(Self::DigitalOcean),
            "ec2" | "aws" => Ok(Self::Ec2),
            "gce" | "gcp" => Ok(Self::Gce),
            _ => Err(format!("unknown API {text:?}: use one of digitalocean, ec2, gce")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_share_neither_numbers_nor_addresses() {
        for (one, other) in [(Api::DigitalOcean, Api::Ec2), (Api::Ec2, Api::Gce)] {
            assert_eq!(one.ids().end, other.ids().start, "{one} {other}");
            assert!(one.offsets().end <= other.offsets().start, "{one} {other}");
        }
        assert!(Api::Gce.offsets().end <= 128 * 256, "all within half of a /16");
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        for api in Api::ALL {
            assert_eq!(api.to_string().parse(), Ok(api));
            assert_eq!(serde_json::to_value(api).unwrap(), api.name());
        }
        assert_eq!("aws".parse(), Ok(Api::Ec2));
        assert!("azure".parse::<Api>().unwrap_err().contains("azure"));
    }
}
