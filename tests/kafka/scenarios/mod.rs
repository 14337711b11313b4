//! Real clients play the same scenarios at bare Kafka and through Fishplate; what an application saw must be equal, or
//! the difference stands in `tests/clients/differences.yaml` with its reason.
//!
//! A client plays all its scenarios in one process; each of them is a trial of its own that looks at its part.

mod addresses;
mod contract;
mod differences;
mod kcat;
mod librdkafka;
mod programs;
mod tools;

use crate::harness::Bootstrap;
use crate::world::{World, shared};
use contract::{Client, Line, Run};
use libtest_mimic::{Arguments, Trial};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::thread;

/// All trials; those that `arguments` leave out are not played either.
pub fn trials(arguments: &Arguments) -> Vec<Trial> {
    let clients = [programs::JAVA_4_3, programs::JAVA_3_9, programs::FRANZ, librdkafka::LIBRDKAFKA, kcat::KCAT];
    let mut trials: Vec<_> = clients.into_iter().flat_map(|client| compared(client, arguments)).collect();
    trials.extend(tools::trials());
    trials.push(shared("kcat: an old librdkafka is refused", kcat::an_old_librdkafka_is_refused));
    trials
}

/// One client's scenarios, each a trial.
fn compared(client: Client, arguments: &Arguments) -> Vec<Trial> {
    let name = |scenario: &str| format!("{}: {scenario}", client.name);
    let wanted: Vec<_> = client.scenarios.iter().copied().filter(|one| is_wanted(arguments, &name(one))).collect();
    let played = Arc::new(Played { client, wanted: wanted.clone(), lines: OnceLock::new() });
    let trial = |scenario: &'static str| {
        let played = Arc::clone(&played);
        shared(name(scenario), move |world| played.judge(world, scenario))
    };
    wanted.into_iter().map(trial).collect()
}

/// As libtest-mimic decides it.
fn is_wanted(arguments: &Arguments, name: &str) -> bool {
    let matches = |filter: &String| if arguments.exact { name == filter } else { name.contains(filter.as_str()) };
    arguments.filter.as_ref().is_none_or(matches) && !arguments.skip.iter().any(matches)
}

/// What one client saw in all its scenarios, on both ways; played once, by the first trial that asks.
struct Played {
    client: Client,
    wanted: Vec<&'static str>,
    lines: OnceLock<Result<Lines, String>>,
}

struct Lines {
    bare: Vec<Line>,
    through: Vec<Line>,
}

impl Played {
    fn judge(&self, world: &World, scenario: &str) {
        let lines = self.lines.get_or_init(|| self.play(world).map_err(|error| format!("{error:#}")));
        let Lines { bare, through } = lines.as_ref().unwrap_or_else(|error| panic!("{error}"));
        let bare = find(bare, scenario);
        let through = find(through, scenario);
        let bare_saw = bare.result.as_ref().unwrap_or_else(|| panic!("on bare Kafka, {}", bare.failure()));
        let through_saw = through.result.as_ref().unwrap_or_else(|| panic!("through Fishplate, {}", through.failure()));
        addresses::judge(world, through, bare, &self.log(world, &world.proxy().bootstrap()));
        differences::judge(self.client.name, scenario, bare_saw, through_saw);
        if scenario == "codecs" {
            self.judge_codecs(world);
        }
    }

    /// What was stored is compressed as on bare Kafka: a client that is told too little of Produce silently does not.
    fn judge_codecs(&self, world: &World) {
        let look = |bootstrap: &Bootstrap, way: &str| {
            let topics = ["a", "b"].map(|home| format!("{home}-{}-{way}.codecs", self.client.name));
            programs::look(bootstrap, &topics, &world.directory.join(format!("{}-{way}-look.out", self.client.name)))
                .unwrap_or_else(|error| panic!("{error:#}"))
        };
        let bare = look(&world.a.bootstrap(), "bare");
        let through = look(&world.proxy().bootstrap(), "through");
        assert_eq!(bare, through, "the codecs of what {} stored", self.client.name);
        let codecs = bare["codecs read"]["two/0"].as_array().map_or(0, Vec::len);
        assert!(codecs >= 4, "only {codecs} codecs in {bare}");
    }

    /// Both ways at once: most of it is waiting.
    fn play(&self, world: &World) -> anyhow::Result<Lines> {
        let through = world.proxy().bootstrap();
        let bare = world.a.bootstrap();
        thread::scope(|scope| {
            let bare = scope.spawn(|| self.play_at(world, &bare, "bare"));
            let through = self.play_at(world, &through, "through");
            let bare = bare.join().map_err(|_| anyhow::anyhow!("the client on bare Kafka panicked"))?;
            Ok(Lines { bare: bare?, through: through? })
        })
    }

    /// Through Fishplate the first topic and group live on cluster `a` and the second on `b`.
    fn play_at(&self, world: &World, bootstrap: &Bootstrap, way: &str) -> anyhow::Result<Vec<Line>> {
        let client = self.client.name;
        let names = |home: &str| format!("{home}-{client}-{way}");
        (self.client.play)(&Run {
            client,
            scenarios: &self.wanted,
            bootstrap,
            topics: [names("a"), names("b")],
            groups: [names("ga"), names("gb")],
            output: world.directory.join(format!("{client}-{way}.out")),
            log: self.log(world, bootstrap),
        })
    }

    /// What the client itself logged on its way to there.
    fn log(&self, world: &World, bootstrap: &Bootstrap) -> PathBuf {
        world.directory.join(format!("{}-{}.log", self.client.name, bootstrap.name.replace(' ', "-")))
    }
}

fn find<'a>(lines: &'a [Line], scenario: &str) -> &'a Line {
    lines.iter().find(|line| line.scenario == scenario).unwrap_or_else(|| panic!("the client left {scenario} out"))
}
