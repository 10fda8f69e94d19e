//! Which providers this build has.
//!
//! A provider crate submits one constant [`Registration`]; the command names the crate in code (`use remint_x as _;`),
//! because the linker silently drops a crate that is only named in `Cargo.toml`.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use futures::future::BoxFuture;

use super::{Descriptor, Error, ErrorKind, Provider, Region, Result, SizeName};

/// What a provider is built from.
#[derive(Debug, Clone, Default)]
pub struct BuildContext {
    /// The provider's own options: `[providers.ID.options]` of the manifest. Unknown keys are the provider's to refuse.
    pub options: toml::Table,
    /// The region of the provider's section in the manifest, where it has one: where to look for what stands, on clouds
    /// that keep their regions apart.
    pub region: Option<Region>,
    /// The size of the section's instances, where it has one: on some clouds the base image depends on it.
    pub size: Option<SizeName>,
    /// The folder of the manifest, for relative paths in the options.
    pub base_dir: PathBuf,
    /// The ports that the service answers on; the sandbox opens them, others ignore it.
    pub service_ports: Vec<u16>,
    /// Environment variables, so that tests need not touch the process's own.
    pub env: BTreeMap<String, String>,
    /// The command only looks: nothing is started for it.
    pub only_look: bool,
}

impl BuildContext {
    /// Refuses an option that says where credentials are sent, or which ones: a manifest may come from anybody, so that only
    /// the environment says it, by the variable.
    ///
    /// # Errors
    ///
    /// `InvalidInput` where the manifest has the option, whatever its value is.
    pub fn refuse_outside_only(&self, option: &str, variable: &str) -> Result<()> {
        if !self.options.contains_key(option) {
            return Ok(());
        }
        let message = format!("`{option}` cannot stand in a manifest: it decides where credentials are sent, or whose");
        Err(Error::new(ErrorKind::InvalidInput, "configure provider", message)
            .with_hint(format!("remove `{option}` from the provider's options, and set {variable} in the environment")))
    }
}

/// Builds a provider. Checks its options and finds credentials; makes no call that changes anything in the account.
pub type BuildFn = fn(BuildContext) -> BoxFuture<'static, Result<Arc<dyn Provider>>>;

/// The environment variables that a provider's client reads, beyond Remint's own.
#[derive(Debug, Clone, Copy, Default)]
pub struct Environment {
    /// What the names of the cloud's variables begin with, such as `AWS_`. A run on a sandbox of its own is given none of
    /// the user's, so that no setting leads the client to another cloud.
    pub prefixes: &'static [&'static str],
    /// The variables that hold credentials, or name files of them. The programs that a manifest names do not get them.
    pub credentials: &'static [&'static str],
    /// The one among them that holds a secret as it is, with which the conformance suite makes a stranger to the account; `None`
    /// where credentials are in files.
    pub secret: Option<&'static str>,
}

/// Where a provider can always create an instance: what commands use where nobody chose.
#[derive(Debug, Clone, Copy)]
pub struct Usual {
    /// A region that every account has.
    pub region: &'static str,
    /// A small size that exists there.
    pub size: &'static str,
    /// A base image that anybody may launch, and that fits the size.
    pub base: &'static str,
    /// Another region, to which images can be copied.
    pub second_region: &'static str,
}

/// A program that a provider uses where it is installed. `remint doctor` says whether it is.
#[derive(Debug, Clone, Copy)]
pub struct Program {
    /// The file name that is looked for in `PATH`.
    pub name: &'static str,
    /// What does not work without it, for `remint doctor`.
    pub purpose: &'static str,
    /// Debian's package that has it.
    pub package: &'static str,
}

