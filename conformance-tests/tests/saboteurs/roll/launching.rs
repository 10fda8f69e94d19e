//! Faults in `Instances::launch` and `Instances::shape`.

use remint_conformance::LostReply;
use remint_core::fake::Transaction;
use remint_core::provider::{
    Effect, Error, ErrorKind, Instance, Instances, LaunchSpec, Provider, Region, Result, Selector, Shape, SizeName,
};
use secrecy::{ExposeSecret, SecretString};

use crate::{
    cloud::{ELSEWHERE, FULL, LIMITS, refusal},
    sabotage::{On, Saboteur, saboteurs},
};

pub(super) const SABOTEURS: &[Saboteur] = saboteurs! {
    on &FULL;
    "launch.ignores_name", "`Instances::launch`: an instance of each name exists",
        Launch(spec) => ignores_name, ["instances.launch"];
    "launch.ignores_region", "`LaunchSpec::region`: where",
        Launch(spec) => ignores_region, ["instances.launch", "refusals.unknown_region"];
    "launch.ignores_size", "`LaunchSpec::size`: the size",
        Launch(spec) => ignores_size, ["instances.launch"];
    "launch.ignores_image", "`LaunchSpec::image`: the image to launch from",
        Launch(spec) => ignores_image, ["images.launch"];
    "launch.default_image", "`Instances::launch`: `InvalidInput` for a bad image",
        Launch(spec) => default_image, ["refusals.unknown_image", "deletion.image_launch"];
    "launch.other_order", "`Instances::launch`: returned in the order of the names",
        Launch(spec) => other_order, ["instances.launch_batch"];
    "launch.new_ones_only", "`Instances::launch`: each exists and is returned",
        Launch(spec) => new_ones_only, ["idempotency.launch", "instances.launch_batch", "idempotency.batch"];
    "launch.always_new", "`Instances::launch`: ten calls make one instance",
        Launch(spec) => always_new, ["idempotency.launch", "idempotency.launch_running"];
    "launch.always_mutates", "`Instances::launch`: launching those that are missing",
        Launch(spec) => always_mutates, ["idempotency.launch_running"];
    "launch.repeats_blindly", "`Instances::launch`: a call after a lost reply makes one instance",
        Launch(spec) => repeats_blindly, ["lost_replies.launch", "lost_replies.batch"];
    "launch.denies_effect", "`Effect::Unknown`: nobody knows, look before repeating",
        Launch(spec) => denies_effect, ["lost_replies.launch"];
    "launch.from_memory", "`Instances::launch`: each exists afterwards",
        Launch(spec) => from_memory, ["instances.name_again", "consistency.destroyed_elsewhere"];
    "launch.takes_over", "`Instances::launch`: `Conflict` when an instance of that name carries other labels",
        Launch(spec) => takes_over, ["refusals.name_taken"];
    "launch.cuts_user_data", "`Instances::launch`: `InvalidInput` for user data over the limit",
        Launch(spec) => cuts_user_data, ["user_data.limit_exceeded"];
    "launch.checks_afterwards", "`Instances::launch`: refused before anything is changed",
        Launch(spec) => checks_afterwards, ["user_data.limit_exceeded"];
    "launch.as_many_as_fit", "`LaunchSpec::names`: at most `launch_batch` of them",
        Launch(spec) => as_many_as_fit, ["limits.batch_too_large"];
    "launch.looks_first", "`Provider`: all methods may be called concurrently",
        Launch(spec) => looks_first, ["concurrency.launch", "concurrency.launch_overlap"];
    "launch.own_memory", "`Instances::launch`: idempotent by name and labels",
        Launch(spec) => own_memory, ["consistency.launch_elsewhere", "journeys.resumed"];
    "launch.gives_up", "`ErrorKind::RateLimited`: waiting and asking again can help",
        Launch(spec) => gives_up, ["outages.rate_launch"];
    "launch.hopes", "`Instances::launch`: each exists afterwards",
        Launch(spec) => hopes, ["outages.lasting_launch"];
    "launch.mends_names", "`LaunchSpec::names`: each of `a-z`, `0-9`, `-`",
        Launch(spec) => mends_names, ["limits.name_characters"];
    "launch.cuts_names", "`Limits::name_length`: the longest instance name",
        Launch(spec) => cuts_names, ["limits.name_too_long"];
    "launch.good_names_only", "`Instances::launch`: refused before anything is changed",
        Launch(spec) => good_names_only, ["limits.one_bad_name"];
    "launch.merges_names", "`Instances::launch`: one for each name",
        Launch(spec) => merges_names, ["limits.names_twice"];
    "launch.counts_characters", "`LaunchSpec::user_data`: at most so many bytes long",
        Launch(spec) => counts_characters, ["user_data.limit_counts_bytes"];
    "launch.tells_user_data", "`LaunchSpec::user_data`: secret, it may carry keys",
        Launch(spec) => tells_user_data, ["user_data.not_told"];
    "launch.identified_by_user_data", "`Instances::launch`: idempotent by name and labels",
        Launch(spec) => identified_by_user_data, ["user_data.not_identity"];
    "launch.takes_any_names", "`LaunchSpec::names`: at least one, and none of them empty",
        Launch(spec) => takes_any_names, ["limits.name_empty", "limits.names_none"];
    "launch.refuses_longest_name", "`Limits::name_length`: the longest instance name",
        Launch(spec) => refuses_longest_name, ["limits.name_longest"];
    "launch.refuses_full_batch", "`LaunchSpec::names`: at most `launch_batch` of them",
        Launch(spec) => refuses_full_batch, ["limits.batch_full"];
    "launch.refuses_full_user_data", "`Limits::user_data_bytes`: the longest user data",
        Launch(spec) => refuses_full_user_data, ["user_data.limit_met"];
    "launch.needs_user_data", "`LaunchSpec::user_data`: cloud-init's user data, or none",
        Launch(spec) => needs_user_data, ["user_data.none"];
    "launch.originals_only", "`Image::regions`: where it can be launched",
        Launch(spec) => originals_only, ["images.copy_launch"];
    "launch.drops_login_keys", "`LaunchSpec::login_keys`: registered login keys",
        Launch(spec) => drops_login_keys, ["login_keys.unknown"];
    "shape.any_size", "`Instances::shape`: `InvalidInput` for an unknown size",
        Shape(size, region) => any_size, ["instances.shape", "refusals.shape_hints", "instances.size_alike"];
    "shape.empty", "`Instances::shape`: looks up a size",
        Shape(size, region) => empty_shape, ["instances.shape"];
};

