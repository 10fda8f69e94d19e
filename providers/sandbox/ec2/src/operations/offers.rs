//! What the account can have: regions, zones, instance types, limits.

use crate::{
    call::Call,
    catalogue::{self, architecture},
    list::{List, keep, one},
    reply::{invalid_value, refuse},
    state::Tags,
    vpc,
    xml::Xml,
};
use remint_sandbox_cloud::{
    Api, ApiResult,
    catalogue::{Region, Size},
};

const REGIONS: List<Region> = List {
    element: "regionInfo",
    least: None,
    tags: |_, _| Tags::new(),
    fields: &[
        ("endpoint", |_, region| one(endpoint(region))),
        ("opt-in-status", |_, _| one("opt-in-not-required")),
        ("region-name", |_, region| one(region.slug)),
    ],
};

/// An availability zone.
struct Zone {
    region: &'static str,
    name: String,
    id: String,
}

const ZONES: List<Zone> = List {
    element: "availabilityZoneInfo",
    least: None,
    tags: |_, _| Tags::new(),
    fields: &[
        ("group-name", |_, zone| one(format!("{}-zg-1", zone.region))),
        ("opt-in-status", |_, _| one("opt-in-not-required")),
        ("region-name", |_, zone| one(zone.region)),
        ("state", |_, _| one("available")),
        ("zone-id", |_, zone| one(&zone.id)),
        ("zone-name", |_, zone| one(&zone.name)),
        ("message", |_, _| Vec::new()),
        ("parent-zone-id", |_, _| Vec::new()),
        ("parent-zone-name", |_, _| Vec::new()),
        ("zone-type", |_, _| one("availability-zone")),
    ],
};

const TYPES: List<Size> = List {
    element: "instanceTypeSet",
    least: Some(5),
    tags: |_, _| Tags::new(),
    fields: &[
        ("bare-metal", |_, _| one(false)),
        ("burstable-performance-supported", |_, _| one(true)),
        ("current-generation", |_, _| one(true)),
        ("free-tier-eligible", |_, size| one(size.slug == "t3.micro")),
        ("hypervisor", |_, _| one("nitro")),
        ("instance-type", |_, size| one(size.slug)),
        ("memory-info.size-in-mib", |_, size| one(size.memory)),
        ("processor-info.supported-architecture", |_, size| one(architecture(size.slug))),
        ("auto-recovery-supported", |_, _| one(true)),
        ("dedicated-hosts-supported", |_, _| one(false)),
        ("ebs-info.ebs-optimized-support", |_, _| one("default")),
        ("ebs-info.encryption-support", |_, _| one("supported")),
        ("ebs-info.nvme-support", |_, _| one("required")),
        ("hibernation-supported", |_, _| one(false)),
        ("instance-storage-supported", |_, _| one(false)),
        ("network-info.ena-support", |_, _| one("required")),
        ("network-info.ipv6-supported", |_, _| one(false)),
        ("network-info.maximum-network-interfaces", |_, _| one(1)),
        ("supported-boot-mode", |_, _| vec!["legacy-bios".to_owned(), "uefi".to_owned()]),
        ("supported-root-device-type", |_, _| one("ebs")),
        ("supported-usage-class", |_, _| vec!["on-demand".to_owned(), "spot".to_owned()]),
        ("supported-virtualization-type", |_, _| one("hvm")),
        ("vcpu-info.default-cores", |_, size| one(size.vcpus.div_ceil(2))),
        ("vcpu-info.default-threads-per-core", |_, _| one(2)),
        ("vcpu-info.default-vcpus", |_, size| one(size.vcpus)),
    ],
};

/// Of types and where they are.
const OFFERINGS: List<(&str, String)> = List {
    element: "instanceTypeOfferingSet",
    least: Some(5),
    tags: |_, _| Tags::new(),
    fields: &[("instance-type", |_, (kind, _)| one(kind)), ("location", |_, (_, location)| one(location))],
};

