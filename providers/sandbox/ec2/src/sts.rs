//! Who the signature says that the caller is.

use super::{call::Call, ids, reply::unknown_action, state, xml::Xml};
use remint_sandbox_cloud::ApiResult;

/// The one user of the account.
const USER: &str = "sandbox";

/// Answers `GetCallerIdentity`; the sandbox has no other operation of STS.
pub(super) fn answer(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    if call.operation != "GetCallerIdentity" {
        return Err(unknown_action(call.operation));
    }
    let account = call.read(state::account);
    xml.text("Arn", format!("arn:aws:iam::{account}:user/{USER}"));
    // A user's id is of the shape of an access key's.
    xml.text("UserId", format!("AIDA{}", &ids::fixed("u", &account).to_ascii_uppercase()[3..19]));
    xml.text("Account", account);
    Ok(())
}
