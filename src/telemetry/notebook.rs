//! Where facts wait for who keeps count of them. Noting one takes a few nanoseconds and never waits: facts go onto pages that
//! somebody empties many times a second. A full page takes no more, and says so.

use super::observed::{Fact, Noted};
use super::register;
use parking_lot::{Mutex, MutexGuard};
use prometheus::{IntCounter, Registry};
use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// Bytes that the facts of one page take before it takes no more.
const PAGE: usize = 2 << 20;
/// Pages, so that threads seldom meet.
const PAGES: usize = 8;
/// A page that was read keeps room for so many facts.
const ROOM: usize = 4 << 10;

/// Facts in the order of time.
#[derive(Debug, Default)]
struct Page {
    noted: VecDeque<Noted>,
    weight: usize,
}

impl Page {
    fn push(&mut self, noted: Noted) {
        self.weight += noted.fact.weight();
        self.noted.push_back(noted);
    }

    /// Takes all that is on another page, which is younger.
    fn take(&mut self, other: &mut Self) {
        if self.noted.is_empty() {
            std::mem::swap(self, other);
        } else {
            self.noted.append(&mut other.noted);
        }
        (self.weight, other.weight) = (0, 0);
    }

    fn first(&self) -> Option<Instant> {
        self.noted.front().map(|noted| noted.at)
    }
}

/// Takes facts down until somebody reads them. Shared by all sessions.
#[derive(Debug)]
pub struct Notebook {
    pages: [Mutex<Page>; PAGES],
    /// Pages that are being read; between readings they are blank, to be changed for those that were written on.
    torn_out: Mutex<[Page; PAGES]>,
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
        Ok(Self { pages: Default::default(), torn_out: Mutex::default(), lost })
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
            if page.weight < PAGE {
                page.push(Noted { at, fact });
            } else {
                self.lost.inc_by(u64::try_from(fact.count()).unwrap_or(1));
            }
        }
    }

    /// Takes out all that was noted until now, in the order of time. Who comes meanwhile waits.
    #[must_use]
    pub fn read(&self) -> Reading<'_> {
        let mut pages = self.torn_out.lock();
        // All in hand at one moment: what is noted on any of them later is younger than all that is taken out of them now.
        let mut written = self.pages.each_ref().map(Mutex::lock);
        pages.iter_mut().zip(&mut written).for_each(|(page, written)| page.take(written));
        drop(written);
        Reading { pages, from: 0, until: None }
    }

    /// How many facts were lost so far.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.get()
    }
}

/// Facts that are being read. What is left when it is dropped comes with the next one.
#[derive(Debug)]
pub struct Reading<'n> {
    pages: MutexGuard<'n, [Page; PAGES]>,
    /// The page whose turn it is, and the moment from which on another has older facts; before the first, none has had its turn.
    from: usize,
    until: Option<Instant>,
}

impl Reading<'_> {
    /// The next fact of the page whose turn it is.
    fn of_turn(&mut self) -> Option<Noted> {
        let until = self.until?;
        self.pages.get_mut(self.from)?.noted.pop_front_if(|noted| noted.at <= until)
    }

    /// It is the turn of the page with the oldest fact, until one of another page is older.
    fn turn(&mut self) -> Option<()> {
        let firsts = || self.pages.iter().enumerate().filter_map(|(place, page)| Some((page.first()?, place)));
        let (_, from) = firsts().min()?;
        let next = firsts().filter(|(_, place)| *place != from).min();
        // Its own last fact is the youngest of all where no other page has any.
        let last = || self.pages.get(from)?.noted.back().map(|noted| noted.at);
        (self.from, self.until) = (from, next.map(|(at, _)| at).or_else(last));
        Some(())
    }
}

