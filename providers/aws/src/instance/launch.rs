//! Launching: look, and run what is missing under a token.
//!
//! The token is made of the name and the labels, so that a repetition, in this process or another, is recognised by EC2
//! whatever else differs. EC2 remembers a token longer than the instance lives: a name that is launched again after its
//! instance was terminated needs the next token of its row. Which tokens are spent, terminated instances tell for as long as
//! EC2 lists them, and EC2's answer afterwards.
//!
//! When a zone has no capacity for the size, the next zone that offers it is tried. A token is good for one subnet only, so
//! each zone has its own row of tokens. The row of the first zone names no zone: if the first zone is another one after a crash,
//! EC2 answers that the token was used for a launch elsewhere. An instance that another zone made is found by its name before
//! anything is launched.

use std::collections::BTreeSet;

use aws_sdk_ec2::types::{
    BlockDeviceMapping, EbsBlockDevice, HttpTokensState, IamInstanceProfileSpecification, InstanceInterruptionBehavior,
    InstanceMarketOptionsRequest, InstanceMetadataEndpointState, InstanceMetadataOptionsRequest,
    InstanceNetworkInterfaceSpecification, InstanceType, MarketType, ResourceType, SpotInstanceType, SpotMarketOptions,
};
use aws_smithy_types::DateTime;
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use jiff::Timestamp;
use remint_core::{
    provider::{Effect, Error, ErrorKind, Instance, InstanceState, LaunchSpec, Result, Selector, label},
    userdata::is_packed,
};
use secrecy::ExposeSecret;
use tokio::time::Instant;

use super::{Body, TAGGED, state};
use crate::{
    Aws,
    config::{is_arn, is_id},
    error::{Ask, NO_ROOM, is_about_zone, is_capacity_reason, is_code},
    network::Place,
    provider::LIMITS,
    tags,
};

const OPERATION: &str = "launch instance";
/// Tokens that are tried for one name in one launch.
const TOKENS: u32 = 20;
/// How long a spot request may launch its builder again, should Remint die before it can cancel it.
const SPOT_VALID_FOR: i64 = 6 * 3600;

/// What an image means in a region: itself, or its copy there.
#[derive(Debug, Clone)]
struct Origin {
    image: String,
    /// The image and region that it is a copy of.
    source: Option<(String, String)>,
}

/// What instances of a name that are gone tell.
#[derive(Debug, Default)]
struct Past {
    /// The tokens that made them.
    spent: BTreeSet<String>,
    /// The zones that accepted one and then had no room for it.
    full: BTreeSet<String>,
}

impl Past {
    fn add(&mut self, body: &Body) {
        self.spent.extend(body.client_token().map(str::to_owned));
        if lacked_room(body) {
            let zone = body.placement().and_then(|placement| placement.availability_zone());
            self.full.extend(zone.map(str::to_owned));
        }
    }
}

impl Aws {
    /// Costs one look and one launch; the size, the subnet and the group are looked up once in the life of the process.
    pub(super) async fn ensure_launched(&self, spec: &LaunchSpec) -> Result<Vec<Instance>> {
        check(spec)?;
        // The token does the same, across processes; this saves the losers their second look.
        let _turn = self.turns.take(spec.names.iter().map(|name| format!("instance {name}"))).await;
        let zones = self.find_offer(&spec.size, &spec.region).await?.zones;
        let mut launched = Vec::with_capacity(spec.names.len());
        for name in &spec.names {
            launched.push(self.ensure_one(spec, name, &zones).await?);
        }
        Ok(launched)
    }

