//! An Apache Kafka cluster in KRaft mode on this machine. Broker 1 is also the controller: a test that kills brokers
//! of a larger cluster picks another one.

use super::broker::{Broker, format, java, kafka_uuid};
use super::link::Link;
use super::ports::Ports;
use super::secured::{self, Doors, PROTOCOLS, Pki};
use super::{Bootstrap, wait};
use anyhow::Context;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::metadata::Metadata;
use std::fs;
use std::path::Path;
use std::time::Duration;

const TO_START: Duration = wait::seconds(90);
const TO_ANSWER: Duration = wait::seconds(5);

/// What a cluster is to be.
#[derive(Clone, Copy)]
pub struct Plan {
    /// `a`: stands in names and messages.
    pub name: &'static str,
    /// Which of the Apache Kafkas in the cache: `4.3`, `3.9`.
    pub kafka: &'static str,
    /// How many.
    pub brokers: usize,
}

/// A running cluster; ends when dropped.
pub struct Cluster {
    name: &'static str,
    brokers: Vec<Broker>,
    pki: Pki,
    eyes: BaseConsumer,
}

impl Cluster {
    /// Starts it in a folder of its own under `directory` and returns when all brokers serve.
    pub fn start(plan: Plan, ports: &Ports, directory: &Path) -> anyhow::Result<Self> {
        let pki = Pki::make(directory.join(plan.name).join("tls"))?;
        let brokers = lay_out(plan, ports, &pki, &directory.join(plan.name))?;
        for broker in &brokers {
            broker.start()?;
        }
        let servers = servers(&brokers, |broker| broker.port);
        let eyes = ClientConfig::new().set("bootstrap.servers", servers).set("log_level", "0").create()?;
        let cluster = Self { name: plan.name, brokers, pki, eyes };
        cluster.wait_for_start()?;
        Ok(cluster)
    }

    /// As its plan has it.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Its brokers themselves.
    pub fn bootstrap(&self) -> Bootstrap {
        let servers = servers(&self.brokers, |broker| broker.port);
        Bootstrap { name: format!("bare {}", self.name), servers }
    }

    /// Its brokers over their links, which a test can cut. Who starts here never sees another way.
    pub fn over_links(&self) -> Bootstrap {
        let servers = servers(&self.brokers, |broker| broker.link.port());
        Bootstrap { name: format!("{} over links", self.name), servers }
    }

    /// Its brokers where SASL over TLS is spoken.
    pub fn secured(&self) -> Bootstrap {
        let servers = servers(&self.brokers, |broker| broker.doors.secured);
        Bootstrap { name: format!("{} over TLS", self.name), servers }
    }

    /// Its brokers where clients show a certificate.
    pub fn mutual(&self) -> Bootstrap {
        let servers = servers(&self.brokers, |broker| broker.doors.mutual);
        Bootstrap { name: format!("{} over mutual TLS", self.name), servers }
    }

    /// Its brokers where clients log in without TLS.
    pub fn named(&self) -> Bootstrap {
        let servers = servers(&self.brokers, |broker| broker.doors.named);
        Bootstrap { name: format!("{} by name", self.name), servers }
    }

    /// Its certificates.
    pub fn pki(&self) -> &Pki {
        &self.pki
    }

    /// Kafka's own number of a broker, from 1.
    #[track_caller]
    pub fn broker(&self, id: i32) -> &Broker {
        let index = usize::try_from(id - 1).ok();
        index.and_then(|index| self.brokers.get(index)).unwrap_or_else(|| panic!("no broker {id} in {}", self.name))
    }

    /// All of them.
    pub fn brokers(&self) -> &[Broker] {
        &self.brokers
    }

    /// Stops all brokers; the controller last.
    pub fn stop(&self) {
        self.brokers.iter().rev().for_each(Broker::stop);
    }

    /// Starts all brokers again after `stop` and waits until they serve.
    #[track_caller]
    pub fn restart(&self) {
        self.brokers.iter().for_each(Broker::restart);
        self.wait_ready();
    }

    /// Makes it whole again, whatever a test that failed has left.
    #[track_caller]
    pub fn heal(&self) {
        self.brokers.iter().for_each(Broker::heal);
        self.wait_ready();
    }

    /// Kills what still runs: the end of a test run.
    pub fn end(&self) {
        self.brokers.iter().for_each(Broker::end);
    }

    /// Waits until every broker is back and every replica in sync.
    #[track_caller]
    pub fn wait_ready(&self) {
        wait::until(&format!("cluster {} is whole and in sync", self.name), TO_START, || {
            self.metadata(None).is_some_and(|seen| seen.brokers().len() == self.brokers.len() && in_sync(&seen))
        });
    }

    /// What the cluster itself says of one topic, or of all.
    pub fn metadata(&self, topic: Option<&str>) -> Option<Metadata> {
        self.eyes.fetch_metadata(topic, TO_ANSWER).ok()
    }

    /// Who leads a partition now; `None` while nobody does.
    pub fn leader(&self, topic: &str, partition: i32) -> Option<i32> {
        let seen = self.metadata(Some(topic))?;
        let partitions = seen.topics().first()?.partitions();
        let leader = partitions.iter().find(|found| found.id() == partition)?.leader();
        (leader >= 0).then_some(leader)
    }

