//! Launching: look, insert what is missing, and look once whether Google has taken it back.

use std::time::Duration;

use google_cloud_compute_v1::model::{
    self, AccessConfig, AttachedDisk, AttachedDiskInitializeParams, Metadata, NetworkInterface, ServiceAccount, Tags,
    access_config, metadata::Items,
};
use jiff::Timestamp;
use remint_core::provider::{
    Effect, Error, ErrorKind, Instance, InstanceState, LaunchSpec, Result, Selector,
    support::{CreateOnce, Launched},
};
use secrecy::ExposeSecret;

use super::{IMAGE_KEY, USER_DATA_KEY, firewall};
use crate::{
    Gcp, LIMITS,
    error::Subject,
    labelling,
    names::{self, ImagePath, InstancePath, region_of},
    pending::Pending,
};

const OPERATION: &str = "launch instance";

impl Gcp {
    /// Costs one look, one insert and one look at its operation; one look where the instance stands.
    pub(super) async fn ensure_launched(&self, spec: &LaunchSpec) -> Result<Vec<Instance>> {
        let model = self.check(spec)?;
        let mut all = Vec::new();
        for name in &spec.names {
            all.push(self.ensure_one(spec, name, &model).await?);
        }
        let environment = spec.labels.environment_id();
        self.ensure_firewall(OPERATION, environment.as_ref())
            .await
            .map_err(|error| error.with_effect(Effect::Applied))?;
        Ok(all)
    }

    async fn ensure_one(&self, spec: &LaunchSpec, name: &str, model: &model::Instance) -> Result<Instance> {
        let subject = Subject::new(OPERATION).about(name).running_as(self.config.service_account.as_deref());
        let look = || async { Ok(self.standing(&subject, spec, name).await?.into()) };
        let create = |()| self.insert(&subject, spec, name, model);
        // What Google has accepted shows at once under its name.
        CreateOnce::new(&subject.call, Duration::ZERO).run(look, create).await
    }

    /// Asks for the instance, and looks once whether Google has taken it back.
    async fn insert(
        &self,
        subject: &Subject,
        spec: &LaunchSpec,
        name: &str,
        model: &model::Instance,
    ) -> Result<Instance> {
        let client = &self.client;
        let body = model.clone().set_name(name);
        let insert = |request: String| {
            let ask = client.instances.insert().set_project(&client.project).set_zone(spec.region.as_str());
            ask.set_request_id(request).set_body(body.clone()).send()
        };
        let operation = client.mutate(subject, insert).await.map_err(|error| match error.kind() {
            // What does not exist is something that the launch names: the instance itself does not yet.
            ErrorKind::NotFound => Error::new(ErrorKind::InvalidInput, OPERATION, error.said())
                .with_resource(name)
                .with_hint("check image, size, region, network and service account")
                .with_source(error),
            _ => error,
        })?;
        let number = operation.target_id.map(|number| number.to_string()).unwrap_or_default();
        let path = InstancePath { zone: spec.region.as_str().to_owned(), name: name.to_owned(), number };
        let instance = Instance {
            id: path.id(),
            name: name.to_owned(),
            labels: spec.labels.clone(),
            state: InstanceState::Pending,
            busy: true,
            address: None,
            image: Some(spec.image.clone()),
            size: spec.size.clone(),
            region: spec.region.clone(),
            created_at: Some(Timestamp::now()),
        };
        let pending = self.glance(subject, &operation).await?;
        self.memory.lock().instances.launched(path, instance.clone(), false, pending);
        Ok(instance)
    }

