//! The cloud: its constants, and how it answers a call.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use remint_conformance::{Interference, LostReply, Refusal};
use remint_core::provider::{Effect, Error, ErrorKind, Result};
use tokio::time::sleep;

use super::World;

/// The region where most things stand.
pub(crate) const HOME: &str = "north-1";
/// The other region.
pub(crate) const ELSEWHERE: &str = "south-1";
pub(super) const REGIONS: [&str; 2] = [HOME, ELSEWHERE];
/// The sizes, with processors, memory in MiB and disk in GiB.
pub(super) const SIZES: [(&str, u32, u64, u64); 2] = [("small", 1, 1024, 25), ("medium", 2, 4096, 50)];
/// The public images.
pub(super) const BASES: [&str; 2] = ["debian-12", "debian-13"];
/// The zone of the account.
pub(crate) const ZONE: &str = "conformance.example";
/// How many static IPs the account may have.
pub(super) const STATIC_IP_LIMIT: usize = 4;
/// How many instances or images one answer holds.
pub(crate) const PAGE: usize = 2;
/// How long after its launch an instance is first listed.
pub(super) const LAG: Duration = Duration::from_millis(100);
/// How long a request takes, and how long its answer.
const ONE_WAY: Duration = Duration::from_millis(20);
/// When whoever asks too often may come back.
const RETRY_AFTER: Duration = Duration::from_secs(1);
pub(super) const BOOT: Duration = Duration::from_secs(30);
pub(super) const SHUTDOWN: Duration = Duration::from_secs(8);
pub(super) const DESTRUCTION: Duration = Duration::from_secs(5);
pub(super) const CAPTURE: Duration = Duration::from_secs(60);
pub(super) const COPY: Duration = Duration::from_secs(120);
pub(super) const MOVE: Duration = Duration::from_secs(6);

#[derive(Debug, Default)]
pub(crate) struct Cloud {
    world: Mutex<World>,
    trouble: Mutex<Trouble>,
    calls: AtomicU64,
}

/// What comes between the cloud and its clients.
#[derive(Debug, Default)]
struct Trouble {
    /// Replies to be lost.
    losses: Vec<LostReply>,
    /// Calls to be turned away, and how often.
    refusals: Vec<(LostReply, Refusal, u64)>,
    hits: u64,
}

impl Trouble {
    /// How a call of this kind is turned away, if it is.
    fn refuses(&mut self, call: LostReply) -> Option<Refusal> {
        let (_, refusal, left) = self.refusals.iter_mut().find(|(kind, _, left)| *kind == call && *left > 0)?;
        *left -= 1;
        self.hits += 1;
        Some(*refusal)
    }

    /// Whether the reply to a call of this kind is lost.
    fn loses(&mut self, call: LostReply) -> bool {
        let Some(place) = self.losses.iter().position(|kind| *kind == call) else { return false };
        self.losses.remove(place);
        self.hits += 1;
        true
    }
}

fn turned_away(refusal: Refusal) -> Error {
    let operation = "ask the cloud";
    match refusal {
        Refusal::RateLimited => {
            Error::new(ErrorKind::RateLimited, operation, "too many calls").with_retry_after(RETRY_AFTER)
        }
        Refusal::Unavailable => {
            Error::new(ErrorKind::Unavailable, operation, "out of service").with_effect(Effect::Unknown)
        }
    }
}

impl Cloud {
    /// What stands now.
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        world.tick();
        world
    }

    fn trouble(&self) -> MutexGuard<'_, Trouble> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One API call: the request travels, is carried out or refused, and the answer travels, or is lost.
    pub(crate) async fn serve<T>(
        &self,
        call: Option<LostReply>,
        work: impl FnOnce(&mut World) -> Result<T>,
    ) -> Result<T> {
        sleep(ONE_WAY).await;
        let refusal = call.and_then(|call| self.trouble().refuses(call));
        let mut answer = match refusal {
            Some(refusal) => Err(turned_away(refusal)),
            None => work(&mut self.world()),
        };
        if answer.is_ok() && call.is_some_and(|call| self.trouble().loses(call)) {
            let error = Error::new(ErrorKind::Unavailable, "wait for the answer", "the connection was reset");
            answer = Err(error.with_effect(Effect::Unknown));
        }
        sleep(ONE_WAY).await;
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        answer.map_err(|error| error.with_request_id(format!("req-{number}")))
    }
}

#[async_trait]
impl Interference for Cloud {
    async fn lose_next(&self, reply: LostReply) -> Result<(), String> {
        self.trouble().losses.push(reply);
        Ok(())
    }

    async fn refuse_next(&self, call: LostReply, refusal: Refusal, times: u64) -> Result<(), String> {
        self.trouble().refusals.push((call, refusal, times));
        Ok(())
    }

    async fn recover(&self) -> Result<(), String> {
        let mut trouble = self.trouble();
        trouble.losses.clear();
        trouble.refusals.clear();
        Ok(())
    }

    async fn lost(&self) -> Result<u64, String> {
        Ok(self.trouble().hits)
    }
}
