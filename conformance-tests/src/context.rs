//! What a case works with.

use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
};

use remint_core::provider::{
    Capability, DnsZones, Error, ErrorKind, Images, Instances, Labels, LoadBalancers, LoginKeys, Markers, Provider,
    Selector, StaticIps, Strays, label,
};
use uuid::Uuid;

use crate::{Failure, Ledger, LedgerFile, LostReply, Recorded, Refusal, Tags, Target};

/// What a case works with: the target, names and labels of its own, and the ledger. Clones share everything.
#[derive(Debug, Clone)]
pub struct CaseContext {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    target: Target,
    provider: Recorded,
    run: Uuid,
    labels: Labels,
    ledger: Ledger,
    waiting_for: Mutex<String>,
}

/// Fails a case unless the condition holds.
macro_rules! check {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err($crate::Failure::new(format!($($message)+)));
        }
    };
}
pub(crate) use check;

impl CaseContext {
    /// A context for one run of a case.
    pub fn new(case: &'static str, target: Target, tags: &Tags, file: Option<Arc<LedgerFile>>) -> Self {
        let run = Uuid::new_v4();
        let ledger = Ledger::new(case, file);
        let provider = Recorded::new(Arc::clone(&target.provider), ledger.clone());
        let labels = tags.labels().with(label::RUN, run.to_string());
        let waiting_for = Mutex::new("the first answer".to_owned());
        Self { shared: Arc::new(Shared { target, provider, run, labels, ledger, waiting_for }) }
    }

    /// What the case runs against: provider, region, size, base image.
    pub fn target(&self) -> &Target {
        &self.shared.target
    }

    /// What the case makes.
    pub fn ledger(&self) -> &Ledger {
        &self.shared.ledger
    }

    /// The provider, which writes into the ledger what it makes.
    pub fn provider(&self) -> &dyn Provider {
        &self.shared.provider
    }

    /// Another client of the account, which knows nothing of what this one did.
    ///
    /// # Errors
    ///
    /// When the case forgot to ask for one.
    pub fn another(&self) -> Result<Arc<dyn Provider>, Failure> {
        let connect = self.target().another.as_ref();
        let connect = connect.ok_or_else(|| Failure::new("the case needs another client and does not say so"))?;
        Ok(Arc::new(Recorded::new(connect(), self.ledger().clone())))
    }

    /// The provider's instances; what is launched through this goes into the ledger first.
    pub fn instances(&self) -> &dyn Instances {
        self.provider().instances()
    }

    /// The provider's images; captures and copies go into the ledger first.
    pub fn images(&self) -> &dyn Images {
        self.provider().images()
    }

    /// Its static IPs.
    ///
    /// # Errors
    ///
    /// When it declares them and has none.
    pub fn static_ips(&self) -> Result<&dyn StaticIps, Failure> {
        self.provider().static_ips().ok_or_else(|| declared_and_missing(Capability::StaticIp))
    }

    /// Its load balancers.
    ///
    /// # Errors
    ///
    /// When it declares them and has none.
    pub fn load_balancers(&self) -> Result<&dyn LoadBalancers, Failure> {
        self.provider().load_balancers().ok_or_else(|| declared_and_missing(Capability::LoadBalancer))
    }

    /// Its DNS zones.
    ///
    /// # Errors
    ///
    /// When it declares them and has none.
    pub fn dns(&self) -> Result<&dyn DnsZones, Failure> {
        self.provider().dns_zones().ok_or_else(|| declared_and_missing(Capability::Dns))
    }

    /// Its login keys.
    ///
    /// # Errors
    ///
    /// When it declares them and has none.
    pub fn login_keys(&self) -> Result<&dyn LoginKeys, Failure> {
        self.provider().login_keys().ok_or_else(|| declared_and_missing(Capability::LoginKey))
    }

    /// Its markers.
    ///
    /// # Errors
    ///
    /// When it declares them and has none.
    pub fn markers(&self) -> Result<&dyn Markers, Failure> {
        self.provider().markers().ok_or_else(|| declared_and_missing(Capability::Marker))
    }

    /// Its strays.
    ///
    /// # Errors
    ///
    /// When it declares them and has none.
    pub fn strays(&self) -> Result<&dyn Strays, Failure> {
        self.provider().strays().ok_or_else(|| declared_and_missing(Capability::Strays))
    }

