//! Reads what an MP4 or MOV file says about its video: codec, and where and when each sample is
//! (ISO/IEC 14496-12). Only the index is read, never the media data.

use std::fs::File;
use std::iter::repeat_n;
use std::os::unix::fs::FileExt;

use super::boxes::{Head, be32, be64, boxes, find, find_path, table};
use super::fragments;

/// Largest index that is read into memory, bytes; a day of video needs about 20 MB.
const MAX_INDEX: u64 = 64 << 20;
/// Most samples of one recording: a day at 30 frames per second.
pub(super) const MAX_SAMPLES: usize = 2_600_000;
/// Most boxes at the top of a file: a day in fragments of a quarter of a second, and their data.
const MAX_TOP: usize = 1_000_000;

/// One coded picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sample {
    /// Bytes from the start of the file.
    pub(super) offset: u64,
    /// Bytes.
    pub(super) size: u32,
    /// When it is shown, in units of the track's timescale.
    pub(super) pts: i64,
}

impl Sample {
    /// Bytes from the start of the file to its end.
    pub(super) fn end(&self) -> u64 {
        self.offset.saturating_add(u64::from(self.size))
    }
}

/// How the video is coded.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Codec {
    /// H.264; the content of its `avcC` box.
    Avc(Vec<u8>),
    /// The four characters that name it.
    Other(String),
}

/// What the file says about its first video track.
#[derive(Debug)]
pub(super) struct Index {
    pub(super) codec: Codec,
    /// Units per second, at least 1.
    pub(super) timescale: u32,
    /// In decoding order.
    pub(super) samples: Vec<Sample>,
    /// The part that is to be shown, in units of the timescale (the edit list).
    pub(super) shown: std::ops::Range<i64>,
    /// The time that counts as zero: the earliest shown sample's.
    pub(super) origin: i64,
    /// The file ends inside its index.
    pub(super) cut: bool,
}

/// Why there is no index.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Nobody can play this.
    Damaged(String),
    /// Valid, but not for this reader.
    Unsupported(String),
}

fn damaged(why: &str) -> Fault {
    Fault::Damaged(why.to_owned())
}

/// The parts of the file that matter.
struct Top {
    moov: Vec<u8>,
    /// Offset and size of each `moof`.
    moofs: Vec<(u64, u64)>,
    cut: bool,
}

/// Reads the index of `file`.
///
/// # Errors
/// [`Fault`].
pub(super) fn read(file: &File, length: u64) -> Result<Index, Fault> {
    let top = read_top(file, length)?;
    let mut track = video_track(&top.moov)?;
    let mut cut = top.cut;
    let mut fragments = fragments::Reader::new(&top.moov, track.id);
    for (offset, size) in top.moofs {
        let moof = read_bytes(file, offset, size)?;
        cut |= !fragments.read(&moof, offset, &mut track.samples);
    }
    if track.samples.is_empty() {
        return Err(damaged("its index lists no pictures"));
    }
    let mut shown = track.shown;
    if !track
        .samples
        .iter()
        .any(|sample| shown.contains(&sample.pts))
    {
        shown = i64::MIN..i64::MAX;
    }
    let origin = track
        .samples
        .iter()
        .map(|sample| sample.pts)
        .filter(|pts| shown.contains(pts))
        .min()
        .unwrap_or(0);
    Ok(Index {
        codec: track.codec,
        timescale: track.timescale,
        samples: track.samples,
        shown,
        origin,
        cut,
    })
}

fn read_top(file: &File, length: u64) -> Result<Top, Fault> {
    let mut top = Top {
        moov: Vec::new(),
        moofs: Vec::new(),
        cut: false,
    };
    let mut at = 0;
    for _ in 0..MAX_TOP {
        if at >= length {
            break;
        }
        let mut head = [0; 16];
        let read = file.read_at(&mut head, at).unwrap_or(0);
        let Some(head) = Head::parse(head.get(..read).unwrap_or_default(), length - at) else {
            top.cut = true;
            break;
        };
        let fits = head.size <= length - at;
        let content = (at + head.length as u64, head.size - head.length as u64);
        match &head.kind {
            b"moov" if !fits => return Err(damaged("its index (moov) is cut off")),
            b"moov" if top.moov.is_empty() => top.moov = read_bytes(file, content.0, content.1)?,
            b"moof" if fits => top.moofs.push((at, head.size)),
            b"moof" => top.cut = true,
            _ => {}
        }
        at = at.saturating_add(head.size);
    }
    if top.moov.is_empty() {
        return Err(damaged(
            "its index (moov) is missing: the recording was stopped before it was complete",
        ));
    }
    Ok(top)
}

