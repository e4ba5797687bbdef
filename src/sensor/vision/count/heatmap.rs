//! Where people were: seconds of presence in each cell of a grid over the picture.

use std::time::Duration;

use super::walker::Step;

/// Cells in a row, and rows: a picture of 16:9 has square cells.
pub const COLUMNS: usize = 32;
pub const ROWS: usize = 18;
/// A walker who was not seen for longer was not there all that time.
const LONGEST_STEP: Duration = Duration::from_secs(3);

/// Adds up presence. A fixed size.
#[derive(Debug)]
pub struct Heatmap {
    /// Milliseconds, row by row.
    cells: Vec<u64>,
}

impl Default for Heatmap {
    fn default() -> Self {
        Self {
            cells: vec![0; COLUMNS * ROWS],
        }
    }
}

impl Heatmap {
    /// Takes what walkers did on one frame of `size` (width, height in pixels).
    pub fn step(&mut self, steps: &[Step], (width, height): (u32, u32)) {
        for step in steps {
            let since = step.at.saturating_sub(step.before);
            if since > LONGEST_STEP {
                continue;
            }
            let cell = |value: f32, extent: u32, cells: usize| {
                let share = (value / extent.max(1) as f32).clamp(0.0, 1.0);
                ((share * cells as f32) as usize).min(cells - 1)
            };
            let (x, y) = (
                cell(step.to.0, width, COLUMNS),
                cell(step.to.1, height, ROWS),
            );
            if let Some(sum) = self.cells.get_mut(y * COLUMNS + x) {
                *sum += u64::try_from(since.as_millis()).unwrap_or(0);
            }
        }
    }

    /// Whole seconds since the last call, row by row. What is left of a second stays for the next call, so that the
    /// sums over a day are right.
    pub fn take(&mut self) -> Vec<u32> {
        let whole = |sum: &mut u64| {
            let seconds = *sum / 1000;
            *sum %= 1000;
            u32::try_from(seconds).unwrap_or(u32::MAX)
        };
        self.cells.iter_mut().map(whole).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stay(x: f32, y: f32, at_ms: u64, since_ms: u64) -> Step {
        Step {
            walker: 1,
            track: 1,
            class: 0,
            at: Duration::from_millis(at_ms),
            before: Duration::from_millis(at_ms - since_ms),
            from: (x, y),
            to: (x, y),
            seen: (x, y),
            height: 100.0,
        }
    }

    #[test]
    fn presence_is_in_its_cell_and_no_second_is_lost_between_two_takes() {
        let mut map = Heatmap::default();
        let mut sum = 0;
        for step in 1..=100u64 {
            map.step(&[stay(50.0, 95.0, step * 150, 150)], (320, 180));
            if step % 7 == 0 {
                let cells = map.take();
                assert_eq!(cells.iter().sum::<u32>(), cells[9 * COLUMNS + 5]);
                sum += cells[9 * COLUMNS + 5];
            }
        }
        assert_eq!(sum + map.take().iter().sum::<u32>(), 15);
    }

    #[test]
    fn whoever_is_beyond_the_picture_is_at_its_edge_and_gaps_count_nothing() {
        let mut map = Heatmap::default();
        map.step(
            &[stay(-9.0, 1e6, 2000, 2000), stay(1.0, 1.0, 60_000, 50_000)],
            (320, 180),
        );
        let cells = map.take();
        assert_eq!(cells[(ROWS - 1) * COLUMNS], 2);
        assert_eq!(cells.iter().sum::<u32>(), 2);
        map.step(&[stay(f32::NAN, f32::NAN, 2000, 1000)], (0, 0));
        assert_eq!(map.take().len(), COLUMNS * ROWS);
    }
}
