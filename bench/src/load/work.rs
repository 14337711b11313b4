//! The requests that a connection sends over and over, built once, and the check that an answer is a good one.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::{
    FetchRequest, FetchResponse, MetadataRequest, MetadataResponse, ProduceRequest, ProduceResponse, ResponseHeader,
};
use kafka_protocol::protocol::{Decodable, HeaderVersion, Request, StrBytes};

use crate::batch;
use crate::frames::put_uvarint;
use crate::laced::Laced;

use super::client::{CLIENT_ID, Connection, Partition, encode, metadata_request};
use super::pool::Pool;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, clap::ValueEnum)]
pub(crate) enum Kind {
    /// Produce requests of `--records` records.
    Produce,
    /// Fetch requests that are answered with `--records` records.
    Fetch,
    /// Metadata of all topics.
    Metadata,
    /// Metadata of the topics named.
    Named,
}

impl Kind {
    /// Whether only the partitions' leader can answer.
    pub(super) fn names_partitions(self) -> bool {
        matches!(self, Self::Produce | Self::Fetch)
    }
}

/// One connection's requests, sent in turn.
#[derive(Clone)]
pub(super) struct Work {
    kind: Kind,
    version: i16,
    requests: Vec<Laced>,
    /// What Produces hold.
    pool: Pool,
    /// Where a Fetch that goes on with a session has its epoch.
    epoch_at: Option<usize>,
    /// Length of the last answer to each request that was looked at whole, and the records in it.
    known: Vec<(usize, u64)>,
}

/// Where a request has its correlation id.
const CORRELATION_AT: usize = 8;
/// The first version of Produce and Fetch whose requests name topics by id.
const TOPIC_IDS: i16 = 13;
/// The first version of Fetch that does not begin with a replica id.
const WITHOUT_REPLICA: i16 = 15;
/// The first version of Produce whose arrays are compact; older ones are not sent.
const FLEXIBLE_PRODUCE: i16 = 9;

impl Work {
    /// Requests for the partitions given, at the highest version that the connection's other end speaks.
    ///
    /// A reader opens a fetch session, where it knows any, and from then on names the partitions whose turn it is; where the
    /// broker wants no session it names them all each time.
    pub(super) fn new(
        kind: Kind,
        connection: &mut Connection,
        partitions: &[Partition],
        records: usize,
        into: Option<usize>,
        knows_sessions: bool,
        events: Option<Pool>,
    ) -> Result<Self> {
        let into = into.map(|into| into.clamp(1, partitions.len().max(1)));
        let (mut pool, mut epoch_at) = (Pool::of_one(Vec::new()), None);
        let (version, requests) = match kind {
            Kind::Produce => {
                let version = connection.version::<ProduceRequest>()?;
                ensure!(version >= FLEXIBLE_PRODUCE, "Produce {version} is too old for this load");
                let batches = into.unwrap_or_else(|| batches(records, partitions.len()));
                pool = events.unwrap_or_else(|| Pool::of_one(batch::build(records / batches)));
                (version, produces(version, &windows(partitions, batches), &pool))
            }
            Kind::Fetch => {
                let version = connection.version::<FetchRequest>()?;
                let batches = into.unwrap_or_else(|| batches(records, partitions.len()));
                let first = fetch(version, partitions, batches, records, 0, if knows_sessions { 0 } else { -1 })?;
                let session = connection.call(version, &first)?.session_id;
                let requests = if session == 0 {
                    let rotations = 0..windows(partitions, batches).len();
                    rotations
                        .map(|at| {
                            let mut turned = partitions.to_vec();
                            turned.rotate_left(at * batches % partitions.len());
                            fetch(version, &turned, batches, records, 0, -1)
                        })
                        .collect::<Result<Vec<_>>>()?
                } else {
                    epoch_at = Some(epoch(version));
                    let windows = windows(partitions, batches).into_iter();
                    windows
                        .map(|window| fetch(version, &window, batches, records, session, 1))
                        .collect::<Result<Vec<_>>>()?
                };
                let frames = requests.iter().map(|request| Ok(Laced::of(encode(version, 0, request)?)));
                (version, frames.collect::<Result<Vec<_>>>()?)
            }
            Kind::Metadata => metadata(connection, None)?,
            Kind::Named => {
                let mut names: Vec<_> = partitions.iter().map(|partition| partition.topic.clone()).collect();
                names.sort_unstable();
                names.dedup();
                metadata(connection, Some(&names))?
            }
        };
        let known = vec![(0, 0); requests.len()];
        Ok(Self { kind, version, requests, pool, epoch_at, known })
    }

