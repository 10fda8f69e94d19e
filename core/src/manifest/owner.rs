//! Owners of files: `user` or `user:group`.

/// Whether an owner is root with its own group, to whom files belong without a word.
pub(crate) fn is_root(owner: &str) -> bool {
    matches!(owner, "root" | "root:root" | "0" | "0:0")
}

/// Why a text cannot be `user` or `user:group`.
pub(crate) fn owner_problem(owner: &str) -> Option<&'static str> {
    let (user, group) = owner.split_once(':').map_or((owner, None), |(user, group)| (user, Some(group)));
    let is_name = |name: &str| {
        !name.is_empty()
            && name.len() <= 64
            && !name.starts_with('-')
            && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '@' | '$'))
    };
    if user.is_empty() {
        return Some("name a user before the colon");
    }
    if group == Some("") {
        return Some("leave out the colon: without a group, it is the user's own");
    }
    (!is_name(user) || !group.is_none_or(is_name)).then_some("write it as \"user\" or \"user:group\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_that_cannot_be_are_refused() {
        for good in
            ["app", "app:web", "www-data", "_apt", "1000", "1000:1000", "svc$", "user@corp.example", "first.last"]
        {
            assert_eq!(owner_problem(good), None, "{good}");
        }
        for bad in ["", ":web", "app:", "app web", "-R", "app:web:x", "app/web", "a\nb", "$(id)"] {
            assert!(owner_problem(bad).is_some(), "{bad}");
        }
    }
}
