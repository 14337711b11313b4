//! Static members of groups whose coordinator assigns (KIP-848, `group.instance.id`): one that is stopped and comes back has what it had, and
//! nobody else notices.

use crate::harness::config::View;
use crate::harness::process::Process;
use crate::harness::topics::Topics;
use crate::harness::{Bootstrap, wait};
use crate::raw::{Raw, text};
use crate::scenarios::programs::java_at;
use crate::world::{World, full, shared};
use kafka_protocol::messages::consumer_group_describe_response::{DescribedGroup, Member};
use kafka_protocol::messages::{ConsumerGroupDescribeRequest, GroupId};
use libtest_mimic::Trial;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

const SOON: Duration = wait::seconds(60);
/// The instances' names.
const INSTANCES: [&str; 2] = ["stays", "comes-back"];

pub fn trials() -> Vec<Trial> {
    let librdkafka = |view: View| {
        let name = format!("static members: librdkafka comes back in {}", view.word());
        shared(name, move |world| comes_back(world, view, "librdkafka", &Librdkafka::start))
    };
    let java = shared("static members: Java comes back in brokers", |world| {
        let start = |at: &Bootstrap, topic: &str, group: &str, instance: &str| {
            let log = world.directory.join(format!("{group}-{instance}.log"));
            Java::start(log, at, topic, group, instance)
        };
        comes_back(world, View::Brokers, "java", &start);
    });
    let mut trials = vec![librdkafka(View::Single), java];
    if full() {
        trials.push(librdkafka(View::Brokers));
    }
    trials
}

/// A consumer that is stopped as its users stop it.
trait Stops {
    fn stop(self);
}

fn comes_back<C: Stops>(world: &World, view: View, client: &str, start: &dyn Fn(&Bootstrap, &str, &str, &str) -> C) {
    let at = world.proxy().bootstrap_in(view);
    let group = format!("ga-static-{client}-{}", view.word());
    let topic = format!("a-static-{client}-{}", view.word());
    Topics::of(&world.a.bootstrap()).create(&topic, 4, 1);
    let mut operator = Raw::connect(&at.servers);
    // Given two members with half of a topic each
    let stays = start(&at, &topic, &group, INSTANCES[0]);
    let leaves = start(&at, &topic, &group, INSTANCES[1]);
    let before = wait::find("each has half", SOON, || {
        let settled = |told: &DescribedGroup, one: &Member| has(one).len() == 2 && one.member_epoch == told.group_epoch;
        described(&mut operator, &group).filter(|told| told.members.iter().all(|one| settled(told, one)))
    });
    // When one is stopped
    leaves.stop();
    wait::until("it has left for a while", SOON, || {
        described(&mut operator, &group).is_some_and(|group| of(&group, INSTANCES[1]).member_epoch == AWAY)
    });
    // And started again
    let again = start(&at, &topic, &group, INSTANCES[1]);
    let after = wait::find("it is back", SOON, || {
        described(&mut operator, &group).filter(|group| of(group, INSTANCES[1]).member_epoch > 0)
    });
    // Then it has what it had, under another id, and the group has not changed
    let (was, is) = (of(&before, INSTANCES[1]), of(&after, INSTANCES[1]));
    assert!(was.member_id != is.member_id && has(was) == has(is), "{was:?}\n{is:?}");
    assert_eq!(of(&before, INSTANCES[0]), of(&after, INSTANCES[0]), "the other one notices nothing");
    assert_eq!(before.group_epoch, after.group_epoch);
    again.stop();
    stays.stop();
}

/// The epoch of a static member that has left and may come back.
const AWAY: i32 = -2;

/// A group of both members, with epochs and assignments that are settled.
fn described(operator: &mut Raw, group: &str) -> Option<DescribedGroup> {
    let request = ConsumerGroupDescribeRequest::default().with_group_ids(vec![GroupId(text(group))]);
    let told = operator.call(1, &request).groups.remove(0);
    let named = |one: &Member, instance: &str| one.instance_id.as_deref() == Some(instance);
    let all = INSTANCES.iter().all(|instance| told.members.iter().filter(|one| named(one, instance)).count() == 1);
    (told.error_code == 0 && all && told.members.len() == INSTANCES.len()).then_some(told)
}

fn of<'g>(group: &'g DescribedGroup, instance: &str) -> &'g Member {
    let mut members = group.members.iter();
    members.find(|one| one.instance_id.as_deref() == Some(instance)).expect("a member of that name")
}

fn has(member: &Member) -> Vec<i32> {
    let topics = &member.assignment.topic_partitions;
    let mut all: Vec<_> = topics.iter().flat_map(|topic| topic.partitions.iter().copied()).collect();
    all.sort_unstable();
    all
}

/// rdkafka's own, polled on a thread until it is stopped.
struct Librdkafka {
    over: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Librdkafka {
    fn start(at: &Bootstrap, topic: &str, group: &str, instance: &str) -> Self {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &at.servers)
            .set("group.protocol", "consumer")
            .set("group.id", group)
            .set("group.instance.id", instance)
            .set("log_level", "0")
            .create()
            .expect("a consumer");
        consumer.subscribe(&[topic]).expect("a subscription");
        let over = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&over);
        let thread = thread::spawn(move || {
            while !ends.load(Ordering::Relaxed) {
                drop(consumer.poll(Duration::from_millis(100)));
            }
        });
        Self { over, thread }
    }
}

impl Stops for Librdkafka {
    /// It is closed when it is dropped.
    fn stop(self) {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().expect("its thread");
    }
}

/// Kafka's console consumer.
struct Java(Process);

impl Java {
    fn start(log: std::path::PathBuf, at: &Bootstrap, topic: &str, group: &str, instance: &str) -> Self {
        let mut java = java_at("4.3", &log).unwrap_or_else(|error| panic!("{error:#}"));
        java.args(["org.apache.kafka.tools.consumer.ConsoleConsumer", "--bootstrap-server", &at.servers]);
        java.args(["--topic", topic, "--group", group]);
        for property in ["group.protocol=consumer", &format!("group.instance.id={instance}")] {
            java.args(["--command-property", property]);
        }
        let output = |end: &str| std::fs::File::create(log.with_extension(end)).expect("a file");
        java.stdout(output("read")).stderr(output("err"));
        Self(Process::start("the console consumer", java).unwrap_or_else(|error| panic!("{error:#}")))
    }
}

impl Stops for Java {
    fn stop(self) {
        self.0.stop();
    }
}