    /// Version of the API that carries the load.
    pub(super) fn version(&self) -> i16 {
        self.version
    }

    /// Turns until every request was sent once.
    pub(super) fn turns(&self) -> u64 {
        self.requests.len() as u64
    }

    /// Sends the request of turn `turn`, whose number is its correlation id; its bytes are returned.
    pub(super) fn send(&mut self, turn: u64, to: &std::net::TcpStream) -> Result<usize> {
        let at = self.index(turn);
        let request = self.requests.get_mut(at).context("no requests")?;
        if let Some(epoch) = self.epoch_at.and_then(|at| request.own.get_mut(at..at + 4)) {
            epoch.copy_from_slice(&i32::try_from(turn % 0x7fff_ffff + 1)?.to_be_bytes());
        }
        let batch = self.pool.batch(at);
        request.send(CORRELATION_AT, correlation(turn), batch, to)?;
        Ok(request.size(batch))
    }

    /// The records that an answer acknowledges or holds; an error where it is not a good answer to turn `turn`. Fetch
    /// and Metadata answers are looked at whole only when their length is not that of the last one looked at.
    pub(super) fn check(&mut self, turn: u64, answer: &[u8]) -> Result<u64> {
        let given = answer.get(..4).and_then(|bytes| bytes.try_into().ok()).map(i32::from_be_bytes);
        ensure!(given == Some(correlation(turn)), "answer {given:?} to request {turn}");
        let at = self.index(turn);
        if self.kind == Kind::Produce {
            produced(self.version, answer)?;
            let batches = self.requests.get(at).map_or(0, Laced::batches) as u64;
            return Ok(batches * u64::try_from(batch::count(self.pool.batch(at)).unwrap_or(0))?);
        }
        let known = self.known.get_mut(at).context("no requests")?;
        if known.0 != answer.len() {
            let records = match self.kind {
                Kind::Fetch => fetched(self.version, answer)?,
                _ => described(self.version, answer)?,
            };
            *known = (answer.len(), records);
        }
        Ok(known.1)
    }

    fn index(&self, turn: u64) -> usize {
        usize::try_from(turn % self.requests.len().max(1) as u64).unwrap_or(0)
    }
}

fn correlation(turn: u64) -> i32 {
    i32::try_from(turn & 0x7fff_ffff).unwrap_or(0)
}

/// How many batches a request is made of: of the producer's default size where there are partitions enough (a Produce
/// request may hold only one for each), else fewer and larger ones. A single topic's few partitions get one.
fn batches(records: usize, partitions: usize) -> usize {
    let most = records.div_ceil(batch::SMALL);
    if partitions < 16 { 1 } else { most.min(partitions) }
}

/// Goes round the partitions in steps of `size` until every one had its turn, or 1,024 steps are made.
fn windows(partitions: &[Partition], size: usize) -> Vec<Vec<Partition>> {
    let steps = partitions.len().div_ceil(size).min(1024);
    let step = |at: usize| partitions.iter().cycle().skip(at * size).take(size).cloned().collect();
    (0..steps).map(step).collect()
}

/// Partitions by topic, in the order in which topics first come.
fn by_topic(partitions: &[Partition]) -> Vec<Vec<&Partition>> {
    let mut topics: Vec<Vec<&Partition>> = Vec::new();
    let mut place = std::collections::HashMap::new();
    for partition in partitions {
        let at = *place.entry(partition.topic.as_str()).or_insert(topics.len());
        match topics.get_mut(at) {
            Some(topic) => topic.push(partition),
            None => topics.push(vec![partition]),
        }
    }
    topics
}

/// Requests that go round all of these partitions and all batches: request `at` has the pool's batch of that number.
fn produces(version: i16, windows: &[Vec<Partition>], pool: &Pool) -> Vec<Laced> {
    let count = windows.len().max(pool.len()).next_multiple_of(pool.len());
    let windows = windows.iter().cycle().take(count).enumerate();
    windows.map(|(at, window)| produce(version, window, pool.batch(at))).collect()
}

