//! Short scenes in which much comes together that seldom does by chance. What happens in them is drawn as everywhere else.

use std::time::Duration;

use super::{
    coverage::Trouble,
    driver::{Broken, Sim},
    life::{Blow, Fuse},
    oracle::Verb,
    wishes::{Build, Choice},
};

impl Sim {
    pub(super) async fn plot(&mut self) -> Result<(), Broken> {
        self.settle().await?;
        let environment = self.environment();
        match self.dice.below(9) {
            8 => self.last_to_serve(environment).await,
            7 => self.half_an_object(environment).await,
            5 => self.in_the_middle(environment).await,
            6 => self.aftermath_of_a_bake(environment).await,
            0 => self.usurper(environment).await,
            1 => self.race(environment).await,
            2 => self.again(environment).await,
            3 => self.meddler(environment).await,
            _ => self.second_thoughts(environment).await,
        }
    }

    /// Something that changes much.
    fn replacement(&mut self, environment: &'static str) -> Verb {
        self.edit();
        if self.dice.hits(0.7) { Verb::Deploy { force: self.dice.hits(0.5) } } else { self.verb(environment) }
    }

    /// A process stands still for longer than its lock lasts, and another one comes.
    async fn usurper(&mut self, environment: &'static str) -> Result<(), Broken> {
        self.oracle.count("plot: usurper");
        let verb = self.replacement(environment);
        let sleeps = self.dice.between(Duration::from_secs(62), Duration::from_secs(240));
        let fuse = Fuse { blow: Blow::Suspend(sleeps), ..self.a_fuse() };
        self.start_at(0, environment, verb, Some(fuse));
        for _ in 0..400 {
            let suspended = self.seats[0].as_ref().is_none_or(|process| process.life.is_suspended());
            if suspended {
                break;
            }
            self.pass(Duration::from_secs(1)).await?;
        }
        let comes = self.dice.between(Duration::from_secs(30), Duration::from_secs(110));
        self.pass(comes).await?;
        let verb = self.replacement(environment);
        self.start_at(1, environment, verb, None);
        self.pass(Duration::from_secs(200)).await
    }

    /// Two processes start at nearly the same moment, and one of them is slow.
    async fn race(&mut self, environment: &'static str) -> Result<(), Broken> {
        self.oracle.count("plot: race");
        let first = self.dice.below(2) as usize;
        for seat in [first, 1 - first] {
            let verb = self.replacement(environment);
            let most = if self.dice.hits(0.3) { 90_000 } else { 200 };
            let fuse = Fuse {
                steps: self.dice.below(4) as u32,
                delay: self.dice.up_to(Duration::from_millis(60)),
                blow: Blow::Suspend(self.dice.up_to(Duration::from_millis(most))),
            };
            let fuse = self.dice.hits(0.7).then_some(fuse);
            self.start_at(seat, environment, verb, fuse);
            let pause = self.dice.up_to(Duration::from_millis(80));
            self.pass(pause).await?;
            if self.dice.hits(0.5)
                && let Some(process) = &self.seats[seat]
            {
                let pause = self.dice.up_to(Duration::from_millis(most));
                process.life.strike(Blow::Suspend(pause));
            }
        }
        Ok(())
    }

    /// A process dies, or is interrupted, and the next command comes right after.
    async fn again(&mut self, environment: &'static str) -> Result<(), Broken> {
        self.oracle.count("plot: again");
        let verb = self.replacement(environment);
        let blow = if self.dice.hits(0.6) { Blow::Kill } else { Blow::Interrupt };
        let fuse = Fuse { blow, ..self.a_fuse() };
        self.start_at(0, environment, verb, Some(fuse));
        self.settle().await?;
        let pause = self.dice.up_to(Duration::from_secs(8));
        self.pass(pause).await?;
        let next = match self.dice.below(6) {
            0 => Verb::Abort,
            1 => Verb::Gc { dry: false },
            2 => Verb::Resume,
            3 => self.any_verb(environment),
            _ => Verb::Deploy { force: false },
        };
        self.start_at(0, environment, next, None);
        self.settle().await
    }

    /// Somebody changes things by hand in the middle of it.
    async fn meddler(&mut self, environment: &'static str) -> Result<(), Broken> {
        self.oracle.count("plot: meddler");
        let verb = self.replacement(environment);
        let fuse = if self.dice.hits(0.5) { Some(self.a_fuse()) } else { None };
        self.start_at(0, environment, verb, fuse);
        let mut pause = self.dice.up_to(Duration::from_secs(180));
        for _ in 0..1 + self.dice.below(3) {
            self.pass(pause).await?;
            self.meddle(environment);
            pause = self.dice.up_to(Duration::from_secs(40));
        }
        self.settle().await
    }

