//! Sizes and regions, read once in the life of the process.

use remint_core::provider::{Error, ErrorKind, Region, Result, Shape, SizeName, nearest, support::JsonRequest};

use crate::{DigitalOcean, wire};

const OPERATION: &str = "look up size";

impl DigitalOcean {
    /// Costs one call, once: sizes name the regions that have them.
    pub(super) async fn find_shape(&self, size: &SizeName, region: &Region) -> Result<Shape> {
        let sizes = self.sizes.get_or_try_init(|| self.fetch_sizes()).await?;
        let mut regions: Vec<&str> = sizes.iter().flat_map(|size| &size.regions).map(String::as_str).collect();
        regions.sort_unstable();
        regions.dedup();
        let invalid = |message: String, hint: String| {
            Err(Error::new(ErrorKind::InvalidInput, OPERATION, message).with_hint(hint))
        };
        if !regions.contains(&region.as_str()) {
            let hint = format!("regions: {}", nearest(region.as_str(), regions));
            return invalid(format!("there is no region `{region}` with droplets for this account"), hint);
        }
        let here =
            |candidate: &wire::Size| candidate.available && candidate.regions.iter().any(|r| r == region.as_str());
        match sizes.iter().find(|candidate| candidate.slug == size.as_str()) {
            Some(found) if here(found) => Ok(Shape {
                size: size.clone(),
                vcpus: found.vcpus,
                memory_mib: found.memory,
                disk_gib: found.disk,
                price_hourly_usd: found.price_hourly,
            }),
            Some(found) => {
                let others = sizes.iter().filter(|size| here(size)).map(|size| size.slug.as_str());
                let hint = format!("sizes in {region}: {}", nearest(size.as_str(), others));
                let place = if found.available { found.regions.join(", ") } else { "no region now".to_owned() };
                invalid(format!("region {region} does not have size `{size}` (it is in {place})"), hint)
            }
            None => {
                let others = sizes.iter().filter(|size| here(size)).map(|size| size.slug.as_str());
                let hint = format!("sizes in {region}: {}", nearest(size.as_str(), others));
                invalid(format!("there is no size `{size}` for this account"), hint)
            }
        }
    }

    /// What to try where a region has no room for a size; `None` where this process has not asked for the sizes.
    pub(super) fn elsewhere(&self, size: &SizeName, region: &Region) -> Option<String> {
        let sizes = self.sizes.get()?;
        let is_here =
            |other: &&wire::Size| other.available && other.regions.iter().any(|known| known == region.as_str());
        let names = sizes.iter().filter(is_here).map(|other| other.slug.as_str()).filter(|slug| *slug != size.as_str());
        let this = sizes.iter().find(|other| other.slug == size.as_str())?;
        let regions: Vec<&str> =
            this.regions.iter().map(String::as_str).filter(|name| *name != region.as_str()).collect();
        let regions = if regions.is_empty() { "no other region".to_owned() } else { regions.join(", ") };
        let names = nearest(size.as_str(), names);
        Some(format!(
            "choose another size (in {region}: {names}) or region ({size} is in {regions}), or try again later"
        ))
    }

    async fn fetch_sizes(&self) -> Result<Vec<wire::Size>> {
        self.client.list(&JsonRequest::get(OPERATION, &["v2", "sizes"]), "sizes").await
    }
}
