//! YUV 4:2:0, as video decoders give it, to RGB (ITU-R BT.601 and BT.709, limited and full range).
//!
//! Chroma is repeated over its 2x2 pixels, which is what ffmpeg and OpenCV do by default.

use super::Frame;

/// Which numbers turn YUV into RGB, in 1/65536.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Matrix {
    /// Luma of black.
    black: i32,
    luma: i32,
    /// V to red, U to green, V to green, U to blue.
    vr: i32,
    ug: i32,
    vg: i32,
    ub: i32,
}

impl Matrix {
    /// ITU-R BT.601, limited range: what an untagged stream is taken for.
    pub(super) const BT601: Self = Self::new(0.299, 0.114, false);

    /// From the luma weights of red and blue (ITU-T H.273, section 8.3); `full`: luma fills 0..=255.
    pub(super) const fn new(kr: f64, kb: f64, full: bool) -> Self {
        let kg = 1.0 - kr - kb;
        let (luma, chroma) = if full {
            (1.0, 1.0)
        } else {
            (255.0 / 219.0, 255.0 / 224.0)
        };
        Self {
            black: if full { 0 } else { 16 },
            luma: fixed(luma),
            vr: fixed(2.0 * (1.0 - kr) * chroma),
            ug: fixed(-2.0 * kb * (1.0 - kb) / kg * chroma),
            vg: fixed(-2.0 * kr * (1.0 - kr) / kg * chroma),
            ub: fixed(2.0 * (1.0 - kb) * chroma),
        }
    }

    /// From the `matrix_coefficients` and `video_full_range_flag` of a stream (ITU-T H.273, table 4).
    pub(super) const fn from_stream(coefficients: u32, full: bool) -> Self {
        match coefficients {
            1 => Self::new(0.2126, 0.0722, full),
            4 => Self::new(0.30, 0.11, full),
            7 => Self::new(0.212, 0.087, full),
            9 | 10 => Self::new(0.2627, 0.0593, full),
            _ => Self::new(0.299, 0.114, full),
        }
    }
}

const fn fixed(value: f64) -> i32 {
    let scaled = value * 65536.0;
    (if scaled < 0.0 {
        scaled - 0.5
    } else {
        scaled + 0.5
    }) as i32
}

/// One decoded picture. A plane's row may be longer than the picture is wide.
pub(super) struct Planes<'a> {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) y: &'a [u8],
    pub(super) y_stride: usize,
    /// `width / 2` by `height / 2`, rounded up.
    pub(super) u: &'a [u8],
    pub(super) v: &'a [u8],
    pub(super) uv_stride: usize,
}

/// Writes the picture into `frame` (size and pixels; not its time). Rows that a plane lacks stay as they were.
pub(super) fn to_rgb(planes: &Planes<'_>, matrix: Matrix, frame: &mut Frame) {
    let (width, height) = (planes.width as usize, planes.height as usize);
    frame.width = planes.width;
    frame.height = planes.height;
    frame.rgb.resize(width * height * 3, 0);
    if width == 0 {
        return;
    }
    let chroma_rows = planes
        .u
        .chunks(planes.uv_stride.max(1))
        .zip(planes.v.chunks(planes.uv_stride.max(1)));
    let mut luma_rows = planes.y.chunks(planes.y_stride.max(1));
    let mut rgb_rows = frame.rgb.chunks_exact_mut(width * 3);
    for (u, v) in chroma_rows {
        for (y, rgb) in luma_rows.by_ref().zip(rgb_rows.by_ref()).take(2) {
            row(y, u, v, matrix, rgb);
        }
    }
}

/// One row: `rgb.len() / 3` pixels.
fn row(y: &[u8], u: &[u8], v: &[u8], m: Matrix, rgb: &mut [u8]) {
    let chroma = u.iter().zip(v);
    for ((rgb, y), (u, v)) in rgb.chunks_mut(6).zip(y.chunks(2)).zip(chroma) {
        let tint = Tint::new(*u, *v, m);
        match (rgb, y) {
            ([r0, g0, b0, r1, g1, b1], [left, right]) => {
                [*r0, *g0, *b0] = tint.pixel(*left, m);
                [*r1, *g1, *b1] = tint.pixel(*right, m);
            }
            // The last pixel of an odd width.
            ([r, g, b], [left, ..]) => [*r, *g, *b] = tint.pixel(*left, m),
            _ => {}
        }
    }
}

