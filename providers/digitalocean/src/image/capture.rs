//! Capturing a droplet: level-triggered, and one call for each observation.
//!
//! A snapshot action carries no image id, so the image is found by its name among the droplet's snapshots. In memory
//! stands only how far the capture is; without it (after a crash) the droplet, its snapshots and its actions tell. When the
//! droplet is gone, the account's lists of snapshots and actions still say which droplet each was of.
//!
//! Calls: 3 to start (droplet, its actions, snapshot), or 1 where this process made and stopped the droplet, 1 for each observation, then 1 for the list of snapshots, 1 for
//! the image and 1 for each label (3 where its tag is new).

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use remint_core::provider::{
    CaptureProgress, CaptureSpec, Effect, Error, ErrorKind, ImageState, InstanceState, Labels, Result, Selector,
    support::JsonRequest,
};
use serde_json::json;
use tokio::time::Instant;

use super::image;
use crate::{
    DigitalOcean, client::is_lost, instance::droplet_number, labelling::resource, memory::Capture, tags, wire,
};

const OPERATION: &str = "capture image";
/// How long a finished snapshot may be missing from the list.
const LAG: Duration = Duration::from_secs(300);

impl DigitalOcean {
    pub(super) async fn advance_capture(&self, spec: &CaptureSpec) -> Result<CaptureProgress> {
        // By the droplet: it makes one snapshot at a time.
        let _turn = self.turns.take([format!("capture of {}", spec.instance)]).await;
        let memo = self.memory.lock().captures.get(&spec.name).copied();
        match memo {
            Some(Capture::Found(id, _)) => self.finish(spec, id).await,
            Some(Capture::Running(action)) => self.observe(spec, action).await,
            Some(Capture::Finished(at)) => match self.find_snapshot(spec).await? {
                Some(id) => self.finish(spec, id).await,
                None if at.elapsed() < LAG => Ok(CaptureProgress::Pending),
                None => {
                    self.forget(spec);
                    Err(failed(spec, "the snapshot is completed, and no image of this name has shown"))
                }
            },
            Some(Capture::Lost(_)) | None => self.look_and_start(spec).await,
        }
    }

    fn remember(&self, spec: &CaptureSpec, capture: Capture) {
        self.memory.lock().captures.insert(spec.name.clone(), capture);
    }

    fn forget(&self, spec: &CaptureSpec) {
        self.memory.lock().captures.remove(&spec.name);
    }

    /// What stands in the cloud decides; nothing is known of this capture here.
    async fn look_and_start(&self, spec: &CaptureSpec) -> Result<CaptureProgress> {
        if self.is_untouched(spec) {
            return self.order(spec).await;
        }
        let droplet = match self.droplet(OPERATION, &spec.instance).await {
            Ok(droplet) => droplet,
            Err(error) if error.kind() == ErrorKind::NotFound => return self.without_droplet(spec, error).await,
            Err(error) => return Err(error),
        };
        if !droplet.snapshot_ids.is_empty()
            && let Some(id) = self.find_snapshot(spec).await?
        {
            return self.finish(spec, id).await;
        }
        let path = ["v2", "droplets", spec.instance.as_str(), "actions"];
        let request = JsonRequest::get(OPERATION, &path).about(&spec.instance);
        let actions: Vec<wire::Action> = self.client.list(&request, "actions").await?;
        let snapshots = || actions.iter().filter(|action| action.kind == "snapshot");
        if let Some(running) = snapshots().find(|action| action.in_progress()) {
            self.remember(spec, Capture::Running(running.id));
            return Ok(CaptureProgress::Pending);
        }
        let lately = |action: &&wire::Action| {
            let known = self.memory.lock().settled.contains(&action.id);
            !known && action.status == "completed" && is_recent(action.completed_at)
        };
        if let Some(finished) = snapshots().find(lately) {
            // An image of this capture may not show yet; one of another name does already.
            if !self.shows_snapshot_for(&droplet, snapshots().filter(|a| a.status == "completed").count()) {
                tracing::debug!(action = finished.id, "a snapshot is completed and does not show yet");
                self.memory.lock().settled.insert(finished.id);
                self.remember(spec, Capture::Finished(Instant::now()));
                return Ok(CaptureProgress::Pending);
            }
        }
        let lost = self.memory.lock().captures.get(&spec.name).copied();
        if let Some(Capture::Lost(at)) = lost
            && at.elapsed() < self.settle
        {
            return Ok(CaptureProgress::Pending);
        }
        self.start(spec, &droplet).await
    }

