//! Several providers in one command, and what the command tells of each.
#![expect(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

#[expect(dead_code, reason = "other test files use the rest")]
mod common;

use common::World;
use serde_json::Value;

/// The end of the bake on one of several providers.
fn end<'a>(result: &'a Value, provider: &str) -> &'a Value {
    let ended = result.as_array().unwrap().iter().find(|one| one["provider"] == provider);
    ended.unwrap_or_else(|| panic!("nothing of {provider} in {result:#}"))
}

#[tokio::test]
async fn several_providers_are_baked_on_side_by_side_and_one_that_fails_stops_no_other() {
    let (world, other) = (World::with_service().await, World::empty().await);
    let mut variables = other.variables("digitalocean").await;
    let args = ["--json", "bake", "--provider", "sandbox,digitalocean"];
    let baked = world.remint_with(&args, &variables).await.success();
    for provider in ["sandbox", "digitalocean"] {
        assert_eq!(end(&baked.result(), provider)["baked"]["reused"], false, "{}", baked.text());
        let ready = baked.events("image_ready");
        assert_eq!(ready.iter().filter(|event| event["provider"] == provider).count(), 1, "{}", baked.text());
    }
    for world in [&world, &other] {
        let standing = world.standing().await;
        let made = (standing.images.len(), standing.droplets.len(), standing.keys.len());
        assert_eq!(made, (1, 0, 0), "one image and nothing else: {standing:#?}");
    }

    // Given twice instead of with a comma; one is there already, the other's credentials are refused.
    let token = variables.iter_mut().find(|(name, _)| name == "DIGITALOCEAN_TOKEN").unwrap();
    token.1 = "dop_v1_0123456789012345678901234567890123456789012345678901234567890123".to_owned();
    let args = ["bake", "--provider", "digitalocean", "--provider", "sandbox", "--var", "version=v2"];
    let ended = world.remint_with(&args, &variables).await.code(4);
    let ended = ended.says("[digitalocean] error:").says("digitalocean: failed").says("sandbox: image hello-");
    assert_eq!(world.standing().await.images.len(), 2, "{}", ended.text());
    assert!(world.json(&["status"]).await["lock"].is_null(), "the lock was given back");
}

#[tokio::test]
async fn what_the_manifest_lacks_for_one_provider_is_told_before_anything_is_baked() {
    let world = World::with_service().await;
    let mutations = world.mutations().await;
    world.remint(&["bake", "--provider", "sandbox,aws"]).await.code(3).says("providers.aws");
    assert_eq!(world.mutations().await, mutations);
    world.remint(&["deploy", "--provider", "sandbox,digitalocean"]).await.code(2).says("only `remint bake`");
}

#[tokio::test]
async fn providers_and_doctor_tell_what_there_is() {
    let world = World::with_service().await;
    let providers = world.json(&["providers"]).await;
    let sandbox = providers.as_array().unwrap().iter().find(|one| one["id"] == "sandbox").unwrap();
    assert!(sandbox["capabilities"].as_array().unwrap().contains(&"static_ip.reassign".into()), "{sandbox:#}");
    assert_eq!(sandbox["user_data_bytes"], 65536, "{sandbox:#}");
    world.remint(&["providers"]).await.success().says("static_ip.reassign").says("64.0 KiB");

    // Credentials of a provider that hosts nothing may lack; those of the one that does may not.
    let ended = world.remint(&["doctor"]).await.success();
    ended.says("service hello").says("in nyc3").says("DIGITALOCEAN_TOKEN");
    world.remint(&["doctor", "--provider", "digitalocean"]).await.code(1);
    let variables = world.variables("digitalocean").await;
    let ended = world.remint_with(&["doctor", "--provider", "digitalocean"], &variables).await.success();
    ended.says(&format!("at {}", world.api_url)).says_not(&world.token);
}
