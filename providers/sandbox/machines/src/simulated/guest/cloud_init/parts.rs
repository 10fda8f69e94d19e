//! Taking user data apart: plain, compressed, or MIME with several parts.

use std::io::Read;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};

/// What user data may unpack to, all of its parts together.
const LIMIT: u64 = 16 * 1024 * 1024;

/// How many parts it may have.
const PARTS: usize = 1000;

/// How deep multi-part documents may stand in one another.
const DEPTH: usize = 4;

/// User data, taken apart.
#[derive(Debug, Default)]
pub(super) struct Parts {
    /// All `#cloud-config` parts, merged: lists appended, the first value of a key kept.
    pub(super) config: Map<String, Value>,
    /// Scripts for the end of the boot, with their file names.
    pub(super) scripts: Vec<(String, String)>,
    /// Scripts for its beginning.
    pub(super) hooks: Vec<String>,
    /// What could not be read.
    pub(super) errors: Vec<String>,
    /// What was unpacked so far, in bytes.
    unpacked: u64,
    /// How many parts were seen so far.
    seen: usize,
}

/// Takes user data apart.
pub(super) fn parse(user_data: &[u8]) -> Parts {
    let mut parts = Parts::default();
    parts.add(user_data.to_vec(), "part-001", "", 0);
    parts
}

/// Unpacks gzip, recognised by its first bytes.
pub(super) fn unpack(data: Vec<u8>) -> Result<Vec<u8>, String> {
    unpack_within(data, LIMIT)
}

fn unpack_within(data: Vec<u8>, limit: u64) -> Result<Vec<u8>, String> {
    if !data.starts_with(&[0x1f, 0x8b]) {
        return Ok(data);
    }
    let mut out = Vec::new();
    let read = flate2::read::MultiGzDecoder::new(data.as_slice()).take(limit + 1).read_to_end(&mut out);
    match read {
        Ok(read) if read as u64 > limit => Err(format!("cannot unpack gzip: more than {LIMIT} bytes")),
        Ok(_) => Ok(out),
        Err(error) => Err(format!("cannot unpack gzip: {error}")),
    }
}

/// Base64 with line breaks.
pub(super) fn from_base64(text: &[u8]) -> Result<Vec<u8>, String> {
    let packed: Vec<u8> = text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    STANDARD.decode(packed).map_err(|error| format!("cannot read base64: {error}"))
}

/// What a key has: a list as it is, and one thing as a list of it.
pub(super) fn list(value: Option<&Value>) -> Vec<Value> {
    match value {
        Some(Value::Array(list)) => list.clone(),
        Some(Value::Null) | None => Vec::new(),
        Some(other) => vec![other.clone()],
    }
}

impl Parts {
    fn add(&mut self, data: Vec<u8>, name: &str, kind: &str, depth: usize) {
        let text = match unpack_within(data, LIMIT - self.unpacked) {
            Ok(data) => String::from_utf8_lossy(&data).into_owned(),
            Err(error) => return self.errors.push(format!("{name}: {error}")),
        };
        self.unpacked = (self.unpacked + text.len() as u64).min(LIMIT);
        let (headers, body) = headers(&text);
        if let Some(boundary) =
            header(&headers, "content-type").filter(|_| depth < DEPTH).and_then(|kind| parameter(&kind, "boundary"))
        {
            return self.multipart(body, &boundary, depth);
        }
        let first = text.lines().next().unwrap_or_default();
        if text.trim().is_empty() {
        } else if first.starts_with("#!") || kind == "text/x-shellscript" {
            self.scripts.push((name.to_owned(), text));
        } else if first.starts_with("#cloud-config") || kind == "text/cloud-config" {
            self.config(name, &text);
        } else if first.starts_with("#cloud-boothook") || kind == "text/cloud-boothook" {
            self.hooks.push(text);
        } else {
            let what = if kind.is_empty() { "text/plain" } else { kind };
            self.errors.push(format!("{name}: unhandled non-multipart ({what}) userdata"));
        }
    }

    fn multipart(&mut self, body: &str, boundary: &str, depth: usize) {
        let mark = format!("--{boundary}");
        let mut current: Option<String> = None;
        let mut found = Vec::new();
        for line in body.split_inclusive('\n') {
            let plain = line.trim_end();
            if plain == mark || plain == format!("{mark}--") {
                found.extend(current.take());
                if plain == mark {
                    current = Some(String::new());
                }
            } else if let Some(part) = &mut current {
                part.push_str(line);
            }
        }
        found.extend(current);
        for (index, part) in found.iter().enumerate() {
            self.seen += 1;
            if self.seen > PARTS {
                return self.errors.push(format!("more than {PARTS} parts"));
            }
            let (headers, body) = headers(part);
            // The newline before a boundary belongs to the boundary.
            let body = body.strip_suffix('\n').unwrap_or(body);
            let kind = header(&headers, "content-type").unwrap_or_default();
            let media = kind.split(';').next().unwrap_or_default().trim().to_lowercase();
            let name = header(&headers, "content-disposition").and_then(|value| parameter(&value, "filename"));
            let name = name.map_or_else(|| format!("part-{:03}", index + 1), |name| name.replace('/', "_"));
            let encoding = header(&headers, "content-transfer-encoding").unwrap_or_default().to_lowercase();
            let data = if encoding == "base64" { from_base64(body.as_bytes()) } else { Ok(body.as_bytes().to_vec()) };
            match data {
                Ok(data) if media.starts_with("multipart/") => match parameter(&kind, "boundary") {
                    Some(boundary) if depth < DEPTH => {
                        self.multipart(&String::from_utf8_lossy(&data), &boundary, depth + 1)
                    }
                    _ => self.errors.push(format!("{name}: a multi-part part without a boundary")),
                },
                Ok(data) => self.add(data, &name, &media, depth + 1),
                Err(error) => self.errors.push(format!("{name}: {error}")),
            }
        }
    }

