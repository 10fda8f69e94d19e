//! What an account keeps and does that only its API has: the seam between the engine and a front end.

use serde::{Serialize, de::DeserializeOwned};

use super::{
    Api, ApiResult, Config,
    catalogue::{Region, Size},
    cloud::Cloud,
    faults::Shape,
    state::{State, VERSION},
};

/// What an account's API adds to the engine: what it offers, what it keeps beside the engine's things, and what it has to do when
/// something happens to these.
///
/// The engine calls the methods under its lock, within the change that they tell of.
pub trait Front: Default + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The API.
    const API: Api = Self::SHAPE.api;
    /// How it fails.
    const SHAPE: Shape;
    /// Where machines can be; every size and public image is in each of them.
    const REGIONS: &'static [Region];
    /// What machines can be, cheapest first.
    const SIZES: &'static [Size];
    /// The name servers that a new zone names.
    const NAME_SERVERS: &'static [&'static str];
    /// The time to live of a zone's own records, in seconds.
    const ZONE_TTL: u32;

    /// Makes a zone. Gives its name as it is kept.
    ///
    /// # Errors
    ///
    /// For a name that is none, or that the account has already.
    fn add_zone(state: &mut State<Self>, name: &str) -> ApiResult<String> {
        state.new_zone(name, None).map(|zone| zone.name)
    }

    /// An instance is gone, with its machine.
    fn instance_gone(_state: &mut State<Self>, _id: u64) {}

    /// A guest has switched itself off.
    fn guest_off(_state: &mut State<Self>, _config: &Config, _id: u64) {}

    /// An instance is about to go, and its disk was kept as an image.
    fn disk_kept(_state: &mut State<Self>, _id: u64, _image: u64) {}

    /// An image could not be captured.
    fn image_failed(_state: &mut State<Self>, _image: u64) {}

    /// An action has ended, and what it worked on is free.
    fn action_ended(_state: &mut State<Self>, _config: &Config, _action: u64, _errored: bool) {}

    /// A capture has ended, and the change is written: images that the account no longer wants can go.
    fn captured(_cloud: &Cloud<Self>) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }
}

impl<F: Front> State<F> {
    /// An account without anything in it.
    pub fn empty() -> Self {
        let api = F::API;
        Self {
            version: VERSION,
            api,
            account: uuid::Uuid::new_v4(),
            created_at: jiff::Timestamp::now(),
            last_id: api.before_first_id(),
            last_address: api.offsets().start,
            last_static_ip: api.offsets().start,
            ..Self::default()
        }
    }

    /// The API's size of that name.
    pub fn find_size(slug: &str) -> Option<&'static Size> {
        F::SIZES.iter().find(|size| size.slug == slug)
    }

    /// The API's region of that name.
    pub fn find_region(slug: &str) -> Option<&'static Region> {
        F::REGIONS.iter().find(|region| region.slug == slug)
    }
}

/// An API that adds nothing, for tests of the engine.
#[cfg(test)]
#[derive(Debug, Default, Serialize, serde::Deserialize)]
pub(crate) struct Plain {}

#[cfg(test)]
impl Front for Plain {
    const SHAPE: Shape = Shape {
        api: Api::DigitalOcean,
        refuse: axum::response::IntoResponse::into_response,
        broken: super::faults::html,
        no_room: Some(|| super::ApiError::unprocessable("no room")),
        sees_stale: false,
    };
    const REGIONS: &'static [Region] = &[Region { slug: "here", name: "Here" }];
    const SIZES: &'static [Size] = &[];
    const NAME_SERVERS: &'static [&'static str] = &["ns1.example.net", "ns2.example.net", "ns3.example.net"];
    const ZONE_TTL: u32 = super::zones::TTL;
}
