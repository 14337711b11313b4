//! The demo's bookkeeping: what was sent, acknowledged and read, and what went wrong with any single record.
//! Told by the client's threads; knows nothing of how records travel.

use super::sample::Flow;
use super::spread::Spread;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// The books of both flows. Shared by the threads of the client and the screen.
#[derive(Default)]
pub(super) struct Tally {
    flows: [Mutex<Ledger>; 2],
    /// Set when the flood begins: what is read from then on is timed apart.
    flooded: AtomicBool,
}

/// One flow's books. Memory is bounded by what is under way, which the source keeps bounded.
#[derive(Default)]
struct Ledger {
    counts: Counts,
    next_number: u64,
    under_way: HashMap<u64, Ticket>,
    partitions: HashMap<i32, Reached>,
    lately: Spread,
    all: Spread,
    /// Of the records read since the flood began.
    flooded: Spread,
}

struct Ticket {
    sent_at: Instant,
    fingerprint: u32,
    acknowledged: bool,
}

/// How far a partition was read.
struct Reached {
    offset: i64,
    number: Option<u64>,
}

/// Numbers of records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Handed to the client library.
    pub sent: u64,
    /// Reported as written by the client library.
    pub acknowledged: u64,
    /// Reported as failed by the client library.
    pub refused: u64,
    /// Came back, each counted once.
    pub read: u64,
    /// Came back once more, at another offset.
    pub doubled: u64,
    /// Came back after one of the same partition that was sent later.
    pub reordered: u64,
    /// Came back with another key, value or headers.
    pub altered: u64,
    /// Read, and not written by this demo.
    pub foreign: u64,
    /// Read, of the token that floods; the others are counted above.
    pub noisy: u64,
}

/// What a flow did since the last look, and in all.
pub(super) struct Look {
    pub(super) counts: Counts,
    pub(super) under_way: u64,
    /// From `send` to `poll`, of the records read since the last look.
    pub(super) lately: Spread,
}

/// A record as it was read.
pub(super) struct Read {
    pub(super) partition: i32,
    pub(super) offset: i64,
    /// `None`: somebody else wrote it.
    pub(super) number: Option<u64>,
    /// It is of the token that floods.
    pub(super) noisy: bool,
    pub(super) fingerprint: u32,
}

impl Tally {
    fn ledger(&self, flow: Flow) -> &Mutex<Ledger> {
        let [events, logs] = &self.flows;
        match flow {
            Flow::Events => events,
            Flow::Logs => logs,
        }
    }

    /// The number that the flow's next record will have. There is one sender.
    pub(super) fn next_number(&self, flow: Flow) -> u64 {
        self.ledger(flow).lock().next_number
    }

    /// The next record is about to be handed to the client library.
    pub(super) fn sending(&self, flow: Flow, fingerprint: u32) {
        let mut ledger = self.ledger(flow).lock();
        let number = ledger.next_number;
        ledger.next_number += 1;
        ledger.counts.sent += 1;
        let ticket = Ticket { sent_at: Instant::now(), fingerprint, acknowledged: false };
        ledger.under_way.insert(number, ticket);
    }

    /// The client library said what became of a record. It may have been read before that.
    pub(super) fn delivered(&self, flow: Flow, number: u64, written: bool) {
        let mut ledger = self.ledger(flow).lock();
        if written {
            ledger.counts.acknowledged += 1;
        } else {
            ledger.counts.refused += 1;
        }
        if let Some(ticket) = ledger.under_way.get_mut(&number) {
            ticket.acknowledged = written;
        }
    }

    /// A record was read.
    pub(super) fn read(&self, flow: Flow, read: &Read) {
        self.ledger(flow).lock().read(read, self.flooded.load(Ordering::Relaxed));
    }

    /// The flood begins.
    pub(super) fn flood(&self) {
        self.flooded.store(true, Ordering::Relaxed);
    }

    /// The flow's latencies before the flood, and since it began.
    pub(super) fn around_the_flood(&self, flow: Flow) -> [Spread; 2] {
        let ledger = self.ledger(flow).lock();
        [ledger.all.without(&ledger.flooded), ledger.flooded.clone()]
    }

    /// How many records are sent and not read yet, of both flows.
    pub(super) fn under_way(&self) -> usize {
        self.flows.iter().map(|ledger| ledger.lock().under_way.len()).sum()
    }

    pub(super) fn look(&self, flow: Flow) -> Look {
        let mut ledger = self.ledger(flow).lock();
        let lately = std::mem::take(&mut ledger.lately);
        Look { counts: ledger.counts, under_way: ledger.under_way.len() as u64, lately }
    }

    /// The flow's counts, how many records were acknowledged and not read, and all latencies. For the end.
    pub(super) fn close(&self, flow: Flow) -> (Counts, u64, Spread) {
        let ledger = self.ledger(flow).lock();
        let lost = ledger.under_way.values().filter(|ticket| ticket.acknowledged).count() as u64;
        (ledger.counts, lost, ledger.all.clone())
    }
}

