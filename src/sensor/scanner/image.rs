//! Codes on a picture: EAN, UPC, Code 128 and QR.
//!
//! rxing reads lines of bars only when a row or column of pixels crosses all of them, so a picture on which nothing is
//! found is looked at again smaller, with another threshold, and turned by 20 and 40 degrees. Code 39, Codabar and ITF
//! are not looked for: without a check digit they are seen in every fence; nor is GS1 DataBar, which is seen in foliage.

use std::collections::HashSet;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use image::{GrayImage, ImageReader, Luma};
use rxing::common::{GlobalHistogramBinarizer, HybridBinarizer};
use rxing::multi::{GenericMultipleBarcodeReader, MultipleBarcodeReader};
use rxing::{
    BarcodeFormat, Binarizer, BinaryBitmap, DecodeHints, Luma8LuminanceSource,
    MultiUseMultiFormatReader, RXingResult, RXingResultMetadataType, RXingResultMetadataValue,
    Reader,
};

use super::aim::{self, Symbology};

/// Longest side that is looked at, pixels; larger pictures are made smaller first.
const LONGEST_SIDE: u32 = 1600;

/// Longest side of a file, pixels, and the memory its decoding may take, bytes.
const FILE_SIDE: u32 = 16_384;
const FILE_MEMORY: u64 = 256 << 20;

/// A code on a picture.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Found {
    /// As it stands there: it may be a payment code or somebody's address. What may be kept, [`super::code::read`] says.
    pub text: String,
    pub symbology: Symbology,
}

/// Without the text, so that no log can show it.
impl std::fmt::Debug for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Found")
            .field("symbology", &self.symbology)
            .finish_non_exhaustive()
    }
}

/// Why a file cannot be looked at.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    #[error("{path}: {source}; name a picture that exists and may be read")]
    Unavailable { path: String, source: io::Error },
    #[error("{path}: no picture that can be read ({why}); PNG, JPEG, WebP and GIF are")]
    NoPicture { path: String, why: String },
}

/// The codes on the picture in a file.
///
/// # Errors
/// The file is missing, or it is no picture, or one of more than 16384 pixels a side.
pub fn decode_file(path: &Path) -> Result<Vec<Found>, PictureError> {
    let name = || path.display().to_string();
    let unavailable = |source| PictureError::Unavailable {
        path: name(),
        source,
    };
    let no_picture = |why: String| PictureError::NoPicture { path: name(), why };
    let opened = ImageReader::open(path).and_then(ImageReader::with_guessed_format);
    let mut reader = opened.map_err(unavailable)?;
    let mut limits = image::Limits::default();
    limits.max_image_width = Some(FILE_SIDE);
    limits.max_image_height = Some(FILE_SIDE);
    limits.max_alloc = Some(FILE_MEMORY);
    reader.limits(limits);
    let picture = reader.decode().map_err(|error| match error {
        // A directory opens, and fails when it is read.
        image::ImageError::IoError(source) if source.kind() == io::ErrorKind::IsADirectory => {
            unavailable(source)
        }
        error => no_picture(error.to_string()),
    })?;
    Ok(decode(&over_white(&picture)))
}

/// Grey values; what is transparent is paper.
fn over_white(picture: &image::DynamicImage) -> GrayImage {
    if !picture.color().has_alpha() {
        return picture.to_luma8();
    }
    let grey = picture.to_luma_alpha8();
    GrayImage::from_fn(grey.width(), grey.height(), |x, y| {
        let [value, alpha] = grey.get_pixel(x, y).0.map(u32::from);
        Luma([((value * alpha + 255 * (255 - alpha)) / 255) as u8])
    })
}

/// The codes on a picture, each once.
#[must_use]
pub fn decode(picture: &GrayImage) -> Vec<Found> {
    let small = fitted(picture, LONGEST_SIDE);
    let picture = small.as_ref().unwrap_or(picture);
    let hybrid = |picture: &GrayImage, formats| look(picture, HybridBinarizer::new, formats);
    let global =
        |picture: &GrayImage, formats| look(picture, GlobalHistogramBinarizer::new, formats);
    let mut found = hybrid(picture, ALL);
    if found.is_empty() {
        found = global(picture, ALL);
    }
    if found.is_empty()
        && let Some(half) = fitted(picture, picture.width().max(picture.height()) / 2)
    {
        found = hybrid(&half, ALL);
    }
    for degrees in [20.0, -20.0, 40.0, -40.0] {
        if found.is_empty() {
            found = hybrid(&turned(picture, degrees), BARS);
        }
    }
    let mut seen = HashSet::new();
    found.retain(|code| seen.insert(code.clone()));
    found
}

const BARS: &[BarcodeFormat] = &[
    BarcodeFormat::EAN_13,
    BarcodeFormat::EAN_8,
    BarcodeFormat::UPC_A,
    BarcodeFormat::UPC_E,
    BarcodeFormat::CODE_128,
];

const ALL: &[BarcodeFormat] = &[
    BarcodeFormat::QR_CODE,
    BarcodeFormat::EAN_13,
    BarcodeFormat::EAN_8,
    BarcodeFormat::UPC_A,
    BarcodeFormat::UPC_E,
    BarcodeFormat::CODE_128,
];

