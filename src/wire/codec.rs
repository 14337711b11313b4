//! Messages to bytes and back. Decoding keeps strings and records as slices of the frame; encoding keeps large slices
//! of known frames as shared pieces.

use super::head::{FIXED_HEAD, RequestHead};
use super::malformed::Malformed;
use super::pieces::Pieces;
use super::shape::{Shaped, check};
use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Encodable, StrBytes};

/// How many bytes say how long a client id is.
const ID_LENGTH: usize = 2;

/// A message that cannot be written in a version, for example since a field is set that the version lacks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it cannot be written in version {version}: {why}")]
pub struct Unwritable {
    version: i16,
    why: String,
}

impl Unwritable {
    pub(super) fn of(version: i16, why: &anyhow::Error) -> Self {
        Self { version, why: why.to_string() }
    }
}

/// A frame that is ready to be written: its pieces in order, the length field included.
pub type Frame = Vec<Bytes>;

/// The number of bytes a frame takes on the wire.
#[must_use]
pub fn size_of(frame: &Frame) -> usize {
    frame.iter().map(Bytes::len).sum()
}

/// Reads a message's body. The only call of kafka-protocol's decoders, which believe what they read: so its shape is
/// checked first.
pub fn decode<M: Shaped>(mut body: Bytes, version: i16) -> Result<M, Malformed> {
    check::<M>(&body, version)?;
    M::decode(&mut body, version).map_err(|e| Malformed::Field(e.to_string()))
}

/// Writes a request of ours, or a client's request anew.
pub fn encode_request<M: Encodable>(
    api: ApiKey,
    version: i16,
    correlation: i32,
    client_id: Option<&Bytes>,
    request: &M,
    sources: &[Bytes],
) -> Result<Frame, Unwritable> {
    let client_id = client_id.and_then(|id| StrBytes::from_utf8(id.clone()).ok());
    let head = RequestHeader::default()
        .with_request_api_key(api as i16)
        .with_request_api_version(version)
        .with_correlation_id(correlation)
        .with_client_id(client_id);
    let mut pieces = Pieces::new(api, sources);
    let unwritable = |e: anyhow::Error| Unwritable { version, why: e.to_string() };
    pieces.head(|pieces| head.encode(pieces, api.request_header_version(version))).map_err(unwritable)?;
    request.encode(&mut pieces, version).map_err(unwritable)?;
    Ok(pieces.finish())
}

/// Writes an answer to a client.
pub fn encode_response<M: Encodable>(
    api: ApiKey,
    version: i16,
    correlation: i32,
    response: &M,
    sources: &[Bytes],
) -> Result<Frame, Unwritable> {
    let head = ResponseHeader::default().with_correlation_id(correlation);
    let mut pieces = Pieces::new(api, sources);
    let unwritable = |e: anyhow::Error| Unwritable { version, why: e.to_string() };
    head.encode(&mut pieces, api.response_header_version(version)).map_err(unwritable)?;
    response.encode(&mut pieces, version).map_err(unwritable)?;
    Ok(pieces.finish())
}

/// Writes a message's body alone.
pub fn encode_body<M: Encodable>(message: &M, version: i16) -> Result<Bytes, Unwritable> {
    let mut body = BytesMut::new();
    message.encode(&mut body, version).map_err(|e| Unwritable { version, why: e.to_string() })?;
    Ok(body.freeze())
}

/// An answer whose body is written already.
#[must_use]
pub fn frame_response(api: ApiKey, version: i16, correlation: i32, body: Vec<Bytes>) -> Frame {
    let tags = usize::from(api.response_header_version(version) >= 1);
    let len = 4 + tags + body.iter().map(Bytes::len).sum::<usize>();
    let mut head = BytesMut::with_capacity(9);
    head.put_u32(u32::try_from(len).unwrap_or(u32::MAX));
    head.put_i32(correlation);
    head.put_bytes(0, tags);
    std::iter::once(head.freeze()).chain(body).collect()
}

