//! YUV, 4:2:0 as video decoders give it and the packed forms of USB cameras, to RGB (ITU-R BT.601 and BT.709, limited and full range).
//!
//! Chroma is repeated over its 2x2 pixels, which is what ffmpeg and OpenCV do by default.

use super::Frame;

/// Which numbers turn YUV into RGB. 16-bit, so that compilers turn the loop into vector code: half the
/// time of 32-bit arithmetic, within one step of the exact result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Matrix {
    /// Luma of black.
    black: i16,
    /// In 1/16384.
    luma: i16,
    /// V to red, U to green, V to green, U to blue, in 1/8192.
    vr: i16,
    ug: i16,
    vg: i16,
    ub: i16,
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
            luma: rounded(luma * 16384.0),
            vr: rounded(2.0 * (1.0 - kr) * chroma * 8192.0),
            ug: rounded(-2.0 * kb * (1.0 - kb) / kg * chroma * 8192.0),
            vg: rounded(-2.0 * kr * (1.0 - kr) / kg * chroma * 8192.0),
            ub: rounded(2.0 * (1.0 - kb) * chroma * 8192.0),
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

const fn rounded(value: f64) -> i16 {
    (if value < 0.0 {
        value - 0.5
    } else {
        value + 0.5
    }) as i16
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

/// Bytes of the luma plane and of each chroma plane of a 4:2:0 picture whose rows have no padding.
pub(super) const fn yuv420_bytes(width: u32, height: u32) -> (usize, usize) {
    let (width, height) = (width as usize, height as usize);
    (width * height, width.div_ceil(2) * height.div_ceil(2))
}

impl<'a> Planes<'a> {
    /// Of a 4:2:0 picture without padding: all of Y, then U, then V.
    pub(super) fn of_yuv420(picture: &'a [u8], width: u32, height: u32) -> Self {
        let (luma, chroma) = yuv420_bytes(width, height);
        let (y, uv) = picture.split_at_checked(luma).unwrap_or_default();
        let (u, v) = uv.split_at_checked(chroma).unwrap_or_default();
        Self {
            width,
            height,
            y,
            y_stride: width as usize,
            u,
            v,
            uv_stride: width.div_ceil(2) as usize,
        }
    }
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

/// YUYV (V4L2's name): 4:2:2, two pixels in the four bytes Y U Y V, rows without padding. An odd last column stays as
/// it was; so do rows that `bytes` lacks.
pub(super) fn yuyv_to_rgb(bytes: &[u8], width: u32, height: u32, m: Matrix, frame: &mut Frame) {
    let (row_bytes, rgb_bytes) = sized(width, height, 2, frame);
    let rows = frame.rgb.chunks_exact_mut(rgb_bytes);
    for (rgb, row) in rows.zip(bytes.chunks_exact(row_bytes)) {
        for (rgb, [left, u, right, v]) in rgb.as_chunks_mut().0.iter_mut().zip(row.as_chunks().0) {
            let tint = tint(*u, *v, m);
            let ([r0, g0, b0], [r1, g1, b1]) = (pixel(*left, tint, m), pixel(*right, tint, m));
            *rgb = [r0, g0, b0, r1, g1, b1];
        }
    }
}

/// NV12 (V4L2's name): 4:2:0, all of Y and then U and V in turn, rows without padding. Odd sizes as in [`yuyv_to_rgb`].
pub(super) fn nv12_to_rgb(bytes: &[u8], width: u32, height: u32, m: Matrix, frame: &mut Frame) {
    let (row_bytes, rgb_bytes) = sized(width, height, 1, frame);
    let luma = row_bytes * height as usize;
    let (y, uv) = bytes.split_at_checked(luma).unwrap_or((bytes, &[]));
    let pairs_of_rows = uv.chunks_exact(row_bytes).flat_map(|uv| [uv, uv]);
    let rows = frame.rgb.chunks_exact_mut(rgb_bytes);
    for ((rgb, y), uv) in rows.zip(y.chunks_exact(row_bytes)).zip(pairs_of_rows) {
        let pixels = rgb.as_chunks_mut().0.iter_mut();
        for ((rgb, [left, right]), [u, v]) in pixels.zip(y.as_chunks().0).zip(uv.as_chunks().0) {
            let tint = tint(*u, *v, m);
            let ([r0, g0, b0], [r1, g1, b1]) = (pixel(*left, tint, m), pixel(*right, tint, m));
            *rgb = [r0, g0, b0, r1, g1, b1];
        }
    }
}

/// Gives `frame` its size; returns the bytes of a row before (`depth` a pixel) and after, at least 1.
fn sized(width: u32, height: u32, depth: usize, frame: &mut Frame) -> (usize, usize) {
    (frame.width, frame.height) = (width, height);
    let width = width as usize;
    frame.rgb.resize(width * height as usize * 3, 0);
    ((width * depth).max(1), (width * 3).max(1))
}

/// One row: `rgb.len() / 3` pixels.
fn row(y: &[u8], u: &[u8], v: &[u8], m: Matrix, rgb: &mut [u8]) {
    let (pairs, odd) = rgb.as_chunks_mut();
    let mut chroma = u.iter().zip(v);
    for ((rgb, [left, right]), (u, v)) in pairs.iter_mut().zip(y.as_chunks().0).zip(&mut chroma) {
        let tint = tint(*u, *v, m);
        let ([r0, g0, b0], [r1, g1, b1]) = (pixel(*left, tint, m), pixel(*right, tint, m));
        *rgb = [r0, g0, b0, r1, g1, b1];
    }
    if let ([r, g, b], Some(y), Some((u, v))) = (odd, y.get(2 * pairs.len()), chroma.next()) {
        [*r, *g, *b] = pixel(*y, tint(*u, *v, m), m);
    }
}

/// What two neighbouring pixels share: red, green and blue in 1/32.
#[inline(always)]
const fn tint(u: u8, v: u8, m: Matrix) -> [i16; 3] {
    let (u, v) = ((u as i16 - 128) << 8, (v as i16 - 128) << 8);
    [high(v, m.vr), high(u, m.ug) + high(v, m.vg), high(u, m.ub)]
}

#[inline(always)]
fn pixel(y: u8, tint: [i16; 3], m: Matrix) -> [u8; 3] {
    let y = high((i16::from(y) - m.black) << 7, m.luma);
    // Cut off, not rounded: ffmpeg and OpenCV do so, and detectors are trained on what those give.
    tint.map(|tint| ((y + tint) >> 5).clamp(0, 255) as u8)
}

/// The high half of a product.
#[inline(always)]
const fn high(a: i16, b: i16) -> i16 {
    ((a as i32 * b as i32) >> 16) as i16
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
        let grey = [39, 39, 39, 51, 51, 51, 62, 62, 62];
        assert_eq!(frame.rgb, [grey; 3].concat());
    }

    #[test]
    fn the_packed_forms_of_usb_cameras_look_like_the_planes_of_a_decoder() {
        let mut random = fastrand::Rng::with_seed(7);
        let (y, u, v): (Vec<u8>, Vec<u8>, Vec<u8>) = (
            (0..16).map(|_| random.u8(..)).collect(),
            (0..4).map(|_| random.u8(..)).collect(),
            (0..4).map(|_| random.u8(..)).collect(),
        );
        let expected = convert(4, 4, &y, &u, &v, Matrix::BT601);
        let pairs = || u.iter().zip(&v).flat_map(|(u, v)| [*u, *v]);
        let nv12: Vec<u8> = y.iter().copied().chain(pairs()).collect();
        let mut frame = Frame::default();
        nv12_to_rgb(&nv12, 4, 4, Matrix::BT601, &mut frame);
        assert_eq!(frame.rgb, expected.rgb);
        let mut yuyv = Vec::new();
        for (row, y) in y.chunks(4).enumerate() {
            for (column, y) in y.chunks(2).enumerate() {
                let at = row / 2 * 2 + column;
                yuyv.extend([y[0], u[at], y[1], v[at]]);
            }
        }
        frame.rgb.fill(0);
        yuyv_to_rgb(&yuyv, 4, 4, Matrix::BT601, &mut frame);
        assert_eq!(frame.rgb, expected.rgb);
        // A driver that delivers too little leaves pixels alone.
        yuyv_to_rgb(&yuyv[..5], 4, 4, Matrix::BT601, &mut frame);
        nv12_to_rgb(&nv12[..17], 4, 4, Matrix::BT601, &mut frame);
        nv12_to_rgb(&[], 0, 0, Matrix::BT601, &mut frame);
        assert_eq!(frame.rgb.len(), 0);
    }

    #[test]
    fn planes_that_are_too_short_leave_pixels_alone_and_do_not_panic() {
        let frame = convert(4, 4, &[16; 8], &[128; 4], &[128; 3], Matrix::BT601);
        assert_eq!(frame.rgb.len(), 48);
    }
}
