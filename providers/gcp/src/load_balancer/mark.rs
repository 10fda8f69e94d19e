//! What the parts of a load balancer say of whose they are.
//!
//! Not every part can be labelled, and none can be as it is created; so it is in the description, which goes with the call that
//! creates the part. A description that begins otherwise than this is somebody else's.

use remint_core::provider::{Error, ErrorKind, Labels, Result};
use serde::{Deserialize, Serialize};

use crate::{error::Subject, names::BalancerPath};

/// How the description of every part begins. Static IPs have another form, so that neither is taken for the other.
const PREFIX: &str = "remint load balancer ";
/// The most bytes of a description.
const LONGEST: usize = 2048;

/// The description of a part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mark {
    /// The labels that the load balancer was asked for with.
    pub(crate) labels: Labels,
    /// The zone that it was asked for in.
    pub(crate) zone: String,
    /// The number of the address that the part belongs to; the address itself does not know it when it is created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) number: Option<String>,
}

impl Mark {
    /// The text, or why it does not fit.
    pub(crate) fn to_text(&self, operation: &'static str) -> Result<String> {
        let invalid = |problem: String| Error::new(ErrorKind::InvalidInput, operation, problem);
        let json =
            serde_json::to_string(self).map_err(|error| invalid("unwritable labels".into()).with_source(error))?;
        let text = format!("{PREFIX}{json}");
        if text.len() > LONGEST {
            return Err(invalid(format!("labels of {} bytes; {LONGEST} is the most", text.len())));
        }
        Ok(text)
    }

    /// What Remint wrote; nothing in the descriptions of others.
    pub(crate) fn from_text(text: Option<&str>) -> Option<Self> {
        serde_json::from_str(text?.strip_prefix(PREFIX)?).ok()
    }

    /// The same for a part of the load balancer.
    pub(crate) fn of_part(&self, path: &BalancerPath) -> Self {
        Self { number: Some(path.number.clone()), ..self.clone() }
    }
}

/// Whether a description is that of a part of any load balancer of Remint's.
pub(crate) fn is_marked(description: Option<&str>) -> bool {
    Mark::from_text(description).is_some()
}

/// Refuses a part of the name that is not Remint's.
pub(super) fn owned(subject: &Subject, description: Option<&str>) -> Result<Mark> {
    Mark::from_text(description).ok_or_else(|| {
        subject
            .error(ErrorKind::Conflict, "one of this name exists, and its description does not say that it is Remint's")
            .with_hint("rename or delete it, if it is not used")
    })
}

#[cfg(test)]
mod tests {
    use remint_core::provider::label;

    use super::*;
    use crate::labelling::Description;

    #[test]
    fn marks_come_back_and_are_no_descriptions_of_static_ips() {
        let labels = Labels::new().with(label::SERVICE, "app").with(label::ENV_ID, "0a1b2c3d4e5f6071");
        let whole = Mark { labels, zone: "us-central1-a".to_owned(), number: None };
        let path = BalancerPath { region: "us-central1".into(), name: "remint-a".into(), number: "7421".into() };
        for mark in [whole.clone(), whole.of_part(&path)] {
            let text = mark.to_text("test").unwrap();
            assert_eq!(Mark::from_text(Some(&text)), Some(mark));
            assert_eq!(Description::from_text(Some(&text)), None, "{text}");
        }
        let ip = Description { labels: whole.labels.clone(), zone: whole.zone.clone() };
        for other in [ip.to_text("test").unwrap().as_str(), "", "remint load balancer", "remint load balancer {}"] {
            assert!(!is_marked(Some(other)), "{other}");
        }
        let long = Mark { labels: Labels::new().with("remint:a", "x".repeat(2048)), ..whole };
        assert_eq!(long.to_text("test").unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}
