//! Topics made, deleted and looked at on a cluster itself, behind Fishplate's back.

use super::{Bootstrap, wait};
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication, TopicResult};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::KafkaResult;
use rdkafka::metadata::MetadataTopic;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use std::time::Duration;

const TO_DO_IT: Duration = wait::seconds(60);
const TO_ASK: Duration = wait::seconds(5);

/// A client for a bootstrap's topics.
pub struct Topics {
    admin: AdminClient<DefaultClientContext>,
    runtime: tokio::runtime::Runtime,
}

impl Topics {
    /// Nothing is asked yet.
    pub fn of(bootstrap: &Bootstrap) -> Self {
        let admin = ClientConfig::new()
            .set("bootstrap.servers", &bootstrap.servers)
            .set("log_level", "0")
            .create()
            .unwrap_or_else(|error| panic!("no admin client for {bootstrap}: {error}"));
        // The admin client wakes futures from a thread of its own; the runtime only waits.
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        Self { admin, runtime: runtime.unwrap_or_else(|error| panic!("no runtime: {error}")) }
    }

    /// Creates a topic whose acknowledged records survive the loss of one broker where it has three replicas.
    #[track_caller]
    pub fn create(&self, name: &str, partitions: i32, replicas: i32) {
        let in_sync = if replicas > 2 { "2" } else { "1" };
        let topic =
            NewTopic::new(name, partitions, TopicReplication::Fixed(replicas)).set("min.insync.replicas", in_sync);
        self.create_as(&topic);
    }

    /// Creates a topic that has settings of its own.
    #[track_caller]
    pub fn create_as(&self, topic: &NewTopic) {
        let answer = self.runtime.block_on(self.admin.create_topics([topic], &options()));
        self.all_well(&format!("create {}", topic.name), answer);
        self.wait_until_led(topic.name, topic.num_partitions);
    }

    /// Waits until this bootstrap leads to brokers that know that they lead these partitions: one that has not heard of it yet
    /// refuses what comes, with 3 or 6.
    #[track_caller]
    pub fn wait_until_led(&self, name: &str, partitions: i32) {
        for partition in 0..partitions {
            let client = self.admin.inner();
            // Asked anew each time: librdkafka keeps for minutes what a broker said that had not heard of the topic yet.
            let ends = || {
                client.fetch_metadata(Some(name), TO_ASK).ok()?;
                client.fetch_watermarks(name, partition, TO_ASK).ok()
            };
            wait::find(&format!("who leads partition {partition} of {name}"), TO_DO_IT, ends);
        }
    }

    /// Deletes a topic.
    #[track_caller]
    pub fn delete(&self, name: &str) {
        self.all_well(&format!("delete {name}"), self.runtime.block_on(self.admin.delete_topics(&[name], &options())));
    }

    /// Deletes a partition's records before an offset, as retention does.
    #[track_caller]
    pub fn delete_records(&self, name: &str, partition: i32, before: i64) {
        let mut of = TopicPartitionList::new();
        let offset = of.add_partition_offset(name, partition, Offset::Offset(before));
        offset.unwrap_or_else(|error| panic!("{before} is no offset: {error}"));
        let answer = self.runtime.block_on(self.admin.delete_records(&of, &options()));
        answer.unwrap_or_else(|error| panic!("cannot delete records of {name}: {error}"));
    }

    /// Deletes a consumer group. False where it still has members.
    pub fn delete_group(&self, name: &str) -> bool {
        let answer = self.runtime.block_on(self.admin.delete_groups(&[name], &options()));
        answer.is_ok_and(|groups| groups.iter().all(Result::is_ok))
    }

    /// Deletes all topics but Kafka's own.
    pub fn delete_all(&self) {
        let seen = self.admin.inner().fetch_metadata(None, TO_DO_IT).unwrap_or_else(|error| panic!("{error}"));
        let names = seen.topics().iter().map(MetadataTopic::name).filter(|name| !name.starts_with("__"));
        let names: Vec<_> = names.collect();
        for some in names.chunks(100) {
            self.all_well("delete them", self.runtime.block_on(self.admin.delete_topics(some, &options())));
        }
    }

    /// Gives a topic so many partitions, more than it has.
    #[track_caller]
    pub fn grow(&self, name: &str, partitions: usize) {
        let wanted = NewPartitions::new(name, partitions);
        let answer = self.runtime.block_on(self.admin.create_partitions(&[wanted], &options()));
        self.all_well(&format!("grow {name}"), answer);
    }

    #[track_caller]
    fn all_well(&self, what: &str, answer: KafkaResult<Vec<TopicResult>>) {
        let answers = answer.unwrap_or_else(|error| panic!("cannot {what}: {error}"));
        for one in answers {
            one.unwrap_or_else(|(topic, code)| panic!("cannot {what}: {topic}: {code}"));
        }
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(TO_DO_IT)).request_timeout(Some(TO_DO_IT))
}
