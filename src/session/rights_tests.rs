//! Sessions whose clients may not do everything, in one process, before brokers that note what reaches them.

use super::counting_tests::{fetch, serves};
use super::testing::{World, produce, text, written};
use crate::api::each::{self, Visitor};
use crate::api::leak_tests::samples;
use crate::api::{Api, Codes, ErrorCodes};
use crate::config::Config;
use crate::placement::Placement;
use crate::types::{BrokerId, Name, Target};
use crate::upstream::testing::{Asked, Reply};
use crate::wire::codec::decode;
use crate::wire::versions::{SERVED, Served};
use bytes::Bytes;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{
    ApiKey, FetchResponse, GroupId, InitProducerIdRequest, MetadataRequest, ProduceResponse, SaslAuthenticateResponse,
    SaslHandshakeResponse, ShareAcknowledgeResponse, ShareFetchRequest, ShareFetchResponse, TopicName,
    share_fetch_request,
};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// What reached brokers.
type Reached = Arc<Mutex<Vec<ApiKey>>>;

fn noting(reached: &Reached) -> impl Fn(i32, Asked) -> Reply + Send + Sync + Clone + 'static {
    let reached = Arc::clone(reached);
    move |id, asked| {
        reached.lock().push(asked.api);
        if asked.api == ApiKey::Produce { written(&asked, 0) } else { serves(0)(id, asked) }
    }
}

/// The error codes of an answer to an API.
struct CodesOf {
    body: Bytes,
    version: i16,
}

impl Visitor for CodesOf {
    type Output = Codes;

    fn visit<A: Api>(self) -> Codes {
        codes_of::<A::Response>(self.body, self.version)
    }
}

fn codes_of<M: crate::wire::shape::Shaped + ErrorCodes>(body: Bytes, version: i16) -> Codes {
    let answer: M = decode(body, version).unwrap();
    let mut codes = Codes::default();
    answer.tell(&mut codes);
    codes
}

/// Those that nobody needs a right for: they come before it is known who asks.
const OPEN: [ApiKey; 3] = [ApiKey::ApiVersions, ApiKey::SaslHandshake, ApiKey::SaslAuthenticate];

/// Those that tell nothing at all where nothing may be told.
const SILENT: [ApiKey; 4] = [ApiKey::Metadata, ApiKey::ListGroups, ApiKey::ListTransactions, ApiKey::DescribeCluster];

#[tokio::test]
async fn who_has_no_rights_finds_nothing_done_and_nothing_told_by_any_api() {
    let reached = Reached::default();
    let world = World::guarded("{ super_users: ['User:root'] }", noting(&reached)).await;
    nothing_is_done_and_nothing_told(&world).await;
    assert_eq!(*reached.lock(), [], "a broker was asked");
    assert!(world.shown("denied_total", &[("operation", "Alter"), ("resource", "Cluster")]) > 0.0);
}

#[tokio::test]
async fn who_has_no_identity_anywhere_finds_nothing_either() {
    let reached = Reached::default();
    let script = {
        let noting = noting(&reached);
        move |id, asked: Asked| match asked.api {
            // As which we come, or nobody would be asked for metadata.
            ApiKey::SaslHandshake => asked.answer(&SaslHandshakeResponse::default()),
            ApiKey::SaslAuthenticate => asked.answer(&SaslAuthenticateResponse::default()),
            _ => noting(id, asked),
        }
    };
    let keys = ", sasl: { mechanism: PLAIN, username: us, password: p }, unmapped: refuse, identities: { one: { principals: \
                ['User:one'], sasl: { mechanism: PLAIN, username: one, password: p } } }";
    let world = World::keyed((keys, keys), script).await;
    nothing_is_done_and_nothing_told(&world).await;
    assert_eq!(*reached.lock(), [], "a broker was asked");
}

/// Tries every API in every version.
async fn nothing_is_done_and_nothing_told(world: &World) {
    for row in SERVED.iter().copied().filter(|row| !OPEN.contains(&row.api)) {
        let Served { api, max, .. } = row;
        for version in row.lowest()..=max {
            for body in [vec![samples::body(api, version)], samples::others(api, version)].concat() {
                let mut client = world.client().await;
                let answer = client.ask(api, version, &body).await;
                for name in ["l-1", "l-2", "r-1", "f-1"] {
                    let told = answer.windows(name.len()).any(|window| window == name.as_bytes());
                    assert!(!told, "{api:?} {version} tells of {name}");
                }
                let codes = match api {
                    ApiKey::Produce => codes_of::<ProduceResponse>(answer, version),
                    ApiKey::Fetch => codes_of::<FetchResponse>(answer, version),
                    ApiKey::ShareFetch => codes_of::<ShareFetchResponse>(answer, version),
                    ApiKey::ShareAcknowledge => codes_of::<ShareAcknowledgeResponse>(answer, version),
                    _ => each::show(api, CodesOf { body: answer, version }).unwrap(),
                };
                let names: Vec<_> = codes.names().collect();
                // Of an id that nobody knows nothing is known that could be denied.
                let is_denied = |name: &&str| name.ends_with("AUTHORIZATION_FAILED") || *name == "UNKNOWN_TOPIC_ID";
                assert!(names.iter().all(is_denied), "{api:?} {version}: {names:?}");
                let is_silent = SILENT.contains(&api) && !names_topics(api, &body);
                // Which has no place for a code.
                let is_old = api == ApiKey::DescribeLogDirs && version < 3;
                assert_eq!(names.is_empty(), is_silent || is_old, "{api:?} {version}");
            }
        }
    }
}

