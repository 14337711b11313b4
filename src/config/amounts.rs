//! Numbers with units as they are written: sizes, times, rates, shares.

use super::findings::At;
use super::read::{Reader, other_type};
use super::yaml::{Node, What};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use std::borrow::Cow;

/// A number with a unit: bytes, or milliseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Amount {
    pub(super) value: u64,
    pub(super) at: At,
}

/// An amount of what is counted in records, or in bytes where it has a unit of size.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quantity {
    pub(super) value: u64,
    /// It was written as a size.
    pub(super) is_size: bool,
    pub(super) at: At,
}

/// So much in a time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Speed {
    pub(super) amount: Quantity,
    pub(super) in_ms: u64,
}

/// A part of a whole, in millionths.
#[derive(Clone, Copy, Debug)]
pub(super) struct Percentage {
    pub(super) millionths: u32,
    pub(super) at: At,
}

macro_rules! written_as_text {
    ($($type:ident),*) => {$(
        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                String::json_schema(generator)
            }
        }
    )*};
}

written_as_text!(Amount, Speed, Percentage);

/// A number, or a size.
impl JsonSchema for Quantity {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Quantity".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "type": ["integer", "string"] })
    }
}

const SIZES: [(&str, u64); 4] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("B", 1)];
const TIMES: [(&str, u64); 4] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];

/// Reads bytes, such as `20MiB`.
pub(super) fn size(node: &Node, reader: &mut Reader<'_>) -> Option<Amount> {
    amount(node, reader, "a size", "write a whole number of B, KiB, MiB or GiB, for example 64MiB", &SIZES)
}

/// Reads a time in milliseconds, such as `5s`.
pub(super) fn time(node: &Node, reader: &mut Reader<'_>) -> Option<Amount> {
    amount(node, reader, "a time", "write a whole number of ms, s, m or h, for example 10s", &TIMES)
}

/// Reads so much in a time, such as `5000/s` or `20MiB/s`.
pub(super) fn speed(node: &Node, reader: &mut Reader<'_>) -> Option<Speed> {
    let instead = "write how much and in what time (/s, /m or /h), for example 5000/s, or of bytes 20MiB/s";
    let (text, shown) = filled(node, reader, "a rate", instead)?;
    let read = || {
        let (much, time) = text.split_once('/')?;
        let in_ms = TIMES.iter().skip(1).find(|(unit, _)| *unit == time.trim())?.1;
        Some(Speed { amount: much_of(much, node.at)?, in_ms })
    };
    let speed = read();
    if speed.is_none() {
        reader.findings.mistake(node.at, format!("`{shown}` is not a rate"), instead);
    }
    speed
}

/// Reads a whole number such as `20000`, or a size such as `64MiB`.
pub(super) fn quantity(node: &Node, reader: &mut Reader<'_>) -> Option<Quantity> {
    let instead = "write a whole number for example 20000, or of bytes 64MiB";
    let What::Scalar(scalar) = &node.what else {
        reader.wrong_type(node, "a number or a size", instead);
        return None;
    };
    let text = reader.fill(&scalar.text, node.at)?;
    let read = much_of(&text, node.at);
    if read.is_none() {
        reader.findings.mistake(node.at, format!("`{}` is not a whole number or a size", scalar.text), instead);
    }
    read
}

fn much_of(text: &str, at: At) -> Option<Quantity> {
    let text = text.trim();
    if let Ok(value) = text.parse() {
        return Some(Quantity { value, is_size: false, at });
    }
    Some(Quantity { value: in_units(text, &SIZES)?, is_size: true, at })
}

/// Reads a part of a whole, such as `10%` or `0.5%`.
pub(super) fn percentage(node: &Node, reader: &mut Reader<'_>) -> Option<Percentage> {
    let instead = "write from 0% to 100%, for example 10% or 0.5%";
    let (text, shown) = filled(node, reader, "a share", instead)?;
    let read = text.trim().strip_suffix('%').and_then(|number| millionths(number.trim()));
    if read.is_none() {
        reader.findings.mistake(node.at, format!("`{shown}` is not a share"), instead);
    }
    Some(Percentage { millionths: read?, at: node.at })
}

/// Of `12.3456` hundredths; four digits behind the point are as fine as it gets.
fn millionths(percent: &str) -> Option<u32> {
    const FINE: usize = 4;
    let (whole, part) = percent.split_once('.').unwrap_or((percent, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(part) || part.len() > FINE {
        return None;
    }
    let millionths = whole.parse::<u32>().ok()?.checked_mul(10_000)? + format!("{part:0<FINE$}").parse::<u32>().ok()?;
    (millionths <= 1_000_000).then_some(millionths)
}

/// A text that is no other type, with `${...}` filled in, and as it was written.
fn filled<'n>(node: &'n Node, reader: &mut Reader<'_>, wanted: &str, instead: &str) -> Option<(String, &'n str)> {
    let is_text = |text: &str| other_type(text).is_none();
    match &node.what {
        What::Scalar(scalar) if !scalar.plain || is_text(&scalar.text) => {
            Some((reader.fill(&scalar.text, node.at)?, &scalar.text))
        }
        _ => {
            reader.wrong_type(node, wanted, instead);
            None
        }
    }
}

fn in_units(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    units.iter().find_map(|(unit, factor)| {
        let number: u64 = text.trim().strip_suffix(unit)?.trim().parse().ok()?;
        number.checked_mul(*factor)
    })
}

fn amount(node: &Node, reader: &mut Reader<'_>, wanted: &str, instead: &str, units: &[(&str, u64)]) -> Option<Amount> {
    let (text, shown) = filled(node, reader, wanted, instead)?;
    let read = in_units(&text, units);
    if read.is_none() {
        reader.findings.mistake(node.at, format!("`{shown}` is not {wanted}"), instead);
    }
    Some(Amount { value: read?, at: node.at })
}
