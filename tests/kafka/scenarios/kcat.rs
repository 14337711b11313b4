//! kcat: with a new librdkafka it plays scenarios of its own, typed as a user types them; Debian's old one is shown
//! one node or an address for each, and is refused where only many nodes at one address are shown: it would lose data there.

use super::contract::{CUT, Lack, Line, Run};
use super::programs::{built, run_to_end, set_up};
use crate::harness::config::View;
use crate::harness::process::command;
use crate::harness::topics::Topics;
use crate::harness::{Bootstrap, wait};
use crate::world::World;
use anyhow::Context;
use serde_json::{Map, Value, json};
use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const TO_RUN: Duration = wait::seconds(60);

/// What it plays: scenarios of its own, for it has no API.
pub const SCENARIOS: &[&str] = &["codecs", "headers", "offsets", "groups", "list", "unknown"];

/// What its command line has options for, and another client of the same librdkafka plays.
const LEFT: &[&str] = &[
    "commit",
    "cooperative",
    "rebalance",
    "many-partitions",
    "idempotent",
    "acks",
    "static",
    "large",
    "reset",
    "seek",
];
/// What it has no way to.
const UNABLE: [Lack; 2] = [
    Lack { scenarios: &["topics", "cluster"], why: "it has no admin calls, and finds no coordinator but its own" },
    Lack { scenarios: &[CUT], why: "it exits when all its connections end" },
];

/// The rest, with a new librdkafka.
pub const NEW_LACKS: &[Lack] = &[
    Lack { scenarios: LEFT, why: "not typed: confluent-kafka 2.16.1 plays them with the same librdkafka" },
    UNABLE[0],
    UNABLE[1],
];

/// And with Debian's.
pub const OLD_LACKS: &[Lack] = &[
    Lack { scenarios: LEFT, why: "not typed: confluent-kafka 2.0.2 plays them with the same librdkafka" },
    UNABLE[0],
    UNABLE[1],
];

/// The client that is the system's kcat as it is.
pub const DEBIAN: &str = "kcat-debian";

/// With a new librdkafka, or with the system's for [`DEBIAN`].
pub fn play(run: &Run) -> anyhow::Result<Vec<Line>> {
    set_up()?;
    let mut lines = Vec::new();
    for scenario in run.scenarios {
        let mut kcat = Kcat { run, scenario, raw: Map::new() };
        let outcome = kcat.perform();
        let failed = outcome.as_ref().err().map(|error| format!("{error:#}"));
        let scenario = (*scenario).to_owned();
        lines.push(Line { scenario, result: outcome.ok(), failed, until_then: Value::Null, raw: kcat.raw.into() });
    }
    Ok(lines)
}

/// One scenario.
struct Kcat<'a> {
    run: &'a Run<'a>,
    scenario: &'static str,
    raw: Map<String, Value>,
}

/// What `kcat` printed, with the names of this run's topics replaced, line by line.
type Printed = Vec<String>;

