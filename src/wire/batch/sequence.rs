//! Sequences of idempotent producers (KIP-98): they count up, and go round.

/// Up to here, and on at 0.
const LAST: i32 = i32::MAX;

/// The sequence so many further.
#[must_use]
pub fn after(sequence: i32, count: i32) -> i32 {
    sequence.wrapping_add(count) & LAST
}

/// Of two sequences the later one is less than half the way round from the earlier.
#[must_use]
pub fn is_after(one: i32, other: i32) -> bool {
    let ahead = one.wrapping_sub(other) & LAST;
    ahead != 0 && ahead <= LAST / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_go_round() {
        assert_eq!((after(5, 3), after(i32::MAX, 1), after(i32::MAX - 1, 3)), (8, 0, 1));
        assert!(is_after(1, 0) && is_after(0, i32::MAX) && !is_after(i32::MAX, 0) && !is_after(7, 7));
    }
}
