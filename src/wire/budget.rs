//! Memory that is bounded by construction (L4): a pool of bytes that all sessions draw from before they read, and each
//! session's share of it. What was drawn travels with the buffer it is for, and is given back when the buffer's last
//! slice is dropped. To draw costs a few atomic operations while nobody waits; who waits is served in order.

use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::sleep;

/// A session may hold this part of a pool.
pub const SHARES: usize = 8;

/// Who already holds something while it waits for so long may be what others wait for in turn: see [`Share::draw`].
const OVERDUE: Duration = Duration::from_millis(500);

/// A pool of bytes. See the module's text.
#[derive(Debug)]
pub struct Budget {
    capacity: AtomicUsize,
    /// Bytes that nobody has drawn. Below zero where small frames were read that are never kept waiting.
    free: AtomicI64,
    /// How many wait. Raised before `free` is looked at, as `free` is raised before this is.
    waiting: AtomicUsize,
    queue: Mutex<VecDeque<Waiter>>,
    waits: AtomicU64,
    waited_us: AtomicU64,
    /// Of whoever takes more than there is.
    overdraft: Arc<Semaphore>,
    /// How many wait for that.
    overdrawing: AtomicUsize,
    /// Bytes that pass beside the pool: see [`Share::draw`].
    beside: AtomicUsize,
}

#[derive(Debug)]
struct Waiter {
    bytes: usize,
    served: oneshot::Sender<Drawn>,
}

/// How a pool stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Standing {
    /// Bytes that there are.
    pub capacity: usize,
    /// Bytes that are drawn, those beside the pool included.
    pub drawn: usize,
    /// Who waits now.
    pub waiting: usize,
    /// How often somebody had to wait.
    pub waits: u64,
    /// How long they waited in all.
    pub waited: Duration,
}

/// Bytes drawn from a budget; given back when dropped.
#[derive(Debug)]
struct Drawn {
    bytes: usize,
    from: Arc<Budget>,
}

