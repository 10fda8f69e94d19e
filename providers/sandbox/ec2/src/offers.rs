//! What the account can have: regions, zones, instance types, limits.

use super::{
    call::Call,
    catalogue,
    filter::{Filters, page},
    network::ZONES,
    reply::{invalid_value, refuse},
    state::Tags,
    xml::Xml,
};
use remint_sandbox_cloud::{Api, ApiResult, catalogue::Size};

/// `DescribeRegions`.
pub(super) fn regions(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let filters = Filters::of(&call.params, &["endpoint", "opt-in-status", "region-name"])?;
    let named = call.params.list("RegionName");
    let all: Vec<&str> = catalogue::REGIONS.iter().map(|region| region.slug).collect();
    if let Some(other) = named.iter().find(|name| !all.contains(*name)) {
        return Err(invalid_value(format!("Invalid region names: [{other}]")));
    }
    let taken = |region: &&str| {
        let field = |name: &str| match name {
            "endpoint" => vec![endpoint(region)],
            "opt-in-status" => vec!["opt-in-not-required".to_owned()],
            _ => vec![(*region).to_owned()],
        };
        (named.is_empty() || named.contains(region)) && filters.take(&Tags::new(), field)
    };
    xml.items("regionInfo", all.iter().copied().filter(taken), |xml, region| {
        xml.text("regionName", region)
            .text("regionEndpoint", endpoint(region))
            .text("optInStatus", "opt-in-not-required");
    });
    Ok(())
}

fn endpoint(region: &str) -> String {
    format!("ec2.{region}.amazonaws.com")
}

/// `DescribeAvailabilityZones`.
pub(super) fn zones(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let filters = Filters::of(
        &call.params,
        &["group-name", "opt-in-status", "region-name", "state", "zone-id", "zone-name", "zone-type"],
    )?;
    let named = call.params.list("ZoneName");
    if let Some(other) = named.iter().find(|zone| !super::network::is_zone(call.region, zone)) {
        return Err(invalid_value(format!("Invalid availability zone: [{other}]")));
    }
    let all: Vec<(String, String)> = ZONES
        .iter()
        .enumerate()
        .map(|(index, letter)| (format!("{}{letter}", call.region), zone_id(call.region, index)))
        .collect();
    let taken = |(zone, id): &&(String, String)| {
        let field = |name: &str| match name {
            "group-name" => vec![format!("{}-zg-1", call.region)],
            "opt-in-status" => vec!["opt-in-not-required".to_owned()],
            "region-name" => vec![call.region.to_owned()],
            "state" => vec!["available".to_owned()],
            "zone-id" => vec![id.clone()],
            "zone-type" => vec!["availability-zone".to_owned()],
            _ => vec![zone.clone()],
        };
        (named.is_empty() || named.contains(&zone.as_str())) && filters.take(&Tags::new(), field)
    };
    xml.items("availabilityZoneInfo", all.iter().filter(taken), |xml, (zone, id)| {
        xml.text("zoneName", zone).text("zoneState", "available").text("regionName", call.region).text("zoneId", id);
        xml.text("optInStatus", "opt-in-not-required").text("groupName", format!("{}-zg-1", call.region));
        xml.text("networkBorderGroup", call.region).text("zoneType", "availability-zone").node("messageSet", |_| {});
    });
    Ok(())
}

/// `use1-az1`, as AWS abbreviates a region.
fn zone_id(region: &str, index: usize) -> String {
    let short: String = match region.split('-').collect::<Vec<_>>()[..] {
        [area, side, number] => format!("{area}{}{number}", side.chars().next().unwrap_or_default()),
        _ => region.to_owned(),
    };
    format!("{short}-az{}", index + 1)
}

/// The architecture that an instance type runs: Graviton processors have a `g` after the generation.
pub(super) fn architecture(kind: &str) -> &'static str {
    if kind.starts_with("t4g.") { "arm64" } else { IMAGES_ARE }
}

/// The architecture of all of the sandbox's images.
pub(super) const IMAGES_ARE: &str = "x86_64";

/// `DescribeInstanceTypes`.
pub(super) fn types(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let fields = [
        "bare-metal",
        "burstable-performance-supported",
        "current-generation",
        "free-tier-eligible",
        "hypervisor",
        "instance-type",
        "memory-info.size-in-mib",
        "processor-info.supported-architecture",
        "vcpu-info.default-vcpus",
    ];
    let filters = Filters::of(&call.params, &fields)?;
    let named = call.params.list("InstanceType");
    let all = catalogue::SIZES;
    let missing: Vec<&str> = named.iter().copied().filter(|name| all.iter().all(|size| size.slug != *name)).collect();
    if !missing.is_empty() {
        let message = format!("The following supplied instance types do not exist: [{}]", missing.join(", "));
        return Err(refuse("InvalidInstanceType", message));
    }
    let taken = |size: &&Size| {
        let field = |name: &str| {
            let text = match name {
                "instance-type" => size.slug.to_owned(),
                "memory-info.size-in-mib" => size.memory.to_string(),
                "vcpu-info.default-vcpus" => size.vcpus.to_string(),
                "processor-info.supported-architecture" => architecture(size.slug).to_owned(),
                "hypervisor" => "nitro".to_owned(),
                "bare-metal" => "false".to_owned(),
                "free-tier-eligible" => (size.slug == "t3.micro").to_string(),
                _ => "true".to_owned(),
            };
            vec![text]
        };
        (named.is_empty() || named.contains(&size.slug)) && filters.take(&Tags::new(), field)
    };
    let (shown, next) = page(&call.params, 5, all.iter().filter(taken).collect())?;
    xml.items("instanceTypeSet", shown, write_type);
    xml.maybe("nextToken", next);
    Ok(())
}

