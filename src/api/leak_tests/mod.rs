//! No upstream host, port or broker id reaches a client: sentinels are planted in every field of what a cluster
//! answers, tagged fields included, over every API and version that we serve, on links of the same and of every lower
//! version. None may be in the bytes that the client gets, and what belongs to clients must be.

mod admin;
mod answers;
mod as_it_is;
mod assigned;
mod everywhere;
mod fields;
mod requests;
pub(crate) mod samples;

use crate::api::groups::offsets;
use crate::api::groups::{by_group, lists as group_lists};
use crate::api::layout::topics;
use crate::api::overview::{cluster_info, coordinator};
use crate::api::overview::{metadata, versions};
use crate::api::records::by_leader;
use crate::api::records::produce;
use crate::api::settings::configs;
use crate::api::testing::World;
use crate::api::transactions::{add_partitions, by_transactional_id};
use crate::api::transactions::{lists as transaction_lists, offsets as txn_offsets, producer_id};
use crate::api::{Api, Codes, Effects, ErrorCodes, Plan, fetch};
use crate::config::{Config, Hosts};
use crate::placement::build::Heard;
use crate::placement::build::tests::slot;
use crate::placement::{Front, Placement};
use crate::types::{HostPort, View};
use crate::upstream::Snapshot;
use crate::wire::versions::{PRODUCE_FROM, SERVED, Served};
use answers::How;
use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, FetchRequest, FetchResponse, ProduceRequest, ProduceResponse};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};
use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;
use std::rc::Rc;
use std::sync::Arc;

const HOST: &str = "leak.sentinel.internal";
const PORT: u16 = 0x5A7F;
/// One that is shown as it is beside its cluster's slot, and one that is shown as a hash.
const IDS: [i32; 2] = [0x005A_5A51, 0x5A5A_5A52];
const KEPT: &[u8] = b"kept";

/// The cluster with the sentinels is not slot 0, where virtual ids are the real ones.
const CONFIG: &str = "
virtual_cluster: v
default_cluster: b
listeners: [{ bind: '127.0.0.1:0' }]
clusters:
  a: { slot: 0, bootstrap: ['a.example:1'] }
  b: { slot: 1, bootstrap: ['leak.sentinel.internal:23167'] }
";

fn kept() -> StrBytes {
    StrBytes::from_static_str("kept")
}

fn address() -> StrBytes {
    StrBytes::from_static_str("at leak.sentinel.internal:23167, kept")
}

/// A field of a broker that is newer than we are.
fn tags() -> BTreeMap<i32, Bytes> {
    BTreeMap::from([(100, Bytes::from_static(HOST.as_bytes()))])
}

/// The virtual node behind which the first broker is.
fn node() -> i32 {
    (1 << 25) | IDS[0]
}

fn worlds() -> impl Iterator<Item = World> {
    [View::Brokers, View::Hosts, View::Single].into_iter().map(|view| world().shown(view))
}

/// Each of these under the same world.
fn with<T>(world: World, each: impl IntoIterator<Item = T>) -> impl Iterator<Item = (Rc<World>, T)> {
    let world = Rc::new(world);
    each.into_iter().map(move |one| (Rc::clone(&world), one))
}

fn world() -> World {
    let told: kafka_protocol::messages::MetadataResponse = over_the_wire(&answers::metadata(), 13);
    let snapshot = Snapshot::default().after(&told, true, std::time::Instant::now());
    let heard = HashMap::from([(slot(1), Heard { snapshot: Arc::new(snapshot), up: true })]);
    let config = Arc::new(Config::from_text("leak.yaml", CONFIG).unwrap());
    let mut world = World::default().coordinated(1, "kept", IDS[0]).transacting(1, "kept", IDS[0]);
    world.placement = Placement::build(&config, &heard, &Arc::default(), None).0;
    world.front = Front::plain(HostPort::new("proxy.example", 9092));
    world.front.hosts = Some(Hosts::Ports { host: "proxy.example".into(), ports: 100..=163 });
    world
}

