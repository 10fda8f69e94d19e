use super::*;

#[path = "load_files_tests.rs"]
mod files;
#[path = "load_whole_tests.rs"]
mod whole;

const BASE: &str = r#"service = "app"
provider = "sandbox"

[providers.sandbox]
region = "local1"
base = "debian-12-x64"
size = "s-1vcpu-1gb"

[image]

[health]
check = { http = { port = 8080, path = "/health" } }
"#;

/// Loads a text from a folder of its own; paths in messages are shortened.
fn load_text(text: &str, options: &LoadOptions) -> Result<Loaded, String> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("seed.yaml"), "#cloud-config\n# ${var.who} ${secret.pw}\n# ${var.whom}\n").unwrap();
    let path = dir.path().join("remint.toml");
    std::fs::write(&path, text).unwrap();
    load(&path, options).map_err(|error| error.to_string().replace(&format!("{}/", dir.path().display()), ""))
}

fn error(text: &str) -> String {
    load_text(text, &LoadOptions::default()).unwrap_err()
}

fn with(text: &str) -> String {
    format!("{BASE}{text}")
}

#[test]
fn a_small_manifest_loads() {
    let loaded = load_text(BASE, &LoadOptions::default()).unwrap();
    assert_eq!(loaded.environment.as_str(), "default");
    assert_eq!(loaded.provider.as_str(), "sandbox");
    assert_eq!(loaded.section.size.as_str(), "s-1vcpu-1gb");
    assert_eq!(loaded.manifest.deploy.keep_images, 5);
}

