//! Regions: which there are, and where to look for what stands.
//!
//! EC2's regions know nothing of each other. What a call names no region for is looked for where this process has seen it,
//! then in the home region (the section's), then in the other regions that calls of this process named.

use remint_core::provider::{Error, ErrorKind, InstanceId, Region, Result, nearest, support::Call};

use crate::Aws;

/// Regions that every account has, without asking. Source: "AWS Regions", regions that are enabled by default.
const EVERYBODYS: [&str; 17] = [
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
    "ap-south-1",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-southeast-1",
    "ap-southeast-2",
    "ca-central-1",
    "eu-central-1",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "eu-north-1",
    "sa-east-1",
];

impl Aws {
    /// The region in which things stand unless something else is known.
    pub(crate) fn home(&self, operation: &'static str) -> Result<&Region> {
        self.home.as_ref().ok_or_else(|| {
            Error::new(ErrorKind::InvalidInput, operation, "no AWS region is given")
                .with_hint("set `region` in `[providers.aws]`, or AWS_REGION, or a region in the profile")
        })
    }

    /// The region that calls go to which need one and name none.
    pub(crate) fn any_region(&self) -> Region {
        self.home.clone().unwrap_or_else(|| Region::from("us-east-1"))
    }

    /// The region that knows the others of its partition.
    fn main_region(&self) -> Region {
        let home = self.any_region();
        let main = match home.as_str() {
            home if home.starts_with("cn-") => "cn-north-1",
            home if home.starts_with("us-gov-") => "us-gov-west-1",
            _ => "us-east-1",
        };
        Region::from(main)
    }

    /// Refuses a region that the account does not have. One call in the life of the process, and none for the regions that
    /// every account has.
    pub(crate) async fn check_region(&self, operation: &'static str, region: &Region) -> Result<()> {
        if !EVERYBODYS.contains(&region.as_str()) {
            let enabled = self.enabled.get_or_try_init(|| self.fetch_regions(operation)).await?;
            if !enabled.contains(region) {
                let hint = format!("regions: {}", nearest(region.as_str(), enabled.iter().map(Region::as_str)));
                let message = format!("there is no region `{region}` that is enabled for this account");
                return Err(Error::new(ErrorKind::InvalidInput, operation, message).with_hint(hint));
            }
        }
        let mut memory = self.memory.lock();
        if !memory.regions.contains(region) {
            memory.regions.push(region.clone());
        }
        Ok(())
    }

    async fn fetch_regions(&self, operation: &'static str) -> Result<Vec<Region>> {
        let request = self.client.ec2(&self.main_region()).describe_regions();
        let answer = self.client.call(&Call::read(operation), || request.clone().send()).await?;
        Ok(answer.regions().iter().filter_map(|region| region.region_name()).map(Region::from).collect())
    }

    /// The region of an instance that is not where this process looks: one call for each of the account's regions.
    pub(crate) async fn is_in_another_region(&self, id: &InstanceId) -> Result<Option<Region>> {
        const OPERATION: &str = "find instance";
        let known = self.all_places(OPERATION)?;
        let enabled = self.enabled.get_or_try_init(|| self.fetch_regions(OPERATION)).await?;
        for region in enabled.iter().filter(|region| !known.contains(region)) {
            let request = self.client.ec2(region).describe_instances().instance_ids(id.as_str());
            match self.client.call(&Call::read(OPERATION).about(id), || request.clone().send()).await {
                Ok(answer) if !answer.reservations().is_empty() => return Ok(Some(region.clone())),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Where to look for a resource, the likeliest place first.
    pub(crate) fn places(&self, operation: &'static str, id: &str) -> Result<Vec<Region>> {
        if let Some(known) = self.memory.lock().places.get(id) {
            return Ok(vec![known.clone()]);
        }
        self.all_places(operation)
    }

    /// Where to look for resources: the home region, and those that calls of this process named.
    pub(crate) fn all_places(&self, operation: &'static str) -> Result<Vec<Region>> {
        let mut places: Vec<Region> = self.home.iter().cloned().collect();
        for region in &self.memory.lock().regions {
            if !places.contains(region) {
                places.push(region.clone());
            }
        }
        if places.is_empty() {
            self.home(operation)?;
        }
        Ok(places)
    }

    pub(crate) fn remember_place(&self, id: &str, region: &Region) {
        self.memory.lock().places.insert(id.to_owned(), region.clone());
    }
}
