//! Hosted zones.

use serde::Deserialize;

use super::{
    changes, name,
    request::{Query, read_xml},
    zone::{find, name_servers, new_zone, no_zone, serve},
};
use crate::{
    Cloud,
    reply::{Answer, refuse},
    state::Zone,
    xml::Xml,
};
use remint_sandbox_cloud::{ApiError, ApiResult};

/// How many zones a page has at most.
const PAGE: usize = 100;

/// The body of `CreateHostedZone`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct NewZone {
    name: String,
    caller_reference: String,
    hosted_zone_config: Option<ZoneConfig>,
    #[serde(rename = "VPC")]
    vpc: Option<serde::de::IgnoredAny>,
    delegation_set_id: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ZoneConfig {
    comment: Option<String>,
    private_zone: Option<bool>,
}

/// `CreateHostedZone`.
pub(super) async fn create(cloud: &Cloud, body: &[u8]) -> ApiResult<Answer> {
    let request: NewZone = read_xml(body)?;
    let private =
        request.vpc.is_some() || request.hosted_zone_config.as_ref().is_some_and(|c| c.private_zone == Some(true));
    if private || request.delegation_set_id.is_some() {
        return Err(refuse("InvalidInput", "The sandbox has no private zones and no reusable delegation sets."));
    }
    let name = request.name.trim_end_matches('.').to_ascii_lowercase();
    if !name::is_zone(&name) {
        return Err(refuse("InvalidDomainName", format!("{} is not a valid domain name", request.name)));
    }
    if request.caller_reference.is_empty() || request.caller_reference.len() > 128 {
        return Err(refuse("InvalidInput", "CallerReference is of 1 to 128 characters"));
    }
    let comment = request.hosted_zone_config.and_then(|config| config.comment).unwrap_or_default();
    let (zone, change) = cloud.change(|state| {
        if state.own.zones.values().any(|zone| zone.reference == request.caller_reference) {
            let message = format!(
                "A hosted zone has already been created with the specified caller reference: {}",
                request.caller_reference
            );
            return Err(ApiError { status: 409, id: "HostedZoneAlreadyExists", message });
        }
        let zone = new_zone(&name, &request.caller_reference, &comment);
        state.own.zones.insert(zone.id.clone(), zone.clone());
        serve(state, &name);
        Ok((zone, changes::begin(state, cloud.config(), &name, None)))
    })?;
    cloud.tell_zone(&name).await;
    let mut xml = Xml::default();
    write_zone(&mut xml, &zone);
    changes::write_begun(&mut xml, &change);
    write_servers(&mut xml, &zone);
    Ok(Answer::Created(xml, format!("https://route53.amazonaws.com/2013-04-01/hostedzone/{}", zone.id)))
}

/// `GetHostedZone`.
pub(super) fn get(cloud: &Cloud, id: &str) -> ApiResult<Answer> {
    cloud.read(|state| {
        let zone = find(state, id)?;
        let mut xml = Xml::default();
        write_zone(&mut xml, zone);
        write_servers(&mut xml, zone);
        Ok(Answer::Xml(xml))
    })
}

/// `GetHostedZoneCount`.
pub(super) fn count(cloud: &Cloud) -> ApiResult<Answer> {
    let mut xml = Xml::default();
    xml.text("HostedZoneCount", cloud.read(|state| state.own.zones.len()));
    Ok(Answer::Xml(xml))
}

/// `GetDNSSEC`: no zone is signed.
pub(super) fn dnssec(cloud: &Cloud, id: &str) -> ApiResult<Answer> {
    of_zone(cloud, id, |xml| {
        xml.node("Status", |xml| {
            xml.text("ServeSignature", "NOT_SIGNING");
        });
        xml.node("KeySigningKeys", |_| {});
    })
}

/// `ListVPCAssociationAuthorizations`: no zone is private.
pub(super) fn authorizations(cloud: &Cloud, id: &str) -> ApiResult<Answer> {
    of_zone(cloud, id, |xml| {
        xml.text("HostedZoneId", id).node("VPCs", |_| {});
    })
}

/// `ListTagsForResource`: a zone cannot be given tags.
pub(super) fn tags(cloud: &Cloud, id: &str) -> ApiResult<Answer> {
    of_zone(cloud, id, |xml| {
        xml.node("ResourceTagSet", |xml| {
            xml.text("ResourceType", "hostedzone").text("ResourceId", id).node("Tags", |_| {});
        });
    })
}

