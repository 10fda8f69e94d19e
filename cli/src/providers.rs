//! The providers of this build.
//!
//! Each must be named in code: the linker silently drops a crate that is only named in `Cargo.toml`, and its registry
//! entry with it. The test below holds the list against what is registered.

#[cfg(feature = "aws")]
use remint_aws as _;
#[cfg(feature = "digitalocean")]
use remint_digitalocean as _;
#[cfg(feature = "gcp")]
use remint_gcp as _;
#[cfg(feature = "sandbox")]
use remint_sandbox as _;

#[cfg(test)]
mod tests {
    use remint_core::provider::Registry;

    #[test]
    fn exactly_the_chosen_providers_are_registered() {
        let registered: Vec<_> = Registry::all().iter().map(|entry| entry.descriptor.id).collect();
        let chosen: &[&str] = &[
            #[cfg(feature = "aws")]
            remint_aws::ID,
            #[cfg(feature = "digitalocean")]
            remint_digitalocean::ID,
            // The sandbox is the DigitalOcean provider pointed elsewhere.
            #[cfg(all(feature = "sandbox", not(feature = "digitalocean")))]
            remint_sandbox::cloud::Api::DigitalOcean.name(),
            #[cfg(feature = "gcp")]
            remint_gcp::ID,
            #[cfg(feature = "sandbox")]
            remint_sandbox::provider::ID,
        ];
        assert_eq!(registered, chosen);
    }
}
