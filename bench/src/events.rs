//! Records as an event pipeline sends them, of a KiB each: JSON in which names repeat and ids and numbers do not, so that it
//! compresses as such events do, and three headers. Shared with `bench/admission.rs`, and knows nothing else of this program.

/// Bytes of a record, about.
pub(crate) const RECORD: usize = 1024;
/// What a record has beside its value.
const BESIDE: usize = 170;
const TIMESTAMP: u64 = 1_760_000_000_000;

/// Numbers that look like none, and are the same in every run.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 16
    }
}

/// A token of 40 bytes.
pub(crate) fn token(number: usize) -> String {
    format!("phc_{:029x}{number:07}", 7)
}

/// A batch's records, not compressed: so many events from this number on, whose tokens come in turn.
pub(crate) fn section(first: usize, records: usize, tokens: usize) -> Vec<u8> {
    let mut dice = Dice(7 + first as u64);
    let mut section = Vec::with_capacity(records * RECORD);
    let mut body = Vec::with_capacity(RECORD);
    for number in 0..records {
        let headers = [
            ("token", token((first + number) % tokens)),
            ("distinct_id", format!("{:016x}-{:016x}", dice.roll(), dice.roll())),
            ("timestamp", format!("{}", TIMESTAMP + number as u64)),
        ];
        body.clear();
        body.push(0); // attributes
        varint(&mut body, 0); // timestamp delta
        varint(&mut body, small(number)); // offset delta
        varint(&mut body, -1); // no key
        sized(&mut body, value(&mut dice).as_bytes());
        varint(&mut body, small(headers.len()));
        for (name, value) in headers {
            sized(&mut body, name.as_bytes());
            sized(&mut body, value.as_bytes());
        }
        sized(&mut section, &body);
    }
    section
}

fn value(dice: &mut Dice) -> String {
    let mut value = String::with_capacity(RECORD + BESIDE);
    while value.len() < RECORD {
        let (id, at, count) = (dice.roll(), dice.roll() % 100_000, dice.roll() % 1000);
        value += &format!(
            "{{\"event\":\"$pageview\",\"$session_id\":\"{id:x}\",\"$current_url\":\"https://example.com/{at}\",\"count\":{count}}}"
        );
    }
    value.truncate(RECORD - BESIDE);
    value
}

fn small(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Bytes behind their length, as records have it.
pub(crate) fn sized(out: &mut Vec<u8>, bytes: &[u8]) {
    varint(out, small(bytes.len()));
    out.extend_from_slice(bytes);
}

/// Zigzag, as records have it.
pub(crate) fn varint(out: &mut Vec<u8>, value: i64) {
    let mut rest = (value << 1 ^ value >> 63).cast_unsigned();
    while rest >= 0x80 {
        out.push(u8::try_from(rest & 0x7f).unwrap_or_default() | 0x80);
        rest >>= 7;
    }
    out.push(u8::try_from(rest).unwrap_or_default());
}
