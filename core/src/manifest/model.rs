//! The types of `remint.toml`, after an environment was chosen and variables were filled in.

use std::{collections::BTreeMap, path::PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{HealthSection, HumanDuration, LoadBalancerSection, SecretSource, Share, Strategy, Template};
use crate::{
    provider::{ProviderId, Region, SizeName},
    tree::Selection,
};

/// The manifest of one service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The service's name: `a-z`, `0-9` and `-`, starting with a letter, at most 32 characters.
    pub service: String,
    /// The provider that hosts the service, unless `--provider` names another one.
    pub provider: ProviderId,
    /// Where and on what the service stands, for each provider that it may stand on.
    pub providers: BTreeMap<ProviderId, ProviderSection>,
    /// Variables: `${var.NAME}`; `--var NAME=VALUE` replaces the value.
    #[serde(default)]
    pub vars: BTreeMap<String, String>,
    /// Where `${secret.NAME}` comes from.
    #[serde(default)]
    pub secrets: BTreeMap<String, SecretSource>,
    /// How the image is baked.
    pub image: ImageSection,
    /// The instances.
    #[serde(default)]
    pub instance: InstanceSection,
    /// The service's configuration, written by cloud-init at first boot.
    #[serde(default)]
    pub config: Option<ConfigSection>,
    /// When an instance counts as healthy.
    pub health: HealthSection,
    /// The stable address.
    #[serde(default)]
    pub address: AddressSection,
    /// The load balancer in front of the instances. Its address takes the place of the static IP.
    #[serde(default)]
    pub load_balancer: Option<LoadBalancerSection>,
    /// The DNS record on the stable address.
    #[serde(default)]
    pub dns: Option<DnsSection>,
    /// How a new release takes over.
    #[serde(default)]
    pub deploy: DeploySection,
    /// Who may log in to instances.
    #[serde(default)]
    pub access: AccessSection,
    /// Where releases and the lock are kept.
    #[serde(default)]
    pub journal: JournalSection,
}

impl Manifest {
    /// Which static IP the environment uses. A load balancer has an address of its own, and takes its place.
    pub fn static_ip(&self) -> &StaticIpChoice {
        if self.load_balancer.is_some() { &StaticIpChoice::None } else { &self.address.static_ip }
    }
}

/// Where and on what the service stands with one provider.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProviderSection {
    /// The region of the instances and the static IP.
    pub region: Region,
    /// Further regions that a baked image is copied to.
    #[serde(default)]
    pub copy_to: Vec<Region>,
    /// The base image, in the provider's own words.
    pub base: String,
    /// The size of the instances.
    pub size: SizeName,
    /// The size of the builder; the size of the instances when not given.
    #[serde(default)]
    pub builder_size: Option<SizeName>,
    /// The provider's own options; `remint schema --provider ID` shows them.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    pub options: toml::Table,
}

/// How the image is baked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImageSection {
    /// What is done on the builder, in this order.
    #[serde(default)]
    pub provision: Vec<Provisioner>,
    /// Commands that must succeed on the builder before it is captured.
    #[serde(default)]
    pub verify: Vec<VerifyCommand>,
    /// How long the builder may take from launch to SSH.
    #[serde(default = "default_boot_timeout")]
    pub boot_timeout: HumanDuration,
    /// How long the capture may take.
    #[serde(default = "default_capture_timeout")]
    pub capture_timeout: HumanDuration,
    /// Boot a throw-away instance from the new image and run the health check on it.
    #[serde(default)]
    pub boot_check: bool,
    /// Where scripts lie on the builder while they run: an absolute path, on a file system that is not mounted `noexec`. Where the
    /// folder is not there, Remint makes it with mode 0700 and removes it afterwards.
    #[serde(default = "default_script_folder")]
    pub script_folder: String,
}

/// Where scripts lie on the builder. Hardened images mount `/tmp` with `noexec`, and a reboot empties it.
pub(crate) const SCRIPT_FOLDER: &str = "/var/lib/remint";

fn default_script_folder() -> String {
    SCRIPT_FOLDER.to_owned()
}