    async fn ensure_one(&self, spec: &LaunchSpec, name: &str, zones: &[String]) -> Result<Instance> {
        let mut past = Past::default();
        let mut refused: Vec<(Place, Error)> = Vec::new();
        let mut origin = Origin { image: spec.image.as_str().to_owned(), source: None };
        let mut standing = self.look(spec, name, &mut past).await?;
        let mut pauses = self.settle_pauses().into_iter();
        for attempt in 0.. {
            if let Some(found) = choose(spec, name, &standing)? {
                return Ok(found);
            }
            let places = self.candidates(&spec.region, zones, spec.labels.environment_id().as_ref()).await?;
            let Some(place) = self.next_place(spec, &places, &refused, &past) else {
                return Err(self.no_room(spec, name, refused));
            };
            let other_zone = (place != &places[0]).then_some(place.zone.as_str());
            let token = next_token(spec, name, other_zone, &past.spent);
            let started = Instant::now();
            let error = match self.run(spec, name, &origin, place, &token).await {
                Ok(body) if state(&body).is_none_or(|state| state == InstanceState::Destroying) => {
                    // The token of an instance that is gone.
                    past.add(&body);
                    past.spent.insert(token);
                    if lacked_room(&body) {
                        self.memory.lock().note_full(&spec.size, &spec.region, &place.zone);
                        refused.push((place.clone(), Error::new(ErrorKind::Capacity, OPERATION, reason(&body))));
                    }
                    continue;
                }
                Ok(body) => return self.remember_launched(&spec.region, &body, &spec.labels),
                Err(error) => error,
            };
            if is_code(&error, "IdempotentParameterMismatch") || is_code(&error, "IdempotentInstanceTerminated") {
                // Launched otherwise by somebody else a moment ago, or long gone.
                standing = self.look_again(spec, name, &mut past).await?;
                past.spent.insert(token);
            } else if error.effect() != Effect::NotApplied {
                tracing::warn!(%error, elapsed = ?started.elapsed(), "looking whether the launch took effect");
                standing = self.look_again(spec, name, &mut past).await.map_err(|e| e.with_effect(Effect::Unknown))?;
                if choose(spec, name, &standing)?.is_none() {
                    return Err(error);
                }
            } else if error.kind() == ErrorKind::NotFound && origin.source.is_none() && error.message().contains("AMI")
            {
                origin = self.copy_for(spec).await?.ok_or_else(|| no_image(spec, error))?;
            } else if is_code(&error, "InvalidGroup.NotFound") || is_code(&error, "InvalidSecurityGroupID.NotFound") {
                // The group may have been made a moment ago, or deleted since it was found.
                self.networks.forget(&spec.region).await;
                let Some(pause) = pauses.next() else { return Err(error) };
                tokio::time::sleep(pause).await;
            } else if is_about_zone(&error) {
                // Had an attempt whose reply was lost made an instance, its token would have been answered with it.
                tracing::warn!(%error, zone = place.zone, "this zone does not give the size now");
                self.memory.lock().note_full(&spec.size, &spec.region, &place.zone);
                refused.push((place.clone(), error));
            } else {
                return Err(error);
            }
            if attempt >= TOKENS {
                return Err(error_of_tokens(name));
            }
        }
        Err(error_of_tokens(name))
    }

    /// The instances of a name that stand; notes what those that are gone tell.
    async fn look(&self, spec: &LaunchSpec, name: &str, past: &mut Past) -> Result<Vec<Instance>> {
        let filter = tags::filter(format!("tag:{}", tags::NAME), name);
        let bodies = self.describe(OPERATION, &spec.region, vec![filter]).await?;
        bodies.iter().filter(|body| state(body).is_none()).for_each(|body| past.add(body));
        let mut standing: Vec<Instance> = bodies.iter().filter_map(|body| self.instance(&spec.region, body)).collect();
        let memory = self.memory.lock();
        for (id, seen) in &memory.instances {
            let same = seen.instance.name == name && seen.instance.region == spec.region;
            let listed = standing.iter().any(|instance| instance.id.as_str() == id);
            if same && !listed && memory.unlisted(id, self.settings.grace).is_some() {
                standing.push(seen.instance.clone());
            }
        }
        // Names are not unique in EC2: what carries no label of Remint's is somebody else's.
        standing.retain(|instance| instance.name == name && !instance.labels.0.is_empty());
        Ok(standing)
    }

    /// Looks until the name is there, or until the list has had time to settle.
    async fn look_again(&self, spec: &LaunchSpec, name: &str, past: &mut Past) -> Result<Vec<Instance>> {
        let mut standing = Vec::new();
        for pause in self.settle_pauses() {
            tokio::time::sleep(pause).await;
            standing = self.look(spec, name, past).await?;
            if !standing.is_empty() {
                break;
            }
        }
        Ok(standing)
    }

    /// The copy of an image that is not in the region of the launch.
    async fn copy_for(&self, spec: &LaunchSpec) -> Result<Option<Origin>> {
        let copies = self.copies_in(OPERATION, &spec.region, spec.image.as_str()).await?;
        Ok(copies.iter().find(|copy| crate::image::is_available(copy)).and_then(|copy| {
            let region = tags::value(copy.tags(), tags::SOURCE_REGION)?.to_owned();
            let source = Some((spec.image.as_str().to_owned(), region));
            Some(Origin { image: copy.image_id()?.to_owned(), source })
        }))
    }