/// A provider's entry in the registry: everything that the command knows about it before it is built.
#[derive(Debug)]
pub struct Registration {
    /// What is known about it.
    pub descriptor: &'static Descriptor,
    /// The JSON Schema of its options.
    pub options_schema: fn() -> schemars::Schema,
    /// Makes the provider from the manifest's options and the environment.
    pub build: BuildFn,
    /// The environment variables of its client.
    pub environment: Environment,
    /// Where it can always create an instance, as far as there is such a place.
    pub usual: Option<Usual>,
    /// The programs that it uses.
    pub programs: &'static [Program],
    /// Whether a command that changes something starts the cloud itself, so that one that is not there is no fault.
    pub starts_on_demand: bool,
}

impl Registration {
    /// A provider that reads no environment variables, has no usual place and uses no programs.
    pub const fn new(
        descriptor: &'static Descriptor,
        options_schema: fn() -> schemars::Schema,
        build: BuildFn,
    ) -> Self {
        Self {
            descriptor,
            options_schema,
            build,
            environment: Environment { prefixes: &[], credentials: &[], secret: None },
            usual: None,
            programs: &[],
            starts_on_demand: false,
        }
    }

    /// The same with its client's environment variables.
    #[must_use]
    pub const fn with_environment(self, environment: Environment) -> Self {
        Self { environment, ..self }
    }

    /// The same with a place where it can always create an instance.
    #[must_use]
    pub const fn with_usual(self, usual: Usual) -> Self {
        Self { usual: Some(usual), ..self }
    }

    /// The same with the programs that it uses.
    #[must_use]
    pub const fn with_programs(self, programs: &'static [Program]) -> Self {
        Self { programs, ..self }
    }

    /// The same for a cloud that commands start when they need it.
    #[must_use]
    pub const fn started_on_demand(self) -> Self {
        Self { starts_on_demand: true, ..self }
    }
}

inventory::collect!(Registration);

/// Looks at a base image and at the provider's options, as the manifest has them, without asking the cloud.
///
/// # Errors
///
/// `InvalidInput`, with a hint that names a base image that would do.
pub type BaseCheckFn = fn(base: &str, options: &toml::Table) -> Result<()>;

/// What a provider knows of base images on which Remint cannot work.
///
/// A provider crate that knows of such images submits one, next to its [`Registration`]. A base that it refuses is refused
/// when the manifest is read, before any call. Options that are not as they should be are for [`Registration::build`] to refuse.
#[derive(Debug)]
pub struct BaseCheck {
    /// The id of the provider whose base images it knows.
    pub provider: &'static str,
    /// Refuses a base image.
    pub check: BaseCheckFn,
}

inventory::collect!(BaseCheck);

/// An id that this build does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown provider `{id}`; this build has {}", compiled.join(", "))]
pub struct UnknownProvider {
    /// What the manifest or `--provider` says.
    pub id: String,
    /// The ids that this build has.
    pub compiled: Vec<&'static str>,
}

/// The providers of this build.
#[derive(Debug)]
pub struct Registry;

impl Registry {
    /// All of them, in the order of their ids.
    pub fn all() -> Vec<&'static Registration> {
        let mut all: Vec<_> = inventory::iter::<Registration>.into_iter().collect();
        all.sort_by_key(|registration| registration.descriptor.id);
        all
    }

    /// Refuses a base image on which Remint cannot work, as far as the provider can tell without asking its cloud.
    ///
    /// # Errors
    ///
    /// That of the provider's [`BaseCheck`].
    pub fn check_base(provider: &str, base: &str, options: &toml::Table) -> Result<()> {
        let of_provider = |check: &&BaseCheck| check.provider == provider;
        inventory::iter::<BaseCheck>.into_iter().filter(of_provider).try_for_each(|check| (check.check)(base, options))
    }

    /// The provider of an id.
    ///
    /// # Errors
    ///
    /// [`UnknownProvider`], which lists the ids of this build.
    pub fn find(id: &str) -> std::result::Result<&'static Registration, UnknownProvider> {
        let all = Self::all();
        all.iter().find(|registration| registration.descriptor.id == id).copied().ok_or_else(|| {
            let compiled: Vec<_> = all.iter().map(|registration| registration.descriptor.id).collect();
            UnknownProvider { id: id.to_owned(), compiled }
        })
    }
}
