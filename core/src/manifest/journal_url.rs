//! Where a journal is kept, as the manifest's `[journal]` says it.

use url::{Host, Url};

use super::JournalSection;

/// A URL of `[journal]`, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum JournalUrl {
    /// A folder, relative to the manifest's.
    Folder(String),
    /// A bucket that is reached by Amazon's S3 API, at Amazon or elsewhere.
    S3(Bucket),
    /// A bucket of Google Cloud Storage.
    Gcs(Bucket),
}

/// A bucket and the names below which the journal's objects are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bucket {
    pub(crate) name: String,
    /// Without a slash at either end; empty for the whole bucket.
    pub(crate) prefix: String,
}

/// What is wrong with a key of `[journal]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) key: &'static str,
    pub(crate) message: String,
    pub(crate) help: &'static str,
}

const URLS: &str = "write `file:FOLDER`, `s3://BUCKET/PREFIX` or `gs://BUCKET/PREFIX`";

impl JournalUrl {
    /// Takes a URL apart. An error is a reason that follows "cannot keep the journal at `URL`: ", and what to write instead.
    pub(crate) fn parse(url: &str) -> Result<Self, (String, &'static str)> {
        let Some((scheme, rest)) = url.split_once(':') else {
            return Err(("it is no URL".to_owned(), URLS));
        };
        match scheme {
            "file" => Ok(Self::Folder(rest.strip_prefix("//").unwrap_or(rest).to_owned())),
            "s3" => Bucket::parse(rest).map(Self::S3),
            "gs" => Bucket::parse(rest).map(Self::Gcs),
            "memory" => Err(("memory keeps nothing, and what Remint creates would be forgotten".to_owned(), URLS)),
            "http" | "https" => {
                let help = "write `s3://BUCKET/PREFIX`, and the server's address as `endpoint`";
                Err(("a bucket has no web address here".to_owned(), help))
            }
            _ => Err((format!("there is no store for `{scheme}:`"), URLS)),
        }
    }
}

impl Bucket {
    fn parse(rest: &str) -> Result<Self, (String, &'static str)> {
        let Some(rest) = rest.strip_prefix("//") else {
            return Err(("two slashes are missing after the colon".to_owned(), URLS));
        };
        let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let fits = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.');
        if !(3..=222).contains(&name.len()) || !name.chars().all(fits) {
            let help =
                "a bucket's name has 3 or more of `a-z`, `0-9`, `-`, `_` and `.`; keys belong into the environment";
            return Err(("this is not the name of a bucket".to_owned(), help));
        }
        let prefix = prefix.trim_end_matches('/');
        let plain = |part: &str| !matches!(part, "" | "." | "..") && part.chars().all(fits);
        if !prefix.is_empty() && !prefix.split('/').all(plain) {
            let help = "use letters, digits, `-`, `_` and `.` between single slashes";
            return Err((format!("`{prefix}` cannot be a prefix"), help));
        }
        Ok(Self { name: name.to_owned(), prefix: prefix.to_owned() })
    }
}

impl JournalSection {
    /// Its keys that have a value, as lines of a manifest: `url = "s3://team/web"`.
    pub fn keys(&self) -> Vec<String> {
        let text = |key: &str, value: &str| format!("{key} = {}", toml::Value::from(value));
        let optional = [("endpoint", &self.endpoint), ("region", &self.region)];
        let keys = optional.into_iter().filter_map(|(key, value)| Some(text(key, value.as_ref()?)));
        let path_style = self.path_style.map(|value| format!("path_style = {value}"));
        std::iter::once(text("url", &self.url)).chain(keys).chain(path_style).collect()
    }
}

/// What is wrong with the section, one problem for a key.
pub(crate) fn problems(section: &JournalSection) -> Vec<Problem> {
    let parsed = match JournalUrl::parse(&section.url) {
        Ok(parsed) => parsed,
        Err((reason, help)) => {
            let message = format!("cannot keep the journal at `{}`: {reason}", section.url);
            return vec![Problem { key: "url", message, help }];
        }
    };
    let given = [
        ("endpoint", section.endpoint.is_some()),
        ("region", section.region.is_some()),
        ("path_style", section.path_style.is_some()),
    ];
    let JournalUrl::S3(bucket) = parsed else {
        let misplaced = given.into_iter().filter(|(_, given)| *given);
        return misplaced
            .map(|(key, _)| Problem {
                key,
                message: format!("`{key}` is for a journal at `s3://`"),
                help: "remove it, or change `url`",
            })
            .collect();
    };
    let mut found = Vec::new();
    if let Some(endpoint) = &section.endpoint
        && let Err((message, help)) = check_endpoint(endpoint, &bucket)
    {
        found.push(Problem { key: "endpoint", message, help });
    }
    if section.region.as_ref().is_some_and(|region| {
        region.is_empty() || !region.chars().all(|character| character.is_ascii_alphanumeric() || character == '-')
    }) {
        let help = "write it as in `eu-central-1`";
        found.push(Problem { key: "region", message: "this is not the name of a region".to_owned(), help });
    }
    found
}