    fn config(&mut self, name: &str, text: &str) {
        match serde_saphyr::from_str::<Value>(text) {
            Ok(Value::Object(config)) => merge(&mut self.config, config),
            Ok(Value::Null) => {}
            Ok(_) => self.errors.push(format!("{name}: Failed loading yaml blob: not a mapping")),
            Err(error) => {
                let error = error.to_string();
                let reason = error.lines().next().unwrap_or_default();
                self.errors.push(format!("{name}: Failed loading yaml blob: {reason}"));
            }
        }
    }
}

fn merge(into: &mut Map<String, Value>, from: Map<String, Value>) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(Value::Array(list)), Value::Array(more)) => list.extend(more),
            (Some(Value::Object(map)), Value::Object(more)) => merge(map, more),
            (Some(_), _) => {}
            (None, value) => {
                into.insert(key, value);
            }
        }
    }
}

/// The headers at the beginning of a text, continued lines joined, and what follows them.
fn headers(text: &str) -> (Vec<(String, String)>, &str) {
    let mut found: Vec<(String, String)> = Vec::new();
    let mut rest = text;
    while let Some((line, after)) = rest.split_once('\n') {
        let line = line.trim_end_matches('\r');
        if line.is_empty() {
            return (found, after);
        }
        if line.starts_with([' ', '\t']) {
            match found.last_mut() {
                Some((_, value)) => value.push_str(line),
                None => break,
            }
        } else {
            match line.split_once(':') {
                Some((name, value)) if !name.contains(' ') => {
                    found.push((name.to_lowercase(), value.trim().to_owned()))
                }
                _ if found.is_empty() && line.starts_with("From ") => {}
                _ => break,
            }
        }
        rest = after;
    }
    (Vec::new(), text)
}

fn header(headers: &[(String, String)], name: &str) -> Option<String> {
    headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone())
}

/// A parameter of a header: `boundary="x"`.
fn parameter(value: &str, name: &str) -> Option<String> {
    value.split(';').skip(1).find_map(|item| {
        let (key, value) = item.trim().split_once('=')?;
        (key.trim().eq_ignore_ascii_case(name)).then(|| value.trim().trim_matches('"').to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_multi_part_document_is_taken_apart() {
        let script = STANDARD.encode("#!/bin/sh\necho ö\n");
        let text = format!(
            "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"b\"\n\n\
             --b\nContent-Type: text/cloud-config\n\n#cloud-config\nruncmd: [a]\nhostname: x\n\n\
             --b\nContent-Type: text/cloud-config\n\n#cloud-config\n{{\"runcmd\": [\"b\"], \"hostname\": \"y\"}}\n\n\
             --b\nContent-Type: text/x-shellscript; charset=\"utf-8\"\nContent-Transfer-Encoding: base64\n\
             Content-Disposition: attachment; filename=\"s.sh\"\n\n{script}\n--b--\n"
        );
        let parts = parse(text.as_bytes());
        assert_eq!(parts.errors, Vec::<String>::new());
        assert_eq!(parts.config["runcmd"], serde_json::json!(["a", "b"]));
        assert_eq!(parts.config["hostname"], "x");
        assert_eq!(parts.scripts, [("s.sh".to_owned(), "#!/bin/sh\necho ö\n".to_owned())]);
    }

    #[test]
    fn what_unpacks_to_too_much_is_refused() {
        let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        let line = "#".repeat(1 << 20);
        std::io::Write::write_all(&mut bomb, b"#!/bin/sh\n").unwrap();
        for _ in 0..10 {
            std::io::Write::write_all(&mut bomb, line.as_bytes()).unwrap();
        }
        let bomb = bomb.finish().unwrap();
        assert_eq!(parse(&bomb).scripts.len(), 1);
        let part = format!("--b\nContent-Transfer-Encoding: base64\n\n{}\n", STANDARD.encode(&bomb));
        let parts = parse(format!("Content-Type: multipart/mixed; boundary=b\n\n{}--b--\n", part.repeat(8)).as_bytes());
        assert_eq!((parts.scripts.len(), parts.errors.len()), (1, 7), "{:?}", parts.errors);
        let part = "--b\n\n#!/bin/sh\n";
        let many = parse(format!("Content-Type: multipart/mixed; boundary=b\n\n{}", part.repeat(2000)).as_bytes());
        assert_eq!((many.scripts.len(), many.errors.len()), (PARTS, 1));
        let deep = format!("#cloud-config\na: {}{}\n", "[".repeat(20_000), "]".repeat(20_000));
        assert_eq!(parse(deep.as_bytes()).errors.len(), 1);
        let doubled: String = (1..40).map(|at| format!("a{at}: &a{at} [*a{}, *a{}]\n", at - 1, at - 1)).collect();
        assert_eq!(parse(format!("#cloud-config\na0: &a0 x\n{doubled}").as_bytes()).errors.len(), 1);
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        assert_eq!(parse(b"#cloud-config\na: [1\n").errors.len(), 1);
        assert_eq!(parse(b"something\n").errors.len(), 1);
        assert_eq!(parse(b"").errors.len(), 0);
    }
}
