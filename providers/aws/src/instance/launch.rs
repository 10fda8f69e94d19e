//! Launching: look, and run what is missing under a token.
//!
//! The token is made of the name and the labels, so that a repetition, in this process or another, is recognised by EC2
//! whatever else differs. EC2 remembers a token longer than the instance lives: a name that is launched again after its
//! instance was terminated needs the next token of its row. Which tokens are spent, terminated instances tell for as long as
//! EC2 lists them, and EC2's answer afterwards.
//!
//! Each of several instances begins with another zone, by the number in its name. When a zone has no capacity for the size, the next
//! zone that offers it is tried. A token is good for one subnet only, so each zone has its own row of tokens. The row of the first
//! zone names no zone: if the first zone is another one after a crash, EC2 answers that the token was used for a launch elsewhere.
//! An instance that another zone made is found by its name before anything is launched.

use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use aws_sdk_ec2::types::{
    BlockDeviceMapping, EbsBlockDevice, HttpTokensState, IamInstanceProfileSpecification, InstanceInterruptionBehavior,
    InstanceMarketOptionsRequest, InstanceMetadataEndpointState, InstanceMetadataOptionsRequest,
    InstanceNetworkInterfaceSpecification, InstanceType, MarketType, ResourceType, SpotInstanceType, SpotMarketOptions,
};
use aws_smithy_types::DateTime;
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use jiff::Timestamp;
use remint_core::provider::{
    Effect, Error, ErrorKind, Instance, InstanceState, LaunchSpec, Result, Selector, is_packed, label,
    support::{Call, CreateOnce, Seen, pauses},
};
use secrecy::ExposeSecret;

