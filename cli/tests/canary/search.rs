//! Looking for secrets: in bytes, in folders, and in what the kernel tells of processes.

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};

use crate::common::World;

/// How many characters of a secret in a row are a leak.
const TELLING: usize = 16;

/// A secret that is looked for.
#[derive(Debug, Clone)]
pub(crate) struct Canary {
    pub(crate) name: &'static str,
    pub(crate) value: String,
}

/// Finds canaries in all their encodings. It shares no code with what masks them.
#[derive(Clone)]
pub(crate) struct Search(Arc<Vec<(String, Vec<u8>)>>);

/// What may become of a secret on its way to a reader, by name.
pub(crate) fn encodings(value: &str) -> Vec<(&'static str, String)> {
    let percent: String = value
        .bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect();
    let wrapped = |text: &str, width: usize| {
        let lines: Vec<_> =
            text.as_bytes().chunks(width).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
        lines.join("\n")
    };
    let encode = |before: &str| STANDARD.encode(format!("{before}{value}\n"));
    vec![
        ("as it is", value.to_owned()),
        ("percent", percent),
        ("JSON", serde_json::to_string(value).unwrap().trim_matches('"').to_owned()),
        ("hexadecimal", value.bytes().map(|byte| format!("{byte:02x}")).collect()),
        ("base64", encode("")),
        ("base64, one byte later", encode("=")),
        ("base64, two bytes later", encode("a=")),
        ("base64 for URLs", URL_SAFE_NO_PAD.encode(value)),
        ("cut by line ends", wrapped(value, 11)),
        ("base64 in lines", wrapped(&encode("secret="), 20)),
    ]
}

impl Search {
    pub(crate) fn new(canaries: &[Canary]) -> Self {
        let mut forms = Vec::new();
        for Canary { name, value } in canaries {
            for (encoding, text) in encodings(value) {
                // The ends of base64 depend on what stands next to the secret, and any part of the rest gives it away.
                let squeezed: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
                for part in squeezed[4..squeezed.len() - 4].windows(TELLING) {
                    forms.push((format!("{name}, {encoding}"), part.to_owned()));
                }
            }
        }
        Self(Arc::new(forms))
    }

    /// What is found in these bytes: the canaries and how they are encoded.
    pub(crate) fn leaks(&self, place: &str, bytes: &[u8]) -> Vec<String> {
        let text = String::from_utf8_lossy(bytes).replace("\\n", "\n");
        let squeezed: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
        let windows: std::collections::HashSet<&[u8]> = squeezed.windows(TELLING).collect();
        let mut found: Vec<String> = Vec::new();
        for (what, form) in self.0.iter() {
            let leak = format!("{what} in {place}");
            if windows.contains(form.as_slice()) && !found.contains(&leak) {
                found.push(leak);
            }
        }
        found
    }

    /// What is found in the files below a folder, and in their names.
    pub(crate) fn leaks_below(&self, folder: &Path) -> Vec<String> {
        let mut found = Vec::new();
        for file in World::files(folder) {
            let place = file.display().to_string();
            found.extend(self.leaks(&format!("the name {place}"), place.as_bytes()));
            found.extend(self.leaks(&place, &fs::read(&file).unwrap_or_default()));
        }
        found
    }

    /// What is found in the arguments of all processes now.
    pub(crate) fn leaks_in_arguments(&self) -> Vec<String> {
        let all = processes("cmdline").into_iter();
        all.flat_map(|(pid, text)| self.leaks(&format!("the arguments of process {pid}"), &text)).collect()
    }

    /// Looks at the arguments of all processes, over and over, until it is asked what it has found.
    pub(crate) fn watch_arguments(&self) -> Watch {
        let (search, done) = (self.clone(), Arc::new(AtomicBool::new(false)));
        let end = Arc::clone(&done);
        let thread = std::thread::spawn(move || {
            let (mut found, mut rounds) = (Vec::new(), 0);
            while !end.load(Ordering::Relaxed) {
                found.extend(search.leaks_in_arguments());
                rounds += 1;
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
            (found, rounds)
        });
        Watch { thread, done }
    }
}

/// A look at processes that goes on.
pub(crate) struct Watch {
    thread: JoinHandle<(Vec<String>, usize)>,
    done: Arc<AtomicBool>,
}

impl Watch {
    /// What it has found.
    pub(crate) fn end(self) -> Vec<String> {
        self.done.store(true, Ordering::Relaxed);
        let (found, rounds) = self.thread.join().unwrap();
        assert!(rounds > 0, "it never looked");
        found
    }
}

/// A file of each process under `/proc` that can be read, by the process's number.
pub(crate) fn processes(file: &str) -> Vec<(u32, Vec<u8>)> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers.filter_map(|pid: u32| Some((pid, fs::read(format!("/proc/{pid}/{file}")).ok()?))).collect()
}