fn encoded<M: Encodable>(message: &M, version: i16) -> Bytes {
    let mut bytes = BytesMut::new();
    message.encode(&mut bytes, version).unwrap_or_else(|e| panic!("version {version}: {e}"));
    bytes.freeze()
}

fn over_the_wire<M: Encodable + Decodable>(message: &M, version: i16) -> M {
    M::decode(&mut encoded(message, version), version).unwrap()
}

fn holds(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|window| window == what)
}

/// The first sentinel in these bytes: as text, or as a number of the protocol.
fn leak(bytes: &[u8]) -> Option<String> {
    let numbers = IDS.into_iter().chain([i32::from(PORT)]);
    let texts = numbers.clone().map(|number| number.to_string()).chain([HOST.to_owned()]);
    let text = texts.into_iter().find(|text| holds(bytes, text.as_bytes()));
    text.or_else(|| numbers.into_iter().find(|id| holds(bytes, &id.to_be_bytes())).map(|id| format!("{id} in binary")))
}

/// The codes of an answer, found by the name of their fields.
fn codes_in(answer: &impl std::fmt::Debug) -> Codes {
    let mut codes = Codes::default();
    // `topic_config_error_code` is not of the topic's making.
    let fields = format!("{answer:?}").split([' ', '{']).map(ToOwned::to_owned).collect::<Vec<_>>();
    for pair in fields
        .windows(2)
        .filter(|pair| matches!(&*pair[0], "error_code:" | "partition_error_code:" | "acknowledge_error_code:"))
    {
        codes.note(pair[1].trim_end_matches([',', '}']).parse().unwrap());
    }
    codes
}

fn assert_clean<M: Encodable + std::fmt::Debug + ErrorCodes>(api: ApiKey, client: i16, link: i16, answer: &M) -> Bytes {
    // Beside its subject, for here are answers of all APIs: each code is counted.
    let mut codes = Codes::default();
    answer.tell(&mut codes);
    assert_eq!(codes, codes_in(answer), "{api:?} {client}: {answer:#?}");
    let bytes = encoded(answer, client);
    if let Some(leaked) = leak(&bytes) {
        panic!("{api:?}: client {client}, link {link}: {leaked} in {answer:#?}");
    }
    bytes
}

/// The codes that answers are planted with: none, and those at which brokers have much to say.
const CODES: [i16; 4] = [0, 6, 39, 42];

/// Plans, asks a leaking broker over a link of every version, and looks at what the client gets.
fn check<A>(
    versions: RangeInclusive<i16>,
    request: fn(i16) -> A::Request,
    answer: fn(&A::Request, How) -> A::Response,
    keeps: bool,
) where
    A: Api,
    A::Response: std::fmt::Debug,
{
    let mut planted = false;
    for (world, (client, link)) in worlds().flat_map(|world| with(world, pairs(versions.clone()))) {
        for code in CODES {
            let seen = world.seen(client);
            let (mut response, parts) = super::testing::sent(A::plan(&over_the_wire(&request(client), client), &seen));
            for mut part in parts {
                if link != client {
                    A::lower(&mut part.request, link);
                }
                let asked = over_the_wire(&part.request, link);
                let told = encoded(&answer(&asked, How { version: link, code }), link);
                planted |= leak(&told).is_some();
                let mut told = A::Response::decode(&mut told.clone(), link).unwrap();
                if link != client {
                    A::raise(&mut told, &part.origin, link);
                }
                A::absorb(&mut response, part.origin, Ok(told), &seen, &mut Effects::new());
            }
            let bytes = assert_clean(A::KEY, client, link, &response);
            assert!(!keeps || holds(&bytes, KEPT), "{:?}: client {client}, link {link}: {response:#?}", A::KEY);
        }
    }
    assert!(planted, "{:?}: nothing was planted", A::KEY);
}

fn pairs(versions: RangeInclusive<i16>) -> impl Iterator<Item = (i16, i16)> {
    let first = *versions.start();
    versions.flat_map(move |client| (first..=client).map(move |link| (client, link)))
}

