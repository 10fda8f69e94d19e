//! The routes, and which service answers.

use std::collections::BTreeSet;

use axum::{
    Extension, Router,
    extract::{OriginalUri, State},
    response::Response,
    routing::any,
};

use super::{
    State as Account,
    admit::Admitted,
    call::Call,
    catalogue, elbv2, operations,
    query::Params,
    reply::{Answer, Service},
    route53, ssm, sts,
    xml::Xml,
};
use crate::Cloud;
use remint_sandbox_cloud::{ApiError, ApiResult, NoRoom};

/// The routes of all services; [`admit`](super::admit) has to stand before them.
pub fn routes(cloud: &Cloud) -> Router {
    let mut router = Router::new().route("/", any(answer)).route(&format!("{}{{*rest}}", route53::ROOT), any(answer));
    let paths: BTreeSet<&str> = route53::OPERATIONS.iter().map(|(_, path, _)| *path).collect();
    for path in paths {
        for path in [format!("{}{path}", route53::ROOT), format!("{}{path}/", route53::ROOT)] {
            router = router.route(&path, any(answer));
        }
    }
    router.with_state(cloud.clone())
}

async fn answer(
    State(cloud): State<Cloud>,
    OriginalUri(uri): OriginalUri,
    Extension(admitted): Extension<Admitted>,
    no_room: Option<Extension<NoRoom>>,
) -> Response {
    let Admitted { service, operation, id, body, .. } = &admitted;
    let answered = match service {
        Service::Route53 => route53::answer(&cloud, operation, &uri, body).await,
        Service::Ssm => {
            region(&admitted).and_then(|region| ssm::call(&cloud, region, operation, body).map(Answer::Json))
        }
        Service::Ec2 | Service::Sts | Service::Elb => {
            actions(&cloud, &admitted, no_room.map(|Extension(no_room)| no_room)).await.map(Answer::Xml)
        }
    };
    match answered {
        Ok(answer) => service.reply(operation, id, answer),
        Err(error) => {
            tracing::info!(operation, code = error.id, message = error.message, "refused");
            service.refuse(id, &error)
        }
    }
}

/// The region that a request is for, if it is one of the sandbox's.
fn region(admitted: &Admitted) -> ApiResult<&'static str> {
    let found = Account::find_region(&admitted.region).map(|region| region.slug);
    found.ok_or_else(|| {
        let known: Vec<&str> = catalogue::REGIONS.iter().map(|region| region.slug).collect();
        let message = format!("The sandbox has no region {}; it has {}.", admitted.region, known.join(", "));
        ApiError { status: 401, id: "AuthFailure", message }
    })
}

/// The Query API: EC2, STS and Elastic Load Balancing.
async fn actions(cloud: &Cloud, admitted: &Admitted, no_room: Option<NoRoom>) -> ApiResult<Xml> {
    let (params, operation) = (Params::parse(&admitted.body)?, admitted.operation.as_str());
    let mut xml = Xml::default();
    if admitted.service == Service::Sts {
        let call = Call { cloud, operation, params, region: "us-east-1", no_room: None };
        sts::answer(&call, &mut xml)?;
        return Ok(xml);
    }
    let call = Call { cloud, operation, params, region: region(admitted)?, no_room };
    match admitted.service {
        Service::Elb => elbv2::answer(&call, &mut xml).await?,
        _ => operations::answer(&call, &mut xml).await?,
    }
    Ok(xml)
}
