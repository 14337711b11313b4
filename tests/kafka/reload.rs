//! The config changes while Fishplate runs and clients work: nobody's connection is closed, and what must not be is refused.

use crate::harness::metrics::Metrics;
use crate::harness::process::command;
use crate::harness::proxy::Proxy;
use crate::harness::topics::Topics;
use crate::harness::{Bootstrap, wait};
use crate::load::Load;
use crate::world::{World, alone};
use libtest_mimic::Trial;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

pub fn trials() -> Vec<Trial> {
    vec![
        alone("reload: pipelines and clusters come and go under load and no connection is closed", under_load),
        alone("reload: a topic with records keeps its home, at a reload and at a restart", records_stay),
    ]
}

const WITHIN: Duration = wait::seconds(30);

fn reloads(proxy: &Proxy, result: &str) -> f64 {
    Metrics::of(&proxy.admin()).sum("fishplate_config_reloads_total", &[("result", result)]).unwrap_or(0.0)
}

#[track_caller]
fn becomes(proxy: &Proxy, result: &str, change: impl FnOnce()) {
    let before = reloads(proxy, result);
    change();
    wait::until(&format!("a config is {result}"), WITHIN, || reloads(proxy, result) > before);
}

fn sees(bootstrap: &Bootstrap, topic: &str) -> bool {
    let eyes: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", &bootstrap.servers).create().expect("a consumer");
    let seen = eyes.fetch_metadata(Some(topic), wait::seconds(10)).expect("an answer");
    seen.topics().iter().all(|topic| topic.error().is_none())
        && seen.topics().iter().flat_map(|topic| topic.partitions()).all(|partition| partition.leader() >= 0)
}

/// A folder as Kubernetes mounts a ConfigMap: the file is a link into a folder that is a link, which is what changes.
fn mounted(mount: &Path, number: u32, text: &str) {
    let data = mount.join(format!("..{number}"));
    fs::create_dir_all(&data).expect("a folder");
    fs::write(data.join("fishplate.yaml"), text).expect("a file");
    symlink(format!("..{number}"), mount.join("..data_tmp")).expect("a link");
    fs::rename(mount.join("..data_tmp"), mount.join("..data")).expect("a swap");
}

fn under_load(world: &World) {
    // Given Fishplate before cluster a only, its config mounted as Kubernetes does, and clients at work
    let topics = ["a-reload", "a-reload-two"];
    topics.iter().for_each(|topic| Topics::of(&world.a.bootstrap()).create(topic, 4, 3));
    Topics::of(&world.b.bootstrap()).create("b-reload", 2, 1);
    let mount = world.directory.join("mounted");
    fs::create_dir_all(&mount).expect("a folder");
    let full = world.config().only("reload").yaml();
    let without_b: String = full
        .lines()
        .take_while(|line| !line.contains("name: right"))
        .filter(|line| !line.starts_with("  b: "))
        .map(|line| format!("{line}\n"))
        .collect();
    let without_b = format!("{without_b}admin: {{ bind: 127.0.0.1:0 }}\n");
    mounted(&mount, 1, &without_b);
    symlink("..data/fishplate.yaml", mount.join("fishplate.yaml")).expect("a link");
    let proxy =
        Proxy::of_file(&mount.join("fishplate.yaml"), world.config().views(), &world.directory).expect("Fishplate");
    proxy.wait_ready();
    assert!(!sees(&proxy.bootstrap(), "b-reload"));
    let load = Load::start(&proxy.bootstrap(), &topics);
    let closed = || Metrics::of(&proxy.admin()).sum("fishplate_sessions_closed_total", &[]).unwrap_or(0.0);
    let opened = || Metrics::of(&proxy.admin()).sum("fishplate_sessions_opened_total", &[]).unwrap_or(0.0);
    let steady = (opened(), closed());
    // When cluster b and its pipeline come by a swap of the link, then nothing that flows stops
    becomes(&proxy, "applied", || mounted(&mount, 2, &full));
    load.flows(WITHIN);
    assert_eq!((opened(), closed()), steady, "a connection was closed, or made anew");
    assert!(sees(&proxy.bootstrap(), "b-reload"), "a new pipeline's topic");
    // And a bad file changes nothing, and says why
    proxy.log().allow("config");
    becomes(&proxy, "invalid", || mounted(&mount, 3, "clusters: 1\n"));
    becomes(&proxy, "refused", || mounted(&mount, 4, &full.replace("fishplate-test", "another")));
    load.flows(WITHIN);
    assert!(sees(&proxy.bootstrap(), "b-reload"));
    // And told to look, it looks; what says the same is no change
    becomes(&proxy, "unchanged", || mounted(&mount, 5, &format!("# the same\n{full}")));
    becomes(&proxy, "unchanged", || proxy.hang_up());
    // And when the cluster goes again, its topic does and its series do, and the load's clients never noticed
    becomes(&proxy, "applied", || mounted(&mount, 6, &without_b));
    assert!(!sees(&proxy.bootstrap(), "b-reload"));
    load.flows(WITHIN);
    let by = |reason| {
        Metrics::of(&proxy.admin()).sum("fishplate_sessions_closed_total", &[("reason", reason)]).unwrap_or(0.0)
    };
    let ours: f64 = ["upstream", "held", "overtaking", "unanswered", "refused", "dropped"].map(by).iter().sum();
    assert_eq!(ours, 0.0, "Fishplate closed a connection");
    load.judge(&[&world.a]).must_be_clean();
    proxy.finish();
}

