//! Kafka Streams with `exactly_once_v2`, a state store and a repartition topic, killed and started again.

use super::{SOON, write};
use crate::committed::{self, value};
use crate::harness::Bootstrap;
use crate::harness::process::{Process, command};
use crate::harness::topics::Topics;
use crate::harness::wait;
use crate::scenarios::programs;
use crate::world::World;
use rdkafka::Message;
use std::collections::BTreeMap;
use std::fs::File;
use std::thread::sleep;
use std::time::Duration;

const PARTITIONS: i32 = 2;
const LINES: i32 = 300;
const WORDS: [&str; 4] = ["a", "count", "of", "words"];

/// Its input lives on `b`; its group, its transactional ids, its output and the topics that it makes for itself on `a`.
pub fn count_once(world: &World) {
    programs::set_up().unwrap_or_else(|error| panic!("{error:#}"));
    let proxy = world.start_proxy(&world.config());
    let (from, to) = ("b-streams", "a-streams");
    Topics::of(&world.b.bootstrap()).create(from, PARTITIONS, 1);
    Topics::of(&world.a.bootstrap()).create(to, PARTITIONS, 3);
    let start = |number: usize| {
        let built = programs::built().join("streams");
        let mut java = command("java");
        java.arg("-XX:+UseSerialGC").arg(format!("-Dscenario.log={}", world.directory.join("streams.log").display()));
        java.arg("-cp").arg(format!("{0}/classes:{0}/lib/*", built.display()));
        java.args(["WordCount", &proxy.bootstrap().servers, "ga-streams", from, to])
            .arg(world.directory.join("streams"));
        let said = File::create(world.directory.join(format!("streams-{number}.out"))).expect("a file");
        java.stdout(said.try_clone().expect("it twice")).stderr(said);
        Process::start("Kafka Streams", java).unwrap_or_else(|error| panic!("{error:#}"))
    };
    let write = || write(&proxy.bootstrap(), from, (0..LINES).map(|line| (line % PARTITIONS, "a count of words")));
    let all = |times: i32| {
        let counted = counts(&proxy.bootstrap(), to);
        WORDS.iter().all(|word| counted.get(*word).and_then(|all| all.last()) == Some(&(times * LINES)))
    };
    // Given an application that has counted
    let first = start(1);
    write();
    wait::until("all is counted", SOON * 2, || all(1));
    // When it is killed in the middle of more, and comes back
    write();
    sleep(Duration::from_millis(100));
    drop(first);
    write();
    let _second = start(2);
    // Then it has counted everything, and each count stands once and in order
    wait::until("all is counted", SOON * 2, || all(3));
    for (word, counted) in counts(&proxy.bootstrap(), to) {
        assert!(counted.is_sorted_by(|one, other| one < other), "{word}: {counted:?}");
    }
    proxy.finish();
}

/// What was committed of each word, in order.
fn counts(at: &Bootstrap, topic: &str) -> BTreeMap<String, Vec<i32>> {
    let mut counts = BTreeMap::<_, Vec<_>>::new();
    for record in committed::records(at, topic, PARTITIONS) {
        let word = String::from_utf8_lossy(record.key().unwrap_or_default()).into_owned();
        counts.entry(word).or_default().push(value(&record).parse().expect("a count"));
    }
    counts
}
