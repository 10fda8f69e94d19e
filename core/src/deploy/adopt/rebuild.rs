//! From what is in the cloud to the journal that would have left it so.

use std::collections::BTreeMap;

use super::{
    look::Found,
    report::{AdoptedAddress, AdoptedInstance, AdoptedRelease, Adoption},
};
use crate::{
    clock,
    context::Context,
    deploy::{
        EngineError, EngineErrorKind,
        observe::{ROLE_INSTANCE, Wanted},
    },
    journal::{
        DnsChange, Entry, EntryRecord, EnvironmentRecord, Holder, Identity, Owned, OwnedStaticIp, Phase, Rebuilt,
        Release, ReleaseRecord, Resource, Resources, Runs, ServiceRecord, Superseded,
    },
    manifest::{Retire, StaticIpChoice},
    provider::{
        Capability, Fingerprint, Image, ImageId, Instance, InstanceId, InstanceState, Labels, ReleaseId, ServiceId,
        StaticIp, StaticIpId, label,
    },
    resources::{release_of, wanted_record_name},
    traffic::points_elsewhere,
};

/// What is to be done, and what to tell of it.
pub(super) struct Proposal {
    pub(super) rebuilt: Rebuilt,
    /// The labels that instances are to get.
    pub(super) labels: Vec<(InstanceId, Labels)>,
    /// The labels that static IPs are to get, where the cloud labels them.
    pub(super) ip_labels: Vec<(StaticIpId, Labels)>,
    pub(super) report: Adoption,
}

/// An environment on its way from the cloud into a journal.
pub(super) struct Rebuilding<'a> {
    ctx: &'a Context,
    found: Found,
    service: ServiceRecord,
    identity: Option<Identity>,
    wanted: Wanted,
    holder: Holder,
    /// By release; of those that carry no number, under the one that they get.
    instances: BTreeMap<ReleaseId, Vec<Instance>>,
    unknown: Vec<String>,
}

/// Who serves, and where clients are sent for that.
pub(super) struct Serving {
    pub(super) release: ReleaseId,
    pub(super) instance: Instance,
}

impl<'a> Rebuilding<'a> {
    pub(super) fn new(
        ctx: &'a Context,
        found: Found,
        identity: Option<Identity>,
        service: Option<ServiceRecord>,
        wanted: Wanted,
        holder: Holder,
    ) -> Result<Self, EngineError> {
        let mut instances: BTreeMap<ReleaseId, Vec<Instance>> = BTreeMap::new();
        for instance in &found.instances {
            if instance.region != ctx.loaded.section.region {
                let message = format!(
                    "{} is in {}, and the manifest is for {}",
                    instance.name, instance.region, ctx.loaded.section.region
                );
                return Err(EngineError::new(EngineErrorKind::Manifest, message)
                    .hint("write the region of the instances into the manifest; an environment does not move"));
            }
            let ours = found.is_ours(instance);
            let number = release_of(instance).filter(|id| ours && id.0 > 0);
            instances.entry(number.unwrap_or(ReleaseId(0))).or_default().push(instance.clone());
        }
        // What carries no number of ours comes after all that does.
        if let Some(unnumbered) = instances.remove(&ReleaseId(0)) {
            let next = instances.keys().max().map_or(1, |last| last.0 + 1);
            instances.insert(ReleaseId(next), unnumbered);
        }
        let service = match service {
            Some(service) => service,
            None => ServiceRecord {
                service: ctx.loaded.manifest.service.clone(),
                id: service_id(&found),
                created_at: clock::wall(),
            },
        };
        let unknown = Vec::new();
        Ok(Self { ctx, found, service, identity, wanted, holder, instances, unknown })
    }

    fn all(&self) -> impl Iterator<Item = (ReleaseId, &Instance)> {
        self.instances.iter().flat_map(|(release, all)| all.iter().map(|instance| (*release, instance)))
    }

