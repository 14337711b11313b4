//! Reloads of a whole proxy before clusters that say what a test wants said.

use super::Outcome;
use crate::app::Running;
use crate::config::Config;
use crate::upstream::testing::{Asked, FakeCluster, Reply};
use kafka_protocol::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use kafka_protocol::messages::{ApiKey, ListOffsetsRequest, ListOffsetsResponse};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// Says of every partition that it reaches this far.
fn reaches(offset: i64) -> impl Fn(i32, Asked) -> Reply + Send + Sync + Clone + 'static {
    move |_, asked| match asked.api {
        ApiKey::ListOffsets => {
            let request: ListOffsetsRequest = asked.request();
            let topics = request.topics.iter().map(|topic| {
                let partition =
                    |index| ListOffsetsPartitionResponse::default().with_partition_index(index).with_offset(offset);
                let told = topic.partitions.iter().map(|one| partition(one.partition_index)).collect();
                ListOffsetsTopicResponse::default().with_name(topic.name.clone()).with_partitions(told)
            });
            let answer = ListOffsetsResponse::default().with_topics(topics.collect());
            asked.answer(&answer)
        }
        _ => Reply::Silence,
    }
}

/// The clusters, and the pipelines in the words of the file.
fn config(clusters: &[(&str, &FakeCluster)], pipelines: &str) -> Config {
    let cluster = |(slot, (name, cluster)): (usize, &(&str, &FakeCluster))| {
        format!("  {name}: {{ slot: {slot}, bootstrap: ['{}'] }}\n", cluster.bootstrap()[0])
    };
    let clusters: String = clusters.iter().enumerate().map(cluster).collect();
    let text = format!(
        "virtual_cluster: v\ndefault_cluster: a\nlisteners: [{{ bind: '127.0.0.1:0' }}]\nclusters:\n{clusters}pipelines: [{pipelines}]\n"
    );
    Config::from_text("c.yaml", &text).unwrap()
}

fn reasons(outcome: &Outcome) -> Vec<String> {
    let Outcome::Refused(refusals) = outcome else { panic!("{outcome:?}") };
    refusals.iter().map(|one| one.words().0).collect()
}

#[tokio::test]
async fn clusters_and_pipelines_come_and_go_and_a_client_stays() {
    // Given two clusters, of which the config has one, and a client
    let a = FakeCluster::start(1, &[("x", &[1])], reaches(0)).await;
    let b = FakeCluster::start(1, &[("b-1", &[1])], reaches(0)).await;
    let one = config(&[("a", &a)], "");
    let both = config(&[("a", &a), ("b", &b)], "{ name: right, topics: ['b-*'], cluster: b }");
    let running = Running::start(one.clone()).await.unwrap();
    let _client = TcpStream::connect(running.addresses().listeners[0]).await.unwrap();
    let context = running.contexts[0].clone();
    timeout(Duration::from_secs(5), async {
        while context.sessions.is_empty() {
            sleep(Duration::from_millis(1)).await;
        }
    })
    .await
    .unwrap();
    // When the other one comes with a pipeline, then its topic is there when the reload is done
    let outcome = running.reload(both).await.unwrap();
    assert!(matches!(&outcome, Outcome::Applied(changes) if changes.len() == 2), "{outcome:?}");
    assert!(context.current.load().topic("b-1").is_some() && context.current.load().topic("x").is_some());
    assert_eq!(context.clusters.all().len(), 2);
    // And when both go again, so does the topic, and the client does not
    assert!(matches!(running.reload(one.clone()).await.unwrap(), Outcome::Applied(_)));
    assert!(context.current.load().topic("b-1").is_none());
    assert_eq!((context.clusters.all().len(), context.sessions.len()), (1, 1));
    assert_eq!(running.reload(one).await.unwrap(), Outcome::Unchanged);
    running.stop().await;
}

#[tokio::test]
async fn a_topic_with_records_does_not_move_and_an_empty_one_does() {
    let topics: [&[_]; 2] = [&[("x", &[1][..]), ("y", &[1])], &[]];
    for (offset, refused) in [(7, true), (0, false)] {
        let a = FakeCluster::start(1, topics[0], reaches(offset)).await;
        let b = FakeCluster::start(1, topics[1], reaches(0)).await;
        let clusters = [("a", &a), ("b", &b)];
        let running = Running::start(config(&clusters, "")).await.unwrap();
        let outcome = running.reload(config(&clusters, "{ name: p, topics: [x], cluster: b }")).await.unwrap();
        let current = running.contexts[0].current.load();
        if refused {
            let told = reasons(&outcome);
            let wanted = "topic x holds records on a and the pipeline p would have it on b: it has been written: partition 0 reaches offset 7";
            assert_eq!(told, [wanted]);
            assert!(current.topic("x").is_some_and(|place| place.is_led()), "what ran before goes on");
        } else {
            assert!(matches!(outcome, Outcome::Applied(_)), "{outcome:?}");
            assert!(current.topic("x").is_none());
        }
        assert!(current.topic("y").is_some_and(|place| place.is_led()));
        running.stop().await;
    }
}

