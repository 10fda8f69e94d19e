//! What a load balancer makes of its members. Only a metric tells, `droplets_health_checks`; the load balancer itself shows ids.
//!
//! The API's reference names neither the labels of its lines nor what its values mean. Those who read it (the Prometheus exporter
//! `kozaktomas/digitalocean_exporter`) find a line for each member with its name as the label `server`, 100 for one that passes
//! and 0 for one that does not, and a sample every two minutes. So a line is a member's when any of its labels is the member's
//! id or name, and 1 passes like 100.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use remint_core::provider::{
    ErrorKind, InstanceId, LoadBalancerId, Member, MemberHealth, Result, support::JsonRequest,
};
use serde_json::Value;

use super::MEMBERS;
use crate::{DigitalOcean, wire};

/// How far back the metric is read, in seconds: two samples and more.
const WINDOW: i64 = 300;
const HINT: &str = "give the token the scope `monitoring:read`: nothing else tells which droplets are in service";

/// The last sample of a line.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Sample {
    /// Seconds since 1970.
    at: i64,
    value: f64,
}

impl DigitalOcean {
    /// The members of a load balancer that it shows, with their health.
    pub(super) async fn judged(&self, id: &LoadBalancerId, balancer: &wire::Balancer) -> Result<Vec<Member>> {
        let droplets: Vec<u64> = balancer.droplet_ids.iter().flatten().copied().collect();
        if droplets.is_empty() {
            return Ok(Vec::new());
        }
        let lines = self.health_checks(id).await?;
        let samples = self.of_droplets(balancer, &droplets, &lines).await?;
        let memory = self.memory.lock();
        let members = droplets.into_iter().map(|droplet| {
            let since = memory.attached.get(&(balancer.id.clone(), droplet)).copied();
            let sample = samples.get(&droplet).filter(|sample| since.is_none_or(|since| sample.at > since));
            let health = match sample {
                Some(sample) => judge(sample.value),
                None if lines.is_empty() => MemberHealth::Unknown,
                None => MemberHealth::Initial,
            };
            Member { instance: InstanceId::new(droplet.to_string()), health }
        });
        Ok(members.collect())
    }

    /// The lines of the metric that have samples, with the last one of each.
    async fn health_checks(&self, id: &LoadBalancerId) -> Result<Vec<(BTreeMap<String, String>, Sample)>> {
        const PATH: [&str; 5] = ["v2", "monitoring", "metrics", "load_balancer", "droplets_health_checks"];
        let now = Timestamp::now().as_second();
        let request = JsonRequest::get(MEMBERS, &PATH)
            .about(id)
            .query("lb_id", id.as_str())
            .query("start", (now - WINDOW).to_string())
            .query("end", now.to_string());
        let answer: wire::MetricAnswer = match self.client.json(&request).await {
            Err(error) if error.kind() == ErrorKind::Forbidden => return Err(error.with_hint(HINT)),
            result => result?,
        };
        let lines = answer.data.result.into_iter().flatten();
        Ok(lines.filter_map(|line| Some((line.metric, last(&line.values)?))).collect())
    }

    /// The last sample of each droplet, by its id or its name. Names that this process does not know cost a list.
    async fn of_droplets(
        &self,
        balancer: &wire::Balancer,
        droplets: &[u64],
        lines: &[(BTreeMap<String, String>, Sample)],
    ) -> Result<HashMap<u64, Sample>> {
        let mut names: HashMap<String, Option<u64>> = droplets.iter().map(|id| (id.to_string(), Some(*id))).collect();
        let of_line = |names: &HashMap<String, Option<u64>>, labels: &BTreeMap<String, String>| {
            let others = ["lb_id", "region"];
            let mut values =
                labels.iter().filter(|(label, _)| !others.contains(&label.as_str())).map(|(_, value)| value);
            values.find_map(|value| names.get(value).copied().flatten())
        };
        if lines.iter().any(|(labels, _)| of_line(&names, labels).is_none()) {
            for (droplet, name) in self.names(balancer, droplets).await? {
                // A name that several have says nothing.
                names.entry(name).and_modify(|id| *id = None).or_insert(Some(droplet));
            }
        }
        let mut samples: HashMap<u64, Sample> = HashMap::new();
        for (labels, sample) in lines {
            let Some(droplet) = of_line(&names, labels) else { continue };
            let latest = samples.entry(droplet).or_insert(*sample);
            if latest.at < sample.at {
                *latest = *sample;
            }
        }
        Ok(samples)
    }

    async fn names(&self, balancer: &wire::Balancer, droplets: &[u64]) -> Result<Vec<(u64, String)>> {
        let known = {
            let memory = self.memory.lock();
            let name = |id: &u64| Some((*id, memory.instances.get(id)?.instance.name.clone()));
            droplets.iter().map(name).collect::<Option<Vec<_>>>()
        };
        if let Some(known) = known {
            return Ok(known);
        }
        let mut request = JsonRequest::get(MEMBERS, &["v2", "droplets"]).about(&balancer.name);
        if let Some(tag) = balancer.tag.as_deref().filter(|tag| !tag.is_empty()) {
            request = request.query("tag_name", tag);
        }
        let listed: Vec<wire::Droplet> = self.client.list(&request, "droplets").await?;
        Ok(listed.into_iter().map(|droplet| (droplet.id, droplet.name)).collect())
    }
}

fn judge(value: f64) -> MemberHealth {
    if value >= 100.0 || value == 1.0 {
        MemberHealth::InService
    } else if value == 0.0 {
        MemberHealth::OutOfService("it does not pass its checks".to_owned())
    } else {
        MemberHealth::OutOfService(format!("its health is {value} of 100"))
    }
}

/// The sample with the latest time; the API writes values as text.
fn last(samples: &[(Value, Value)]) -> Option<Sample> {
    let number = |value: &Value| value.as_f64().or_else(|| value.as_str()?.parse().ok());
    let sample = |(at, value): &(Value, Value)| Some(Sample { at: number(at)? as i64, value: number(value)? });
    samples.iter().filter_map(sample).max_by_key(|sample| sample.at)
}
