//! `/v2/monitoring/metrics`: what load balancers make of their droplets.

use axum::{Json, Router, extract::State, routing::get};
use serde_json::{Value, json};

use super::{extract::Listing, rules};
use crate::Cloud;
use remint_sandbox_cloud::{ApiError, ApiResult, balancer::MemberHealth, now};

/// How old, in seconds, the end of the time that is asked for may be: of what was before nothing is kept.
const KEPT: i64 = 60;

pub(super) fn routes() -> Router<Cloud> {
    Router::new().route("/v2/monitoring/metrics/load_balancer/droplets_health_checks", get(health_checks))
}

/// One series for each droplet, with one value: 1 for a droplet that gets connections, else 0.
async fn health_checks(State(cloud): State<Cloud>, listing: Listing) -> ApiResult<Json<Value>> {
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
    let at = now();
    let measured = from.is_some_and(|from| from <= at);
    let at = at.as_second();
    let mut series = Vec::new();
    if measured && start <= at && end >= at - KEPT {
        for (droplet, health) in cloud.member_health(balancer).await {
            let value = match health {
                MemberHealth::Unchecked => continue,
                MemberHealth::Healthy => "1",
                MemberHealth::Unhealthy => "0",
            };
            let labels = json!({ "lb_id": id, "droplet_id": droplet.to_string() });
            series.push(json!({ "metric": labels, "values": [[at.min(end), value]] }));
        }
    }
    Ok(Json(json!({ "status": "success", "data": { "resultType": "matrix", "result": series } })))
}
