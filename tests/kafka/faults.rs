//! Faults under load, judged by the history: whatever breaks, records of an idempotent producer are there once and in
//! order, those of a plain one are not lost, and what did not break never notices.
//!
//! Each fault that bare Kafka has too is also run there (`full` level, or `-- --include-ignored`): what fails in both
//! is Kafka's or the harness's.

use crate::harness::config::View;
use crate::harness::link::{Link, Side};
use crate::harness::metrics::Metrics;
use crate::harness::proxy::Proxy;
use crate::harness::topics::Topics;
use crate::harness::{Bootstrap, wait};
use crate::load::Load;
use crate::patching;
use crate::raw::Raw;
use crate::world::{World, alone, full};
use kafka_protocol::messages::{ElectLeadersRequest, FindCoordinatorRequest};
use kafka_protocol::protocol::StrBytes;
use libtest_mimic::Trial;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// A broker's session ends after three seconds, then its partitions get new leaders.
const TO_FAIL_OVER: Duration = wait::seconds(30);
/// For what needs no new leader.
const TO_RECOVER: Duration = wait::seconds(20);
/// Two seconds to see who leads in place of a frozen broker, and time for clients to come back on cores that are shared. It
/// takes some ten seconds where only metadata is read again and links are not given up.
const TO_FOLLOW: Duration = wait::seconds(7);
/// Who connects again waits longer each time it is in vain.
const TO_BREAK: Duration = wait::seconds(180);
/// How long a topic whose cluster is well may seem to stand still while all share two cores with a JVM that starts: shorter
/// than the other cluster is away each time.
const NEVER_NOTICED: Duration = wait::seconds(5);

/// What is done to a scene, and what must hold meanwhile.
type Fault = fn(&Scene<'_>);

/// A fault and where it is played: always under a load in `brokers` and one in `single`.
struct Case {
    name: &'static str,
    fault: Fault,
    /// Bare Kafka has it too.
    bare: bool,
    /// Brokers are reached over TLS, with logins that are believed for five seconds; else over links that can be cut.
    secured: bool,
    /// Which broker of `a` coordinates the loads' groups, where that matters.
    coordinator: Option<i32>,
}

const CASES: [Case; 7] = [
    Case {
        name: "a broker is killed and comes back",
        fault: broker_killed,
        bare: true,
        secured: false,
        coordinator: None,
    },
    Case { name: "a broker is frozen", fault: broker_frozen, bare: true, secured: false, coordinator: Some(3) },
    Case { name: "brokers stop and start", fault: brokers_restarted, bare: true, secured: true, coordinator: None },
    Case {
        name: "links to brokers are cut at every point of a frame, stalled and down",
        fault: broker_links_cut,
        bare: true,
        secured: false,
        coordinator: None,
    },
    Case {
        name: "cluster b stops, is frozen and comes back, a's topics flow on",
        fault: cluster_away,
        bare: false,
        secured: false,
        coordinator: None,
    },
    Case {
        name: "clients' connections are cut at every point of a frame, and clients read slowly, or not at all for a while",
        fault: client_connections_cut,
        bare: false,
        secured: false,
        coordinator: None,
    },
    Case {
        name: "Fishplate is killed, or stopped, and comes back",
        fault: fishplate_restarted,
        bare: false,
        secured: false,
        coordinator: None,
    },
];

pub fn trials() -> Vec<Trial> {
    if !full() {
        eprintln!(
            "only the full level loads at 20 rounds a second, breaks links after more than {} bytes, stops a second broker, kills a \
             whole cluster, and repeats each fault (FISHPLATE_TEST_LEVEL=full)",
            furthest()
        );
    }
    let through = CASES
        .iter()
        .map(|case| alone(format!("fault: {}", case.name), |world| Scene::through(world, case).play(case.fault)));
    let bare = CASES.iter().filter(|case| case.bare).map(|case| {
        let trial = alone(format!("bare fault: {}", case.name), |world| Scene::bare(world, case).play(case.fault));
        trial.with_ignored_flag(!full())
    });
    bare.chain(through).collect()
}

impl Case {
    fn load(&self, world: &World, over: &Bootstrap, topics: &[String]) -> Load {
        // Homed on `a`, wherever its topics live.
        let group = format!("g{}", topics[0]);
        let group = self.coordinator.map_or(group.clone(), |broker| coordinated_by(broker, world, &group));
        Load::start_in(&group, over, &names(topics))
    }
}

/// A group's name that begins so, of which this broker of `a` is the coordinator.
fn coordinated_by(broker: i32, world: &World, prefix: &str) -> String {
    let servers = world.a.bootstrap().servers;
    let names: Vec<_> = (0..100).map(|n| StrBytes::from_string(format!("{prefix}-{n}"))).collect();
    let request = FindCoordinatorRequest::default().with_coordinator_keys(names);
    let found = || {
        let answer = Raw::connect(servers.split(',').next().expect("an address")).call(4, &request);
        answer.coordinators.into_iter().find(|one| one.node_id.0 == broker).map(|one| one.key.to_string())
    };
    wait::poll(wait::seconds(10), found).unwrap_or_else(|| panic!("broker {broker} coordinates no group"))
}

/// A load and what it runs over.
struct Scene<'a> {
    world: &'a World,
    /// Where the clients connect; where there are two, those of the view `single` at the second.
    doors: Vec<Link>,
    proxy: Option<Proxy>,
    /// One on `a`; one on `b` too where the load goes through Fishplate.
    topics: Vec<String>,
    load: Load,
    /// One with topics of its own, in the view `single`. There a connection is answered in order whichever broker a request is
    /// for, so it is promised less: it recovers, but what did not break may notice.
    single: Option<Load>,
}