impl Kcat<'_> {
    fn perform(&mut self) -> anyhow::Result<Value> {
        match self.scenario {
            "codecs" => self.codecs(),
            "headers" => self.headers(),
            "offsets" => self.offsets(),
            "groups" => self.groups(),
            "list" => self.list(),
            "unknown" => self.unknown(),
            other => anyhow::bail!("no scenario {other}"),
        }
    }

    fn codecs(&self) -> anyhow::Result<Value> {
        self.create(1)?;
        for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
            let lines: Vec<_> = (0..10).map(|i| format!("{codec}-{i}-{}", "x".repeat(50))).collect();
            for topic in self.topics() {
                self.produce(&topic, &lines, &["-z", codec, "-X", "linger.ms=200"])?;
            }
        }
        self.consume_both("%t %p %o %s\\n")
    }

    fn headers(&self) -> anyhow::Result<Value> {
        self.create(1)?;
        for topic in self.topics() {
            let twice = ["-H", "k=1", "-H", "other=x", "-H", "k=2", "-H", "empty=", "-H", "null"];
            self.produce(&topic, &["key:value", ":empty key", "null value:"], &[&["-K:", "-Z"][..], &twice].concat())?;
        }
        self.consume_both("%t %p %o key %K %k value %S %s headers %h\\n")
    }

    fn offsets(&self) -> anyhow::Result<Value> {
        self.create(2)?;
        let mut seen = Map::new();
        for (topic, alias) in self.topics().into_iter().zip(["one", "two"]) {
            self.produce(&topic, &["a", "b", "c"], &["-p", "0"])?;
            for at in ["-2", "-1", "1"] {
                let asked = [format!("{topic}:0:{at}"), format!("{topic}:1:{at}")];
                let found = self.kcat(&["-Q", "-t", &asked[0], "-t", &asked[1]])?;
                seen.insert(format!("{alias} at {at}"), json!(sorted(found)));
            }
            seen.insert(format!("{alias} from 1"), json!(self.consume(&topic, "%o %s\\n", &["-p", "0", "-o", "1"])?));
            seen.insert(format!("{alias} last"), json!(self.consume(&topic, "%o %s\\n", &["-p", "0", "-o", "-1"])?));
        }
        Ok(seen.into())
    }

    /// Each group reads both topics, then goes on where it was.
    fn groups(&self) -> anyhow::Result<Value> {
        self.create(2)?;
        let mut seen = Map::new();
        let both = self.topics();
        let fill = |values: &[&str]| both.iter().try_for_each(|topic| self.produce(topic, values, &["-p", "0"]));
        fill(&["1", "2", "3"])?;
        for (number, group) in (1..).zip(&self.run.groups) {
            let group = format!("{group}.{}", self.scenario);
            let read = |count: &str| {
                let how = ["-G", &group, "-c", count, "-f", "%t %p %o %s\\n", "-X", "auto.offset.reset=earliest"];
                self.kcat(&[&how, &[both[0].as_str(), &both[1]][..]].concat()).map(sorted)
            };
            let at_first = if number == 1 { "6" } else { "8" };
            seen.insert(format!("group {number}, first"), json!(read(at_first)?));
            fill(&["more"])?;
            seen.insert(format!("group {number}, then"), json!(read("2")?));
        }
        Ok(seen.into())
    }

    fn list(&mut self) -> anyhow::Result<Value> {
        self.create(3)?;
        let printed = self.kcat(&["-L", "-J"])?.concat();
        let all: Value = serde_json::from_str(&printed).context(printed)?;
        let node = |broker: &Value| {
            let (host, port) = broker["name"].as_str().and_then(|name| name.rsplit_once(':')).unwrap_or_default();
            json!({ "id": broker["id"], "host": host, "port": port.parse::<u16>().ok() })
        };
        let nodes: Vec<_> = all["brokers"].as_array().into_iter().flatten().map(node).collect();
        let is_node = |id: &Value| nodes.iter().any(|node| node["id"] == *id);
        let mut seen = Map::new();
        seen.insert("the controller is a node".into(), is_node(&all["controllerid"]).into());
        for topic in all["topics"].as_array().into_iter().flatten() {
            let name = topic["topic"].as_str().unwrap_or_default();
            if !["one", "two"].contains(&name) {
                continue;
            }
            let partitions = topic["partitions"].as_array().into_iter().flatten();
            let led = partitions.map(|one| json!([one["partition"], is_node(&one["leader"])])).collect();
            seen.insert(name.into(), led);
        }
        self.raw.insert("nodes".into(), nodes.into());
        Ok(seen.into())
    }

    /// A producer's topic is made when it is not there; a consumer's is not.
    fn unknown(&self) -> anyhow::Result<Value> {
        let mut seen = Map::new();
        for (topic, alias) in self.topics().into_iter().zip(["one", "two"]) {
            let missing = format!("{topic}.none");
            let refused = self.kcat(&["-C", "-e", "-t", &missing]).err().map(|error| format!("{error:#}"));
            let why = refused.as_deref().unwrap_or_default();
            seen.insert(format!("{alias}, consume"), why.contains("Unknown topic or partition").into());
            self.produce(&topic, &["v"], &["-p", "0"])?;
            seen.insert(format!("{alias}, made"), json!(self.consume(&topic, "%p %o %s\\n", &[])?));
        }
        Ok(seen.into())
    }

    fn topics(&self) -> [String; 2] {
        self.run.topics.each_ref().map(|name| format!("{name}.{}", self.scenario))
    }

    fn create(&self, partitions: i32) -> anyhow::Result<()> {
        let topics = Topics::of(self.run.bootstrap);
        for topic in self.topics() {
            topics.create(&topic, partitions, 1);
            for partition in 0..partitions {
                let end = format!("{topic}:{partition}:-1");
                let led = || self.kcat(&["-Q", "-t", &end]).ok();
                wait::poll(TO_RUN, led).with_context(|| format!("{topic} {partition} has no leader"))?;
            }
        }
        Ok(())
    }

    fn produce(&self, topic: &str, lines: &[impl AsRef<str>], more: &[&str]) -> anyhow::Result<()> {
        let file = self.file("in");
        let mut text = File::create(&file)?;
        for line in lines {
            writeln!(text, "{}", line.as_ref())?;
        }
        let file = file.display().to_string();
        self.kcat(&[&["-P", "-t", topic, "-l", &file], more].concat()).map(drop)
    }

    fn consume(&self, topic: &str, format: &str, more: &[&str]) -> anyhow::Result<Printed> {
        let from_the_start: &[&str] = if more.contains(&"-o") { &[] } else { &["-o", "beginning"] };
        let how = ["-C", "-e", "-X", "check.crcs=true", "-t", topic, "-f", format];
        self.kcat(&[&how, from_the_start, more].concat())
    }

    fn consume_both(&self, format: &str) -> anyhow::Result<Value> {
        let mut seen = Map::new();
        for (topic, alias) in self.topics().into_iter().zip(["one", "two"]) {
            seen.insert(alias.into(), json!(self.consume(&topic, format, &[])?));
        }
        Ok(seen.into())
    }

    fn file(&self, ending: &str) -> PathBuf {
        self.run.output.with_extension(ending)
    }

    /// Its debug log is added to the run's.
    fn kcat(&self, arguments: &[&str]) -> anyhow::Result<Printed> {
        let mut kcat = command("kcat");
        match self.run.client {
            DEBIAN => kcat.env_remove("LD_LIBRARY_PATH"),
            _ => kcat.env("LD_LIBRARY_PATH", built().join("librdkafka")),
        };
        kcat.args(["-b", &self.run.bootstrap.servers, "-d", "broker,metadata"]).args(arguments);
        let output = self.file("kcat");
        let printed = run_to_end("kcat", kcat, TO_RUN, &output);
        let mut log = File::options().create(true).append(true).open(&self.run.log)?;
        log.write_all(&fs::read(self.file("kcat.err"))?)?;
        let [one, two] = self.topics();
        Ok(printed?.replace(&one, "one").replace(&two, "two").lines().map(str::to_owned).collect())
    }
}

