//! What the engine asks of the account, and tells it.

use super::{
    Cloud, Data, State,
    catalogue::{REGIONS, SIZES},
    elbv2, image,
    refusal::refuse,
    route53, wishes,
};
use remint_sandbox_cloud::{
    Api, ApiError, ApiResult, Config, Front, Shape,
    catalogue::{Region, Size},
};

impl Front for Data {
    const SHAPE: Shape = Shape {
        api: Api::Ec2,
        refuse,
        // Amazon's front speaks the API's language.
        broken: |_| refuse(ApiError::unavailable()),
        no_room: None,
        sees_stale: true,
    };
    const REGIONS: &'static [Region] = REGIONS;
    const SIZES: &'static [Size] = SIZES;
    // Zones are made by `add_zone` alone, with name servers of their own.
    const NAME_SERVERS: &'static [&'static str] = &[];
    const ZONE_TTL: u32 = 0;

    fn add_zone(state: &mut State, name: &str) -> ApiResult<String> {
        route53::add_zone(state, name)
    }

    fn instance_gone(state: &mut State, id: u64) {
        wishes::note_gone(state, id);
        elbv2::forget_instance(state, id);
    }

    fn guest_off(state: &mut State, config: &Config, id: u64) {
        wishes::note_guest_off(state, config, id);
    }

    fn action_ended(state: &mut State, config: &Config, _action: u64, _errored: bool) {
        wishes::settle(state, config);
        elbv2::settle(state, config);
    }

    fn captured(cloud: &Cloud) -> impl Future<Output = ()> + Send {
        image::sweep(cloud)
    }
}
