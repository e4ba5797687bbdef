//! How the camera's exposure and white balance have shifted since the picture before: for each colour a curve, taken
//! from what did not move.
//!
//! A camera brightens its whole picture when somebody in a dark coat fills it, the shadows more than the lights. The
//! background follows at once, and only the person is left as a difference. The curve is the trimmed mean of the shift
//! at each level of the background: of the pixels of one level, those that moved are outliers to the others (Huber,
//! "Robust Statistics", 1981). Between the levels it is linear.

use super::shrink::Small;

/// Every so many pixels one is a sample; prime, so that no column is taken again and again.
const STRIDE: usize = 29;
/// Levels of brightness that have a shift of their own, each of so many grey levels.
const LEVELS: usize = 16;
const LEVEL: f32 = 256.0 / LEVELS as f32;
/// A level with fewer samples takes the shift of those next to it.
const FEWEST: usize = 16;
/// Samples this near to the median, in grey levels, did not move.
const INLIER: f32 = 4.0;
/// So many of a level's samples must not have moved, or it says nothing.
const SUPPORT: f32 = 0.5;
/// Largest shift at once, and how far a level may be from the median of all: more is not the exposure, grey levels.
const REACH: f32 = 24.0;
const SPREAD: f32 = 10.0;

/// For each colour, what to add to a brightness.
#[derive(Clone, Debug)]
pub(super) struct Tone([f32; LEVELS]);

impl Tone {
    /// Largest shift, grey levels.
    pub(super) fn shift(&self) -> f32 {
        self.0.iter().fold(0.0, |most, shift| most.max(shift.abs()))
    }

    /// What to add to each whole brightness 0..=255.
    pub(super) fn table(&self) -> [f32; 256] {
        std::array::from_fn(|level| {
            let place = (level as f32 / LEVEL - 0.5).clamp(0.0, (LEVELS - 1) as f32);
            let (low, share) = (place as usize, place.fract());
            let high = (low + 1).min(LEVELS - 1);
            self.0[low] * (1.0 - share) + self.0[high] * share
        })
    }
}

/// What the colours of `picture` are, given those of the background, `mean`.
pub(super) fn estimate(picture: &Small, mean: &[Vec<f32>; 3]) -> [Tone; 3] {
    std::array::from_fn(|colour| {
        let pairs = picture.planes[colour].iter().zip(&mean[colour]);
        let samples: Vec<(f32, f32)> = pairs
            .step_by(STRIDE)
            .map(|(now, before)| (*before, now - before))
            .collect();
        curve(&samples)
    })
}

/// The curve through samples of brightness and shift.
fn curve(samples: &[(f32, f32)]) -> Tone {
    let mut of_level: [Vec<f32>; LEVELS] = Default::default();
    let mut all: Vec<f32> = samples.iter().map(|(_, shift)| *shift).collect();
    for (before, shift) in samples {
        let level = (before / LEVEL).clamp(0.0, (LEVELS - 1) as f32) as usize;
        of_level[level].push(*shift);
    }
    let typical = median(&mut all);
    let mut known: [Option<f32>; LEVELS] = Default::default();
    for (known, shifts) in known.iter_mut().zip(&mut of_level) {
        *known = trimmed_mean(shifts)
            .filter(|shift| shift.abs() <= REACH && (shift - typical).abs() <= SPREAD);
    }
    let mut curve = [0.0; LEVELS];
    for (level, shift) in curve.iter_mut().enumerate() {
        let below = (0..=level).rev().find_map(|at| Some((at, known[at]?)));
        let above = (level..LEVELS).find_map(|at| Some((at, known[at]?)));
        *shift = match (below, above) {
            (Some((low, a)), Some((high, b))) if high > low => {
                a + (b - a) * (level - low) as f32 / (high - low) as f32
            }
            (Some((_, one)), _) | (_, Some((_, one))) => one,
            (None, None) => 0.0,
        };
    }
    Tone(curve)
}

/// The mean of what lies near the median; `None` where that is too little.
fn trimmed_mean(shifts: &mut [f32]) -> Option<f32> {
    if shifts.len() < FEWEST {
        return None;
    }
    let middle = median(shifts);
    let near = || {
        shifts
            .iter()
            .filter(|shift| (**shift - middle).abs() <= INLIER)
    };
    let count = near().count() as f32;
    (count >= SUPPORT * shifts.len() as f32).then(|| near().sum::<f32>() / count)
}

fn median(values: &mut [f32]) -> f32 {
    let middle = values.len() / 2;
    if values.is_empty() {
        return 0.0;
    }
    *values.select_nth_unstable_by(middle, f32::total_cmp).1
}
