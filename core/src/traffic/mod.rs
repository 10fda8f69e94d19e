//! Where clients are sent: to a static IP, which points at one instance; to a load balancer, which has several; or to the
//! instance's own address.

mod load_balancer;
mod static_ip;

pub(crate) use load_balancer::{
    active, address_of, check_no_members, drain, endpoint_of, ensure, members, never_worked, put_in_service, serves,
};
pub(crate) use static_ip::{check_unused, move_to, points_elsewhere, take_away};
