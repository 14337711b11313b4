//! Records flowing while something breaks: an idempotent and a plain producer (librdkafka) that write to every
//! partition of some topics, a consumer that is told its partitions and a consumer group that reads them meanwhile. All
//! of it becomes a history to be judged.

mod consume;
mod group;
mod produce;
mod progress;

use crate::harness::cluster::Cluster;
use crate::harness::{Bootstrap, wait};
use crate::history::{History, Pass, Promise, Verdict, judge};
pub use consume::read_to_end;
use consume::read_until;
use group::{Seen, read_as_group};
use produce::Producing;
pub use produce::client;
use progress::Progress;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How long clients may take to begin, on a machine that is busy.
const TO_BEGIN: Duration = wait::seconds(90);
/// How long the producers may take to get their last answers.
const TO_DRAIN: Duration = wait::seconds(120);

const EXACTLY_ONCE: u32 = 1;
const AT_LEAST_ONCE: u32 = 2;
const PRODUCERS: [u32; 2] = [EXACTLY_ONCE, AT_LEAST_ONCE];

/// What the threads of a load share.
#[derive(Default)]
struct Shared {
    history: Mutex<History>,
    progress: Progress,
    /// How often each error was the last word on a record.
    errors: Mutex<BTreeMap<String, u32>>,
    stop: AtomicBool,
    /// Every record has its last answer.
    drained: AtomicBool,
}

impl Shared {
    fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn failed(&self, error: String) {
        *self.errors.lock().unwrap_or_else(PoisonError::into_inner).entry(error).or_default() += 1;
    }
}

/// Producers and a consumer at work.
pub struct Load {
    bootstrap: Bootstrap,
    topics: Vec<String>,
    shared: Arc<Shared>,
    producers: Vec<JoinHandle<()>>,
    consumer: JoinHandle<Result<Pass, String>>,
    group: JoinHandle<Seen>,
}

/// What became of a load.
pub struct Outcome {
    /// Whether what was read is what was sent.
    pub verdict: Verdict,
    /// What producers were told in the end of records that they gave up.
    pub errors: BTreeMap<String, u32>,
    /// Acknowledged records that the group never got, by the first few.
    pub missed_by_group: Vec<String>,
}

impl Load {
    /// Starts it and returns when records flow through every partition of the topics.
    #[track_caller]
    pub fn start(bootstrap: &Bootstrap, topics: &[&str]) -> Self {
        // Homed on `a`, wherever its topics live.
        Self::start_in(&format!("g{}", topics[0]), bootstrap, topics)
    }

    /// The same with a consumer group of this name.
    #[track_caller]
    pub fn start_in(group: &str, bootstrap: &Bootstrap, topics: &[&str]) -> Self {
        let topics: Vec<_> = topics.iter().map(|&topic| topic.to_owned()).collect();
        let shared = Arc::new(Shared::default());
        let producers = [(EXACTLY_ONCE, Promise::ExactlyOnce), (AT_LEAST_ONCE, Promise::AtLeastOnce)];
        let producers = producers.map(|(number, promise)| {
            shared.history().producer(number, promise);
            Producing::new(number, promise, bootstrap, &topics, &shared).start()
        });
        let (reading, from, names) = (Arc::clone(&shared), bootstrap.clone(), topics.clone());
        let consumer = thread::spawn(move || read_until(&from, &names, &reading));
        let (reading, from, names) = (Arc::clone(&shared), bootstrap.clone(), topics.clone());
        let group = group.to_owned();
        let group = thread::spawn(move || read_as_group(&group, &from, &names, &reading));
        let load = Self { bootstrap: bootstrap.clone(), topics, shared, producers: producers.into(), consumer, group };
        load.flows(TO_BEGIN);
        load
    }

    /// Waits until records that were sent after this call are acknowledged and read, of every producer in every partition.
    #[track_caller]
    pub fn flows(&self, within: Duration) {
        let topics: Vec<_> = self.topics.iter().map(String::as_str).collect();
        self.flows_in(&topics, within);
    }

    /// The same for some of the topics.
    #[track_caller]
    pub fn flows_in(&self, topics: &[&str], within: Duration) {
        let mark = self.shared.progress.mark();
        let behind = || self.shared.progress.behind(&mark, topics);
        let flows = wait::poll(within, || behind().is_empty().then_some(()));
        assert!(flows.is_some(), "{}: nothing new within {within:?}: {}", self.bootstrap, first(&behind()));
    }

    /// The longest time since `start` in which a topic had no acknowledgement, or nothing was read of it.
    pub fn longest_gap(&self, topic: &str) -> Duration {
        self.shared.progress.longest_gap(topic)
    }

    /// Stops the producers when every record has its answer, reads everything back from each cluster itself and over
    /// the way that was used, and judges.
    #[track_caller]
    pub fn judge(self, clusters: &[&Cluster]) -> Outcome {
        self.shared.stop.store(true, Ordering::Relaxed);
        for producer in self.producers {
            producer.join().expect("a producer panicked");
        }
        self.shared.drained.store(true, Ordering::Relaxed);
        let pass = self.consumer.join().expect("the consumer panicked").unwrap_or_else(|error| panic!("{error}"));
        let seen = self.group.join().expect("the group's consumer panicked");
        let mut history = std::mem::take(&mut *self.shared.history());
        history.pass(pass);
        history.pass(read_to_end(&self.bootstrap, &self.topics));
        for cluster in clusters {
            let own: Vec<_> = self.topics.iter().filter(|topic| topic.starts_with(cluster.name())).cloned().collect();
            history.pass(read_to_end(&cluster.bootstrap(), &own));
        }
        let errors = std::mem::take(&mut *self.shared.errors.lock().unwrap_or_else(PoisonError::into_inner));
        Outcome { verdict: judge(&history), errors, missed_by_group: seen.missing(&history) }
    }
}

impl Outcome {
    /// Panics if anything was lost, doubled, reordered or missed.
    #[track_caller]
    pub fn must_be_clean(&self) {
        self.verdict.must_be_clean();
        assert!(self.missed_by_group.is_empty(), "the group never got {}", first(&self.missed_by_group));
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.verdict)?;
        self.errors.iter().try_for_each(|(error, times)| write!(f, "; {times} times {error}"))
    }
}

/// The first few of many words.
fn first(words: &[String]) -> String {
    const SHOWN: usize = 6;
    let shown = words.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    if words.len() > SHOWN { format!("{shown}, and {} more", words.len() - SHOWN) } else { shown }
}