impl<'a> Scene<'a> {
    /// A load on cluster `a` itself, over links.
    fn bare(world: &'a World, case: &Case) -> Self {
        let topics = given_topics(world, &["a"], &format!("bare {}", case.name));
        let load = case.load(world, &world.a.over_links(), &topics);
        Self { world, doors: Vec::new(), proxy: None, topics, load, single: None }
    }

    /// A load on both clusters through a Fishplate of its own, with links before and behind it.
    fn through(world: &'a World, case: &Case) -> Self {
        let topics = given_topics(world, &["a", "b"], case.name);
        let mut config = if case.secured { patching::secured(world) } else { world.config_over_links() };
        let mut doors = Vec::new();
        for view in [View::Brokers, View::Single] {
            let port = world.ports.take();
            let door = Link::new(world.ports.take(), port).expect("a link");
            config = if doors.is_empty() { config } else { config.listener(view, None) };
            config = config.on_port(port).advertised(&format!("127.0.0.1:{}", door.port()));
            doors.push(door);
        }
        let proxy = world.start_proxy(&config);
        // Where brokers are too busy to hear of a new topic within seconds.
        proxy.log().allow("have not heard of a new shadow topic yet");
        let at =
            |door: &Link, name: &str| Bootstrap { name: name.into(), servers: format!("127.0.0.1:{}", door.port()) };
        let load = case.load(world, &at(&doors[0], "fishplate"), &topics);
        let single = doors.get(1).map(|door| {
            let topics = given_topics(world, &["a", "b"], &format!("single {}", case.name));
            case.load(world, &at(door, "fishplate single"), &topics)
        });
        Self { world, doors, proxy: Some(proxy), topics, load, single }
    }

    /// Does `fault` to it, then everything must flow and nothing may be lost, doubled or reordered.
    fn play(self, fault: Fault) {
        for _ in 0..if full() { 5 } else { 1 } {
            fault(&self);
            self.flows(TO_FAIL_OVER);
            self.world.a.wait_ready();
            self.world.b.wait_ready();
        }
        let clusters = [&self.world.a, &self.world.b];
        let clusters = if self.proxy.is_some() { &clusters[..] } else { &clusters[..1] };
        for (load, view) in [(Some(self.load), ""), (self.single, " in single")] {
            let Some(outcome) = load.map(|load| load.judge(clusters)) else { continue };
            self.world.note(format!("{}{view}: {outcome}", self.topics[0]));
            outcome.must_be_clean();
        }
        if let Some(proxy) = self.proxy {
            proxy.finish();
        }
    }

    /// All loads do.
    #[track_caller]
    fn flows(&self, within: Duration) {
        self.load.flows(within);
        if let Some(single) = &self.single {
            single.flows(within);
        }
    }

    fn proxy(&self) -> &Proxy {
        self.proxy.as_ref().expect("Fishplate")
    }

    /// Warnings that hold this are expected, where there is somebody to warn.
    fn allow(&self, text: &str) {
        if let Some(proxy) = &self.proxy {
            proxy.log().allow(text);
        }
    }

    fn a_topic(&self) -> &str {
        &self.topics[0]
    }