    fn wait_for_start(&self) -> anyhow::Result<()> {
        let ended = wait::poll(TO_START, || {
            if let Some(error) = self.brokers.iter().find_map(|broker| broker.check_alive().err()) {
                return Some(Err(error));
            }
            let listening = self.brokers.iter().all(Broker::listens);
            let whole = || self.metadata(None).is_some_and(|seen| seen.brokers().len() == self.brokers.len());
            (listening && whole()).then_some(Ok(()))
        });
        let log = self.brokers[0].log_file();
        ended.with_context(|| format!("cluster {} is not up after {TO_START:?}: see {}", self.name, log.display()))?
    }
}

fn in_sync(seen: &Metadata) -> bool {
    let mut partitions = seen.topics().iter().flat_map(|topic| topic.partitions());
    partitions.all(|partition| partition.leader() >= 0 && partition.isr().len() == partition.replicas().len())
}

fn servers(brokers: &[Broker], port: impl Fn(&Broker) -> u16) -> String {
    brokers.iter().map(|broker| format!("127.0.0.1:{}", port(broker))).collect::<Vec<_>>().join(",")
}

/// Writes every node's files.
fn lay_out(plan: Plan, ports: &Ports, pki: &Pki, directory: &Path) -> anyhow::Result<Vec<Broker>> {
    let cluster_id = kafka_uuid();
    let controller = ports.take();
    let mut brokers = Vec::new();
    for node in 1..=plan.brokers {
        let folder = directory.join(node.to_string());
        let (port, linked) = (ports.take(), ports.take());
        let link = Link::new(ports.take(), linked)?;
        fs::create_dir_all(&folder)?;
        let doors = Doors::take(ports);
        let settings = settings(plan, node, controller, (port, linked, link.port()), doors, &folder);
        fs::write(folder.join("server.properties"), settings + &secured::settings(pki))?;
        if node == 1 {
            format_controller(plan.kafka, &folder, &cluster_id)?;
        } else {
            format(&folder, &cluster_id, node)?;
        }
        let name = format!("broker {node} of {}", plan.name);
        brokers.push(Broker::new(name, port, link, doors, plan.kafka, folder));
    }
    Ok(brokers)
}

/// The controller's folder also takes the cluster's first features, which only Kafka's own tool writes.
fn format_controller(kafka: &str, folder: &Path, cluster_id: &str) -> anyhow::Result<()> {
    let mut tool = java(kafka)?;
    tool.args(["kafka.tools.StorageTool", "format", "-t", cluster_id, "-c"]).arg(folder.join("server.properties"));
    let output = tool.args(secured::first_users()).output().context("cannot run java")?;
    let said = [output.stdout, output.stderr].concat();
    anyhow::ensure!(output.status.success(), "StorageTool: {}", String::from_utf8_lossy(&said));
    Ok(())
}

/// Six listeners: DIRECT for brokers and tests, LINKED for who comes over the link, SECURED, MUTUAL and NAMED for who says who it is,
/// CONTROLLER on node 1.
fn settings(
    plan: Plan,
    node: usize,
    controller: u16,
    (port, linked, link): (u16, u16, u16),
    doors: Doors,
    folder: &Path,
) -> String {
    let over_tls = doors.listeners();
    let data = folder.join("data");
    let replicas = plan.brokers;
    let in_sync = replicas.min(2);
    let (roles, own_listener) = match node {
        1 => ("broker,controller", format!(",CONTROLLER://127.0.0.1:{controller}")),
        _ => ("broker", String::new()),
    };
    format!(
        "process.roles={roles}
node.id={node}
broker.rack=r{node}
controller.quorum.voters=1@127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listeners=DIRECT://127.0.0.1:{port},LINKED://127.0.0.1:{linked}{over_tls}{own_listener}
advertised.listeners=DIRECT://127.0.0.1:{port},LINKED://127.0.0.1:{link}{over_tls}
listener.security.protocol.map=DIRECT:PLAINTEXT,LINKED:PLAINTEXT,CONTROLLER:PLAINTEXT{PROTOCOLS}
inter.broker.listener.name=DIRECT
log.dirs={data}
default.replication.factor={replicas}
offsets.topic.replication.factor={replicas}
transaction.state.log.replication.factor={replicas}
share.coordinator.state.topic.replication.factor={replicas}
transaction.state.log.min.isr={in_sync}
share.coordinator.state.topic.min.isr={in_sync}
{COMMON}",
        data = data.display()
    )
}

/// Quick to fail over, quick to start, small and idle where nobody asks (network threads are of each of six listeners; a controller
/// that has nothing to say says nothing); what client libraries' own suites expect; records of any age stay; who says its
/// rack reads there (KIP-392); all may do everything, but for who comes by the name that may do nothing.
const COMMON: &str = "num.partitions=4
replica.selector.class=org.apache.kafka.common.replica.RackAwareReplicaSelector
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
group.consumer.min.heartbeat.interval.ms=300
group.consumer.heartbeat.interval.ms=300
group.share.min.heartbeat.interval.ms=300
group.share.heartbeat.interval.ms=300
group.share.record.lock.duration.ms=15000
offsets.topic.num.partitions=8
transaction.state.log.num.partitions=8
transaction.abort.timed.out.transaction.cleanup.interval.ms=500
share.coordinator.state.topic.num.partitions=8
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS;User:fishplate;User:CN=client
num.network.threads=1
num.io.threads=4
background.threads=2
group.coordinator.threads=1
metadata.max.idle.interval.ms=0
log.index.size.max.bytes=131072
log.cleaner.dedupe.buffer.size=4194304
log.cleaner.backoff.ms=1000
log.retention.ms=-1
";
