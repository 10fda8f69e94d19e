//! `/v2/monitoring/metrics`: what load balancers make of their droplets.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::{Extension, Json, Router, extract::State, routing::get};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::{extract::Listing, rules};
use crate::Cloud;
use remint_sandbox_cloud::{ApiError, ApiResult, balancer::MemberHealth, now};

pub(super) fn routes() -> Router<Cloud> {
    Router::new()
        .route("/v2/monitoring/metrics/load_balancer/droplets_health_checks", get(health_checks))
        .layer(Extension(Arc::<Mutex<Samples>>::default()))
}

/// The last sample of each load balancer, by its number. Older ones are not kept.
#[derive(Debug, Default)]
struct Samples(BTreeMap<u64, Sample>);

/// What was measured of the droplets of a load balancer.
#[derive(Debug, Clone)]
struct Sample {
    at: Timestamp,
    health: BTreeMap<u64, MemberHealth>,
}

impl Samples {
    /// The last sample, if it is not yet time for another one.
    fn last(&self, balancer: u64, now: Timestamp, every: Duration) -> Option<Sample> {
        let last = self.0.get(&balancer)?;
        (now.duration_since(last.at).unsigned_abs() < every).then(|| last.clone())
    }
}

/// One series for each droplet that was checked, with one value: 1 for a droplet that gets connections, else 0.
async fn health_checks(
    State(cloud): State<Cloud>,
    Extension(samples): Extension<Arc<Mutex<Samples>>>,
    listing: Listing,
) -> ApiResult<Json<Value>> {
    let parameter = |name: &str| {
        listing.get(name).ok_or_else(|| ApiError::bad_request(format!("The parameter {name} is missing.")))
    };
    let moment = |name: &str| {
        let seconds = parameter(name)?.parse::<i64>();
        seconds.map_err(|_| ApiError::bad_request(format!("The parameter {name} is not a UNIX timestamp.")))
    };
    let (id, start, end) = (parameter("lb_id")?, moment("start")?, moment("end")?);
    if end < start {
        return Err(ApiError::bad_request("The parameter end is before start."));
    }
    let (balancer, from) = cloud
        .read(|state| rules::load_balancers::find(state, id).map(|balancer| (balancer.id, balancer.measured_from)))?;
    let mut series = Vec::new();
    if from.is_some_and(|from| from <= now()) {
        let Sample { at, health } = sample(&cloud, &samples, balancer).await;
        let at = at.as_second();
        for (droplet, health) in health.into_iter().filter(|_| (start..=end).contains(&at)) {
            let value = match health {
                MemberHealth::Unchecked | MemberHealth::Draining => continue,
                MemberHealth::Healthy => "1",
                MemberHealth::Unhealthy => "0",
            };
            let labels = json!({ "lb_id": id, "droplet_id": droplet.to_string() });
            series.push(json!({ "metric": labels, "values": [[at, value]] }));
        }
    }
    Ok(Json(json!({ "status": "success", "data": { "resultType": "matrix", "result": series } })))
}

/// The last sample, or a new one when it is time.
async fn sample(cloud: &Cloud, samples: &Mutex<Samples>, balancer: u64) -> Sample {
    let config = cloud.config();
    let mut samples = samples.lock().await;
    if let Some(last) = samples.last(balancer, now(), config.profile.measures_every(config.speed)) {
        return last;
    }
    let sample = Sample { health: cloud.member_health(balancer).await, at: now() };
    samples.0.insert(balancer, sample.clone());
    sample
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_shown_until_it_is_time_for_the_next_one() {
        let (at, every) = (Timestamp::from_second(1000).unwrap(), Duration::from_secs(120));
        let later = |seconds: i64| Timestamp::from_second(1000 + seconds).unwrap();
        let mut samples = Samples::default();
        assert!(samples.last(7, at, every).is_none());
        samples.0.insert(7, Sample { at, health: [(1, MemberHealth::Healthy)].into() });
        assert_eq!(samples.last(7, later(119), every).unwrap().at, at);
        assert!(samples.last(7, later(120), every).is_none());
        assert!(samples.last(7, at, Duration::ZERO).is_none(), "without a time between, each look is one");
        assert!(samples.last(8, at, every).is_none());
    }
}
