//! The calls of the story: recorded by the sandbox, named so that a shell does not mind, and found again by a fault rule.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// What is deployed, and where.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scene {
    pub(crate) name: &'static str,
    /// The provider, which speaks one of the APIs.
    pub(crate) provider: &'static str,
    /// With a listener, two instances behind a load balancer; else one behind a static IP.
    pub(crate) listener: Option<&'static str>,
}

const fn alone(provider: &'static str) -> Scene {
    Scene { name: provider, provider, listener: None }
}

const HTTP: &str = "{ port = 80, protocol = \"http\" }";

/// The APIs with one instance, and then in the same order with several.
pub(crate) const SCENES: [Scene; 6] = [
    alone("digitalocean"),
    alone("aws"),
    alone("gcp"),
    Scene { name: "digitalocean-balanced", provider: "digitalocean", listener: Some(HTTP) },
    Scene { name: "aws-balanced", provider: "aws", listener: Some(HTTP) },
    Scene { name: "gcp-balanced", provider: "gcp", listener: Some("{ port = 80 }") },
];
/// How many APIs there are: from here on, the scenes have a load balancer.
pub(crate) const APIS: usize = 3;

/// The story: the name of each command, and its arguments.
pub(crate) const STORY: [(&str, &[&str]); 4] = [
    ("deploy", &["deploy"]),
    ("replace", &["deploy", "--var", "version=v2"]),
    ("rollback", &["rollback"]),
    ("destroy", &["destroy", "--images", "--yes"]),
];

/// One call that changes something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    method: String,
    /// The route, as a fault rule takes it.
    path: String,
    action: Option<String>,
    /// Which of its kind it is within its command, counted from 1.
    nth: usize,
}

impl Call {
    /// Reads what the sandbox wrote down of one command.
    pub(crate) fn read(changes: &[Value]) -> Vec<Self> {
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        let mut calls = Vec::new();
        for change in changes {
            let text = |key: &str| change[key].as_str().map(str::to_owned);
            let mut call =
                Self { method: text("method").unwrap(), path: text("path").unwrap(), action: text("action"), nth: 0 };
            let nth = seen.entry(call.kind()).or_default();
            *nth += 1;
            call.nth = *nth;
            calls.push(call);
        }
        calls
    }

    /// Amazon's name of the operation; else the method, and the steps of the path that are the same for every resource.
    pub(crate) fn kind(&self) -> String {
        match &self.action {
            Some(action) if self.path == "/" || self.path.starts_with("/2013-04-01/") => action.clone(),
            action => {
                let version = |step: &&str| !matches!(*step, "" | "v1" | "v2" | "compute" | "dns" | "projects");
                let steps = self.path.split('/').filter(version).filter(|step| !step.starts_with('{'));
                let name: Vec<_> = steps.chain(action.as_deref()).collect();
                format!("{}:{}", self.method, name.join("."))
            }
        }
    }

    /// `AssociateAddress#1`, `POST:droplets.actions.snapshot#1`.
    pub(crate) fn name(&self) -> String {
        format!("{}#{}", self.kind(), self.nth)
    }

    pub(crate) fn method(&self) -> &str {
        &self.method
    }

    /// Amazon's name of the operation, or the type of an action.
    pub(crate) fn action(&self) -> Option<&str> {
        self.action.as_deref()
    }

    /// A fault rule for this call and no other of the command.
    pub(crate) fn rule(&self, fault: &Value) -> Value {
        let mut rule = json!({ "method": self.method, "path": self.path, "nth": self.nth });
        if let Some(action) = &self.action {
            rule["action"] = action.clone().into();
        }
        for (key, value) in fault.as_object().unwrap() {
            rule[key] = value.clone();
        }
        rule
    }
}

#[test]
fn a_recorded_call_becomes_a_name_and_a_rule() {
    let change = |method: &str, path: &str, action: Option<&str>| json!({ "number": 1, "method": method, "path": path, "action": action, "status": 200 });
    let calls = Call::read(&[
        change("POST", "/", Some("RunInstances")),
        change("POST", "/", Some("CreateTags")),
        change("POST", "/", Some("RunInstances")),
        change("POST", "/2013-04-01/hostedzone/{id}/rrset", Some("ChangeResourceRecordSets")),
        change("POST", "/v2/droplets/{id}/actions", Some("snapshot")),
        change("DELETE", "/compute/v1/projects/{project}/zones/{zone}/instances/{instance}", None),
    ]);
    let names: Vec<_> = calls.iter().map(Call::name).collect();
    let expected = [
        "RunInstances#1",
        "CreateTags#1",
        "RunInstances#2",
        "ChangeResourceRecordSets#1",
        "POST:droplets.actions.snapshot#1",
        "DELETE:zones.instances#1",
    ];
    assert_eq!(names, expected);
    let rule = calls[2].rule(&json!({ "fault": "delay", "delay_ms": 5 }));
    let expected =
        json!({ "method": "POST", "path": "/", "action": "RunInstances", "nth": 2, "fault": "delay", "delay_ms": 5 });
    assert_eq!(rule, expected);
}
