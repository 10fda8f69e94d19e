//! Something that a case makes.

use std::fmt;

use remint_core::provider::{EnvironmentId, InstanceId, RecordKind, StaticIpId};
use serde::{Deserialize, Serialize};

/// Something that a case makes, by what is known of it before it is made.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Resource {
    /// An instance, by its name. Its labels find it, too.
    Instance {
        /// The name in the account, which no other run uses.
        name: String,
    },
    /// An image of a name. Some clouds label an image only when it is done; until it is, the instance is what leads to it.
    Image {
        /// The name in the account, which no other run uses.
        name: String,
        /// The instance that it is captured from, until the capture is done.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        instance: Option<InstanceId>,
    },
    /// A static IP for an instance. Some clouds neither name nor label addresses; until its id is known, the instance is
    /// what leads to it.
    StaticIp {
        /// The instance that it was made for.
        instance: InstanceId,
        /// Its id, once it is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<StaticIpId>,
    },
    /// A load balancer of a name. Not every cloud labels load balancers.
    LoadBalancer {
        /// The name in the account, which no other run uses.
        name: String,
    },
    /// A record set. Records have no labels.
    Record {
        /// The name of the zone, without a final dot.
        zone: String,
        /// The name below the zone.
        name: String,
        /// A, AAAA and so on; one name may have a set of each kind.
        record: RecordKind,
    },
    /// A login key of a name. Keys have no labels.
    LoginKey {
        /// The name under which the key is registered.
        name: String,
    },
    /// A marker of the account. Markers have no labels.
    Marker {
        /// The name of the marker.
        name: String,
    },
    /// What a provider creates beside the instances of an environment.
    Strays {
        /// The id that the instances of the environment are labelled with.
        environment: EnvironmentId,
    },
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Instance { name } => write!(f, "instance {name}"),
            Self::Image { name, .. } => write!(f, "image {name}"),
            Self::StaticIp { id: Some(id), .. } => write!(f, "static IP {id}"),
            Self::StaticIp { instance, id: None } => write!(f, "static IP of instance {instance}"),
            Self::LoadBalancer { name } => write!(f, "load balancer {name}"),
            Self::Record { zone, name, record } => write!(f, "record {name}.{zone} {record}"),
            Self::LoginKey { name } => write!(f, "login key {name}"),
            Self::Marker { name } => write!(f, "marker {name}"),
            Self::Strays { environment } => write!(f, "strays of environment {environment}"),
        }
    }
}