async fn ignores_name(on: On, mut spec: LaunchSpec) -> Result<Vec<Instance>> {
    for name in &mut spec.names {
        *name = format!("server-{name}");
    }
    on.model.launch(&spec).await
}

async fn ignores_region(on: On, spec: LaunchSpec) -> Result<Vec<Instance>> {
    on.model.launch(&LaunchSpec { region: ELSEWHERE.into(), ..spec }).await
}

async fn ignores_size(on: On, mut spec: LaunchSpec) -> Result<Vec<Instance>> {
    if spec.size.as_str() == "small" {
        spec.size = "medium".into();
    }
    on.model.launch(&spec).await
}

async fn ignores_image(on: On, mut spec: LaunchSpec) -> Result<Vec<Instance>> {
    if spec.image.as_str().starts_with("image-") {
        spec.image = "debian-12".into();
    }
    on.model.launch(&spec).await
}

async fn default_image(on: On, mut spec: LaunchSpec) -> Result<Vec<Instance>> {
    let is_there = on.model.images().get(&spec.image).await.is_ok();
    if !is_there {
        spec.image = "debian-12".into();
    }
    on.model.launch(&spec).await
}

async fn takes_any_names(on: On, spec: LaunchSpec) -> Result<Vec<Instance>> {
    let is_odd = spec.names.is_empty() || spec.names.iter().any(String::is_empty);
    if is_odd { create(&on, &spec).await } else { on.model.launch(&spec).await }
}

/// Refuses what is like this, although it is allowed.
async fn refuses(on: On, spec: LaunchSpec, is_like: bool) -> Result<Vec<Instance>> {
    if is_like {
        return Err(refusal(ErrorKind::InvalidInput, "launch", "not within the limits"));
    }
    on.model.launch(&spec).await
}

async fn refuses_longest_name(on: On, spec: LaunchSpec) -> Result<Vec<Instance>> {
    let is_like = spec.names.iter().any(|name| name.len() >= LIMITS.name_length);
    refuses(on, spec, is_like).await
}

async fn refuses_full_batch(on: On, spec: LaunchSpec) -> Result<Vec<Instance>> {
    let is_like = spec.names.len() >= LIMITS.launch_batch;
    refuses(on, spec, is_like).await
}

async fn refuses_full_user_data(on: On, spec: LaunchSpec) -> Result<Vec<Instance>> {
    let is_like = spec.user_data.as_ref().is_some_and(|data| data.expose_secret().len() >= LIMITS.user_data_bytes);
    refuses(on, spec, is_like).await
}

async fn needs_user_data(on: On, spec: LaunchSpec) -> Result<Vec<Instance>> {
    let is_like = spec.user_data.is_none();
    refuses(on, spec, is_like).await
}

