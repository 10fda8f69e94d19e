//! Sizes and places, read once in the life of the process: two calls.

use remint_core::provider::{Error, ErrorKind, Region, Result, Shape, SizeName, nearest, support::JsonRequest};

use crate::{
    Cloud,
    client::Client,
    wire::{Named, ServerType},
};

pub(crate) struct Catalogue {
    locations: Vec<String>,
    sizes: Vec<ServerType>,
}

impl std::fmt::Debug for Catalogue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} sizes in {} locations", self.sizes.len(), self.locations.len())
    }
}

impl Catalogue {
    async fn read(client: &Client, operation: &'static str) -> Result<Self> {
        let locations: Vec<Named> = client.list(&JsonRequest::get(operation, &["locations"]), "locations").await?;
        let sizes = client.list(&JsonRequest::get(operation, &["server_types"]), "server_types").await?;
        Ok(Self { locations: locations.into_iter().map(|location| location.name).collect(), sizes })
    }

    /// Refuses a location that does not exist.
    pub(crate) fn check(&self, operation: &'static str, region: &Region) -> Result<()> {
        if self.locations.iter().any(|name| name == region.as_str()) {
            return Ok(());
        }
        let hint = nearest(region.as_str(), self.locations.iter().map(String::as_str));
        Err(Error::new(ErrorKind::InvalidInput, operation, format!("there is no location `{region}`"))
            .with_hint(format!("locations: {hint}")))
    }
}

impl Cloud {
    pub(crate) async fn catalogue(&self, operation: &'static str) -> Result<&Catalogue> {
        self.catalogue.get_or_try_init(|| Catalogue::read(&self.client, operation)).await
    }

    /// What a size gives. Its price is in euros, and so is not told.
    pub(crate) async fn find_shape(&self, operation: &'static str, size: &SizeName, region: &Region) -> Result<Shape> {
        let catalogue = self.catalogue(operation).await?;
        catalogue.check(operation, region)?;
        let here = |size: &&ServerType| size.prices.iter().any(|price| price.location == region.as_str());
        let found = catalogue.sizes.iter().filter(here).find(|found| found.name == size.as_str());
        let Some(found) = found else {
            let hint = nearest(size.as_str(), catalogue.sizes.iter().filter(here).map(|size| size.name.as_str()));
            let message = format!("{region} has no server type `{size}`");
            return Err(Error::new(ErrorKind::InvalidInput, operation, message)
                .with_hint(format!("server types in {region}: {hint}")));
        };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some hundred GiB at most")]
        let memory_mib = (found.memory * 1024.0) as u64;
        Ok(Shape { size: size.clone(), vcpus: found.cores, memory_mib, disk_gib: found.disk, price_hourly_usd: None })
    }
}
