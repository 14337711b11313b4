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
use super::cluster::{Cluster, Topic};

/// Versions served: the flexible ones, with topic ids from 13.
pub(super) const VERSIONS: (i16, i16) = (12, 18);
const TOPIC_IDS: i16 = 13;
/// How far behind the end of the log a reader is shown to be, always.
const BACKLOG: i64 = 1 << 30;

/// The answers that one connection has had.
#[derive(Default)]
pub(super) struct Answers(HashMap<Vec<u8>, Answer>);

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
        if !self.0.contains_key(request.rest) {
            if self.0.len() > 256 {
                self.0.clear();
            }
            self.0.insert(request.rest.to_vec(), Answer::new(cluster, node, request)?);
        }
        let answer = self.0.get_mut(request.rest).context("an answer just kept")?;
        answer
            .0
            .send(CORRELATION_AT, request.correlation, without_offset(&cluster.batch), to)
            .context("an answer to Fetch")
    }
}

impl Answer {
    fn new(cluster: &Cluster, node: usize, request: &Request<'_>) -> Result<Self> {
        if !(VERSIONS.0..=VERSIONS.1).contains(&request.version) {
            bail!("Fetch version {} is not served", request.version);
        }
        let mut rest = Bytes::copy_from_slice(&[&[0; 8], request.rest].concat());
        RequestHeader::decode(&mut rest, 2)?;
        let asked = FetchRequest::decode(&mut rest, request.version)?;
        let mut answer = Self(Laced::of(vec![0; 8]));
        answer.0.own.push(0); // tagged fields of the head
        answer.0.own.extend_from_slice(&0i32.to_be_bytes()); // throttle time
        // We open no fetch sessions, so nobody can go on with one.
        let error: i16 = if asked.session_epoch > 0 { 70 } else { 0 };
        answer.0.own.extend_from_slice(&error.to_be_bytes());
        answer.0.own.extend_from_slice(&0i32.to_be_bytes());
        let topics: &[FetchTopic] = if error == 0 { &asked.topics } else { &[] };
        let mut room = usize::try_from(asked.max_bytes).unwrap_or(0);
        put_uvarint(&mut answer.0.own, topics.len() + 1);
        for topic in topics {
            answer.topic(cluster, node, request.version, topic, &mut room);
        }
        answer.0.own.push(0);
        answer.0.seal(without_offset(&cluster.batch));
        Ok(answer)
    }

    fn topic(&mut self, cluster: &Cluster, node: usize, version: i16, topic: &FetchTopic, room: &mut usize) {
        let found = if version >= TOPIC_IDS {
            self.0.own.extend_from_slice(topic.topic_id.as_bytes());
            cluster.by_id(topic.topic_id.as_bytes())
        } else {
            put_uvarint(&mut self.0.own, topic.topic.len() + 1);
            self.0.own.extend_from_slice(topic.topic.as_bytes());
            cluster.by_name(topic.topic.as_bytes())
        };
        put_uvarint(&mut self.0.own, topic.partitions.len() + 1);
        for partition in &topic.partitions {
            self.partition(cluster, node, found, partition, room);
        }
        self.0.own.push(0);
    }

    fn partition(
        &mut self,
        cluster: &Cluster,
        node: usize,
        topic: Option<&Topic>,
        asked: &FetchPartition,
        room: &mut usize,
    ) {
        let error = cluster.check(topic, asked.partition, node);
        self.0.own.extend_from_slice(&asked.partition.to_be_bytes());
        self.0.own.extend_from_slice(&error.to_be_bytes());
        let end = if error == 0 { asked.fetch_offset + BACKLOG } else { -1 };
        self.0.own.extend_from_slice(&end.to_be_bytes()); // high watermark
        self.0.own.extend_from_slice(&end.to_be_bytes()); // last stable offset
        self.0.own.extend_from_slice(&0i64.to_be_bytes()); // log start offset
        self.0.own.push(0); // no aborted transactions
        self.0.own.extend_from_slice(&(-1i32).to_be_bytes()); // preferred read replica
        let fits = usize::try_from(asked.partition_max_bytes).unwrap_or(0).min(*room) / cluster.batch.len();
        // A broker gives the first batch even where it is larger than the limit.
        let fits = if self.0.batches() == 0 { fits.max(1) } else { fits };
        let fits = if error == 0 { fits } else { 0 };
        *room = room.saturating_sub(fits * cluster.batch.len());
        put_uvarint(&mut self.0.own, fits * cluster.batch.len() + 1);
        for at in 0..i64::try_from(fits).unwrap_or(0) {
            let base = asked.fetch_offset + at * i64::try_from(batch::SMALL).unwrap_or(0);
            self.0.own.extend_from_slice(&base.to_be_bytes());
            self.0.lace();
        }
        self.0.own.push(0);
    }
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

    fn ask(version: i16, session_epoch: i32) -> FetchResponse {
        let cluster = Cluster::new("c".into(), vec![Address("h:1".into())], vec![], &["t-:3:1".parse().unwrap()]);
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
            .with_session_epoch(session_epoch)
            .with_topics(vec![topic("t-0000"), topic("no"), topic("t-0001"), topic("t-0002")]);
        let mut rest = BytesMut::new();
        RequestHeader::default().encode(&mut rest, 2).unwrap();
        let mut rest = rest.split_off(8);
        request.encode(&mut rest, version).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let far = listener.accept().unwrap().0;
        let asked = Request { key: 1, version, correlation: 7, rest: &rest };
        Answers::default().answer(&cluster, 0, &asked, &far).unwrap();
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
            let response = ask(version, -1);
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
    fn a_session_that_we_never_opened_is_not_found() {
        let response = ask(17, 1);
        assert_eq!((response.error_code, response.responses.len()), (70, 0));
    }
}
