//! Where moto does otherwise than AWS.

use remint_conformance::Exemption;

/// The last day on which moto's ways are excused: then somebody looks whether they still are its ways.
const UNTIL: jiff::civil::Date = jiff::civil::date(2027, 6, 30);

/// The case, what moto does, and where that is to be read.
const KNOWN: &[(&str, &str, &str)] = &[];

pub(crate) fn exemptions() -> Vec<Exemption> {
    let excuse = |(case, reason, link): &(&str, &str, &str)| Exemption {
        case: (*case).to_owned(),
        reason: (*reason).to_owned(),
        link: (*link).to_owned(),
        until: UNTIL,
    };
    KNOWN.iter().map(excuse).collect()
}