fn write_type(xml: &mut Xml, size: &Size) {
    xml.text("instanceType", size.slug)
        .text("currentGeneration", true)
        .text("freeTierEligible", size.slug == "t3.micro");
    xml.texts("supportedUsageClasses", ["on-demand", "spot"]).texts("supportedRootDeviceTypes", ["ebs"]);
    xml.texts("supportedVirtualizationTypes", ["hvm"]).text("bareMetal", false).text("hypervisor", "nitro");
    xml.node("processorInfo", |xml| {
        xml.texts("supportedArchitectures", [architecture(size.slug)]);
    });
    xml.node("vCpuInfo", |xml| {
        xml.text("defaultVCpus", size.vcpus)
            .text("defaultCores", size.vcpus.div_ceil(2))
            .text("defaultThreadsPerCore", 2);
    });
    xml.node("memoryInfo", |xml| {
        xml.text("sizeInMiB", size.memory);
    });
    xml.text("instanceStorageSupported", false);
    xml.node("ebsInfo", |xml| {
        xml.text("ebsOptimizedSupport", "default")
            .text("encryptionSupport", "supported")
            .text("nvmeSupport", "required");
    });
    xml.node("networkInfo", |xml| {
        xml.text("networkPerformance", "Up to 5 Gigabit").text("maximumNetworkInterfaces", 1);
        xml.text("ipv4AddressesPerInterface", 1).text("ipv6Supported", false).text("enaSupport", "required");
    });
    xml.text("hibernationSupported", false).text("burstablePerformanceSupported", true);
    xml.text("dedicatedHostsSupported", false).text("autoRecoverySupported", true);
    xml.texts("supportedBootModes", ["legacy-bios", "uefi"]);
}

/// `DescribeInstanceTypeOfferings`: every type is in every region and zone.
pub(super) fn offerings(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let filters = Filters::of(&call.params, &["instance-type", "location"])?;
    let kind = call.params.get("LocationType").unwrap_or("region");
    let locations: Vec<String> = match kind {
        "region" => vec![call.region.to_owned()],
        "availability-zone" => ZONES.iter().map(|letter| format!("{}{letter}", call.region)).collect(),
        "availability-zone-id" => (0..ZONES.len()).map(|index| zone_id(call.region, index)).collect(),
        other => return Err(invalid_value(format!("Invalid value '{other}' for LocationType."))),
    };
    let mut all = Vec::new();
    for size in catalogue::SIZES {
        for location in &locations {
            let field = |name: &str| vec![if name == "location" { location.clone() } else { size.slug.to_owned() }];
            if filters.take(&Tags::new(), field) {
                all.push((size.slug, location.clone()));
            }
        }
    }
    let (shown, next) = page(&call.params, 5, all)?;
    xml.items("instanceTypeOfferingSet", shown, |xml, (slug, location)| {
        xml.text("instanceType", slug).text("locationType", kind).text("location", location);
    });
    xml.maybe("nextToken", next);
    Ok(())
}

/// `DescribeAccountAttributes`.
pub(super) fn attributes(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let limits = call.config().limits;
    let named = call.params.list("AttributeName");
    let vpc = call.read(|state| super::state::vpc(state, call.region));
    let all = [
        ("supported-platforms", "VPC".to_owned()),
        ("default-vpc", vpc),
        ("max-instances", limits.instances.to_string()),
        ("vpc-max-security-groups-per-interface", "5".to_owned()),
        ("max-elastic-ips", limits.static_ips(Api::Ec2).to_string()),
        ("vpc-max-elastic-ips", limits.static_ips(Api::Ec2).to_string()),
    ];
    let shown = all.iter().filter(|(name, _)| named.is_empty() || named.contains(name));
    xml.items("accountAttributeSet", shown, |xml, (name, value)| {
        xml.text("attributeName", name).items("attributeValueSet", [value], |xml, value| {
            xml.text("attributeValue", value);
        });
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_have_short_ids() {
        assert_eq!(zone_id("us-east-1", 0), "use1-az1");
        assert_eq!(zone_id("eu-central-1", 2), "euc1-az3");
    }
}