/// Something of a budget that is no memory.
#[derive(Debug)]
pub struct Held(#[expect(dead_code, reason = "is given back when dropped")] Drawn);

impl Held {
    /// Waits for its turn.
    pub async fn draw(from: &Arc<Budget>, count: usize) -> Self {
        Self(from.draw(count).await)
    }
}

impl Budget {
    /// A pool of `capacity` bytes.
    #[must_use]
    pub fn new(capacity: usize) -> Arc<Self> {
        Arc::new(Self {
            capacity: AtomicUsize::new(capacity),
            free: AtomicI64::new(signed(capacity)),
            waiting: AtomicUsize::new(0),
            queue: Mutex::default(),
            waits: AtomicU64::new(0),
            waited_us: AtomicU64::new(0),
            overdraft: Arc::new(Semaphore::new(1)),
            overdrawing: AtomicUsize::new(0),
            beside: AtomicUsize::new(0),
        })
    }

    /// From now on there are so many bytes. Where more than that are drawn, nobody draws until enough came back.
    pub fn resize(self: &Arc<Self>, capacity: usize) {
        let before = self.capacity.swap(capacity, Ordering::SeqCst);
        self.free.fetch_add(signed(capacity) - signed(before), Ordering::SeqCst);
        self.serve();
    }

    /// Bytes that there are.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity.load(Ordering::Relaxed)
    }

    /// What one session may hold.
    #[must_use]
    pub fn share(&self) -> usize {
        self.capacity() / SHARES
    }

    /// Bytes that nobody has drawn.
    #[must_use]
    pub fn free(&self) -> usize {
        usize::try_from(self.free.load(Ordering::Relaxed)).unwrap_or(0)
    }

    /// Whether more is drawn than there is.
    #[must_use]
    pub fn is_short(&self) -> bool {
        self.free.load(Ordering::Relaxed) < 0
    }

    /// Whether somebody waits, or more is taken than there is.
    #[must_use]
    pub fn is_sought(&self) -> bool {
        self.waits_now() > 0 || self.is_short()
    }

    fn waits_now(&self) -> usize {
        self.waiting.load(Ordering::Relaxed) + self.overdrawing.load(Ordering::Relaxed)
    }

    /// How it stands.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let capacity = self.capacity();
        let drawn = signed(capacity) - self.free.load(Ordering::Relaxed);
        Standing {
            capacity,
            drawn: usize::try_from(drawn).unwrap_or(0) + self.beside.load(Ordering::Relaxed),
            waiting: self.waits_now(),
            waits: self.waits.load(Ordering::Relaxed),
            waited: Duration::from_micros(self.waited_us.load(Ordering::Relaxed)),
        }
    }

    fn try_draw(self: &Arc<Self>, bytes: usize) -> Option<Drawn> {
        let nobody_waits = self.waiting.load(Ordering::SeqCst) == 0;
        (nobody_waits && self.take(bytes)).then(|| self.drawn(bytes))
    }

    fn drawn(self: &Arc<Self>, bytes: usize) -> Drawn {
        Drawn { bytes, from: Arc::clone(self) }
    }

    fn take(&self, bytes: usize) -> bool {
        let less = |free: i64| (free >= signed(bytes)).then(|| free - signed(bytes));
        self.free.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok()
    }

    /// Draws, whether there is anything left or not.
    fn force(self: &Arc<Self>, bytes: usize) -> Drawn {
        self.free.fetch_sub(signed(bytes), Ordering::SeqCst);
        self.drawn(bytes)
    }

    async fn draw(self: &Arc<Self>, bytes: usize) -> Drawn {
        if let Some(drawn) = self.try_draw(bytes) {
            return drawn;
        }
        // Who gives up must not stand before others: they are looked at when `turn`, which is dropped first, has closed.
        let left = Left(self);
        let (served, mut turn) = oneshot::channel();
        self.waiting.fetch_add(1, Ordering::SeqCst);
        self.queue.lock().push_back(Waiter { bytes, served });
        self.serve();
        let drawn = (&mut turn).await;
        drop(left);
        // The sender stands in the queue until it is used.
        drawn.unwrap_or_else(|_| self.force(bytes))
    }

    fn beside(self: &Arc<Self>, bytes: usize, permit: Permit) -> Beside {
        self.beside.fetch_add(bytes, Ordering::Relaxed);
        Beside { bytes, pool: Arc::clone(self), _permit: permit }
    }

    fn give_back(self: &Arc<Self>, bytes: usize) {
        self.free.fetch_add(signed(bytes), Ordering::SeqCst);
        if self.waiting.load(Ordering::SeqCst) > 0 {
            self.serve();
        }
    }

    /// Serves who waits, in order, while there is enough for the first. Who has gone is passed over.
    fn serve(self: &Arc<Self>) {
        let mut gone = Vec::new();
        let mut queue = self.queue.lock();
        while let Some(first) = queue.front() {
            let waits = !first.served.is_closed();
            if waits && !self.take(first.bytes) {
                break;
            }
            self.waiting.fetch_sub(1, Ordering::SeqCst);
            let Some(first) = queue.pop_front() else { break };
            if waits && let Err(drawn) = first.served.send(self.drawn(first.bytes)) {
                // Dropped when the queue's lock is open again.
                gone.push(drawn);
            }
        }
    }

    fn note_wait(&self, since: Instant) {
        self.waits.fetch_add(1, Ordering::Relaxed);
        let waited = u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.waited_us.fetch_add(waited, Ordering::Relaxed);
    }
}

fn signed(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// Lets the next in the queue be looked at when a wait ends, however it ends.
struct Left<'b>(&'b Arc<Budget>);

impl Drop for Left<'_> {
    fn drop(&mut self) {
        self.0.serve();
    }
}

impl Drop for Drawn {
    fn drop(&mut self) {
        self.from.give_back(self.bytes);
    }
}

/// What one session draws from a pool.
#[derive(Debug)]
pub struct Share {
    own: Arc<Budget>,
    pool: Arc<Budget>,
    /// Frames of up to so many bytes do not wait behind others'.
    small: usize,
    /// Its permit to take more than there is. Held while one is waited for: whoever of the session comes next shares it.
    overdraft: tokio::sync::Mutex<std::sync::Weak<OwnedSemaphorePermit>>,
}

