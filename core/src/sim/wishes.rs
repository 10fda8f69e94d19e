//! What the user wants of an environment: the manifest, and how it changes.

use std::{cell::RefCell, collections::HashMap, fmt::Write as _, net::IpAddr};

use crate::{
    fake::Dice,
    manifest::{LoadOptions, Loaded, load},
};

/// The two environments of the service.
pub(super) const ENVIRONMENTS: [&str; 2] = ["production", "staging"];

/// How what is baked behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Build {
    Good,
    /// Never passes its gate.
    FailsGate,
    /// Healthy by itself, and not through the address.
    FailsOutside,
}

impl Build {
    /// Reads it from a fingerprint.
    pub(super) fn of(fingerprint: &str) -> Self {
        if fingerprint.contains("gate") {
            Self::FailsGate
        } else if fingerprint.contains("outside") {
            Self::FailsOutside
        } else {
            Self::Good
        }
    }
}

/// Which stable address is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Choice {
    Managed,
    Existing(IpAddr),
    None,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wishes {
    pub(super) service: String,
    pub(super) environment: &'static str,
    pub(super) region: &'static str,
    pub(super) size: &'static str,
    pub(super) recipe: u32,
    pub(super) build: Build,
    pub(super) config: u32,
    /// The record's name below example.org.
    pub(super) record: Option<String>,
    pub(super) ttl: u32,
    pub(super) adopt: bool,
    pub(super) choice: Choice,
    pub(super) park: bool,
    pub(super) keep_images: u32,
    /// Whether an image has to boot before it counts as baked.
    pub(super) boot_check: bool,
}

impl Wishes {
    pub(super) fn new(environment: &'static str, dice: &mut Dice) -> Self {
        let record = dice.hits(0.7).then(|| records(environment)[0].to_owned());
        Self {
            service: "app".to_owned(),
            environment,
            region: "here",
            size: "small",
            recipe: 1,
            build: Build::Good,
            config: 1,
            record,
            ttl: 60,
            adopt: false,
            choice: if dice.hits(0.9) { Choice::Managed } else { Choice::None },
            park: dice.hits(0.3),
            keep_images: 1 + dice.below(3) as u32,
            boot_check: dice.hits(0.3),
        }
    }

    /// The fingerprint of its recipe. All environments bake the same.
    pub(super) fn fingerprint(&self) -> String {
        let kind = match self.build {
            Build::Good => "good",
            Build::FailsGate => "gate",
            Build::FailsOutside => "outside",
        };
        format!("{:03}{kind}", self.recipe)
    }

    /// Something changes that a deploy can follow. Says what.
    pub(super) fn edit(&mut self, given: Option<IpAddr>, dice: &mut Dice) -> String {
        match dice.below(12) {
            0..=4 => {
                self.recipe += 1;
                self.build = match dice.below(8) {
                    0 => Build::FailsGate,
                    1 => Build::FailsOutside,
                    _ => Build::Good,
                };
                format!("recipe {}", self.fingerprint())
            }
            5 | 6 => {
                self.config += 1;
                format!("configuration {}", self.config)
            }
            7 => {
                let names = records(self.environment);
                self.record = if dice.hits(0.1) { None } else { Some((*dice.pick(&names)).to_owned()) };
                format!("record {:?}", self.record)
            }
            8 => {
                self.ttl = if self.ttl == 60 { 300 } else { 60 };
                format!("ttl {}", self.ttl)
            }
            9 => {
                self.choice = match (dice.below(3), given) {
                    (0, Some(ip)) => Choice::Existing(ip),
                    (1, _) => Choice::None,
                    _ => Choice::Managed,
                };
                format!("address {:?}", self.choice)
            }
            10 => {
                self.park = !self.park;
                format!("park {}", self.park)
            }
            _ => {
                self.keep_images = 1 + dice.below(3) as u32;
                format!("keep_images {}", self.keep_images)
            }
        }
    }

    /// Makes all of it such that a deploy must succeed.
    pub(super) fn heal(&mut self) {
        if self.build != Build::Good {
            self.recipe += 1;
            self.build = Build::Good;
        }
    }

    /// The manifest. Few differ, and reading one costs as much as a command: each is read once by each thread.
    pub(super) fn load(&self) -> Loaded {
        thread_local! {
            static READ: RefCell<HashMap<(String, &'static str), Loaded>> = RefCell::default();
        }
        let key = (self.manifest(), self.environment);
        READ.with_borrow_mut(|read| {
            if read.len() > 5000 {
                read.clear();
            }
            read.entry(key)
                .or_insert_with_key(|(text, environment)| {
                    let folder = tempfile::tempdir().unwrap();
                    let path = folder.path().join("remint.toml");
                    std::fs::write(&path, text).unwrap();
                    let options = LoadOptions { env: Some((*environment).to_owned()), ..LoadOptions::default() };
                    load(&path, &options).unwrap()
                })
                .clone()
        })
    }

    fn manifest(&self) -> String {
        let Self { service, region, size, boot_check, .. } = self;
        let mut text = format!(
            "service = \"{service}\"\nprovider = \"fake\"\n[providers.fake]\nregion = \"{region}\"\nbase = \"debian\"\n\
             size = \"{size}\"\n[image]\nboot_check = {boot_check}\n[health.check.http]\nport = 80\n"
        );
        match self.choice {
            Choice::Managed => {}
            Choice::Existing(ip) => {
                let _ = writeln!(text, "[address]\nstatic_ip = {{ existing = \"{ip}\" }}");
            }
            Choice::None => text.push_str("[address]\nstatic_ip = \"none\"\n"),
        }
        if let Some(record) = &self.record {
            let _ = writeln!(text, "[dns]\nzone = \"example.org\"\nname = \"{record}\"\nttl = \"{}s\"", self.ttl);
            if self.adopt {
                text.push_str("adopt = true\n");
            }
        }
        let _ = writeln!(text, "[deploy]\nobserve = \"10s\"\ndrain = \"5s\"\nkeep_images = {}", self.keep_images);
        if self.park {
            text.push_str("retire = \"park\"\n");
        }
        for environment in ENVIRONMENTS {
            let _ = writeln!(text, "[environments.{environment}]");
        }
        text
    }
}

/// The names that an environment's record may have. The last one is somebody else's in some worlds.
pub(super) fn records(environment: &str) -> [&'static str; 3] {
    if environment == ENVIRONMENTS[0] { ["www", "web", "mail"] } else { ["beta", "test", "files"] }
}