fn default_boot_timeout() -> HumanDuration {
    HumanDuration::seconds(600)
}

fn default_capture_timeout() -> HumanDuration {
    HumanDuration::seconds(3600)
}

/// One step of a recipe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Provisioner {
    /// Copies a file or a folder to the builder.
    File(FileProvisioner),
    /// Copies a script to the builder and runs it.
    Script(ScriptProvisioner),
    /// Runs lines of shell, all by one `sh -eu` or `bash -eu`: the first command that fails ends them, and so does a variable that is
    /// not set (`${NAME:-}` is one that may be).
    Shell(ShellProvisioner),
    /// Fetches a file by its URL, checks its digest, and copies it to the builder.
    Artifact(ArtifactProvisioner),
}

/// What every step that runs something has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RunOptions {
    /// Environment variables of the command.
    pub env: BTreeMap<String, String>,
    /// More of them, which hold `${secret.NAME}`. They are masked in all output, and the bake fails when the image would hold one.
    pub secret_env: BTreeMap<String, Template>,
    /// How long it may take.
    pub timeout: HumanDuration,
    /// How often it is repeated when it fails.
    pub retries: u32,
    /// The step reboots the machine; wait until it is back.
    pub expect_reboot: bool,
}

impl Provisioner {
    /// How it is run, where it runs something.
    pub fn run(&self) -> Option<&RunOptions> {
        match self {
            Self::Script(script) => Some(&script.run),
            Self::Shell(shell) => Some(&shell.run),
            Self::File(_) | Self::Artifact(_) => None,
        }
    }
}

impl Default for RunOptions {
    fn default() -> Self {
        Self {
            env: BTreeMap::new(),
            secret_env: BTreeMap::new(),
            timeout: HumanDuration::seconds(1800),
            retries: 0,
            expect_reboot: false,
        }
    }
}

/// Copies a file or a folder to the builder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FileProvisioner {
    /// A file or folder, relative to the manifest.
    pub source: PathBuf,
    /// An absolute path on the builder. A folder's contents are placed in the folder of this name. A file gets this name, or
    /// goes into the folder of this name where there is one, or where the path ends with `/`.
    pub destination: String,
    /// Permissions in octal, such as "0644"; those of the source when not given. In a folder it is for
    /// files; folders that are created can also be entered by everybody who may read.
    #[serde(default)]
    pub mode: Option<String>,
    /// `user` or `user:group` of what the step creates; root when not given.
    #[serde(default)]
    pub owner: Option<String>,
    /// What becomes of symbolic links in a folder: "keep" copies each link with its text, "follow" copies what it points to.
    /// When not given, links are kept, with a warning about each that points outside the folder or to nothing in it.
    #[serde(default)]
    pub links: Option<Links>,
    /// Patterns of what a folder leaves out, with the rules of a `.gitignore` in it: `".git"`, `"/build"`, `"!keep.txt"`.
    #[serde(default)]
    pub exclude: Vec<String>,
}

impl FileProvisioner {
    /// The files that are meant.
    pub fn tree(&self) -> Selection<'_> {
        Selection {
            source: &self.source,
            mode: self.mode.as_deref(),
            exclude: &self.exclude,
            follow: self.links == Some(Links::Follow),
        }
    }
}

/// What becomes of the symbolic links in a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Links {
    /// Each link is copied with its text.
    Keep,
    /// What each link points to is copied in its place.
    Follow,
}

/// Copies a script to the builder and runs it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ScriptProvisioner {
    /// The script, relative to the manifest. Its first line names its interpreter; without one `sh` runs it.
    pub path: PathBuf,
    /// Its arguments.
    #[serde(default)]
    pub args: Vec<String>,
    /// Environment, timeout, retries, reboot.
    #[serde(flatten)]
    pub run: RunOptions,
}

/// Runs lines of shell, all by one `sh -eu` or `bash -eu`: the first command that fails ends them, and so does a variable that is
/// not set (`${NAME:-}` is one that may be).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ShellProvisioner {
    /// The lines.
    pub inline: Vec<String>,
    /// What runs them: `"sh"`, which is dash on Debian and Ubuntu, or `"bash"`, for `[[`, arrays and `set -o pipefail`.
    #[serde(default)]
    pub shell: LineShell,
    /// Environment, timeout, retries, reboot.
    #[serde(flatten)]
    pub run: RunOptions,
}

