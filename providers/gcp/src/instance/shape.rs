//! Sizes are machine types, and regions are zones. The disk is chosen apart from the size.

use google_cloud_compute_v1::model::{MachineTypeList, ZoneList};
use remint_core::provider::{Error, ErrorKind, Region, Result, Shape, SizeName, nearest};

use crate::{Gcp, error::Subject, names};

const OPERATION: &str = "look up size";

impl Gcp {
    /// Costs one call, once; two more for the hint of an error.
    pub(super) async fn find_shape(&self, size: &SizeName, region: &Region) -> Result<Shape> {
        let key = (region.as_str().to_owned(), size.as_str().to_owned());
        if let Some(known) = self.memory.lock().shapes.get(&key) {
            return Ok(known.clone());
        }
        let client = &self.client;
        let subject = Subject::new(OPERATION).about(size);
        let ask = || {
            let ask = client.machine_types.get().set_project(&client.project).set_zone(region.as_str());
            ask.set_machine_type(size.as_str()).send()
        };
        let usable = names::is_name(size.as_str()) && names::is_name(region.as_str());
        let found = match if usable { client.read(&subject, ask).await.map(Some) } else { Ok(None) } {
            Ok(Some(found)) => found,
            Ok(None) => return Err(self.no_shape(size, region, None).await),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidInput) => {
                return Err(self.no_shape(size, region, Some(error)).await);
            }
            Err(error) => return Err(error),
        };
        let disk = match (self.config.disk_gib, found.maximum_persistent_disks_size_gb) {
            (Some(gib), _) => u64::from(gib),
            (None, Some(most)) => u64::try_from(most).unwrap_or_default(),
            (None, None) => 0,
        };
        let shape = Shape {
            size: size.clone(),
            vcpus: found.guest_cpus.and_then(|count| count.try_into().ok()).unwrap_or_default(),
            memory_mib: found.memory_mb.and_then(|mib| mib.try_into().ok()).unwrap_or_default(),
            disk_gib: disk,
            price_hourly_usd: None,
        };
        let mut memory = self.memory.lock();
        memory.zones.insert(key.0.clone());
        memory.shapes.insert(key, shape.clone());
        Ok(shape)
    }

    async fn no_shape(&self, size: &SizeName, region: &Region, cause: Option<Error>) -> Error {
        if let Err(error) = self.check_zone(OPERATION, region).await {
            return error;
        }
        let client = &self.client;
        let subject = Subject::new(OPERATION).about(size);
        let page = |token: Option<String>| {
            let ask = client.machine_types.list().set_project(&client.project).set_zone(region.as_str());
            ask.set_or_clear_page_token(token).send()
        };
        let take = |page: MachineTypeList| {
            (page.items.into_iter().filter_map(|found| found.name).collect(), page.next_page_token)
        };
        let known: Vec<String> = client.pages(&subject, page, take).await.unwrap_or_default();
        let hint = format!("sizes in {region}: {}", nearest(size.as_str(), known.iter().map(String::as_str)));
        let error = Error::new(ErrorKind::InvalidInput, OPERATION, format!("zone {region} has no size `{size}`"));
        let error = error.with_hint(hint);
        match cause {
            Some(cause) => error.with_source(cause),
            None => error,
        }
    }

    /// Refuses a zone that does not exist: one call, once for each zone; one more for the hint.
    pub(crate) async fn check_zone(&self, operation: &'static str, zone: &Region) -> Result<()> {
        if self.memory.lock().zones.contains(zone.as_str()) {
            return Ok(());
        }
        let client = &self.client;
        let subject = Subject::new(operation).about(zone);
        if names::is_name(zone.as_str()) {
            let ask = || client.zones.get().set_project(&client.project).set_zone(zone.as_str()).send();
            match client.read(&subject, ask).await {
                Ok(_) => {
                    self.memory.lock().zones.insert(zone.as_str().to_owned());
                    return Ok(());
                }
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidInput) => {}
                Err(error) => return Err(error),
            }
        }
        let page = |token: Option<String>| {
            client.zones.list().set_project(&client.project).set_or_clear_page_token(token).send()
        };
        let take =
            |page: ZoneList| (page.items.into_iter().filter_map(|found| found.name).collect(), page.next_page_token);
        let known: Vec<String> = client.pages(&subject, page, take).await?;
        let message = format!("there is no zone `{zone}` for this project");
        Err(Error::new(ErrorKind::InvalidInput, operation, message)
            .with_hint(format!("zones: {}", nearest(zone.as_str(), known.iter().map(String::as_str)))))
    }
}