/// What a buffer takes of its session's share and of the pool; given back when dropped.
#[derive(Debug, Default)]
pub struct Charge {
    _own: Option<Drawn>,
    pool: Option<Drawn>,
    _beside: Option<Beside>,
}

/// To take more than there is. There always is one to wait for: nobody closes the semaphore.
type Permit = Option<Arc<OwnedSemaphorePermit>>;

/// Bytes of the one session of all that may take more than there is. No pool has them: whoever is slow with what is large
/// must not keep the others from theirs.
#[derive(Debug)]
struct Beside {
    bytes: usize,
    pool: Arc<Budget>,
    _permit: Permit,
}

impl Drop for Beside {
    fn drop(&mut self) {
        self.pool.beside.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Charge {
    /// Of what no pool counts.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Of what is there already and is no frame, where the pool has so much; no session's share is asked.
    #[must_use]
    pub fn of(pool: &Arc<Budget>, bytes: usize) -> Option<Self> {
        Some(Self { pool: Some(pool.try_draw(bytes)?), ..Self::default() })
    }

    /// Follows what one session keeps as long as it lives: draws so much, unless what is drawn is that or up to twice that.
    /// False, and nothing is drawn, where the pool has not so much left or it is more than a session's share of it.
    pub fn follow(&mut self, pool: &Arc<Budget>, kept: usize) -> bool {
        if (kept..=2 * kept).contains(&self.bytes()) {
            return true;
        }
        *self = Self::none();
        if kept > pool.share() {
            return false;
        }
        let drawn = Self::of(pool, kept);
        let has_drawn = drawn.is_some();
        *self = drawn.unwrap_or_default();
        has_drawn || kept == 0
    }

    /// Bytes of it.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.pool.as_ref().map_or(0, |drawn| drawn.bytes)
    }

    /// Counts it in another pool from now on. False where that has not enough: then nothing changes.
    pub fn move_to(&mut self, pool: &Arc<Budget>) -> bool {
        let Some(drawn) = &self.pool else { return true };
        if Arc::ptr_eq(&drawn.from, pool) {
            return true;
        }
        let moved = pool.try_draw(drawn.bytes);
        let has_moved = moved.is_some();
        if has_moved {
            self.pool = moved;
        }
        has_moved
    }
}

impl Share {
    /// A session's share of `pool`. Frames of up to `small` bytes are not kept waiting by others'.
    #[must_use]
    pub fn of(pool: &Arc<Budget>, small: usize) -> Arc<Self> {
        let (own, overdraft) = (Budget::new(pool.share()), tokio::sync::Mutex::default());
        Arc::new(Self { own, pool: Arc::clone(pool), small, overdraft })
    }

    /// The pool has another size: so has the share.
    pub fn resize(&self) {
        self.own.resize(self.pool.share());
    }

    /// The pool.
    #[must_use]
    pub fn pool(&self) -> &Arc<Budget> {
        &self.pool
    }

    /// What the session may hold.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.own.capacity()
    }

    /// What the session holds.
    #[must_use]
    pub fn held(&self) -> usize {
        self.own.standing().drawn
    }

    /// Draws for a frame, where that needs no waiting.
    #[must_use]
    pub fn try_draw(&self, bytes: usize) -> Option<Charge> {
        let charge = |own, pool| Charge { _own: Some(own), pool: Some(pool), _beside: None };
        if let Some(own) = self.own.try_draw(bytes)
            && let Some(pool) = self.pool.try_draw(bytes)
        {
            return Some(charge(own, pool));
        }
        (bytes <= self.small && self.held() == 0).then(|| self.force(bytes))
    }

    /// Draws whether there is anything left or not: for what must not wait, or is there already.
    #[must_use]
    pub fn force(&self, bytes: usize) -> Charge {
        Charge { _own: Some(self.own.force(bytes)), pool: Some(self.pool.force(bytes)), _beside: None }
    }