    async fn run(&self, spec: &LaunchSpec, name: &str, origin: &Origin, place: &Place, token: &str) -> Result<Body> {
        let mut all = tags::tags(OPERATION, &spec.labels)?;
        all.push(tags::tag(tags::NAME, name));
        if let Some((image, region)) = &origin.source {
            all.extend([tags::tag(tags::SOURCE, image), tags::tag(tags::SOURCE_REGION, region)]);
        }
        all.extend(self.own_tags());
        let interface = InstanceNetworkInterfaceSpecification::builder()
            .device_index(0)
            .associate_public_ip_address(true)
            .delete_on_termination(true)
            .subnet_id(&place.subnet)
            .set_groups(Some(place.groups.clone()))
            .build();
        // Version 1 of the metadata service answers whoever gets a program of the instance to ask.
        let metadata = InstanceMetadataOptionsRequest::builder()
            .http_endpoint(InstanceMetadataEndpointState::Enabled)
            .http_tokens(HttpTokensState::Required)
            .build();
        let mut request = self
            .client
            .ec2(&spec.region)
            .run_instances()
            .client_token(token)
            .min_count(1)
            .max_count(1)
            .image_id(&origin.image)
            .instance_type(InstanceType::from(spec.size.as_str()))
            .network_interfaces(interface)
            .metadata_options(metadata);
        for kind in TAGGED {
            request = request.tag_specifications(tags::on_create(kind, &all));
        }
        if let Some(data) = &spec.user_data {
            let text = data.expose_secret();
            // What is compressed comes in base64 already.
            request = request.user_data(if is_packed(text) { text.to_owned() } else { BASE64.encode(text) });
        }
        let config = &self.settings.config;
        if let Some(profile) = &config.instance_profile {
            let named = IamInstanceProfileSpecification::builder();
            let named = if is_arn(profile) { named.arn(profile) } else { named.name(profile) };
            request = request.iam_instance_profile(named.build());
        }
        if config.encrypt || config.disk_gib.is_some() {
            let device = self.root_device(OPERATION, &spec.region, &origin.image).await?;
            let size = config.disk_gib.and_then(|gib| i32::try_from(gib).ok());
            let disk = EbsBlockDevice::builder()
                .set_volume_size(size)
                .set_encrypted(config.encrypt.then_some(true))
                .delete_on_termination(true)
                .build();
            request =
                request.block_device_mappings(BlockDeviceMapping::builder().device_name(device).ebs(disk).build());
        }
        if self.is_spot(spec) {
            request = request
                .instance_market_options(spot())
                .tag_specifications(tags::on_create(ResourceType::SpotInstancesRequest, &all));
        }
        let ask = Ask::idempotent(OPERATION).about(name);
        let answer = self.client.call(&ask, || request.clone().send()).await?;
        answer.instances.unwrap_or_default().into_iter().next().ok_or_else(|| {
            ask.error(ErrorKind::Unexpected, "the API's answer leaves it out").with_effect(Effect::Applied)
        })
    }

    /// Where to launch next: the first place that has not refused. Those that had no room a moment ago come last: that saves
    /// calls, and a launch that is begun again because nobody waited for it goes where it went before.
    fn next_place<'a>(
        &self,
        spec: &LaunchSpec,
        places: &'a [Place],
        refused: &[(Place, Error)],
        past: &Past,
    ) -> Option<&'a Place> {
        let memory = self.memory.lock();
        let grace = self.settings.grace;
        let left = || places.iter().filter(|place| refused.iter().all(|(other, _)| other.zone != place.zone));
        let has_room = |place: &&Place| {
            !past.full.contains(&place.zone) && !memory.is_full(&spec.size, &spec.region, &place.zone, grace)
        };
        left().find(has_room).or_else(|| left().next())
    }

    fn is_spot(&self, spec: &LaunchSpec) -> bool {
        self.settings.config.spot_builders && spec.labels.get(label::ROLE) == Some("builder")
    }

    /// The error of a launch that every zone has refused, with what each of them said.
    fn no_room(&self, spec: &LaunchSpec, name: &str, mut refused: Vec<(Place, Error)>) -> Error {
        let code = |error: &Error| error.message().split(':').next().unwrap_or_default().to_owned();
        let all: Vec<String> =
            refused.iter().map(|(place, error)| format!("{}: {}", place.zone, code(error))).collect();
        let full = refused.iter().any(|(_, error)| error.kind() == ErrorKind::Capacity);
        let kind = if full { ErrorKind::Capacity } else { ErrorKind::InvalidInput };
        let message = format!("no zone that was tried gives {} now ({})", spec.size, all.join("; "));
        let error = Error::new(kind, OPERATION, message).with_resource(name);
        let Some((place, last)) = refused.pop() else { return error.with_hint(NO_ROOM) };
        let mut hint = String::new();
        if self.is_spot(spec) {
            hint.push_str("leave out `spot_builders`, or ");
        }
        if place.pinned {
            hint.push_str("name a `subnet` of another zone, or leave it out, or ");
        }
        hint.push_str(NO_ROOM);
        error.with_hint(hint).with_source(last)
    }
}