/// A Produce request by hand, so that the batch need not be copied into it.
fn produce(version: i16, partitions: &[Partition], batch: &[u8]) -> Laced {
    let mut request = Laced::of(vec![0; 4]);
    request.own.extend_from_slice(&ProduceRequest::KEY.to_be_bytes());
    request.own.extend_from_slice(&version.to_be_bytes());
    request.own.extend_from_slice(&0i32.to_be_bytes()); // correlation id, filled in when sent
    request.own.extend_from_slice(&i16::try_from(CLIENT_ID.len()).unwrap_or(0).to_be_bytes());
    request.own.extend_from_slice(CLIENT_ID.as_bytes());
    request.own.extend_from_slice(&[0, 0]); // no tagged fields, no transactional id
    request.own.extend_from_slice(&(-1i16).to_be_bytes()); // acks
    request.own.extend_from_slice(&30_000i32.to_be_bytes()); // time-out
    let topics = by_topic(partitions);
    put_uvarint(&mut request.own, topics.len() + 1);
    for topic in topics {
        for first in topic.iter().take(1) {
            if version >= TOPIC_IDS {
                request.own.extend_from_slice(first.id.as_bytes());
            } else {
                put_uvarint(&mut request.own, first.topic.len() + 1);
                request.own.extend_from_slice(first.topic.as_bytes());
            }
        }
        put_uvarint(&mut request.own, topic.len() + 1);
        for partition in topic {
            request.own.extend_from_slice(&partition.index.to_be_bytes());
            put_uvarint(&mut request.own, batch.len() + 1);
            request.lace();
            request.own.push(0);
        }
        request.own.push(0);
    }
    request.own.push(0);
    request.seal(batch);
    request
}

/// Where a Fetch frame has its session epoch.
fn epoch(version: i16) -> usize {
    let body = CORRELATION_AT + 4 + 2 + CLIENT_ID.len() + 1;
    body + if version < WITHOUT_REPLICA { 21 } else { 17 }
}

/// A Fetch for `records` records from the first `batches` of these partitions.
fn fetch(
    version: i16,
    partitions: &[Partition],
    batches: usize,
    records: usize,
    session: i32,
    epoch: i32,
) -> Result<FetchRequest> {
    let small = records.div_ceil(batch::SMALL);
    let bytes = |batches: usize| i32::try_from(batches * batch::size(batch::SMALL));
    let each = bytes(small.div_ceil(batches))?;
    let partition = |asked: &&Partition| {
        FetchPartition::default()
            .with_partition(asked.index)
            .with_partition_max_bytes(each)
            .with_current_leader_epoch(-1)
    };
    let topics = by_topic(partitions).into_iter().filter_map(|topic| {
        let named = FetchTopic::default().with_partitions(topic.iter().map(partition).collect());
        let first = topic.first()?;
        Some(if version >= TOPIC_IDS {
            named.with_topic_id(first.id)
        } else {
            named.with_topic(StrBytes::from_string(first.topic.clone()).into())
        })
    });
    Ok(FetchRequest::default()
        .with_max_wait_ms(500)
        .with_min_bytes(1)
        .with_max_bytes(bytes(small)?)
        .with_session_id(session)
        .with_session_epoch(epoch)
        .with_topics(topics.collect()))
}

fn metadata(connection: &Connection, names: Option<&[String]>) -> Result<(i16, Vec<Laced>)> {
    let version = connection.version::<MetadataRequest>()?;
    Ok((version, vec![Laced::of(encode(version, 0, &metadata_request(names))?)]))
}

fn produced(version: i16, mut answer: &[u8]) -> Result<()> {
    ResponseHeader::decode(&mut answer, ProduceResponse::header_version(version))?;
    let response = ProduceResponse::decode(&mut answer, version)?;
    for topic in &response.responses {
        for partition in &topic.partition_responses {
            let (code, index) = (partition.error_code, partition.index);
            ensure!(code == 0, "Produce to {}{}-{index}: error {code}", topic.name.as_str(), topic.topic_id);
        }
    }
    ensure!(!response.responses.is_empty(), "an answer to Produce that names no topic");
    Ok(())
}

