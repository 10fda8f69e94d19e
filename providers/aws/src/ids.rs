//! What AWS's ids and ARNs look like.

/// Whether a text is an id of EC2's: a prefix and hexadecimal digits.
pub(crate) fn is_id(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix).is_some_and(|digits| {
        (8..=32).contains(&digits.len()) && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}

/// Whether a text can be the ARN of a target group.
pub(crate) fn is_target_group(text: &str) -> bool {
    text.starts_with("arn:") && text.contains(":elasticloadbalancing:") && text.contains(":targetgroup/")
}

/// Whether a text can be an instance profile's ARN.
pub(crate) fn is_arn(text: &str) -> bool {
    text.starts_with("arn:") && text.contains(":iam::") && text.contains(":instance-profile/")
}