/// What is wrong with a section that is no part of a manifest, and what to do about it. What is wrong with its URL is left to
/// those who open it.
pub(crate) fn first_problem(section: &JournalSection) -> Option<(String, &'static str)> {
    let problem = problems(section).into_iter().find(|problem| problem.key != "url")?;
    Some((problem.message, problem.help))
}

fn check_endpoint(endpoint: &str, bucket: &Bucket) -> Result<(), (String, &'static str)> {
    let bad = |reason: &str, help| Err((format!("`{endpoint}` cannot be the endpoint: {reason}"), help));
    let write = "write it as in `https://fra1.digitaloceanspaces.com`";
    let Ok(url) = Url::parse(endpoint) else { return bad("it is no URL", write) };
    if url.host().is_none() {
        return bad("it names no host", write);
    }
    let local = is_here(&url);
    match url.scheme() {
        "https" => {}
        "http" if local => {}
        "http" => return bad("the journal would travel unencrypted", "write `https://`"),
        _ => return bad("it does not start with `https://`", write),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return bad("it holds credentials", "remove them here, and set them in the environment");
    }
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return bad("something follows the host", "write the bucket and the prefix in `url`");
    }
    if url.host_str().is_some_and(|host| host.starts_with(&format!("{}.", bucket.name))) {
        return bad("it starts with the name of the bucket", "leave the bucket out; `path_style = false` adds it");
    }
    Ok(())
}

/// Whether a URL leads to this host, so that nothing travels unencrypted.
pub(crate) fn is_here(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        let bucket = |name: &str, prefix: &str| Bucket { name: name.to_owned(), prefix: prefix.to_owned() };
        assert_eq!(JournalUrl::parse("file:.remint"), Ok(JournalUrl::Folder(".remint".to_owned())));
        assert_eq!(JournalUrl::parse("file:///srv/x"), Ok(JournalUrl::Folder("/srv/x".to_owned())));
        assert_eq!(JournalUrl::parse("s3://team/a/b/"), Ok(JournalUrl::S3(bucket("team", "a/b"))));
        assert_eq!(JournalUrl::parse("gs://team.example.org"), Ok(JournalUrl::Gcs(bucket("team.example.org", ""))));
        for url in [
            "",
            ".remint",
            "s3:",
            "s3:team",
            "s3://",
            "s3:///a",
            "s3://ab/c",
            "s3://KEY:SECRET@team/a",
            "s3://team/../a",
            "s3://team//a",
            "s3://team/a?versionId=1",
            "gs://team:80/a",
            "az://team/a",
            "memory:",
            "https://example.org/",
        ] {
            assert!(JournalUrl::parse(url).is_err(), "{url}");
        }
    }

    #[test]
    fn what_does_not_fit_the_url_is_found_at_its_key() {
        let section = |url: &str, endpoint: Option<&str>, region: Option<&str>, path_style| JournalSection {
            url: url.to_owned(),
            endpoint: endpoint.map(str::to_owned),
            region: region.map(str::to_owned),
            path_style,
        };
        let keys = |section| problems(&section).into_iter().map(|problem| problem.key).collect::<Vec<_>>();
        let s3 = "s3://team/web";
        for endpoint in
            ["https://fra1.digitaloceanspaces.com", "https://minio.example.org:9000/", "http://127.0.0.1:9000"]
        {
            assert_eq!(keys(section(s3, Some(endpoint), Some("us-east-1"), Some(true))), [""; 0], "{endpoint}");
        }
        for endpoint in [
            "fra1.digitaloceanspaces.com",
            "https:",
            "ftp://example.org",
            "http://minio.example.org",
            "https://key:secret@example.org",
            "https://example.org/team",
            "https://team.fra1.digitaloceanspaces.com",
        ] {
            assert_eq!(keys(section(s3, Some(endpoint), None, None)), ["endpoint"], "{endpoint}");
        }
        assert_eq!(keys(section(s3, None, Some("eu central"), None)), ["region"]);
        assert_eq!(keys(section("memory:", None, Some("eu central"), None)), ["url"]);
        assert_eq!(
            keys(section("gs://team", Some("https://example.org"), Some("x"), Some(true))),
            ["endpoint", "region", "path_style"]
        );
        assert_eq!(keys(section("file:.remint", None, None, Some(false))), ["path_style"]);
    }
}
