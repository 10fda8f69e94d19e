//! Steps that many cases share.

use remint_core::provider::{
    CaptureProgress, CaptureSpec, Effect, Error, ErrorKind, Image, ImageId, ImageState, Instance, InstanceId,
    InstanceState, LaunchSpec, PowerOp, Region, Selector, StaticIp, StaticIpId, StaticIpSpec, label,
};

use crate::{CaseContext, Failure, context::check};

impl CaseContext {
    /// A launch of one instance from the base image.
    ///
    /// # Errors
    ///
    /// When the base image cannot be found.
    pub async fn spec(&self, what: &str) -> Result<LaunchSpec, Failure> {
        let target = self.target();
        let base = self.images().resolve(&target.base_image, &target.region).await?;
        Ok(self.spec_from(what, &base.id))
    }

    /// A launch of one instance from an image.
    pub fn spec_from(&self, what: &str, image: &ImageId) -> LaunchSpec {
        let name = self.name(what);
        let target = self.target();
        LaunchSpec {
            names: vec![name],
            new_names: false,
            image: image.clone(),
            size: target.size.clone(),
            region: target.region.clone(),
            labels: self.labels().with(label::ROLE, "instance"),
            user_data: None,
            login_keys: Vec::new(),
        }
    }

    /// Launches, and takes the one instance.
    ///
    /// # Errors
    ///
    /// When the launch fails, or gives another number.
    pub async fn launch(&self, spec: &LaunchSpec) -> Result<Instance, Failure> {
        let mut launched = self.instances().launch(spec).await?;
        check!(launched.len() == 1, "one name was launched, and {} instances came back", launched.len());
        Ok(launched.remove(0))
    }

    /// An instance that runs.
    ///
    /// # Errors
    ///
    /// When it cannot be made.
    pub async fn running(&self, what: &str) -> Result<Instance, Failure> {
        let made = self.launch(&self.spec(what).await?).await?;
        self.reaches(&made.id, InstanceState::Running).await
    }

