//! Topics on a real cluster, made before a load.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::{CreateTopicsRequest, ListOffsetsRequest};
use kafka_protocol::protocol::StrBytes;

use crate::topics::Topics;

use super::Target;
use super::client::{Connection, Partition, Software, discover};

const ALREADY_EXISTS: i16 = 36;
const PATIENCE: Duration = Duration::from_secs(30);

/// Whether every partition is served: metadata names a leader some time before it takes a request.
fn served(target: &Target, software: &Software) -> Result<()> {
    for node in discover(&target.bootstrap, &target.names(), software)? {
        let mut connection = Connection::open(&node.address, software)?;
        let version = connection.version::<ListOffsetsRequest>()?;
        let end = |of: &Partition| {
            let asked = ListOffsetsPartition::default().with_partition_index(of.index).with_timestamp(-1);
            let name = StrBytes::from_string(of.topic.clone()).into();
            ListOffsetsTopic::default().with_name(name).with_partitions(vec![asked])
        };
        let topics = node.partitions.iter().map(end).collect();
        let request = ListOffsetsRequest::default().with_replica_id((-1).into()).with_topics(topics);
        let answer = connection.call(version, &request)?;
        let told = answer.topics.iter().flat_map(|topic| topic.partitions.iter().map(|of| of.error_code));
        let refused = told.filter(|code| *code != 0).count();
        ensure!(refused == 0, "{refused} partitions are not served");
    }
    Ok(())
}

/// Creates the topics unless they are there, with one replica each, and returns when all are served.
pub(super) fn run(target: &Target, settings: &[(String, String)]) -> Result<()> {
    let (bootstrap, software) = (target.bootstrap.first().context("no bootstrap address")?, target.software());
    let mut connection = Connection::open(bootstrap, &software)?;
    let version = connection.version::<CreateTopicsRequest>()?;
    let setting = |(name, value): &(String, String)| {
        let value = StrBytes::from_string(value.clone());
        CreatableTopicConfig::default().with_name(StrBytes::from_string(name.clone())).with_value(Some(value))
    };
    let topic = |(name, partitions): (String, usize)| {
        Ok(CreatableTopic::default()
            .with_name(StrBytes::from_string(name).into())
            .with_num_partitions(i32::try_from(partitions)?)
            .with_replication_factor(1)
            .with_configs(settings.iter().map(setting).collect()))
    };
    let topics = target.topics.iter().flat_map(Topics::each).map(topic).collect::<Result<Vec<_>>>()?;
    let answer =
        connection.call(version, &CreateTopicsRequest::default().with_topics(topics).with_timeout_ms(10_000))?;
    for topic in &answer.topics {
        let (code, name) = (topic.error_code, topic.name.as_str());
        ensure!(code == 0 || code == ALREADY_EXISTS, "creating {name}: error {code} {:?}", topic.error_message);
    }
    let until = Instant::now() + PATIENCE;
    while let Err(error) = served(target, &software) {
        if Instant::now() > until {
            bail!(error.context("topics were made and are not served"));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}
