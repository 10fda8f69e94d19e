//! Sizes, and where they are to be had; read once for each size and region in the life of the process.
//!
//! A size has no disk on EC2: an instance's disk is a volume, as large as the image asks or `disk_gib` says. So the disk of a
//! shape is what an instance of Remint's gets: `disk_gib`, and where that is not set the largest volume that there is.

use aws_sdk_ec2::types::{InstanceType, LocationType};
use remint_core::provider::{
    Error, ErrorKind, Region, Result, Shape, SizeName, nearest,
    support::{Call, all_by_token},
};

use crate::{Aws, config::LARGEST_DISK, memory::Offer, tags};

const OPERATION: &str = "look up size";
/// The most that EC2 gives on a page.
const PAGE_SIZE: i32 = 1000;

impl Aws {
    /// What a size gives, the availability zones of the region that have it, and the architectures that it runs. Two calls, once; for a wrong size or region
    /// one call more, for the hint.
    pub(crate) async fn find_offer(&self, size: &SizeName, region: &Region) -> Result<Offer> {
        let key = (size.as_str().to_owned(), region.clone());
        if let Some(known) = self.memory.lock().offers.get(&key) {
            return Ok(known.clone());
        }
        self.check_region(OPERATION, region).await?;
        let filter = tags::filter("instance-type", size.as_str());
        let zones = self.offerings(region, LocationType::AvailabilityZone, Some(filter)).await?;
        if zones.is_empty() {
            return Err(self.no_size(size, region).await);
        }
        let zones = zones.into_iter().map(|(_, zone)| zone).collect();
        let request =
            self.client.ec2(region).describe_instance_types().instance_types(InstanceType::from(size.as_str()));
        let call = Call::read(OPERATION).about(size);
        let answer = self.client.call(&call, || request.clone().send()).await?;
        let info = answer.instance_types().first();
        let info = info.ok_or_else(|| call.error(ErrorKind::Unexpected, "the answer leaves the size out"))?;
        let number = |value: Option<i32>| value.and_then(|value| u32::try_from(value).ok()).unwrap_or_default();
        let memory = info.memory_info().and_then(|memory| memory.size_in_mib()).unwrap_or_default();
        let shape = Shape {
            size: size.clone(),
            vcpus: number(info.v_cpu_info().and_then(|cpus| cpus.default_v_cpus())),
            memory_mib: memory.try_into().unwrap_or_default(),
            disk_gib: u64::from(self.settings.config.disk_gib.unwrap_or(LARGEST_DISK)),
            price_hourly_usd: None,
        };
        let processor = info.processor_info().map(|info| info.supported_architectures()).unwrap_or_default();
        let architectures = processor.iter().map(|architecture| architecture.as_str().to_owned()).collect();
        let offer = Offer { shape, zones, architectures };
        self.memory.lock().offers.insert(key, offer.clone());
        Ok(offer)
    }

    async fn no_size(&self, size: &SizeName, region: &Region) -> Error {
        let sizes = self.offerings(region, LocationType::Region, None).await.unwrap_or_default();
        let names = sizes.iter().map(|(name, _)| name.as_str());
        Error::new(ErrorKind::InvalidInput, OPERATION, format!("region {region} does not have size `{size}`"))
            .with_hint(format!("sizes in {region}: {}", nearest(size.as_str(), names)))
    }

    /// Sizes and where they are offered.
    async fn offerings(
        &self,
        region: &Region,
        by: LocationType,
        filter: Option<aws_sdk_ec2::types::Filter>,
    ) -> Result<Vec<(String, String)>> {
        let request = self.client.ec2(region).describe_instance_type_offerings().location_type(by);
        let request = request.set_filters(filter.map(|filter| vec![filter])).max_results(PAGE_SIZE);
        all_by_token(self.client.calls(), OPERATION, |token| {
            let page = request.clone().set_next_token(token);
            async move {
                let answer = self.client.call(&Call::read(OPERATION).about(region), || page.clone().send()).await?;
                let offerings = answer.instance_type_offerings().iter().filter_map(|offering| {
                    Some((offering.instance_type()?.as_str().to_owned(), offering.location()?.to_owned()))
                });
                Ok((offerings.collect(), answer.next_token))
            }
        })
        .await
    }
}
