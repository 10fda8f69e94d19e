//! Instances: launch, list, get, label.

use remint_core::provider::{Capability, ErrorKind, InstanceState, Labels, Selector, SizeName, label};

use super::table;
use crate::{Case, CaseContext, Cost, Failure, context::check, steps::refused};

pub(super) const CASES: &[Case] = table! {
    "instances.shape", "a size gives processors, memory and disk", shape, costs(Cost::Free);
    "instances.launch", "an instance is launched as asked, and runs with an address", launch;
    "instances.launch_batch", "one call launches several, in the order of their names; a second one what is missing",
        batch, needs(&[Capability::InstanceLaunchBatch]), machines(4);
    "instances.never_missing", "an instance that launch returned is never NotFound while it is made", never_missing,
        machines(3);
    "instances.list_selects", "a list holds exactly those with all of the labels", list_selects, machines(3);
    "instances.name_again", "a name can be launched again once its instance is gone", name_again, machines(2);
    "instances.relabel", "labels are added and replaced, and the same ones again change nothing",
        relabel, needs(&[Capability::InstanceRelabel]);
    "instances.relabel_adds", "labels that are added leave the others as they are", relabel_adds,
        needs(&[Capability::InstanceRelabel]);
    "instances.relabel_one", "labelling one leaves its neighbour alone", relabel_one,
        needs(&[Capability::InstanceRelabel]), machines(2);
    "instances.relabel_refused", "a label without a value is InvalidInput, and changes nothing", relabel_refused,
        needs(&[Capability::InstanceRelabel]);
    "instances.relabel_foreign", "a label of a key that is not Remint's is InvalidInput, and changes nothing",
        relabel_foreign, needs(&[Capability::InstanceRelabel]);
    "instances.address_own", "two instances have each an address of their own", address_own, machines(2);
    "instances.size_alike", "a size is not found under another name, however alike", size_alike,
        costs(Cost::Free);
    "instances.console_own", "the console of one instance never tells of its neighbour", console_own,
        needs(&[Capability::InstanceConsole]), extended(), machines(2);
    "instances.console", "the console of an instance that runs can be read",
        console, needs(&[Capability::InstanceConsole]), extended();
};

async fn shape(context: CaseContext) -> Result<(), Failure> {
    let target = context.target();
    let shape = context.instances().shape(&target.size, &target.region).await?;
    let whole = shape.vcpus > 0 && shape.memory_mib > 0 && shape.disk_gib > 0;
    check!(whole && shape.size == target.size, "a shape that no machine has: {shape:?}");
    let unknown = SizeName::new(format!("{}x", target.size));
    let result = context.instances().shape(&unknown, &target.region).await;
    refused(result, &[ErrorKind::InvalidInput], "the shape of an unknown size")?;
    Ok(())
}

async fn launch(context: CaseContext) -> Result<(), Failure> {
    let spec = context.spec("web").await?;
    let made = context.launch(&spec).await?;
    let running = context.reaches(&made.id, InstanceState::Running).await?;
    check!(running.id == made.id, "launch said {}, get says {}", made.id, running.id);
    check!(running.name == spec.names[0], "launched as {}, named {}", spec.names[0], running.name);
    check!(running.labels == spec.labels, "launched with {:?}, labelled {:?}", spec.labels, running.labels);
    let shape = (&running.size, &running.region) == (&spec.size, &spec.region);
    check!(shape, "another size or region: {} in {}", running.size, running.region);
    check!(running.image.as_ref().is_none_or(|image| *image == spec.image), "from another image: {:?}", running.image);
    check!(running.address.is_some(), "it runs without an address");
    Ok(())
}

async fn batch(context: CaseContext) -> Result<(), Failure> {
    let mut spec = context.spec("b").await?;
    for what in ["c", "a"] {
        spec.names.extend(context.spec(what).await?.names);
    }
    let first = context.instances().launch(&spec).await?;
    let names: Vec<_> = first.iter().map(|instance| instance.name.clone()).collect();
    check!(names == spec.names, "asked for {:?}, got {names:?}", spec.names);
    spec.names.insert(1, context.spec("d").await?.names.remove(0));
    let second = context.instances().launch(&spec).await?;
    let names: Vec<_> = second.iter().map(|instance| instance.name.clone()).collect();
    check!(names == spec.names, "asked for {:?}, got {names:?}", spec.names);
    let kept = first.iter().all(|old| second.iter().any(|new| new.id == old.id));
    check!(kept && context.standing().await?.len() == 4, "the second launch made again what was there");
    Ok(())
}

async fn never_missing(context: CaseContext) -> Result<(), Failure> {
    for what in ["one", "two", "three"] {
        let made = context.launch(&context.spec(what).await?).await?;
        context.reaches(&made.id, InstanceState::Running).await?;
    }
    Ok(())
}

async fn list_selects(context: CaseContext) -> Result<(), Failure> {
    for (what, env, role) in [("one", "a", "x"), ("two", "a", "y"), ("three", "b", "x")] {
        let mut spec = context.spec(what).await?;
        spec.labels = spec.labels.with(label::ENV, env).with(label::ROLE, role);
        context.launch(&spec).await?;
    }
    let all = context.selector();
    for (selector, wanted) in [
        (all.clone(), 3),
        (all.clone().with(label::ENV, "a"), 2),
        (all.clone().with(label::ROLE, "x"), 2),
        (all.clone().with(label::ENV, "a").with(label::ROLE, "x"), 1),
        (all.clone().with(label::ENV, "b").with(label::ROLE, "y"), 0),
        (all.with(label::ENV, "c"), 0),
    ] {
        let listed = context.instances().list(&selector).await?;
        check!(listed.len() == wanted, "{} in place of {wanted} for {selector:?}", listed.len());
        check!(listed.iter().all(|instance| instance.labels.matches(&selector)), "others are listed for {selector:?}");
    }
    let everything = context.instances().list(&Selector::all()).await?;
    let ours = everything.iter().filter(|instance| instance.labels.matches(&context.selector())).count();
    check!(ours == 3, "{ours} of 3 are among everything that Remint made");
    Ok(())
}