fn read_bytes(file: &File, offset: u64, size: u64) -> Result<Vec<u8>, Fault> {
    if size > MAX_INDEX {
        return Err(Fault::Unsupported(
            "its index is larger than 64 MB".to_owned(),
        ));
    }
    let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
    file.read_exact_at(&mut bytes, offset)
        .map_err(|error| Fault::Damaged(format!("its index cannot be read ({error})")))?;
    Ok(bytes)
}

struct Track {
    id: u32,
    codec: Codec,
    timescale: u32,
    samples: Vec<Sample>,
    shown: std::ops::Range<i64>,
}

fn video_track(moov: &[u8]) -> Result<Track, Fault> {
    let trak = boxes(moov)
        .filter(|(kind, _)| kind == b"trak")
        .map(|(_, trak)| trak)
        .find(|trak| {
            find_path(trak, &[b"mdia", b"hdlr"]).and_then(|hdlr| hdlr.get(8..12)) == Some(b"vide")
        })
        .ok_or_else(|| damaged("there is no video in it"))?;
    let incomplete = || damaged("its index is damaged");
    let tkhd = find(trak, b"tkhd").ok_or_else(incomplete)?;
    if rotated(tkhd) {
        return Err(Fault::Unsupported(
            "its pictures are stored rotated".to_owned(),
        ));
    }
    let mdhd = find_path(trak, &[b"mdia", b"mdhd"]).ok_or_else(incomplete)?;
    let stbl = find_path(trak, &[b"mdia", b"minf", b"stbl"]).ok_or_else(incomplete)?;
    let stsd = find(stbl, b"stsd").ok_or_else(incomplete)?;
    let timescale = be32(mdhd, versioned(mdhd, 12, 20))
        .filter(|timescale| *timescale > 0)
        .ok_or_else(incomplete)?;
    if be32(stsd, 4) != Some(1) {
        return Err(Fault::Unsupported(
            "it changes its coding along the way".to_owned(),
        ));
    }
    let (kind, entry) = boxes(stsd.get(8..).unwrap_or_default())
        .next()
        .ok_or_else(incomplete)?;
    let codec = match &kind {
        b"avc1" | b"avc3" => entry
            .get(78..)
            .and_then(|inside| find(inside, b"avcC"))
            .map(|avcc| Codec::Avc(avcc.to_vec()))
            .ok_or_else(incomplete)?,
        other => Codec::Other(String::from_utf8_lossy(other).trim().to_owned()),
    };
    let movie_timescale = find(moov, b"mvhd").and_then(|mvhd| be32(mvhd, versioned(mvhd, 12, 20)));
    Ok(Track {
        id: be32(tkhd, versioned(tkhd, 12, 20)).unwrap_or(0),
        codec,
        timescale,
        samples: samples(stbl)?,
        shown: shown(trak, timescale, movie_timescale.unwrap_or(0))?,
    })
}

/// The offset of a field that lies further back when a box of version 1 has 64-bit times.
fn versioned(body: &[u8], version_0: usize, version_1: usize) -> usize {
    if body.first() == Some(&1) {
        version_1
    } else {
        version_0
    }
}

/// Whether the track's matrix turns or mirrors the picture (a phone held upright).
fn rotated(tkhd: &[u8]) -> bool {
    let at = versioned(tkhd, 40, 52);
    let entry = |n: usize| be32(tkhd, at + 4 * n);
    [entry(0), entry(1), entry(3), entry(4)] != [Some(1 << 16), Some(0), Some(0), Some(1 << 16)]
}