fn sorted(mut lines: Printed) -> Printed {
    lines.sort();
    lines
}

/// The system's kcat, whose librdkafka shows one cluster only where several nodes share an address.
pub fn an_old_librdkafka_is_refused(world: &World) {
    // Given a topic, and a kcat with an old librdkafka
    let version = old_version();
    let topic = "a-refused";
    Topics::of(&world.a.bootstrap()).create(topic, 1, 1);
    let proxy = world.start_proxy(&world.config().showing(View::Brokers, None));
    proxy.log().allow("refusing a client");
    let bootstrap = proxy.bootstrap();
    // When it lists, consumes or produces
    for what in [&["-L"][..], &["-C", "-e", "-t", topic], &["-P", "-t", topic, "-l", "/proc/version"]] {
        let printed = old_kcat(world, &bootstrap, what);
        // Then it fails and sees nothing
        assert!(printed.is_err(), "kcat {what:?} went well: {printed:?}");
    }
    // And the log says who it was
    let named = |line: &Value| line["client"] == format!("librdkafka {version}").as_str();
    let log = || fs::read_to_string(proxy.log().file()).unwrap_or_default();
    wait::until(&format!("the log names librdkafka {version}"), wait::seconds(10), || {
        log().lines().filter_map(|line| serde_json::from_str(line).ok()).any(|line: Value| named(&line))
    });
    // And nothing was produced
    let end = world.a.metadata(Some(topic)).map(|_| end_of(world, topic));
    assert_eq!(end, Some(0), "the end of {topic}");
    proxy.finish();
}