fn fetched(version: i16, answer: &[u8]) -> Result<u64> {
    let mut answer = Bytes::copy_from_slice(answer);
    ResponseHeader::decode(&mut answer, FetchResponse::header_version(version))?;
    let response = FetchResponse::decode(&mut answer, version)?;
    ensure!(response.error_code == 0, "Fetch: error {}", response.error_code);
    let mut records = 0;
    for topic in &response.responses {
        for partition in &topic.partitions {
            let (code, index) = (partition.error_code, partition.partition_index);
            ensure!(code == 0, "Fetch of {}{}-{index}: error {code}", topic.topic.as_str(), topic.topic_id);
            let batches = partition.records.as_deref().unwrap_or_default();
            records += batch::verify(batches).context("a damaged batch")?;
        }
    }
    ensure!(records > 0, "an answer to Fetch without records");
    Ok(records)
}

fn described(version: i16, answer: &[u8]) -> Result<u64> {
    let mut answer = Bytes::copy_from_slice(answer);
    ResponseHeader::decode(&mut answer, MetadataResponse::header_version(version))?;
    let response = MetadataResponse::decode(&mut answer, version)?;
    for topic in &response.topics {
        ensure!(topic.error_code == 0, "Metadata: error {} for {:?}", topic.error_code, topic.name);
    }
    Ok(response.topics.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::{Buf, BufMut};
    use kafka_protocol::messages::RequestHeader;
    use uuid::Uuid;

    fn partitions(topics: usize, each: i32) -> Vec<Partition> {
        let all = (0..each).flat_map(|index| (0..topics).map(move |topic| (index, topic)));
        all.map(|(index, topic)| Partition {
            index,
            topic: format!("t{topic}"),
            id: Uuid::from_u128(topic as u128 + 1),
        })
        .collect()
    }

    #[test]
    fn the_protocol_crate_reads_the_requests_of_every_version() {
        let batch = batch::build(batch::SMALL);
        for version in FLEXIBLE_PRODUCE..=13 {
            let laced = produce(version, &partitions(5, 2), &batch);
            let mut frame = bytes::BytesMut::new();
            let mut from = 0;
            for hole in laced.places() {
                frame.put_slice(&laced.own[from..*hole]);
                frame.put_slice(&batch);
                from = *hole;
            }
            frame.put_slice(&laced.own[from..]);
            let mut frame = frame.freeze();
            assert_eq!(frame.get_i32() as usize, frame.len());
            let head = RequestHeader::decode(&mut frame, 2).unwrap();
            assert_eq!((head.request_api_key, head.request_api_version), (0, version));
            let request = ProduceRequest::decode(&mut frame, version).unwrap();
            assert!(frame.is_empty());
            assert_eq!(request.topic_data.len(), 5);
            let all = request.topic_data.iter().flat_map(|topic| &topic.partition_data);
            assert_eq!(
                all.map(|part| batch::verify(part.records.as_ref().unwrap())).collect::<Vec<_>>(),
                [Some(16); 10]
            );
        }
    }

    #[test]
    fn the_session_epoch_is_where_we_write_it() {
        for version in 12..=18 {
            let request = fetch(version, &partitions(2, 1), 1, 16, 7, 1).unwrap();
            let mut frame = encode(version, 0, &request).unwrap();
            frame[epoch(version)..epoch(version) + 4].copy_from_slice(&99i32.to_be_bytes());
            let mut frame = Bytes::from(frame).split_off(4);
            RequestHeader::decode(&mut frame, 2).unwrap();
            let read = FetchRequest::decode(&mut frame, version).unwrap();
            assert_eq!((read.session_id, read.session_epoch), (7, 99));
        }
    }

    #[test]
    fn requests_are_cut_into_batches_as_a_producer_would() {
        assert_eq!(
            [batches(16, 2), batches(1024, 2), batches(1024, 75), batches(1024, 50), batches(256, 75)],
            [1, 1, 64, 50, 16]
        );
        assert_eq!(windows(&partitions(3, 1), 2).len(), 2);
        let all: Vec<_> = windows(&partitions(3, 1), 2).concat().iter().map(|p| p.topic.clone()).collect();
        assert_eq!(all, ["t0", "t1", "t2", "t0"]);
    }
}