/// An API that is answered from the placement.
fn check_answered<A>(versions: RangeInclusive<i16>, request: fn(i16) -> A::Request, keeps: bool)
where
    A: Api,
    A::Response: std::fmt::Debug,
{
    for (world, client) in worlds().flat_map(|world| with(world, versions.clone())) {
        let Plan::Answer(answer) = A::plan(&over_the_wire(&request(client), client), &world.seen(client)) else {
            panic!("{:?} asks a cluster", A::KEY)
        };
        let bytes = assert_clean(A::KEY, client, client, &answer);
        // Of the cluster's own, only racks are told here, and one node for all has none.
        let keeps = keeps && !(A::KEY == ApiKey::DescribeCluster && world.view == View::Single);
        assert!(!keeps || holds(&bytes, KEPT), "{:?} {client}: {answer:#?}", A::KEY);
    }
}

#[test]
fn no_upstream_address_reaches_a_client() {
    for row in SERVED {
        let all = row.min..=row.max;
        match row.api {
            ApiKey::ListOffsets => {
                check::<by_leader::ListOffsets>(all, requests::list_offsets, answers::list_offsets, true);
            }
            ApiKey::OffsetForLeaderEpoch => {
                check::<by_leader::OffsetForLeaderEpoch>(all, requests::epochs, answers::epochs, true);
            }
            ApiKey::JoinGroup => check::<by_group::JoinGroup>(all, requests::join_group, answers::join_group, true),
            ApiKey::SyncGroup => check::<by_group::SyncGroup>(all, requests::sync_group, answers::sync_group, true),
            ApiKey::Heartbeat => check::<by_group::Heartbeat>(all, requests::heartbeat, answers::heartbeat, false),
            ApiKey::LeaveGroup => {
                check::<by_group::LeaveGroup>(all, requests::leave_group, answers::leave_group, false);
            }
            ApiKey::OffsetCommit => {
                check::<offsets::OffsetCommit>(all, requests::offset_commit, answers::offset_commit, true);
            }
            ApiKey::OffsetFetch => {
                check::<offsets::OffsetFetch>(all, requests::offset_fetch, answers::offset_fetch, true);
            }
            ApiKey::DescribeGroups => {
                let (request, answer) = (requests::describe_groups, answers::describe_groups);
                check::<group_lists::DescribeGroups>(all, request, answer, true);
            }
            ApiKey::DeleteGroups => {
                let (request, answer) = (requests::delete_groups, answers::delete_groups);
                check::<group_lists::DeleteGroups>(all, request, answer, true);
            }
            ApiKey::ListGroups => {
                check::<group_lists::ListGroups>(all, requests::list_groups, answers::list_groups, true);
            }
            ApiKey::CreateTopics => {
                check::<topics::CreateTopics>(all, requests::create_topics, answers::create_topics, true);
            }
            ApiKey::DeleteTopics => {
                check::<topics::DeleteTopics>(all, requests::delete_topics, answers::delete_topics, true);
            }
            ApiKey::DescribeConfigs => {
                let (request, answer) = (requests::describe_configs, answers::describe_configs);
                check::<configs::DescribeConfigs>(all, request, answer, true);
            }
            ApiKey::Metadata => check_answered::<metadata::Metadata>(all, requests::metadata, true),
            ApiKey::FindCoordinator => {
                check_answered::<coordinator::FindCoordinator>(all.clone(), requests::find_coordinator, false);
                let of_transactions = requests::find_coordinator_of_transactions;
                check_answered::<coordinator::FindCoordinator>(1..=row.max, of_transactions, false);
            }
            ApiKey::DescribeCluster => {
                check_answered::<cluster_info::DescribeCluster>(all, requests::describe_cluster, true);
            }
            ApiKey::DescribeTopicPartitions => {
                let request = requests::describe_topic_partitions;
                check_answered::<cluster_info::DescribeTopicPartitions>(all, request, true);
            }
            ApiKey::InitProducerId => {
                check_answered::<producer_id::InitProducerId>(all.clone(), requests::init_producer_id, false);
                let (request, answer) = (requests::init_transactions, answers::init_producer_id);
                check::<producer_id::InitProducerId>(all, request, answer, false);
            }
            ApiKey::ApiVersions => all.for_each(|version| {
                assert_clean(row.api, version, version, &versions::answer(version, 2).0);
            }),
            // Answered by the session itself; nothing of a cluster goes in.
            ApiKey::SaslHandshake | ApiKey::SaslAuthenticate => {}
            ApiKey::Produce => pairs(PRODUCE_FROM..=row.max).for_each(|(client, link)| check_produce(client, link)),
            ApiKey::Fetch => pairs(all).for_each(|(client, link)| check_fetch(client, link)),
            other if !check_transactions(row) && !assigned::check_one(other, all.clone()) => {
                admin::check_one(other, all)
            }
            _ => {}
        }
    }
}

