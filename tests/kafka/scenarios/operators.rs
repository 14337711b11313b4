//! Kafka's own command-line tools for operators at Fishplate: each changes what it is for on both clusters, and reads it back.

use super::tools::{TOPICS, make, tool};
use crate::harness::wait;
use crate::world::{World, shared};
use libtest_mimic::Trial;
use std::fs;

const CONFIGS: &str = "kafka.admin.ConfigCommand";
const ACLS: &str = "org.apache.kafka.tools.AclCommand";
const TO_BE_HEARD: std::time::Duration = wait::seconds(60);

pub fn trials() -> Vec<Trial> {
    vec![
        shared("tools: topics are altered, emptied, moved and elected for", of_topics),
        shared("tools: ACLs, quotas and users are made, told and removed", of_users),
    ]
}

fn of_topics(world: &World) {
    for topic in ["a-tools-operate", "b-tools-operate"] {
        make(world, topic);
        tool(world, TOPICS, &["--alter", "--topic", topic, "--partitions", "3"]);
        let described = || tool(world, TOPICS, &["--describe", "--topic", topic]);
        wait::until(&format!("{topic} has grown"), TO_BE_HEARD, || described().matches("Leader: ").count() == 3);
        configs(world, topic);
        let leader = described().split("Leader: ").nth(1).and_then(|rest| rest.split_whitespace().next()?.parse().ok());
        replicas(world, topic, leader.expect("a leader"));
        let file =
            file(world, topic, &format!(r#"{{"partitions": [{{"topic": "{topic}", "partition": 0, "offset": -1}}]}}"#));
        let emptied = tool(world, "org.apache.kafka.tools.DeleteRecordsCommand", &["--offset-json-file", &file]);
        assert!(emptied.contains("low_watermark: 0"), "{emptied}");
        let found = || tool(world, "org.apache.kafka.tools.LogDirsCommand", &["--describe", "--topic-list", topic]);
        wait::until("a broker tells where the new partition lies", TO_BE_HEARD, || {
            found().contains(&format!("{topic}-2"))
        });
        let producers = ["describe-producers", "--topic", topic, "--partition", "0"];
        let producers = tool(world, "org.apache.kafka.tools.TransactionsCommand", &producers);
        assert!(producers.contains("ProducerId"), "{producers}");
    }
}

fn configs(world: &World, topic: &str) {
    let of = ["--entity-type", "topics", "--entity-name", topic];
    tool(world, CONFIGS, &[&["--alter", "--add-config", "retention.ms=5000"], &of[..]].concat());
    let told = || tool(world, CONFIGS, &[&["--describe"], &of[..]].concat()).contains("retention.ms=5000");
    wait::until("brokers tell the config", TO_BE_HEARD, told);
    tool(world, CONFIGS, &[&["--alter", "--delete-config", "retention.ms"], &of[..]].concat());
    wait::until("brokers have forgotten the config", TO_BE_HEARD, || !told());
}

/// A partition is moved to where it is: what the tool does is the same, and cluster b has one broker.
fn replicas(world: &World, topic: &str, leader: i32) {
    const REASSIGN: &str = "org.apache.kafka.tools.reassign.ReassignPartitionsCommand";
    let plan =
        format!(r#"{{"version": 1, "partitions": [{{"topic": "{topic}", "partition": 0, "replicas": [{leader}]}}]}}"#);
    let file = file(world, topic, &plan);
    let started = tool(world, REASSIGN, &["--execute", "--reassignment-json-file", &file]);
    assert!(started.contains("Successfully started partition reassignment"), "{started}");
    let verified = tool(world, REASSIGN, &["--verify", "--reassignment-json-file", &file]);
    assert!(verified.contains(&format!("Reassignment of partition {topic}-0 is completed")), "{verified}");
    let elect = ["--election-type", "preferred", "--topic", topic, "--partition", "0"];
    let elected = tool(world, "org.apache.kafka.tools.LeaderElectionCommand", &elect);
    assert!(elected.contains("Valid replica already elected"), "{elected}");
}

fn of_users(world: &World) {
    for topic in ["a-tools-acls", "b-tools-acls"] {
        for pattern in ["literal", "prefixed"] {
            let of = ["--topic", topic, "--resource-pattern-type", pattern];
            let who = ["--allow-principal", "User:tools", "--operation", "Describe"];
            tool(world, ACLS, &[&["--add"], &who[..], &of[..]].concat());
            let told = || tool(world, ACLS, &[&["--list"], &of[..]].concat()).contains("User:tools");
            wait::until("brokers tell the ACL", TO_BE_HEARD, told);
            tool(world, ACLS, &[&["--remove", "--force"], &who[..], &of[..]].concat());
            wait::until("brokers have forgotten the ACL", TO_BE_HEARD, || !told());
        }
    }
    let all = [
        (["--entity-type", "clients", "--entity-name", "tools"], "producer_byte_rate=1000000", "producer_byte_rate"),
        (
            ["--entity-type", "users", "--entity-name", "tools"],
            "SCRAM-SHA-256=[iterations=4096,password=p]",
            "SCRAM-SHA-256",
        ),
    ];
    for (of, add, name) in all {
        tool(world, CONFIGS, &[&["--alter", "--add-config", add], &of[..]].concat());
        let told = || tool(world, CONFIGS, &[&["--describe"], &of[..]].concat()).contains(name);
        wait::until(&format!("brokers tell {name}"), TO_BE_HEARD, told);
        tool(world, CONFIGS, &[&["--alter", "--delete-config", name], &of[..]].concat());
        wait::until(&format!("brokers have forgotten {name}"), TO_BE_HEARD, || !told());
    }
}

/// A file for a tool that wants one.
fn file(world: &World, topic: &str, text: &str) -> String {
    let file = world.directory.join(format!("{topic}-{}.json", fastrand::u64(..)));
    fs::write(&file, text).unwrap();
    file.to_str().unwrap().to_owned()
}
