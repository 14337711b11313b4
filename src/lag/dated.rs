//! The records' own times, where we did not see them arrive: a few stretches that somebody was handed, each with the time of its
//! first batch.

/// So many are kept.
const MOST: usize = 32;

/// See the module's text.
#[derive(Clone, Debug, Default)]
pub(super) struct Dated(Vec<(i64, i64, i64)>);

impl Dated {
    /// Records `from..next`, of which the first was written at this time, in ms since 1970. Where there are too many, the first one
    /// goes that nobody needs.
    pub(super) fn add(&mut self, from: i64, next: i64, written_ms: i64, is_needed: impl Fn(i64, i64) -> bool) {
        if from < 0 || next <= from || written_ms < 0 {
            return;
        }
        let place = self.0.partition_point(|stretch| stretch.0 < from);
        if let Some(same) = self.0.get_mut(place).filter(|stretch| stretch.0 == from) {
            *same = (from, next, written_ms);
            return;
        }
        self.0.insert(place, (from, next, written_ms));
        if self.0.len() > MOST {
            let idle = self.0.iter().position(|stretch| stretch.0 != from && !is_needed(stretch.0, stretch.1));
            self.0.remove(idle.unwrap_or(MOST));
        }
    }

    /// The time of a record: that of the stretch that it lies in.
    #[must_use]
    pub(super) fn time_of(&self, offset: i64) -> Option<i64> {
        let place = self.0.partition_point(|stretch| stretch.0 <= offset).checked_sub(1)?;
        self.0.get(place).filter(|stretch| offset < stretch.1).map(|stretch| stretch.2)
    }

    /// What lies before an offset is asked for no more.
    pub(super) fn forget_below(&mut self, offset: i64) {
        self.0.retain(|stretch| stretch.1 > offset);
    }

    /// The log ends here now.
    pub(super) fn truncate(&mut self, end: i64) {
        self.0.retain(|stretch| stretch.1 <= end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_has_the_time_of_the_last_stretch_that_begins_before_it() {
        let mut dated = Dated::default();
        dated.add(10, 20, 1000, |_, _| true);
        dated.add(15, 20, 2000, |_, _| true);
        assert_eq!(
            [9, 10, 14, 15, 19, 20].map(|offset| dated.time_of(offset)),
            [None, Some(1000), Some(1000), Some(2000), Some(2000), None]
        );
        dated.forget_below(20);
        assert_eq!(dated.time_of(15), None);
    }

    #[test]
    fn it_stays_small() {
        let mut dated = Dated::default();
        (0..1000).for_each(|offset| dated.add(offset * 2, offset * 2 + 1, 1, |_, _| true));
        assert_eq!(dated.0.len(), MOST);
    }

    #[test]
    fn who_catches_up_goes_on_being_dated_and_so_does_who_stands_far_behind() {
        let mut dated = Dated::default();
        for round in 0..100 {
            let from = round * 10;
            // One stands at the beginning for good, another commits two stretches behind what it is handed
            dated.add(from, from + 10, from, |from, next| {
                [0, (round - 2).max(0) * 10].iter().any(|place| (from..next).contains(place))
            });
            for place in [0, (round - 2).max(0) * 10, from] {
                assert_eq!(dated.time_of(place), Some(place));
            }
        }
        assert_eq!(dated.0.len(), MOST);
    }
}
