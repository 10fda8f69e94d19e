//! Tags of load balancers, listeners and target groups.

use super::refusal::{invalid, no_balancer, no_group, no_listener};
use crate::{State, call::Call, query::Params, reply::refuse, state::Tags, xml::Xml};
use remint_sandbox_cloud::{ApiError, ApiResult};

/// How many tags a resource has at most.
const MOST: usize = 50;

/// The tags of `Tags.member.N`, checked.
pub(super) fn given(params: &Params) -> ApiResult<Tags> {
    let mut tags = Tags::new();
    for tag in params.groups("Tags.member") {
        let (key, value) = (tag.given("Key").unwrap_or_default(), tag.given("Value").unwrap_or_default());
        if key.is_empty() || key.chars().count() > 128 || value.chars().count() > 256 {
            return Err(invalid("Tag keys have 1 to 128 characters, and values at most 256"));
        }
        if key.to_ascii_lowercase().starts_with("aws:") {
            return Err(invalid("Tag keys that begin with 'aws:' are reserved"));
        }
        if tags.insert(key.to_owned(), value.to_owned()).is_some() {
            return Err(refuse("DuplicateTagKeys", format!("Tag key '{key}' is given twice")));
        }
    }
    within_limit(tags.len())?;
    Ok(tags)
}

fn within_limit(tags: usize) -> ApiResult<()> {
    if tags > MOST { Err(refuse("TooManyTags", format!("A resource has at most {MOST} tags"))) } else { Ok(()) }
}

/// `AddTags`: to all of the resources, or to none of them.
pub(super) fn add(call: &Call<'_>, _: &mut Xml) -> ApiResult<()> {
    let tags = given(&call.params)?;
    if tags.is_empty() {
        return Err(invalid("At least one tag must be specified"));
    }
    call.change(|state| {
        let arns = resources(state, call)?;
        for arn in &arns {
            let mut after = state.own.tags_of(arn);
            after.extend(tags.clone());
            within_limit(after.len())?;
        }
        arns.iter().for_each(|arn| state.own.tag(arn, tags.clone()));
        Ok(())
    })
}

/// `RemoveTags`.
pub(super) fn remove(call: &Call<'_>, _: &mut Xml) -> ApiResult<()> {
    let keys = call.params.list("TagKeys.member");
    call.change(|state| {
        for arn in resources(state, call)? {
            if let Some(tags) = state.own.tags.get_mut(&arn) {
                tags.retain(|key, _| !keys.contains(&key.as_str()));
            }
        }
        Ok(())
    })
}

/// `DescribeTags`.
pub(super) fn describe(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    call.read(|state| {
        let arns = resources(state, call)?;
        if arns.len() > 20 {
            return Err(invalid("Tags of at most 20 resources can be described at once"));
        }
        xml.members("TagDescriptions", arns, |xml, arn| {
            let tags = state.own.tags_of(&arn);
            xml.text("ResourceArn", arn);
            xml.members("Tags", tags, |xml, (key, value)| {
                xml.text("Key", key).text("Value", value);
            });
        });
        Ok(())
    })
}

/// The resources of a call, all of which are there.
fn resources(state: &State, call: &Call<'_>) -> ApiResult<Vec<String>> {
    let named = call.params.list("ResourceArns.member");
    if named.is_empty() {
        return Err(invalid("At least one resource ARN must be specified"));
    }
    let check = |arn: &str| exists(state, call.region, arn).map(|()| arn.to_owned());
    named.into_iter().map(check).collect()
}

fn exists(state: &State, region: &str, arn: &str) -> Result<(), ApiError> {
    let elb = &state.own.elb;
    let kind = arn.split(':').nth(5).and_then(|resource| resource.split('/').next()).unwrap_or_default();
    let (there, absent): (bool, fn(&[&str]) -> ApiError) = match kind {
        "loadbalancer" => (elb.balancer(region, arn).is_ok(), no_balancer),
        "targetgroup" => (elb.groups.get(arn).is_some_and(|group| group.region == region), no_group),
        "listener" => (elb.listeners.contains_key(arn), no_listener),
        _ => return Err(invalid(format!("'{arn}' is not a valid ARN of a load balancer, listener or target group"))),
    };
    if there { Ok(()) } else { Err(absent(&[arn])) }
}
