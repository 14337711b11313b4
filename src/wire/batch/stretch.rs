//! What a run of batches means to who reads them: how far they go, and how far the records that consumers are given do. Only headers are
//! looked at. Control records end transactions (KIP-98); nobody is given them, nor, where only what is committed is read, what was aborted.

use super::Batches;
use crate::types::log::Stretch;
use std::collections::HashSet;

/// An aborted transaction in an answer to Fetch: its producer, and the offset of its first record.
pub type Aborted = (i64, i64);

/// What these batches are, for who reads only what is committed where a list of aborted transactions is given. `None` where no whole batch is
/// there. What follows a batch that cannot be read is left aside.
pub fn stretch(set: &[u8], aborted: Option<impl Iterator<Item = Aborted>>) -> Option<Stretch> {
    let mut aborted: Vec<_> = aborted.into_iter().flatten().collect();
    // As Kafka's consumer goes: each transaction is taken up once, where it begins, so that long lists cost no more than their length.
    aborted.sort_unstable_by_key(|(_, from)| *from);
    let (mut aborted, mut open) = (aborted.into_iter().peekable(), HashSet::new());
    let mut all: Option<Stretch> = None;
    for header in Batches::of(set).map_while(Result::ok).map(|batch| batch.header) {
        let (first, next) = (header.base_offset, header.next_offset());
        let so_far = all.get_or_insert(Stretch { from: first, given: None, next, written_ms: header.written_ms() });
        so_far.next = next;
        while let Some((producer, _)) = aborted.next_if(|(_, from)| *from < next) {
            open.insert(producer);
        }
        if header.is_control() {
            open.remove(&header.producer_id);
        } else if !(header.is_transactional() && open.contains(&header.producer_id)) {
            so_far.given = Some((so_far.given.map_or(first, |given| given.0), next));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::super::header::{APPEND_TIME, DELETE_HORIZON};
    use super::super::testing::{batch, plain_header, plain_record};
    use super::super::{HEADER, Header};
    use super::*;
    use rustix::time::{ClockId, clock_gettime};

    const TRANSACTIONAL: i16 = 1 << 4;
    const CONTROL: i16 = 1 << 5;

    /// Batches of so many records with these attributes, one behind the other from offset 10 on.
    fn set(batches: &[(i64, i32, i16)]) -> Vec<u8> {
        let (mut at, mut set) = (10, Vec::new());
        for &(producer_id, count, attributes) in batches {
            let records = vec![plain_record(); usize::try_from(count).unwrap()];
            let header = Header { producer_id, attributes, last_offset_delta: count - 1, ..plain_header() };
            let mut bytes = batch(Header { base_timestamp: 1_000 + at, ..header }, &records);
            bytes[..8].copy_from_slice(&at.to_be_bytes());
            set.append(&mut bytes);
            at += i64::from(count);
        }
        set
    }

    fn told(batches: &[(i64, i32, i16)], aborted: Option<&[Aborted]>) -> Option<(i64, Option<i64>, i64)> {
        let told = stretch(&set(batches), aborted.map(|list| list.iter().copied()))?;
        assert_eq!(told.written_ms, 1_010);
        Some((told.from, told.given.map(|given| given.1), told.next))
    }

    fn first_given(batches: &[(i64, i32, i16)], aborted: Option<&[Aborted]>) -> Option<i64> {
        stretch(&set(batches), aborted.map(|list| list.iter().copied()))?.given.map(|given| given.0)
    }

    #[test]
    fn the_first_batch_that_is_given_is_told_apart_from_what_lies_before_it() {
        let batches = [(7, 2, TRANSACTIONAL), (7, 1, TRANSACTIONAL | CONTROL), (-1, 2, 0), (-1, 2, 0)];
        assert_eq!(first_given(&batches, None), Some(10));
        assert_eq!(first_given(&batches, Some(&[(7, 10)])), Some(13));
        assert_eq!(first_given(&batches[1..], None), Some(11));
        assert_eq!(first_given(&batches[1..2], None), None);
    }

    #[test]
    fn nobody_is_given_control_records() {
        assert_eq!(told(&[(-1, 3, 0), (-1, 2, 0)], None), Some((10, Some(15), 15)));
        let ended = [(7, 3, TRANSACTIONAL), (7, 1, TRANSACTIONAL | CONTROL)];
        assert_eq!(told(&ended, None), Some((10, Some(13), 14)));
        assert_eq!(told(&ended, Some(&[])), Some((10, Some(13), 14)));
        assert_eq!(told(&[(7, 1, TRANSACTIONAL | CONTROL)], None), Some((10, None, 11)));
    }

    #[test]
    fn what_was_aborted_is_given_to_who_reads_all() {
        let batches = [
            (7, 2, TRANSACTIONAL),
            (8, 2, TRANSACTIONAL),
            (7, 1, TRANSACTIONAL | CONTROL),
            (7, 2, TRANSACTIONAL),
            (8, 1, TRANSACTIONAL | CONTROL),
        ];
        // Offsets 10, 12, 14, 15, 17
        assert_eq!(told(&batches, None), Some((10, Some(17), 18)));
        assert_eq!(
            told(&batches, Some(&[(7, 10)])),
            Some((10, Some(17), 18)),
            "the second of 7 is another transaction"
        );
        assert_eq!(told(&batches, Some(&[(7, 10), (7, 15)])), Some((10, Some(14), 18)));
        assert_eq!(told(&batches, Some(&[(7, 10), (8, 12), (7, 15)])), Some((10, None, 18)));
        assert_eq!(told(&batches, Some(&[(9, 0)])), Some((10, Some(17), 18)), "nothing of 9 is here");
    }

    #[test]
    fn very_many_aborted_transactions_keep_nobody_waiting() {
        // Given as many aborted transactions of one record as an answer may list
        let one = [(7, 1, TRANSACTIONAL), (7, 1, TRANSACTIONAL | CONTROL)];
        let batches: Vec<_> = one.into_iter().cycle().take(40_000).collect();
        let aborted: Vec<_> = (0..20_000).map(|number| (7, 10 + 2 * number)).collect();
        let set = set(&batches);
        let spent = || clock_gettime(ClockId::ThreadCPUTime).tv_sec;
        let began = spent();
        let told = stretch(&set, Some(aborted.into_iter())).map(|told| (told.given, told.next));
        assert_eq!(told, Some((None, 40_010)));
        // What takes the square of it takes minutes.
        assert!(spent() - began < 20);
    }

    #[test]
    fn where_the_header_has_no_time_of_its_first_record_the_youngest_ones_counts() {
        let written = |attributes| {
            let header = Header { attributes, base_timestamp: 5_000, max_timestamp: 4_000, ..plain_header() };
            stretch(&batch(header, &[plain_record()]), None::<std::iter::Empty<_>>).map(|told| told.written_ms)
        };
        assert_eq!(written(0), Some(5_000));
        assert_eq!(written(DELETE_HORIZON), Some(4_000), "the first one is when tombstones may go");
        assert_eq!(written(APPEND_TIME), Some(4_000), "the first one is the producer's");
    }

    #[test]
    fn a_batch_that_is_cut_short_is_no_part_of_it() {
        let whole = set(&[(-1, 3, 0), (-1, 2, 0)]);
        let first = set(&[(-1, 3, 0)]).len();
        for end in 0..whole.len() {
            let told = stretch(&whole[..end], None::<std::iter::Empty<_>>).map(|told| told.next);
            assert_eq!(told, (end >= first).then_some(13), "cut at {end}");
        }
        assert!(first > HEADER);
    }
}