    /// A partition of `a`'s topic that this broker leads, so that its fault is felt.
    fn partition_led_by(&self, broker: i32) -> i32 {
        let led = || (0..PARTITIONS).find(|&partition| self.world.a.leader(self.a_topic(), partition) == Some(broker));
        // One that was too slow for its controller for a while leads nothing until somebody asks for it.
        let found = wait::poll(wait::seconds(3), led).or_else(|| {
            let servers = self.world.a.bootstrap().servers;
            let everywhere = ElectLeadersRequest::default().with_topic_partitions(None).with_timeout_ms(10_000);
            Raw::connect(servers.split(',').next().expect("an address")).call(1, &everywhere);
            wait::poll(wait::seconds(20), led)
        });
        found.unwrap_or_else(|| panic!("broker {broker} leads no partition of {}", self.a_topic()))
    }
}

const PARTITIONS: i32 = 4;

/// Topics named after the trial, with a replica on every broker.
fn given_topics(world: &World, clusters: &[&str], trial: &str) -> Vec<String> {
    let name: String = trial.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let create = |cluster: &&str| {
        let topic = format!("{cluster}-{name}");
        let (cluster, replicas) = if *cluster == "a" { (&world.a, 3) } else { (&world.b, 1) };
        Topics::of(&cluster.bootstrap()).create(&topic, PARTITIONS, replicas);
        topic
    };
    clusters.iter().map(create).collect()
}

fn names(topics: &[String]) -> Vec<&str> {
    topics.iter().map(String::as_str).collect()
}

fn broker_killed(scene: &Scene<'_>) {
    let partition = scene.partition_led_by(2);
    scene.allow("broker 2");
    // When broker 2 is killed
    scene.world.a.broker(2).kill();
    // Then others take its partitions over and all goes on without it
    let moved = || scene.world.a.leader(scene.a_topic(), partition).is_some_and(|leader| leader != 2);
    wait::until("another broker leads", TO_FAIL_OVER, moved);
    scene.flows(TO_RECOVER);
    // And also when it is back
    scene.world.a.broker(2).restart();
    scene.world.a.wait_ready();
}

fn broker_frozen(scene: &Scene<'_>) {
    scene.partition_led_by(3);
    scene.allow("broker 3");
    // When broker 3 answers nothing, its connections still open
    scene.world.a.broker(3).freeze();
    sleep(wait::seconds(5));
    if scene.proxy.is_some() {
        // Then its clients go on with those that lead in its place, which bare clients find out by their own time-outs
        let start = Instant::now();
        scene.load.flows(TO_FOLLOW);
        scene.world.note(format!("all flowed {:.1?} after the first five seconds of frost", start.elapsed()));
    }
    // And all goes on when it is back
    scene.world.a.broker(3).thaw();
}

fn brokers_restarted(scene: &Scene<'_>) {
    for id in if full() { 2..=3 } else { 2..=2 } {
        scene.allow(&format!("broker {id}"));
        // When a broker hands its partitions over and ends
        scene.world.a.broker(id).stop();
        // Then all goes on without it, and when it is back
        scene.flows(TO_RECOVER);
        scene.world.a.broker(id).restart();
        scene.world.a.wait_ready();
    }
}

/// Connections break after fewer bytes than these. Below the full level these are more than a whole Produce frame of a load has.
fn furthest() -> usize {
    if full() { 20_000 } else { 4_000 }
}

/// After how many bytes connections break: inside the first length field, behind it, in the head, and ever further into the
/// frames that follow. Below the full level fewer: clients wait longer each time before they come again.
fn points() -> impl Iterator<Item = usize> {
    let (nearest, step) = if full() { (1, 12) } else { (3, 1) };
    let further = std::iter::successors(Some(30), move |at| Some(at + 1 + at / step));
    (0..=8).step_by(nearest).chain([4, 12, 14]).chain(further.take_while(|at| *at < furthest()))
}

/// New connections over these links break, each at another point, of either side's bytes, until all were tried. Links of
/// one set share the points.
fn break_everywhere(sets: &[&[&Link]]) {
    let links = || sets.iter().flat_map(|set| set.iter());
    for side in [Side::Client, Side::Server] {
        for set in sets {
            for (point, link) in points().zip(set.iter().cycle()) {
                link.break_after(side, [point]);
            }
        }
        links().for_each(|link| link.cut());
        wait::until("connections broke at every point", TO_BREAK, || links().all(|link| link.has_broken_all()));
    }
}