impl Ledger {
    fn read(&mut self, read: &Read, flooded: bool) {
        let reached = self.partitions.entry(read.partition).or_insert(Reached { offset: -1, number: None });
        if read.offset <= reached.offset {
            // The group went back to its last commit: the same record, not a second one.
            return;
        }
        reached.offset = read.offset;
        let Some(number) = read.number else {
            *(if read.noisy { &mut self.counts.noisy } else { &mut self.counts.foreign }) += 1;
            return;
        };
        match self.under_way.remove(&number) {
            None => self.counts.doubled += 1,
            Some(ticket) => {
                self.counts.read += 1;
                self.counts.altered += u64::from(ticket.fingerprint != read.fingerprint);
                self.counts.reordered += u64::from(reached.number.is_some_and(|before| before > number));
                reached.number = Some(number);
                let took = ticket.sent_at.elapsed();
                self.lately.add(took);
                self.all.add(took);
                if flooded {
                    self.flooded.add(took);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLOW: Flow = Flow::Logs;

    /// A tally with four records sent and acknowledged, each with its number as its fingerprint.
    fn four_sent() -> Tally {
        let tally = Tally::default();
        for number in 0..4 {
            assert_eq!(tally.next_number(FLOW), u64::from(number));
            tally.sending(FLOW, number);
            tally.delivered(FLOW, u64::from(number), true);
        }
        tally
    }

    fn read(tally: &Tally, partition: i32, offset: i64, number: u32) {
        tally.read(
            FLOW,
            &Read { partition, offset, number: Some(u64::from(number)), noisy: false, fingerprint: number },
        );
    }

    fn counts(tally: &Tally) -> Counts {
        tally.close(FLOW).0
    }

    #[test]
    fn all_read_once_and_in_order_is_clean() {
        let tally = four_sent();
        for (number, partition, offset) in [(0, 0, 0), (1, 1, 0), (3, 1, 1), (2, 0, 1)] {
            read(&tally, partition, offset, number);
        }
        let (counts, lost, all) = tally.close(FLOW);
        assert_eq!(counts, Counts { sent: 4, acknowledged: 4, read: 4, ..Counts::default() });
        assert_eq!((lost, tally.under_way()), (0, 0));
        assert!(all.percentile(50).is_some());
    }

    #[test]
    fn a_record_at_two_offsets_is_doubled_and_one_offset_read_twice_is_not() {
        let tally = four_sent();
        read(&tally, 0, 5, 0);
        read(&tally, 0, 6, 0);
        read(&tally, 0, 5, 0);
        assert_eq!((counts(&tally).read, counts(&tally).doubled), (1, 1));
        read(&tally, 1, 5, 0);
        assert_eq!(counts(&tally).doubled, 2, "in another partition");
    }

    #[test]
    fn acknowledged_and_never_read_is_lost_but_refused_is_not() {
        let tally = four_sent();
        tally.sending(FLOW, 4);
        tally.delivered(FLOW, 4, false);
        read(&tally, 0, 0, 1);
        let (counts, lost, _) = tally.close(FLOW);
        assert_eq!((counts.sent, counts.acknowledged, counts.refused, counts.read, lost), (5, 4, 1, 1, 3));
    }

    #[test]
    fn later_before_earlier_in_a_partition_is_reordered() {
        let tally = four_sent();
        read(&tally, 0, 0, 1);
        read(&tally, 0, 1, 0);
        assert_eq!((counts(&tally).read, counts(&tally).reordered), (2, 1));
    }

    #[test]
    fn another_content_is_altered_and_another_writer_is_foreign() {
        let tally = four_sent();
        tally.read(FLOW, &Read { partition: 0, offset: 0, number: Some(1), noisy: false, fingerprint: 2 });
        tally.read(FLOW, &Read { partition: 0, offset: 1, number: None, noisy: false, fingerprint: 2 });
        tally.read(FLOW, &Read { partition: 0, offset: 2, number: None, noisy: true, fingerprint: 2 });
        let counts = counts(&tally);
        assert_eq!((counts.read, counts.altered, counts.foreign, counts.noisy, counts.doubled), (1, 1, 1, 1, 0));
    }

    #[test]
    fn what_is_read_in_the_flood_is_timed_apart() {
        let tally = four_sent();
        read(&tally, 0, 0, 1);
        tally.flood();
        assert!(tally.around_the_flood(FLOW)[1].percentile(50).is_none());
        read(&tally, 0, 1, 2);
        assert!(tally.around_the_flood(FLOW).iter().all(|spread| spread.percentile(50).is_some()));
    }

    #[test]
    fn a_look_takes_the_latest_latencies_and_leaves_the_counts() {
        let tally = four_sent();
        read(&tally, 0, 0, 1);
        let look = tally.look(FLOW);
        assert_eq!((look.counts.read, look.under_way), (1, 3));
        assert!(look.lately.percentile(99).is_some());
        assert!(tally.look(FLOW).lately.percentile(99).is_none());
    }
}