fn names_topics(api: ApiKey, body: &Bytes) -> bool {
    api == ApiKey::Metadata && body.windows(4).any(|window| window == b"kept")
}

#[tokio::test]
async fn super_users_are_asked_nothing() {
    let world = World::guarded("{ super_users: ['User:ANONYMOUS'] }", serves(0)).await;
    let mut client = world.client().await;
    let all = client.call(9, &MetadataRequest::default().with_topics(None)).await;
    assert_eq!(all.topics.len(), 4);
}

fn produced(answer: &ProduceResponse) -> Vec<(String, i16)> {
    let topics = answer.responses.iter();
    let told =
        topics.flat_map(|topic| topic.partition_responses.iter().map(|one| (topic.name.to_string(), one.error_code)));
    told.collect()
}

fn fetched(answer: &FetchResponse) -> Vec<(String, i16)> {
    let topics = answer.responses.iter();
    let told = topics.flat_map(|topic| topic.partitions.iter().map(|one| (topic.topic.to_string(), one.error_code)));
    told.collect()
}

const WRITES: &str = "{ rules: [{ principals: ['User:*'], operations: [Write], topics: [l-1, r-1] }] }";
const READS: &str = "{ rules: [{ principals: ['User:*'], operations: [Read], topics: [l-1, r-1] }] }";

#[tokio::test]
async fn of_a_produce_the_topics_that_may_be_written_are_written() {
    let reached = Reached::default();
    let world = World::guarded(WRITES, noting(&reached)).await;
    let mut client = world.client().await;
    let answer = client.call(9, &produce(-1, &[("l-1", &[0]), ("l-2", &[0]), ("r-1", &[0]), ("no-such", &[0])])).await;
    let told = [("l-1", 0), ("l-2", 29), ("r-1", 0), ("no-such", 29)];
    assert_eq!(produced(&answer), told.map(|(name, code)| (name.to_owned(), code)));
    assert_eq!(reached.lock().len(), 2);
    // All of one: nothing is sent
    let answer = client.call(9, &produce(-1, &[("l-2", &[0])])).await;
    assert_eq!((produced(&answer), reached.lock().len()), (vec![("l-2".to_owned(), 29)], 2));
    assert_eq!(world.shown("denied_total", &[("operation", "Write"), ("resource", "Topic")]), 3.0);
}

#[tokio::test]
async fn who_writes_without_an_answer_what_it_may_not_is_disconnected_as_by_kafka() {
    let world = World::guarded(WRITES, serves(0)).await;
    let mut client = world.client().await;
    client.send(9, &produce(0, &[("l-2", &[0])])).await;
    client.is_closed().await;
}

#[tokio::test]
async fn of_a_fetch_the_topics_that_may_be_read_are_read() {
    let reached = Reached::default();
    let world = World::guarded(READS, noting(&reached)).await;
    let mut client = world.client().await;
    let ask = |topics: &[&str]| fetch((0, 0), topics).with_max_wait_ms(100);
    let answer = client.call(12, &ask(&["l-1", "l-2"])).await;
    assert_eq!(fetched(&answer), [("l-1".to_owned(), 0), ("l-2".to_owned(), 29)]);
    assert_eq!(answer.session_id, 0, "a session would not tell of the denied one");
    let denied = client.call(12, &ask(&["l-2", "no-such"])).await;
    assert_eq!(fetched(&denied), [("l-2".to_owned(), 29), ("no-such".to_owned(), 29)]);
    // What may be read as a whole goes the straight way
    let mut other = world.client().await;
    assert_eq!(fetched(&other.call(12, &ask(&["l-1"])).await), [("l-1".to_owned(), 0)]);
}

#[tokio::test]
async fn who_may_write_to_some_topic_gets_a_producer_id() {
    let init = InitProducerIdRequest::default().with_transactional_id(None);
    for (rights, code) in [(WRITES, 0), (READS, 31)] {
        let world = World::guarded(rights, serves(0)).await;
        assert_eq!(world.client().await.call(1, &init).await.error_code, code);
    }
}

