//! Changes: PENDING until all name servers have them.

use crate::{
    Cloud, State, ids,
    reply::Answer,
    state::{Change, Data},
    xml::Xml,
};
use remint_sandbox_cloud::{ApiError, ApiResult, Config, DelayKind, now};

/// How many changes are remembered.
const REMEMBERED: usize = 1000;

/// `GetChange`.
pub(super) fn get(cloud: &Cloud, id: &str) -> ApiResult<Answer> {
    let mut xml = Xml::default();
    cloud.read(|state| {
        let change = state.own.changes.get(id).ok_or_else(|| ApiError {
            status: 404,
            id: "NoSuchChange",
            message: format!("Could not find resource with ID: {id}"),
        })?;
        write(&mut xml, change, change.due <= now());
        Ok(Answer::Xml(xml))
    })
}

/// Begins a change: its effect is there, and all name servers will have it after a while.
pub(super) fn begin(state: &mut State, config: &Config, zone: &str, comment: Option<String>) -> Change {
    let delay = state.draw(config, DelayKind::Dns, zone.to_owned());
    let submitted_at = now();
    let due = submitted_at.checked_add(delay).unwrap_or(submitted_at);
    let change = Change { id: ids::capitals('C'), comment, submitted_at, due };
    state.own.changes.insert(change.id.clone(), change.clone());
    forget_old(&mut state.own);
    change
}

/// The change as the call that began it shows it.
pub(super) fn write_begun(xml: &mut Xml, change: &Change) {
    write(xml, change, false);
}

fn write(xml: &mut Xml, change: &Change, done: bool) {
    xml.node("ChangeInfo", |xml| {
        xml.text("Id", format!("/change/{}", change.id)).text("Status", if done { "INSYNC" } else { "PENDING" });
        xml.time("SubmittedAt", change.submitted_at).maybe("Comment", change.comment.as_ref());
    });
}

fn forget_old(ec2: &mut Data) {
    while ec2.changes.len() > REMEMBERED {
        let oldest = ec2.changes.values().min_by_key(|change| change.submitted_at).map(|change| change.id.clone());
        match oldest {
            Some(id) => ec2.changes.remove(&id),
            None => return,
        };
    }
}