    /// The same provider with credentials that the cloud refuses.
    ///
    /// # Errors
    ///
    /// When the case forgot to ask for one.
    pub fn stranger(&self) -> Result<&dyn Provider, Failure> {
        let stranger = self.target().stranger.as_deref();
        stranger.ok_or_else(|| Failure::new("the case needs refused credentials and does not say so"))
    }

    /// The zone of the target.
    ///
    /// # Errors
    ///
    /// When the case forgot to ask for one.
    pub fn zone(&self) -> Result<&str, Failure> {
        self.target().zone.as_deref().ok_or_else(|| Failure::new("the case needs a zone and does not say so"))
    }

    /// What all names of this run begin with.
    pub fn prefix(&self) -> String {
        let run = self.shared.run.simple().to_string();
        format!("cf-{}-", &run[..10])
    }

    /// A name that no other run has.
    pub fn name(&self, what: &str) -> String {
        format!("{}{what}", self.prefix())
    }

    /// The labels of everything that this case makes.
    pub fn labels(&self) -> Labels {
        self.shared.labels.clone()
    }

    /// What this case made.
    pub fn selector(&self) -> Selector {
        Selector::all().with(label::RUN, self.shared.run.to_string())
    }

    /// Looks until something is there. The case's own timeout ends it, and says what was waited for.
    ///
    /// # Errors
    ///
    /// The first failed look.
    pub async fn until<T, F, Fut>(&self, what: impl Into<String>, mut look: F) -> Result<T, Failure>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<Option<T>, Failure>>,
    {
        self.say(what);
        loop {
            if let Some(found) = look().await? {
                return Ok(found);
            }
            tokio::time::sleep(self.target().poll).await;
        }
    }

    /// Makes a call, and again for as long as the cloud is busy.
    ///
    /// # Errors
    ///
    /// Any other error.
    pub async fn patiently<T, F, Fut>(&self, what: &str, mut call: F) -> Result<T, Failure>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, Error>>,
    {
        self.say(format!("{what} while the cloud is busy"));
        loop {
            match call().await {
                Err(error) if error.kind() == ErrorKind::Busy => tokio::time::sleep(self.target().poll).await,
                result => return Ok(result?),
            }
        }
    }

    /// Lets the cloud lose the reply to the next call of a kind.
    ///
    /// # Errors
    ///
    /// When it cannot.
    pub async fn lose_next(&self, reply: LostReply) -> Result<(), Failure> {
        let interference = self.target().interference.as_ref();
        let interference = interference.ok_or_else(|| Failure::new("the case loses replies and does not say so"))?;
        interference.lose_next(reply).await.map_err(Failure::new)
    }

    /// Lets the cloud turn away the next calls of a kind.
    ///
    /// # Errors
    ///
    /// When it cannot.
    pub async fn refuse_next(&self, call: LostReply, refusal: Refusal, times: u64) -> Result<(), Failure> {
        let interference = self.target().interference.as_ref();
        let interference = interference.ok_or_else(|| Failure::new("the case interferes and does not say so"))?;
        interference.refuse_next(call, refusal, times).await.map_err(Failure::new)
    }

    /// Lets the cloud be well again.
    ///
    /// # Errors
    ///
    /// When it cannot.
    pub async fn recover(&self) -> Result<(), Failure> {
        let interference = self.target().interference.as_ref();
        let interference = interference.ok_or_else(|| Failure::new("the case interferes and does not say so"))?;
        interference.recover().await.map_err(Failure::new)
    }

    /// Holds that as many replies were really lost: without that, a case about lost replies proves nothing.
    ///
    /// # Errors
    ///
    /// When it was another number.
    pub async fn has_lost(&self, wanted: u64) -> Result<(), Failure> {
        let Some(interference) = &self.target().interference else { return Ok(()) };
        let lost = interference.lost().await.map_err(Failure::new)?;
        check!(lost == wanted, "{lost} replies were lost, not {wanted}: the case proves nothing");
        Ok(())
    }

    pub(crate) fn say(&self, what: impl Into<String>) {
        *self.shared.waiting_for.lock().unwrap_or_else(PoisonError::into_inner) = what.into();
    }

    pub(crate) fn waiting_for(&self) -> String {
        self.shared.waiting_for.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn declared_and_missing(capability: Capability) -> Failure {
    Failure::new(format!("{capability} is declared, and its concern is `None`"))
}