/// The part that the edit list shows. Leading empty edits only shift the video against the sound.
fn shown(trak: &[u8], timescale: u32, movie_timescale: u32) -> Result<std::ops::Range<i64>, Fault> {
    let everything = i64::MIN..i64::MAX;
    let Some(elst) = find_path(trak, &[b"edts", b"elst"]) else {
        return Ok(everything);
    };
    let entries: Vec<(u64, i64, u32)> = if elst.first() == Some(&1) {
        let entry = |e: &[u8; 20]| Some((be64(e, 0)?, be64(e, 8)?.cast_signed(), be32(e, 16)?));
        table::<20>(elst).iter().filter_map(entry).collect()
    } else {
        let entry = |e: &[u8; 12]| {
            let media_time = i64::from(be32(e, 4)?.cast_signed());
            Some((u64::from(be32(e, 0)?), media_time, be32(e, 8)?))
        };
        table::<12>(elst).iter().filter_map(entry).collect()
    };
    let mut edits = entries.into_iter().filter(|(_, start, _)| *start >= 0);
    let Some((duration, start, rate)) = edits.next() else {
        return Ok(everything);
    };
    if edits.next().is_some() || rate != 1 << 16 {
        return Err(Fault::Unsupported(
            "it is cut together from several parts".to_owned(),
        ));
    }
    let duration = u128::from(duration) * u128::from(timescale);
    let end = match duration.checked_div(u128::from(movie_timescale)) {
        None | Some(0) => i64::MAX, // absent in fragmented files
        Some(duration) => i64::try_from(duration).map_or(i64::MAX, |d| start.saturating_add(d)),
    };
    Ok(start..end)
}

/// The samples that the tables of `stbl` list; none in a fragmented file.
fn samples(stbl: &[u8]) -> Result<Vec<Sample>, Fault> {
    let incomplete = || damaged("its index is damaged");
    let stsz = find(stbl, b"stsz").ok_or_else(incomplete)?;
    let count = be32(stsz, 8).ok_or_else(incomplete)? as usize;
    if count > MAX_SAMPLES {
        return Err(Fault::Unsupported("it is longer than a day".to_owned()));
    }
    let sizes = stsz.get(4..).map_or(&[][..], table::<4>);
    let size_of = |n: usize| match be32(stsz, 4) {
        Some(0) => sizes.get(n).map(|size| u32::from_be_bytes(*size)),
        size => size,
    };
    let runs = |kind| {
        table::<8>(find(stbl, kind).unwrap_or_default())
            .iter()
            .filter_map(|run| Some((be32(run, 0)? as usize, be32(run, 4)?)))
    };
    let mut deltas = runs(b"stts").flat_map(|(count, delta)| repeat_n(delta, count));
    let mut shifts = runs(b"ctts").flat_map(|(count, shift)| repeat_n(shift.cast_signed(), count));
    let mut chunk_runs = table::<12>(find(stbl, b"stsc").unwrap_or_default())
        .iter()
        .filter_map(|run| Some((be32(run, 0)?, be32(run, 4)?)))
        .peekable();

    let mut samples = Vec::new();
    let (mut dts, mut delta, mut per_chunk) = (0_i64, 0, 0);
    for (chunk, mut offset) in (1_u32..).zip(chunk_offsets(stbl)) {
        while let Some((_, samples)) = chunk_runs.next_if(|(first, _)| *first <= chunk) {
            per_chunk = samples;
        }
        for _ in 0..per_chunk {
            if samples.len() >= count {
                break;
            }
            let size = size_of(samples.len()).ok_or_else(incomplete)?;
            let pts = dts + i64::from(shifts.next().unwrap_or(0));
            samples.push(Sample { offset, size, pts });
            // A table that is too short goes on at its last pace.
            delta = deltas.next().unwrap_or(delta);
            dts += i64::from(delta);
            offset = offset.saturating_add(u64::from(size));
        }
    }
    if samples.len() < count {
        return Err(incomplete());
    }
    Ok(samples)
}

fn chunk_offsets(stbl: &[u8]) -> impl Iterator<Item = u64> {
    let short = table::<4>(find(stbl, b"stco").unwrap_or_default());
    let long = table::<8>(find(stbl, b"co64").unwrap_or_default());
    let short = short
        .iter()
        .map(|offset| u64::from(u32::from_be_bytes(*offset)));
    short.chain(long.iter().map(|offset| u64::from_be_bytes(*offset)))
}
