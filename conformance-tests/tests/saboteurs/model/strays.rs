//! Strays of the model: security groups of environments without an instance, and images that nobody has labelled.

use async_trait::async_trait;
use remint_core::provider::{
    EnvironmentId, ErrorKind, ImageId, Owner, Result, Stray, StrayId, StrayKind, Strays, label,
};

use super::{Disk, HOME, Model, World, refusal};

fn stray(kind: StrayKind, id: String, name: &str, why: &str) -> Stray {
    let (id, name, why) = (StrayId::new(id), name.to_owned(), why.to_owned());
    Stray { kind, id, name, region: Some(HOME.into()), created_at: None, why }
}

impl World {
    fn is_group_used(&self, environment: &EnvironmentId) -> bool {
        let is_in = |label: Option<&str>| label == Some(environment.as_str());
        self.machines.values().any(|machine| is_in(machine.instance.labels.get(label::ENV_ID)))
    }

    /// Whether nobody waits for an image, which has no labels yet.
    fn is_left(&self, disk: &Disk) -> bool {
        let labelled = self.labelled.contains(&disk.image.name);
        disk.capture.is_none() && !labelled && !self.machines.contains_key(&disk.source)
    }

    /// The strays of an owner; of everybody without one, and used ones too where that is asked for.
    pub(crate) fn strays(&self, owner: Option<&Owner>, used: bool) -> Vec<Stray> {
        let environment = owner.map(|owner| owner.environment.as_ref());
        let groups = self.groups.iter().filter(|(_, of)| environment.is_none_or(|owner| owner == Some(*of)));
        let groups = groups.filter(|(_, of)| used || !self.is_group_used(of));
        let groups = groups.map(|(number, _)| {
            let id = format!("sg-{number}");
            stray(StrayKind::SecurityGroup, id.clone(), &id, "no instance is in it")
        });
        let of = |disk: &&Disk| owner.is_none_or(|owner| is_of(owner, disk));
        let images = self.disks.values().filter(of).filter(|disk| self.is_left(disk));
        let images = images.map(|disk| {
            let id = disk.image.id.as_str().to_owned();
            stray(StrayKind::Image, id, &disk.image.name, "nobody waited for its capture")
        });
        groups.chain(images).collect()
    }

    /// Removes a stray, whoever owns it and whatever uses it; whether it was there.
    pub(crate) fn take_away(&mut self, stray: &Stray) -> bool {
        match stray.kind {
            StrayKind::SecurityGroup => number(stray).and_then(|number| self.groups.remove(&number)).is_some(),
            _ => self.disks.remove(&ImageId::new(stray.id.as_str())).is_some(),
        }
    }

    fn remove_stray(&mut self, owner: &Owner, stray: &Stray) -> Result<()> {
        let (operation, id) = ("remove stray", &stray.id);
        let (ours, used) = match stray.kind {
            StrayKind::SecurityGroup if number(stray).is_some() => {
                match number(stray).and_then(|number| self.groups.get(&number)) {
                    Some(of) => (owner.environment.as_ref() == Some(of), self.is_group_used(of)),
                    None => return Ok(()),
                }
            }
            StrayKind::Image if stray.id.as_str().starts_with("img-") => {
                match self.disks.get(&ImageId::new(id.as_str())) {
                    Some(disk) => (is_of(owner, disk), !self.is_left(disk)),
                    None => return Ok(()),
                }
            }
            kind => {
                let message = format!("not the id of a {kind}");
                return Err(refusal(ErrorKind::InvalidInput, operation, message).with_resource(id));
            }
        };
        if !ours || used {
            let message = if ours { "it is in use" } else { "it does not carry the owner's id" };
            return Err(refusal(ErrorKind::Conflict, operation, message).with_resource(id));
        }
        self.take_away(stray);
        Ok(())
    }
}

fn is_of(owner: &Owner, disk: &Disk) -> bool {
    disk.image.labels.get(label::SERVICE_ID) == Some(owner.service.as_str())
}

fn number(stray: &Stray) -> Option<u32> {
    stray.id.as_str().strip_prefix("sg-")?.parse().ok()
}

#[async_trait]
impl Strays for Model {
    async fn list(&self, owner: &Owner) -> Result<Vec<Stray>> {
        self.read(|world| Ok(world.strays(Some(owner), false))).await
    }

    async fn remove(&self, owner: &Owner, stray: &Stray) -> Result<()> {
        self.change(None, |world| world.remove_stray(owner, stray)).await
    }
}