fn write(bootstrap: &Bootstrap, topic: &str) {
    let producer: ThreadedProducer<DefaultProducerContext> =
        ClientConfig::new().set("bootstrap.servers", &bootstrap.servers).create().expect("a producer");
    producer.send(BaseRecord::<str, str>::to(topic).payload("x")).unwrap_or_else(|(error, _)| panic!("{error}"));
    producer.flush(wait::seconds(30)).expect("it is written");
}

/// What the built program says, and its exit code.
fn says(arguments: &[&str]) -> (i32, String) {
    let mut fishplate = command(env!("CARGO_BIN_EXE_fishplate"));
    let output = fishplate.args(arguments).output().expect("fishplate");
    let said = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&said).into_owned())
}

fn records_stay(world: &World) {
    // Given a topic with records on a, and one without
    for topic in ["a-reload-stays", "a-reload-goes"] {
        Topics::of(&world.a.bootstrap()).create(topic, 2, 3);
    }
    write(&world.a.bootstrap(), "a-reload-stays");
    let yaml = world.config().only("reload").yaml();
    let moving = |topic: &str| {
        let pipeline = format!("pipelines:\n  - {{ name: moved, topics: [{topic}], cluster: b }}\n");
        yaml.replace("pipelines:\n", &pipeline)
    };
    let file = world.directory.join("records-stay.yaml");
    fs::write(&file, &yaml).expect("a file");
    let proxy = Proxy::of_file(&file, world.config().views(), &world.directory).expect("Fishplate");
    proxy.wait_ready();
    proxy.log().allow("config");
    // When a pipeline would have the one with records elsewhere, then a diff and the reload refuse it
    let then = world.directory.join("records-stay-then.yaml");
    fs::write(&then, moving("a-reload-stays")).expect("a file");
    let (code, said) = says(&["diff", "-c", &then.to_string_lossy(), "--admin", &proxy.admin()]);
    assert!(code == 1 && said.contains("topic a-reload-stays holds records on a"), "{code}: {said}");
    becomes(&proxy, "refused", || fs::write(&file, moving("a-reload-stays")).expect("a file"));
    assert!(sees(&proxy.bootstrap(), "a-reload-stays"), "what ran before goes on");
    // And the empty one may go
    becomes(&proxy, "applied", || fs::write(&file, moving("a-reload-goes")).expect("a file"));
    assert!(!sees(&proxy.bootstrap(), "a-reload-goes") && sees(&proxy.bootstrap(), "a-reload-stays"));
    let kept = || Metrics::of(&proxy.admin()).sum("fishplate_misplaced_topics", &[("records", "away")]).unwrap_or(0.0);
    let of_others = kept();
    // And at a restart only the one whose records are elsewhere is kept from clients
    proxy.stop();
    fs::write(&file, moving("a-reload-stays")).expect("a file");
    proxy.restart();
    proxy.wait_ready();
    assert!(!sees(&proxy.bootstrap(), "a-reload-stays") && sees(&proxy.bootstrap(), "a-reload-goes"));
    wait::until("it is counted", WITHIN, || kept() == of_others + 1.0);
    // Until its pipeline gives it back
    becomes(&proxy, "applied", || fs::write(&file, &yaml).expect("a file"));
    assert!(sees(&proxy.bootstrap(), "a-reload-stays"));
    proxy.finish();
}
