//! The checks before every call: who calls, before anything else; then whether the project, zone and region are theirs.

use axum::{
    extract::{Request, State},
    http::{Method, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};

use super::{
    PROJECT, catalogue,
    error::{Refusal, Result},
    public_images,
    token::Authority,
};

/// The scope that is good for everything.
const CLOUD_PLATFORM: &str = "https://www.googleapis.com/auth/cloud-platform";

/// Lets calls through that carry a good bearer.
pub(super) async fn identify(State(authority): State<Authority>, request: Request, next: Next) -> Response {
    match bearer(&authority, &request) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    }
}

/// Lets calls through that are about what the account has.
pub(super) async fn locate(request: Request, next: Next) -> Response {
    match place(request.method(), request.uri().path()) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    }
}

fn bearer(authority: &Authority, request: &Request) -> Result<()> {
    let sent = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let bearer = sent.and_then(|value| value.split_once(' ')).filter(|(kind, _)| kind.eq_ignore_ascii_case("bearer"));
    let (_, bearer) = bearer.ok_or_else(Refusal::unauthenticated)?;
    let grant = authority.grant(bearer.trim()).ok_or_else(Refusal::unauthenticated)?;
    let dns = request.uri().path().starts_with("/dns/");
    if grant.scope.split(' ').any(|scope| covers(scope, dns, request.method())) {
        Ok(())
    } else {
        Err(Refusal::scope())
    }
}

/// Whether a scope, or the address that an assertion was made out for, is good for a call.
fn covers(scope: &str, dns: bool, method: &Method) -> bool {
    if scope == CLOUD_PLATFORM {
        return true;
    }
    if let Some(host) = scope.strip_prefix("https://").map(|rest| rest.trim_end_matches('/'))
        && !host.starts_with("www.googleapis.com/auth/")
    {
        return host == if dns { "dns.googleapis.com" } else { "compute.googleapis.com" };
    }
    let reading = method == Method::GET;
    match scope.strip_prefix("https://www.googleapis.com/auth/") {
        Some("cloud-platform.read-only") => reading,
        Some("compute") => !dns,
        Some("compute.readonly") => !dns && reading,
        Some("ndev.clouddns.readwrite") => dns,
        Some("ndev.clouddns.readonly") => dns && reading,
        _ => false,
    }
}

/// Refuses what is in another project, or in a zone or region that there is not.
fn place(method: &Method, path: &str) -> Result<()> {
    let rest = path.strip_prefix("/compute/v1/projects/").or_else(|| path.strip_prefix("/dns/v1/projects/"));
    let Some(rest) = rest else { return Ok(()) };
    let parts: Vec<&str> = rest.split('/').collect();
    let project = parts.first().copied().unwrap_or_default();
    if project != PROJECT {
        let images = matches!(parts.get(1..), Some(["global", "images", ..] | ["zones", _, "imageFamilyViews", _]));
        if images && public_images::is_project(project) && method == Method::GET {
            return Ok(());
        }
        return Err(Refusal::forbidden("compute.projects.get", &format!("projects/{project}")));
    }
    match parts.get(1..) {
        Some(["zones", "-", "imageFamilyViews", _]) => Ok(()),
        Some(["zones", zone, _, ..]) if catalogue::zone(zone).is_none() => {
            Err(Refusal::invalid("zone", zone, "Unknown zone."))
        }
        Some(["regions", region, _, ..]) if !catalogue::is_region(region) => {
            Err(Refusal::invalid("region", region, "Unknown region."))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_cover_their_api_and_read_only_ones_reading() {
        let auth = |name: &str| format!("https://www.googleapis.com/auth/{name}");
        assert!(covers(&auth("cloud-platform"), true, &Method::POST));
        assert!(covers(&auth("compute"), false, &Method::POST) && !covers(&auth("compute"), true, &Method::GET));
        assert!(covers(&auth("compute.readonly"), false, &Method::GET));
        assert!(!covers(&auth("compute.readonly"), false, &Method::POST));
        assert!(covers("https://compute.googleapis.com/", false, &Method::POST));
        assert!(!covers("https://compute.googleapis.com/", true, &Method::GET));
        assert!(!covers("https://storage.googleapis.com/", false, &Method::GET));
        assert!(!covers("email", false, &Method::GET));
    }

    #[test]
    fn only_the_projects_own_places_are_let_through() {
        let code =
            |method: Method, path: &str| place(&method, path).err().map(|refusal| (refusal.code, refusal.reason));
        assert_eq!(code(Method::GET, &format!("/compute/v1/projects/{PROJECT}/zones/us-central1-a/instances")), None);
        assert_eq!(
            code(Method::GET, &format!("/compute/v1/projects/{PROJECT}/zones/mars-a/instances")),
            Some((400, "invalid"))
        );
        assert_eq!(
            code(Method::GET, &format!("/compute/v1/projects/{PROJECT}/regions/mars/addresses")),
            Some((400, "invalid"))
        );
        assert_eq!(code(Method::GET, "/compute/v1/projects/debian-cloud/global/images/family/debian-12"), None);
        assert_eq!(code(Method::GET, "/compute/v1/projects/debian-cloud/zones/-/imageFamilyViews/debian-12"), None);
        assert_eq!(code(Method::GET, &format!("/compute/v1/projects/{PROJECT}/zones/-/imageFamilyViews/web")), None);
        assert_eq!(
            code(Method::GET, &format!("/compute/v1/projects/{PROJECT}/zones/-/instances")),
            Some((400, "invalid"))
        );
        assert_eq!(code(Method::DELETE, "/compute/v1/projects/debian-cloud/global/images/x"), Some((403, "forbidden")));
        assert_eq!(
            code(Method::GET, "/compute/v1/projects/someone-elses/zones/us-central1-a/instances"),
            Some((403, "forbidden"))
        );
    }
}