    /// The newest instance to which a static IP or the record leads. Where neither does, it must be named.
    pub(super) fn serving(&self) -> Result<Option<Serving>, EngineError> {
        let pointed = |instance: &Instance| {
            let mut ips = self.found.static_ips.iter().filter(|ip| self.may_use(ip));
            ips.any(|ip| ip.assigned_to.as_ref() == Some(&instance.id))
        };
        let named = |instance: &Instance| {
            let own = instance.address.as_ref().map(|address| address.ip.to_string());
            let record = self.found.record.as_ref();
            own.is_some_and(|own| record.is_some_and(|record| record.values.contains(&own)))
        };
        let by = |leads: &dyn Fn(&Instance) -> bool| {
            let led: Vec<_> = self.all().filter(|(_, instance)| leads(instance)).collect();
            // Of several, the newest: what led to the one before goes last.
            led.into_iter().next_back().map(|(release, instance)| Serving { release, instance: instance.clone() })
        };
        if let Some(serving) = by(&|instance| pointed(instance) || named(instance)) {
            return Ok(Some(serving));
        }
        if let [id] = &self.found.options.instances[..]
            && let Some(serving) = by(&|instance: &Instance| instance.id == *id)
        {
            return Ok(Some(serving));
        }
        let manifest = &self.ctx.loaded.manifest;
        let leads = *manifest.static_ip() != StaticIpChoice::None || manifest.dns.is_some();
        let has_address = self.found.static_ips.iter().any(|ip| self.may_use(ip));
        let running: Vec<_> = self.all().filter(|(_, one)| one.state == InstanceState::Running).collect();
        if running.is_empty() || leads && !has_address {
            // It was never served under what the manifest wants.
            return Ok(None);
        }
        // It may serve, and it may be that it has never passed its gate.
        let line = |(release, one): &(ReleaseId, &Instance)| format!("{} ({}), {release}", one.name, one.id);
        let message = "nothing leads to any of these instances, so that nothing shows which one serves";
        Err(EngineError::new(EngineErrorKind::Conflict, message)
            .details(running.iter().map(line).collect())
            .hint("name the one that clients use: `--instance ID`; where there is none, delete them in the cloud"))
    }

    /// Whether a static IP carries the environment's id, was named, or is the one that the manifest names.
    fn may_use(&self, ip: &StaticIp) -> bool {
        let labelled = self.found.known && ip.labels.get(label::ENV_ID) == Some(self.found.environment.as_str());
        let named = self.found.options.static_ips.contains(&ip.address.ip);
        let existing = *self.ctx.loaded.manifest.static_ip() == StaticIpChoice::Existing(ip.address.ip);
        // Where a cloud labels no address, one that points at an instance of ours is known by that; whether it was made here must
        // be said.
        let points = ip.labels.environment_id().is_none()
            && self.all().any(|(_, instance)| ip.assigned_to.as_ref() == Some(&instance.id));
        // One that somebody gave to another instance is theirs, unless it is named.
        (labelled && self.used_elsewhere(ip).is_none()) || named || existing || points
    }

    /// The static IP that the manifest wants, where there is one.
    pub(super) fn wanted_static_ip(&self, serving: Option<&Serving>) -> Result<Option<StaticIp>, EngineError> {
        for ip in self.found.static_ips.iter().filter(|ip| self.may_use(ip)) {
            if let Some(to) = self.used_elsewhere(ip) {
                return Err(points_elsewhere(ip.address.ip, to));
            }
            if ip.labels.environment_id().is_none() && !self.is_sure(ip) {
                let (address, to) =
                    (ip.address.ip, ip.assigned_to.as_ref().map(ToString::to_string).unwrap_or_default());
                let message = format!("static IP {address} points at {to}, and nothing shows who made it");
                return Err(EngineError::new(EngineErrorKind::Conflict, message)
                    .hint(format!(
                        "if Remint made it, add `--static-ip {address}`: then `remint destroy` gives it back"
                    ))
                    .hint(format!(
                        "if it is yours, name it in the manifest: `static_ip = {{ existing = \"{address}\" }}` in `[address]`"
                    )));
            }
        }
        let usable = || self.found.static_ips.iter().filter(|ip| self.may_use(ip));
        // What clients use stays until the next deploy has brought them to what the manifest wants.
        let serves =
            |ip: &&StaticIp| serving.is_some_and(|serving| ip.assigned_to.as_ref() == Some(&serving.instance.id));
        let wanted = |ip: &&StaticIp| match self.ctx.loaded.manifest.static_ip() {
            StaticIpChoice::Existing(address) => ip.address.ip == *address,
            StaticIpChoice::Managed => true,
            StaticIpChoice::None => false,
        };
        Ok(usable().find(serves).or_else(|| usable().find(wanted)).cloned())
    }

