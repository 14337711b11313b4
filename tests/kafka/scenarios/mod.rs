//! Real clients play the same scenarios at bare Kafka and through Fishplate; what an application saw must be equal, or
//! the difference stands in `tests/clients/differences.yaml` with its reason.
//!
//! A client plays all its scenarios in one process; each of them is a trial of its own that looks at its part.

mod addresses;
pub mod clients;
pub mod contract;
mod cut;
pub mod differences;
pub mod kcat;
pub mod librdkafka;
pub mod matrix;
mod operators;
pub mod programs;
pub mod results;
mod tools;

use crate::harness::Bootstrap;
use crate::harness::config::View as Shown;
use crate::lane;
use crate::world::{World, alone, full, shared};
use clients::CLIENTS;
use contract::{CUT, Client, InCi, Line, Run, View};
use libtest_mimic::{Arguments, Trial};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::thread;
pub use tools::tool;

/// All trials, and apart from them those that look at what another has played: beside it they would only wait for it, and
/// keep a thread from everything else. Those that `arguments` leave out are not played either.
pub fn trials(arguments: &Arguments) -> (Vec<Trial>, Vec<Trial>) {
    let mut trials = Vec::new();
    let mut looking = Vec::new();
    for mut of_client in CLIENTS.iter().flat_map(|client| of_client(client, arguments)) {
        looking.extend(of_client.split_off(1));
        trials.extend(of_client);
    }
    trials.push(matrix::trial());
    say_what_is_left_out();
    trials.extend(tools::trials());
    trials.extend(operators::trials());
    trials.push(shared("kcat: an old librdkafka is served in single and hosts", kcat::an_old_librdkafka_is_served));
    trials.push(shared("kcat: an old librdkafka is refused", kcat::an_old_librdkafka_is_refused));
    (trials, looking)
}

/// What this level plays of a client, in each view: on bare Kafka and there.
fn of_client(client: &'static Client, arguments: &Arguments) -> Vec<Vec<Trial>> {
    let plan: Vec<(View, Vec<&str>)> = match client.in_ci {
        _ if full() => client.views.iter().map(|view| (*view, client.plays())).collect(),
        InCi::All(view) => vec![(view, client.plays())],
        InCi::Some(view, scenarios) => vec![(view, scenarios.to_vec())],
        InCi::Nothing => Vec::new(),
    };
    plan.into_iter().map(|(view, scenarios)| compared(client, view, scenarios, arguments)).collect()
}

/// One client's scenarios in one view, each a trial, and one more that looks at what the client logged meanwhile.
fn compared(client: &'static Client, view: View, scenarios: Vec<&'static str>, arguments: &Arguments) -> Vec<Trial> {
    let name = |scenario: &str| format!("{}: {scenario} in {}", client.name, view.name());
    let cut = scenarios.contains(&CUT).then(|| alone(name(CUT), move |world| cut::judge(world, client, view)));
    let scenarios: Vec<_> = scenarios.into_iter().filter(|one| *one != CUT).collect();
    let wanted: Vec<_> =
        scenarios.iter().copied().filter(|one| lane::is_wanted(arguments, &name(one), false)).collect();
    let scenarios = if wanted.is_empty() { scenarios[..1].to_vec() } else { wanted.clone() };
    let played = Arc::new(Played { client, view, scenarios, lines: OnceLock::new() });
    let judge = |scenario: &'static str| {
        let played = Arc::clone(&played);
        shared(name(scenario), move |world| played.judge(world, scenario))
    };
    let mut trials: Vec<_> = wanted.into_iter().map(judge).collect();
    trials.push(shared(name("no real address in its log"), move |world| played.judge_log(world)));
    trials.extend(cut);
    trials
}

/// Where clients of a view are pointed.
fn listener(world: &World, view: View) -> Bootstrap {
    world.proxy().bootstrap_in(shown(view))
}

/// A view as the harness knows it.
fn shown(view: View) -> Shown {
    match view {
        View::Brokers => Shown::Brokers,
        View::Hosts => Shown::Hosts,
        View::Single => Shown::Single,
    }
}

fn say_what_is_left_out() {
    let is_left_out = |client: &&Client| !full() && matches!(client.in_ci, InCi::Nothing);
    let names: Vec<_> = CLIENTS.iter().filter(is_left_out).map(|client| client.name).collect();
    if !names.is_empty() {
        eprintln!("clients that only the full level plays (FISHPLATE_TEST_LEVEL=full): {}", names.join(", "));
    }
    let in_part = |client: &Client| match client.in_ci {
        InCi::Some(_, played) if !full() => Some((client.name, played.len(), client.plays().len())),
        _ => None,
    };
    let parts = CLIENTS.iter().filter_map(in_part);
    let parts: Vec<_> = parts.map(|(name, played, all)| format!("{name} ({} of {all})", all - played)).collect();
    if !parts.is_empty() {
        eprintln!("scenarios that only the full level plays (FISHPLATE_TEST_LEVEL=full): {}", parts.join(", "));
    }
}

/// What one client saw in all its scenarios, on both ways; played once, by the first trial that asks.
struct Played {
    client: &'static Client,
    view: View,
    scenarios: Vec<&'static str>,
    lines: OnceLock<Result<Lines, String>>,
}

