//! What the user wants of an environment: the manifest, and how it changes.

use std::{cell::RefCell, collections::HashMap, fmt::Write as _, net::IpAddr};

use super::fleets::Fleet;
use crate::{
    fake::Dice,
    manifest::{LoadOptions, Loaded, Provisioner, Template, load},
    provider::{Fingerprint, ImageId},
    recipe::{Inputs, compute},
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

thread_local! {
    /// What the recipes of this thread's worlds make, by their fingerprints, and the step that makes it.
    static BUILDS: RefCell<HashMap<Fingerprint, (Build, String)>> = RefCell::default();
}

/// The step of the recipe of a fingerprint.
pub(super) fn step_of(fingerprint: &str) -> Option<String> {
    BUILDS.with_borrow(|builds| builds.get(fingerprint).map(|(_, step)| step.clone()))
}

impl Build {
    /// What an image of a fingerprint is. What was not baked from a recipe is good.
    pub(super) fn of(fingerprint: &str) -> Self {
        BUILDS.with_borrow(|builds| builds.get(fingerprint).map(|(build, _)| *build)).unwrap_or(Self::Good)
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
    /// Several instances behind a load balancer, which then takes the place of the static IP.
    pub(super) fleet: Option<Fleet>,
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
            fleet: None,
        }
    }

    /// The one step of its recipe. All environments bake the same.
    fn step(&self) -> String {
        let kind = match self.build {
            Build::Good => "good",
            Build::FailsGate => "fails its gate",
            Build::FailsOutside => "fails outside",
        };
        format!("build {} # {kind}", self.recipe)
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
                self.step()
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

    /// The manifest, with its recipe and its configuration.
    pub(super) fn load(&self) -> Loaded {
        let mut loaded = self.read();
        if let Some(Provisioner::Shell(step)) = loaded.manifest.image.provision.first_mut() {
            step.inline = vec![self.step()];
        }
        if let Some(config) = &mut loaded.manifest.config {
            config.env.insert("VERSION".to_owned(), Template::literal(&self.config.to_string()));
        }
        let (image, base) = (&loaded.manifest.image, ImageId::from("debian"));
        let inputs = Inputs { image, provider: &loaded.provider, base: &base, base_dir: &loaded.base_dir };
        let (fingerprint, _) = compute(&inputs).unwrap();
        BUILDS.with_borrow_mut(|builds| builds.insert(fingerprint, (self.build, self.step())));
        loaded
    }

    /// Reads the rest of it. Few differ in that, and reading one costs as much as a command: each is read once by each thread.
    fn read(&self) -> Loaded {
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
             size = \"{size}\"\n[image]\nboot_check = {boot_check}\n[[image.provision]]\ntype = \"shell\"\ninline = [\"build\"]\n\
             [config]\npath = \"/etc/app.env\"\nenv = {{ VERSION = \"0\" }}\n\
             [health]\ninterval = \"2s\"\nstart_period = \"60s\"\n[health.check.tcp]\nport = 80\n"
        );
        match self.choice {
            _ if self.fleet.is_some() => {}
            Choice::Managed => {}
            Choice::Existing(ip) => {
                let _ = writeln!(text, "[address]\nstatic_ip = {{ existing = \"{ip}\" }}");
            }
            Choice::None => text.push_str("[address]\nstatic_ip = \"none\"\n"),
        }
        if let Some(fleet) = &self.fleet {
            text.push_str(&fleet.tables());
        }
        if let Some(record) = &self.record {
            let _ = writeln!(text, "[dns]\nzone = \"example.org\"\nname = \"{record}\"\nttl = \"{}s\"", self.ttl);
            if self.adopt {
                text.push_str("adopt = true\n");
            }
        }
        let _ = writeln!(text, "[deploy]\nobserve = \"10s\"\ndrain = \"5s\"\nkeep_images = {}", self.keep_images);
        if let Some(fleet) = &self.fleet {
            text.push_str(&fleet.deploy());
        } else if self.park {
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