#[tokio::test]
async fn new_rules_hold_for_connections_that_are_there() {
    let world = World::guarded(WRITES, serves(0)).await;
    let mut client = world.client().await;
    let topic = MetadataRequestTopic::default().with_name(Some(TopicName(text("l-1"))));
    let ask = MetadataRequest::default().with_topics(Some(vec![topic]));
    assert_eq!(client.call(9, &ask).await.topics[0].error_code, 0);
    reload(&world, "{}").await;
    assert_eq!(client.call(9, &ask).await.topics[0].error_code, 29);
}

/// From now on these rules hold. Gives what was seen before.
async fn reload(world: &World, authorization: &str) -> Arc<Placement> {
    let then = world.context.current.load();
    let rules = format!(
        "virtual_cluster: v
default_cluster: a
listeners: [{{ bind: '127.0.0.1:0' }}]
clusters: {{ a: {{ slot: 0, bootstrap: ['a.example:1'] }} }}
authorization: {authorization}
"
    );
    let rules = Config::from_text("c.yaml", &rules).unwrap();
    let config = Arc::new(Config { authorization: rules.authorization, ..(*then.config).clone() });
    world.publisher.configure(config, &[]).await;
    then
}

#[tokio::test]
async fn a_fetch_session_does_not_outlive_the_rules_that_it_was_opened_under() {
    let reached = Reached::default();
    let world = World::guarded(READS, noting(&reached)).await;
    let mut client = world.client().await;
    assert_eq!(client.call(12, &fetch((0, 0), &["l-1"])).await.session_id, 99);
    assert_eq!(client.call(12, &fetch((99, 1), &[])).await.error_code, 0);
    // When other rules hold, which say the same
    let then = reload(&world, READS).await;
    // Then it is opened anew, and the broker's place for the old one is free
    assert_eq!(client.call(12, &fetch((99, 2), &[])).await.error_code, 70);
    let asked = async {
        while reached.lock().len() < 3 {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(20), asked).await.expect("a good-bye");
    assert_eq!(client.call(12, &fetch((0, 0), &["l-1"])).await.session_id, 99);
    // When something that began before the reload is closed after it, then that one goes on
    let session = world.session();
    drop(session.granted(&then));
    assert_eq!(client.call(12, &fetch((99, 1), &[])).await.error_code, 0);
    // When what opened one before the reload is answered after it, then that one is not gone on with
    let at = Target { cluster: then.topic("l-1").unwrap().cluster, broker: BrokerId(1) };
    assert!(session.keep_fetch_session((0, 77), at, &Name::none(), &then));
    assert_eq!(client.call(12, &fetch((77, 1), &[])).await.error_code, 70);
    // Nor where there were no rules
    let none = Arc::new(Config { authorization: None, ..(*then.config).clone() });
    world.publisher.configure(none, &[]).await;
    assert_eq!(client.call(12, &fetch((99, 2), &[])).await.error_code, 70);
    assert_eq!(client.call(12, &fetch((0, 0), &["l-1"])).await.session_id, 99);
    reload(&world, READS).await;
    assert_eq!(client.call(12, &fetch((99, 1), &[])).await.error_code, 70);
}

#[tokio::test]
async fn a_share_session_does_not_outlive_the_rules_that_it_was_opened_under() {
    const SHARES: &str = "{ rules: [{ principals: ['User:*'], operations: [Read], topics: [l-1], groups: [l-g] }] }";
    let answers = |_: i32, asked: Asked| asked.answer(&ShareFetchResponse::default());
    let world = World::guarded(SHARES, answers).await;
    let topic = world.context.current.load().topic("l-1").unwrap().id;
    let ask = |epoch| {
        let named = share_fetch_request::FetchTopic::default()
            .with_topic_id(topic)
            .with_partitions(vec![share_fetch_request::FetchPartition::default()]);
        ShareFetchRequest::default()
            .with_group_id(Some(GroupId(text("l-g"))))
            .with_member_id(Some(text("m")))
            .with_share_session_epoch(epoch)
            .with_topics(if epoch == 0 { vec![named] } else { Vec::new() })
    };
    let mut client = world.client().await;
    for (epoch, code) in [(0, 0), (1, 0)] {
        assert_eq!(client.call(1, &ask(epoch)).await.error_code, code);
    }
    // When other rules hold, then it is opened anew
    let then = reload(&world, SHARES).await;
    for (epoch, code) in [(2, 122), (0, 0), (1, 0)] {
        assert_eq!(client.call(1, &ask(epoch)).await.error_code, code);
    }
    // When something that began before the reload is closed after it, then that one goes on
    let session = world.session();
    drop(session.granted(&then));
    assert_eq!(client.call(1, &ask(2)).await.error_code, 0);
    // When what opened one was looked at before the reload, then that one is not gone on with, but may be ended
    let at = Target { cluster: then.topic("l-1").unwrap().cluster, broker: BrokerId(1) };
    session.share_sessions.keep_late(&ask(0), at, &then);
    for (epoch, code) in [(3, 122), (-1, 0), (-1, 122)] {
        assert_eq!(client.call(1, &ask(epoch)).await.error_code, code);
    }
}
