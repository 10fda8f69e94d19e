//! Clients of Google's APIs. gcloud is not among them: it does not install from a package registry, so what it sends is sent by the
//! tests of the API.

use remint_sandbox::cloud::Api;

use super::world::World;

/// It sends times to live as text.
#[tokio::test]
async fn google_cloud_dns_works() {
    World::start().await.python(Api::Gce, "gce_dns.py").await;
}

/// It pads the assertions that it signs.
#[tokio::test]
async fn libcloud_works() {
    World::start().await.python(Api::Gce, "gce_libcloud.py").await;
}

#[tokio::test]
async fn octodns_works() {
    World::start().await.python(Api::Gce, "gce_octodns.py").await;
}

/// Its batches have the form of gcloud's.
#[tokio::test]
async fn batches_of_googles_client_work() {
    World::start().await.python(Api::Gce, "gce_batch.py").await;
}

/// A load balancer, by google-cloud-compute. It needs HAProxy, which `.ci/setup test` installs.
#[tokio::test]
async fn load_balancers_work() {
    World::start().await.python(Api::Gce, "gce_balancer.py").await;
}