/// What two neighbouring pixels share, in 1/65536, with the rounding half added.
struct Tint {
    r: i32,
    g: i32,
    b: i32,
}

impl Tint {
    #[inline(always)]
    fn new(u: u8, v: u8, m: Matrix) -> Self {
        let (u, v) = (i32::from(u) - 128, i32::from(v) - 128);
        let half = 1 << 15;
        Self {
            r: m.vr * v + half,
            g: m.ug * u + m.vg * v + half,
            b: m.ub * u + half,
        }
    }

    #[inline(always)]
    fn pixel(&self, y: u8, m: Matrix) -> [u8; 3] {
        let y = m.luma * (i32::from(y) - m.black);
        [self.r + y, self.g + y, self.b + y].map(|value| (value >> 16).clamp(0, 255) as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One pixel by the formulas of ITU-T H.273, in floating point.
    fn reference(y: u8, u: u8, v: u8, kr: f64, kb: f64, full: bool) -> [u8; 3] {
        let (black, luma, chroma) = if full {
            (0.0, 255.0, 255.0)
        } else {
            (16.0, 219.0, 224.0)
        };
        let y = (f64::from(y) - black) / luma;
        let (cb, cr) = (
            (f64::from(u) - 128.0) / chroma,
            (f64::from(v) - 128.0) / chroma,
        );
        let r = y + 2.0 * (1.0 - kr) * cr;
        let b = y + 2.0 * (1.0 - kb) * cb;
        let g = (y - kr * r - kb * b) / (1.0 - kr - kb);
        [r, g, b].map(|value| (value * 255.0).round().clamp(0.0, 255.0) as u8)
    }

    fn convert(width: u32, height: u32, y: &[u8], u: &[u8], v: &[u8], matrix: Matrix) -> Frame {
        let mut frame = Frame::default();
        let planes = Planes {
            width,
            height,
            y,
            y_stride: y.len() / height as usize,
            u,
            v,
            uv_stride: u.len() / height.div_ceil(2) as usize,
        };
        to_rgb(&planes, matrix, &mut frame);
        frame
    }

    #[test]
    fn every_colour_matches_the_formulas_within_one_step() {
        for (kr, kb, full, matrix) in [
            (0.299, 0.114, false, Matrix::BT601),
            (0.299, 0.114, true, Matrix::from_stream(6, true)),
            (0.2126, 0.0722, false, Matrix::from_stream(1, false)),
        ] {
            for u in (0..=255).step_by(15) {
                for v in (0..=255).step_by(15) {
                    let y: Vec<u8> = (0..=255).collect();
                    let frame = convert(256, 1, &y, &[u; 128], &[v; 128], matrix);
                    for (y, rgb) in frame.rgb.chunks(3).enumerate() {
                        let expected = reference(y as u8, u, v, kr, kb, full);
                        let near = rgb.iter().zip(expected).all(|(a, b)| a.abs_diff(b) <= 1);
                        assert!(near, "{y} {u} {v}: {rgb:?}, not {expected:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_picture_of_odd_size_with_padded_rows_is_filled_to_its_last_pixel() {
        // 3x3 pixels in rows of 8 and 4 bytes; 255 is padding and must not show.
        let y = [[50_u8, 60, 70, 255, 255, 255, 255, 255]; 3].concat();
        let u = [[128_u8, 128, 255, 255]; 2].concat();
        let frame = convert(3, 3, &y, &u, &u, Matrix::BT601);
        assert_eq!((frame.width, frame.height, frame.rgb.len()), (3, 3, 27));
        let grey = [40, 40, 40, 51, 51, 51, 63, 63, 63];
        assert_eq!(frame.rgb, [grey; 3].concat());
    }

    #[test]
    fn planes_that_are_too_short_leave_pixels_alone_and_do_not_panic() {
        let frame = convert(4, 4, &[16; 8], &[128; 4], &[128; 3], Matrix::BT601);
        assert_eq!(frame.rgb.len(), 48);
    }
}
