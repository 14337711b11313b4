//! The heads of requests and responses, read without the body. Source: KIP-482 (flexible versions), KIP-511.

use super::malformed::Malformed;
use bytes::Bytes;
use kafka_protocol::messages::ApiKey;

/// What stands before every request's body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHead {
    /// The API's key as sent; perhaps one that we do not know.
    pub api_key: i16,
    /// The version of the body.
    pub version: i16,
    /// The client's number for this request; its answer bears it.
    pub correlation: i32,
    /// What the client calls itself; goes up to the cluster unchanged.
    pub client_id: Option<Bytes>,
    /// Where the body begins in the frame.
    pub body_at: usize,
}

/// The length of api key, version and correlation id: what is replaced when a frame is forwarded as it is.
pub const FIXED_HEAD: usize = 8;

impl RequestHead {
    /// Reads the head of a request frame. An unknown API key is no error here: it gets an answer or a log line, not a
    /// panic; its head is read as version 1.
    pub fn read(frame: &Bytes) -> Result<Self, Malformed> {
        let mut at = Cursor { frame, at: 0 };
        let (api_key, version) = (at.i16()?, at.i16()?);
        let correlation = at.i32()?;
        let header_version = ApiKey::try_from(api_key).map_or(1, |api| api.request_header_version(version));
        let client_id = if header_version >= 1 { at.nullable_string()? } else { None };
        if header_version >= 2 {
            at.skip_tagged_fields()?;
        }
        Ok(Self { api_key, version, correlation, client_id, body_at: at.at })
    }
}

/// Reads a response's head: its correlation id and where the body begins.
pub fn read_response(frame: &Bytes, api: ApiKey, version: i16) -> Result<(i32, usize), Malformed> {
    let mut at = Cursor { frame, at: 0 };
    let correlation = at.i32()?;
    if api.response_header_version(version) >= 1 {
        at.skip_tagged_fields()?;
    }
    Ok((correlation, at.at))
}

/// Reads a frame's fields one after another.
pub(super) struct Cursor<'a> {
    pub(super) frame: &'a Bytes,
    pub(super) at: usize,
}

impl Cursor<'_> {
    pub(super) fn take<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let bytes = self.frame.get(self.at..self.at + N).and_then(|b| b.try_into().ok()).ok_or(Malformed::Short)?;
        self.at += N;
        Ok(bytes)
    }

    pub(super) fn i16(&mut self) -> Result<i16, Malformed> {
        self.take().map(i16::from_be_bytes)
    }

    pub(super) fn i32(&mut self) -> Result<i32, Malformed> {
        self.take().map(i32::from_be_bytes)
    }

    pub(super) fn slice(&mut self, len: usize) -> Result<Bytes, Malformed> {
        let from = self.at;
        self.skip(len)?;
        Ok(self.frame.slice(from..self.at))
    }

    pub(super) fn skip(&mut self, len: usize) -> Result<(), Malformed> {
        self.at = self.at.checked_add(len).filter(|end| *end <= self.frame.len()).ok_or(Malformed::Short)?;
        Ok(())
    }

    fn nullable_string(&mut self) -> Result<Option<Bytes>, Malformed> {
        match self.i16()? {
            -1 => Ok(None),
            len => self.slice(usize::try_from(len).map_err(|_| Malformed::Short)?).map(Some),
        }
    }

    /// At most 32 bits in at most five bytes.
    #[inline]
    pub(super) fn unsigned_varint(&mut self) -> Result<u32, Malformed> {
        match self.frame.get(self.at).copied() {
            Some(byte @ ..0x80) => {
                self.at += 1;
                Ok(u32::from(byte))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u32, Malformed> {
        let mut value = 0_u32;
        for shift in [0, 7, 14, 21] {
            let [byte] = self.take()?;
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        match self.take()? {
            [last @ ..0x10] => Ok(value | u32::from(last) << 28),
            _ => Err(Malformed::Number("a number of more than 32 bits")),
        }
    }

    /// How many bytes or elements follow; -1 for null. Compact in a flexible version, else of 16 bits, or 32.
    pub(super) fn length(&mut self, flexible: bool, wide: bool) -> Result<i64, Malformed> {
        Ok(match (flexible, wide) {
            (true, _) => i64::from(self.unsigned_varint()?) - 1,
            (false, true) => i64::from(self.i32()?),
            (false, false) => i64::from(self.i16()?),
        })
    }

    /// The bytes that have not been read.
    pub(super) fn left(&self) -> usize {
        self.frame.len().saturating_sub(self.at)
    }

    /// A tagged field's number and size. kafka-protocol takes numbers from 2^31 on for negative ones, and would write
    /// their message anew without them and with their count.
    pub(super) fn tag(&mut self) -> Result<(u32, usize), Malformed> {
        let tag = self.unsigned_varint()?;
        if i32::try_from(tag).is_err() {
            return Err(Malformed::Number("a tagged field with a number of 2^31 or above"));
        }
        let size = self.unsigned_varint()?;
        Ok((tag, usize::try_from(size).map_err(|_| Malformed::Short)?))
    }

    pub(super) fn skip_tagged_fields(&mut self) -> Result<(), Malformed> {
        for _ in 0..self.unsigned_varint()? {
            let (_, size) = self.tag()?;
            self.skip(size)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::BytesMut;
    use kafka_protocol::messages::RequestHeader;
    use kafka_protocol::protocol::{StrBytes, encode_request_header_into_buffer};
    use proptest::prelude::*;

    #[test]
    fn a_tagged_field_that_could_not_be_written_again_is_refused() {
        let with_tag = |tag: &[u8]| {
            let head = [&[0, 3, 0, 9, 0, 0, 0, 7, 0xff, 0xff, 1][..], tag, &[1, 5]].concat();
            RequestHead::read(&head.into())
        };
        assert!(with_tag(&[0xff, 0xff, 0xff, 0xff, 0x07]).is_ok(), "2^31 - 1");
        assert!(matches!(with_tag(&[0x80, 0x80, 0x80, 0x80, 0x08]), Err(Malformed::Number(_))), "2^31");
    }

    proptest! {
        #[test]
        fn agrees_with_kafka_protocol_on_every_api(
            api in prop::sample::select(ApiKey::iter().collect::<Vec<_>>()), up in 0_i16..4, correlation: i32,
            client_id in prop::option::of("[a-zA-Z0-9._-]{0,40}"),
        ) {
            let range = api.valid_versions();
            let version = (range.min + up).min(range.max);
            let header = RequestHeader::default()
                .with_request_api_key(api as i16)
                .with_request_api_version(version)
                .with_correlation_id(correlation)
                .with_client_id(client_id.clone().map(StrBytes::from_string));
            let mut frame = BytesMut::new();
            encode_request_header_into_buffer(&mut frame, &header).unwrap();
            let head = RequestHead::read(&frame.freeze()).unwrap();
            prop_assert_eq!((head.api_key, head.version, head.correlation), (api as i16, version, correlation));
            prop_assert_eq!(head.client_id, client_id.map(Bytes::from));
        }

        #[test]
        fn any_bytes_are_a_head_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let frame = Bytes::from(bytes);
            if let Ok(head) = RequestHead::read(&frame) {
                prop_assert!(head.body_at <= frame.len());
            }
            for api in [ApiKey::ApiVersions, ApiKey::Fetch] {
                if let Ok((_, body_at)) = read_response(&frame, api, 12) {
                    prop_assert!(body_at <= frame.len());
                }
            }
        }
    }
}