    fn shows_snapshot_for(&self, droplet: &wire::Droplet, completed: usize) -> bool {
        droplet.snapshot_ids.len() >= completed
    }

    async fn start(&self, spec: &CaptureSpec, droplet: &wire::Droplet) -> Result<CaptureProgress> {
        let refuse = |kind, message: &str| Err(Error::new(kind, OPERATION, message).with_resource(&spec.instance));
        if droplet.locked {
            return refuse(ErrorKind::Busy, "the droplet is locked by another event");
        }
        if droplet.status != "off" {
            return refuse(ErrorKind::Conflict, "the droplet is not off");
        }
        self.order(spec).await
    }

    /// Whether this process made the droplet, has seen it stopped and idle, and never asked for a snapshot of it: then
    /// there is nothing to find.
    fn is_untouched(&self, spec: &CaptureSpec) -> bool {
        let Ok(number) = spec.instance.as_str().parse::<u64>() else { return false };
        let memory = self.memory.lock();
        memory.instances.get(&number).is_some_and(|launched| {
            let idle = launched.instance.state == InstanceState::Stopped && !launched.instance.busy;
            idle && !launched.extra && !launched.gone
        })
    }

    /// Asks for the snapshot.
    async fn order(&self, spec: &CaptureSpec) -> Result<CaptureProgress> {
        let number = droplet_number(OPERATION, &spec.instance)?;
        if let Some(launched) = self.memory.lock().instances.get_mut(&number) {
            launched.extra = true;
        }
        self.memory.lock().removed.remove(&spec.name);
        let path = ["v2", "droplets", spec.instance.as_str(), "actions"];
        let body = json!({ "type": "snapshot", "name": spec.name });
        let request = JsonRequest::post(OPERATION, &path, body).about(&spec.instance);
        let result = self.client.json::<wire::ActionAnswer>(&request).await;
        if is_lost(&result) {
            // Whether the snapshot is being made is for the next call to see.
            self.remember(spec, Capture::Lost(Instant::now()));
        }
        self.remember(spec, Capture::Running(result?.action.id));
        Ok(CaptureProgress::Pending)
    }

    async fn observe(&self, spec: &CaptureSpec, action: u64) -> Result<CaptureProgress> {
        let Some(action) = self.action(OPERATION, action).await? else { return Ok(CaptureProgress::Pending) };
        if action.errored() {
            self.forget(spec);
            return Err(failed(spec, &format!("snapshot action {} ended in error", action.id)));
        }
        if action.in_progress() {
            return Ok(CaptureProgress::Pending);
        }
        self.memory.lock().settled.insert(action.id);
        self.remember(spec, Capture::Finished(Instant::now()));
        match self.find_snapshot(spec).await? {
            Some(id) => self.finish(spec, id).await,
            None => Ok(CaptureProgress::Pending),
        }
    }

    /// Looks the image up by its name among the droplet's snapshots.
    async fn find_snapshot(&self, spec: &CaptureSpec) -> Result<Option<u64>> {
        droplet_number(OPERATION, &spec.instance)?;
        let path = ["v2", "droplets", spec.instance.as_str(), "snapshots"];
        let request = JsonRequest::get(OPERATION, &path).about(&spec.instance);
        match self.client.list::<wire::Snapshot>(&request, "snapshots").await {
            Ok(all) => Ok(all.iter().find(|snapshot| snapshot.name == spec.name).map(|snapshot| snapshot.id)),
            Err(error) if error.kind() == ErrorKind::NotFound => self.find_in_account(spec).await,
            Err(error) => Err(error),
        }
    }

    /// Looks the image up among all snapshots: by its name, and by the droplet that it was taken of. An image of this name
    /// that was taken of another one is somebody else's.
    async fn find_in_account(&self, spec: &CaptureSpec) -> Result<Option<u64>> {
        let all = self.snapshots(OPERATION).await?;
        let mut named = all.iter().filter(|snapshot| snapshot.name == spec.name).peekable();
        if named.peek().is_none() {
            return Ok(None);
        }
        match named.find(|snapshot| snapshot.resource_id == spec.instance.as_str()) {
            Some(found) => Ok(found.id.parse().ok()),
            None => Err(Error::new(ErrorKind::Conflict, OPERATION, "an image of this name is of another droplet")
                .with_resource(&spec.name)
                .with_hint("delete that image, or rename the service")),
        }
    }

