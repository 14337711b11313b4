//! What a field is: how it stands on the wire, in which versions, and what it takes in memory once it is decoded.
//! Everything here is known when we are compiled.

/// A field of a message or of a row in it.
#[derive(Debug)]
pub(super) struct Field {
    /// As Kafka's schema calls it.
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// A tagged field's number (KIP-482).
    pub(super) tag: Option<u32>,
    since: i16,
    until: i16,
}

/// How a field stands on the wire. Null is not told apart here: it takes no memory, and the decoder refuses it where
/// it may not be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// So many bytes.
    Fixed(usize),
    /// A length of 16 bits, or compact, and so many bytes.
    Text,
    /// A length of 32 bits, or compact, and so many bytes.
    Bytes,
    /// Fields in a row, with nothing before them.
    Row(&'static [Field]),
    /// A byte that says whether there is a row, and the row.
    RowOrNull(&'static [Field]),
    /// A count, and so many elements.
    List(Element),
}

/// What a list holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Element {
    Int8,
    Int32,
    Int64,
    Text,
    Row {
        fields: &'static [Field],
        /// What one takes in memory.
        memory: usize,
    },
}

/// What a text, or bytes, take in their owner: a `Bytes`. The contents stay in the frame.
const SLICE: usize = size_of::<bytes::Bytes>();
/// What a list takes in its owner.
const LIST: usize = size_of::<Vec<u8>>();
/// What the tagged fields that nobody knows take in their owner, as long as there are none.
const UNKNOWN: usize = size_of::<std::collections::BTreeMap<i32, bytes::Bytes>>();
const ALIGNMENT: usize = 8;

impl Field {
    /// Whether a version has it.
    pub(super) const fn is_in(&self, version: i16) -> bool {
        self.since <= version && version <= self.until
    }

    /// The first version that has it.
    pub(super) const fn since(mut self, version: i16) -> Self {
        self.since = version;
        self
    }

    /// The last version that has it.
    pub(super) const fn until(mut self, version: i16) -> Self {
        self.until = version;
        self
    }

    /// It stands among the tagged fields.
    pub(super) const fn tag(mut self, tag: u32) -> Self {
        self.tag = Some(tag);
        self
    }
}

impl Element {
    /// What one takes in the list's memory.
    pub(super) const fn memory(self) -> usize {
        match self {
            Self::Int8 => 1,
            Self::Int32 => 4,
            Self::Int64 => 8,
            Self::Text => SLICE,
            Self::Row { memory, .. } => memory,
        }
    }
}

impl Kind {
    /// What it takes in its owner. kafka-protocol's structs have the fields of all versions in them.
    const fn memory(self) -> usize {
        match self {
            Self::Fixed(size) => size,
            Self::Text | Self::Bytes => SLICE,
            Self::Row(fields) => row_memory(fields),
            Self::RowOrNull(fields) => row_memory(fields) + ALIGNMENT,
            Self::List(_) => LIST,
        }
    }
}

/// No less than what the struct of these fields takes.
const fn row_memory(fields: &[Field]) -> usize {
    let (mut sum, mut rest) = (UNKNOWN, fields);
    while let [field, others @ ..] = rest {
        sum += field.kind.memory();
        rest = others;
    }
    sum.next_multiple_of(ALIGNMENT)
}

const fn field(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, tag: None, since: 0, until: i16::MAX }
}

pub(super) const fn boolean(name: &'static str) -> Field {
    field(name, Kind::Fixed(1))
}

pub(super) const fn int8(name: &'static str) -> Field {
    field(name, Kind::Fixed(1))
}

pub(super) const fn int16(name: &'static str) -> Field {
    field(name, Kind::Fixed(2))
}

pub(super) const fn int32(name: &'static str) -> Field {
    field(name, Kind::Fixed(4))
}

pub(super) const fn int64(name: &'static str) -> Field {
    field(name, Kind::Fixed(8))
}

pub(super) const fn uuid(name: &'static str) -> Field {
    field(name, Kind::Fixed(16))
}

pub(super) const fn text(name: &'static str) -> Field {
    field(name, Kind::Text)
}

pub(super) const fn bytes(name: &'static str) -> Field {
    field(name, Kind::Bytes)
}

pub(super) const fn row(name: &'static str, fields: &'static [Field]) -> Field {
    field(name, Kind::Row(fields))
}

pub(super) const fn row_or_null(name: &'static str, fields: &'static [Field]) -> Field {
    field(name, Kind::RowOrNull(fields))
}

pub(super) const fn int32s(name: &'static str) -> Field {
    field(name, Kind::List(Element::Int32))
}

pub(super) const fn int8s(name: &'static str) -> Field {
    field(name, Kind::List(Element::Int8))
}

pub(super) const fn int64s(name: &'static str) -> Field {
    field(name, Kind::List(Element::Int64))
}

pub(super) const fn texts(name: &'static str) -> Field {
    field(name, Kind::List(Element::Text))
}

pub(super) const fn rows(name: &'static str, fields: &'static [Field]) -> Field {
    field(name, Kind::List(Element::Row { fields, memory: row_memory(fields) }))
}
