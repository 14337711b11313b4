//! What the tables must be, and hostile bodies by hand. Properties over all messages are in `tests/shape.rs`.

use super::field::{Element, Kind};
use super::*;
use crate::wire::codec::{decode, encode_body};
use crate::wire::malformed::Malformed;
use crate::wire::versions::SERVED;
use bytes::Bytes;
use kafka_protocol::messages::*;
use kafka_protocol::protocol::VersionRange;
use std::collections::BTreeMap;

/// Every message with the versions that its table is for.
#[derive(Default)]
struct Rows(Vec<(ApiKey, &'static str, VersionRange, &'static Shape)>);

impl Visitor for Rows {
    fn visit<M: Shaped + Encodable + Clone + PartialEq + std::fmt::Debug>(&mut self, api: ApiKey, name: &'static str) {
        self.0.push((api, name, M::VERSIONS, M::SHAPE));
    }
}

fn rows() -> Vec<(ApiKey, &'static str, VersionRange, &'static Shape)> {
    let mut rows = Rows::default();
    show_all(&mut rows);
    rows.0
}

#[test]
fn every_served_api_has_tables_for_each_of_its_versions() {
    for served in SERVED {
        let of_api = rows().into_iter().filter(|(api, ..)| *api == served.api);
        let tables: Vec<_> = of_api.collect();
        assert_eq!(tables.len(), 2, "{:?}: a request's and an answer's", served.api);
        for version in served.min..=served.max {
            if crate::wire::versions::serves(served.api as i16, version).is_none() {
                continue;
            }
            for (_, name, versions, _) in &tables {
                assert!((versions.min..=versions.max).contains(&version), "{name} {version}");
            }
        }
    }
}

/// The bytes that a row takes at least.
fn least_row(shape: &Shape, fields: &[Field], version: i16) -> usize {
    let plain = fields.iter().filter(|field| field.tag.is_none() && field.is_in(version));
    plain.map(|field| least(shape, field, version)).sum::<usize>() + usize::from(version >= shape.flexible)
}

fn least(shape: &Shape, field: &Field, version: i16) -> usize {
    let flexible = version >= shape.flexible;
    match field.kind {
        Kind::Fixed(size) => size,
        Kind::Text if !flexible => 2,
        Kind::Bytes | Kind::List(_) if !flexible => 4,
        Kind::Text | Kind::Bytes | Kind::List(_) | Kind::RowOrNull(_) => 1,
        Kind::Row(fields) => least_row(shape, fields, version),
    }
}

/// The lists of fields, and of their rows.
fn lists(fields: &'static [Field], version: i16) -> Vec<(&'static str, &'static [Field])> {
    let mut found = Vec::new();
    for field in fields.iter().filter(|field| field.is_in(version)) {
        match field.kind {
            Kind::List(Element::Row { fields, .. }) => {
                found.push((field.name, fields));
                found.extend(lists(fields, version));
            }
            Kind::Row(fields) | Kind::RowOrNull(fields) => found.extend(lists(fields, version)),
            _ => {}
        }
    }
    found
}

#[test]
fn no_element_of_a_list_is_without_a_byte() {
    let mut seen = 0;
    for (_, name, versions, shape) in rows() {
        for version in versions.min..=versions.max {
            for (list, fields) in lists(shape.fields, version) {
                assert!(least_row(shape, fields, version) > 0, "{name} {version}: {list}");
                seen += 1;
            }
        }
    }
    assert!(seen > 200, "{seen} lists");
}

fn refused<M: Shaped + std::fmt::Debug>(body: &'static [u8], version: i16) -> Malformed {
    decode::<M>(Bytes::from_static(body), version).unwrap_err()
}