fn source(picture: &GrayImage) -> Option<Luma8LuminanceSource> {
    let (width, height) = picture.dimensions();
    Luma8LuminanceSource::new(picture.as_raw().clone(), width, height).ok()
}

/// One look.
fn look<B: Binarizer>(
    picture: &GrayImage,
    binarizer: fn(Luma8LuminanceSource) -> B,
    formats: &[BarcodeFormat],
) -> Vec<Found> {
    let Some(luma) = source(picture) else {
        return Vec::new();
    };
    let hints = hints(formats, true);
    let decoded = unless_panic(|| {
        let mut reader = GenericMultipleBarcodeReader::new(MultiUseMultiFormatReader::default());
        let mut bitmap = BinaryBitmap::new(binarizer(luma));
        reader.decode_multiple_with_hints(&mut bitmap, &hints)
    });
    let results = decoded.unwrap_or_default();
    let sure = results
        .iter()
        .filter(|result| is_confirmed(picture, result));
    sure.filter_map(found).collect()
}

fn hints(formats: &[BarcodeFormat], thorough: bool) -> DecodeHints {
    DecodeHints {
        PossibleFormats: Some(formats.iter().copied().collect()),
        TryHarder: Some(thorough),
        AlsoInverted: Some(thorough),
        ..DecodeHints::default()
    }
}

/// What the decoder says. A panic means that it found nothing: pictures come from outside.
fn unless_panic<T>(decode: impl FnOnce() -> rxing::common::Result<T>) -> Option<T> {
    catch_unwind(AssertUnwindSafe(decode)).ok()?.ok()
}

/// Where a retail code was read, the strips beside the line that was read are looked at: their middles, in shares of the
/// code's length.
const BESIDE: [f32; 6] = [-0.16, -0.1, -0.06, 0.06, 0.1, 0.16];

/// How much of the code's length a strip is high, and its rows: what the local threshold needs.
const STRIP: f32 = 0.08;
const STRIP_ROWS: u32 = 40;

/// Whether a code is more than one lucky line. Every tenth piece of noise passes the check digit of a retail code, a line
/// across slanted bars above all. The long ones have a parity that checks them too: one strip that says the same is
/// enough for them, the short ones need two. Other kinds have better checksums.
fn is_confirmed(picture: &GrayImage, result: &RXingResult) -> bool {
    let format = *result.getBarcodeFormat();
    let agree = match format {
        BarcodeFormat::EAN_13 | BarcodeFormat::UPC_A => 1,
        BarcodeFormat::EAN_8 | BarcodeFormat::UPC_E => 2,
        _ => return true,
    };
    let [from, to, ..] = result.getPoints() else {
        return false;
    };
    let says_the_same = |middle: &f32| {
        let luma = strip(picture, (from.x, from.y), (to.x, to.y), *middle)?;
        let again = unless_panic(|| {
            let mut bitmap = BinaryBitmap::new(HybridBinarizer::new(luma));
            MultiUseMultiFormatReader::default()
                .decode_with_hints(&mut bitmap, &hints(&[format], true))
        })?;
        (again.getText() == result.getText()).then_some(())
    };
    let same = BESIDE.iter().filter_map(says_the_same);
    same.take(agree).count() == agree
}

/// A strip along a line, level, longer than it by a fifth at both ends for the quiet zones.
fn strip(
    picture: &GrayImage,
    from: (f32, f32),
    to: (f32, f32),
    middle: f32,
) -> Option<Luma8LuminanceSource> {
    let along = (to.0 - from.0, to.1 - from.1);
    let length = (along.0.hypot(along.1) * 1.4).ceil();
    // Written so that NaN is refused too.
    if !(1.0..=4.0 * LONGEST_SIDE as f32).contains(&length) {
        return None;
    }
    let turned = GrayImage::from_fn(length as u32, STRIP_ROWS, |x, y| {
        let forward = (x as f32 / length).mul_add(1.4, -0.2);
        let aside = (y as f32 / STRIP_ROWS as f32 - 0.5).mul_add(STRIP, middle);
        let x = from.0 + along.0 * forward - along.1 * aside;
        let y = from.1 + along.1 * forward + along.0 * aside;
        Luma([sampled(picture, x, y)])
    });
    source(&turned)
}

fn found(result: &RXingResult) -> Option<Found> {
    let metadata = result.getRXingResultMetadata();
    let identifier = match metadata.get(&RXingResultMetadataType::SYMBOLOGY_IDENTIFIER) {
        Some(RXingResultMetadataValue::SymbologyIdentifier(id)) => aim::strip(id).0,
        _ => None,
    };
    let symbology = match result.getBarcodeFormat() {
        BarcodeFormat::EAN_13 => Symbology::Ean13,
        BarcodeFormat::EAN_8 => Symbology::Ean8,
        BarcodeFormat::UPC_A => Symbology::UpcA,
        BarcodeFormat::UPC_E => Symbology::UpcE,
        BarcodeFormat::CODE_128 => identifier.unwrap_or(Symbology::Code128),
        BarcodeFormat::QR_CODE => identifier.unwrap_or(Symbology::QrCode),
        _ => return None,
    };
    let text = result.getText().to_owned();
    (!text.is_empty()).then_some(Found { text, symbology })
}

