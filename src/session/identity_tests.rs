//! Sessions whose clients come to a cluster as identities of its config, before brokers that know each by its login.

use super::counting_tests::fetch;
use super::policy_tests::of_token;
use super::testing::{Client, World, produce, text, written};
use crate::config::{Config, Unmapped};
use crate::types::Principal;
use crate::upstream::testing::{Asked, Reply};
use kafka_protocol::messages::describe_topic_partitions_request::TopicRequest;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{
    ApiKey, DescribeClusterRequest, DescribeTopicPartitionsRequest, FetchResponse, FindCoordinatorRequest,
    FindCoordinatorResponse, GroupId, HeartbeatRequest, HeartbeatResponse, InitProducerIdRequest, ListGroupsRequest,
    ListGroupsResponse, MetadataRequest, MetadataResponse, ProduceRequest, ProduceResponse, SaslAuthenticateRequest,
    SaslAuthenticateResponse, SaslHandshakeResponse, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

/// As whom brokers of `a` were asked what.
type Heard = Arc<Mutex<Vec<(String, ApiKey)>>>;

const OWN: &str = "sasl: { mechanism: PLAIN, username: us, password: p }";

fn keys(identities: &str, unmapped: &str) -> String {
    format!(", {OWN}, identities: {{ {identities} }}, unmapped: {unmapped}")
}

fn identity(name: &str, principal: &str, password: &str) -> String {
    format!(
        "{name}: {{ principals: ['User:{principal}'], sasl: {{ mechanism: PLAIN, username: {name}, password: {password} }} }}"
    )
}

/// Lets in whoever has the password `p`, and notes who asks what.
fn noting(heard: &Heard) -> impl Fn(i32, Asked) -> Reply + Send + Sync + Clone + 'static {
    let heard = Arc::clone(heard);
    move |id, asked| {
        heard.lock().push((asked.by.clone().unwrap_or_default(), asked.api));
        match asked.api {
            ApiKey::SaslHandshake => asked.answer(&SaslHandshakeResponse::default()),
            ApiKey::SaslAuthenticate => {
                let request: SaslAuthenticateRequest = asked.request();
                let code = if request.auth_bytes.ends_with(b"\0p") { 0 } else { 58 };
                asked.answer(&SaslAuthenticateResponse::default().with_error_code(code))
            }
            ApiKey::Produce => written(&asked, 0),
            ApiKey::Fetch => asked.answer(&FetchResponse::default()),
            ApiKey::Heartbeat => asked.answer(&HeartbeatResponse::default()),
            ApiKey::ListGroups => asked.answer(&ListGroupsResponse::default()),
            ApiKey::FindCoordinator => asked.answer(&FindCoordinatorResponse::default().with_node_id(id.into())),
            api => panic!("{api:?}"),
        }
    }
}

/// A client that has proven to be this one.
async fn client(world: &World, name: &str) -> Client {
    let client = world.client().await;
    let newest = world.context.sessions.iter().max_by_key(|entry| *entry.key());
    newest.expect("a session").identify(Principal::user(name));
    client
}

async fn code(client: &mut Client, topic: &str) -> i16 {
    let answer: ProduceResponse = client.call(9, &produce(-1, &[(topic, &[0])])).await;
    answer.responses[0].partition_responses[0].error_code
}

/// Who has sent Produce requests to `a` and `b`, in turn; to `b` everybody comes without a login.
fn produced(heard: &Heard) -> Vec<String> {
    let heard = heard.lock();
    heard.iter().filter(|(_, api)| *api == ApiKey::Produce).map(|(by, _)| by.clone()).collect()
}