    /// Waits until an instance is in a state and the cloud is not at work on it.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub async fn reaches(&self, id: &InstanceId, state: InstanceState) -> Result<Instance, Failure> {
        let look = async || {
            let instance = self.instances().get(id).await?;
            Ok((instance.state == state && !instance.busy).then_some(instance))
        };
        self.until(format!("instance {id} to be {}", state.as_str()), look).await
    }

    /// An instance that is stopped.
    ///
    /// # Errors
    ///
    /// When it cannot be made or stopped.
    pub async fn stopped(&self, what: &str) -> Result<Instance, Failure> {
        let instance = self.running(what).await?;
        self.patiently("stop", || self.instances().power(&instance.id, PowerOp::ForceStop)).await?;
        self.reaches(&instance.id, InstanceState::Stopped).await
    }

    /// Destroys an instance and waits until it is gone.
    ///
    /// # Errors
    ///
    /// When it cannot be destroyed.
    pub async fn destroy(&self, id: &InstanceId) -> Result<(), Failure> {
        self.patiently("destroy", || self.instances().destroy(id)).await?;
        self.gone(id).await
    }

    /// Waits until an instance is gone: not found, and not listed.
    ///
    /// # Errors
    ///
    /// When it cannot be told.
    pub async fn gone(&self, id: &InstanceId) -> Result<(), Failure> {
        let look = async || match self.instances().get(id).await {
            Ok(_) => Ok(None),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let listed = self.instances().list(&self.selector()).await?;
                Ok((!listed.iter().any(|instance| instance.id == *id)).then_some(()))
            }
            Err(error) => Err(error.into()),
        };
        self.until(format!("instance {id} to be gone"), look).await
    }

    /// An id that an instance had.
    ///
    /// # Errors
    ///
    /// When none can be made and destroyed.
    pub async fn former_instance(&self) -> Result<InstanceId, Failure> {
        let instance = self.running("former").await?;
        self.destroy(&instance.id).await?;
        Ok(instance.id)
    }

    /// What a capture of an instance is called with.
    pub fn capture_spec(&self, what: &str, instance: &InstanceId) -> CaptureSpec {
        let name = self.name(what);
        let labels = self.labels().with(label::ROLE, "image");
        CaptureSpec { instance: instance.clone(), name, labels }
    }

    /// Captures until it is done.
    ///
    /// # Errors
    ///
    /// When the capture fails.
    pub async fn capture(&self, spec: &CaptureSpec) -> Result<Image, Failure> {
        let look = async || match self.images().capture(spec).await {
            Ok(CaptureProgress::Done(image)) => Ok(Some(image)),
            Ok(CaptureProgress::Pending) => Ok(None),
            Err(error) if error.kind() == ErrorKind::Busy => Ok(None),
            Err(error) => Err(error.into()),
        };
        self.until(format!("image {} to be captured", spec.name), look).await
    }

    /// An image of a stopped instance.
    ///
    /// # Errors
    ///
    /// When it cannot be made.
    pub async fn image(&self) -> Result<(Instance, Image), Failure> {
        let instance = self.stopped("builder").await?;
        let image = self.capture(&self.capture_spec("image", &instance.id)).await?;
        Ok((instance, image))
    }

    /// The target's other region.
    ///
    /// # Errors
    ///
    /// When the case forgot to ask for one.
    pub fn second_region(&self) -> Result<&Region, Failure> {
        let second = self.target().second_region.as_ref();
        second.ok_or_else(|| Failure::new("the case needs a second region and does not say so"))
    }

    /// Copies an image to a region, and waits until it is there.
    ///
    /// # Errors
    ///
    /// When it cannot be copied.
    pub async fn copied(&self, id: &ImageId, region: &Region) -> Result<Image, Failure> {
        self.patiently("copy an image", || self.images().copy(id, region)).await?;
        let look = async || {
            let now = self.images().get(id).await?;
            Ok((now.regions.contains(region) && now.state == ImageState::Available).then_some(now))
        };
        self.until(format!("image {id} to be in {region}"), look).await
    }

    /// Deletes an image and waits until it is gone.
    ///
    /// # Errors
    ///
    /// When it cannot be deleted.
    pub async fn delete_image(&self, id: &ImageId) -> Result<(), Failure> {
        self.patiently("delete an image", || self.images().delete(id)).await?;
        self.image_gone(id).await
    }

    /// Waits until an image is gone: not found, and not listed.
    ///
    /// # Errors
    ///
    /// When it cannot be told.
    pub async fn image_gone(&self, id: &ImageId) -> Result<(), Failure> {
        let look = async || match self.images().get(id).await {
            Ok(_) => Ok(None),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let listed = self.images().list(&self.selector()).await?;
                Ok((!listed.iter().any(|image| image.id == *id)).then_some(()))
            }
            Err(error) => Err(error.into()),
        };
        self.until(format!("image {id} to be gone"), look).await
    }

    /// What a static IP for an instance is made with.
    pub fn static_ip_spec(&self, instance: &InstanceId) -> StaticIpSpec {
        let region = self.target().region.clone();
        StaticIpSpec { name: self.name("ip"), labels: self.labels(), region, instance: instance.clone() }
    }

    /// A static IP that points at an instance.
    ///
    /// # Errors
    ///
    /// When it cannot be made.
    pub async fn static_ip(&self, instance: &InstanceId) -> Result<StaticIp, Failure> {
        let spec = self.static_ip_spec(instance);
        let ips = self.static_ips()?;
        let made = self.patiently("ensure a static IP", || ips.ensure(&spec)).await?;
        self.points_at(&made, Some(instance)).await
    }

    /// A static IP with a name of its own that points at an instance: for cases with several.
    ///
    /// # Errors
    ///
    /// When it cannot be made.
    pub async fn static_ip_named(&self, what: &str, instance: &InstanceId) -> Result<StaticIp, Failure> {
        let spec = StaticIpSpec { name: self.name(&format!("ip-{what}")), ..self.static_ip_spec(instance) };
        let ips = self.static_ips()?;
        let made = self.patiently("ensure a static IP", || ips.ensure(&spec)).await?;
        self.points_at(&made, Some(instance)).await
    }

    /// Waits until a static IP is gone: not found, and not listed.
    ///
    /// # Errors
    ///
    /// When it cannot be told.
    pub async fn static_ip_gone(&self, id: &StaticIpId) -> Result<(), Failure> {
        let ips = self.static_ips()?;
        let look = async || match ips.get(id).await {
            Ok(_) => Ok(None),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let listed = ips.list(&Selector::all()).await?;
                Ok((!listed.iter().any(|ip| ip.id == *id)).then_some(()))
            }
            Err(error) => Err(error.into()),
        };
        self.until(format!("static IP {id} to be gone"), look).await
    }

    /// Waits until a static IP points there, or nowhere, and is not on its way.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub async fn points_at(&self, ip: &StaticIp, instance: Option<&InstanceId>) -> Result<StaticIp, Failure> {
        let ips = self.static_ips()?;
        let look = async || {
            let now = ips.get(&ip.id).await?;
            Ok((now.assigned_to.as_ref() == instance && !now.busy).then_some(now))
        };
        self.until(format!("static IP {} to point at {instance:?}", ip.id), look).await
    }

    /// Holds that a launch is refused and leaves nothing.
    ///
    /// # Errors
    ///
    /// When it is accepted, refused otherwise, or leaves something.
    pub async fn launches_nothing(&self, spec: &LaunchSpec, kinds: &[ErrorKind]) -> Result<(), Failure> {
        refused(self.instances().launch(spec).await, kinds, "the launch")?;
        let standing = self.standing().await?;
        check!(standing.is_empty(), "it was refused, and made {standing:?}");
        Ok(())
    }

    /// The names of this run's instances, sorted.
    ///
    /// # Errors
    ///
    /// When they cannot be listed.
    pub async fn standing(&self) -> Result<Vec<String>, Failure> {
        let listed = self.instances().list(&self.selector()).await?;
        let mut names: Vec<String> = listed.into_iter().map(|instance| instance.name).collect();
        names.sort();
        Ok(names)
    }
}

/// Holds that a call was refused with one of these kinds, and changed nothing.
pub(crate) fn refused<T: std::fmt::Debug>(
    result: Result<T, Error>,
    kinds: &[ErrorKind],
    what: &str,
) -> Result<Error, Failure> {
    let error = match result {
        Ok(value) => return Err(Failure::new(format!("{what} was accepted: {value:?}"))),
        Err(error) => error,
    };
    check!(kinds.contains(&error.kind()), "{what}: {:?} in place of {kinds:?}: {error}", error.kind());
    check!(error.effect() == Effect::NotApplied, "{what}: effect {:?} in place of NotApplied: {error}", error.effect());
    Ok(error)
}