/// The APIs of transactions; false for all others.
fn check_transactions(row: &Served) -> bool {
    let all = row.min..=row.max;
    match row.api {
        ApiKey::AddPartitionsToTxn => {
            let (request, answer) = (requests::add_partitions, answers::add_partitions);
            check::<add_partitions::AddPartitionsToTxn>(all, request, answer, true);
        }
        ApiKey::AddOffsetsToTxn => {
            let (request, answer) = (requests::add_offsets, answers::add_offsets);
            check::<by_transactional_id::AddOffsetsToTxn>(all, request, answer, false);
        }
        ApiKey::EndTxn => {
            check::<by_transactional_id::EndTxn>(all, requests::end_txn, answers::end_txn, false);
        }
        ApiKey::TxnOffsetCommit => {
            let (request, answer) = (requests::txn_offset_commit, answers::txn_offset_commit);
            check::<txn_offsets::TxnOffsetCommit>(all, request, answer, true);
        }
        ApiKey::DescribeTransactions => {
            let (request, answer) = (requests::describe_transactions, answers::describe_transactions);
            check::<transaction_lists::DescribeTransactions>(all, request, answer, true);
        }
        ApiKey::ListTransactions => {
            let (request, answer) = (requests::list_transactions, answers::list_transactions);
            check::<transaction_lists::ListTransactions>(all, request, answer, true);
        }
        _ => return false,
    }
    true
}

fn check_produce(client: i16, link: i16) {
    for (world, code) in worlds().flat_map(|world| with(world, CODES)) {
        let seen = world.seen(client);
        let request: ProduceRequest = over_the_wire(&requests::produce(client), client);
        let (mut ledger, cells) = produce::Ledger::open(request);
        let routed = ledger.route(cells, &seen);
        assert_eq!(routed.parts.len(), 2);
        for part in routed.parts {
            let asked = over_the_wire(&ledger.request(&part), link);
            let told: ProduceResponse = over_the_wire(&answers::produce(&asked, How { version: link, code }), link);
            ledger.absorb(&part, told, &seen, &mut Effects::new());
        }
        assert_clean(ApiKey::Produce, client, link, &ledger.response());
    }
}

fn check_fetch(client: i16, link: i16) {
    let asked = || CODES.into_iter().flat_map(|code| [(code, 1), (code, 2)]);
    for (world, (code, partitions)) in worlds().flat_map(|world| with(world, asked())) {
        let seen = world.seen(client);
        let request: FetchRequest = over_the_wire(&requests::fetch(client, partitions), client);
        let how = How { version: link, code };
        let told = |asked: &FetchRequest| -> FetchResponse {
            over_the_wire(&answers::fetch(&over_the_wire(asked, link), how), link)
        };
        let answer = match fetch::plan(request, |_| None, false, &seen) {
            fetch::Plan::Through { to, request, .. } => fetch::translate(told(&request), to, &seen),
            fetch::Plan::Split(flat) => fetch::split::tests::round(&flat, &seen, told),
            other => panic!("{other:?}"),
        };
        assert!(holds(&assert_clean(ApiKey::Fetch, client, link, &answer), KEPT));
    }
}
