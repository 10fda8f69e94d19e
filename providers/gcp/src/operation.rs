//! Operations: what a mutation of Compute Engine answers with, and what becomes of it.
//!
//! A call is accepted at once; its operation ends seconds later, and may end in an error (a quota, a zone without room)
//! although it was accepted. So that such an error reaches whoever asked:
//!
//! - a mutation whose operation is the last thing that it does looks at it once, after [`crate::ClientOptions::look`]:
//!   refusals come within a second or so;
//! - what is needed by a further step is waited for;
//! - an operation that fails later shows in `get` and `list`, which ask for it when the resource is not as it should be.

use std::time::Duration;

use google_cloud_compute_v1::model::Operation;
use remint_core::provider::{Effect, Error, ErrorKind, Result, support::CallClass};
use tokio::time::{Instant, sleep};

use crate::{
    Gcp,
    error::{Subject, is_done},
    pending::{Pending, Scope},
};

/// The longest pause between two looks at an operation.
const LONGEST_PAUSE: Duration = Duration::from_secs(4);

/// What has become of an operation.
#[derive(Debug)]
pub(crate) enum Progress {
    Running,
    Done,
    Failed(Error),
}

impl Gcp {
    /// Reads an operation; one call. One that is forgotten by now has ended long ago.
    async fn read_operation(&self, subject: &Subject, pending: &Pending) -> Result<Option<Operation>> {
        let (client, project, name) = (&self.client, &self.client.project, &pending.name);
        let read = client
            .run(CallClass::Read, subject, || async move {
                match &pending.scope {
                    Scope::Global => {
                        client.images.get_operation().set_project(project).set_operation(name).send().await
                    }
                    Scope::Region(region) => {
                        let ask = client.addresses.get_operation().set_project(project).set_region(region);
                        ask.set_operation(name).send().await
                    }
                    Scope::Zone(zone) => {
                        let ask = client.instances.get_operation().set_project(project).set_zone(zone);
                        ask.set_operation(name).send().await
                    }
                }
            })
            .await;
        match read {
            Ok(operation) => Ok(Some(operation)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What has become of an operation; one call.
    pub(crate) async fn progress(&self, subject: &Subject, pending: &Pending) -> Result<Progress> {
        let Some(operation) = self.read_operation(subject, pending).await? else { return Ok(Progress::Done) };
        Ok(match subject.progress(&operation) {
            Err(error) => Progress::Failed(error),
            Ok(()) if is_done(&operation) => Progress::Done,
            Ok(()) => Progress::Running,
        })
    }

    /// One look at what was just accepted: an error if it has failed by now, else what is still under way.
    ///
    /// A look that fails itself is no failure of what was accepted.
    pub(crate) async fn glance(&self, subject: &Subject, operation: &Operation) -> Result<Option<Pending>> {
        subject.progress(operation)?;
        let Some(pending) = Pending::of(operation) else { return Ok(None) };
        sleep(self.look).await;
        match self.progress(subject, &pending).await {
            Ok(Progress::Failed(error)) => Err(error),
            Ok(Progress::Done) => Ok(None),
            Ok(Progress::Running) => Ok(Some(pending)),
            Err(error) => {
                tracing::debug!(%error, "cannot look at an operation");
                Ok(Some(pending))
            }
        }
    }

    /// Waits until what was accepted is done.
    pub(crate) async fn finish(&self, subject: &Subject, operation: &Operation) -> Result<()> {
        subject.progress(operation)?;
        let Some(pending) = Pending::of(operation) else { return Ok(()) };
        let started = Instant::now();
        let mut pause = self.look;
        loop {
            sleep(pause).await;
            let outcome = self.progress(subject, &pending).await.map_err(|error| error.with_effect(Effect::Unknown))?;
            match outcome {
                Progress::Done => return Ok(()),
                Progress::Failed(error) => return Err(error),
                Progress::Running if started.elapsed() > self.patience => {
                    let message = format!("operation {} still runs after {} s", pending.name, self.patience.as_secs());
                    return Err(subject.error(ErrorKind::Timeout, message).with_effect(Effect::Unknown));
                }
                Progress::Running => pause = (pause * 3 / 2).min(LONGEST_PAUSE),
            }
        }
    }
}