    /// Bytes that are there already and are no frame, counted as long as the last slice of them lives.
    #[must_use]
    pub fn counted(&self, bytes: Bytes) -> Bytes {
        let charge = self.force(bytes.len());
        Bytes::from_owner(Counted { bytes, _charge: charge })
    }

    /// Draws for a frame, and waits until it may. Cancelling it loses its place. What is larger than a share passes
    /// beside the pool, for one session of all at a time. Beyond the pool goes what a session waits for whose client
    /// takes all it gets (`flows`), one at a time too: what it holds, others may wait for, and such sessions could wait for each
    /// other for ever.
    pub async fn draw(&self, bytes: usize, flows: impl Fn() -> bool) -> Charge {
        if let Some(charge) = self.try_draw(bytes) {
            return charge;
        }
        let since = Instant::now();
        let charge = if self.is_large(bytes) {
            self.beside(bytes, self.known_permit().await)
        } else {
            tokio::select! {
                biased;
                charge = self.draw_in_turn(bytes) => charge,
                charge = self.draw_overdue(bytes, flows) => charge,
            }
        };
        self.pool.note_wait(since);
        charge
    }

    /// The same for what nothing waits for that the session holds, as requests: what is larger than a share passes when no
    /// other does, of its own session neither.
    pub async fn draw_alone(&self, bytes: usize) -> Charge {
        if let Some(charge) = self.try_draw(bytes) {
            return charge;
        }
        let since = Instant::now();
        let charge =
            if self.is_large(bytes) { self.beside(bytes, self.permit().await) } else { self.draw_in_turn(bytes).await };
        self.pool.note_wait(since);
        charge
    }

    /// Whether a frame is larger than what a session may hold.
    #[must_use]
    pub fn is_large(&self, bytes: usize) -> bool {
        bytes > self.own.capacity()
    }

    async fn draw_in_turn(&self, bytes: usize) -> Charge {
        let own = self.own.draw(bytes).await;
        Charge { _own: Some(own), pool: Some(self.pool.draw(bytes).await), _beside: None }
    }

    async fn draw_overdue(&self, bytes: usize, flows: impl Fn() -> bool) -> Charge {
        loop {
            sleep(OVERDUE).await;
            if flows() {
                let permit = self.known_permit().await;
                return Charge { _beside: Some(self.pool.beside(0, permit)), ..self.force(bytes) };
            }
        }
    }

    fn beside(&self, bytes: usize, permit: Permit) -> Charge {
        Charge { _own: Some(self.own.force(bytes)), pool: None, _beside: Some(self.pool.beside(bytes, permit)) }
    }

    /// To take more than there is: the session's, where it has one, or the next.
    async fn known_permit(&self) -> Permit {
        let mut known = self.overdraft.lock().await;
        if let Some(permit) = known.upgrade() {
            return Some(permit);
        }
        let permit = self.permit().await;
        if let Some(permit) = &permit {
            *known = Arc::downgrade(permit);
        }
        permit
    }

    async fn permit(&self) -> Permit {
        let _sought = Seeking::of(&self.pool);
        Arc::clone(&self.pool.overdraft).acquire_owned().await.ok().map(Arc::new)
    }
}

/// Bytes with what was drawn for them; given back when they have gone.
struct Counted {
    bytes: Bytes,
    _charge: Charge,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Counts who waits to take more than there is.
struct Seeking<'b>(&'b Budget);

impl<'b> Seeking<'b> {
    fn of(pool: &'b Budget) -> Self {
        pool.overdrawing.fetch_add(1, Ordering::Relaxed);
        Self(pool)
    }
}

