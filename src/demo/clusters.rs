//! The demo's two clusters: librdkafka's mock clusters, in this process. They speak Kafka's protocol and are not Kafka.
//! Also counts, past Fishplate, what arrived in them.

use super::DemoError;
use super::sample::{Flow, GROUP_HOME, LANE, LANE_HOME, LANE_PARTITIONS};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Brokers of each cluster.
pub(super) const BROKERS: i32 = 3;

/// Two running clusters, in [`Flow::ALL`]'s order; they end when this is dropped.
pub(super) struct Clusters {
    bootstraps: [Vec<String>; 2],
    /// The clusters cannot change threads, so one keeps them until this is dropped.
    end: Option<mpsc::Sender<()>>,
    keeper: Option<JoinHandle<()>>,
}

impl Clusters {
    /// Starts both, with their topics.
    pub(super) fn start() -> Result<Self, DemoError> {
        let (started, starting) = mpsc::channel();
        let (end, ended) = mpsc::channel::<()>();
        let keep = move || match make() {
            Ok(clusters) => {
                let _nobody_waits = started.send(Ok(clusters.each_ref().map(addresses)));
                let _the_other_end_is_gone = ended.recv();
            }
            Err(error) => drop(started.send(Err(error))),
        };
        let keeper = thread::Builder::new().name("mock clusters".to_owned()).spawn(keep).map_err(DemoError::Thread)?;
        let bootstraps = starting.recv().map_err(|_| DemoError::ClustersGone)?.map_err(DemoError::Clusters)?;
        Ok(Self { bootstraps, end: Some(end), keeper: Some(keeper) })
    }

    /// Where a flow's cluster listens: `host:port` of each broker.
    pub(super) fn bootstrap(&self, flow: Flow) -> &[String] {
        let [events, logs] = &self.bootstraps;
        match flow {
            Flow::Events => events,
            Flow::Logs => logs,
        }
    }

    /// How many records of `topic` the cluster of `flow` was ever given, asked of the cluster itself. Blocks.
    pub(super) fn records(&self, flow: Flow, topic: &str) -> Result<u64, DemoError> {
        let asking: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", self.bootstrap(flow).join(","))
            .create()
            .map_err(DemoError::Clusters)?;
        let metadata = asking.fetch_metadata(None, ASK).map_err(DemoError::Clusters)?;
        let Some(found) = metadata.topics().iter().find(|found| found.name() == topic) else { return Ok(0) };
        let mut sum = 0;
        for partition in found.partitions() {
            let (_, end) = asking.fetch_watermarks(topic, partition.id(), ASK).map_err(DemoError::Clusters)?;
            sum += u64::try_from(end).unwrap_or(0);
        }
        Ok(sum)
    }
}

const ASK: Duration = Duration::from_secs(5);

impl Drop for Clusters {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(Err(_panic)) = self.keeper.take().map(JoinHandle::join) {
            tracing::error!("the thread of the mock clusters panicked");
        }
    }
}

type Mock = MockCluster<'static, DefaultProducerContext>;

fn make() -> Result<[Mock; 2], KafkaError> {
    let clusters = [MockCluster::new(BROKERS)?, MockCluster::new(BROKERS)?];
    for (flow, cluster) in Flow::ALL.into_iter().zip(&clusters) {
        for topic in Flow::ALL {
            // A group's home needs a topic of every name that the group commits offsets of. Fishplate makes such shadow
            // topics where a cluster can be asked to; this one has no CreateTopics.
            if topic == flow || flow == GROUP_HOME {
                cluster.create_topic(topic.topic(), topic.partitions(), BROKERS)?;
            }
        }
        if flow == LANE_HOME {
            cluster.create_topic(LANE, LANE_PARTITIONS, BROKERS)?;
        }
    }
    Ok(clusters)
}

fn addresses(cluster: &Mock) -> Vec<String> {
    cluster.bootstrap_servers().split(',').map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cluster_has_its_topic_and_the_groups_home_both() {
        let clusters = Clusters::start().unwrap();
        assert_eq!(clusters.bootstrap(Flow::Events).len(), 3);
        assert_ne!(clusters.bootstrap(Flow::Events), clusters.bootstrap(Flow::Logs));
        for (flow, topic) in [(Flow::Events, Flow::Events), (Flow::Events, Flow::Logs), (Flow::Logs, Flow::Logs)] {
            assert_eq!(clusters.records(flow, topic.topic()).unwrap(), 0);
        }
    }
}
