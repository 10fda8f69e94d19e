//! The names that somebody may have meant, for the hints of providers.

/// How many names a hint lists.
const SHOWN: usize = 5;

/// The five nearest of the names, nearest first, as a hint lists them.
pub fn nearest<'a>(wanted: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    let mut names: Vec<_> = names.into_iter().map(|name| (strsim::jaro_winkler(wanted, name), name)).collect();
    names.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
    names.truncate(SHOWN);
    names.into_iter().map(|(_, name)| name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_comes_first() {
        assert_eq!(nearest("nyc4", ["fra1", "nyc3", "ams3"]).split(", ").next(), Some("nyc3"));
    }
}