use super::{Body, TAGGED, state};
use crate::{
    Aws,
    error::{NO_ROOM, is_about_zone, is_capacity_reason},
    ids::{is_arn, is_id},
    networks::Place,
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

/// What exists under a name, or what a token has launched.
#[derive(Debug)]
enum Launch {
    Exists(Instance),
    /// The token has launched this, and it is gone.
    Gone(Box<Body>),
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
        let past = Mutex::new(Past::default());
        let look = || self.look(spec, name, &past);
        if let Seen::There(Launch::Exists(found)) = look().await? {
            return Ok(found);
        }
        let call = Call::idempotent(OPERATION).about(name);
        let mut refused: Vec<(Place, Error)> = Vec::new();
        let mut origin = Origin { image: spec.image.as_str().to_owned(), source: None };
        let mut pauses = pauses(self.settings.settle);
        for _ in 0..=TOKENS {
            let mut places = self.candidates(&spec.region, zones, spec.labels.environment_id().as_ref()).await?;
            spread(&mut places, name);
            let Some((place, token)) = self.next_place(spec, name, &places, &refused, &lock(&past)) else {
                return Err(self.no_room(spec, name, refused));
            };
            let create = |()| self.launch_one(spec, &call, &origin, place, &token);
            let once = CreateOnce::new(&call, self.settings.settle).taken(is_spent);
            let error = match once.run_from(Seen::Missing(()), look, create).await {
                Ok(Launch::Exists(instance)) => return Ok(instance),
                Ok(Launch::Gone(body)) => {
                    let mut past = lock(&past);
                    past.add(&body);
                    past.spent.insert(token);
                    if lacked_room(&body) {
                        self.memory.lock().note_full(&spec.size, &spec.region, &place.zone);
                        refused.push((place.clone(), Error::new(ErrorKind::Capacity, OPERATION, reason(&body))));
                    }
                    continue;
                }
                Err(error) => error,
            };
            let no_image = error.code().is_some_and(|code| code.starts_with("InvalidAMIID."));
            if is_spent(&error) {
                lock(&past).spent.insert(token);
            } else if no_image && origin.source.is_none() {
                origin = self.copy_for(spec).await?.ok_or_else(|| self::no_image(spec, error))?;
            } else if error.is_code("InvalidGroup.NotFound") || error.is_code("InvalidSecurityGroupID.NotFound") {
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
        }
        Err(error_of_tokens(name))
    }

    /// The instance of a name, if one exists; notes what those that are gone tell.
    async fn look(&self, spec: &LaunchSpec, name: &str, past: &Mutex<Past>) -> Result<Seen<Launch>> {
        let filter = tags::filter(format!("tag:{}", tags::NAME), name);
        let bodies = self.describe(OPERATION, &spec.region, vec![filter]).await?;
        bodies.iter().filter(|body| state(body).is_none()).for_each(|body| lock(past).add(body));
        let mut standing: Vec<Instance> = bodies.iter().filter_map(|body| self.instance(&spec.region, body)).collect();
        let same = |instance: &Instance| instance.name == name && instance.region == spec.region;
        self.memory.lock().instances.complete(&mut standing, self.settings.grace, same);
        // Names are not unique in EC2: what carries no label of Remint's is somebody else's.
        standing.retain(|instance| instance.name == name && !instance.labels.0.is_empty());
        Ok(choose(spec, name, &standing)?.map(Launch::Exists).into())
    }

    /// One request to launch, under one token.
    async fn launch_one(
        &self,
        spec: &LaunchSpec,
        call: &Call,
        origin: &Origin,
        place: &Place,
        token: &str,
    ) -> Result<Launch> {
        let body = self.run(spec, call, origin, place, token).await?;
        if state(&body).is_none_or(|state| state == InstanceState::Destroying) {
            return Ok(Launch::Gone(Box::new(body)));
        }
        self.remember_launched(&spec.region, &body, &spec.labels).map(Launch::Exists)
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

    async fn run(&self, spec: &LaunchSpec, call: &Call, origin: &Origin, place: &Place, token: &str) -> Result<Body> {
        let name = call.resource.as_deref().unwrap_or_default();
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
        let answer = self.client.call(call, || request.clone().send()).await?;
        let left_out = || call.failed(ErrorKind::Unexpected, Effect::Applied, "the API's answer leaves it out");
        answer.instances.unwrap_or_default().into_iter().next().ok_or_else(left_out)
    }

    /// Where to launch next, and under which token: the first place that has not refused. Those that had no room a moment ago come
    /// last: that saves calls, and a launch that is begun again because nobody waited for it goes where it went before.
    fn next_place<'a>(
        &self,
        spec: &LaunchSpec,
        name: &str,
        places: &'a [Place],
        refused: &[(Place, Error)],
        past: &Past,
    ) -> Option<(&'a Place, String)> {
        let memory = self.memory.lock();
        let grace = self.settings.grace;
        let left = || places.iter().filter(|place| refused.iter().all(|(other, _)| other.zone != place.zone));
        let has_room = |place: &&Place| {
            !past.full.contains(&place.zone) && !memory.is_full(&spec.size, &spec.region, &place.zone, grace)
        };
        let place = left().find(has_room).or_else(|| left().next())?;
        let other_zone = (place != &places[0]).then_some(place.zone.as_str());
        Some((place, next_token(spec, name, other_zone, &past.spent)))
    }

    fn is_spot(&self, spec: &LaunchSpec) -> bool {
        self.settings.config.spot_builders && spec.labels.get(label::ROLE) == Some("builder")
    }

    /// The error of a launch that every zone has refused, with what each of them said.
    fn no_room(&self, spec: &LaunchSpec, name: &str, mut refused: Vec<(Place, Error)>) -> Error {
        let said = |error: &Error| error.code().unwrap_or(error.message()).to_owned();
        let all: Vec<String> =
            refused.iter().map(|(place, error)| format!("{}: {}", place.zone, said(error))).collect();
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

/// Puts the zones in another order for each of several instances, by the number at the end of its name: they are not all lost with
/// one zone. A launch that is begun again has the same order.
fn spread(places: &mut [Place], name: &str) {
    let number = name.rsplit('-').next().and_then(|number| number.parse::<usize>().ok()).unwrap_or_default();
    if !places.is_empty() {
        places.rotate_left(number % places.len());
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

/// Whether a token was used by somebody else a moment ago for another launch, or by an instance that is long gone.
fn is_spent(error: &Error) -> bool {
    error.is_code("IdempotentParameterMismatch") || error.is_code("IdempotentInstanceTerminated")
}

fn lock(past: &Mutex<Past>) -> MutexGuard<'_, Past> {
    past.lock().unwrap_or_else(PoisonError::into_inner)
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
