//! Adding labels to a resource that has some already.
//!
//! Google sets all labels of a resource at once, and refuses that when they have changed since they were read; then they are
//! read again. So nobody's labels are lost, and those that are added at the same time all stand.

use std::{collections::HashMap, future::Future};

use google_cloud_compute_v1::model::Operation;
use remint_core::provider::{ErrorKind, Labels, Result};

use crate::{Gcp, collision, error::Subject, labelling};

impl Gcp {
    /// Reads a resource's labels with their fingerprint, and sets them with the new ones among them: two calls and waiting,
    /// one where they are there.
    pub(crate) async fn relabel<P, R, RF, S, SF>(
        &self,
        subject: &Subject,
        labels: &Labels,
        read: R,
        set: S,
    ) -> Result<()>
    where
        P: Clone,
        R: Fn() -> RF,
        RF: Future<Output = Result<(HashMap<String, String>, P)>>,
        S: Fn(String, HashMap<String, String>, P) -> SF,
        SF: Future<Output = google_cloud_gax::Result<Operation>>,
    {
        labels.check(subject.operation())?;
        self.relabel_to(subject, |standing| labelling::merged(subject.operation(), standing, labels), read, set).await
    }

    /// The same, to what `wanted` makes of the labels that stand.
    pub(crate) async fn relabel_to<P, R, RF, S, SF>(
        &self,
        subject: &Subject,
        wanted: impl Fn(&HashMap<String, String>) -> Result<HashMap<String, String>>,
        read: R,
        set: S,
    ) -> Result<()>
    where
        P: Clone,
        R: Fn() -> RF,
        RF: Future<Output = Result<(HashMap<String, String>, P)>>,
        S: Fn(String, HashMap<String, String>, P) -> SF,
        SF: Future<Output = google_cloud_gax::Result<Operation>>,
    {
        let mut round = 1;
        loop {
            let (standing, fingerprint) = read().await?;
            let wanted = wanted(&standing)?;
            if wanted == standing {
                return Ok(());
            }
            let ask = |request: String| set(request, wanted.clone(), fingerprint.clone());
            let done = async {
                let operation = self.client.mutate(subject, ask).await?;
                self.finish(subject, &operation).await
            };
            match done.await {
                // Somebody else's labels came between the two calls: theirs are kept.
                Err(error) if error.kind() == ErrorKind::Conflict && round < collision::ROUNDS => {
                    collision::part(round).await;
                    round += 1;
                }
                result => return result,
            }
        }
    }
}