struct Lines {
    bare: Vec<Line>,
    through: Vec<Line>,
}

impl Played {
    fn judge(&self, world: &World, scenario: &str) {
        results::noted(self.client, self.view, scenario, || self.differs(world, scenario));
    }

    /// Whether there are differences that are listed; panics at others.
    fn differs(&self, world: &World, scenario: &str) -> bool {
        let Lines { bare, through } = self.lines(world);
        let bare = find(bare, scenario);
        let through = find(through, scenario);
        let bare_saw = bare.result.as_ref().unwrap_or_else(|| panic!("on bare Kafka, {}", bare.failure()));
        let through_saw = through.result.as_ref().unwrap_or_else(|| panic!("through Fishplate, {}", through.failure()));
        addresses::judge(world, self.view, through, bare);
        let differs = differences::judge(self.client.name, self.view, scenario, bare_saw, through_saw);
        if scenario == "codecs" {
            self.judge_codecs(world);
        }
        differs
    }

    fn judge_log(&self, world: &World) {
        self.lines(world);
        addresses::judge_log(world, &self.log(world, &listener(world, self.view)));
        // And it said of itself what the matrix has it say.
        let said = format!(r#""client":"{}""#, self.client.says);
        let is_known = self.client.says.is_empty() || !world.proxy().log().lines_with(&said).is_empty();
        assert!(is_known, "no {} came to Fishplate", self.client.says);
    }

    fn lines(&self, world: &World) -> &Lines {
        let lines = self.lines.get_or_init(|| self.play(world).map_err(|error| format!("{error:#}")));
        lines.as_ref().unwrap_or_else(|error| panic!("{error}"))
    }

    /// What was stored is compressed as on bare Kafka: a client that is told too little of Produce silently does not.
    fn judge_codecs(&self, world: &World) {
        let view = self.view.name();
        let look = |bootstrap: &Bootstrap, way: &str| {
            let topics = homes(way).map(|home| format!("{home}-{}-{way}.codecs", self.client.name));
            programs::look(bootstrap, &topics, &world.directory.join(format!("{}-{way}-look.out", self.client.name)))
                .unwrap_or_else(|error| panic!("{error:#}"))
        };
        let bare = look(&world.a.bootstrap(), &format!("bare-{view}"));
        let through = look(&listener(world, self.view), view);
        assert_eq!(bare, through, "the codecs of what {} stored", self.client.name);
        let codecs = bare["codecs read"]["two/0"].as_array().map_or(0, Vec::len);
        // kafkajs has gzip and nothing else.
        let least = if self.client.name == "kafkajs" { 2 } else { 4 };
        assert!(codecs >= least, "only {codecs} codecs in {bare}");
    }

    /// Both ways at once: most of it is waiting.
    fn play(&self, world: &World) -> anyhow::Result<Lines> {
        // The scenario `spanning` wants it.
        world.proxy().log().allow("a transaction would span two clusters");
        // And `assigned`, `shares` and `others` this.
        world.proxy().log().allow("subscribes to topics of another cluster");
        let through = listener(world, self.view);
        let bare = world.a.bootstrap();
        let view = self.view.name();
        thread::scope(|scope| {
            let bare = scope.spawn(|| self.play_at(world, &bare, &format!("bare-{view}")));
            let through = self.play_at(world, &through, view);
            let bare = bare.join().map_err(|_| anyhow::anyhow!("the client on bare Kafka panicked"))?;
            Ok(Lines { bare: bare?, through: through? })
        })
    }

    /// Through Fishplate the first topic and group live on cluster `a` and the second on `b`.
    fn play_at(&self, world: &World, bootstrap: &Bootstrap, way: &str) -> anyhow::Result<Vec<Line>> {
        let client = self.client.name;
        let homes = homes(way);
        (self.client.play)(&Run {
            client,
            scenarios: &self.scenarios,
            bootstrap,
            topics: homes.map(|home| format!("{home}-{client}-{way}")),
            groups: homes.map(|home| format!("g{home}-{client}-{way}")),
            output: world.directory.join(format!("{client}-{way}.out")),
            log: self.log(world, bootstrap),
            cut: None,
        })
    }

    /// What the client itself logged on its way to there.
    fn log(&self, world: &World, bootstrap: &Bootstrap) -> PathBuf {
        world.directory.join(format!(
            "{}-{}-{}.log",
            self.client.name,
            self.view.name(),
            bootstrap.name.replace(' ', "-")
        ))
    }
}

/// How the names of a way's topics begin, and of its groups behind a `g`: through Fishplate the first live on `a`, the second
/// on `b`. On bare Kafka the second are not named so: a Fishplate that starts afterwards would find records of `b-*` on
/// `a`, and keep the topic from clients.
fn homes(way: &str) -> [&'static str; 2] {
    if way.starts_with("bare") { ["a", "c"] } else { ["a", "b"] }
}

fn find<'a>(lines: &'a [Line], scenario: &str) -> &'a Line {
    lines.iter().find(|line| line.scenario == scenario).unwrap_or_else(|| panic!("the client left {scenario} out"))
}