async fn originals_only(on: On, spec: LaunchSpec) -> Result<Vec<Instance>> {
    // Of an image that was copied it knows the one that was captured.
    let is_like = spec.image.as_str().starts_with("image-") && spec.region.as_str() == ELSEWHERE;
    refuses(on, spec, is_like).await
}

async fn other_order(on: On, spec: LaunchSpec) -> Result<Vec<Instance>> {
    let mut launched = on.model.launch(&spec).await?;
    launched.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(launched)
}

async fn new_ones_only(on: On, spec: LaunchSpec) -> Result<Vec<Instance>> {
    let standing = Instances::list(&on.model, &Selector::all()).await?;
    let launched = on.model.launch(&spec).await?;
    Ok(launched.into_iter().filter(|instance| standing.iter().all(|other| other.id != instance.id)).collect())
}

/// One create call that carries no token.
pub(super) async fn create(on: &On, spec: &LaunchSpec) -> Result<Vec<Instance>> {
    let spec = spec.clone();
    let create =
        move |world: &mut Transaction<'_>| spec.names.iter().map(|name| world.create(None, name, &spec)).collect();
    let made: Vec<Instance> = on.change_once(LostReply::Launch, create).await?;
    on.model.remember(&made);
    Ok(made)
}

/// What stands of the names, in their order.
async fn standing(on: &On, spec: &LaunchSpec) -> Result<Vec<Instance>> {
    let listed = Instances::list(&on.model, &Selector(spec.labels.0.clone())).await?;
    let first = |name: &String| listed.iter().find(|instance| instance.name == *name).cloned();
    Ok(spec.names.iter().filter_map(first).collect())
}

async fn always_new(on: On, spec: LaunchSpec) -> Result<Vec<Instance>> {
    create(&on, &spec).await
}

async fn always_mutates(on: On, spec: LaunchSpec) -> Result<Vec<Instance>> {
    let launched = on.model.launch(&spec).await?;
    on.change(None, move |_| Ok(())).await?;
    Ok(launched)
}

async fn repeats_blindly(on: On, spec: LaunchSpec) -> Result<Vec<Instance>> {
    let found = standing(&on, &spec).await?;
    if !found.is_empty() {
        return on.model.launch(&spec).await;
    }
    match create(&on, &spec).await {
        Err(error) if error.effect() == Effect::Unknown => create(&on, &spec).await,
        answer => answer,
    }
}

async fn denies_effect(on: On, spec: LaunchSpec) -> Result<Vec<Instance>> {
    if !standing(&on, &spec).await?.is_empty() {
        return on.model.launch(&spec).await;
    }
    create(&on, &spec).await.map_err(|error| error.with_effect(Effect::NotApplied))
}

async fn from_memory(on: On, spec: LaunchSpec) -> Result<Vec<Instance>> {
    if let Some(launched) = on.recall::<Vec<Instance>>(&spec.names.join(" ")) {
        return Ok(launched);
    }
    let launched = on.model.launch(&spec).await?;
    on.note(spec.names.join(" "), &launched);
    Ok(launched)
}

async fn takes_over(on: On, spec: LaunchSpec) -> Result<Vec<Instance>> {
    for instance in Instances::list(&on.model, &Selector::all()).await? {
        if spec.names.contains(&instance.name) {
            Instances::label(&on.model, &instance.id, &spec.labels).await?;
        }
    }
    on.model.launch(&spec).await
}

async fn cuts_user_data(on: On, mut spec: LaunchSpec) -> Result<Vec<Instance>> {
    let cut = |data: SecretString| data.expose_secret().chars().take(LIMITS.user_data_bytes).collect::<String>();
    spec.user_data = spec.user_data.map(|data| cut(data).into());
    on.model.launch(&spec).await
}

async fn checks_afterwards(on: On, spec: LaunchSpec) -> Result<Vec<Instance>> {
    let launched = on.model.launch(&LaunchSpec { user_data: None, ..spec.clone() }).await?;
    match spec.user_data {
        Some(data) if data.expose_secret().len() > LIMITS.user_data_bytes => {
            Err(refusal(ErrorKind::InvalidInput, "launch", "the user data is too long"))
        }
        _ => Ok(launched),
    }
}

async fn as_many_as_fit(on: On, spec: LaunchSpec) -> Result<Vec<Instance>> {
    if spec.names.len() <= LIMITS.launch_batch {
        return on.model.launch(&spec).await;
    }
    let names = spec.names[..LIMITS.launch_batch].to_vec();
    on.model.launch(&LaunchSpec { names, ..spec }).await?;
    Err(Error::new(ErrorKind::InvalidInput, "launch", "some names were left out"))
}