impl Iterator for Reading<'_> {
    type Item = Noted;

    fn next(&mut self) -> Option<Noted> {
        if let Some(noted) = self.of_turn() {
            return Some(noted);
        }
        self.turn()?;
        self.of_turn()
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        let large = self.pages.iter_mut().map(|page| &mut page.noted).filter(|noted| noted.capacity() > ROOM);
        large.for_each(|noted| noted.shrink_to(ROOM));
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
    use crate::telemetry::observed::Written;
    use crate::types::{Partition, Slot};
    use proptest::prelude::*;
    use std::thread;

    fn notebook() -> Notebook {
        Notebook::new(&Registry::new()).unwrap()
    }

    fn acknowledged(base: i64) -> Fact {
        batches(&[base])
    }

    fn slot(number: u8) -> Slot {
        Slot::new(number).unwrap()
    }

    fn batches(bases: &[i64]) -> Fact {
        let batch = |base: &i64| Written { at: Partition::new("x", 0), base: *base, next: base + 1, bytes: 70 };
        Fact::Acknowledged { of: bases.iter().map(batch).collect(), transaction: None, came: None }
    }

    fn bases(noted: impl Iterator<Item = Noted>) -> Vec<i64> {
        let base = |noted: Noted| match noted.fact {
            Fact::Acknowledged { of, .. } => of[0].base,
            other => panic!("{other:?}"),
        };
        noted.map(base).collect()
    }

    #[test]
    fn facts_are_read_once_and_in_the_order_of_time() {
        let notebook = notebook();
        for base in 0..100 {
            thread::scope(|scope| scope.spawn(|| notebook.note([acknowledged(base)])).join().unwrap());
        }
        assert_eq!(bases(notebook.read()), (0..100).collect::<Vec<_>>());
        assert!(notebook.read().next().is_none());
    }

    #[test]
    fn a_full_notebook_takes_no_more_and_counts() {
        let notebook = notebook();
        let fit = PAGE.div_ceil(acknowledged(0).weight());
        notebook.note((0..fit as i64 + 7).map(acknowledged));
        assert_eq!((notebook.lost(), notebook.read().count()), (7, fit));
        notebook.note([acknowledged(0)]);
        assert_eq!((notebook.lost(), notebook.read().count()), (7, 1));
    }

    #[test]
    fn what_a_reading_leaves_comes_with_the_next_one() {
        let notebook = notebook();
        notebook.note((0..3).map(acknowledged));
        assert_eq!(bases(notebook.read().take(1)), [0]);
        notebook.note([acknowledged(3)]);
        assert_eq!(bases(notebook.read()), [1, 2, 3]);
    }

    #[test]
    fn a_page_that_was_full_once_gives_its_memory_back() {
        let notebook = notebook();
        let many = 4 * ROOM;
        notebook.note((0..many as i64).map(|number| Fact::Ended { producer: (slot(0), number), committed: true }));
        drop(notebook.read());
        assert_eq!(notebook.read().count(), many);
        assert!(notebook.torn_out.lock().iter().all(|page| page.noted.capacity() <= 2 * ROOM));
    }

    #[test]
    fn facts_weigh_what_they_take_and_are_lost_by_what_they_are_about() {
        let notebook = notebook();
        let many: Vec<_> = (0..(PAGE / size_of::<Written>()) as i64 - 3).collect();
        notebook.note([batches(&many), batches(&[1, 2]), batches(&[1, 2, 3])]);
        assert_eq!((notebook.lost(), notebook.read().count()), (3, 2), "the last one that fits may reach beyond");
        notebook.note([batches(&[1])]);
        assert_eq!((notebook.lost(), notebook.read().count()), (3, 1));
    }

    proptest! {
        #[test]
        fn pages_are_read_as_one(pages in prop::collection::vec(prop::collection::vec(0u64..50, 0..20), 0..PAGES)) {
            let (notebook, began) = (notebook(), Instant::now());
            let at = |ms: u64| began + std::time::Duration::from_millis(ms);
            let (mut wanted, mut number) = (Vec::new(), 0);
            for (page, mut times) in notebook.pages.iter().zip(pages) {
                times.sort_unstable();
                for ms in times {
                    page.lock().push(Noted { at: at(ms), fact: acknowledged(number) });
                    wanted.push((at(ms), number));
                    number += 1;
                }
            }
            let read: Vec<_> = notebook.read().map(|noted| (noted.at, bases([noted].into_iter())[0])).collect();
            prop_assert!(read.is_sorted_by_key(|one| one.0));
            let mut sorted = read;
            sorted.sort_by_key(|one| one.1);
            prop_assert_eq!(sorted, wanted);
        }
    }
}