/// `DescribeRegions`.
pub(super) fn regions(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let mut all: Vec<&Region> = catalogue::REGIONS.iter().collect();
    keep(
        &call.params,
        "RegionName",
        &mut all,
        |region| region.slug.to_owned(),
        |others| invalid_value(format!("Invalid region names: [{}]", others.join(", "))),
    )?;
    call.read(|state| {
        REGIONS.answer(call, state, all, xml, |xml, region| {
            xml.text("regionName", region.slug)
                .text("regionEndpoint", endpoint(region))
                .text("optInStatus", "opt-in-not-required");
        })
    })
}

fn endpoint(region: &Region) -> String {
    format!("ec2.{}.amazonaws.com", region.slug)
}

/// `DescribeAvailabilityZones`.
pub(super) fn zones(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let region = call.region;
    let zone = |name: String| Zone { region, id: vpc::zone_id(&name), name };
    let mut all: Vec<Zone> = vpc::zones(region).into_iter().map(zone).collect();
    keep(
        &call.params,
        "ZoneName",
        &mut all,
        |zone| zone.name.clone(),
        |others| invalid_value(format!("Invalid availability zone: [{}]", others.join(", "))),
    )?;
    keep(
        &call.params,
        "ZoneId",
        &mut all,
        |zone| zone.id.clone(),
        |others| invalid_value(format!("Invalid availability zone-id: [{}]", others.join(", "))),
    )?;
    call.read(|state| {
        ZONES.answer(call, state, all, xml, |xml, zone| {
            xml.text("zoneName", &zone.name).text("zoneState", "available").text("regionName", region);
            xml.text("zoneId", &zone.id).text("optInStatus", "opt-in-not-required");
            xml.text("groupName", format!("{region}-zg-1")).text("networkBorderGroup", region);
            xml.text("zoneType", "availability-zone").node("messageSet", |_| {});
        })
    })
}

/// `DescribeInstanceTypes`.
pub(super) fn types(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let mut all: Vec<&Size> = catalogue::SIZES.iter().collect();
    keep(
        &call.params,
        "InstanceType",
        &mut all,
        |size| size.slug.to_owned(),
        |missing| {
            let message = format!("The following supplied instance types do not exist: [{}]", missing.join(", "));
            refuse("InvalidInstanceType", message)
        },
    )?;
    call.read(|state| TYPES.answer(call, state, all, xml, write_type))
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
            .text("defaultThreadsPerCore", 2)
            .texts("validCores", [size.vcpus.div_ceil(2)])
            .texts("validThreadsPerCore", [2]);
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
        xml.text("ipv4AddressesPerInterface", 1).text("ipv6AddressesPerInterface", 0);
        xml.text("ipv6Supported", false).text("enaSupport", "required").text("efaSupported", false);
        xml.text("defaultNetworkCardIndex", 0).text("maximumNetworkCards", 1);
    });
    xml.node("placementGroupInfo", |xml| {
        xml.texts("supportedStrategies", ["partition", "spread"]);
    });
    xml.text("hibernationSupported", false).text("burstablePerformanceSupported", true);
    xml.text("dedicatedHostsSupported", false).text("autoRecoverySupported", true);
    xml.texts("supportedBootModes", ["legacy-bios", "uefi"]);
}

/// `DescribeInstanceTypeOfferings`: every type is in every region and zone.
pub(super) fn offerings(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let allowed = ["region", "availability-zone", "availability-zone-id"];
    let kind = call.params.choice("LocationType", &allowed)?.unwrap_or("region");
    let zones = vpc::zones(call.region).into_iter();
    let locations: Vec<String> = match kind {
        "region" => vec![call.region.to_owned()],
        "availability-zone" => zones.collect(),
        _ => zones.map(|zone| vpc::zone_id(&zone)).collect(),
    };
    let sizes = catalogue::SIZES.iter();
    let all = sizes.flat_map(|size| locations.iter().map(|location| (size.slug, location.clone()))).collect();
    call.read(|state| {
        OFFERINGS.answer(call, state, all, xml, |xml, (slug, location)| {
            xml.text("instanceType", slug).text("locationType", kind).text("location", location);
        })
    })
}

/// `DescribeAccountAttributes`.
pub(super) fn attributes(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let limits = call.config().limits;
    let named = call.params.list("AttributeName");
    let vpc = call.read(|state| vpc::id(state, call.region));
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