    /// The instance of a name, if it is the one that is asked for; one call.
    async fn standing(&self, subject: &Subject, spec: &LaunchSpec, name: &str) -> Result<Option<Instance>> {
        let client = &self.client;
        let ask = || {
            let ask = client.instances.get().set_project(&client.project).set_zone(spec.region.as_str());
            ask.set_instance(name).send()
        };
        let standing = match client.look_up(subject, ask).await? {
            Some(found) => self.instance(&found),
            None => {
                let unseen = |(path, launched): (&InstancePath, &Launched<Option<Pending>>)| {
                    let here = path.name == name && path.zone == spec.region.as_str();
                    (here && !launched.shown).then(|| path.clone())
                };
                let known = self.memory.lock().instances.iter().find_map(unseen);
                let Some(path) = known else { return Ok(None) };
                match self.unseen(subject, &path).await? {
                    Some(launched) => launched,
                    None => return Ok(None),
                }
            }
        };
        if !standing.labels.matches(&Selector(spec.labels.0.clone())) {
            let message = format!("instance {} has this name and other labels", standing.id);
            return Err(subject
                .error(ErrorKind::Conflict, message)
                .with_hint("destroy that instance, or rename the service"));
        }
        match standing.state {
            InstanceState::Destroying => {
                Err(subject.error(ErrorKind::Busy, "an instance of this name is still being destroyed"))
            }
            _ => Ok(Some(standing)),
        }
    }

    /// Refuses what the API would refuse, before anything is asked; gives what all of the instances have in common.
    fn check(&self, spec: &LaunchSpec) -> Result<model::Instance> {
        spec.check(OPERATION, &LIMITS)?;
        if !spec.login_keys.is_empty() {
            let message = "login keys are not registered here; user data installs them";
            return Err(Error::new(ErrorKind::InvalidInput, OPERATION, message));
        }
        for name in [spec.region.as_str(), spec.size.as_str()].into_iter().chain(spec.names.iter().map(String::as_str))
        {
            names::check(OPERATION, name)?;
        }
        let image = ImagePath::parse(OPERATION, spec.image.as_str(), &self.client.project)?;
        let labels = labelling::to_wire_with(OPERATION, &spec.labels, &self.config.labels)?;
        let zone = spec.region.as_str();

        let mut boot = AttachedDiskInitializeParams::new()
            .set_source_image(image.link())
            .set_disk_type(format!("zones/{zone}/diskTypes/{}", self.config.disk_type))
            .set_labels(labels.clone());
        if let Some(gib) = self.config.disk_gib {
            boot = boot.set_disk_size_gb(i64::from(gib));
        }
        let disk = AttachedDisk::new().set_boot(true).set_auto_delete(true).set_initialize_params(boot);

        let item = |key: &str, value: &str| Items::new().set_key(key).set_value(value);
        // Who may log in is the manifest's to say, and not the project's metadata. OS Login would have Google's guest agent
        // let in whom IAM names, and ignore the keys of the manifest; an instance's metadata goes before the project's.
        let mut items = vec![
            item("block-project-ssh-keys", "TRUE"),
            item("enable-oslogin", "FALSE"),
            item(IMAGE_KEY, &image.to_string()),
        ];
        if let Some(data) = &spec.user_data {
            items.push(item(USER_DATA_KEY, data.expose_secret()));
        }

        let mut instance = model::Instance::new()
            .set_machine_type(format!("zones/{zone}/machineTypes/{}", spec.size))
            .set_labels(labels)
            .set_disks([disk])
            .set_metadata(Metadata::new().set_items(items))
            .set_network_interfaces([self.interface(zone)?]);
        if self.config.firewall {
            let environment = spec.labels.environment_id();
            let tags = self.open_ports().map(|port| firewall::tag(environment.as_ref(), port));
            instance = instance.set_tags(Tags::new().set_items(tags));
        }
        if let Some(email) = &self.config.service_account {
            instance = instance
                .set_service_accounts([ServiceAccount::new().set_email(email).set_scopes(self.config.scopes())]);
        }
        Ok(instance)
    }

    /// One interface with a public address of its own, for as long as the instance lives.
    fn interface(&self, zone: &str) -> Result<NetworkInterface> {
        let access = AccessConfig::new().set_name("External NAT").set_type(access_config::Type::OneToOneNat);
        let mut interface = NetworkInterface::new().set_network(self.network()).set_access_configs([access]);
        if let Some(subnetwork) = &self.config.subnetwork {
            let link = match subnetwork.contains('/') {
                true => subnetwork.clone(),
                false => format!("regions/{}/subnetworks/{subnetwork}", region_of(OPERATION, zone)?),
            };
            interface = interface.set_subnetwork(link);
        }
        Ok(interface)
    }
}
