//! Offsets of a partition's log, as its cluster counts them.

/// What a broker told of a partition's ends at one moment; -1 where it did not. From a stable offset alone nobody can tell whether a
/// transaction is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// High watermark: the next record to be written, as far as replicas have it.
    pub high: i64,
    /// Last stable offset: where the first open transaction begins, else the high watermark.
    pub stable: i64,
    /// Where the log starts.
    pub start: i64,
}

/// What somebody was handed of a partition's log, in one piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Where its first batch begins.
    pub from: i64,
    /// The first batch of it whose records consumers are given, and behind the last such record: not a control record, nor,
    /// where only what is committed is read, one of an aborted transaction. `None`: there is none in it.
    pub given: Option<(i64, i64)>,
    /// Behind its last batch.
    pub next: i64,
    /// When its first batch was written, by the batch's own clock, in ms since 1970.
    pub written_ms: i64,
}
