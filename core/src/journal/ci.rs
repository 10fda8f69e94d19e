//! The CI job that a process belongs to, as the CI system's variables describe it.
//!
//! GitHub Actions and GitLab CI are known. What they say is text of others: it is bounded when it is read, and cleaned and bounded
//! again when it is shown, because a journal may hold anything.

use std::fmt;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::redact;

/// The most that one of the values may have, in bytes.
const LONGEST: usize = 300;

/// A job of a CI system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CiJob {
    /// The job's web page.
    pub url: String,
    /// The person whose action started it, by the name that the CI system has for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
}

impl CiJob {
    /// The job that this process belongs to.
    pub(super) fn current() -> Option<Self> {
        Self::of(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }

    /// The job that variables describe. One without a usable web page is not named.
    ///
    /// GitHub: <https://docs.github.com/en/actions/reference/workflows-and-actions/variables>; GitLab:
    /// <https://docs.gitlab.com/ci/variables/predefined_variables/>.
    fn of(variable: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let is_set = |name| variable(name).is_some_and(|value| value == "true");
        let (url, user) = if is_set("GITHUB_ACTIONS") {
            let (server, repository) = (variable("GITHUB_SERVER_URL")?, variable("GITHUB_REPOSITORY")?);
            let run = variable("GITHUB_RUN_ID")?;
            (format!("{server}/{repository}/actions/runs/{run}"), variable("GITHUB_ACTOR"))
        } else if is_set("GITLAB_CI") {
            (variable("CI_JOB_URL")?, variable("GITLAB_USER_LOGIN"))
        } else {
            return None;
        };
        Some(Self { url: page(&url)?, user: user.map(|user| line(&user)) })
    }
}

/// A web page without what could be a credential.
fn page(url: &str) -> Option<String> {
    let mut url = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    url.set_username("").ok()?;
    url.set_password(None).ok()?;
    url.set_query(None);
    url.set_fragment(None);
    Some(url.to_string()).filter(|url| url.len() <= LONGEST)
}

/// Text of others on one line, clean and bounded.
pub(super) fn line(text: &str) -> String {
    redact::excerpt(&redact::show_line(text), LONGEST)
}

/// Somebody at a machine, and the CI job that ran there: `me@laptop`, or `runner@vm-1, CI job https://… of octocat`.
pub(super) fn who(at: &str, job: Option<&CiJob>) -> String {
    job.map_or_else(|| line(at), |job| format!("{}, {job}", line(at)))
}

impl fmt::Display for CiJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CI job {}", line(&self.url))?;
        self.user.iter().try_for_each(|user| write!(f, " of {}", line(user)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const GITHUB: [(&str, &str); 5] = [
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_SERVER_URL", "https://github.example"),
        ("GITHUB_REPOSITORY", "team/web"),
        ("GITHUB_RUN_ID", "42"),
        ("GITHUB_ACTOR", "octocat"),
    ];
    const GITLAB: [(&str, &str); 3] = [
        ("GITLAB_CI", "true"),
        ("CI_JOB_URL", "https://gitlab.example/team/web/-/jobs/7"),
        ("GITLAB_USER_LOGIN", "tanuki"),
    ];

    /// The job of these variables, with some changed.
    fn of(variables: &[(&str, &str)], changes: &[(&str, &str)]) -> Option<CiJob> {
        let all: BTreeMap<_, _> = variables.iter().chain(changes).copied().collect();
        CiJob::of(|name| all.get(name).filter(|value| !value.is_empty()).map(|value| (*value).to_owned()))
    }

    #[test]
    fn the_jobs_of_github_and_gitlab_are_named() {
        let job = of(&GITHUB, &[]).unwrap();
        assert_eq!(job.to_string(), "CI job https://github.example/team/web/actions/runs/42 of octocat");
        let job = of(&GITLAB, &[]).unwrap();
        assert_eq!(job.to_string(), "CI job https://gitlab.example/team/web/-/jobs/7 of tanuki");
        let job = of(&GITLAB, &[("GITLAB_USER_LOGIN", "")]).unwrap();
        assert_eq!(job.to_string(), "CI job https://gitlab.example/team/web/-/jobs/7");
    }

    #[test]
    fn without_a_ci_system_or_a_page_there_is_no_job() {
        assert_eq!(of(&[], &[]), None);
        assert_eq!(of(&GITHUB, &[("GITHUB_ACTIONS", "false")]), None);
        assert_eq!(of(&GITHUB, &[("GITHUB_RUN_ID", "")]), None);
        for url in ["", "javascript:alert(1)", "not a page", &format!("https://gitlab.example/{}", "x".repeat(400))] {
            assert_eq!(of(&GITLAB, &[("CI_JOB_URL", url)]), None, "{url}");
        }
    }

    #[test]
    fn nothing_secret_large_or_active_gets_in_or_out() {
        let job = of(
            &GITLAB,
            &[
                ("CI_JOB_URL", "https://me:hunter2@gitlab.example/jobs/7?private_token=glpat#x"),
                ("GITLAB_USER_LOGIN", &format!("\u{1b}[31mtanuki\nroot {}", "x".repeat(1000))),
            ],
        );
        let job = job.unwrap();
        assert_eq!(job.url, "https://gitlab.example/jobs/7");
        let user = job.user.unwrap();
        assert!(user.starts_with("tanuki root ") && user.len() <= LONGEST, "{user:?}");
        // A journal may hold what no Remint wrote.
        let hostile = CiJob { url: format!("\u{1b}]0;x\u{7}\n{}", "y".repeat(1000)), user: Some("a\nb".to_owned()) };
        let shown = who("me\n@here", Some(&hostile));
        assert!(shown.starts_with("me @here, CI job ") && shown.ends_with(" of a b"), "{shown:?}");
        assert!(!shown.contains(['\n', '\u{1b}', '\u{7}']) && shown.len() < 2 * LONGEST, "{shown:?}");
    }
}
