//! `GetCallerIdentity`: who the signature says that the caller is.

use super::{call::Call, state, xml::Xml};
use remint_sandbox_cloud::ApiResult;

/// The one user of the account.
const USER: &str = "sandbox";

/// `GetCallerIdentity`.
pub(super) fn caller(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let account = call.read(state::account);
    xml.text("Arn", format!("arn:aws:iam::{account}:user/{USER}"));
    // A user's id is of the shape of an access key's.
    xml.text("UserId", format!("AIDA{}", &super::ids::fixed("u", &account).to_ascii_uppercase()[3..19]));
    xml.text("Account", account);
    Ok(())
}
