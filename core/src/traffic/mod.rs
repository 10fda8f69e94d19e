//! Where clients are sent. Today that is a static IP, or the instance's own address.

mod static_ip;

pub(crate) use static_ip::{check_unused, move_to, points_elsewhere, take_away};
