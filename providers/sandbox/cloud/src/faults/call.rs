//! A call, as rules look at it.

/// A call, as rules look at it.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// The method, in capitals.
    pub method: &'a str,
    /// The path, without the query.
    pub path: &'a str,
    /// What follows the `?`, as it was sent.
    pub query: Option<&'a str>,
    /// The `type` in the body, where there is one: the type of an action. Of Amazon's APIs, the operation's name.
    pub action: Option<&'a str>,
}

impl Call<'_> {
    /// Whether it only reads. Amazon's APIs are asked by `POST` for everything, and tell by the operation's name; so does Google's
    /// at the end of the path, of what it has no `GET` for.
    pub(super) fn is_read(&self) -> bool {
        let reads = |name: &str| ["Describe", "Get", "List"].iter().any(|verb| name.starts_with(verb));
        let last = self.path.rsplit('/').next().unwrap_or_default();
        self.method == "GET" || self.action.is_some_and(reads) || matches!(last, "getHealth" | "listInstances")
    }
}
