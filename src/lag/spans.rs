//! A few ranges of offsets, joined where they touch. The lowest are given up when there are too many: who asks is near the end.

/// So many are kept.
const MOST: usize = 8;

/// See the module's text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Spans(Vec<(i64, i64)>);

impl Spans {
    /// Adds `from..to`.
    pub(super) fn add(&mut self, from: i64, to: i64) {
        if to <= from {
            return;
        }
        let touches = |span: &(i64, i64)| span.0 <= to && from <= span.1;
        let touched = self.0.iter().copied().filter(touches);
        let joined = touched.fold((from, to), |all, span| (all.0.min(span.0), all.1.max(span.1)));
        self.0.retain(|span| !touches(span));
        let place = self.0.partition_point(|span| span.0 < joined.0);
        self.0.insert(place, joined);
        if self.0.len() > MOST {
            self.0.remove(0);
        }
    }

    /// Where the range begins that holds the record before an offset.
    #[must_use]
    pub(super) fn begin_of(&self, before: i64) -> Option<i64> {
        self.0.iter().find(|span| span.0 < before && before <= span.1).map(|span| span.0)
    }

    /// Where the range ends that holds an offset.
    #[must_use]
    pub(super) fn end_of(&self, offset: i64) -> Option<i64> {
        self.0.iter().find(|span| span.0 <= offset && offset < span.1).map(|span| span.1)
    }

    /// The greatest end of a range that is not behind an offset.
    #[must_use]
    pub(super) fn last_end(&self, upto: i64) -> Option<i64> {
        self.0.iter().map(|span| span.1).filter(|end| *end <= upto).max()
    }

    /// The log ends here now.
    pub(super) fn truncate(&mut self, end: i64) {
        self.0.retain(|span| span.0 < end);
        self.0.iter_mut().for_each(|span| span.1 = span.1.min(end));
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = (i64, i64)> {
        self.0.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn ranges_that_touch_are_one() {
        let mut spans = Spans::default();
        spans.add(0, 5);
        spans.add(8, 9);
        spans.add(5, 8);
        assert_eq!(spans.iter().collect::<Vec<_>>(), [(0, 9)]);
        assert_eq!((spans.begin_of(9), spans.begin_of(10), spans.begin_of(0)), (Some(0), None, None));
    }

    proptest! {
        #[test]
        fn ranges_hold_what_a_set_would(ranges in prop::collection::vec((0i64..64, 0i64..64), 0..12)) {
            let (mut spans, mut set) = (Spans::default(), BTreeSet::new());
            for (from, to) in ranges {
                spans.add(from, to);
                set.extend(from..to);
            }
            let lowest = spans.iter().next().map_or(64, |span| span.0);
            for offset in lowest..64 {
                let begin = spans.begin_of(offset + 1);
                prop_assert_eq!(begin.is_some(), set.contains(&offset));
                prop_assert!(begin.is_none_or(|begin| (begin..=offset).all(|one| set.contains(&one))));
            }
        }
    }
}
