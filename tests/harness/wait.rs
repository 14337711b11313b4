//! Waiting on conditions, always with a deadline.

use std::thread::sleep;
use std::time::{Duration, Instant};

const BETWEEN_LOOKS: Duration = Duration::from_millis(25);

/// Looks again and again until `look` finds something, at most for `within`.
pub fn poll<T>(within: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + within;
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if Instant::now() >= deadline {
            return None;
        }
        sleep(BETWEEN_LOOKS);
    }
}

/// Waits until `holds`; panics with `what` when it does not within the time.
#[track_caller]
pub fn until(what: &str, within: Duration, mut holds: impl FnMut() -> bool) {
    let found = poll(within, || holds().then_some(()));
    assert!(found.is_some(), "waited {within:?} in vain until {what}");
}

/// Waits until `look` finds something and returns it; panics with `what` when it does not within the time.
#[track_caller]
pub fn find<T>(what: &str, within: Duration, look: impl FnMut() -> Option<T>) -> T {
    let found = poll(within, look);
    found.unwrap_or_else(|| panic!("waited {within:?} in vain for {what}"))
}

/// Whole seconds, for deadlines that read well.
pub const fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}