/// What runs lines of shell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LineShell {
    /// `sh -eu`.
    #[default]
    Sh,
    /// `bash -eu`.
    Bash,
}

/// Fetches a file by its URL.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ArtifactProvisioner {
    /// `https://`, `http://`, or `file:` relative to the manifest.
    pub url: String,
    /// The SHA-256 of its content, in hexadecimal.
    pub sha256: String,
    /// An absolute path on the builder. The file gets this name, or goes into the folder of this name, under the last part of
    /// the URL, where there is one or where the path ends with `/`.
    pub destination: String,
    /// Permissions in octal; "0644" when not given.
    #[serde(default)]
    pub mode: Option<String>,
    /// `user` or `user:group` of what the step creates; root when not given.
    #[serde(default)]
    pub owner: Option<String>,
}

/// A command that must succeed on the builder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VerifyCommand {
    /// What it shows, for messages.
    #[serde(default)]
    pub name: Option<String>,
    /// A line of shell, run by `sh -eu`.
    pub command: String,
    /// How long it may take.
    #[serde(default = "default_verify_timeout")]
    pub timeout: HumanDuration,
}

fn default_verify_timeout() -> HumanDuration {
    HumanDuration::seconds(60)
}

/// The instances of a release.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct InstanceSection {
    /// How many. More than one needs a load balancer.
    pub count: u32,
    /// Further parts of the user data, after Remint's own.
    pub user_data: Vec<UserDataPart>,
    /// What becomes of a bake or a deploy when a module of cloud-init failed that Remint does not rely on.
    pub cloud_init: CloudInitRule,
}

impl Default for InstanceSection {
    fn default() -> Self {
        Self { count: 1, user_data: Vec::new(), cloud_init: CloudInitRule::Strict }
    }
}

/// What becomes of a first boot in which a module of cloud-init failed.
///
/// A failure of a module that Remint's own part of the user data needs always counts; the user's own are for this rule. It is
/// strict by default: a package that was not installed is otherwise found by users of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CloudInitRule {
    /// Any failed module fails the bake or the deploy.
    Strict,
    /// Only one that Remint relies on does (`ssh`, `users_groups`, `set_passwords`, `write_files`, `set_hostname`, and `runcmd` where
    /// `[config]` has an `owner` or `restart`); any other is a warning.
    Lenient,
}

/// A part of the user data: a file next to the manifest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UserDataPart {
    /// The file, relative to the manifest. Its first line tells its kind: `#cloud-config`, `#!`, `#cloud-boothook`, …
    pub path: PathBuf,
    /// Fill in `${…}` in it.
    #[serde(default)]
    pub interpolate: bool,
}

/// The service's configuration: an environment file, read by the service's systemd unit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfigSection {
    /// Where it is written, such as `/etc/app/app.env`.
    pub path: String,
    /// Its variables.
    #[serde(default)]
    pub env: BTreeMap<String, Template>,
    /// `user`, whose own group the file gets, or `user:group`. The image or a part of the user data has to have the user.
    #[serde(default = "default_owner")]
    pub owner: String,
    /// Permissions in octal.
    #[serde(default = "default_config_mode")]
    pub mode: String,
    /// systemd units that are restarted once the file is written.
    #[serde(default)]
    pub restart: Vec<String>,
}

fn default_owner() -> String {
    "root:root".to_owned()
}

fn default_config_mode() -> String {
    "0600".to_owned()
}

/// The stable address.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AddressSection {
    /// Which static IP.
    pub static_ip: StaticIpChoice,
}

/// Which static IP an environment uses.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StaticIpChoice {
    /// Remint makes one at the first deploy, keeps it, and gives it back on `remint destroy`.
    #[default]
    Managed,
    /// No stable address: clients find the instance by other means. There is a gap at every deploy.
    None,
    /// An existing one, by its address. Remint never gives it back.
    Existing(std::net::IpAddr),
}