#[test]
fn unknown_keys_and_wrong_types_are_told_at_once() {
    let text = r#"
[[image.provision]]
type = "shell"
inline = ["true"]
retrys = 3

[[image.provision]]
type = "scirpt"

[instance]
count = "1"

[deploy]
observe = "soon"
retire = "parc"

[dns]
zone = "example.com"
"#;
    insta::assert_snapshot!(error(&with(text)), @r#"
    error: unknown key `retrys`
      --> remint.toml:17:1
       |
    17 | retrys = 3
       | ^^^^^^ in `image.provision[0]`
       |
       = help: did you mean `retries`?

    error: `scirpt` is not a type of step
      --> remint.toml:20:8
       |
    20 | type = "scirpt"
       |        ^^^^^^^^ in `image.provision[1]`
       |
       = help: did you mean `script`?

    error: expected an integer, found a string
      --> remint.toml:23:9
       |
    23 | count = "1"
       |         ^^^ in `instance.count`
       |
       = help: write `1` without quotes

    error: `soon` is not a duration; write it like "250ms", "90s", "5m" or "1h 30m"
      --> remint.toml:26:11
       |
    26 | observe = "soon"
       |           ^^^^^^ in `deploy.observe`

    error: `parc` is not a choice
      --> remint.toml:27:10
       |
    27 | retire = "parc"
       |          ^^^^^^ in `deploy.retire`
       |
       = help: did you mean `park`?

    error: missing key `name`
      --> remint.toml:29:2
       |
    29 | [dns]
       |  ^^^ in `dns`
       |
       = help: `name`: The name below the zone, or `@` for the zone itself.
    "#);
}

#[test]
fn every_error_of_the_syntax_is_told() {
    insta::assert_snapshot!(error("service = \nprovider = sandbox\n[image\nx = 'a'\n"), @r#"
    error: this is not TOML: string values must be quoted, expected literal string
     --> remint.toml:1:11
      |
    1 | service = 
      |           ^

    error: this is not TOML: string values must be quoted, expected literal string
     --> remint.toml:2:12
      |
    2 | provider = sandbox
      |            ^^^^^^^

    error: this is not TOML: unclosed table, expected `]`
     --> remint.toml:3:7
      |
    3 | [image
      |       ^
    "#);
}

#[test]
fn rules_about_values() {
    let text = r#"
[[image.provision]]
type = "file"
source = "missing"
destination = "opt/app"
mode = "rw"

[instance]
count = 3

[access]
ssh_keys = ["ssh-ed25519 nonsense"]
"#;
    let text = with(text).replace("\"app\"", "\"App\"").replace("8080", "0");
    let error = error(&text);
    let dir = regex_free_folder(&error);
    insta::assert_snapshot!(error.replace(&dir, "DIR"), @r#"
    error: `App` cannot be the name of a service
     --> remint.toml:1:11
      |
    1 | service = "App"
      |           ^^^^^ in `service`
      |
      = help: use `a-z`, `0-9` and `-`, start with a letter, end without `-`, at most 32 characters

    error: port 0 cannot be asked
      --> remint.toml:12:27
       |
    12 | check = { http = { port = 0, path = "/health" } }
       |                           ^ in `health.check.http.port`
       |
       = help: name the port that the service listens on

    error: cannot read `missing`: No such file or directory (os error 2)
      --> remint.toml:16:10
       |
    16 | source = "missing"
       |          ^^^^^^^^^ in `image.provision[0].source`
       |
       = help: paths start at the folder of the manifest: DIR

    error: `opt/app` is not an absolute path
      --> remint.toml:17:15
       |
    17 | destination = "opt/app"
       |               ^^^^^^^^^ in `image.provision[0].destination`
       |
       = help: it must start with `/`, without `..`

    error: `rw` is not a mode
      --> remint.toml:18:8
       |
    18 | mode = "rw"
       |        ^^^^ in `image.provision[0].mode`
       |
       = help: write it in octal, such as "0644"

    error: 3 instances need a load balancer
      --> remint.toml:21:9
       |
    21 | count = 3
       |         ^ in `instance.count`
       |
       = help: add `[load_balancer]`, or set `count = 1`

    error: this is not a public key in OpenSSH's form
      --> remint.toml:24:13
       |
    24 | ssh_keys = ["ssh-ed25519 nonsense"]
       |             ^^^^^^^^^^^^^^^^^^^^^^ in `access.ssh_keys[0]`
       |
       = help: write the line of the `.pub` file: `ssh-ed25519 AAAA… name`
    "#);
}

/// The folder that the help about paths names.
fn regex_free_folder(error: &str) -> String {
    let start = "the folder of the manifest: ";
    error.split(start).nth(1).and_then(|rest| rest.lines().next()).unwrap_or("DIR").to_owned()
}

#[test]
fn toml_errors_point_at_the_place() {
    insta::assert_snapshot!(error("service = \"app\"\nprovider = sandbox\n"), @r#"
    error: this is not TOML: string values must be quoted, expected literal string
     --> remint.toml:2:12
      |
    2 | provider = sandbox
      |            ^^^^^^^
    "#);
}

#[test]
fn circles_of_variables_are_shown() {
    let text = "[vars]\na = \"${var.b}\"\nb = \"x-${var.c}\"\nc = \"${var.a}\"\nd = \"${var.a}\"\n";
    insta::assert_snapshot!(error(&with(text)), @r#"
    error: variables refer to each other in a circle: a → b → c → a
      --> remint.toml:14:5
       |
    14 | a = "${var.b}"
       |     ^^^^^^^^^^ in `vars.a`
    "#);
}

#[test]
fn references_that_lead_nowhere() {
    let text = r#"
[vars]
version = "v1"

[secrets]
password = { env = "PW" }

[[image.provision]]
type = "shell"
inline = ["echo ${var.versoin} ${HOME}", "x ${env.NOT_SET}", "y ${secret.password}", "z ${vars.x}", "${git.tag}"]

[config]
path = "/etc/app.env"
env = { A = "${secret.pasword}", B = "${release.name}" }
"#;
    insta::assert_snapshot!(error(&with(text)), @r#"
    error: there is no variable `versoin`
      --> remint.toml:22:17
       |
    22 | inline = ["echo ${var.versoin} ${HOME}", "x ${env.NOT_SET}", "y ${secret.password}", "z ${vars.x}", "${git.tag}"]
       |                 ^^^^^^^^^^^^^^ in `image.provision[0].inline[0]`
       |
       = help: did you mean `version`?

    error: the environment variable `NOT_SET` is not set
      --> remint.toml:22:45
       |
    22 | inline = ["echo ${var.versoin} ${HOME}", "x ${env.NOT_SET}", "y ${secret.password}", "z ${vars.x}", "${git.tag}"]
       |                                             ^^^^^^^^^^^^^^ in `image.provision[0].inline[1]`
       |
       = help: set it, or give a default: `${env.NOT_SET:-default}`

    error: `${secret.password}` cannot stand here
      --> remint.toml:22:65
       |
    22 | inline = ["echo ${var.versoin} ${HOME}", "x ${env.NOT_SET}", "y ${secret.password}", "z ${vars.x}", "${git.tag}"]
       |                                                                 ^^^^^^^^^^^^^^^^^^ in `image.provision[0].inline[2]`
       |
       = help: a secret can stand in `secret_env` of a step, in `[config.env]`, in headers of the health check, and in user data files with `interpolate = true`

    error: `vars` is not a kind of reference; there are `var`, `env`, `git`, `secret`, `release`, `address`, `dns`
      --> remint.toml:22:89
       |
    22 | inline = ["echo ${var.versoin} ${HOME}", "x ${env.NOT_SET}", "y ${secret.password}", "z ${vars.x}", "${git.tag}"]
       |                                                                                         ^^^^^^^^^ in `image.provision[0].inline[3]`
       |
       = help: did you mean `var`? `$${` stands for a literal `${`

    error: there is no `${git.tag}`
      --> remint.toml:22:102
       |
    22 | inline = ["echo ${var.versoin} ${HOME}", "x ${env.NOT_SET}", "y ${secret.password}", "z ${vars.x}", "${git.tag}"]
       |                                                                                                      ^^^^^^^^^^ in `image.provision[0].inline[4]`
       |
       = help: names here: `sha`, `short`, `branch`, `dirty`

    error: there is no secret `pasword`
      --> remint.toml:26:14
       |
    26 | env = { A = "${secret.pasword}", B = "${release.name}" }
       |              ^^^^^^^^^^^^^^^^^ in `config.env.A`
       |
       = help: did you mean `password`?

    error: there is no `${release.name}`
      --> remint.toml:26:39
       |
    26 | env = { A = "${secret.pasword}", B = "${release.name}" }
       |                                       ^^^^^^^^^^^^^^^ in `config.env.B`
       |
       = help: names here: `id`, `service`, `env`
    "#);
}

#[test]
fn variables_are_filled_in_once() {
    let text = r#"
[vars]
version = "v1"
name = "app-${var.version}"

[secrets]
pw = { env = "PW" }

[[image.provision]]
type = "shell"
inline = ["echo ${var.name} ${HOME} $${var.x} ${env.WHO:-nobody} ${env.SET:-x}"]

[config]
path = "/etc/app.env"
env = { A = "${var.name}:${secret.pw}:${env.TRICK}", B = "$${secret.pw}" }
"#;
    let mut options = LoadOptions::default();
    options.vars.insert("version".into(), "v2".into());
    options.process_env.insert("SET".into(), "yes".into());
    options.process_env.insert("TRICK".into(), "${secret.pw}".into());
    let loaded = load_text(&with(text), &options).unwrap();
    let super::super::Provisioner::Shell(shell) = &loaded.manifest.image.provision[0] else { panic!() };
    assert_eq!(shell.inline, ["echo app-v2 ${HOME} ${var.x} nobody yes"]);
    let env = &loaded.manifest.config.unwrap().env;
    assert_eq!(env["A"].as_str(), "app-v2:${secret.pw}:$${secret.pw}");
    assert_eq!(env["A"].secrets().collect::<Vec<_>>(), ["pw"]);
    assert_eq!(env["B"].secrets().count(), 0);

    options.vars.insert("vresion".into(), "v2".into());
    let error = load_text(&with(text), &options).unwrap_err();
    assert!(error.contains("there is no variable `vresion`") && error.contains("did you mean `version`?"), "{error}");
}

const ENVIRONMENTS: &str = r#"
[secrets]
pw = { env = "PW" }

[environments.staging]
secrets.pw.file = "pw.txt"
vars.who = "staging"

[environments.production]
health.check = { tcp = { port = 5432 } }
providers.sandbox.size = "s-4vcpu-8gb"

[vars]
who = "nobody"
"#;

#[test]
fn environments_are_laid_over_the_top_level() {
    let load_env =
        |env: &str| load_text(&with(ENVIRONMENTS), &LoadOptions { env: Some(env.into()), ..LoadOptions::default() });
    let production = load_env("production").unwrap();
    assert_eq!(production.section.size.as_str(), "s-4vcpu-8gb");
    assert_eq!(production.section.region.as_str(), "local1");
    assert!(matches!(&production.manifest.health.check, super::super::HealthCheck::Tcp(tcp) if tcp.port == 5432));
    assert_eq!(production.manifest.vars["who"], "nobody");
    let staging = load_env("staging").unwrap();
    assert_eq!(staging.manifest.secrets["pw"], super::super::SecretSource::File("pw.txt".into()));
    assert_eq!(staging.manifest.vars["who"], "staging");
    assert_eq!(staging.environment.as_str(), "staging");
    assert_eq!(staging.environments, ["production", "staging"]);
    // The journal may know it; whoever opens that decides.
    let unknown = load_env("stagin").unwrap();
    let refusal = unknown.undeclared.unwrap().to_string();
    assert!(refusal.contains("did you mean `staging`?"), "{refusal}");
    assert_eq!((unknown.environment.as_str(), unknown.manifest.vars["who"].as_str()), ("stagin", "nobody"));
    assert!(load_env("No Name").unwrap_err().contains("there is no environment `No Name`"));
}

#[test]
fn an_environment_must_be_chosen_and_every_one_is_checked() {
    insta::assert_snapshot!(error(&with(ENVIRONMENTS)), @r#"
    error: the manifest has several environments: `production`, `staging`
      --> remint.toml:17:2
       |
    17 | [environments.staging]
       |  ^^^^^^^^^^^^ in `environments`
       |
       = help: choose one with `-e NAME`
    "#);
    let wrong = with(ENVIRONMENTS).replace("size = \"s-4", "sise = \"s-4");
    let options = LoadOptions { env: Some("staging".into()), ..LoadOptions::default() };
    insta::assert_snapshot!(load_text(&wrong, &options).unwrap_err(), @r#"
    error: unknown key `sise`
      --> remint.toml:23:19
       |
    23 | providers.sandbox.sise = "s-4vcpu-8gb"
       |                   ^^^^ in `environments.production.providers.sandbox`
       |
       = help: did you mean `size`?
    "#);
}

#[test]
fn a_journal_that_cannot_be_there_is_reported_at_its_key() {
    let journal = |text: &str| error(&with(&format!("[journal]\n{text}\n")));
    insta::assert_snapshot!(journal("url = \"s3:team/web\""), @r#"
    error: cannot keep the journal at `s3:team/web`: two slashes are missing after the colon
      --> remint.toml:14:7
       |
    14 | url = "s3:team/web"
       |       ^^^^^^^^^^^^^ in `journal.url`
       |
       = help: write `file:FOLDER`, `s3://BUCKET/PREFIX` or `gs://BUCKET/PREFIX`
    "#);
    insta::assert_snapshot!(journal("url = \"s3://team/web\"\nendpoint = \"http://minio.example.org\""), @r#"
    error: `http://minio.example.org` cannot be the endpoint: the journal would travel unencrypted
      --> remint.toml:15:12
       |
    15 | endpoint = "http://minio.example.org"
       |            ^^^^^^^^^^^^^^^^^^^^^^^^^^ in `journal.endpoint`
       |
       = help: write `https://`
    "#);
    insta::assert_snapshot!(journal("url = \"gs://team/web\"\nregion = \"europe-west1\""), @r#"
    error: `region` is for a journal at `s3://`
      --> remint.toml:15:10
       |
    15 | region = "europe-west1"
       |          ^^^^^^^^^^^^^^ in `journal.region`
       |
       = help: remove it, or change `url`
    "#);
    insta::assert_snapshot!(journal("url = \"s3://team/web\"\nendpoints = \"https://example.org\""), @r#"
    error: unknown key `endpoints`
      --> remint.toml:15:1
       |
    15 | endpoints = "https://example.org"
       | ^^^^^^^^^ in `journal`
       |
       = help: did you mean `endpoint`?
    "#);
}

#[test]
fn git_is_asked_where_it_is_used() {
    let text = with("[vars]\nsha = \"${git.sha}\"\n");
    assert!(error(&text).contains("`${git.sha}` has no value: "), "{}", error(&text));
}

#[test]
fn a_provider_needs_its_section() {
    let options = LoadOptions { provider: Some("aws".into()), ..LoadOptions::default() };
    let error = load_text(BASE, &options).unwrap_err();
    assert!(error.contains("there is no `[providers.aws]`") && error.contains("`sandbox`"), "{error}");
}

#[test]
fn a_missing_manifest_is_told_without_a_line() {
    let error = load(Path::new("/nonexistent/remint.toml"), &LoadOptions::default()).unwrap_err();
    insta::assert_snapshot!(error, @r#"
    error: cannot read the manifest: No such file or directory (os error 2)
    --> /nonexistent/remint.toml
     = help: `remint init` writes one, `-C DIR` looks in another folder
    "#);
}

#[test]
fn late_values_that_the_environment_does_not_have_are_refused() {
    let text = with("[address]\nstatic_ip = \"none\"\n[config]\npath = \"/etc/app.env\"\n")
        + "env = { URL = \"https://${dns.fqdn}\", IP = \"${address.static_ip}\" }\n";
    let error = error(&text);
    assert!(error.contains("`${dns.fqdn}` has no value here"), "{error}");
    assert!(error.contains("`${address.static_ip}` has no value here"), "{error}");
}

#[test]
fn a_name_that_repeats_its_zone_is_shown_where_it_stands() {
    let error = error(&with("\n[dns]\nzone = \"example.test\"\nname = \"hello.example.test\"\n"));
    assert!(error.contains("the record would be `hello.example.test.example.test`"), "{error}");
    assert!(error.contains("remint.toml:16:8") && error.contains("write `hello`"), "{error}");
}

inventory::submit! {
    crate::provider::BaseCheck { provider: "picky", check: |base, options| {
        if base != "bare" || options.contains_key("taken") {
            return Ok(());
        }
        let error = crate::provider::Error::new(crate::provider::ErrorKind::InvalidInput, "test", "`bare` is bare");
        Err(error.with_hint("use `dressed`"))
    } }
}

#[test]
fn a_base_that_its_provider_refuses_is_told_at_its_place() {
    let picky = "\n[providers.picky]\nregion = \"local1\"\nsize = \"small\"\nbase = \"bare\"\n";
    insta::assert_snapshot!(error(&with(picky)), @r#"
    error: `bare` is bare
      --> remint.toml:17:8
       |
    17 | base = "bare"
       |        ^^^^^^ in `providers.picky.base`
       |
       = help: use `dressed`
    "#);
    let option = format!("{picky}[providers.picky.options]\ntaken = true\n");
    load_text(&with(&option), &LoadOptions::default()).unwrap();
    load_text(&with(&picky.replace("bare", "dressed")), &LoadOptions::default()).unwrap();
    // What bakes nothing needs no base.
    load_text(&with(picky), &LoadOptions { without_recipe: true, ..LoadOptions::default() }).unwrap();
}

#[test]
fn a_step_is_given_secrets_and_nothing_else_in_secret_env() {
    let step = |lines: &str| {
        with(&format!(
            "[secrets]\ntoken = {{ env = \"TOKEN\" }}\n[[image.provision]]\ntype = \"shell\"\ninline = [\"true\"]\n{lines}\n"
        ))
    };
    let loaded = load_text(&step("secret_env = { A = \"Bearer ${secret.token}\" }"), &LoadOptions::default()).unwrap();
    let run = loaded.manifest.image.provision[0].run().unwrap();
    assert_eq!(run.secret_env["A"].as_str(), "Bearer ${secret.token}");
    for (lines, says) in [
        ("secret_env = { A = \"${secret.tokne}\" }", "there is no secret `tokne`"),
        ("secret_env = { A = \"${secret.token} ${release.id}\" }", "`${release.id}` cannot stand here"),
        ("secret_env = { A = \"plain\" }", "there is no `${secret.NAME}` in it"),
        ("secret_env = { \"a-b\" = \"${secret.token}\" }", "`a-b` cannot be the name of an environment variable"),
        ("env = { A = \"x\" }\nsecret_env = { A = \"${secret.token}\" }", "`A` is in `env`, too"),
        ("env = { A = \"${secret.token}\" }", "a secret can stand in `secret_env` of a step"),
    ] {
        let text = error(&step(lines));
        assert!(text.contains(says), "{lines}: {text}");
    }
}

#[test]
fn statuses_that_are_none_are_told_at_their_place() {
    let text = |expect: &str| BASE.replace("path = \"/health\"", &format!("path = \"/health\", expect = {expect}"));
    for good in ["200", "\"200-299\"", "\"2xx\"", "[200, \"300-399\"]"] {
        load_text(&text(good), &LoadOptions::default()).unwrap();
    }
    for (bad, message) in [
        ("\"ok\"", "`ok` is not an HTTP status or a range of them"),
        ("\"299-200\"", "the range `299-200` is empty"),
        ("[200, \"6xx\"]", "in `health.check.http.expect[1]`"),
        ("20", "`20` is out of range: it must be between 100 and 599"),
        ("[]", "no status is expected"),
        ("true", "expected an integer or a string or an array, found a boolean"),
    ] {
        let told = error(&text(bad));
        assert!(told.contains(message) && told.contains("remint.toml:12:"), "{bad}: {told}");
    }
}