/// Metadata in version 1 is such a count and nothing else; with its head it is a frame of 14 bytes.
#[test]
fn fourteen_bytes_cannot_ask_for_300_gigabytes() {
    let claim = |claimed| Malformed::Claim { field: "topics", claimed, left: 0 };
    assert_eq!(refused::<MetadataRequest>(&[0x7f, 0xff, 0xff, 0xff], 1), claim(i64::from(i32::MAX)));
    assert_eq!(refused::<MetadataRequest>(&[0x80, 0, 0, 0], 1), claim(i64::from(i32::MIN)));
    assert_eq!(refused::<MetadataRequest>(&[0xff, 0xff, 0xff, 0xfe], 1), claim(-2));
    assert!(decode::<MetadataRequest>(Bytes::from_static(&[0xff; 4]), 1).unwrap().topics.is_none(), "null is all");
    let compact = refused::<MetadataRequest>(&[0xff, 0xff, 0xff, 0xff, 0x0f], 9);
    assert_eq!(compact, claim(i64::from(u32::MAX) - 1));
}

#[test]
fn a_number_is_of_32_bits() {
    let long = Malformed::Number("a number of more than 32 bits");
    assert_eq!(refused::<MetadataRequest>(&[0x80, 0x80, 0x80, 0x80, 0x10, 0, 0, 0], 9), long);
    assert_eq!(refused::<MetadataRequest>(&[0x80, 0x80, 0x80, 0x80, 0x80, 0, 0, 0], 9), long);
    assert!(decode::<MetadataRequest>(Bytes::from_static(&[0x81, 0x80, 0, 0, 0, 0, 0]), 9).is_ok(), "long for 1");
}

#[test]
fn a_tag_is_below_2_to_the_31st() {
    let tagged = |tag: &[u8]| {
        let body = [&[1, 0, 0, 0, 1], tag, &[1, 7]].concat();
        decode::<MetadataRequest>(Bytes::from(body), 9).map(|request| request.unknown_tagged_fields)
    };
    let most = tagged(&[0xff, 0xff, 0xff, 0xff, 0x07]).unwrap();
    assert_eq!(most, BTreeMap::from([(i32::MAX, Bytes::from_static(&[7]))]));
    let above = tagged(&[0x80, 0x80, 0x80, 0x80, 0x08]).unwrap_err();
    assert_eq!(above, Malformed::Number("a tagged field with a number of 2^31 or above"));
}

#[test]
fn a_tagged_fields_size_is_its_values() {
    let request = FetchRequest::default().with_cluster_id(Some("abc".into()));
    let mut body = encode_body(&request, 12).unwrap().to_vec();
    assert!(decode::<FetchRequest>(Bytes::from(body.clone()), 12).is_ok());
    let size = body.len() - 5;
    assert_eq!(body.get(size), Some(&4), "a size, a compact length, three letters");
    body[size] = 3;
    let lie = Malformed::Tagged { field: "cluster_id", size: 3 };
    assert_eq!(decode::<FetchRequest>(Bytes::from(body), 12).unwrap_err(), lie);
}

/// A protocol of JoinGroup with a tagged field takes six bytes, and a hundred times as many decoded.
#[test]
fn what_swells_is_refused_from_a_megabyte_on() {
    let join = |members: usize| {
        let protocol = messages::join_group_request::JoinGroupRequestProtocol::default()
            .with_unknown_tagged_field(9, Bytes::new());
        let request = JoinGroupRequest::default().with_protocols(vec![protocol; members]);
        let body = encode_body(&request, 6).unwrap();
        (body.len(), decode::<JoinGroupRequest>(body, 6).map(drop))
    };
    assert_eq!(join(1_900).1, Ok(()));
    let (size, refused) = join(100_000);
    assert!(size < 700_000, "{size}");
    let Err(Malformed::Swollen { memory, allowed, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(allowed, allowance(size));
    assert!(memory > allowed);
}

#[test]
fn a_version_that_the_table_is_not_for_is_an_error() {
    for version in [i16::MIN, -1, 14, i16::MAX] {
        assert_eq!(refused::<MetadataRequest>(&[0; 9], version).to_string(), {
            format!("it does not decode: version {version} is not read")
        });
    }
}
