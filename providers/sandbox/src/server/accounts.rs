//! The accounts of one sandbox.

use crate::{
    cloud::{Account, Api},
    digitalocean, ec2, gce,
};

/// The accounts of one sandbox: one for each API that it speaks.
#[derive(Debug, Clone)]
pub(super) struct Accounts {
    pub(super) digitalocean: digitalocean::Cloud,
    pub(super) ec2: ec2::Cloud,
    pub(super) gce: gce::Cloud,
}

impl Accounts {
    pub(super) fn of(&self, api: Api) -> &dyn Account {
        match api {
            Api::DigitalOcean => &self.digitalocean,
            Api::Ec2 => &self.ec2,
            Api::Gce => &self.gce,
        }
    }

    pub(super) fn all(&self) -> [&dyn Account; 3] {
        Api::ALL.map(|api| self.of(api))
    }
}
