//! Records for tests.
#![allow(unreachable_pub, reason = "tests see it")]

use crate::wire::batch::{Record, Records};

/// A record to be.
#[derive(Clone, Debug, Default)]
pub struct Made<'a> {
    pub key: Option<&'a str>,
    pub value: &'a str,
    pub headers: &'a [(&'a str, Option<&'a str>)],
}

impl Made<'_> {
    /// A section of this one record.
    pub fn section(&self) -> Vec<u8> {
        let mut body = vec![0, 0, 0];
        sized(&mut body, self.key);
        sized(&mut body, Some(self.value));
        varint(&mut body, self.headers.len().try_into().unwrap());
        for (key, value) in self.headers {
            sized(&mut body, Some(key));
            sized(&mut body, *value);
        }
        let mut section = Vec::new();
        varint(&mut section, body.len().try_into().unwrap());
        section.extend(body);
        section
    }
}

/// The records of a section.
pub fn walk(section: &[u8], count: i32) -> Vec<Record<'_>> {
    Records::of(section, count).map(Result::unwrap).collect()
}

fn sized(out: &mut Vec<u8>, text: Option<&str>) {
    varint(out, text.map_or(-1, |text| text.len().try_into().unwrap()));
    out.extend(text.unwrap_or_default().bytes());
}

fn varint(out: &mut Vec<u8>, value: i64) {
    let mut rest = (value << 1 ^ value >> 63).cast_unsigned();
    while rest >= 0x80 {
        out.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    out.push((rest & 0x7f) as u8);
}