/// The picture with its longest side at most `side`; `None` when it is that small already.
fn fitted(picture: &GrayImage, side: u32) -> Option<GrayImage> {
    let (width, height) = picture.dimensions();
    let longest = width.max(height);
    if longest <= side || side == 0 {
        return None;
    }
    let scaled =
        |length: u32| (u64::from(length) * u64::from(side) / u64::from(longest)).max(1) as u32;
    let (width, height) = (scaled(width), scaled(height));
    Some(image::imageops::thumbnail(picture, width, height))
}

/// The picture turned around its centre, on a canvas that holds all of it; the rest is white.
fn turned(picture: &GrayImage, degrees: f32) -> GrayImage {
    let (sin, cos) = degrees.to_radians().sin_cos();
    let (width, height) = (picture.width() as f32, picture.height() as f32);
    let wide = (width * cos.abs() + height * sin.abs()).ceil();
    let high = (width * sin.abs() + height * cos.abs()).ceil();
    GrayImage::from_fn(wide as u32, high as u32, |x, y| {
        let (dx, dy) = (x as f32 + 0.5 - wide / 2.0, y as f32 + 0.5 - high / 2.0);
        let from_x = dx * cos + dy * sin + width / 2.0 - 0.5;
        let from_y = dy * cos - dx * sin + height / 2.0 - 0.5;
        Luma([sampled(picture, from_x, from_y)])
    })
}

/// Between the four nearest pixels.
fn sampled(picture: &GrayImage, x: f32, y: f32) -> u8 {
    let pixel = |x: f32, y: f32| {
        let inside = x >= 0.0 && y >= 0.0;
        let found = inside
            .then(|| picture.get_pixel_checked(x as u32, y as u32))
            .flatten();
        found.map_or(255.0, |Luma([value])| f32::from(*value))
    };
    let (left, top) = (x.floor(), y.floor());
    let (right_share, low_share) = (x - left, y - top);
    let row = |y: f32| pixel(left, y) * (1.0 - right_share) + pixel(left + 1.0, y) * right_share;
    (row(top) * (1.0 - low_share) + row(top + 1.0) * low_share).round() as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use rxing::{MultiFormatWriter, Writer};

    /// A drawn code with a quiet zone, three pixels a module.
    fn drawn(text: &str, format: BarcodeFormat, side: i32) -> GrayImage {
        let bits = MultiFormatWriter
            .encode(text, &format, side, side / 2)
            .unwrap();
        let (width, height) = (bits.getWidth(), bits.getHeight());
        GrayImage::from_fn(width + 60, height + 60, |x, y| {
            let inside = (30..width + 30).contains(&x) && (30..height + 30).contains(&y);
            Luma([if inside && bits.get(x - 30, y - 30) {
                0
            } else {
                255
            }])
        })
    }

    fn only(picture: &GrayImage) -> (String, Symbology) {
        let mut found = decode(picture);
        assert_eq!(found.len(), 1, "{found:?}");
        let code = found.remove(0);
        (code.text, code.symbology)
    }

    #[test]
    fn drawn_codes_are_read() {
        for (text, format, symbology) in [
            ("9506000134352", BarcodeFormat::EAN_13, Symbology::Ean13),
            ("96385074", BarcodeFormat::EAN_8, Symbology::Ean8),
            ("036000291452", BarcodeFormat::UPC_A, Symbology::UpcA),
            ("SHELF-7", BarcodeFormat::CODE_128, Symbology::Code128),
            (
                "https://shop.example/春",
                BarcodeFormat::QR_CODE,
                Symbology::QrCode,
            ),
        ] {
            assert_eq!(
                only(&drawn(text, format, 300)),
                (text.to_owned(), symbology)
            );
        }
    }

    #[test]
    fn bars_at_any_angle_are_read() {
        let upright = drawn("9506000134352", BarcodeFormat::EAN_13, 400);
        for degrees in [
            -45.0, -40.0, -25.0, -20.0, 0.0, 15.0, 20.0, 25.0, 40.0, 45.0, 90.0, 180.0,
        ] {
            assert_eq!(
                only(&turned(&upright, degrees)).0,
                "9506000134352",
                "{degrees}"
            );
        }
    }

    #[test]
    fn pictures_without_codes_of_any_size_give_nothing() {
        for (width, height) in [(1, 1), (1, 100), (100, 1), (3, 3), (640, 480), (4000, 10)] {
            assert_eq!(
                decode(&GrayImage::from_pixel(width, height, Luma([128]))),
                []
            );
        }
        assert_eq!(decode(&GrayImage::new(0, 0)), []);
    }

    #[test]
    fn a_found_code_does_not_show_its_text_in_a_log() {
        let code = Found {
            text: "134567890123456789".to_owned(),
            symbology: Symbology::QrCode,
        };
        assert_eq!(format!("{code:?}"), "Found { symbology: QrCode, .. }");
    }
}