    /// Who uses a static IP, where that is nobody of this environment.
    fn used_elsewhere<'i>(&self, ip: &'i StaticIp) -> Option<&'i InstanceId> {
        ip.assigned_to.as_ref().filter(|to| !self.all().any(|(_, instance)| instance.id == **to))
    }

    /// Whether it is clear who made a static IP that carries no label.
    fn is_sure(&self, ip: &StaticIp) -> bool {
        self.found.options.static_ips.contains(&ip.address.ip)
            || *self.ctx.loaded.manifest.static_ip() == StaticIpChoice::Existing(ip.address.ip)
    }

    pub(super) fn finish(
        mut self,
        serving: Option<Serving>,
        static_ip: Option<StaticIp>,
        (salt, digest): (String, String),
    ) -> Proposal {
        let releases = self.releases(serving.as_ref(), &salt, &digest);
        let last = serving.as_ref().map(|serving| serving.release).or_else(|| self.instances.keys().max().copied());
        let resources = self.resources(static_ip.as_ref(), last.unwrap_or(ReleaseId(0)));
        let releases = self.with_entries(releases, serving.as_ref(), &resources);
        let (labels, ip_labels) = (self.labels(), self.ip_labels());
        self.note_unknown(serving.as_ref());
        let environment = EnvironmentRecord {
            id: self.found.environment.clone(),
            places: vec![self.ctx.place()],
            unlabelled: false,
            created_at: clock::wall(),
        };
        let identity = self.identity.clone().unwrap_or(Identity { service: self.service.clone(), environment });
        let report = self.report(serving.as_ref(), &releases, &resources, &labels);
        let rebuilt = Rebuilt { identity, resources, runs: self.runs(), releases };
        Proposal { rebuilt, labels, ip_labels, report }
    }

    /// The records of the releases: of those that have instances, and of images that one can go back to.
    fn releases(&self, serving: Option<&Serving>, salt: &str, digest: &str) -> Vec<ReleaseRecord> {
        let image_of = |instance: &Instance| instance.image.clone().unwrap_or_else(|| ImageId::from("unknown"));
        let mut images: BTreeMap<ReleaseId, ImageId> =
            self.instances.iter().map(|(release, all)| (*release, image_of(&all[0]))).collect();
        // Older images have no number any more: they get those before.
        let newest = serving.map(|serving| image_of(&serving.instance));
        let newest = self.found.images.iter().find(|image| Some(&image.id) == newest.as_ref());
        let is_older = |image: &&Image| {
            let times = newest.and_then(|newest| newest.created_at).zip(image.created_at);
            let after = times.is_some_and(|(newest, created)| created > newest);
            !after && self.is_own_image(image) && !images.values().any(|used| *used == image.id)
        };
        let mut older: Vec<_> = self.found.images.iter().filter(is_older).collect();
        older.sort_by_key(|image| std::cmp::Reverse(image.created_at));
        let first = images.keys().min().map_or(older.len() as u64 + 1, |first| first.0);
        for (image, number) in older.into_iter().zip((1..first).rev()) {
            images.insert(ReleaseId(number), image.id.clone());
        }
        let (Some(first), Some(last)) = (images.keys().min().copied(), images.keys().max().copied()) else {
            return Vec::new();
        };
        let mut before: Option<(ReleaseId, ImageId)> = None;
        let numbers = (first.0..=last.0).map(ReleaseId);
        let record = |id: ReleaseId| {
            // What lay between two that are left did not work out, as far as can be seen.
            let image = images.get(&id).cloned().or(before.as_ref().map(|(_, image)| image.clone()));
            let image = image.unwrap_or_else(|| ImageId::from("unknown"));
            let replaces = before.as_ref().map(|(id, _)| *id);
            if images.contains_key(&id) {
                before = Some((id, image.clone()));
            }
            self.record(id, image, replaces, (salt, digest))
        };
        numbers.map(record).collect()
    }

    fn is_own_image(&self, image: &Image) -> bool {
        let checked = !self.ctx.loaded.manifest.image.boot_check || image.labels.get(label::CHECKED).is_some();
        checked
            && image.labels.get(label::SERVICE_ID) == Some(self.service.id.as_str())
            && image.labels.get(label::FINGERPRINT).is_some()
            && image.regions.contains(&self.ctx.loaded.section.region)
    }

    fn record(
        &self,
        id: ReleaseId,
        image: ImageId,
        replaces: Option<ReleaseId>,
        (salt, digest): (&str, &str),
    ) -> ReleaseRecord {
        let loaded = &self.ctx.loaded;
        let baked = self.found.images.iter().find(|known| known.id == image);
        let fingerprint = baked.and_then(|image| image.labels.get(label::FINGERPRINT)).map(Fingerprint::from);
        let fingerprint = fingerprint.unwrap_or_else(|| Fingerprint::given(&image));
        let is_wanted = fingerprint == self.wanted.recipe.fingerprint;
        let size = self.instances.get(&id).map_or(&loaded.section.size, |all| &all[0].size);
        ReleaseRecord {
            id,
            service: loaded.manifest.service.clone(),
            environment: loaded.environment.clone(),
            provider: loaded.provider.clone(),
            region: loaded.section.region.clone(),
            size: size.clone(),
            count: loaded.manifest.instance.count,
            balanced: false,
            image,
            fingerprint,
            inputs: if is_wanted { self.wanted.recipe.inputs.clone() } else { Vec::new() },
            config_digest: digest.to_owned(),
            salt: salt.to_owned(),
            rollback_of: None,
            replaces,
            commit: None,
            created_by: self.holder.at(),
            ci: self.holder.ci.clone(),
            created_at: clock::wall(),
            adopted: true,
        }
    }

    fn resources(&self, static_ip: Option<&StaticIp>, by: ReleaseId) -> Resources {
        let (place, now) = (self.ctx.place(), clock::wall());
        let mut resources = Resources::default();
        for ip in self.found.static_ips.iter().filter(|ip| self.may_use(ip)) {
            let wanted = static_ip.is_some_and(|wanted| wanted.id == ip.id);
            let given = *self.ctx.loaded.manifest.static_ip() == StaticIpChoice::Existing(ip.address.ip);
            resources.owned.push(Owned {
                resource: Resource::StaticIp(OwnedStaticIp { id: ip.id.clone(), address: ip.address.clone() }),
                provider: place.provider.clone(),
                region: Some(place.region.clone()),
                made_by: (!given).then_some(by),
                superseded: (!wanted).then_some(Superseded { since: now, by }),
            });
        }
        if let Some((provider, named)) = wanted_record_name(self.ctx).filter(|_| self.record_is_ours()) {
            resources.want_record(named, provider, by);
        }
        resources
    }

    /// Whether the record leads to what is adopted, and nowhere else.
    fn record_is_ours(&self) -> bool {
        let Some(record) = &self.found.record else { return false };
        let ips = self.found.static_ips.iter().filter(|ip| self.may_use(ip)).map(|ip| ip.address.ip);
        let own = self.all().filter_map(|(_, instance)| instance.address.as_ref()).map(|address| address.ip);
        let known: Vec<String> = ips.chain(own).map(|ip| ip.to_string()).collect();
        !record.values.is_empty() && record.values.iter().all(|value| known.contains(value))
    }

    fn with_entries(
        &self,
        records: Vec<ReleaseRecord>,
        serving: Option<&Serving>,
        resources: &Resources,
    ) -> Vec<Release> {
        let last = records.last().map(|record| record.id);
        let images: Vec<ImageId> = self.found.images.iter().map(|image| image.id.clone()).collect();
        let release = |record: ReleaseRecord| {
            let instances = self.instances.get(&record.id).map_or(&[][..], Vec::as_slice);
            let mut entries = Vec::new();
            let sets = self.record_is_of().or(serving.map_or(last, |serving| Some(serving.release))) == Some(record.id);
            if let (true, Some((_, owned)), Some(set)) = (sets, resources.record(), &self.found.record) {
                // What was written into the record is ours to remove.
                let change = DnsChange { fqdn: owned.fqdn(), before: None, after: set.values.clone() };
                entries.push(Entry::SettingRecord { change, former_ttl: 0 });
            }
            match serving {
                Some(serving) if serving.release == record.id => {
                    entries.push(Entry::GatePassed { instances: vec![serving.instance.id.clone()] });
                    entries.extend(self.served(serving, Some(record.id) == last, record.replaces, resources));
                }
                // What came before what serves has served; what came after did not get so far.
                Some(serving) if record.id < serving.release => {
                    let instances: Vec<_> = instances.iter().map(|one| one.id.clone()).collect();
                    entries.extend((!instances.is_empty()).then(|| Entry::GatePassed { instances: instances.clone() }));
                    let known = !instances.is_empty() || images.contains(&record.image);
                    entries.push(Entry::Phase { phase: if known { Phase::Done } else { Phase::Undone } });
                }
                None if instances.is_empty() => entries.push(Entry::Phase { phase: Phase::Done }),
                _ if Some(record.id) == last => {
                    let reason = "the journal of the run that launched it is gone".to_owned();
                    entries.extend([Entry::Failure { reason }, Entry::Phase { phase: Phase::Failed }]);
                }
                _ => entries.push(Entry::Phase { phase: Phase::Undone }),
            }
            // Last: until then, its instances are somebody else's, and no other command takes what is half written for the whole.
            if !instances.is_empty() {
                entries.push(Entry::Launching { names: instances.iter().map(|one| one.name.clone()).collect() });
                let ids = instances.iter().map(|one| one.id.clone()).collect();
                entries.push(Entry::Launched { instances: ids, host_key: None });
            }
            let entry = |(entry, seq)| EntryRecord { seq, at: clock::wall(), run: self.ctx.run, token: 0, entry };
            Release { record, entries: entries.into_iter().zip(1..).map(entry).collect() }
        };
        records.into_iter().map(release).collect()
    }

    /// The release to which the record leads, by a static IP or not.
    fn record_is_of(&self) -> Option<ReleaseId> {
        let record = self.found.record.as_ref().filter(|_| self.record_is_ours())?;
        let leads_to = |instance: &Instance| {
            let ips = self.found.static_ips.iter().filter(|ip| ip.assigned_to.as_ref() == Some(&instance.id));
            let ips = ips.filter(|ip| self.may_use(ip)).map(|ip| ip.address.ip);
            let mut all = ips.chain(instance.address.as_ref().map(|address| address.ip));
            all.any(|ip| record.values.contains(&ip.to_string()))
        };
        self.all().filter(|(_, instance)| leads_to(instance)).map(|(release, _)| release).last()
    }

    /// What is written of the release that serves: done, about to remove what it has replaced, or about to set the record.
    fn served(
        &self,
        Serving { release: id, instance }: &Serving,
        is_last: bool,
        replaces: Option<ReleaseId>,
        resources: &Resources,
    ) -> Vec<Entry> {
        let (id, mut entries) = (*id, Vec::new());
        let pointed = |(_, owned): &(&Owned, &OwnedStaticIp)| {
            let ip = self.found.static_ips.iter().find(|ip| ip.id == owned.id);
            ip.is_some_and(|ip| ip.assigned_to.as_ref() == Some(&instance.id))
        };
        if is_last
            && self.record_is_of().is_some_and(|release| release < id)
            && let Some((_, owned)) = resources.static_ip().filter(pointed)
        {
            // Its address is there, and the record still leads to the one before.
            let (static_ip, to) = (owned.id.clone(), instance.id.clone());
            entries.push(Entry::Phase { phase: Phase::Switching });
            entries.push(Entry::Assigning { static_ip, from: None, to: to.clone() });
            entries.push(Entry::Assigned { to });
            return entries;
        }
        let parks = self.ctx.loaded.manifest.deploy.retire == Retire::Park;
        let mut replaced = self.all().filter(|(release, _)| *release < id);
        if is_last && replaced.any(|(release, _)| !(parks && replaces == Some(release))) {
            if let (Some(_), Some(record)) = (resources.record(), &self.found.record) {
                // It may have changed a moment ago.
                let until = clock::wall().checked_add(record.ttl).unwrap_or(jiff::Timestamp::MAX);
                entries.push(Entry::AwaitingResolvers { until });
            }
            // It is past the point of return.
            entries.extend([Phase::Switching, Phase::Retiring].map(|phase| Entry::Phase { phase }));
        } else {
            entries.push(Entry::Phase { phase: Phase::Done });
        }
        entries
    }

    /// Refuses to take over an instance where a cloud gives labels at the launch alone.
    pub(super) fn can_label(&self) -> Result<(), EngineError> {
        let labels = self.labels();
        let Some((id, _)) = labels.first() else { return Ok(()) };
        if self.ctx.provider.descriptor().has(Capability::InstanceRelabel) {
            return Ok(());
        }
        let provider = &self.ctx.loaded.provider;
        let message =
            format!("instance {id} cannot be taken over: {provider} does not label instances after their launch");
        Err(EngineError::new(EngineErrorKind::Conflict, message)
            .hint("deploy under another environment's name, send clients there, and delete the instance"))
    }

    /// The labels that an instance lacks.
    fn labels(&self) -> Vec<(InstanceId, Labels)> {
        let wanted = |release: ReleaseId| {
            Labels::new()
                .with(label::SERVICE, &self.ctx.loaded.manifest.service)
                .with(label::ENV, self.ctx.loaded.environment.as_str())
                .with(label::ENV_ID, self.found.environment.as_str())
                .with(label::ROLE, ROLE_INSTANCE)
                .with(label::RELEASE, release.0.to_string())
        };
        let lacking = |(release, instance): (ReleaseId, &Instance)| {
            let wanted = wanted(release);
            let lacks = wanted.iter().any(|(key, value)| instance.labels.get(key) != Some(value));
            lacks.then(|| (instance.id.clone(), wanted))
        };
        self.all().filter_map(lacking).collect()
    }

    fn ip_labels(&self) -> Vec<(StaticIpId, Labels)> {
        let wanted = Labels::new()
            .with(label::SERVICE, &self.ctx.loaded.manifest.service)
            .with(label::ENV, self.ctx.loaded.environment.as_str())
            .with(label::ENV_ID, self.found.environment.as_str());
        let named = self.found.static_ips.iter().filter(|ip| self.found.options.static_ips.contains(&ip.address.ip));
        let lacking = named.filter(|ip| ip.labels.get(label::ENV_ID) != Some(self.found.environment.as_str()));
        lacking.map(|ip| (ip.id.clone(), wanted.clone())).collect()
    }

    /// The runs that have left something behind.
    fn runs(&self) -> Runs {
        let own = self.found.machines.iter().filter(|machine| self.found.is_ours(machine));
        let labelled = own.filter_map(|machine| machine.labels.get(label::RUN)?.parse().ok());
        let named = self.found.keys.iter().filter_map(|name| Runs::of_name(name));
        // One that a label names whole comes last, as the end of its name is that of the other.
        named.chain(labelled).fold(Runs::default(), |runs, run| runs.and(run))
    }

    fn note_unknown(&mut self, serving: Option<&Serving>) {
        let unknown = &mut self.unknown;
        if !self.instances.is_empty() {
            unknown.push(
                "the configuration of the instances: it counts as the manifest's of now; `remint deploy --force` makes sure"
                    .to_owned(),
            );
            unknown.push("their host keys: `remint ssh` works again after the next deploy".to_owned());
        }
        if self.instances.values().flatten().any(|instance| instance.image.is_none()) {
            unknown.push("the image of an instance: its release cannot be gone back to".to_owned());
        }
        if serving.is_none() && !self.instances.is_empty() {
            unknown.push(
                "that any release has served: nothing leads to an instance, so each counts as left unfinished"
                    .to_owned(),
            );
        }
        unknown.push("former releases whose images are gone, and the numbers of those without an instance".to_owned());
        unknown.push(
            "records of other names than the manifest's, and what is in other regions or at other providers".to_owned(),
        );
        if let Some(record) = self.found.record.as_ref().filter(|_| !self.record_is_ours()) {
            self.unknown.push(format!(
                "who set {} to {}: it leads to nothing that is adopted, and stays as it is",
                record.fqdn(),
                record.values.join(", ")
            ));
        }
    }

    fn report(
        &self,
        serving: Option<&Serving>,
        releases: &[Release],
        resources: &Resources,
        labels: &[(InstanceId, Labels)],
    ) -> Adoption {
        let instances = |id: ReleaseId| {
            let all = self.instances.get(&id).map_or(&[][..], Vec::as_slice);
            all.iter().map(|one| AdoptedInstance { id: one.id.clone(), name: one.name.clone() }).collect()
        };
        let release = |release: &Release| AdoptedRelease {
            release: release.id(),
            image: release.record.image.clone(),
            phase: release.phase(),
            serves: serving.is_some_and(|serving| serving.release == release.id()),
            instances: instances(release.id()),
        };
        let address = |(owned, ip): (&Owned, &OwnedStaticIp)| AdoptedAddress {
            address: ip.address.ip,
            points_at: self.found.static_ips.iter().find(|one| one.id == ip.id).and_then(|one| one.assigned_to.clone()),
            wanted: owned.superseded.is_none(),
            made_here: owned.made_by.is_some(),
        };
        let record = self.found.record.as_ref().filter(|_| self.record_is_ours());
        let machines = self.found.machines.iter().map(|machine| machine.name.clone());
        Adoption {
            service: self.ctx.loaded.manifest.service.clone(),
            environment: self.ctx.loaded.environment.to_string(),
            environment_id: self.found.environment.to_string(),
            service_id: self.service.id.to_string(),
            releases: releases.iter().filter(|one| one.phase() != Phase::Undone).map(release).collect(),
            static_ips: resources.static_ips().map(address).collect(),
            record: record.map(|record| (record.fqdn(), record.values.clone())),
            left: machines.chain(self.found.keys.iter().cloned()).collect(),
            labelled: labels.iter().map(|(id, _)| id.clone()).collect(),
            unknown: self.unknown.clone(),
        }
    }
}

/// The id that the service's images carry: of the image that an instance of the environment runs from, or the only one there is.
fn service_id(found: &Found) -> ServiceId {
    let id = |image: &Image| image.labels.get(label::SERVICE_ID).map(ServiceId::from);
    let runs = |image: &&Image| found.instances.iter().any(|instance| instance.image.as_ref() == Some(&image.id));
    let running = found.images.iter().find(runs).and_then(id);
    let of_builder = |machine: &Instance| machine.labels.get(label::SERVICE_ID).map(ServiceId::from);
    let builders = found.machines.iter().filter(|machine| found.is_ours(machine)).filter_map(of_builder);
    let mut all: Vec<_> = found.images.iter().filter_map(id).chain(builders).collect();
    all.sort();
    all.dedup();
    let only = if all.len() == 1 { all.pop() } else { None };
    running.or(only).unwrap_or_else(ServiceId::generate)
}