/// The DNS record on the stable address.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DnsSection {
    /// The provider that serves the zone; the service's own when not given.
    #[serde(default)]
    pub provider: Option<ProviderId>,
    /// The zone, such as `example.com`.
    pub zone: String,
    /// The name below the zone, or `@` for the zone itself.
    ///
    /// `app` for `app.example.com`: letters, digits and `-`, with dots between parts; an international name in its ASCII form
    /// (`xn--…`).
    pub name: String,
    /// How long resolvers may keep it.
    #[serde(default = "default_ttl")]
    pub ttl: HumanDuration,
    /// Take over a record of that name that Remint did not make.
    #[serde(default)]
    pub adopt: bool,
}

fn default_ttl() -> HumanDuration {
    HumanDuration::seconds(60)
}

/// How a new release takes over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DeploySection {
    /// A line of shell that runs once on a new instance before the address moves, such as a database migration.
    pub before_switch: Option<String>,
    /// How long the service is watched through the stable address before the old instances are retired.
    pub observe: HumanDuration,
    /// How long an old instance keeps running after the address has moved, so that open connections end.
    pub drain: HumanDuration,
    /// What becomes of the old instances.
    pub retire: Retire,
    /// How long the whole gate may take, from launch.
    pub timeout: HumanDuration,
    /// In which steps new instances take over from old ones behind a load balancer.
    pub strategy: Strategy,
    /// With `"rolling"` and `"canary"`: how many instances are replaced at a time: a number, or per cent of `instance.count`, rounded up.
    pub batch: Share,
    /// How many instances there may be above `instance.count` meanwhile. When not given, as many as `batch`, or `canary` if that is more.
    pub max_surge: Option<Share>,
    /// How many instances in service there may be below `instance.count` meanwhile. Per cent are rounded down.
    pub max_unavailable: Share,
    /// With `"canary"`: how many new instances are watched first.
    pub canary: u32,
    /// How many images are kept for rollback: those that served last, without counting one twice. `remint images prune` deletes the
    /// others.
    pub keep_images: u32,
}

impl Default for DeploySection {
    fn default() -> Self {
        Self {
            before_switch: None,
            observe: HumanDuration::seconds(10),
            drain: HumanDuration::seconds(5),
            retire: Retire::Destroy,
            timeout: HumanDuration::seconds(900),
            strategy: Strategy::All,
            batch: Share::Number(1),
            max_surge: None,
            max_unavailable: Share::Number(0),
            canary: 1,
            keep_images: 5,
        }
    }
}

/// What becomes of old instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Retire {
    /// They are destroyed; rollback launches from their image.
    Destroy,
    /// Those of the last release are kept running, so that rollback only moves the address. They cost money meanwhile.
    Park,
}

/// Who may log in to instances.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AccessSection {
    /// Public keys in OpenSSH's one-line form that may log in as root. None: nobody can.
    pub ssh_keys: Vec<String>,
}

/// Where releases and the lock are kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct JournalSection {
    /// `file:` and a folder, relative to the manifest; `s3://BUCKET/PREFIX`, also for other servers with the S3 API;
    /// `gs://BUCKET/PREFIX`. One that a team shares where several people deploy.
    pub url: String,
    /// For `s3://`: the server, where it is not Amazon's: `https://fra1.digitaloceanspaces.com`. Without it,
    /// `AWS_ENDPOINT_URL_S3` and `AWS_ENDPOINT_URL` count.
    pub endpoint: Option<String>,
    /// For `s3://`: the bucket's region. Without it, `AWS_REGION` and the profile's region count, then `us-east-1`.
    pub region: Option<String>,
    /// For `s3://`: whether the bucket is in the path of requests (`https://HOST/BUCKET`), which all known servers take, or
    /// in the name of the host (`https://BUCKET.HOST`). `true` when not given.
    pub path_style: Option<bool>,
}

impl Default for JournalSection {
    fn default() -> Self {
        Self { url: "file:.remint".to_owned(), endpoint: None, region: None, path_style: None }
    }
}
