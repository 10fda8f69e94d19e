//! Launching: look, and run what is missing under a token.
//!
//! The token is made of the name and the labels, so that a repetition, in this process or another, is recognised by EC2
//! whatever else differs. EC2 remembers a token longer than the instance lives: a name that is launched again after its
//! instance was terminated needs the next token of its row. Which tokens are spent, terminated instances tell for as long as
//! EC2 lists them, and EC2's answer afterwards.

use std::collections::BTreeSet;

use aws_sdk_ec2::types::{
    BlockDeviceMapping, EbsBlockDevice, HttpTokensState, InstanceInterruptionBehavior, InstanceMarketOptionsRequest,
    InstanceMetadataEndpointState, InstanceMetadataOptionsRequest, InstanceNetworkInterfaceSpecification, InstanceType,
    MarketType, ResourceType, SpotInstanceType, SpotMarketOptions,
};
use aws_smithy_types::DateTime;
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use jiff::Timestamp;
use remint_core::provider::{Effect, Error, ErrorKind, Instance, InstanceState, LaunchSpec, Result, Selector, label};
use secrecy::ExposeSecret;
use tokio::time::Instant;

use super::{Body, TAGGED, state};
use crate::{
    Aws,
    config::is_id,
    error::{Ask, is_code},
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

impl Aws {
    /// Costs one look and one launch; the size, the subnet and the group are looked up once in the life of the process.
    pub(super) async fn ensure_launched(&self, spec: &LaunchSpec) -> Result<Vec<Instance>> {
        check(spec)?;
        // The token does the same, across processes; this saves the losers their second look.
        let _turn = self.turns.take(spec.names.iter().map(|name| format!("instance {name}"))).await;
        let (_, zones) = self.find_shape(&spec.size, &spec.region).await?;
        let mut launched = Vec::with_capacity(spec.names.len());
        for name in &spec.names {
            launched.push(self.ensure_one(spec, name, &zones).await?);
        }
        Ok(launched)
    }

    async fn ensure_one(&self, spec: &LaunchSpec, name: &str, zones: &[String]) -> Result<Instance> {
        let mut spent = BTreeSet::new();
        let mut origin = Origin { image: spec.image.as_str().to_owned(), source: None };
        let mut standing = self.look(spec, name, &mut spent).await?;
        let mut pauses = self.settle_pauses().into_iter();
        for attempt in 0.. {
            if let Some(found) = choose(spec, name, &standing)? {
                return Ok(found);
            }
            let place = self.place(&spec.region, zones, spec.labels.environment_id().as_ref()).await?;
            let token = next_token(spec, name, &spent);
            let started = Instant::now();
            let error = match self.run(spec, name, &origin, &place, &token).await {
                Ok(body) if state(&body).is_none_or(|state| state == InstanceState::Destroying) => {
                    // The token of an instance that is gone.
                    spent.insert(token);
                    continue;
                }
                Ok(body) => return self.remember_launched(&spec.region, &body, &spec.labels),
                Err(error) => error,
            };
            if is_code(&error, "IdempotentParameterMismatch") || is_code(&error, "IdempotentInstanceTerminated") {
                // Launched otherwise by somebody else a moment ago, or long gone.
                standing = self.look_again(spec, name, &mut spent).await?;
                spent.insert(token);
            } else if error.effect() != Effect::NotApplied {
                tracing::warn!(%error, elapsed = ?started.elapsed(), "looking whether the launch took effect");
                standing = self.look_again(spec, name, &mut spent).await.map_err(|e| e.with_effect(Effect::Unknown))?;
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
            } else {
                return Err(error);
            }
            if attempt >= TOKENS {
                return Err(error_of_tokens(name));
            }
        }
        Err(error_of_tokens(name))
    }

    /// The instances of a name that stand; notes the tokens of those that are gone.
    async fn look(&self, spec: &LaunchSpec, name: &str, spent: &mut BTreeSet<String>) -> Result<Vec<Instance>> {
        let filter = tags::filter(format!("tag:{}", tags::NAME), name);
        let bodies = self.describe(OPERATION, &spec.region, vec![filter]).await?;
        let gone = bodies.iter().filter(|body| state(body).is_none());
        spent.extend(gone.filter_map(Body::client_token).map(str::to_owned));
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
    async fn look_again(&self, spec: &LaunchSpec, name: &str, spent: &mut BTreeSet<String>) -> Result<Vec<Instance>> {
        let mut standing = Vec::new();
        for pause in self.settle_pauses() {
            tokio::time::sleep(pause).await;
            standing = self.look(spec, name, spent).await?;
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
        let interface = InstanceNetworkInterfaceSpecification::builder()
            .device_index(0)
            .associate_public_ip_address(true)
            .delete_on_termination(true)
            .subnet_id(&place.subnet)
            .groups(&place.group)
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
            request = request.user_data(BASE64.encode(data.expose_secret()));
        }
        let config = &self.settings.config;
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
        if config.spot_builders && spec.labels.get(label::ROLE) == Some("builder") {
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

/// The first token of a name's row that no instance of the past has spent.
pub(super) fn next_token(spec: &LaunchSpec, name: &str, spent: &BTreeSet<String>) -> String {
    let row = |number: u32| {
        let number = number.to_string();
        let mut parts = vec!["launch", name, number.as_str()];
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
