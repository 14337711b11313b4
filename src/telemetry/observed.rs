//! What passes by, as facts: sessions state them, who keeps count of lag and service levels reads them. Stating one takes
//! a few nanoseconds and never waits: facts go into a notebook that somebody empties many times a second. A full one takes no
//! more facts, and says so.

pub use crate::types::log::{Ends, Stretch};

use super::register;
use crate::types::{Partition, Slot, TopicKey, fast_hash};
use kafka_protocol::protocol::StrBytes;
use parking_lot::Mutex;
use prometheus::{IntCounter, Registry};
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// Facts that one page takes.
const PAGE: usize = 16 << 10;
/// Pages, so that threads seldom meet.
const PAGES: usize = 8;

/// Who reads: the hash of a client id and the address that it comes from. A consumer's connections to brokers and to its
/// group's coordinator have it in common.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Reader(pub u64);

impl Reader {
    /// That of a client.
    #[must_use]
    pub fn of(client_id: Option<&[u8]>, from: std::net::IpAddr) -> Self {
        Self(fast_hash(&(client_id, from)))
    }
}

/// A producer of transactions: its id, and the cluster that gave it. All clusters count from 0.
pub type ProducerOf = (Slot, i64);

/// An offset of a partition.
pub type OffsetOf = (Partition, i64);

/// A hash of a member's id, and the topics that it reads; `None` where an expression says which, or nobody knows.
pub type MemberReads = (u64, Option<Box<[TopicKey]>>);

/// One thing that happened. Names in it are copies, no slices of frames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A broker has written a batch.
    Acknowledged {
        /// Where.
        at: Partition,
        /// The offset of its first record.
        base: i64,
        /// The offset behind its last one.
        next: i64,
        /// Its size.
        bytes: u32,
        /// Whose it is, where it is part of a transaction.
        transaction: Option<ProducerOf>,
    },
    /// A client was handed records, or told where the log ends.
    Fetched {
        /// Of what.
        at: Partition,
        /// Who; `None`: we ourselves.
        by: Option<Reader>,
        /// It reads only what is committed.
        committed_only: bool,
        /// What it was handed; where only ends were asked for, `from` is -1.
        stretch: Stretch,
        /// What it was told.
        ends: Ends,
    },
    /// Kafka's answer said that the client's quota is spent, or ours, so that it waits for so long.
    Throttled {
        /// Who.
        by: Reader,
        /// How long, in ms.
        ms: u32,
    },
    /// A coordinator has a group's offsets: what comes before them was dealt with. -1: it has none.
    Committed {
        /// The group.
        group: StrBytes,
        /// Its offsets.
        of: Box<[OffsetOf]>,
        /// Whether the group has just said so; else we have asked for it, and others may be missing.
        anew: bool,
    },
    /// A group's coordinator, asked for all offsets of the group, had exactly these at that time or later.
    Holds {
        /// The group.
        group: StrBytes,
        /// Its offsets.
        of: Box<[OffsetOf]>,
        /// When it was asked.
        asked: Instant,
    },
    /// All brokers of a cluster, asked for their groups, had these at that time or later, and no others.
    Listed {
        /// The cluster.
        cluster: Slot,
        /// The groups.
        groups: Box<[StrBytes]>,
        /// When they were asked.
        asked: Instant,
    },
    /// A group commits offsets in a transaction: that holds when the transaction is committed.
    CommitsWith {
        /// The group.
        group: StrBytes,
        /// The producer of the transaction.
        producer: ProducerOf,
        /// Its offsets.
        of: Box<[OffsetOf]>,
    },
    /// A transaction ended.
    Ended {
        /// Its producer.
        producer: ProducerOf,
        /// Committed, or aborted.
        committed: bool,
    },
    /// A member of a group joined it, or said that it is still there.
    Beat {
        /// The group.
        group: StrBytes,
        /// A hash of the member's id.
        member: u64,
        /// Who it is.
        by: Reader,
        /// For how long it need not say so again, in ms; 0: that is not known here.
        within_ms: u32,
    },
    /// A member of a group reads these topics and no others, as it said when it joined or since: what the group has committed of
    /// others is nobody's lag.
    Subscribed {
        /// The group.
        group: StrBytes,
        /// A hash of the member's id.
        member: u64,
        /// The topics; `None` where an expression says which.
        topics: Option<Box<[TopicKey]>>,
    },
    /// A group's coordinator, asked for its members, had exactly these at that time or later.
    Described {
        /// The group.
        group: StrBytes,
        /// Its members.
        members: Box<[MemberReads]>,
        /// When it was asked.
        asked: Instant,
    },
    /// A member left its group.
    Left {
        /// The group.
        group: StrBytes,
        /// A hash of its id.
        member: u64,
    },
    /// The cluster says how a group stands, having been asked.
    Stands {
        /// The group.
        group: StrBytes,
        /// It has members, or may be about to.
        has_members: bool,
    },
    /// A group is no more.
    GroupGone {
        /// The group.
        group: StrBytes,
    },
    /// Offsets of a group are no more.
    OffsetsGone {
        /// The group.
        group: StrBytes,
        /// Of which partitions.
        of: Box<[Partition]>,
    },
}

