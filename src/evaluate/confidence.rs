//! How far a share that was found in a sample may be from the true one: 95 % intervals.

/// Half of what an interval leaves out at each end.
const TAIL: f64 = 0.025;
/// The standard normal distribution's 97.5 % point.
const Z: f64 = 1.959_964;

/// The shares, as `errors` of `sample`, between which the true one lies with 95 % confidence; none without a sample.
///
/// Up to one error for each it is the exact interval of the binomial distribution: C. J. Clopper, E. S. Pearson, "The use
/// of confidence or fiducial limits illustrated in the case of the binomial", Biometrika 26 (1934). More errors than
/// that are no share of the sample (what was counted and never happened has no limit) but a number of events: F. Garwood,
/// "Fiducial limits for the Poisson distribution", Biometrika 28 (1936).
#[must_use]
pub fn interval(errors: u64, sample: u64) -> Option<(f64, f64)> {
    if sample == 0 {
        return None;
    }
    Some(if errors > sample {
        let (low, high) = poisson(errors);
        (low / sample as f64, high / sample as f64)
    } else {
        binomial(errors, sample)
    })
}

/// How many more samples make an interval about `share` reach `reach` to each side, 0 when there are enough: the score
/// interval of E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927), which
/// is close to the exact one and a formula.
#[must_use]
pub fn more_for(share: f64, sample: u64, reach: f64) -> u64 {
    let share = share.clamp(0.0, 1.0);
    let enough = |n: u64| {
        let n = n as f64;
        let spread = share * (1.0 - share) / n + Z * Z / (4.0 * n * n);
        Z / (1.0 + Z * Z / n) * spread.sqrt() <= reach
    };
    let (mut low, mut high) = (sample.max(1), 10_000_000);
    if enough(low) {
        return 0;
    }
    while low < high {
        let middle = low.midpoint(high);
        if enough(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    high - sample
}

fn binomial(errors: u64, sample: u64) -> (f64, f64) {
    let (k, n) = (errors as f64, sample as f64);
    // The probability of at most `most` errors when the true share is p.
    let at_most = |most: u64, p: f64| {
        let odds = p.ln() - (-p).ln_1p();
        let mut log = n * (-p).ln_1p();
        let mut sum = log.exp();
        for i in 0..most {
            let i = i as f64;
            log += ((n - i) / (i + 1.0)).ln() + odds;
            sum += log.exp();
        }
        sum.min(1.0)
    };
    let low = match errors {
        0 => 0.0,
        _ => k / n - falling(k / n, |p| 1.0 - at_most(errors - 1, k / n - p)),
    };
    let high = if errors == sample {
        1.0
    } else {
        k / n + falling(1.0 - k / n, |p| at_most(errors, k / n + p))
    };
    (low, high)
}

fn poisson(errors: u64) -> (f64, f64) {
    let k = errors as f64;
    let at_most = |most: u64, mean: f64| {
        let mut log = -mean;
        let mut sum = log.exp();
        for i in 1..=most {
            log += (mean / i as f64).ln();
            sum += log.exp();
        }
        sum.min(1.0)
    };
    let low = match errors {
        0 => 0.0,
        _ => k - falling(k, |d| 1.0 - at_most(errors - 1, k - d)),
    };
    let far = 10.0 * (k + 5.0);
    (low, k + falling(far, |d| at_most(errors, k + d)))
}

/// Where a function that falls with the distance has come down to the tail, between 0 and `most`.
fn falling(most: f64, tail: impl Fn(f64) -> f64) -> f64 {
    let (mut near, mut far) = (0.0, most);
    for _ in 0..60 {
        let middle = f64::midpoint(near, far);
        if tail(middle) > TAIL {
            near = middle;
        } else {
            far = middle;
        }
    }
    far
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: Option<(f64, f64)>, wanted: (f64, f64)) {
        let (low, high) = found.unwrap();
        assert!(
            (low - wanted.0).abs() < 5e-5 && (high - wanted.1).abs() < 5e-5,
            "{low} {high} instead of {wanted:?}"
        );
    }

    #[test]
    fn the_intervals_are_those_of_the_tables() {
        close(interval(0, 32), (0.0, 0.108_88));
        close(interval(1, 32), (0.000_79, 0.162_17));
        close(interval(5, 10), (0.187_09, 0.812_91));
        close(interval(10, 10), (0.691_50, 1.0));
        close(interval(30, 1000), (0.020_33, 0.042_55));
        // Garwood's limits of 10 events are 4.7954 and 18.3904.
        close(interval(10, 1), (4.795_39, 18.390_36));
        assert_eq!(interval(3, 0), None);
    }

    #[test]
    fn a_larger_sample_says_more_and_huge_ones_are_no_trouble() {
        let width = |n: u64| {
            let (low, high) = interval(n / 10, n).unwrap();
            assert!(low < 0.1 && 0.1 < high, "{low} {high}");
            high - low
        };
        assert!(width(10) > width(100) && width(100) > width(20_000));
    }

    #[test]
    fn so_many_more_labels_are_enough_and_one_fewer_is_not() {
        let more = more_for(0.03, 32, 0.02);
        assert!((240..350).contains(&more), "{more}");
        assert_eq!(more_for(0.03, 32 + more, 0.02), 0);
        assert!(more_for(0.03, 31 + more, 0.02) > 0);
        assert!(more_for(0.0, 32, 0.05) > 0 && more_for(7.0, 1, 0.05) > 0);
    }
}