impl Drop for Seeking<'_> {
    fn drop(&mut self) {
        self.0.overdrawing.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::timeout;

    const SOON: Duration = Duration::from_millis(20);
    const PATIENCE: Duration = Duration::from_secs(10);

    fn never() -> bool {
        false
    }

    /// [L4]
    #[tokio::test]
    async fn l4_who_waits_is_served_in_order_and_a_large_draw_is_not_passed() {
        let pool = Budget::new(800);
        let shares: Vec<_> = (0..12).map(|_| Share::of(&pool, 0)).collect();
        let mut held: Vec<_> = shares[..8].iter().map(|share| share.try_draw(100).unwrap()).collect();
        assert!(shares[8].try_draw(1).is_none(), "the pool is spent");
        let wait = |at: usize, bytes| {
            let share = Arc::clone(&shares[at]);
            tokio::spawn(async move { share.draw(bytes, never).await })
        };
        let large = wait(8, 100);
        tokio::task::yield_now().await;
        let small = wait(9, 10);
        tokio::task::yield_now().await;
        assert_eq!(pool.standing().waiting, 2);
        assert!(shares[10].try_draw(1).is_none());
        held.pop();
        let large = timeout(PATIENCE, large).await.unwrap().unwrap();
        assert!(!small.is_finished(), "it came later");
        held.pop();
        drop((timeout(PATIENCE, small).await.unwrap().unwrap(), large, held));
        assert_eq!((pool.free(), pool.standing().waits), (800, 2));
    }

    /// [L4]
    #[tokio::test]
    async fn l4_a_session_holds_no_more_than_its_share() {
        let pool = Budget::new(800);
        let share = Share::of(&pool, 0);
        let first = share.try_draw(60).unwrap();
        assert!(share.try_draw(41).is_none() && share.try_draw(40).is_some());
        assert!(timeout(SOON, share.draw(41, never)).await.is_err());
        drop(first);
        drop(timeout(PATIENCE, share.draw(100, never)).await.unwrap());
        assert_eq!((pool.free(), share.held(), pool.standing().waiting), (800, 0, 0));
    }

    #[tokio::test]
    async fn who_stops_waiting_stands_in_nobodys_way() {
        let pool = Budget::new(800);
        let (one, two, three) = (Share::of(&pool, 0), Share::of(&pool, 0), Share::of(&pool, 0));
        let all = one.force(750);
        assert!(timeout(SOON, two.draw(100, never)).await.is_err());
        drop(timeout(PATIENCE, three.draw(50, never)).await.unwrap());
        drop(all);
        assert_eq!((pool.free(), pool.standing().waiting), (800, 0));
    }

    #[tokio::test]
    async fn who_stops_waiting_lets_those_behind_go_on() {
        let pool = Budget::new(800);
        let (one, two, three) = (Share::of(&pool, 0), Share::of(&pool, 0), Share::of(&pool, 0));
        let most = one.force(750);
        let large = tokio::spawn(async move { two.draw(100, never).await });
        tokio::task::yield_now().await;
        let small = tokio::spawn(async move { three.draw(50, never).await });
        tokio::task::yield_now().await;
        assert_eq!(pool.standing().waiting, 2);
        large.abort();
        // Nothing comes back meanwhile.
        drop((timeout(PATIENCE, small).await.unwrap().unwrap(), most));
        assert_eq!((pool.free(), pool.standing().waiting), (800, 0));
    }

    /// [L4]
    #[tokio::test]
    async fn l4_small_frames_of_who_holds_nothing_do_not_wait() {
        let pool = Budget::new(800);
        let all = Share::of(&pool, 0).force(800);
        let share = Share::of(&pool, 10);
        assert!(share.try_draw(11).is_none());
        let small = share.try_draw(10).unwrap();
        assert!(pool.is_short() && share.try_draw(10).is_none(), "one at a time");
        drop((small, all));
        assert_eq!(pool.free(), 800);
    }

    /// [L4]
    #[tokio::test]
    async fn l4_what_is_larger_than_a_share_passes_one_at_a_time() {
        let pool = Budget::new(800);
        let (one, two) = (Share::of(&pool, 0), Share::of(&pool, 0));
        let first = timeout(PATIENCE, one.draw(5_000, never)).await.unwrap();
        let more = timeout(PATIENCE, one.draw(5_000, never)).await.unwrap();
        let second = tokio::spawn(async move { two.draw(5_000, never).await });
        tokio::time::sleep(SOON).await;
        drop(first);
        tokio::time::sleep(SOON).await;
        assert!(!second.is_finished());
        assert_eq!((pool.free(), pool.standing().drawn), (800, 5_000), "the pool is left to the others");
        drop(more);
        drop(timeout(PATIENCE, second).await.unwrap().unwrap());
        assert_eq!((pool.free(), pool.standing().drawn), (800, 0));
    }

    /// (L4)
    #[tokio::test]
    async fn l4_large_answers_of_one_session_do_not_wait_for_each_other() {
        let pool = Budget::new(800);
        let (one, two) = (Share::of(&pool, 0), Share::of(&pool, 0));
        // Given a session that passes something large, and another with two such on two links
        let first = timeout(PATIENCE, one.draw(5_000, never)).await.unwrap();
        let waiting = [(); 2].map(|()| {
            let two = Arc::clone(&two);
            tokio::spawn(async move { two.draw(5_000, never).await })
        });
        tokio::time::sleep(SOON).await;
        drop(first);
        // Then it gets both, though the one may not leave before the other
        let mut both = Vec::new();
        for answer in waiting {
            both.push(timeout(PATIENCE, answer).await.unwrap().unwrap());
        }
        assert_eq!(pool.standing().drawn, 10_000);
    }

    /// (L4)
    #[tokio::test]
    async fn l4_a_second_large_request_waits_for_the_first_also_of_its_own_session() {
        let pool = Budget::new(800);
        let share = Share::of(&pool, 0);
        let first = timeout(PATIENCE, share.draw_alone(5_000)).await.unwrap();
        assert!(timeout(SOON, share.draw_alone(5_000)).await.is_err());
        assert!(Share::of(&pool, 0).try_draw(100).is_some(), "others have their share");
        drop(first);
        drop(timeout(PATIENCE, share.draw_alone(5_000)).await.unwrap());
        assert_eq!((pool.standing().drawn, share.held(), pool.is_sought()), (0, 0, false));
    }

    /// [L4]
    #[tokio::test]
    async fn l4_sessions_that_hold_what_they_wait_for_do_not_wait_for_ever() {
        let pool = Budget::new(800);
        // Given sessions that hold all there is, each one half of what it needs
        let waiting: Vec<_> = (0..16)
            .map(|_| {
                let share = Share::of(&pool, 0);
                let half = share.try_draw(50).unwrap();
                tokio::spawn(async move { (share.draw(50, || true).await, half) })
            })
            .collect();
        for session in waiting {
            drop(timeout(PATIENCE, session).await.unwrap().unwrap());
        }
        assert_eq!(pool.free(), 800);
    }

    #[test]
    fn a_charge_moves_to_another_pool_where_there_is_room() {
        let (pool, parked) = (Budget::new(800), Budget::new(150));
        let share = Share::of(&pool, 0);
        let (mut one, mut two) = (share.force(100), share.force(100));
        assert!(one.move_to(&parked) && !two.move_to(&parked));
        assert_eq!((pool.free(), parked.free()), (700, 50));
        drop((one, two));
        assert_eq!((pool.free(), parked.free()), (800, 150));
    }

    #[tokio::test]
    async fn a_pool_may_grow_and_shrink() {
        let pool = Budget::new(80);
        let share = Share::of(&pool, 0);
        let all = share.force(80);
        pool.resize(40);
        assert!(pool.is_short());
        pool.resize(160);
        assert_eq!(pool.free(), 80);
        drop(all);
        assert_eq!(pool.free(), 160);
        // A share grows and shrinks with it.
        share.resize();
        assert_eq!((share.capacity(), share.try_draw(21).is_some(), share.try_draw(20).is_some()), (20, false, true));
    }

    #[test]
    fn many_threads_give_back_all_they_drew() {
        let pool = Budget::new(10_000);
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let all: Vec<_> = (0..32)
                .map(|_| {
                    let share = Share::of(&pool, 0);
                    tokio::spawn(async move {
                        for bytes in 0..1_000 {
                            let charge = share.draw(bytes, never).await;
                            tokio::task::yield_now().await;
                            drop(charge);
                        }
                    })
                })
                .collect();
            for one in all {
                timeout(PATIENCE, one).await.unwrap().unwrap();
            }
        });
        assert_eq!((pool.free(), pool.standing().waiting), (10_000, 0));
    }
}