#[tokio::test]
async fn each_client_comes_as_its_own_identity_and_we_as_ourselves() {
    let heard = Heard::default();
    let keys = keys(&[identity("one", "alice", "p"), identity("two", "bob", "p")].join(", "), "own");
    let world = World::keyed((&keys, ""), noting(&heard)).await;
    let mut clients = Vec::new();
    for name in ["alice", "bob", "carol"] {
        let mut client = client(&world, name).await;
        assert_eq!((code(&mut client, "l-1").await, code(&mut client, "r-1").await), (0, 0));
        clients.push(client);
    }
    assert_eq!(produced(&heard), ["one", "", "two", "", "us", ""]);
    let open = |identity: &str| world.shown("identity_links", &[("cluster", "a"), ("identity", identity)]);
    assert_eq!((open("one"), open("two")), (1.0, 1.0));
}

#[tokio::test]
async fn who_has_no_identity_is_told_kafkas_errors_and_nobody_is_asked() {
    let heard = Heard::default();
    let world = World::keyed((&keys(&identity("one", "alice", "p"), "refuse"), ""), noting(&heard)).await;
    heard.lock().clear();
    let mut bob = client(&world, "bob").await;
    assert_eq!((code(&mut bob, "l-1").await, code(&mut bob, "r-1").await), (29, 0));
    let named = |name: &str| MetadataRequestTopic::default().with_name(Some(TopicName(text(name))));
    let request = MetadataRequest::default().with_topics(Some(vec![named("l-1"), named("r-1"), named("l-none")]));
    let told: MetadataResponse = bob.call(9, &request).await;
    let mut codes: Vec<_> =
        told.topics.iter().map(|one| (one.name.as_ref().unwrap().to_string(), one.error_code)).collect();
    codes.sort();
    assert_eq!(codes, [("l-1".into(), 29), ("l-none".into(), 29), ("r-1".into(), 0)]);
    let all: MetadataResponse = bob.call(9, &MetadataRequest::default().with_topics(None)).await;
    let all: Vec<_> = all.topics.iter().map(|one| one.name.as_ref().unwrap().to_string()).collect();
    assert_eq!(all.len(), 2, "{all:?}");
    let coordinator = FindCoordinatorRequest::default().with_key(text("l-group"));
    assert_eq!(bob.call(3, &coordinator).await.error_code, 30);
    let transactions = InitProducerIdRequest::default().with_transactional_id(Some(text("t").into()));
    assert_eq!(bob.call(4, &transactions).await.error_code, 53);
    let fetched = bob.call(11, &fetch((0, -1), &["l-1"])).await;
    assert_eq!(fetched.responses[0].partitions[0].error_code, 29);
    // What is listed of all lacks what is there
    assert_eq!(bob.call(4, &ListGroupsRequest::default()).await.error_code, 0);
    let heard = heard.lock();
    assert!(heard.iter().all(|(by, api)| by.is_empty() || *api == ApiKey::SaslHandshake), "{heard:?}");
    assert!(world.shown("denied_total", &[("operation", "Write"), ("resource", "Topic")]) > 0.0);
}

#[tokio::test]
async fn a_wrong_password_of_one_identity_keeps_nobody_else_out() {
    let heard = Heard::default();
    let keys = keys(&[identity("one", "alice", "p"), identity("two", "bob", "wrong")].join(", "), "refuse");
    let world = World::keyed((&keys, ""), noting(&heard)).await;
    let mut bob = client(&world, "bob").await;
    bob.send(9, &produce(-1, &[("l-1", &[0])])).await;
    let refused = [("cluster", "a"), ("identity", "two"), ("reason", "login")];
    world.until_any("identity_links_failed_total", &refused).await;
    let mut alice = client(&world, "alice").await;
    assert_eq!(code(&mut alice, "l-1").await, 0);
    let told: ProduceResponse = bob.receive::<ProduceRequest>(9).await;
    assert_eq!(told.responses[0].partition_responses[0].error_code, 6, "he may try again");
    assert_eq!(world.shown("identity_links_failed_total", &[("identity", "one")]), 0.0);
    assert_eq!(produced(&heard), ["one"]);
}

