//! What the fake cloud leaves beside what it was asked for: captures whose image nobody has labelled, and the security groups of
//! environments without an instance.

use async_trait::async_trait;

use super::{FakeCloud, State, Transaction};
use crate::provider::{
    EnvironmentId, Error, ErrorKind, Image, ImageId, Labels, Owner, Result, Stray, StrayId, StrayKind, Strays, label,
};

impl State {
    fn is_group_used(&self, environment: &EnvironmentId) -> bool {
        let of = |labels: &Labels| labels.get(label::ENV_ID) == Some(environment.as_str());
        self.machines.values().any(|machine| of(&machine.instance.labels))
    }

    /// The strays of an owner; of everybody without one, and used ones too where that is asked for.
    pub fn strays(&self, owner: Option<&Owner>, used: bool) -> Vec<Stray> {
        let images = self.images.values().filter(|image| used || image.labels.0.is_empty());
        let images = images.filter(|image| owner.is_none_or(|owner| is_of(owner, image))).map(|image| Stray {
            kind: StrayKind::Image,
            id: image.id.as_str().into(),
            name: image.name.clone(),
            region: None,
            created_at: image.created_at,
            why: "it was never labelled".to_owned(),
        });
        let ours =
            |environment: &EnvironmentId| owner.is_none_or(|owner| owner.environment.as_ref() == Some(environment));
        let groups = self.groups.iter().filter(|(_, of)| ours(of) && (used || !self.is_group_used(of)));
        let groups = groups.map(|(number, _)| Stray {
            kind: StrayKind::SecurityGroup,
            id: StrayId::new(format!("sg-{number}")),
            name: format!("sg-{number}"),
            region: None,
            created_at: None,
            why: "no instance is in it".to_owned(),
        });
        images.chain(groups).collect()
    }
}

impl Transaction<'_> {
    /// Makes the security group of the environment that these labels name.
    pub(super) fn need_group(&mut self, labels: &Labels) {
        if self.flavour.security_groups
            && let Some(environment) = labels.environment_id()
            && self.groups.values().all(|known| *known != environment)
        {
            let number = self.number();
            self.groups.insert(number, environment);
        }
    }

    /// Removes a stray, also one of another owner and one that is in use. Returns whether it was there.
    pub fn take_away(&mut self, stray: &Stray) -> bool {
        let was_there = match stray.kind {
            StrayKind::SecurityGroup => number(stray).and_then(|number| self.groups.remove(&number)).is_some(),
            _ => self.images.remove(&ImageId::from(stray.id.as_str())).is_some(),
        };
        if was_there {
            self.note(format!("remove stray {}", stray.id));
        }
        was_there
    }

    fn remove_stray(&mut self, owner: &Owner, stray: &Stray) -> Result<()> {
        let (operation, id) = ("remove stray", &stray.id);
        let unused = match stray.kind {
            StrayKind::Image if !self.flavour.strict || id.as_str().starts_with("image-") => {
                match self.images.get(&ImageId::from(id.as_str())) {
                    Some(image) => is_of(owner, image) && image.labels.0.is_empty(),
                    None => return Ok(()),
                }
            }
            StrayKind::SecurityGroup if number(stray).is_some() => {
                match number(stray).and_then(|number| self.groups.get(&number)) {
                    Some(of) => owner.environment.as_ref() == Some(of) && !self.is_group_used(of),
                    None => return Ok(()),
                }
            }
            kind => {
                let message = format!("not the id of a {kind}");
                return Err(Error::new(ErrorKind::InvalidInput, operation, message).with_resource(id));
            }
        };
        if !unused {
            return Err(Error::new(ErrorKind::Conflict, operation, "it is in use").with_resource(id));
        }
        self.take_away(stray);
        Ok(())
    }
}

fn is_of(owner: &Owner, image: &Image) -> bool {
    image.name.ends_with(&owner.image_suffix())
}

fn number(stray: &Stray) -> Option<u32> {
    stray.id.as_str().strip_prefix("sg-")?.parse().ok()
}

#[async_trait]
impl Strays for FakeCloud {
    async fn list(&self, owner: &Owner) -> Result<Vec<Stray>> {
        self.read_list("list strays", |state| Ok(state.strays(Some(owner), false))).await
    }

    async fn remove(&self, owner: &Owner, stray: &Stray) -> Result<()> {
        let (owner, stray) = (owner.clone(), stray.clone());
        self.mutate("remove stray", move |transaction| transaction.remove_stray(&owner, &stray)).await
    }
}
