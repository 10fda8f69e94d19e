//! Checks answers against the discovery documents that Google publishes, where its Python client, which ships them, is
//! installed: that the path exists, and that the answer has no field, type or value that the document does not know.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE};
use serde_json::Value;

/// The documents of both APIs.
pub(crate) struct Discovery(Vec<Document>);

struct Document {
    schemas: Value,
    methods: Vec<Method>,
}

struct Method {
    verb: String,
    /// The path's parts; `None` for one that is filled in.
    path: Vec<Option<String>>,
    answer: Option<String>,
}

impl Discovery {
    /// The documents, if they are installed; says so on stdout where they are not.
    #[expect(clippy::print_stdout, reason = "a test tells what it could not check")]
    pub(crate) fn get() -> Option<&'static Self> {
        static FOUND: OnceLock<Option<Discovery>> = OnceLock::new();
        let found = FOUND.get_or_init(|| {
            let documents = folder()?;
            let read = |name: &str| {
                let bytes = std::fs::read(documents.join(name)).ok()?;
                Some(Document::of(serde_json::from_slice(&bytes).expect("a document is JSON")))
            };
            Some(Self(vec![read("compute.v1.json")?, read("dns.v1.json")?]))
        });
        if found.is_none() {
            println!("discovery documents not found, answers are not checked against them");
        }
        found.as_ref()
    }

    /// What does not agree in an answer with status 200.
    pub(crate) fn problems(&self, verb: &str, path: &str, answer: &Value) -> Vec<String> {
        let path = path.split('?').next().unwrap_or_default();
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        for document in &self.0 {
            let Some(method) = document.methods.iter().find(|method| method.fits(verb, &parts)) else { continue };
            let mut problems = Vec::new();
            if let Some(schema) = &method.answer {
                document.check(&document.schemas[schema], answer, schema, &mut problems);
            }
            return problems;
        }
        vec![format!("no document has {verb} {path}")]
    }
}

/// Where the Python of the tests has the documents.
fn folder() -> Option<PathBuf> {
    let python = match std::env::var_os("REMINT_TEST_PYTHON") {
        Some(path) => path.into(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/python/bin/python"),
    };
    let program = "import googleapiclient.discovery_cache as d, os; print(os.path.dirname(d.__file__), end='')";
    let output = Command::new(python).args(["-c", program]).output().ok().filter(|output| output.status.success())?;
    Some(Path::new(&String::from_utf8(output.stdout).ok()?).join("documents"))
}

impl Method {
    fn fits(&self, verb: &str, parts: &[&str]) -> bool {
        let fits = |(known, part): (&Option<String>, &&str)| known.as_ref().is_none_or(|known| known == part);
        self.verb == verb && self.path.len() == parts.len() && self.path.iter().zip(parts).all(fits)
    }

    /// How many of the path's parts are filled in.
    fn holes(&self) -> usize {
        self.path.iter().filter(|part| part.is_none()).count()
    }
}

impl Document {
    fn of(document: Value) -> Self {
        let base = document["servicePath"].as_str().unwrap_or_default().to_owned();
        let mut methods = Vec::new();
        collect(&document["resources"], &base, &mut methods);
        // `family/{family}` before `{image}`.
        methods.sort_by_key(Method::holes);
        Self { schemas: document["schemas"].clone(), methods }
    }

    fn check(&self, schema: &Value, value: &Value, at: &str, problems: &mut Vec<String>) {
        if let Some(name) = schema["$ref"].as_str() {
            return self.check(&self.schemas[name], value, at, problems);
        }
        let mut wrong = |what: &str| problems.push(format!("{at}: {value} {what}"));
        match (schema["type"].as_str().unwrap_or("any"), value) {
            ("any", _) | ("boolean", Value::Bool(_)) | ("number", Value::Number(_)) => {}
            ("integer", Value::Number(number)) if number.is_i64() || number.is_u64() => {}
            ("string", Value::String(text)) => {
                let format = schema["format"].as_str().unwrap_or_default();
                let good = match format {
                    "uint64" => text.parse::<u64>().is_ok(),
                    "int64" => text.parse::<i64>().is_ok(),
                    "byte" => URL_SAFE.decode(text).is_ok(),
                    _ => true,
                };
                if !good {
                    wrong(&format!("is no {format}"));
                }
                let known = schema["enum"].as_array();
                if known.is_some_and(|known| !known.iter().any(|one| one == text.as_str())) {
                    wrong("is none of the enum");
                }
            }
            ("array", Value::Array(items)) => {
                for (n, item) in items.iter().enumerate() {
                    self.check(&schema["items"], item, &format!("{at}[{n}]"), problems);
                }
            }
            ("object", Value::Object(fields)) => {
                for (name, field) in fields {
                    let known = schema["properties"].get(name).or(schema.get("additionalProperties"));
                    match known {
                        Some(known) => self.check(known, field, &format!("{at}.{name}"), problems),
                        None => problems.push(format!("{at}.{name} is not known")),
                    }
                }
            }
            (kind, _) => wrong(&format!("is no {kind}")),
        }
    }
}

fn collect(resources: &Value, base: &str, methods: &mut Vec<Method>) {
    for resource in resources.as_object().into_iter().flat_map(|resources| resources.values()) {
        for method in resource["methods"].as_object().into_iter().flat_map(|methods| methods.values()) {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let path = format!("{base}{}", text(&method["path"]));
            let part = |part: &str| if part.starts_with('{') { None } else { Some(part.to_owned()) };
            methods.push(Method {
                verb: text(&method["httpMethod"]),
                path: path.split('/').map(part).collect(),
                answer: method["response"]["$ref"].as_str().map(str::to_owned),
            });
        }
        collect(&resource["resources"], base, methods);
    }
}

#[test]
fn the_checker_finds_what_is_wrong() {
    let Some(discovery) = Discovery::get() else { return };
    let problems =
        |answer: Value| discovery.problems("GET", "/compute/v1/projects/p/zones/z/instances/i?x=y", &answer).join(", ");
    assert_eq!(
        problems(serde_json::json!({ "name": "i", "id": "7", "status": "RUNNING", "labels": { "a": "b" } })),
        ""
    );
    for (answer, what) in [
        (serde_json::json!({ "colour": "red" }), "Instance.colour is not known"),
        (serde_json::json!({ "id": 7 }), "Instance.id: 7 is no string"),
        (serde_json::json!({ "id": "x" }), "is no uint64"),
        (serde_json::json!({ "status": "running" }), "is none of the enum"),
        (serde_json::json!({ "disks": [{ "boot": "yes" }] }), "Instance.disks[0].boot: \"yes\" is no boolean"),
    ] {
        let found = problems(answer);
        assert!(found.contains(what), "{what}: {found}");
    }
    assert!(discovery.problems("GET", "/compute/v1/projects/p/nonsense", &Value::Null)[0].contains("no document"));
}
