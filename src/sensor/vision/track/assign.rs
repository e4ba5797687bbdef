//! The assignment problem: pairs of rows and columns with the least total cost.

/// Cost of a pair that must not be made.
pub const FORBIDDEN: f32 = 1e6;

/// Least-cost pairs `(row, column)` of a `rows * columns` cost matrix (row-major, finite), each row and column
/// used at most once; pairs that cost [`FORBIDDEN`] or more are left out. Sorted by row.
///
/// Shortest augmenting paths with potentials, after R. Jonker and A. Volgenant, "A shortest augmenting path
/// algorithm for dense and sparse linear assignment problems", Computing 38 (1987). O(n^3).
#[must_use]
pub fn assign(cost: &[f32], rows: usize, columns: usize) -> Vec<(usize, usize)> {
    if rows == 0 || columns == 0 || cost.len() != rows * columns {
        return Vec::new();
    }
    if rows > columns {
        let mut flipped = vec![0.0; cost.len()];
        for r in 0..rows {
            for c in 0..columns {
                flipped[c * rows + r] = cost[r * columns + c];
            }
        }
        let mut pairs: Vec<_> = assign(&flipped, columns, rows)
            .into_iter()
            .map(|(c, r)| (r, c))
            .collect();
        pairs.sort_unstable();
        return pairs;
    }
    // Indices are shifted by one: column 0 is where each search starts.
    let mut row_potential = vec![0.0f64; rows + 1];
    let mut column_potential = vec![0.0f64; columns + 1];
    let mut row_of = vec![0usize; columns + 1];
    let mut came_from = vec![0usize; columns + 1];
    for row in 1..=rows {
        row_of[0] = row;
        let mut column = 0;
        let mut least = vec![f64::INFINITY; columns + 1];
        let mut done = vec![false; columns + 1];
        loop {
            done[column] = true;
            let r = row_of[column];
            let (mut delta, mut next) = (f64::INFINITY, 0);
            for c in 1..=columns {
                if done[c] {
                    continue;
                }
                let reduced = f64::from(cost[(r - 1) * columns + c - 1])
                    - row_potential[r]
                    - column_potential[c];
                if reduced < least[c] {
                    least[c] = reduced;
                    came_from[c] = column;
                }
                if least[c] < delta {
                    (delta, next) = (least[c], c);
                }
            }
            for c in 0..=columns {
                if done[c] {
                    row_potential[row_of[c]] += delta;
                    column_potential[c] -= delta;
                } else {
                    least[c] -= delta;
                }
            }
            column = next;
            if row_of[column] == 0 {
                break;
            }
        }
        while column != 0 {
            let previous = came_from[column];
            row_of[column] = row_of[previous];
            column = previous;
        }
    }
    let mut pairs: Vec<_> = (1..=columns)
        .filter(|&c| row_of[c] != 0)
        .map(|c| (row_of[c] - 1, c - 1))
        .filter(|&(r, c)| cost[r * columns + c] < FORBIDDEN)
        .collect();
    pairs.sort_unstable();
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cheapest_by_trying_all(cost: &[f32], columns: usize, row: usize, used: &mut [bool]) -> f32 {
        if row * columns == cost.len() {
            return 0.0;
        }
        (0..columns).fold(f32::INFINITY, |best, c| {
            if used[c] {
                return best;
            }
            used[c] = true;
            let total =
                cost[row * columns + c] + cheapest_by_trying_all(cost, columns, row + 1, used);
            used[c] = false;
            best.min(total)
        })
    }

    proptest! {
        #[test]
        fn the_total_cost_is_the_least_of_all_permutations(
            (columns, cost) in (1usize..=6).prop_flat_map(|columns| {
                (1..=columns).prop_flat_map(move |rows| {
                    (Just(columns), prop::collection::vec(0.0f32..10.0, rows * columns))
                })
            })
        ) {
            let rows = cost.len() / columns;
            let pairs = assign(&cost, rows, columns);
            prop_assert_eq!(pairs.len(), rows);
            let total: f32 = pairs.iter().map(|&(r, c)| cost[r * columns + c]).sum();
            let best = cheapest_by_trying_all(&cost, columns, 0, &mut vec![false; columns]);
            prop_assert!((total - best).abs() < 1e-3, "{} against {}", total, best);
        }
    }

    #[test]
    fn more_rows_than_columns_leaves_the_dearest_rows_alone() {
        assert_eq!(assign(&[5.0, 1.0, 3.0], 3, 1), vec![(1, 0)]);
    }

    #[test]
    fn forbidden_pairs_are_never_made() {
        assert_eq!(
            assign(&[FORBIDDEN, FORBIDDEN, 1.0, FORBIDDEN], 2, 2),
            vec![(1, 0)]
        );
        assert!(assign(&[], 0, 3).is_empty());
    }
}
