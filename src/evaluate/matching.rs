//! Which label belongs to which count: as many pairs as possible within a time window, and among those the nearest.

/// Pairs `(label, count)`, each used at most once and at most `window` apart: as many as there can be, with the least
/// sum of distances of all such pairings. Times ascending, in one unit.
///
/// On a line an optimal pairing never needs two pairs that cross each other (swapping their ends makes neither longer
/// than the longer of the two, and the sum no larger), so an alignment finds it, as for two texts: S. B. Needleman,
/// C. D. Wunsch, J. Mol. Biol. 48 (1970). Only counts within a label's window are looked at.
#[must_use]
pub fn pair(labels: &[i64], counts: &[i64], window: i64) -> Vec<(usize, usize)> {
    // rows[i]: the best with labels 0..=i and counts ..j, for j from the first in reach to behind the last.
    let mut rows: Vec<Row> = Vec::with_capacity(labels.len());
    for &label in labels {
        let first = counts.partition_point(|&count| count < label - window);
        let reach = counts.partition_point(|&count| count <= label + window);
        let above = rows.last();
        let mut row = Row {
            first,
            best: Vec::with_capacity(reach - first + 1),
        };
        let mut left = Row::at(above, first);
        row.best.push(left);
        for (j, &count) in counts.iter().enumerate().take(reach).skip(first) {
            let (pairs, cost) = Row::at(above, j);
            let paired = (pairs + 1, cost - (label - count).abs());
            left = left.max(Row::at(above, j + 1)).max(paired);
            row.best.push(left);
        }
        rows.push(row);
    }
    let mut pairs = Vec::new();
    let (mut i, mut j) = (rows.len(), counts.len());
    while let Some((row, above)) = rows.get(..i).and_then(<[Row]>::split_last) {
        j = j.min(row.last());
        let best = Row::at(Some(row), j);
        if best == Row::at(above.last(), j) {
            i -= 1;
        } else if j > row.first && best == Row::at(Some(row), j - 1) {
            j -= 1;
        } else {
            (i, j) = (i - 1, j.saturating_sub(1));
            pairs.push((i, j));
        }
    }
    pairs.reverse();
    pairs
}

/// How many pairs, and minus their distances: the larger the better.
type Best = (usize, i64);

struct Row {
    first: usize,
    /// Never empty.
    best: Vec<Best>,
}

impl Row {
    fn last(&self) -> usize {
        self.first + self.best.len() - 1
    }

    /// The best with the first `j` counts; beyond the row's end nothing is gained any more.
    fn at(row: Option<&Self>, j: usize) -> Best {
        let best = |row: &Self| row.best.get(j.min(row.last()) - row.first).copied();
        row.and_then(best).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Tries everything: this label alone, or with each count that is left.
    fn best_by_trying_all(labels: &[i64], counts: &[i64], used: &mut [bool], window: i64) -> Best {
        let Some((label, rest)) = labels.split_first() else {
            return (0, 0);
        };
        let mut best = best_by_trying_all(rest, counts, used, window);
        for (j, count) in counts.iter().enumerate() {
            let distance = (label - count).abs();
            if !used[j] && distance <= window {
                used[j] = true;
                let (pairs, cost) = best_by_trying_all(rest, counts, used, window);
                best = best.max((pairs + 1, cost - distance));
                used[j] = false;
            }
        }
        best
    }

    fn times() -> impl Strategy<Value = Vec<i64>> {
        prop::collection::vec(0i64..120, 0..7).prop_map(|mut times| {
            times.sort_unstable();
            times
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn no_other_pairing_has_more_pairs_or_as_many_that_are_nearer(
            labels in times(), counts in times(), window in 0i64..40
        ) {
            let pairs = pair(&labels, &counts, window);
            let mut used = (vec![false; labels.len()], vec![false; counts.len()]);
            let mut cost = 0;
            for &(i, j) in &pairs {
                prop_assert!(!used.0[i] && !used.1[j], "used twice: {:?}", pairs);
                (used.0[i], used.1[j]) = (true, true);
                let distance = (labels[i] - counts[j]).abs();
                prop_assert!(distance <= window, "too far apart: {:?}", pairs);
                cost -= distance;
            }
            let best = best_by_trying_all(&labels, &counts, &mut vec![false; counts.len()], window);
            prop_assert_eq!((pairs.len(), cost), best, "{:?}", pairs);
        }
    }

    #[test]
    fn the_nearest_count_is_given_up_where_both_labels_find_one_that_way() {
        // Taking the nearest first would pair 10 with 11 and leave 12 alone.
        assert_eq!(pair(&[10, 12], &[8, 11], 2), [(0, 0), (1, 1)]);
        assert_eq!(pair(&[10], &[], 2), []);
        assert_eq!(pair(&[], &[10], 2), []);
    }

    #[test]
    fn a_long_day_is_paired_at_once() {
        let labels: Vec<i64> = (0..20_000).map(|n| n * 1500).collect();
        let counts: Vec<i64> = labels.iter().map(|at| at + 300).collect();
        assert!(pair(&labels, &counts, 2000).iter().all(|(i, j)| i == j));
    }
}
