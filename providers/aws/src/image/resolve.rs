//! Base images: `ami-…`, `OWNER/NAME-PATTERN`, `ssm:/PARAMETER`.
//!
//! A base image must run on the size of the section. So a name that means images of several architectures means those that the
//! size runs, and a base image of another architecture is refused before anything is created.

use remint_core::provider::{Error, ErrorKind, Image, Region, Result, nearest, support::Call};

use super::{Body, image, is_available};
use crate::{Aws, ids::is_id, tags};

const OPERATION: &str = "find base image";
/// How a base image begins that a public parameter of the Systems Manager names.
const SSM: &str = "ssm:";
/// How much of a wrong name the names in the hint begin with.
const ALIKE: usize = 6;
/// How many parameters a page holds.
const PARAMETERS: i32 = 10;
/// How many pages of parameters are read for a hint.
const PAGES: usize = 10;

impl Aws {
    /// One call for an id or a pattern, two for a parameter, and two once for the size, which a launch would ask for otherwise; a
    /// name that nothing has costs one more, for the hint.
    pub(super) async fn resolve_base(&self, base: &str, region: &Region) -> Result<Image> {
        self.check_region(OPERATION, region).await?;
        let runs = self.architectures(region).await;
        if is_id(base, "ami-") {
            let body = self.resolve_id(base, region).await?;
            self.check_architecture(base, &body, &runs)?;
            return Ok(image(region, &body));
        }
        let body = if let Some(parameter) = base.strip_prefix(SSM) {
            let id = self.parameter(base, parameter, region).await?;
            self.fetch_image(OPERATION, region, &id).await?.ok_or_else(|| {
                let message = format!("the parameter names {id}, which is not to be had in {region}");
                Error::new(ErrorKind::InvalidInput, OPERATION, message).with_resource(format!("`{base}`"))
            })?
        } else if let Some((owner, pattern)) = base.split_once('/').filter(|(owner, name)| is_owner(owner, name)) {
            self.newest(base, owner, pattern, region, &runs).await?
        } else {
            return Err(no_base(base).with_hint(
                "write `ami-…`, `OWNER/NAME-PATTERN` (`136693071363/debian-12-amd64-*`) or `ssm:/PARAMETER`",
            ));
        };
        self.check_architecture(base, &body, &runs)?;
        let mut found = image(region, &body);
        base.clone_into(&mut found.name);
        Ok(found)
    }

    /// The architectures of the section's size; none where there is no size, or none that the region has: looking it up by
    /// itself says what is wrong with it.
    async fn architectures(&self, region: &Region) -> Vec<String> {
        match &self.settings.size {
            Some(size) => self.find_offer(size, region).await.map(|offer| offer.architectures).unwrap_or_default(),
            None => Vec::new(),
        }
    }

    /// Refuses an image that the section's size cannot run.
    fn check_architecture(&self, base: &str, body: &Body, runs: &[String]) -> Result<()> {
        let (Some(size), Some(architecture)) = (&self.settings.size, body.architecture()) else { return Ok(()) };
        let architecture = architecture.as_str();
        if runs.is_empty() || runs.iter().any(|runs| runs == architecture) {
            return Ok(());
        }
        let runs = runs.join(" or ");
        let message = format!("the image is for {architecture}, and size {size} runs {runs}");
        Err(Error::new(ErrorKind::InvalidInput, OPERATION, message)
            .with_resource(format!("`{base}`"))
            .with_hint(format!("name a base image for {runs}, or a size for {architecture}")))
    }

    /// An AMI by its id: the region's own, or the copy there of one of the account's.
    async fn resolve_id(&self, id: &str, region: &Region) -> Result<Body> {
        if let Some(body) = self.fetch_image(OPERATION, region, id).await? {
            return Ok(body);
        }
        if let Some(copy) = self.copies_in(OPERATION, region, id).await?.into_iter().find(is_available) {
            return Ok(copy);
        }
        for elsewhere in self.all_places(OPERATION)? {
            if elsewhere != *region && self.fetch_image(OPERATION, &elsewhere, id).await?.is_some() {
                let message = format!("the image is not in region {region} (it is in {elsewhere})");
                return Err(Error::new(ErrorKind::InvalidInput, OPERATION, message)
                    .with_resource(format!("`{id}`"))
                    .with_hint("copy the image to that region first, or choose one that has it"));
            }
        }
        Err(no_base(id).with_hint(format!("the id of an AMI holds for one region; look it up in {region}")))
    }