async fn names(client: &mut Client, topics: Option<&[&str]>) -> Vec<(String, i16)> {
    let named = |name: &&str| MetadataRequestTopic::default().with_name(Some(TopicName(text(name))));
    let topics = topics.map(|topics| topics.iter().map(named).collect());
    let request = MetadataRequest::default().with_topics(topics).with_allow_auto_topic_creation(false);
    let told: MetadataResponse = client.call(9, &request).await;
    let mut told: Vec<_> =
        told.topics.iter().map(|one| (one.name.as_ref().unwrap().to_string(), one.error_code)).collect();
    told.sort();
    told
}

fn told(names: &[(&str, i16)]) -> Vec<(String, i16)> {
    names.iter().map(|(name, code)| ((*name).to_owned(), *code)).collect()
}

#[tokio::test]
async fn what_the_cluster_hides_from_an_identity_we_hide_too() {
    let heard = Heard::default();
    let keys = keys(&[identity("one", "alice", "p"), identity("two", "bob", "p")].join(", "), "own");
    let world = World::keyed((&keys, ""), noting(&heard)).await;
    let a = world.a.as_ref().expect("a");
    a.hide("one", &["l-2", "l-not-there"], 8);
    a.hide("two", &[], 264);
    let (mut alice, mut bob) = (client(&world, "alice").await, client(&world, "bob").await);
    let listed = names(&mut alice, None).await;
    assert_eq!(listed, told(&[("f-1", 0), ("l-1", 0), ("r-1", 0)]));
    let asked = ["l-1", "l-2", "l-not-there", "l-new", "r-1"];
    let named = names(&mut alice, Some(&asked)).await;
    assert_eq!(named, told(&[("l-1", 0), ("l-2", 29), ("l-new", 3), ("l-not-there", 29), ("r-1", 0)]));
    assert_eq!(names(&mut bob, None).await, told(&[("f-1", 0), ("l-1", 0), ("l-2", 0), ("r-1", 0)]));
    // And what is told in pages
    let request = DescribeTopicPartitionsRequest::default().with_response_partition_limit(100);
    let page = alice.call(0, &request).await;
    let all: Vec<_> = page.topics.iter().map(|one| one.name.as_ref().unwrap().to_string()).collect();
    assert_eq!(all, ["f-1", "l-1", "r-1"]);
    let topic = |name: &str| TopicRequest::default().with_name(TopicName(text(name)));
    let page = alice.call(0, &request.with_topics(vec![topic("l-1"), topic("l-2")])).await;
    let codes: Vec<_> = page.topics.iter().map(|one| (one.error_code, one.topic_authorized_operations)).collect();
    assert_eq!(codes, [(0, 8), (29, i32::MIN)], "what an identity may do is what its cluster says");
    let cluster = DescribeClusterRequest::default().with_include_cluster_authorized_operations(true);
    assert_eq!(bob.call(0, &cluster.with_endpoint_type(1)).await.cluster_authorized_operations, 264);
}

#[tokio::test]
async fn while_a_cluster_is_silent_what_was_shown_is_shown_and_nothing_is_denied() {
    let heard = Heard::default();
    let world = World::keyed((&keys(&identity("one", "alice", "p"), "own"), ""), noting(&heard)).await;
    let a = world.a.as_ref().expect("a");
    a.hide("one", &["l-2"], 8);
    let mut alice = client(&world, "alice").await;
    assert_eq!(names(&mut alice, Some(&["l-1"])).await, told(&[("l-1", 0)]));
    a.fall_silent();
    let named = names(&mut alice, Some(&["l-1", "l-2"])).await;
    assert_eq!(named, told(&[("l-1", 0), ("l-2", 5)]), "who may know is not known: he comes again");
}