/// Only a persistent request's instance can be stopped, which a capture needs; destroying it cancels the request.
fn spot() -> InstanceMarketOptionsRequest {
    let options = SpotMarketOptions::builder()
        .spot_instance_type(SpotInstanceType::Persistent)
        .instance_interruption_behavior(InstanceInterruptionBehavior::Stop)
        .valid_until(DateTime::from_secs(Timestamp::now().as_second() + SPOT_VALID_FOR))
        .build();
    InstanceMarketOptionsRequest::builder().market_type(MarketType::Spot).spot_options(options).build()
}

/// Refuses what EC2 would refuse, before anything is asked.
fn check(spec: &LaunchSpec) -> Result<()> {
    spec.check(OPERATION, &LIMITS)?;
    let invalid = |problem: String| Err(Error::new(ErrorKind::InvalidInput, OPERATION, problem));
    if !spec.login_keys.is_empty() {
        return invalid("keys are not registered on AWS; user data installs them".to_owned());
    }
    if !is_id(spec.image.as_str(), "ami-") {
        return invalid(format!("`{}` is not an AMI's id", spec.image));
    }
    tags::tags(OPERATION, &spec.labels).map(drop)
}

/// Whether an instance is gone because there was no room for it.
fn lacked_room(body: &Body) -> bool {
    body.state_reason().and_then(|reason| reason.code()).is_some_and(is_capacity_reason)
}

fn reason(body: &Body) -> String {
    body.state_reason().and_then(|reason| reason.message()).unwrap_or_default().to_owned()
}

/// The first token of a name's row that no instance of the past has spent. Zones after the first have rows of their own.
pub(super) fn next_token(spec: &LaunchSpec, name: &str, zone: Option<&str>, spent: &BTreeSet<String>) -> String {
    let row = |number: u32| {
        let number = number.to_string();
        let mut parts = vec!["launch", name, number.as_str()];
        parts.extend(zone.into_iter().flat_map(|zone| ["zone", zone]));
        parts.extend(spec.labels.iter().flat_map(|(key, value)| [key, value]));
        tags::token(&parts)
    };
    (0..).map(row).find(|token| !spent.contains(token)).unwrap_or_default()
}

/// The instance that a name means, or `None` when it has to be launched. Of several, the first made that stays.
fn choose(spec: &LaunchSpec, name: &str, standing: &[Instance]) -> Result<Option<Instance>> {
    let wanted = Selector(spec.labels.0.clone());
    if let Some(other) = standing.iter().find(|instance| !instance.labels.matches(&wanted)) {
        let message = format!("instance {} has this name and other labels", other.id);
        return Err(Error::new(ErrorKind::Conflict, OPERATION, message)
            .with_resource(name)
            .with_hint("destroy that instance, or rename the service"));
    }
    let stays = standing.iter().filter(|instance| instance.state != InstanceState::Destroying);
    match stays.min_by(|a, b| a.created_at.cmp(&b.created_at).then_with(|| a.id.cmp(&b.id))) {
        Some(found) => Ok(Some(found.clone())),
        None if standing.is_empty() => Ok(None),
        None => {
            let message = "an instance of this name is still being destroyed";
            Err(Error::new(ErrorKind::Busy, OPERATION, message).with_resource(name))
        }
    }
}

fn no_image(spec: &LaunchSpec, error: Error) -> Error {
    let message = format!("image {} is not in region {}, nor a copy of it", spec.image, spec.region);
    Error::new(ErrorKind::InvalidInput, OPERATION, message)
        .with_hint("bake it there, or copy it: `copy_to` in `[providers.aws]`")
        .with_source(error)
}

fn error_of_tokens(name: &str) -> Error {
    let message = format!("{TOKENS} tokens of this name belong to instances that are gone");
    Error::new(ErrorKind::Conflict, OPERATION, message)
        .with_resource(name)
        .with_hint("rename the service, or come back in a day, when EC2 has forgotten them")
}
