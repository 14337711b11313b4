//! Why bytes cannot be read.

/// Bytes that are not what their head says. The text never holds record contents.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// It ends before it is complete.
    #[error("it ends too early")]
    Short,
    /// A field says that it has more than the bytes that are left can hold, or less than nothing.
    #[error("its field {field} claims {claimed} where {left} bytes are left")]
    Claim {
        /// Its name in Kafka's schema.
        field: &'static str,
        /// The bytes or elements that it says it has.
        claimed: i64,
        /// The bytes that come after.
        left: usize,
    },
    /// Decoded, it would take far more memory than it has bytes.
    #[error("with its field {field} it would take {memory} bytes of memory, and {allowed} are allowed for its size")]
    Swollen {
        /// The field that was too much.
        field: &'static str,
        /// What it takes up to there.
        memory: usize,
        /// What a message of its size may take.
        allowed: usize,
    },
    /// A tagged field's value is of another size than is said before it.
    #[error("its tagged field {field} is not of {size} bytes")]
    Tagged {
        /// Its name in Kafka's schema.
        field: &'static str,
        /// The size that is said.
        size: usize,
    },
    /// A number that no encoder of Kafka's protocol writes there.
    #[error("{0}")]
    Number(&'static str),
    /// A field is not what its version says.
    #[error("it does not decode: {0}")]
    Field(String),
}
