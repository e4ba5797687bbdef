//! What a V4L2 camera offers, and which of it is taken.

use std::io;

use v4l::Device;
use v4l::FourCC;
use v4l::fraction::Fraction;
use v4l::frameinterval::FrameIntervalEnum;
use v4l::framesize::{FrameSizeEnum, Stepwise};
use v4l::video::Capture;

use super::PixelFormat;

/// A rate above this is a driver's mistake, no camera of a shop; thousandths of a picture a second.
const MAX_RATE: u64 = 240_000;
/// Most entries that are believed, of whatever a driver lists.
const MOST: usize = 256;
/// Rates that are tried of a camera that takes any.
const USUAL_RATES: [u32; 5] = [5, 10, 15, 25, 30];

/// One way in which a camera can deliver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode {
    pub format: PixelFormat,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Seconds between pictures: numerator and denominator.
    pub interval: [u32; 2],
    /// The camera lists this very size and rate, rather than a range of them.
    pub listed: bool,
}

impl Mode {
    /// Pictures in a thousand seconds.
    #[must_use]
    pub fn rate(&self) -> u64 {
        let [numerator, denominator] = self.interval.map(u64::from);
        denominator * 1000 / numerator.max(1)
    }

    /// Whole pictures a second, where that is exact.
    #[must_use]
    pub const fn whole_rate(&self) -> Option<u32> {
        let [numerator, denominator] = self.interval;
        match numerator {
            1 => Some(denominator),
            _ => None,
        }
    }
}

/// Of what a camera offers: the wanted format, the nearest size, and the lowest rate that is fast enough. `fps`: pictures a
/// second; 29.97 are as good as 30.
#[must_use]
pub fn pick(offered: &[Mode], format: PixelFormat, size: [u32; 2], fps: u32) -> Option<Mode> {
    let [width, height] = size.map(i64::from);
    let away = |mode: &Mode| {
        let (x, y) = (i64::from(mode.width), i64::from(mode.height));
        (x - width).pow(2) + (y - height).pow(2)
    };
    let wanted = u64::from(fps) * 1000;
    let rate = |mode: &Mode| {
        let rate = mode.rate();
        (rate + rate / 100 < wanted, rate.abs_diff(wanted))
    };
    offered
        .iter()
        .filter(|mode| mode.format == format && (1..=MAX_RATE).contains(&mode.rate()))
        .min_by_key(|mode| (away(mode), rate(mode)))
        .copied()
}

/// What a camera has to say about itself.
pub(super) struct Offer {
    pub(super) modes: Vec<Mode>,
    /// V4L2's names of the formats that are not known here.
    pub(super) unknown: Vec<String>,
}

/// Asks a camera. `size`: of a camera that takes sizes of a range, the ones nearest to this, the smallest and the largest
/// are listed.
///
/// # Errors
/// The operating system's.
pub(super) fn ask(device: &Device, size: [u32; 2]) -> io::Result<Offer> {
    let mut offer = Offer {
        modes: Vec::new(),
        unknown: Vec::new(),
    };
    for described in device.enum_formats()?.iter().take(MOST) {
        let Some(format) = PixelFormat::of(described.fourcc) else {
            offer.unknown.push(name(described.fourcc));
            continue;
        };
        for (width, height, listed) in sizes(device, described.fourcc, size) {
            for (interval, listed_rate) in rates(device, described.fourcc, width, height) {
                offer.modes.push(Mode {
                    format,
                    width,
                    height,
                    interval,
                    listed: listed && listed_rate,
                });
            }
        }
    }
    offer.modes.truncate(MOST * 16);
    Ok(offer)
}

/// A code as people write it; the highest bit says that its numbers are big-endian (V4L2's `v4l2_fourcc_be`).
fn name(code: FourCC) -> String {
    let [first, second, third, fourth] = code.repr;
    let letters = [first, second, third, fourth & 0x7f].map(char::from);
    let letters = letters.into_iter().filter(char::is_ascii_graphic);
    let end = if fourth & 0x80 == 0 { "" } else { "-BE" };
    letters.collect::<String>() + end
}

fn sizes(device: &Device, fourcc: FourCC, wanted: [u32; 2]) -> Vec<(u32, u32, bool)> {
    let listed = device.enum_framesizes(fourcc).unwrap_or_default();
    let each = listed
        .into_iter()
        .take(MOST)
        .flat_map(|listed| match listed.size {
            FrameSizeEnum::Discrete(size) => vec![(size.width, size.height, true)],
            FrameSizeEnum::Stepwise(range) => within(&range, wanted),
        });
    each.collect()
}