/// A fact, and when.
#[derive(Clone, Debug)]
pub struct Noted {
    /// When it was noted.
    pub at: Instant,
    /// What.
    pub fact: Fact,
}

/// Takes facts down until somebody reads them. Shared by all sessions.
#[derive(Debug)]
pub struct Notebook {
    pages: [Mutex<Vec<Noted>>; PAGES],
    lost: IntCounter,
}

impl Notebook {
    /// An empty one.
    ///
    /// # Errors
    /// When its counter's name stands twice: a mistake in the source.
    pub(super) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let lost = register(
            registry,
            IntCounter::new(
                "fishplate_observations_lost_total",
                "Facts about what passed by that nobody had room for: lag is then known by asking the clusters again.",
            ),
        )?;
        Ok(Self { pages: Default::default(), lost })
    }

    /// Takes facts down, all as of now. Those of one thread are read in their order.
    pub fn note(&self, facts: impl IntoIterator<Item = Fact>) {
        let mut facts = facts.into_iter().peekable();
        if facts.peek().is_none() {
            return;
        }
        let Some(page) = self.pages.get(own_page()) else { return };
        let mut page = page.lock();
        // With the page in hand: who reads it later finds nothing in it that is older than what was read before.
        let at = Instant::now();
        for fact in facts {
            if page.len() < PAGE { page.push(Noted { at, fact }) } else { self.lost.inc() }
        }
    }

    /// Takes out all that was noted until now, in the order of time.
    #[must_use]
    pub fn read(&self) -> Vec<Noted> {
        let (now, mut all) = (Instant::now(), Vec::new());
        for page in &self.pages {
            let mut page = page.lock();
            // What is younger waits for the next reading: a page that was read already may have got something older.
            let until = page.partition_point(|noted| noted.at <= now);
            all.extend(page.drain(..until));
        }
        all.sort_by_key(|noted| noted.at);
        all
    }

    /// How many facts were lost so far.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.get()
    }
}

/// The page of this thread.
fn own_page() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static OWN: Cell<Option<usize>> = const { Cell::new(None) };
    }
    OWN.with(|own| {
        let page = own.get().unwrap_or_else(|| NEXT.fetch_add(1, Ordering::Relaxed) % PAGES);
        own.set(Some(page));
        page
    })
}

/// Who takes facts down, for all that may be observed.
pub type Notes = Arc<Notebook>;

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    fn notebook() -> Notebook {
        Notebook::new(&Registry::new()).unwrap()
    }

    fn acknowledged(base: i64) -> Fact {
        let at = Partition::new("x", 0);
        Fact::Acknowledged { at, base, next: base + 1, bytes: 70, transaction: None }
    }

    #[test]
    fn facts_are_read_once_and_in_the_order_of_time() {
        let notebook = notebook();
        for base in 0..100 {
            thread::scope(|scope| scope.spawn(|| notebook.note([acknowledged(base)])).join().unwrap());
        }
        let bases: Vec<_> = notebook
            .read()
            .into_iter()
            .map(|noted| match noted.fact {
                Fact::Acknowledged { base, .. } => base,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(bases, (0..100).collect::<Vec<_>>());
        assert!(notebook.read().is_empty());
    }

    #[test]
    fn a_full_notebook_takes_no_more_and_counts() {
        let notebook = notebook();
        notebook.note((0..PAGE as i64 + 7).map(acknowledged));
        assert_eq!((notebook.lost(), notebook.read().len()), (7, PAGE));
        notebook.note([acknowledged(0)]);
        assert_eq!((notebook.lost(), notebook.read().len()), (7, 1));
    }

    #[test]
    fn a_fact_is_small() {
        assert!(size_of::<Noted>() <= 120, "{}", size_of::<Noted>());
    }
}