#[tokio::test]
async fn a_topic_is_made_by_asking_as_the_identity_that_asks() {
    let heard = Heard::default();
    let world = World::keyed((&keys(&identity("one", "alice", "p"), "own"), ""), noting(&heard)).await;
    /// Who asked for it, and whether it was to be made.
    type Made = Vec<(Option<String>, bool)>;
    let made: Arc<Mutex<Made>> = Arc::default();
    world.a.as_ref().expect("a").note_metadata({
        let made = Arc::clone(&made);
        move |by, request| {
            let names = request.topics.iter().flatten().filter_map(|topic| topic.name.as_ref());
            if names.into_iter().any(|name| &*name.0 == "l-new") {
                made.lock().push((by, request.allow_auto_topic_creation));
            }
        }
    });
    let mut alice = client(&world, "alice").await;
    let new = MetadataRequestTopic::default().with_name(Some(TopicName(text("l-new"))));
    let request = MetadataRequest::default().with_topics(Some(vec![new])).with_allow_auto_topic_creation(true);
    let _told: MetadataResponse = alice.call(9, &request).await;
    let made = made.lock();
    assert!(made.contains(&(Some("one".into()), true)), "{made:?}");
    assert!(!made.contains(&(Some("us".into()), true)), "we make nothing for her: {made:?}");
}

#[tokio::test]
async fn what_policy_moves_aside_goes_as_its_sender_and_nowhere_where_that_does_not_come() {
    let heard = Heard::default();
    let both = [identity("one", "alice", "p"), identity("two", "bob", "p")].join(", ");
    let of_b = keys(&identity("three", "bob", "p"), "refuse");
    let lane =
        ", contract: { headers: { other: { required: true } }, on_violation: dlq }, lanes: { dlq: { topic: r-1 } }";
    let world = World::keyed_with((&keys(&both, "own"), &of_b), lane, noting(&heard)).await;
    for (name, told) in [("bob", 0), ("alice", 29)] {
        let mut client = client(&world, name).await;
        let answer: ProduceResponse = client.call(9, &of_token("a", 1, None)).await;
        assert_eq!(answer.responses[0].partition_responses[0].error_code, told, "{name}");
    }
    assert_eq!(produced(&heard), ["three"]);
}

/// The config that runs, with other identities at `a`.
async fn reload(world: &World, identities: &str, unmapped: Unmapped) {
    let text = format!(
        "virtual_cluster: v\ndefault_cluster: a\nlisteners: [{{ bind: '127.0.0.1:0' }}]\nclusters:\n  \
         a: {{ slot: 0, bootstrap: ['a:1']{} }}\n",
        keys(identities, unmapped.as_str())
    );
    let new = Config::from_text("new.yaml", &text).unwrap_or_else(|wrong| panic!("{wrong}"));
    let mut config = (*world.context.current.load().config).clone();
    config.clusters[0].identities = new.clusters[0].identities.clone();
    world.context.shared.doors.try_all(&config.clusters[0]);
    world.publisher.configure(Arc::new(config), &[]).await;
    let _late = world.context.sweep();
}

fn links(world: &World) -> Vec<String> {
    let session = world.session();
    session.links.guises().iter().map(|guise| guise.name().to_owned()).collect()
}

#[tokio::test]
async fn who_becomes_another_goes_on_as_that_one_when_all_is_answered() {
    let heard = Heard::default();
    let slow = Arc::new(Mutex::new(None));
    let script = {
        let (noting, slow) = (noting(&heard), Arc::clone(&slow));
        move |id, asked: Asked| {
            let is_first = asked.api == ApiKey::Produce && asked.by.as_deref() == Some("one");
            if is_first && slow.lock().replace(()).is_some() {
                // The second one takes its time
                std::thread::sleep(Duration::from_millis(300));
            }
            noting(id, asked)
        }
    };
    let world = World::keyed((&keys(&identity("one", "alice", "p"), "refuse"), ""), script).await;
    let mut alice = client(&world, "alice").await;
    assert_eq!(code(&mut alice, "l-1").await, 0);
    alice.send(9, &produce(-1, &[("l-1", &[0])])).await;
    world.until_any("link_requests_in_flight", &[("cluster", "a")]).await;
    // When she becomes another while something is on its way
    reload(&world, &identity("two", "alice", "p"), Unmapped::Refuse).await;
    alice.send(9, &produce(-1, &[("l-1", &[0])])).await;
    for _ in 0..2 {
        let told: ProduceResponse = alice.receive::<ProduceRequest>(9).await;
        assert_eq!(told.responses[0].partition_responses[0].error_code, 0);
    }
    // Then what was on its way was answered, and what came then went as the other, behind it
    assert_eq!(produced(&heard), ["one", "one", "two"]);
    sleep(Duration::from_millis(10)).await;
    let _late = world.context.sweep();
    assert_eq!(links(&world), ["two"]);
    // The same one under another name of ours is another, and the same again is not
    reload(&world, &identity("two", "alice", "p"), Unmapped::Own).await;
    assert_eq!(code(&mut alice, "l-1").await, 0);
    assert_eq!(produced(&heard).len(), 4);
    assert_eq!(heard.lock().iter().filter(|(by, api)| by == "two" && *api == ApiKey::SaslAuthenticate).count(), 1);
}