async fn looks_first(on: On, spec: LaunchSpec) -> Result<Vec<Instance>> {
    let found = standing(&on, &spec).await?;
    let missing = |name: &&String| found.iter().all(|instance| instance.name != **name);
    let names: Vec<_> = spec.names.iter().filter(missing).cloned().collect();
    create(&on, &LaunchSpec { names, ..spec.clone() }).await?;
    standing(&on, &spec).await
}

async fn own_memory(on: On, spec: LaunchSpec) -> Result<Vec<Instance>> {
    let key = spec.names.join(" ");
    if on.recall::<bool>(&key).is_some() {
        return on.model.launch(&spec).await;
    }
    on.note(key, &true);
    create(&on, &spec).await
}

/// One call, with the cloud's tokens, that is never repeated.
pub(super) async fn once(on: &On, spec: &LaunchSpec) -> Result<Vec<Instance>> {
    let spec = spec.clone();
    let create = move |world: &mut Transaction<'_>| {
        spec.names.iter().map(|name| world.create(Some(name), name, &spec)).collect()
    };
    on.serve(LostReply::Launch, create).await
}

async fn gives_up(on: On, spec: LaunchSpec) -> Result<Vec<Instance>> {
    match once(&on, &spec).await {
        Err(error) if error.kind() == ErrorKind::RateLimited => Err(error),
        _ => on.model.launch(&spec).await,
    }
}

async fn hopes(on: On, spec: LaunchSpec) -> Result<Vec<Instance>> {
    match on.model.launch(&spec).await {
        Err(error) if error.kind() == ErrorKind::Unavailable => Ok(Vec::new()),
        answer => answer,
    }
}

async fn mends_names(on: On, mut spec: LaunchSpec) -> Result<Vec<Instance>> {
    for name in &mut spec.names {
        let plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
        *name = name.replace(|letter| !plain(letter), "-").to_lowercase().trim_matches('-').to_owned();
    }
    on.model.launch(&spec).await
}

async fn cuts_names(on: On, mut spec: LaunchSpec) -> Result<Vec<Instance>> {
    spec.names.iter_mut().for_each(|name| name.truncate(LIMITS.name_length));
    on.model.launch(&spec).await
}

async fn good_names_only(on: On, mut spec: LaunchSpec) -> Result<Vec<Instance>> {
    let whole = spec.clone();
    spec.names.retain(|name| !name.contains('_'));
    if spec.names.len() < whole.names.len() && !spec.names.is_empty() {
        on.model.launch(&spec).await?;
    }
    on.model.launch(&whole).await
}

async fn merges_names(on: On, mut spec: LaunchSpec) -> Result<Vec<Instance>> {
    spec.names.dedup();
    on.model.launch(&spec).await
}

async fn counts_characters(on: On, mut spec: LaunchSpec) -> Result<Vec<Instance>> {
    let fits = |data: &SecretString| data.expose_secret().chars().count() <= LIMITS.user_data_bytes;
    spec.user_data = spec.user_data.filter(|data| !fits(data));
    on.model.launch(&spec).await
}

async fn tells_user_data(on: On, spec: LaunchSpec) -> Result<Vec<Instance>> {
    let told = spec.user_data.as_ref().map(|data| data.expose_secret().to_owned()).unwrap_or_default();
    let tell = |error: Error| match error.kind() {
        ErrorKind::InvalidInput => refusal(error.kind(), "launch", format!("{} in {told}", error.message())),
        _ => error,
    };
    on.model.launch(&spec).await.map_err(tell)
}

async fn identified_by_user_data(on: On, spec: LaunchSpec) -> Result<Vec<Instance>> {
    let token = spec.user_data.as_ref().map(|data| data.expose_secret().len());
    let before = on.recall::<Option<usize>>(&spec.names.join(" "));
    on.note(spec.names.join(" "), &token);
    match before {
        Some(before) if before != token => create(&on, &spec).await,
        _ => on.model.launch(&spec).await,
    }
}

async fn drops_login_keys(on: On, spec: LaunchSpec) -> Result<Vec<Instance>> {
    on.model.launch(&LaunchSpec { login_keys: Vec::new(), ..spec }).await
}

async fn any_size(on: On, size: SizeName, region: Region) -> Result<Shape> {
    let shape = on.model.shape(&"small".into(), &region).await?;
    Ok(Shape { size, ..shape })
}

async fn empty_shape(on: On, size: SizeName, region: Region) -> Result<Shape> {
    let shape = on.model.shape(&size, &region).await?;
    Ok(Shape { memory_mib: 0, disk_gib: 0, ..shape })
}