    /// The account's snapshots of droplets.
    pub(crate) async fn snapshots(&self, operation: &'static str) -> Result<Vec<wire::AccountSnapshot>> {
        let request = JsonRequest::get(operation, &["v2", "snapshots"]).query("resource_type", "droplet");
        self.client.list(&request, "snapshots").await
    }

    /// The droplet is gone: the image may be there all the same, or appear in a moment. `NotFound` when there was no capture.
    async fn without_droplet(&self, spec: &CaptureSpec, error: Error) -> Result<CaptureProgress> {
        if let Some(id) = self.find_in_account(spec).await? {
            return self.finish(spec, id).await;
        }
        if self.memory.lock().removed.contains(&spec.name) {
            return Err(error);
        }
        let number = droplet_number(OPERATION, &spec.instance)?;
        // The latest come first: what is under way, or ended a moment ago, is among them.
        let latest =
            self.client.first_page::<wire::Action>(&JsonRequest::get(OPERATION, &["v2", "actions"]), "actions").await?;
        let mut snapshots =
            latest.iter().filter(|action| action.kind == "snapshot" && action.resource_id == Some(number));
        match snapshots.find(|action| action.in_progress() || is_recent(action.completed_at)) {
            Some(running) if running.in_progress() => {
                self.remember(spec, Capture::Running(running.id));
                Ok(CaptureProgress::Pending)
            }
            Some(ended) if ended.status == "completed" && !self.memory.lock().settled.contains(&ended.id) => {
                self.memory.lock().settled.insert(ended.id);
                self.remember(spec, Capture::Finished(Instant::now()));
                Ok(CaptureProgress::Pending)
            }
            _ => Err(error),
        }
    }

    /// Waits until the image is available, and labels it.
    async fn finish(&self, spec: &CaptureSpec, id: u64) -> Result<CaptureProgress> {
        let since = match self.memory.lock().captures.get(&spec.name) {
            Some(Capture::Found(known, since)) if *known == id => *since,
            _ => Instant::now(),
        };
        self.remember(spec, Capture::Found(id, since));
        let body = match self.fetch_image(OPERATION, &id.to_string()).await {
            Ok(body) => body,
            Err(error) if error.kind() == ErrorKind::NotFound && since.elapsed() < self.grace => {
                return Ok(CaptureProgress::Pending);
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.forget(spec);
                return Err(failed(spec, &format!("image {id} is gone")).with_source(error));
            }
            Err(error) => return Err(error),
        };
        let mut found = image(&body);
        match &found.state {
            ImageState::Pending => return Ok(CaptureProgress::Pending),
            ImageState::Failed(why) => {
                self.forget(spec);
                return Err(failed(spec, why));
            }
            ImageState::Available => {}
        }
        let taken = |(key, value): (&str, &str)| found.labels.get(key).is_some_and(|standing| standing != value);
        if spec.labels.iter().any(taken) {
            let message = format!("image {id} has this name and other labels");
            return Err(Error::new(ErrorKind::Conflict, OPERATION, message)
                .with_resource(&spec.name)
                .with_hint("delete that image, or rename the service"));
        }
        let resource = resource("image", id);
        for (key, value) in spec.labels.iter() {
            if !found.labels.matches(&Selector::all().with(key, value)) {
                self.attach_tag(OPERATION, &tags::tag(OPERATION, key, value)?, &resource).await?;
                found.labels = Labels(std::mem::take(&mut found.labels.0)).with(key, value);
            }
        }
        let mut memory = self.memory.lock();
        memory.captures.remove(&spec.name);
        memory.captured.note(id, found.clone());
        Ok(CaptureProgress::Done(found))
    }
}

fn is_recent(at: Option<Timestamp>) -> bool {
    let lag = SignedDuration::try_from(LAG).unwrap_or_default();
    at.is_some_and(|at| Timestamp::now().duration_since(at) < lag)
}

fn failed(spec: &CaptureSpec, why: &str) -> Error {
    Error::new(ErrorKind::Unexpected, OPERATION, why)
        .with_resource(&spec.name)
        .with_effect(Effect::NotApplied)
        .with_hint("try again; DigitalOcean does not say why a snapshot failed")
}