/// The same kcat where it is shown what it can use: both clusters are there.
pub fn an_old_librdkafka_is_served(world: &World) {
    old_version();
    for view in [View::Auto, View::Single, View::Hosts] {
        let bootstrap = world.proxy().bootstrap_in(view);
        // Given a topic on each cluster
        let topics = ["a", "b"].map(|home| format!("{home}-old-{}", view.word()));
        Topics::of(&world.a.bootstrap()).create(&topics[0], 2, 1);
        Topics::of(&world.b.bootstrap()).create(&topics[1], 2, 1);
        for topic in &topics {
            Topics::of(&bootstrap).wait_until_led(topic, 2);
            // When it produces to both
            let file = world.directory.join(format!("{topic}.in"));
            fs::write(&file, format!("{topic} one\n{topic} two\n{topic} three\n")).unwrap();
            // In one go: what were sent again might be there twice.
            let how = ["-X", "message.timeout.ms=45000", "-P", "-t", topic, "-l", &file.display().to_string()];
            old_kcat(world, &bootstrap, &how).unwrap_or_else(|error| panic!("cannot produce to {topic}: {error:#}"));
        }
        // And a group reads both at once, then it sees all of both: in `brokers` it would see one cluster only
        let group = format!("ga-old-{}", view.word());
        let reset = "auto.offset.reset=earliest";
        let read = ["-G", &group, "-c", "6", "-f", "%s\\n", "-X", reset, &topics[0], &topics[1]];
        let printed = old_kcat(world, &bootstrap, &read).unwrap_or_else(|error| panic!("{view:?}: {error:#}"));
        let mut lines: Vec<_> = printed.lines().collect();
        lines.sort_unstable();
        let expected = topics.iter().flat_map(|topic| ["one", "three", "two"].map(|which| format!("{topic} {which}")));
        assert_eq!(lines, expected.collect::<Vec<_>>(), "{view:?}");
        // And its nodes are those of the view
        let listed = old_kcat(world, &bootstrap, &["-m", "30", "-L"]).unwrap();
        let nodes = listed.matches("\n  broker ").count();
        let brokers = world.a.brokers().len() + world.b.brokers().len();
        assert_eq!(nodes, if view == View::Hosts { brokers } else { 1 }, "{listed}");
    }
}

/// What `kcat -V` says of itself.
fn old_version() -> String {
    let said = system_kcat(std::process::Command::new("kcat").arg("-V")).output().expect("kcat").stdout;
    let said = String::from_utf8_lossy(&said).into_owned();
    let version = said.split("librdkafka ").nth(1).and_then(|rest| rest.split(' ').next());
    let version = version.unwrap_or_else(|| panic!("kcat -V says {said}")).to_owned();
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    let (major, minor) = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    assert!((major, minor) < (2, 10), "this system's kcat has librdkafka {version}, which would not be refused");
    version
}

/// Cargo adds the folder of the `rdkafka` crate's own library to the path.
fn system_kcat(command: &mut std::process::Command) -> &mut std::process::Command {
    command.env_remove("LD_LIBRARY_PATH")
}

fn old_kcat(world: &World, bootstrap: &Bootstrap, what: &[&str]) -> anyhow::Result<String> {
    let mut kcat = command("kcat");
    system_kcat(&mut kcat).args(["-b", &bootstrap.servers, "-m", "3", "-X", "message.timeout.ms=3000"]).args(what);
    // Trials run beside each other: each run has a file of its own.
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    let run = RUNS.fetch_add(1, Ordering::Relaxed);
    run_to_end("kcat", kcat, TO_RUN, &world.directory.join(format!("old-kcat-{run}.out")))
}

fn end_of(world: &World, topic: &str) -> i64 {
    use rdkafka::consumer::{BaseConsumer, Consumer};
    let servers = world.a.bootstrap().servers;
    let reader: BaseConsumer = rdkafka::ClientConfig::new().set("bootstrap.servers", servers).create().unwrap();
    reader.fetch_watermarks(topic, 0, TO_RUN).unwrap().1
}