/// What can be said of any zone that is there.
fn of_zone(cloud: &Cloud, id: &str, write: impl FnOnce(&mut Xml)) -> ApiResult<Answer> {
    cloud.read(|state| find(state, id).map(drop))?;
    let mut xml = Xml::default();
    write(&mut xml);
    Ok(Answer::Xml(xml))
}

/// `DeleteHostedZone`: only when nothing but its own NS and SOA sets is in it.
pub(super) async fn delete(cloud: &Cloud, id: &str) -> ApiResult<Answer> {
    let (name, change) = cloud.change(|state| {
        let zone = find(state, id)?;
        let name = zone.name.clone();
        if zone.sets.len() > 2 {
            let message =
                "The specified hosted zone contains non-required resource record sets and so cannot be deleted.";
            return Err(refuse("HostedZoneNotEmpty", message));
        }
        state.own.zones.remove(id);
        serve(state, &name);
        let change = changes::begin(state, cloud.config(), &name, None);
        Ok((name, change))
    })?;
    cloud.tell_zone(&name).await;
    let mut xml = Xml::default();
    changes::write_begun(&mut xml, &change);
    Ok(Answer::Xml(xml))
}

/// `ListHostedZones`.
pub(super) fn list(cloud: &Cloud, query: &Query) -> ApiResult<Answer> {
    let most = query.max_items(PAGE)?;
    cloud.read(|state| {
        let mut all: Vec<&Zone> = state.own.zones.values().collect();
        all.sort_by_key(|zone| (zone.created_at, &zone.id));
        let marker = query.get("marker");
        let start = match marker {
            None => 0,
            Some(id) => all.iter().position(|zone| zone.id == id).ok_or_else(|| no_zone(id))?,
        };
        let next = all.get(start + most);
        let mut xml = Xml::default();
        xml.node("HostedZones", |xml| all.iter().skip(start).take(most).for_each(|zone| write_zone(xml, zone)));
        xml.maybe("Marker", marker).text("IsTruncated", next.is_some());
        xml.maybe("NextMarker", next.map(|zone| &zone.id)).text("MaxItems", most);
        Ok(Answer::Xml(xml))
    })
}

/// `ListHostedZonesByName`: in the order of their names, from one on.
pub(super) fn list_by_name(cloud: &Cloud, query: &Query) -> ApiResult<Answer> {
    let most = query.max_items(PAGE)?;
    let (dns_name, zone_id) = (query.get("dnsname"), query.get("hostedzoneid"));
    let from = match dns_name {
        None => None,
        Some(text) => {
            let bad = || refuse("InvalidDomainName", format!("{text} is not a valid domain name"));
            Some((name::order(&name::normal(text).ok_or_else(bad)?), zone_id.unwrap_or_default().to_owned()))
        }
    };
    cloud.read(|state| {
        let key = |zone: &Zone| (name::order(&zone.name), zone.id.clone());
        let mut all: Vec<&Zone> = state.own.zones.values().collect();
        all.sort_by_key(|zone| key(zone));
        all.retain(|zone| from.as_ref().is_none_or(|from| key(zone) >= *from));
        let next = all.get(most);
        let mut xml = Xml::default();
        xml.node("HostedZones", |xml| all.iter().take(most).for_each(|zone| write_zone(xml, zone)));
        xml.maybe("DNSName", dns_name).maybe("HostedZoneId", zone_id).text("IsTruncated", next.is_some());
        xml.maybe("NextDNSName", next.map(|zone| format!("{}.", zone.name)));
        xml.maybe("NextHostedZoneId", next.map(|zone| &zone.id)).text("MaxItems", most);
        Ok(Answer::Xml(xml))
    })
}

fn write_zone(xml: &mut Xml, zone: &Zone) {
    xml.node("HostedZone", |xml| {
        xml.text("Id", format!("/hostedzone/{}", zone.id)).text("Name", format!("{}.", zone.name));
        xml.text("CallerReference", &zone.reference).node("Config", |xml| {
            xml.maybe("Comment", Some(&zone.comment).filter(|comment| !comment.is_empty())).text("PrivateZone", false);
        });
        xml.text("ResourceRecordSetCount", zone.sets.len());
    });
}

fn write_servers(xml: &mut Xml, zone: &Zone) {
    xml.node("DelegationSet", |xml| {
        xml.node("NameServers", |xml| {
            name_servers(&zone.id).iter().for_each(|server| {
                xml.text("NameServer", server);
            });
        });
    });
}