#[tokio::test]
async fn at_the_start_only_the_topic_whose_records_are_elsewhere_is_kept_from_clients() {
    let a = FakeCluster::start(1, &[("p-1", &[1]), ("x", &[1])], reaches(7)).await;
    let b = FakeCluster::start(1, &[("p-2", &[1])], reaches(0)).await;
    let clusters = [("a", &a), ("b", &b)];
    let running = Running::start(config(&clusters, "{ name: p, topics: ['p-*'], cluster: b }")).await.unwrap();
    let current = running.contexts[0].current.clone();
    let led = |topic: &str| current.load().topic(topic).map(|place| place.is_led());
    assert_eq!((led("p-1"), led("p-2"), led("x")), (Some(false), Some(true), Some(true)));
    assert_eq!(running.telemetry().shown("fishplate_misplaced_topics", &[("records", "away")]), Some(1.0));
    // And when the pipeline gives it back, it is served
    let mended = config(&clusters, "{ name: p, topics: ['p-*', '!p-1'], cluster: b }");
    assert!(matches!(running.reload(mended).await.unwrap(), Outcome::Applied(_)));
    assert_eq!(led("p-1"), Some(true));
    running.stop().await;
}

#[tokio::test]
async fn what_needs_a_restart_refuses_the_whole_file() {
    let a = FakeCluster::start(1, &[("x", &[1])], reaches(0)).await;
    let running = Running::start(config(&[("a", &a)], "")).await.unwrap();
    let mut other = config(&[("a", &a)], "{ name: p, topics: [y], cluster: a }");
    other.virtual_cluster = "w".into();
    let outcome = running.reload(other).await.unwrap();
    assert_eq!(reasons(&outcome), ["`virtual_cluster` is v and would be w"]);
    assert_eq!(running.contexts[0].current.load().config.pipelines.len(), 1);
    running.stop().await;
}

#[tokio::test]
async fn an_unknown_cluster_is_not_an_empty_one() {
    let a = FakeCluster::start(1, &[("x", &[1])], reaches(0)).await;
    let gone = FakeCluster::start(1, &[], reaches(0)).await;
    let both = config(&[("a", &a), ("b", &gone)], "{ name: p, topics: ['q-*'], cluster: b }");
    drop(gone);
    let running = Running::start(config(&[("a", &a)], "")).await.unwrap();
    let outcome = running.reload(both).await.unwrap();
    let told = reasons(&outcome);
    assert!(told.len() == 1 && told[0].starts_with("it is not known which topics are on b: "), "{told:?}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_that_lead_nowhere_are_refused_and_say_nothing_of_the_cluster() {
    let a = FakeCluster::start(1, &[("x", &[1])], reaches(0)).await;
    let gone = FakeCluster::start(1, &[], reaches(0)).await;
    let nowhere = config(&[("a", &gone)], "");
    drop(gone);
    let running = Running::start(config(&[("a", &a)], "")).await.unwrap();
    let up = || running.telemetry().shown("fishplate_cluster_up", &[("cluster", "a")]);
    let is_up = async {
        while up() != Some(1.0) {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(10), is_up).await.expect("the cluster is up");
    for _ in 0..8 {
        let told = reasons(&running.reload(nowhere.clone()).await.unwrap());
        assert!(
            told.len() == 1 && told[0].starts_with("the new addresses of cluster a do not lead to it: "),
            "{told:?}"
        );
        assert_eq!(up(), Some(1.0));
    }
    // What was asked at the new addresses is told under a name of its own.
    let labels = [("cluster", "a at its new addresses")];
    assert!(running.telemetry().shown("fishplate_links_failed_total", &labels).is_some_and(|failed| failed > 0.0));
    assert_eq!(running.telemetry().shown("fishplate_links_failed_total", &[("cluster", "a")]).unwrap_or_default(), 0.0);
    running.stop().await;
}

#[tokio::test]
async fn new_addresses_are_where_a_cluster_is_sought_when_its_brokers_are_gone() {
    // Given a cluster, and its new brokers, which its old ones do not tell of
    let old = FakeCluster::start(1, &[("x", &[1])], reaches(0)).await;
    let new = FakeCluster::start(1, &[("x", &[1]), ("y", &[1])], reaches(0)).await;
    let running = Running::start(config(&[("a", &old)], "")).await.unwrap();
    let outcome = running.reload(config(&[("a", &new)], "")).await.unwrap();
    assert!(matches!(&outcome, Outcome::Applied(changes) if changes.len() == 1), "{outcome:?}");
    // When the old ones go
    let cluster = running.contexts[0].clusters.all()[0].clone();
    drop(old);
    // Then it is found at the new ones
    let found = async {
        while !cluster.news().borrow().snapshot.topics.contains_key("y".as_bytes()) {
            cluster.no_older_than(Duration::ZERO).await;
        }
    };
    timeout(Duration::from_secs(20), found).await.expect("it is found");
    assert_eq!(cluster.news().borrow().down, None);
    running.stop().await;
}
