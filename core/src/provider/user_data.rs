//! User data as providers get it: a text, or gzip in base64, which cloud-init unpacks.

/// The first bytes of every gzip, in base64: two that mark it, and the only method that there is.
const MARK: &str = "H4sI";

/// Whether user data is compressed, and in base64.
pub fn is_packed(user_data: &str) -> bool {
    user_data.starts_with(MARK)
}

/// How long user data is for a provider, in bytes: where it is compressed, without its base64.
pub fn user_data_size(user_data: &str) -> usize {
    if !is_packed(user_data) {
        return user_data.len();
    }
    let padding = user_data.bytes().rev().take_while(|byte| *byte == b'=').count();
    user_data.len() / 4 * 3 - padding
}
