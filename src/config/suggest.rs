//! "Did you mean": the known word that is nearest to what was typed. Knows words only.

/// Longer ones are no typing mistake of a key or a name.
const LONGEST: usize = 64;

/// More are not compared: there are 31 clusters at most, and fewer keys.
const MOST: usize = 100;

/// The nearest of `known`, if it is near enough to be what was meant.
pub(super) fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if typed.len() > LONGEST {
        return None;
    }
    let plain = typed.to_lowercase().replace('-', "_");
    let near = known
        .into_iter()
        .take(MOST)
        .filter(|word| word.len() <= LONGEST)
        .map(|word| (distance(&plain, &word.to_lowercase()), word));
    let (distance, word) = near.min_by_key(|(distance, _)| *distance)?;
    (distance <= 1 + word.len().min(plain.len()) / 4 || (plain.len() >= 3 && word.starts_with(&plain))).then_some(word)
}

/// Insertions, deletions, replacements and swaps of neighbours that lead from one word to the other.
fn distance(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=to.len()).collect()];
    for (i, a) in from.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in to.iter().enumerate() {
            let change = rows[i][j] + usize::from(a != b);
            let mut best = change.min(rows[i][j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == to[j - 1] && from[i - 1] == *b {
                best = best.min(rows[i - 1][j - 1] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[from.len()][to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_found_and_far_ones_are_not() {
        let keys = ["virtual_cluster", "default_cluster", "listeners", "clusters", "pipelines", "admin"];
        for (typed, meant) in [
            ("listener", Some("listeners")),
            ("pipelnies", Some("pipelines")),
            ("default-cluster", Some("default_cluster")),
            ("Virtual_Cluster", Some("virtual_cluster")),
            ("admn", Some("admin")),
            ("pipe", Some("pipelines")),
            ("brokers", None),
            ("x", None),
        ] {
            assert_eq!(nearest(typed, keys), meant, "{typed}");
        }
    }
}
