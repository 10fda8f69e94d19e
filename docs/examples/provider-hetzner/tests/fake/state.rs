//! What is in the project, and the actions that change it when they end.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::refusal::Refusal;

/// How long an action takes.
const ACTION: Duration = Duration::from_millis(15);

/// Resources by their ids, each as the API shows it.
pub(super) type Table = BTreeMap<u64, Value>;

pub(super) struct Project {
    /// How many floating IPs it may have.
    pub(super) floating_ip_limit: usize,
    pub(super) servers: Table,
    pub(super) images: Table,
    pub(super) floating_ips: Table,
    pub(super) ssh_keys: Table,
    pub(super) placement_groups: Table,
    /// RRSets by name and type, by their zone.
    pub(super) zones: BTreeMap<String, BTreeMap<(String, String), Value>>,
    actions: BTreeMap<u64, Action>,
    last_id: u64,
}

struct Action {
    due: Instant,
    pending: Option<Change>,
}

/// What an action does when it ends.
pub(super) enum Change {
    /// A server gets this status.
    Status(u64, &'static str),
    /// A server is gone.
    Gone(u64),
    /// A server's snapshot is there.
    Captured { server: u64, image: u64 },
    /// A floating IP points there.
    Point { ip: u64, server: Option<u64> },
    /// An RRSet is this one, or is gone.
    RrSet { zone: String, key: (String, String), set: Option<Value> },
}

impl Project {
    pub(super) fn new(zone: &str, floating_ip_limit: usize) -> Self {
        let public = ["debian-12", "debian-13", "ubuntu-24.04"].iter().zip(1..).map(|(name, id)| {
            let image = json!({
                "id": id, "type": "system", "status": "available", "name": name, "description": name,
                "image_size": null, "disk_size": 5, "created": "2026-01-01T00:00:00Z", "architecture": "x86",
                "labels": {},
            });
            (id, image)
        });
        Self {
            floating_ip_limit,
            servers: Table::new(),
            images: public.collect(),
            floating_ips: Table::new(),
            ssh_keys: Table::new(),
            placement_groups: Table::new(),
            zones: [(zone.to_owned(), BTreeMap::new())].into(),
            actions: BTreeMap::new(),
            last_id: 1000,
        }
    }

    pub(super) fn id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// Starts an action, and locks the server that it is about.
    pub(super) fn act(&mut self, change: Change) -> Value {
        if let Change::Status(server, _) | Change::Gone(server) | Change::Captured { server, .. } = &change
            && let Some(server) = self.servers.get_mut(server)
        {
            server["locked"] = true.into();
        }
        let id = self.id();
        self.actions.insert(id, Action { due: Instant::now() + ACTION, pending: Some(change) });
        self.action(id).unwrap_or_default()
    }

    /// An action as the API shows it.
    pub(super) fn action(&self, id: u64) -> Option<Value> {
        let running = self.actions.get(&id)?.pending.is_some();
        let (status, progress) = if running { ("running", 0) } else { ("success", 100) };
        Some(json!({ "id": id, "status": status, "progress": progress, "error": null }))
    }

    /// Refuses when a zone is being changed.
    pub(super) fn check_zone(&self, name: &str) -> Result<(), Refusal> {
        let pending = self.actions.values().filter_map(|action| action.pending.as_ref());
        match pending.into_iter().any(|change| matches!(change, Change::RrSet { zone, .. } if zone == name)) {
            true => Err(Refusal::locked("zone")),
            false => Ok(()),
        }
    }

    /// Lets the actions whose time has come end.
    pub(super) fn advance(&mut self) {
        let now = Instant::now();
        let due = self.actions.values_mut().filter(|action| action.due <= now);
        let changes: Vec<Change> = due.filter_map(|action| action.pending.take()).collect();
        changes.into_iter().for_each(|change| self.apply(change));
    }

    fn apply(&mut self, change: Change) {
        match change {
            Change::Status(server, status) => self.unlock(server, Some(status)),
            Change::Gone(server) => {
                self.servers.remove(&server);
                let assigned = self.floating_ips.values_mut().filter(|ip| ip["server"] == server);
                assigned.for_each(|ip| ip["server"] = Value::Null);
            }
            Change::Captured { server, image } => {
                self.unlock(server, None);
                if let Some(image) = self.images.get_mut(&image) {
                    image["status"] = "available".into();
                    image["image_size"] = 0.7.into();
                }
            }
            Change::Point { ip, server } => {
                if let Some(ip) = self.floating_ips.get_mut(&ip) {
                    ip["server"] = server.into();
                }
            }
            Change::RrSet { zone, key, set } => {
                let zone = self.zones.entry(zone).or_default();
                match set {
                    Some(set) => drop(zone.insert(key, set)),
                    None => drop(zone.remove(&key)),
                }
            }
        }
    }

    fn unlock(&mut self, server: u64, status: Option<&str>) {
        if let Some(server) = self.servers.get_mut(&server) {
            server["locked"] = false.into();
            if let Some(status) = status {
                server["status"] = status.into();
            }
        }
    }
}
