//! Producer ids that we give out, or write under. Clusters count theirs up from 0, so ids of two clusters would meet, and one of
//! ours would meet one of theirs: ours are random, from 2^60 on.

/// Ours begin here.
pub const FIRST: i64 = 1 << 60;

/// A new one.
#[must_use]
pub fn own_id() -> i64 {
    fastrand::i64(FIRST..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_ours_are_above_those_of_clusters() {
        let ids: Vec<_> = (0..1000).map(|_| own_id()).collect();
        assert!(ids.iter().all(|id| *id >= FIRST) && ids.windows(2).any(|two| two[0] != two[1]));
    }
}
