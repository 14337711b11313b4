//! Fetch 12..18: every partition's log has no end, and every batch in it is the same one. A question that was asked
//! before is answered by patching the correlation id into what was sent then.

use std::collections::HashMap;
use std::net::TcpStream;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::{FetchRequest, RequestHeader};
use kafka_protocol::protocol::Decodable;

use crate::batch;
use crate::frames::put_uvarint;
use crate::laced::Laced;

use super::Request;
use super::cluster::Cluster;

/// Versions served: the flexible ones, with topic ids from 13.
pub(super) const VERSIONS: (i16, i16) = (12, 18);
const TOPIC_IDS: i16 = 13;
/// The first version that does not begin with a replica id.
const WITHOUT_REPLICA: i16 = 15;
/// How far behind the end of the log a reader is shown to be, always.
const BACKLOG: i64 = 1 << 30;

/// The answers that one connection has had, by the question without its session epoch.
#[derive(Default)]
pub(super) struct Answers {
    known: HashMap<Vec<u8>, Answer>,
    question: Vec<u8>,
}

/// Where an answer has its correlation id.
const CORRELATION_AT: usize = 4;

struct Answer(Laced);

impl Answers {
    pub(super) fn answer(
        &mut self,
        cluster: &Cluster,
        node: usize,
        request: &Request<'_>,
        to: &TcpStream,
    ) -> Result<()> {
        self.question.clear();
        self.question.extend_from_slice(request.rest);
        let epoch = epoch_of(&mut self.question, request).context("a Fetch that is cut off")?;
        let going_on = i32::from_be_bytes(*epoch) > 0;
        if going_on {
            *epoch = 1i32.to_be_bytes();
        }
        if !self.known.contains_key(&self.question) {
            if self.known.len() > 2048 {
                self.known.clear();
            }
            self.known.insert(self.question.clone(), Answer::new(cluster, node, request)?);
        }
        let answer = self.known.get_mut(&self.question).context("an answer just kept")?;
        answer
            .0
            .send(CORRELATION_AT, request.correlation, without_offset(&cluster.batch), to)
            .context("an answer to Fetch")
    }
}

/// The place of the session epoch in a request behind its correlation id.
fn epoch_of<'a>(rest: &'a mut [u8], request: &Request<'_>) -> Option<&'a mut [u8; 4]> {
    let head = rest.len() - request.flexible_body()?.0.len();
    let before = if request.version < WITHOUT_REPLICA { 21 } else { 17 };
    rest.get_mut(head + before..head + before + 4)?.try_into().ok()
}

/// What one partition gets.
struct Share<'a> {
    asked: &'a FetchPartition,
    error: i16,
    batches: usize,
}

impl Answer {
    fn new(cluster: &Cluster, node: usize, request: &Request<'_>) -> Result<Self> {
        if !(VERSIONS.0..=VERSIONS.1).contains(&request.version) {
            bail!("Fetch version {} is not served", request.version);
        }
        let mut rest = Bytes::copy_from_slice(&[&[0; 8], request.rest].concat());
        RequestHeader::decode(&mut rest, 2)?;
        let asked = FetchRequest::decode(&mut rest, request.version)?;
        let session = cluster.session(asked.session_id, asked.session_epoch);
        let mut answer = Self(Laced::of(vec![0; 8]));
        let own = &mut answer.0.own;
        own.push(0); // tagged fields of the head
        own.extend_from_slice(&0i32.to_be_bytes()); // throttle time
        own.extend_from_slice(&session.err().unwrap_or(0).to_be_bytes());
        own.extend_from_slice(&session.unwrap_or(0).to_be_bytes());
        let topics: &[FetchTopic] = if session.is_ok() { &asked.topics } else { &[] };
        let shares = shares(cluster, node, request.version, topics, &asked);
        put_uvarint(own, shares.len() + 1);
        for (topic, shares) in &shares {
            answer.topic(cluster, request.version, topic, shares);
        }
        answer.0.own.push(0);
        answer.0.seal(without_offset(&cluster.batch));
        Ok(answer)
    }

