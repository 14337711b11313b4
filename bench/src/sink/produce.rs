//! Produce 9..13: one pass over the request writes the answer. Own code, because a decoder would want the frame in
//! memory of its own.

use crate::batch;
use crate::frames::{Cursor, put_uvarint, seal};

use super::Request;
use super::cluster::Cluster;

/// Versions served: the flexible ones, with topic ids from 13.
pub(super) const VERSIONS: (i16, i16) = (9, 13);
const TOPIC_IDS: i16 = 13;

/// Puts the whole answer frame into `out`; `Some(false)` where the client wants none, `None` where the request is not one.
pub(super) fn answer(cluster: &Cluster, node: usize, request: &Request<'_>, out: &mut Vec<u8>) -> Option<bool> {
    if !(VERSIONS.0..=VERSIONS.1).contains(&request.version) {
        return None;
    }
    out.clear();
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&request.correlation.to_be_bytes());
    out.push(0); // tagged fields of the head
    let mut body = request.flexible_body()?;
    body.compact()?; // transactional id
    let acks = body.int16()?;
    body.int32()?; // time-out
    let topics = body.uvarint()?;
    put_uvarint(out, topics);
    for _ in 1..topics {
        topic(cluster, node, request.version, &mut body, out)?;
    }
    body.skip_tags()?;
    out.extend_from_slice(&0i32.to_be_bytes()); // throttle time
    out.push(0);
    let length = out.len() - 4;
    seal(out, length);
    Some(acks != 0)
}

fn topic(cluster: &Cluster, node: usize, version: i16, body: &mut Cursor<'_>, out: &mut Vec<u8>) -> Option<()> {
    let found = if version >= TOPIC_IDS {
        let id = body.take(16)?;
        out.extend_from_slice(id);
        cluster.by_id(id)
    } else {
        let name = body.compact()?;
        put_uvarint(out, name.len() + 1);
        out.extend_from_slice(name);
        cluster.by_name(name)
    };
    let partitions = body.uvarint()?;
    put_uvarint(out, partitions);
    for _ in 1..partitions {
        let index = body.int32()?;
        let records = body.compact()?;
        body.skip_tags()?;
        let error = cluster.check(found, index, node);
        let count = batch::count(records).filter(|_| error == 0);
        let base =
            found.zip(count).map_or(-1, |(found, count)| found.append(usize::try_from(index).unwrap_or(0), count));
        out.extend_from_slice(&index.to_be_bytes());
        out.extend_from_slice(&error.to_be_bytes());
        out.extend_from_slice(&base.to_be_bytes());
        out.extend_from_slice(&(-1i64).to_be_bytes()); // log append time
        out.extend_from_slice(&0i64.to_be_bytes()); // log start offset
        out.extend_from_slice(&[1, 0, 0]); // no record errors, no message, no tagged fields
    }
    body.skip_tags()?;
    out.push(0);
    Some(())
}

#[cfg(test)]
mod tests {
    use bytes::{Bytes, BytesMut};
    use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
    use kafka_protocol::messages::{ProduceRequest, ProduceResponse, RequestHeader, ResponseHeader};
    use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};

    use super::super::cluster::Address;
    use super::*;
    use crate::topics;

    fn ask(version: i16, acks: i16) -> (Option<bool>, Vec<u8>) {
        let cluster = Cluster::new(
            "c".into(),
            vec![Address("h:1".into()), Address("h:2".into())],
            vec![],
            &["t-:2:2".parse().unwrap()],
        );
        let batch = Bytes::from(batch::build(16));
        let partition = |index| PartitionProduceData::default().with_index(index).with_records(Some(batch.clone()));
        let topic = |name: &'static str| {
            let named = TopicProduceData::default().with_partition_data(vec![partition(0), partition(1), partition(9)]);
            if version < 13 {
                named.with_name(StrBytes::from_static_str(name).into())
            } else {
                named.with_topic_id(topics::id(name))
            }
        };
        let request = ProduceRequest::default().with_acks(acks).with_topic_data(vec![
            topic("t-0000"),
            topic("t-0001"),
            topic("no"),
        ]);
        let mut rest = BytesMut::new();
        let head = RequestHeader::default().with_client_id(Some(StrBytes::from_static_str("me")));
        head.encode(&mut rest, 2).unwrap();
        let mut rest = rest.split_off(8);
        request.encode(&mut rest, version).unwrap();
        let mut out = Vec::new();
        let asked = Request { key: 0, version, correlation: 42, rest: &rest };
        (answer(&cluster, 0, &asked, &mut out), out)
    }

    #[test]
    fn the_protocol_crate_reads_the_answers_of_every_version() {
        for version in VERSIONS.0..=VERSIONS.1 {
            let (answered, out) = ask(version, -1);
            assert_eq!(answered, Some(true));
            let mut frame = Bytes::from(out);
            assert_eq!(frame.len() - 4, bytes::Buf::get_i32(&mut frame) as usize);
            assert_eq!(ResponseHeader::decode(&mut frame, 1).unwrap().correlation_id, 42);
            let response = ProduceResponse::decode(&mut frame, version).unwrap();
            assert!(frame.is_empty());
            let codes: Vec<Vec<i16>> = response
                .responses
                .iter()
                .map(|topic| topic.partition_responses.iter().map(|part| part.error_code).collect())
                .collect();
            assert_eq!(codes, [[0, 6, 3], [6, 0, 3], [3, 3, 3]]);
        }
    }

    #[test]
    fn nobody_waits_for_an_answer_without_acknowledgement() {
        assert_eq!(ask(13, 0).0, Some(false));
    }
}
