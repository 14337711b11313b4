//! What a member of a classic group says that it reads, inside JoinGroup: Kafka's consumer protocol, which brokers do not look
//! into (KIP-54), but tell who asks for it. We do, since what no member reads any more is nobody's lag.

use crate::types::{TopicKey, topic_key};
use kafka_protocol::messages::JoinGroupRequest;
use uuid::Uuid;

/// The protocol type of consumers.
pub const CONSUMER: &str = "consumer";

/// The topics that a member reads; `None` where that cannot be told. All its protocols say the same, and the first counts.
#[must_use]
pub fn topics_read(request: &JoinGroupRequest) -> Option<Box<[TopicKey]>> {
    let protocol = request.protocols.first().filter(|_| request.protocol_type.as_str() == CONSUMER)?;
    topics_named(&protocol.metadata)
}

/// The same out of what it says with one of its protocols.
#[must_use]
pub fn topics_named(mut said: &[u8]) -> Option<Box<[TopicKey]>> {
    let _version: [u8; 2] = take(&mut said)?;
    let count = u32::try_from(i32::from_be_bytes(take(&mut said)?)).ok()?;
    (0..count).map(|_| topic(&mut said)).collect()
}

fn topic(said: &mut &[u8]) -> Option<TopicKey> {
    let length = usize::try_from(i16::from_be_bytes(take(said)?)).ok()?;
    let (name, rest) = said.split_at_checked(length)?;
    *said = rest;
    Some(topic_key(std::str::from_utf8(name).ok()?, Uuid::nil()))
}

fn take<const N: usize>(said: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = said.split_first_chunk::<N>()?;
    *said = rest;
    Some(*first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::testing::text;
    use bytes::{BufMut, Bytes, BytesMut};
    use kafka_protocol::messages::ConsumerProtocolSubscription;
    use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
    use kafka_protocol::protocol::Encodable;

    fn join(kind: &str, metadata: Bytes) -> JoinGroupRequest {
        let protocol = JoinGroupRequestProtocol::default().with_name(text("range")).with_metadata(metadata);
        JoinGroupRequest::default().with_protocol_type(text(kind)).with_protocols(vec![protocol])
    }

    fn subscription(version: i16, topics: &[&str]) -> Bytes {
        let mut bytes = BytesMut::new();
        bytes.put_i16(version);
        let said = ConsumerProtocolSubscription::default().with_topics(topics.iter().map(|name| text(name)).collect());
        said.encode(&mut bytes, version).unwrap();
        bytes.freeze()
    }

    #[test]
    fn a_member_says_what_it_reads_in_every_version() {
        for version in 0..=3 {
            let read = topics_read(&join("consumer", subscription(version, &["x", "y"]))).unwrap();
            assert_eq!(*read, ["x", "y"].map(|name| topic_key(name, Uuid::nil())), "version {version}");
        }
        assert_eq!(topics_read(&join("consumer", subscription(1, &[]))).as_deref(), Some(&[][..]));
    }

    #[test]
    fn what_cannot_be_read_says_nothing() {
        let whole = subscription(0, &["x", "y"]);
        assert!(topics_read(&join("connect", whole.clone())).is_none());
        assert!(topics_read(&JoinGroupRequest::default().with_protocol_type(text("consumer"))).is_none());
        // Behind the topics stand only user data
        for end in 0..whole.len() - 4 {
            assert!(topics_read(&join("consumer", whole.slice(..end))).is_none(), "cut at {end}");
        }
        let endless = Bytes::from_static(&[0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 1, b'x']);
        assert!(topics_read(&join("consumer", endless)).is_none());
    }
}