/// A client's request frame as it is, but for our own correlation id, and for the client id where that is another.
#[must_use]
pub fn forward_request(frame: &Bytes, correlation: i32, client_id: Option<&Bytes>) -> Frame {
    let said = RequestHead::read(frame).ok();
    let (head, at) = forwarded_head(frame, said.as_ref(), correlation, client_id, 0);
    vec![head.freeze(), frame.slice(at.min(frame.len())..)]
}

/// The start of a frame with this head as it goes up, and where in the frame that ends. `room` is for what follows it.
fn forwarded_head(
    frame: &Bytes,
    said: Option<&RequestHead>,
    correlation: i32,
    client_id: Option<&Bytes>,
    room: usize,
) -> (BytesMut, usize) {
    let said = said.map(|head| head.client_id.as_ref()).filter(|said| *said != client_id);
    // What has no room in a head is no client id.
    let length = client_id.and_then(|id| i16::try_from(id.len()).ok());
    let id = client_id.filter(|_| length.is_some() && said.is_some()).map_or(&[][..], |id| id);
    let was = said.flatten().map_or(0, Bytes::len);
    let mut head = BytesMut::with_capacity(4 + FIXED_HEAD + ID_LENGTH + id.len() + room);
    head.put_u32(u32::try_from(frame.len() + id.len() - was).unwrap_or(u32::MAX));
    head.put_slice(frame.get(..4).unwrap_or_default());
    head.put_i32(correlation);
    if said.is_none() {
        return (head, FIXED_HEAD);
    }
    head.put_i16(length.unwrap_or(-1));
    head.put_slice(id);
    (head, FIXED_HEAD + ID_LENGTH + was)
}

/// From this version on a Fetch says in a tagged field who asks (KIP-903).
const FETCH_WITHOUT_REPLICA: i16 = 15;

/// A client's Fetch as it is, but for what [`forward_request`] changes and for how much may be answered at most. What is no
/// Fetch goes as it is.
#[must_use]
pub fn forward_fetch(
    frame: &Bytes,
    correlation: i32,
    client_id: Option<&Bytes>,
    version: i16,
    max_bytes: i32,
) -> Frame {
    let said = RequestHead::read(frame).ok();
    let body_at = said.as_ref().map_or(frame.len(), |head| head.body_at);
    // Behind who asks, how long and how little it waits for.
    let at = body_at + if version >= FETCH_WITHOUT_REPLICA { 8 } else { 12 };
    let (mut head, from) = forwarded_head(frame, said.as_ref(), correlation, client_id, at);
    let (Some(before), true) = (frame.get(from..at), frame.len() >= at + 4) else {
        return forward_request(frame, correlation, client_id);
    };
    head.put_slice(before);
    head.put_i32(max_bytes);
    vec![head.freeze(), frame.slice(at + 4..)]
}

/// A broker's answer as it is, but for the client's correlation id.
#[must_use]
pub fn forward_response(frame: &Bytes, correlation: i32) -> Frame {
    let mut head = BytesMut::with_capacity(8);
    head.put_u32(u32::try_from(frame.len()).unwrap_or(u32::MAX));
    head.put_i32(correlation);
    vec![head.freeze(), frame.slice(4.min(frame.len())..)]
}

/// A copy of a string that is kept: a slice would pin the frame that it came in.
#[must_use]
pub fn copied(text: &StrBytes) -> StrBytes {
    StrBytes::from_string(text.to_string())
}

#[cfg(test)]
mod tests {
    use super::super::head::read_response;
    use super::super::pieces::record_bytes_copied;
    use super::*;
    use kafka_protocol::messages::FetchRequest;
    use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
    use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
    use kafka_protocol::messages::{ProduceRequest, ProduceResponse, TopicName};

    fn joined(frame: &Frame) -> Bytes {
        let bytes: Vec<u8> = frame.iter().flat_map(|p| p.iter().copied()).collect();
        assert_eq!(bytes.len() - 4, u32::from_be_bytes(bytes[..4].try_into().unwrap()) as usize);
        Bytes::from(bytes).slice(4..)
    }

    fn produce(records: &Bytes) -> ProduceRequest {
        let partition = |index| PartitionProduceData::default().with_index(index).with_records(Some(records.clone()));
        let topic = TopicProduceData::default()
            .with_name(TopicName(StrBytes::from_static_str("t")))
            .with_partition_data(vec![partition(0), partition(1)]);
        ProduceRequest::default().with_acks(-1).with_topic_data(vec![topic])
    }

