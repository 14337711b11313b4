//! Several rounds' values of one quantity, as a table shows them.

/// Values of one quantity, one a round.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct Rounds(pub(super) Vec<f64>);

impl Rounds {
    pub(super) fn median(&self) -> Option<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let upper = *sorted.get(middle)?;
        let lower = if sorted.len().is_multiple_of(2) { *sorted.get(middle.checked_sub(1)?)? } else { upper };
        Some(f64::midpoint(lower, upper))
    }

    pub(super) fn most(&self) -> Option<f64> {
        self.0.iter().copied().reduce(f64::max)
    }

    /// Half the distance from the least to the greatest.
    pub(super) fn spread(&self) -> f64 {
        let least = self.0.iter().copied().fold(f64::INFINITY, f64::min);
        let most = self.0.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if self.0.is_empty() { 0.0 } else { (most - least) / 2.0 }
    }

    /// Pairs the rounds of two quantities: only what ran in the same round, on the same machine in the same mood, is
    /// compared.
    pub(super) fn with(&self, other: &Self, pair: impl Fn(f64, f64) -> f64) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(one, other)| pair(*one, *other)).collect())
    }

    /// Median and spread, `-` where no round was run.
    pub(super) fn show(&self, digits: usize) -> String {
        match self.median() {
            None => "-".to_owned(),
            Some(median) if self.0.len() < 2 => format!("{median:.digits$}"),
            Some(median) => format!("{median:.digits$} ±{:.digits$}", self.spread()),
        }
    }

    /// The median alone.
    pub(super) fn brief(&self, digits: usize) -> String {
        self.median().map_or_else(|| "-".to_owned(), |median| format!("{median:.digits$}"))
    }
}

impl FromIterator<f64> for Rounds {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        Self(values.into_iter().collect())
    }
}

/// One divided by the other.
pub(super) fn ratio(one: f64, other: f64) -> f64 {
    one / other
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(Rounds(vec![]).median(), None);
        assert_eq!(Rounds(vec![3.0]).median(), Some(3.0));
        assert_eq!(Rounds(vec![9.0, 1.0, 2.0]).median(), Some(2.0));
        assert_eq!(Rounds(vec![9.0, 1.0, 2.0, 4.0]).median(), Some(3.0));
    }

    #[test]
    fn rounds_are_paired() {
        let ratio = Rounds(vec![2.0, 8.0]).with(&Rounds(vec![1.0, 2.0]), |one, other| one / other);
        assert_eq!(ratio, Rounds(vec![2.0, 4.0]));
        assert_eq!(ratio.show(1), "3.0 ±1.0");
        assert_eq!((Rounds(vec![2.0]).show(2), Rounds(vec![]).show(2)), ("2.00".into(), "-".into()));
    }
}
