//! What the demo is made of: two pipelines on two clusters, and the config that says so.

use std::fmt::Write;
use std::net::SocketAddr;

/// One of the demo's two pipelines, also an index into arrays of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    Events,
    Logs,
}

impl Flow {
    pub(super) const ALL: [Self; 2] = [Self::Events, Self::Logs];

    pub(super) fn of_topic(topic: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|flow| flow.topic() == topic)
    }

    /// The pipeline's name.
    pub(super) fn pipeline(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Logs => "logs",
        }
    }

    pub(super) fn topic(self) -> &'static str {
        match self {
            Self::Events => "events_plugin_ingestion",
            Self::Logs => "logs_ingestion",
        }
    }

    /// The name of its cluster.
    pub(super) fn cluster(self) -> &'static str {
        match self {
            Self::Events => "ingestion",
            Self::Logs => "shared",
        }
    }

    pub(super) fn partitions(self) -> i32 {
        match self {
            Self::Events => 6,
            Self::Logs => 4,
        }
    }
}

/// The token that floods the flow `events` in the demo's second half.
pub(super) const NOISY: &str = "phc_demo_noisy";
/// The limit that keeps it from the others, how much of a token it lets through in a second, and where the rest goes.
pub(super) const LIMIT: &str = "per-token";
pub(super) const LIMIT_A_SECOND: u32 = 200;
pub(super) const LANE: &str = "events_overflow";
pub(super) const LANE_HOME: Flow = Flow::Logs;
pub(super) const LANE_PARTITIONS: i32 = 2;

/// One group reads both topics; the pipeline `events` gives it its home.
pub(super) const GROUP: &str = "fishplate-demo";

/// The group's offsets live there, those of the other cluster's topic too: so an empty topic of that name has to be there.
pub(super) const GROUP_HOME: Flow = Flow::Events;

/// The sample config: `bootstraps` are the clusters' addresses, in [`Flow::ALL`]'s order.
pub(super) fn config(bootstraps: [&[String]; 2], listen: SocketAddr, admin: SocketAddr) -> String {
    let mut text = format!(
        "virtual_cluster: fishplate-demo
default_cluster: shared

listeners:
  - bind: {listen}

clusters:
"
    );
    for (flow, bootstrap) in Flow::ALL.into_iter().zip(bootstraps) {
        let addresses = bootstrap.iter().map(|address| format!("\"{address}\"")).collect::<Vec<_>>().join(", ");
        // Writing to a String cannot fail.
        let _ok = writeln!(text, "  {}: {{ slot: {}, bootstrap: [{addresses}] }}", flow.cluster(), flow as u8);
    }
    let _ok = write!(
        text,
        "
pipelines:
  - name: events
    topics: [\"events_plugin_ingestion*\"]
    groups: [\"fishplate-demo*\"]
    cluster: ingestion
    limits:
      - {{ name: {LIMIT}, key: header(token), rate: {LIMIT_A_SECOND}/s, action: overflow }}
    lanes: {{ overflow: {{ topic: {LANE}, cluster: shared }} }}
  - name: logs
    topics: [\"logs_ingestion*\"]
    cluster: shared

admin: {{ bind: {admin} }}
"
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn the_config_says_what_the_demo_uses() {
        let one = ["127.0.0.1:1".to_owned(), "127.0.0.1:2".to_owned()];
        let two = ["127.0.0.1:3".to_owned()];
        let text = config([&one, &two], "127.0.0.1:9092".parse().unwrap(), "127.0.0.1:9644".parse().unwrap());
        let config = Config::from_text("demo.yaml", &text).unwrap();
        for flow in Flow::ALL {
            let pipeline = config.pipeline_of_topic(flow.topic());
            let cluster = config.cluster(pipeline.cluster).unwrap();
            assert_eq!((pipeline.name.as_str(), cluster.name.as_str()), (flow.pipeline(), flow.cluster()));
            assert_eq!(Flow::of_topic(flow.topic()), Some(flow));
        }
        let lane = config.pipeline_of_topic(LANE).cluster;
        assert_eq!(config.cluster(lane).unwrap().name.as_str(), LANE_HOME.cluster());
        let home = config.pipeline_of_group(GROUP).cluster;
        assert_eq!(config.cluster(home).unwrap().name.as_str(), GROUP_HOME.cluster());
        assert_eq!(config.clusters[0].bootstrap, ["127.0.0.1:1".parse().unwrap(), "127.0.0.1:2".parse().unwrap()]);
    }
}
