//! The routes, and which operation is answered where.

use axum::{
    Extension, Router,
    extract::{OriginalUri, State},
    http::Uri,
    response::Response,
    routing::{any, get, post},
};

use super::{
    State as Account, addresses,
    admit::{Admitted, steps},
    attributes,
    call::{Call, Query},
    catalogue, groups, images, instances, key_pairs, launch, network, offers, power,
    query::Params,
    reply::{Answer, Service, refuse, unknown_action},
    route53, snapshots, ssm, sts, tags,
    xml::Xml,
};
use crate::Cloud;
use remint_sandbox_cloud::{ApiError, ApiResult, NoRoom};

/// The routes of all services; [`admit`](super::admit) has to stand before them.
pub fn routes(cloud: &Cloud) -> Router {
    let zone = get(answer).delete(answer);
    let sets = get(answer).post(answer);
    Router::new()
        .route("/", post(answer))
        .route("/2013-04-01/hostedzone", get(answer).post(answer))
        .route("/2013-04-01/hostedzonesbyname", get(answer))
        .route("/2013-04-01/hostedzone/{id}", zone)
        .route("/2013-04-01/hostedzone/{id}/rrset", sets.clone())
        .route("/2013-04-01/hostedzone/{id}/rrset/", sets)
        .route("/2013-04-01/change/{id}", get(answer))
        .route("/2013-04-01/{*rest}", any(answer))
        .with_state(cloud.clone())
}

async fn answer(
    State(cloud): State<Cloud>,
    OriginalUri(uri): OriginalUri,
    Extension(admitted): Extension<Admitted>,
    no_room: Option<Extension<NoRoom>>,
) -> Response {
    let Admitted { service, operation, id, .. } = &admitted;
    let answered = match service {
        Service::Route53 => zones(&cloud, &uri, &admitted).await,
        Service::Ssm => region(&admitted).and_then(|region| {
            // The public parameters name the machines' images, which may be new.
            ssm::call(&cloud, region, operation, &admitted.body).map(Answer::Json)
        }),
        Service::Ec2 | Service::Sts => {
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

/// Route 53.
async fn zones(cloud: &Cloud, uri: &Uri, admitted: &Admitted) -> ApiResult<Answer> {
    let path = steps(uri.path());
    let query = Query::parse(uri.query());
    let id = path.get(1).copied().unwrap_or_default();
    match admitted.operation.as_str() {
        "CreateHostedZone" => route53::create_zone(cloud, &admitted.body).await,
        "ListHostedZones" => route53::list_zones(cloud, &query),
        "ListHostedZonesByName" => route53::list_zones_by_name(cloud, &query),
        "GetHostedZone" => route53::get_zone(cloud, id),
        "DeleteHostedZone" => route53::delete_zone(cloud, id).await,
        "ChangeResourceRecordSets" => route53::change_sets(cloud, id, &admitted.body).await,
        "ListResourceRecordSets" => route53::list_sets(cloud, id, &query),
        "GetChange" => route53::get_change(cloud, id),
        _ => {
            tracing::warn!(path = uri.path(), "not implemented");
            let message = format!("The sandbox does not implement {}.", uri.path());
            Err(ApiError { status: 501, id: "NotImplemented", message })
        }
    }
}

/// The Query API: EC2 and STS.
async fn actions(cloud: &Cloud, admitted: &Admitted, no_room: Option<NoRoom>) -> ApiResult<Xml> {
    let params = Params::parse(&admitted.body)?;
    let mut xml = Xml::default();
    if admitted.service == Service::Sts {
        let call = Call { cloud, params, region: "us-east-1", no_room: None };
        return match admitted.operation.as_str() {
            "GetCallerIdentity" => sts::caller(&call, &mut xml).map(|()| xml),
            other => Err(not_known(other)),
        };
    }
    let call = Call { cloud, params, region: region(admitted)?, no_room };
    if call.params.flag("DryRun")? {
        let message = "Request would have succeeded, but DryRun flag is set.";
        return Err(ApiError { status: 412, id: "DryRunOperation", message: message.to_owned() });
    }
    let (call, out) = (&call, &mut xml);
    match admitted.operation.as_str() {
        "" => Err(refuse("MissingAction", "The request must contain the parameter Action")),
        "RunInstances" => launch::run(call, out),
        "DescribeInstances" => instances::describe(call, out),
        "DescribeInstanceStatus" => instances::status(call, out),
        "StartInstances" => power::start(call, out),
        "StopInstances" => power::stop(call, out),
        "RebootInstances" => power::reboot(call, out),
        "TerminateInstances" => power::terminate(call, out),
        "DescribeInstanceAttribute" => attributes::describe(call, out),
        "ModifyInstanceAttribute" => attributes::modify(call, out),
        "ModifyInstanceMetadataOptions" => attributes::modify_metadata(call, out),
        "GetConsoleOutput" => attributes::console(call, out).await,
        "CreateImage" => images::create(call, out),
        "CopyImage" => images::copy(call, out),
        "DeregisterImage" => images::deregister(call, out).await,
        "DescribeImages" => {
            cloud.refresh_images().await;
            images::describe(call, out)
        }
        "DescribeImageAttribute" => images::describe_attribute(call, out),
        "ModifyImageAttribute" => images::modify_attribute(call, out),
        "DescribeSnapshots" => snapshots::describe(call, out),
        "CreateSnapshot" => snapshots::create(call, out),
        "DeleteSnapshot" => snapshots::delete(call, out).await,
        "ModifySnapshotAttribute" => snapshots::modify_attribute(call, out),
        "AllocateAddress" => addresses::allocate(call, out),
        "DescribeAddresses" => addresses::describe(call, out),
        "AssociateAddress" => addresses::associate(call, out).await,
        "DisassociateAddress" => addresses::disassociate(call, out).await,
        "ReleaseAddress" => addresses::release(call, out).await,
        "CreateKeyPair" => key_pairs::create(call, out).await,
        "ImportKeyPair" => key_pairs::import(call, out),
        "DescribeKeyPairs" => key_pairs::describe(call, out),
        "DeleteKeyPair" => key_pairs::delete(call, out),
        "CreateSecurityGroup" => groups::create(call, out),
        "DeleteSecurityGroup" => groups::delete(call, out),
        "DescribeSecurityGroups" => groups::describe(call, out),
        "AuthorizeSecurityGroupIngress" => groups::authorize(call, out, false),
        "AuthorizeSecurityGroupEgress" => groups::authorize(call, out, true),
        "RevokeSecurityGroupIngress" => groups::revoke(call, out, false),
        "RevokeSecurityGroupEgress" => groups::revoke(call, out, true),
        "CreateTags" => tags::create(call, out),
        "DeleteTags" => tags::delete(call, out),
        "DescribeTags" => tags::describe(call, out),
        "DescribeVpcs" => network::vpcs(call, out),
        "DescribeSubnets" => network::describe_subnets(call, out),
        "DescribeNetworkInterfaces" => network::interfaces(call, out),
        "DescribeVolumes" => network::volumes(call, out),
        "DescribeRegions" => offers::regions(call, out),
        "DescribeAvailabilityZones" => offers::zones(call, out),
        "DescribeInstanceTypes" => offers::types(call, out),
        "DescribeInstanceTypeOfferings" => offers::offerings(call, out),
        "DescribeAccountAttributes" => offers::attributes(call, out),
        other => Err(not_known(other)),
    }?;
    Ok(xml)
}

fn not_known(action: &str) -> ApiError {
    tracing::warn!(action, "not implemented");
    unknown_action(action)
}
