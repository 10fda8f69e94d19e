//! What this process did lately, to bridge the time in which a cloud's answers lag behind it.
//!
//! Nothing here is needed to be correct after a crash: names, labels and tokens are looked at again then. It saves calls, and
//! keeps what was just created from looking gone.

use std::{borrow::Borrow, collections::HashMap, hash::Hash, time::Duration};

use tokio::time::Instant;

use crate::provider::Instance;

/// Values, each with the moment when it was noted.
#[derive(Debug, Clone)]
pub struct Recent<K, V = ()>(HashMap<K, (V, Instant)>);

impl<K, V> Default for Recent<K, V> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Eq + Hash, V> Recent<K, V> {
    /// Notes a value now, in place of an earlier one.
    pub fn note(&mut self, key: K, value: V) {
        self.0.insert(key, (value, Instant::now()));
    }

    /// A value that was noted no longer ago than this.
    pub fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q, within: Duration) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.0.get(key).filter(|(_, at)| at.elapsed() < within).map(|(value, _)| value)
    }

    /// A value, whenever it was noted.
    pub fn get_mut<Q: Eq + Hash + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        self.0.get_mut(key).map(|(value, _)| value)
    }

    /// Whether a key was ever noted.
    pub fn contains<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.0.contains_key(key)
    }

    /// Forgets a key.
    pub fn remove<Q: Eq + Hash + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        self.0.remove(key).map(|(value, _)| value)
    }

    /// Forgets the values that are not wanted any more.
    pub fn retain(&mut self, mut wanted: impl FnMut(&K, &V) -> bool) {
        self.0.retain(|key, (value, _)| wanted(key, value));
    }

    /// What was noted no longer ago than this, in no order.
    pub fn all(&self, within: Duration) -> impl Iterator<Item = (&K, &V)> {
        let recent = self.0.iter().filter(move |(_, (_, at))| at.elapsed() < within);
        recent.map(|(key, (value, _))| (key, value))
    }
}

/// An instance that this process has seen, and perhaps launched.
#[derive(Debug, Clone)]
pub struct Launched<X> {
    /// As it was last seen, or as it was asked for.
    pub instance: Instance,
    /// When this process launched it; `None` for what others launched.
    pub at: Option<Instant>,
    /// Whether an answer has shown it; from then on "not found" means that it is gone.
    pub shown: bool,
    /// Whether it was seen to be gone.
    pub gone: bool,
    /// What else the provider keeps with it.
    pub extra: X,
}

/// The instances that this process launched or destroyed, by the cloud's id. `D` is what is kept with a destruction.
#[derive(Debug, Clone)]
pub struct Launches<K, X = (), D = ()> {
    seen: HashMap<K, Launched<X>>,
    /// Those whose destruction was accepted.
    pub destroyed: Recent<K, D>,
}

impl<K, X, D> Default for Launches<K, X, D> {
    fn default() -> Self {
        Self { seen: HashMap::new(), destroyed: Recent::default() }
    }
}

impl<K: Eq + Hash, X, D> Launches<K, X, D> {
    /// Notes an instance that a create call of this process has just returned.
    pub fn launched(&mut self, key: K, instance: Instance, shown: bool, extra: X) {
        self.insert(key, Launched { instance, at: Some(Instant::now()), shown, gone: false, extra });
    }

    /// Notes what is known of an instance.
    pub fn insert(&mut self, key: K, launched: Launched<X>) {
        self.seen.insert(key, launched);
    }

    /// What is known of an instance.
    pub fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<&Launched<X>>
    where
        K: Borrow<Q>,
    {
        self.seen.get(key)
    }

    /// What is known of an instance, to be changed.
    pub fn get_mut<Q: Eq + Hash + ?Sized>(&mut self, key: &Q) -> Option<&mut Launched<X>>
    where
        K: Borrow<Q>,
    {
        self.seen.get_mut(key)
    }

    /// Forgets an instance.
    pub fn remove<Q: Eq + Hash + ?Sized>(&mut self, key: &Q)
    where
        K: Borrow<Q>,
    {
        self.seen.remove(key);
    }

    /// All that is known, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &Launched<X>)> {
        self.seen.iter()
    }

    /// An instance that was launched no longer ago than this and that no answer has shown: "not found" does not mean that it is
    /// gone.
    pub fn pending<Q: Eq + Hash + ?Sized>(&self, key: &Q, within: Duration) -> Option<&Launched<X>>
    where
        K: Borrow<Q>,
    {
        self.young(key, within).filter(|launched| !launched.shown)
    }

    /// An instance that was launched no longer ago than this, and whose destruction was not asked for: what one part of a cloud
    /// shows, another may not know yet.
    pub fn young<Q: Eq + Hash + ?Sized>(&self, key: &Q, within: Duration) -> Option<&Launched<X>>
    where
        K: Borrow<Q>,
    {
        let launched = self.seen.get(key)?;
        let young = launched.at.is_some_and(|at| at.elapsed() < within);
        (young && !self.destroyed.contains(key)).then_some(launched)
    }

    /// Instances that were launched no longer ago than this, and are not known to be gone: a list that lags may leave them out.
    pub fn unlisted(&self, within: Duration) -> impl Iterator<Item = &Launched<X>> {
        let standing = move |(key, launched): &(&K, &Launched<X>)| {
            let young = launched.at.is_some_and(|at| at.elapsed() < within);
            young && !launched.gone && !self.destroyed.contains(*key)
        };
        self.seen.iter().filter(standing).map(|(_, launched)| launched)
    }

    /// Adds to a list what it leaves out, of those that `wanted` accepts.
    pub fn complete(&self, list: &mut Vec<Instance>, within: Duration, wanted: impl Fn(&Instance) -> bool) {
        for launched in self.unlisted(within).filter(|launched| wanted(&launched.instance)) {
            if list.iter().all(|listed| listed.id != launched.instance.id) {
                list.push(launched.instance.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::{InstanceId, InstanceState, Labels, Region, SizeName};

    const GRACE: Duration = Duration::from_secs(60);

    fn instance(id: &str) -> Instance {
        Instance {
            id: InstanceId::new(id),
            name: "app-7-0".to_owned(),
            labels: Labels::new(),
            state: InstanceState::Pending,
            busy: false,
            address: None,
            image: None,
            size: SizeName::new("small"),
            region: Region::new("here"),
            created_at: None,
        }
    }

    fn listed(launches: &Launches<&str>) -> usize {
        let mut list = vec![instance("1")];
        launches.complete(&mut list, GRACE, |_| true);
        list.len()
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_launched_a_moment_ago_is_not_gone() {
        let mut launches: Launches<&str> = Launches::default();
        launches.launched("1", instance("1"), false, ());
        launches.launched("2", instance("2"), false, ());
        assert!(launches.pending("2", GRACE).is_some());
        assert_eq!(listed(&launches), 2, "the list has the first, and leaves the second out");
        launches.get_mut("2").unwrap().shown = true;
        assert!(launches.pending("2", GRACE).is_none(), "what was shown can be gone");
        assert_eq!(listed(&launches), 2, "and a list that lags may leave it out even so");
        launches.destroyed.note("2", ());
        assert_eq!(listed(&launches), 1);
        tokio::time::advance(GRACE).await;
        assert!(launches.pending("1", GRACE).is_none());
        assert!(launches.destroyed.get("2", GRACE).is_none() && launches.destroyed.contains("2"));
    }
}