/// The smallest size of a range, the one nearest to `wanted`, and the largest.
fn within(range: &Stepwise, wanted: [u32; 2]) -> Vec<(u32, u32, bool)> {
    let near = |wanted: u32, min: u32, max: u32, step: u32| {
        let wanted = wanted.clamp(min, max.max(min));
        min + (wanted - min) / step.max(1) * step.max(1)
    };
    let [width, height] = wanted;
    let width = near(width, range.min_width, range.max_width, range.step_width);
    let height = near(
        height,
        range.min_height,
        range.max_height,
        range.step_height,
    );
    let mut sizes = vec![
        (range.min_width, range.min_height, false),
        (width, height, false),
        (range.max_width, range.max_height, false),
    ];
    sizes.dedup();
    sizes
}

fn rates(device: &Device, fourcc: FourCC, width: u32, height: u32) -> Vec<([u32; 2], bool)> {
    let listed = device.enum_frameintervals(fourcc, width, height);
    let each = listed.unwrap_or_default().into_iter().take(MOST);
    let pair = |of: &Fraction| [of.numerator, of.denominator];
    let seconds = |of: &Fraction| f64::from(of.numerator) / f64::from(of.denominator.max(1));
    let mut rates: Vec<_> = each
        .flat_map(|listed| match listed.interval {
            FrameIntervalEnum::Discrete(interval) => vec![(pair(&interval), true)],
            FrameIntervalEnum::Stepwise(range) => {
                let fits = |fps: &u32| {
                    let interval = 1.0 / f64::from(*fps);
                    (seconds(&range.min)..=seconds(&range.max)).contains(&interval)
                };
                let usual = USUAL_RATES.into_iter().filter(fits);
                let usual = usual.map(|fps| ([1, fps], false));
                usual.chain([(pair(&range.min), false)]).collect()
            }
        })
        .collect();
    if rates.is_empty() {
        // A driver that does not tell; it delivers at a rate of its own.
        rates.push(([1, 30], false));
    }
    rates
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(width: u32, height: u32, format: PixelFormat, interval: [u32; 2]) -> Mode {
        Mode {
            format,
            width,
            height,
            interval,
            listed: true,
        }
    }

    #[test]
    fn the_nearest_size_and_the_lowest_rate_that_is_fast_enough_are_picked() {
        use PixelFormat::{Grey, Mjpeg, Nv12, Yuyv};
        let offered = [
            mode(320, 180, Yuyv, [1, 30]),
            mode(640, 360, Yuyv, [1, 5]),
            mode(640, 360, Yuyv, [1, 30]),
            mode(640, 360, Yuyv, [1, 20]),
            mode(640, 360, Yuyv, [1, 30_000]),
            mode(640, 480, Mjpeg, [1, 15]),
            mode(3840, 2160, Yuyv, [1, 1]),
            mode(640, 480, Grey, [1, 60]),
            mode(640, 480, Grey, [1001, 30_000]),
        ];
        let pick = |format, fps| pick(&offered, format, [640, 480], fps);
        assert_eq!(pick(Yuyv, 15), Some(offered[3]));
        assert_eq!(pick(Yuyv, 60), Some(offered[2]));
        assert_eq!(pick(Mjpeg, 60), Some(offered[5]));
        assert_eq!(pick(Grey, 30), Some(offered[8]), "29.97 are as good as 30");
        assert_eq!(pick(Grey, 31), Some(offered[7]));
        assert_eq!(pick(Nv12, 15), None);
        assert_eq!((offered[8].rate(), offered[8].whole_rate()), (29_970, None));
    }

    #[test]
    fn codes_are_told_in_letters() {
        assert_eq!(name(FourCC::new(b"Y10 ")), "Y10");
        assert_eq!(name(FourCC::new(b"Y16\xa0")), "Y16-BE");
        assert_eq!(name(FourCC::new(b"\0\x1b\xff\x07")), "");
    }

    #[test]
    fn of_a_range_of_sizes_the_ends_and_the_nearest_are_taken_whatever_the_steps() {
        let range = |step_width, step_height| Stepwise {
            min_width: 64,
            max_width: 2592,
            step_width,
            min_height: 64,
            max_height: 1944,
            step_height,
        };
        let sizes = within(&range(32, 2), [650, 481]);
        let expected = [(64, 64, false), (640, 480, false), (2592, 1944, false)];
        assert_eq!(sizes, expected);
        assert_eq!(within(&range(0, 0), [640, 480])[1], (640, 480, false));
        assert_eq!(within(&range(1, 1), [9999, 1])[1], (2592, 64, false));
    }
}