    /// Something happens in the middle of any command, short ones included.
    async fn in_the_middle(&mut self, environment: &'static str) -> Result<(), Broken> {
        self.oracle.count("plot: in the middle");
        if self.dice.hits(0.3) {
            // It is left unfinished, so that there is something to do.
            let verb = self.replacement(environment);
            let fuse = Fuse { blow: Blow::Kill, ..self.a_fuse() };
            self.start_at(0, environment, verb, Some(fuse));
            self.settle().await?;
        }
        for _ in 0..3 {
            let verb = self.any_verb(environment);
            self.start_at(0, environment, verb, None);
            let most = if self.dice.hits(0.7) { 1_500 } else { 60_000 };
            let pause = self.dice.up_to(Duration::from_millis(most));
            self.pass(pause).await?;
            if self.dice.hits(0.2) {
                self.clock_jump()
            } else {
                self.meddle(environment)
            }
            self.settle().await?;
        }
        Ok(())
    }

    /// A bake is killed while its image is being captured, and the next command finds that.
    async fn aftermath_of_a_bake(&mut self, environment: &'static str) -> Result<(), Broken> {
        self.oracle.count("plot: aftermath of a bake");
        self.edit();
        let fuse = Fuse { steps: 15 + self.dice.below(40) as u32, blow: Blow::Kill, ..self.a_fuse() };
        self.start_at(0, environment, Verb::Bake, Some(fuse));
        self.settle().await?;
        let next = self.any_verb(environment);
        self.start_at(0, environment, next, None);
        self.settle().await
    }

    /// A process is killed right at its start, perhaps while it writes, and others find what it wrote.
    async fn half_an_object(&mut self, environment: &'static str) -> Result<(), Broken> {
        self.oracle.count("plot: half an object");
        let mut early = |most| Fuse { steps: self.dice.below(most) as u32, delay: Duration::ZERO, blow: Blow::Kill };
        let (first, mending) = (early(10), early(4));
        let mending = self.dice.hits(0.5).then_some(mending);
        let verbs = [self.any_verb(environment), self.any_verb(environment), Verb::Repair, Verb::Repair];
        for (verb, fuse) in verbs.into_iter().zip([Some(first), None, mending, None]) {
            self.start_at(0, environment, verb, fuse);
            self.settle().await?;
        }
        Ok(())
    }

    /// A process dies while it sends clients to its release by a first static IP, and perhaps what served until then is gone; then
    /// somebody gives the release up, or goes on.
    async fn last_to_serve(&mut self, environment: &'static str) -> Result<(), Broken> {
        self.oracle.count("plot: last to serve");
        if let Some(wishes) = self.wishes.get_mut(environment) {
            wishes.choice = Choice::None;
        }
        self.start_at(0, environment, Verb::Deploy { force: false }, None);
        self.settle().await?;
        let former = self.standing(environment);
        let (stage, sick) = (*self.dice.pick(&["switching", "verifying"]), self.dice.hits(0.3));
        if let Some(wishes) = self.wishes.get_mut(environment) {
            wishes.choice = Choice::Managed;
            if sick {
                wishes.recipe += 1;
                wishes.build = Build::FailsOutside;
            }
        }
        self.start_at(0, environment, Verb::Deploy { force: true }, None);
        for _ in 0..600 {
            if self.seats[0].is_none() || self.oracle.stage(environment) == Some(stage) {
                break;
            }
            self.pass(Duration::from_millis(500)).await?;
        }
        if let Some(process) = &self.seats[0] {
            process.life.strike(Blow::Kill);
        }
        self.settle().await?;
        if self.dice.hits(0.6) {
            self.oracle.disturb(environment);
            for id in former {
                self.world.by_hand(&format!("{id} vanishes"), |state| state.vanish(&id));
            }
            self.oracle.meet_all(environment, Trouble::Vanished);
        }
        let next = if self.dice.hits(0.6) { Verb::Abort } else { Verb::Resume };
        self.start_at(0, environment, next, None);
        self.settle().await?;
        if let Some(wishes) = self.wishes.get_mut(environment) {
            wishes.heal();
        }
        self.start_at(0, environment, Verb::Deploy { force: false }, None);
        self.settle().await
    }

    /// A release is gone back to, or is not wanted any more, and that is cut short.
    async fn second_thoughts(&mut self, environment: &'static str) -> Result<(), Broken> {
        self.oracle.count("plot: second thoughts");
        self.start_at(0, environment, Verb::Deploy { force: false }, None);
        self.settle().await?;
        let highest = self.oracle.inner().releases.get(environment).copied().unwrap_or_default();
        let to = (self.dice.hits(0.6) && highest > 0).then_some(crate::provider::ReleaseId(highest));
        let fuse = Fuse { steps: self.dice.below(60) as u32, ..self.a_fuse() };
        self.start_at(0, environment, Verb::Rollback(to), Some(fuse));
        self.settle().await?;
        self.start_at(0, environment, Verb::Deploy { force: false }, None);
        self.settle().await
    }
}