    async fn parameter(&self, base: &str, parameter: &str, region: &Region) -> Result<String> {
        let ssm = self.client.ssm(region);
        let request = ssm.get_parameter().name(parameter);
        let call = Call::read(OPERATION).about(format!("`{base}`"));
        let error = match self.client.call(&call, || request.clone().send()).await {
            Ok(answer) => {
                let value = answer.parameter.and_then(|parameter| parameter.value).unwrap_or_default();
                if is_id(&value, "ami-") {
                    return Ok(value);
                }
                return Err(call.error(ErrorKind::InvalidInput, "the parameter does not hold an AMI's id"));
            }
            Err(error) => error,
        };
        if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidInput) {
            return Err(error);
        }
        let folder = parameter.rsplit_once('/').map_or("/", |(folder, _)| folder);
        let mut names: Vec<String> = Vec::new();
        let mut next = None;
        for _ in 0..PAGES {
            let request = ssm.get_parameters_by_path().path(folder).max_results(PARAMETERS).set_next_token(next.take());
            let Ok(answer) = self.client.call(&call, || request.clone().send()).await else { break };
            let page = answer.parameters.unwrap_or_default().into_iter();
            names.extend(page.filter_map(|parameter| Some(format!("{SSM}{}", parameter.name?))));
            next = answer.next_token;
            if next.is_none() {
                break;
            }
        }
        Err(no_base(base).with_hint(hint(base, &names)).with_source(error))
    }

    /// The newest available AMI of a name that the size runs; where nothing is known of the size, the newest x86-64 one.
    async fn newest(&self, base: &str, owner: &str, pattern: &str, region: &Region, runs: &[String]) -> Result<Body> {
        let available = tags::pattern("state", "available");
        let filters = vec![tags::pattern("name", pattern), available.clone()];
        let mut found = self.describe_images(OPERATION, region, Some(owner), filters).await?;
        let is_right = |body: &Body| {
            let architecture = body.architecture().map(|architecture| architecture.as_str()).unwrap_or_default();
            if runs.is_empty() { architecture == "x86_64" } else { runs.iter().any(|runs| runs == architecture) }
        };
        found.sort_by(|a, b| {
            let age = a.creation_date().cmp(&b.creation_date()).then_with(|| a.image_id().cmp(&b.image_id()));
            is_right(a).cmp(&is_right(b)).then(age)
        });
        if let Some(newest) = found.pop() {
            return Ok(newest);
        }
        let begin: String = pattern.chars().take_while(|c| !matches!(c, '*' | '?')).take(ALIKE).collect();
        let filters = vec![tags::pattern("name", format!("{begin}*")), available];
        let alike = self.describe_images(OPERATION, region, Some(owner), filters).await.unwrap_or_default();
        let names: Vec<String> = alike.iter().filter_map(|body| Some(format!("{owner}/{}", body.name()?))).collect();
        Err(no_base(base).with_hint(hint(base, &names)))
    }
}

/// An account's number, or one of the names that EC2 knows owners by.
fn is_owner(owner: &str, name: &str) -> bool {
    let number = owner.len() == 12 && owner.bytes().all(|byte| byte.is_ascii_digit());
    !name.is_empty() && (number || matches!(owner, "self" | "amazon" | "aws-marketplace"))
}

fn no_base(base: &str) -> Error {
    Error::new(ErrorKind::NotFound, OPERATION, "no image has this name or id").with_resource(format!("`{base}`"))
}

fn hint(base: &str, names: &[String]) -> String {
    if names.is_empty() {
        return "check the owner and the name; nothing there is called alike".to_owned();
    }
    format!("nearest: {}", nearest(base, names.iter().map(String::as_str)))
}
