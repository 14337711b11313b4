//! Topics on a real cluster, made before a load.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use kafka_protocol::messages::CreateTopicsRequest;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::protocol::StrBytes;

use crate::topics::Topics;

use super::Target;
use super::client::{Connection, discover};

const ALREADY_EXISTS: i16 = 36;
const PATIENCE: Duration = Duration::from_secs(30);

/// Creates the topics unless they are there, with one replica each, and returns when all have leaders.
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
    while let Err(error) = discover(&target.bootstrap, &target.names(), &software) {
        if Instant::now() > until {
            bail!(error.context("topics were made and are not there"));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}