    fn topic(&mut self, cluster: &Cluster, version: i16, topic: &FetchTopic, shares: &[Share<'_>]) {
        if version >= TOPIC_IDS {
            self.0.own.extend_from_slice(topic.topic_id.as_bytes());
        } else {
            put_uvarint(&mut self.0.own, topic.topic.len() + 1);
            self.0.own.extend_from_slice(topic.topic.as_bytes());
        }
        put_uvarint(&mut self.0.own, shares.len() + 1);
        for share in shares {
            self.partition(cluster, share);
        }
        self.0.own.push(0);
    }

    fn partition(&mut self, cluster: &Cluster, share: &Share<'_>) {
        let Share { asked, error, batches } = *share;
        let own = &mut self.0.own;
        own.extend_from_slice(&asked.partition.to_be_bytes());
        own.extend_from_slice(&error.to_be_bytes());
        let end = if error == 0 { asked.fetch_offset + BACKLOG } else { -1 };
        own.extend_from_slice(&end.to_be_bytes()); // high watermark
        own.extend_from_slice(&end.to_be_bytes()); // last stable offset
        own.extend_from_slice(&0i64.to_be_bytes()); // log start offset
        own.push(0); // no aborted transactions
        own.extend_from_slice(&(-1i32).to_be_bytes()); // preferred read replica
        put_uvarint(own, batches * cluster.batch.len() + 1);
        for at in 0..i64::try_from(batches).unwrap_or(0) {
            let base = asked.fetch_offset + at * i64::try_from(batch::SMALL).unwrap_or(0);
            self.0.own.extend_from_slice(&base.to_be_bytes());
            self.0.lace();
        }
        self.0.own.push(0);
    }
}

/// Divides the room for batches among the partitions in the order in which they are asked for. In a session that goes on,
/// who gets nothing is not mentioned, and who is not mentioned gets nothing: its log has no news.
fn shares<'a>(
    cluster: &Cluster,
    node: usize,
    version: i16,
    topics: &'a [FetchTopic],
    request: &FetchRequest,
) -> Vec<(&'a FetchTopic, Vec<Share<'a>>)> {
    let size = cluster.batch.len();
    let mut room = usize::try_from(request.max_bytes).unwrap_or(0);
    let mut first = true;
    let mut all = Vec::new();
    for topic in topics {
        let found = if version >= TOPIC_IDS {
            cluster.by_id(topic.topic_id.as_bytes())
        } else {
            cluster.by_name(topic.topic.as_bytes())
        };
        let share = |asked: &'a FetchPartition| {
            let error = cluster.check(found, asked.partition, node);
            let fits = usize::try_from(asked.partition_max_bytes).unwrap_or(0).min(room) / size;
            // A broker gives the first batch even where it is larger than the limit.
            let batches = if error == 0 { fits.max(usize::from(first)) } else { 0 };
            first = first && batches == 0;
            room = room.saturating_sub(batches * size);
            Share { asked, error, batches }
        };
        let mut shares: Vec<_> = topic.partitions.iter().map(share).collect();
        if request.session_epoch > 0 {
            shares.retain(|share| share.batches > 0 || share.error != 0);
        }
        if !shares.is_empty() {
            all.push((topic, shares));
        }
    }
    all
}

/// A batch behind its base offset, the one field that differs and that no checksum covers.
fn without_offset(batch: &[u8]) -> &[u8] {
    batch.get(8..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use bytes::{Buf, BytesMut};
    use kafka_protocol::messages::{FetchResponse, ResponseHeader};
    use kafka_protocol::protocol::{Encodable, StrBytes};
    use std::net::TcpListener;
    use std::sync::Arc;

    use super::super::cluster::Address;
    use super::*;
    use crate::frames::Frames;
    use crate::topics;

    fn cluster() -> Cluster {
        Cluster::new("c".into(), vec![Address("h:1".into())], vec![], &["t-:3:1".parse().unwrap()])
    }

    fn ask(cluster: &Cluster, version: i16, session: i32, epoch: i32) -> FetchResponse {
        let topic = |name: &'static str| {
            let partition = FetchPartition::default()
                .with_fetch_offset(100)
                .with_partition_max_bytes(2 * cluster.batch.len() as i32);
            let topic = FetchTopic::default().with_partitions(vec![partition]);
            if version < 13 {
                topic.with_topic(StrBytes::from_static_str(name).into())
            } else {
                topic.with_topic_id(topics::id(name))
            }
        };
        let request = FetchRequest::default()
            .with_max_bytes(3 * cluster.batch.len() as i32)
            .with_session_id(session)
            .with_session_epoch(epoch)
            .with_topics(vec![topic("t-0000"), topic("no"), topic("t-0001"), topic("t-0002")]);
        let mut rest = BytesMut::new();
        RequestHeader::default().encode(&mut rest, 2).unwrap();
        let mut rest = rest.split_off(8);
        request.encode(&mut rest, version).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let far = listener.accept().unwrap().0;
        let asked = Request { key: 1, version, correlation: 7, rest: &rest };
        Answers::default().answer(cluster, 0, &asked, &far).unwrap();
        let mut frames = Frames::new(Arc::new(near));
        let mut frame = Bytes::copy_from_slice(frames.next().unwrap().unwrap());
        assert_eq!(ResponseHeader::decode(&mut frame, 1).unwrap().correlation_id, 7);
        let response = FetchResponse::decode(&mut frame, version).unwrap();
        assert!(!frame.has_remaining());
        response
    }

    #[test]
    fn the_protocol_crate_reads_the_answers_of_every_version() {
        for version in VERSIONS.0..=VERSIONS.1 {
            let response = ask(&cluster(), version, 0, -1);
            let given: Vec<_> = response
                .responses
                .iter()
                .map(|topic| &topic.partitions[0])
                .map(|part| (part.error_code, batch::verify(part.records.as_ref().unwrap())))
                .collect();
            assert_eq!(given, [(0, Some(32)), (3, Some(0)), (0, Some(16)), (0, Some(0))]);
            let first = response.responses[0].partitions[0].records.clone().unwrap();
            assert_eq!(i64::from_be_bytes(first[..8].try_into().unwrap()), 100);
            let second = batch::size(batch::SMALL);
            assert_eq!(i64::from_be_bytes(first[second..second + 8].try_into().unwrap()), 116);
        }
    }

    #[test]
    fn a_session_goes_on_with_what_has_news() {
        for version in VERSIONS.0..=VERSIONS.1 {
            let cluster = cluster();
            let first = ask(&cluster, version, 0, 0);
            assert!(first.session_id > 0);
            assert_eq!(first.responses.len(), 4);
            for epoch in [1, 2] {
                let next = ask(&cluster, version, first.session_id, epoch);
                assert_eq!((next.error_code, next.session_id), (0, first.session_id));
                let codes: Vec<_> = next.responses.iter().map(|topic| topic.partitions[0].error_code).collect();
                assert_eq!(codes, [0, 3, 0], "the last has no room, so it is not mentioned");
            }
        }
    }

    #[test]
    fn a_session_that_we_never_opened_is_not_found() {
        let response = ask(&cluster(), 17, 1, 1);
        assert_eq!((response.error_code, response.responses.len()), (70, 0));
    }
}