    #[test]
    fn records_are_shared_and_not_copied() {
        let records = Bytes::from(vec![7_u8; 10_000]);
        let client = encode_request(ApiKey::Produce, 9, 5, None, &produce(&records), std::slice::from_ref(&records));
        let frame = joined(&client.unwrap());
        let before = record_bytes_copied();
        let head = RequestHead::read(&frame).unwrap();
        let decoded: ProduceRequest = decode(frame.slice(head.body_at..), head.version).unwrap();
        let again = encode_request(ApiKey::Produce, 9, 5, None, &decoded, std::slice::from_ref(&frame)).unwrap();
        assert_eq!(joined(&again), frame, "the same bytes");
        assert_eq!(again.iter().filter(|piece| piece.len() == 10_000).count(), 2, "as pieces of the first frame");
        assert_eq!(record_bytes_copied(), before);
    }

    /// [L4]
    #[test]
    fn l4_a_forwarded_fetch_asks_for_no_more_than_we_may_hold() {
        let partition = FetchPartition::default().with_partition(3).with_partition_max_bytes(9 << 20);
        let topic = FetchTopic::default().with_partitions(vec![partition]);
        let request = FetchRequest::default().with_max_wait_ms(5).with_min_bytes(7).with_topics(vec![topic]);
        let id = Bytes::from_static(b"client");
        let written = |version, max_bytes, correlation| {
            let request = request.clone().with_max_bytes(max_bytes);
            joined(&encode_request(ApiKey::Fetch, version, correlation, Some(&id), &request, &[]).unwrap())
        };
        for version in 4..=18 {
            let asked = written(version, 50 << 20, 5);
            let forwarded = joined(&forward_fetch(&asked, 77, Some(&id), version, 1_000));
            assert_eq!(forwarded, written(version, 1_000, 77), "{version}");
            let cut = asked.slice(..20);
            assert_eq!(joined(&forward_fetch(&cut, 5, Some(&id), version, 1_000)), cut);
        }
    }

    #[test]
    fn a_forwarded_frame_bears_the_client_id_that_it_is_given() {
        let ids = [None, Some(Bytes::new()), Some(Bytes::from_static(b"app")), Some(Bytes::from(vec![b'x'; 32_767]))];
        for (said, given) in ids.iter().flat_map(|said| ids.iter().map(move |given| (said, given))) {
            for version in [3, 9] {
                let written = |correlation, id: &Option<Bytes>| {
                    let records = produce(&Bytes::new());
                    joined(&encode_request(ApiKey::Produce, version, correlation, id.as_ref(), &records, &[]).unwrap())
                };
                let forwarded = joined(&forward_request(&written(5, said), 77, given.as_ref()));
                assert_eq!(forwarded, written(77, given), "{said:?} {given:?}");
            }
            let fetch = |max_bytes, id: &Option<Bytes>| {
                let request = FetchRequest::default().with_max_bytes(max_bytes);
                joined(&encode_request(ApiKey::Fetch, 12, 5, id.as_ref(), &request, &[]).unwrap())
            };
            assert_eq!(joined(&forward_fetch(&fetch(9, said), 5, given.as_ref(), 12, 7)), fetch(7, given));
        }
    }

    #[test]
    fn a_forwarded_frame_differs_in_its_correlation_id_alone() {
        let request = encode_request(ApiKey::Produce, 9, 5, None, &produce(&Bytes::new()), &[]).unwrap();
        let forwarded = joined(&forward_request(&joined(&request), 77, None));
        let expected = encode_request(ApiKey::Produce, 9, 77, None, &produce(&Bytes::new()), &[]).unwrap();
        assert_eq!(forwarded, joined(&expected));

        let response = encode_response(ApiKey::Produce, 9, 5, &ProduceResponse::default(), &[]).unwrap();
        let forwarded = joined(&forward_response(&joined(&response), 78));
        assert_eq!(read_response(&forwarded, ApiKey::Produce, 9).map(|(correlation, _)| correlation), Ok(78));
    }
}