#[tokio::test]
async fn what_nothing_else_holds_back_does_not_overtake_what_was_sent_as_who_one_was() {
    let (heard, allowed) = (Heard::default(), Arc::new(Notify::new()));
    let script = {
        let (noting, allowed) = (noting(&heard), Arc::clone(&allowed));
        move |id, asked: Asked| {
            let is_first = asked.api == ApiKey::Heartbeat && asked.by.as_deref() == Some("one");
            match noting(id, asked) {
                Reply::Frame(frame) if is_first => Reply::Held(Arc::clone(&allowed), frame),
                reply => reply,
            }
        }
    };
    let beats = || -> Vec<_> {
        let heard = heard.lock();
        heard.iter().filter(|(_, api)| *api == ApiKey::Heartbeat).map(|(by, _)| by.clone()).collect()
    };
    let world = World::keyed((&keys(&identity("one", "alice", "p"), "refuse"), ""), script).await;
    let mut alice = client(&world, "alice").await;
    let beat = HeartbeatRequest::default().with_group_id(GroupId(StrBytes::from_static_str("g")));
    alice.send(4, &beat).await;
    let sent = async {
        while beats().is_empty() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(20), sent).await.expect("it is sent");
    // When she becomes another while that waits for its answer
    reload(&world, &identity("two", "alice", "p"), Unmapped::Refuse).await;
    alice.send(4, &beat).await;
    sleep(Duration::from_millis(100)).await;
    assert_eq!(beats(), ["one"]);
    allowed.notify_one();
    for _ in 0..2 {
        let told: HeartbeatResponse = alice.receive::<HeartbeatRequest>(4).await;
        assert_eq!(told.error_code, 0);
    }
    assert_eq!(beats(), ["one", "two"]);
    // And who was left is gone
    let _late = world.context.sweep();
    assert_eq!(links(&world), ["two"]);
}

#[tokio::test]
async fn who_loses_its_identity_is_refused_from_then_on_and_others_notice_nothing() {
    let heard = Heard::default();
    let both = [identity("one", "alice", "p"), identity("two", "bob", "p")].join(", ");
    let world = World::keyed((&keys(&both, "refuse"), ""), noting(&heard)).await;
    let (mut alice, mut bob) = (client(&world, "alice").await, client(&world, "bob").await);
    assert_eq!((code(&mut alice, "l-1").await, code(&mut bob, "l-1").await), (0, 0));
    reload(&world, &identity("two", "bob", "p"), Unmapped::Refuse).await;
    assert_eq!((code(&mut alice, "l-1").await, code(&mut bob, "l-1").await), (29, 0));
    sleep(Duration::from_millis(10)).await;
    let _late = world.context.sweep();
    world.until("identity_links", &[("cluster", "a"), ("identity", "one")], 0.0).await;
    let logins = heard.lock().iter().filter(|(by, api)| by == "two" && *api == ApiKey::SaslAuthenticate).count();
    assert_eq!(logins, 1, "bob's link stays");
}