fn broker_links_cut(scene: &Scene<'_>) {
    scene.allow("broker");
    let brokers = scene.world.a.brokers();
    // When connections to brokers break again and again
    for broker in brokers.iter().cycle().take(if full() { 9 } else { 3 }) {
        broker.link.cut();
        scene.flows(TO_RECOVER);
    }
    // And inside of frames, theirs and ours
    break_everywhere(&[&brokers.iter().map(|broker| &broker.link).collect::<Vec<_>>()]);
    scene.flows(TO_FAIL_OVER);
    // And end in good order
    brokers.iter().for_each(|broker| broker.link.close());
    scene.flows(TO_RECOVER);
    // And are slow
    brokers.iter().for_each(|broker| broker.link.slow(Duration::from_millis(20)));
    scene.flows(TO_RECOVER);
    brokers.iter().for_each(|broker| broker.link.flow());
    // And carry nothing for a while
    brokers[1].link.stall();
    sleep(wait::seconds(3));
    brokers[1].link.flow();
    scene.flows(TO_RECOVER);
    // And cannot be made for a while
    brokers[2].link.down();
    sleep(wait::seconds(3));
    brokers[2].link.up();
    // Then all goes on
    scene.flows(TO_RECOVER);
}

fn cluster_away(scene: &Scene<'_>) {
    let b = &scene.world.b;
    scene.allow("cluster 1");
    // When cluster b is away for a while
    b.stop();
    sleep(wait::seconds(5));
    // Then a's topics flow
    scene.load.flows_in(&[scene.a_topic()], NEVER_NOTICED);
    // And metrics say which cluster is away
    let up = |cluster| Metrics::of(&scene.proxy().admin()).sum("fishplate_cluster_up", &[("cluster", cluster)]);
    wait::until("cluster b is shown as down", TO_RECOVER, || (up("a"), up("b")) == (Some(1.0), Some(0.0)));
    // And when it is back, b's do again
    b.restart();
    scene.flows(TO_FAIL_OVER);
    wait::until("cluster b is shown as up", TO_RECOVER, || up("b") == Some(1.0));
    if full() {
        // And also when it is killed
        b.broker(1).kill();
        scene.load.flows_in(&[scene.a_topic()], NEVER_NOTICED);
        b.restart();
        scene.flows(TO_FAIL_OVER);
    }
    // And when it hangs
    b.broker(1).freeze();
    sleep(wait::seconds(5));
    scene.load.flows_in(&[scene.a_topic()], NEVER_NOTICED);
    b.broker(1).thaw();
    scene.flows(TO_FAIL_OVER);
    // And a's never noticed
    let gap = scene.load.longest_gap(scene.a_topic());
    assert!(gap < NEVER_NOTICED, "a's topic stood still for {gap:?} while cluster b was away");
}

fn client_connections_cut(scene: &Scene<'_>) {
    // When clients' connections break again and again, at any moment
    for _ in 0..if full() { 10 } else { 2 } {
        scene.doors.iter().for_each(Link::cut);
        scene.flows(TO_RECOVER);
    }
    // And inside of frames, theirs and ours, in each view
    let doors: Vec<_> = scene.doors.iter().map(|door| [door]).collect();
    break_everywhere(&doors.iter().map(|door| &door[..]).collect::<Vec<_>>());
    scene.flows(TO_FAIL_OVER);
    // And end in good order
    scene.doors.iter().for_each(Link::close);
    scene.flows(TO_RECOVER);
    // And clients take and send slowly
    scene.doors.iter().for_each(|door| door.slow(Duration::from_millis(50)));
    scene.flows(TO_RECOVER);
    scene.doors.iter().for_each(Link::flow);
    // And nothing at all for a while
    scene.doors.iter().for_each(Link::stall);
    sleep(wait::seconds(5));
    scene.doors.iter().for_each(Link::flow);
    // Then all goes on
    scene.flows(TO_RECOVER);
}

fn fishplate_restarted(scene: &Scene<'_>) {
    for killed in if full() { &[true, false, true, false][..] } else { &[true, false] } {
        // When Fishplate is killed, or asked to end, and another takes its place
        if *killed {
            scene.proxy().kill();
        } else {
            let status = scene.proxy().stop();
            assert!(status.success(), "Fishplate ended with {status} after SIGTERM");
        }
        scene.proxy().restart();
        // Then all goes on
        scene.flows(TO_RECOVER);
    }
}
