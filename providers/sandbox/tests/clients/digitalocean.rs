//! Clients of DigitalOcean's API.

use remint_sandbox::cloud::Api;

use super::world::World;

/// Its paths end in a slash, and so do those of certbot's plugin and of Ansible's modules.
#[tokio::test]
async fn python_digitalocean_works() {
    World::start().await.python(Api::DigitalOcean, "digitalocean_python.py").await;
}

/// Its identifiers are text, in bodies too.
#[tokio::test]
async fn libcloud_works() {
    World::start().await.python(Api::DigitalOcean, "digitalocean_libcloud.py").await;
}

#[tokio::test]
async fn octodns_works() {
    World::start().await.python(Api::DigitalOcean, "digitalocean_octodns.py").await;
}

/// The line of the book that makes a client of pydo.
#[tokio::test]
async fn pydo_works_as_the_book_says() {
    World::start().await.python(Api::DigitalOcean, "digitalocean_pydo.py").await;
}

/// Load balancers, by pydo and by python-digitalocean. It needs HAProxy, which `.ci/setup test` installs.
#[tokio::test]
async fn load_balancers_work() {
    World::start().await.python(Api::DigitalOcean, "digitalocean_balancer.py").await;
}
