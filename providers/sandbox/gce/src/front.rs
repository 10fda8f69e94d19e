//! What the engine asks of the account, and tells it.

use super::{
    Data, State, balanced,
    catalogue::{SIZES, ZONES},
    error::{no_room_in_zone, refuse},
};
use remint_sandbox_cloud::{
    Api, Config, Front, Shape,
    catalogue::{Region, Size},
    html, now,
};

impl Front for Data {
    const SHAPE: Shape =
        Shape { api: Api::Gce, refuse, broken: html, no_room: Some(no_room_in_zone), sees_stale: false };
    const REGIONS: &'static [Region] = ZONES;
    const SIZES: &'static [Size] = SIZES;
    const NAME_SERVERS: &'static [&'static str] = &[
        "ns-cloud-a1.googledomains.com",
        "ns-cloud-a2.googledomains.com",
        "ns-cloud-a3.googledomains.com",
        "ns-cloud-a4.googledomains.com",
    ];
    const ZONE_TTL: u32 = 21_600;

    fn instance_gone(state: &mut State, id: u64) {
        state.own.forget_instance(id);
    }

    fn disk_kept(state: &mut State, id: u64, image: u64) {
        state.own.keep_disk(id, image);
    }

    fn image_failed(state: &mut State, image: u64) {
        state.own.fail_image(image);
    }

    fn action_ended(state: &mut State, config: &Config, action: u64, errored: bool) {
        state.own.note_end(action, errored, now());
        balanced::settle(state, config);
    }
}