async fn name_again(context: CaseContext) -> Result<(), Failure> {
    let spec = context.spec("web").await?;
    let first = context.launch(&spec).await?;
    context.reaches(&first.id, InstanceState::Running).await?;
    context.destroy(&first.id).await?;
    let second = context.launch(&spec).await?;
    check!(second.id != first.id, "instance {} is gone, and was returned by launch", first.id);
    context.reaches(&second.id, InstanceState::Running).await?;
    Ok(())
}

async fn relabel(context: CaseContext) -> Result<(), Failure> {
    let instance = context.running("web").await?;
    let more = context.labels().with(label::ROLE, "parked").with(label::TOUCHED, "2026-11-23T08:00:00Z");
    for _ in 0..3 {
        context.instances().label(&instance.id, &more).await?;
    }
    let now = context.instances().get(&instance.id).await?;
    check!(now.labels == more, "labelled {more:?}, has {:?}", now.labels);
    let by_new = context.instances().list(&context.selector().with(label::ROLE, "parked")).await?;
    check!(by_new.len() == 1, "{} instances with the new value", by_new.len());
    let by_old = context.instances().list(&context.selector().with(label::ROLE, "instance")).await?;
    check!(by_old.is_empty(), "the old value still finds it");
    Ok(())
}

async fn console(context: CaseContext) -> Result<(), Failure> {
    let instance = context.running("web").await?;
    context.instances().console_output(&instance.id).await?;
    Ok(())
}

async fn relabel_adds(context: CaseContext) -> Result<(), Failure> {
    let mut spec = context.spec("web").await?;
    spec.labels = spec.labels.with(label::ENV, "prod");
    let made = context.launch(&spec).await?;
    context.reaches(&made.id, InstanceState::Running).await?;
    let one = Labels::new().with(label::TOUCHED, "2026-11-23T08:00:00Z");
    context.instances().label(&made.id, &one).await?;
    let wanted = spec.labels.clone().with(label::TOUCHED, "2026-11-23T08:00:00Z");
    let now = context.instances().get(&made.id).await?;
    check!(now.labels == wanted, "one label was added to {:?}, which made it {:?}", spec.labels, now.labels);
    context.instances().label(&made.id, &Labels::new()).await?;
    let now = context.instances().get(&made.id).await?;
    check!(now.labels == wanted, "no label was added, which made it {:?}", now.labels);
    Ok(())
}

async fn relabel_one(context: CaseContext) -> Result<(), Failure> {
    let (one, two) = (context.running("one").await?, context.running("two").await?);
    context.instances().label(&one.id, &Labels::new().with(label::ROLE, "parked")).await?;
    let left = context.instances().get(&two.id).await?;
    check!(left.labels == two.labels, "the neighbour had {:?}, and has {:?}", two.labels, left.labels);
    let still = context.instances().list(&context.selector().with(label::ROLE, "instance")).await?;
    check!(still.len() == 1 && still[0].id == two.id, "{} was relabelled, with the role of old: {still:?}", one.id);
    Ok(())
}

async fn relabel_refused(context: CaseContext) -> Result<(), Failure> {
    let instance = context.running("web").await?;
    let bad = Labels::new().with(label::ROLE, "parked").with("remint:zone", "");
    let result = context.instances().label(&instance.id, &bad).await;
    refused(result, &[ErrorKind::InvalidInput], "a label without a value")?;
    let now = context.instances().get(&instance.id).await?;
    check!(now.labels == instance.labels, "it was refused, and the labels became {:?}", now.labels);
    Ok(())
}

async fn relabel_foreign(context: CaseContext) -> Result<(), Failure> {
    let instance = context.running("web").await?;
    for key in ["role", "Remint:role", "remint:"] {
        let bad = Labels::new().with(label::ROLE, "parked").with(key, "text");
        let result = context.instances().label(&instance.id, &bad).await;
        refused(result, &[ErrorKind::InvalidInput], "a key that is not Remint's")?;
        let now = context.instances().get(&instance.id).await?;
        check!(now.labels == instance.labels, "it was refused, and the labels became {:?}", now.labels);
    }
    Ok(())
}

async fn address_own(context: CaseContext) -> Result<(), Failure> {
    let (one, two) = (context.running("one").await?, context.running("two").await?);
    check!(one.address.is_some() && one.address != two.address, "both have the address {:?}", one.address);
    let again = context.instances().get(&one.id).await?;
    check!(again.address == one.address, "its address was {:?}, and is {:?}", one.address, again.address);
    Ok(())
}

async fn size_alike(context: CaseContext) -> Result<(), Failure> {
    let target = context.target();
    let name = target.size.as_str();
    for alike in [&name[..name.len() - 1], &name.to_uppercase(), "", " "] {
        let result = context.instances().shape(&SizeName::new(alike), &target.region).await;
        refused(result, &[ErrorKind::InvalidInput], "the shape of a size that is none")?;
    }
    Ok(())
}

async fn console_own(context: CaseContext) -> Result<(), Failure> {
    let (one, two) = (context.running("one").await?, context.running("two").await?);
    for (instance, neighbour) in [(&one, &two), (&two, &one)] {
        let told = context.instances().console_output(&instance.id).await?;
        check!(!told.contains(&neighbour.name), "the console of {} tells of {}", instance.name, neighbour.name);
    }
    Ok(())
}
