//! Where moto does otherwise than AWS.

use remint_conformance::Exemption;

/// The last day on which moto's ways are excused: then somebody looks whether they still are its ways.
const UNTIL: jiff::civil::Date = jiff::civil::date(2027, 6, 30);

/// The case, what moto does, and where that is to be read.
const KNOWN: &[(&str, &str, &str)] = &[
    ("images.copy", UNTAGGED, AMIS),
    ("images.copy_launch", UNTAGGED, AMIS),
    ("images.copy_deleted", UNTAGGED, AMIS),
    ("idempotency.copy", UNTAGGED, AMIS),
    ("deletion.image_launch", "moto launches from AMIs that were deregistered", INSTANCES),
    ("load_balancers.endpoint", "load balancers have no network interfaces, and so no addresses", BALANCERS),
    ("static_ips.outlives", "an Elastic IP still points at its instance when that is terminated", INSTANCES),
];

const UNTAGGED: &str = "moto's CopyImage drops the tags by which a copy is recognised";
const AMIS: &str = "https://github.com/getmoto/moto/blob/5.2.5/moto/ec2/models/amis.py";
const BALANCERS: &str = "https://github.com/getmoto/moto/blob/5.2.5/moto/elbv2/models.py";
const INSTANCES: &str = "https://github.com/getmoto/moto/blob/5.2.5/moto/ec2/models/instances.py";

pub(crate) fn exemptions() -> Vec<Exemption> {
    let excuse = |(case, reason, link): &(&str, &str, &str)| Exemption {
        case: (*case).to_owned(),
        reason: (*reason).to_owned(),
        link: (*link).to_owned(),
        until: UNTIL,
    };
    KNOWN.iter().map(excuse).collect()
}
