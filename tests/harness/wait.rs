//! Waiting on conditions, always with a deadline.

use std::thread::sleep;
use std::time::{Duration, Instant};

/// While it may be soon. A look may be all metrics of a Fishplate, or all that a cluster knows.
const BETWEEN_LOOKS: Duration = Duration::from_millis(25);
/// Who has waited for longer than a second needs no quick answer.
const BETWEEN_LATER_LOOKS: Duration = Duration::from_millis(100);

/// Looks again and again until `look` finds something, at most for `within`.
pub fn poll<T>(within: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        let waited = began.elapsed();
        if waited >= within {
            return None;
        }
        sleep(if waited < seconds(1) { BETWEEN_LOOKS } else { BETWEEN_LATER_LOOKS });
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
