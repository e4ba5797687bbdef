//! Ties detections of one frame after the other to tracks: one track is one person for as long as they are seen.
//!
//! Written after the ideas of two papers: strong detections are matched first and weak ones may only keep an
//! existing track alive (Zhang et al., "ByteTrack", ECCV 2022); after a gap the filter is run again along the straight
//! way between the last and the new observation, and what prediction could not match is tried against the last
//! observation (Cao et al., "Observation-Centric SORT", CVPR 2023). Times are milliseconds, never frames: the same
//! person is tracked alike at 5 and at 25 frames a second. Same input, same output, always.

mod assign;
mod kalman;

use std::time::Duration;

use assign::{FORBIDDEN, assign};
use kalman::BoxFilter;

use super::{Detection, Rect};

/// Tuning. The defaults hold for people at 5–30 frames a second.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Score from which a detection may start a track, 0..=1.
    pub threshold: f32,
    /// Observations that make a track a person.
    pub confirm_hits: u32,
    /// A confirmed track that is not seen for so long is over.
    pub max_lost: Duration,
    /// Least overlap of the widened boxes (see [`widen`]) for a match straight on, 0..=1.
    pub min_overlap: f32,
    /// Most tracks at once; further ones are not started.
    pub max_tracks: usize,
}

impl Settings {
    /// The defaults with this threshold.
    #[must_use]
    pub const fn with_threshold(threshold: f32) -> Self {
        Self {
            threshold,
            confirm_hits: 3,
            max_lost: Duration::from_millis(1500),
            min_overlap: 0.2,
            max_tracks: 512,
        }
    }
}

/// One person, for as long as they are seen.
#[derive(Clone, Debug)]
pub struct Track {
    /// Unique within the tracker's life; never an identity.
    pub id: u64,
    /// Estimated box at the latest frame.
    pub rect: Rect,
    /// Whether it was observed on the latest frame.
    pub seen: bool,
    /// Whether it has been observed often enough to be taken for a person.
    pub confirmed: bool,
    /// Time of the first observation.
    pub born: Duration,
    /// Time of the latest observation.
    pub last_seen: Duration,
    /// Class of the latest strong detection.
    pub class: u16,
    hits: u32,
    filter: BoxFilter,
    /// The filter right after the latest observation, to start again from after a gap.
    filter_when_seen: BoxFilter,
    observed: Rect,
}

/// The tracker's state between frames.
#[derive(Debug)]
pub struct Tracker {
    settings: Settings,
    tracks: Vec<Track>,
    ended: Vec<Track>,
    first_id: u64,
    next_id: u64,
    now: Option<Duration>,
}

impl Tracker {
    /// A tracker that has seen nothing and numbers its tracks from `first_id`.
    #[must_use]
    pub fn new(settings: Settings, first_id: u64) -> Self {
        let (tracks, ended) = (Vec::new(), Vec::new());
        Self {
            settings,
            tracks,
            ended,
            first_id,
            next_id: first_id,
            now: None,
        }
    }

    /// Takes the detections of the frame at `at`. A frame that is not later than the one before is ignored.
    pub fn step(&mut self, at: Duration, detections: &[Detection]) {
        self.step_where(at, detections, |_| true);
    }

    /// The same, where only detections that `may_begin` accepts start tracks and make them people. Those that have been
    /// people already are kept by any detection.
    pub fn step_where(
        &mut self,
        at: Duration,
        detections: &[Detection],
        may_begin: impl Fn(&Detection) -> bool,
    ) {
        let dt = match self.now {
            Some(before) if at <= before => return,
            Some(before) => (at - before).as_secs_f32(),
            None => 0.0,
        };
        self.now = Some(at);
        self.ended.clear();
        for track in &mut self.tracks {
            if dt > 0.0 {
                track.filter.predict(dt);
            }
            track.rect = track.filter.rect();
            track.seen = false;
        }
        let sane = |d: &&Detection| d.score.is_finite() && is_sane(&d.rect);
        let (strong, weak): (Vec<&Detection>, Vec<&Detection>) = detections
            .iter()
            .filter(sane)
            .partition(|d| d.score >= self.settings.threshold);

        let all: Vec<usize> = (0..self.tracks.len()).collect();
        // Confirmed tracks choose first, so that a stray newcomer cannot take a person's detection.
        let (old, new): (Vec<usize>, Vec<usize>) =
            all.into_iter().partition(|&t| self.tracks[t].confirmed);
        let (old, strong) = self.associate(at, &old, strong, Against::Prediction);
        let recent: Vec<usize> = old
            .iter()
            .copied()
            .filter(|&t| at - self.tracks[t].last_seen <= WEAK_WITHIN)
            .collect();
        let (_, _) = self.associate(at, &recent, weak, Against::PredictionClosely);
        let stood = |&t: &usize| {
            let track = &self.tracks[t];
            !track.seen && at - track.last_seen <= STANDS_WITHIN
        };
        let still: Vec<usize> = old.into_iter().filter(stood).collect();
        let (_, mut strong) = self.associate(at, &still, strong, Against::LastObservation);
        strong.retain(|detection| may_begin(detection));
        let (_, strong) = self.associate(at, &new, strong, Against::Prediction);
        for detection in strong {
            self.start(at, detection);
        }
        self.end_lost(at);
    }

    /// Matches `tracks` with `detections`; returns what is left of both.
    fn associate<'d>(
        &mut self,
        at: Duration,
        tracks: &[usize],
        detections: Vec<&'d Detection>,
        against: Against,
    ) -> (Vec<usize>, Vec<&'d Detection>) {
        if tracks.is_empty() || detections.is_empty() {
            return (tracks.to_vec(), detections);
        }
        let mut cost = Vec::with_capacity(tracks.len() * detections.len());
        for &t in tracks {
            let track = &self.tracks[t];
            let (expected, least) = match against {
                Against::Prediction => (&track.rect, self.settings.min_overlap + track.doubt(at)),
                Against::PredictionClosely => (&track.rect, WEAK_MIN_OVERLAP),
                Against::LastObservation => (&track.observed, self.settings.min_overlap),
            };
            for detection in &detections {
                let overlap = widen(expected).iou(&widen(&detection.rect));
                let fit = overlap - TURN_WEIGHT * track.turn_to(&detection.rect);
                cost.push(
                    if fit < least || !similar_height(expected, &detection.rect) {
                        FORBIDDEN
                    } else {
                        1.0 - fit - SCORE_WEIGHT * detection.score
                    },
                );
            }
        }
        let pairs = assign(&cost, tracks.len(), detections.len());
        let mut used = vec![false; detections.len()];
        for &(row, column) in &pairs {
            used[column] = true;
            self.tracks[tracks[row]].observe(at, detections[column]);
        }
        let rest = tracks
            .iter()
            .copied()
            .filter(|&t| !self.tracks[t].seen)
            .collect();
        let unused = detections
            .into_iter()
            .zip(used)
            .filter(|(_, used)| !used)
            .map(|(d, _)| d)
            .collect();
        (rest, unused)
    }

    fn start(&mut self, at: Duration, detection: &Detection) {
        if self.tracks.len() >= self.settings.max_tracks {
            return;
        }
        let filter = BoxFilter::new(&detection.rect);
        self.tracks.push(Track {
            id: self.next_id,
            rect: detection.rect,
            seen: true,
            confirmed: self.settings.confirm_hits <= 1,
            born: at,
            last_seen: at,
            class: detection.class,
            hits: 1,
            filter,
            filter_when_seen: filter,
            observed: detection.rect,
        });
        self.next_id += 1;
    }

    fn end_lost(&mut self, at: Duration) {
        let settings = self.settings;
        for track in &mut self.tracks {
            track.confirmed |= track.hits >= settings.confirm_hits;
        }
        let over = |track: &mut Track| {
            let patience = if track.confirmed {
                settings.max_lost
            } else {
                TENTATIVE_LOST
            };
            at - track.last_seen > patience
        };
        self.ended.extend(self.tracks.extract_if(.., over));
    }

    /// Ends everything: the recording is over or the camera was lost.
    pub fn finish(&mut self) {
        self.ended.clear();
        self.ended.append(&mut self.tracks);
    }

    /// The tracks after the latest frame, confirmed or not, in order of birth.
    #[must_use]
    pub fn tracks(&self) -> &[Track] {
        &self.tracks
    }

    /// The tracks that ended with the latest [`Tracker::step`] or [`Tracker::finish`].
    #[must_use]
    pub fn ended(&self) -> &[Track] {
        &self.ended
    }

    /// How many tracks were ever started.
    #[must_use]
    pub const fn started(&self) -> u64 {
        self.next_id - self.first_id
    }
}

/// A track that is not yet a person is given up sooner.
const TENTATIVE_LOST: Duration = Duration::from_millis(350);
/// Weak detections may keep a track alive only while it is fresh ...
const WEAK_WITHIN: Duration = Duration::from_millis(700);
/// ... and where it is expected: a weak box is often half a person, a shadow or a post beside the way.
const WEAK_MIN_OVERLAP: f32 = 0.6;
/// Whoever is not where they were expected may be where they were last seen, but not for longer than this.
const STANDS_WITHIN: Duration = Duration::from_secs(1);
/// Nobody walks straight on for long: beyond the first half second the prediction must fit better, by so much overlap for
/// every second. A box somewhere near after so long is more often somebody else.
const DOUBT_AFTER: f32 = 0.5;
const DOUBT: f32 = 0.1;
/// Of two detections of one person the surer one fits a little better.
const SCORE_WEIGHT: f32 = 0.1;
/// A walker goes on in their direction rather than back (OC-SORT's momentum term): who turns round must overlap by so
/// much more, lest a person hidden behind a post takes the box of another who comes the other way.
const TURN_WEIGHT: f32 = 0.2;
/// Slower than this, in box heights per second, a person has no direction.
const STANDING: f32 = 0.25;
/// From one frame to the next a person's height changes by less than this factor.
const MAX_HEIGHT_RATIO: f32 = 1.4;

#[derive(Clone, Copy)]
enum Against {
    Prediction,
    PredictionClosely,
    LastObservation,
}

impl Track {
    fn observe(&mut self, at: Duration, detection: &Detection) {
        let gap = (at - self.last_seen).as_secs_f32();
        // Observation-centric re-update: forget what was extrapolated blindly, walk straight from the last
        // observation to this one.
        const STEP: f32 = 0.1;
        if gap > 2.5 * STEP {
            let steps = (gap / STEP).round().clamp(2.0, 50.0);
            self.filter = self.filter_when_seen;
            for step in 1..steps as u32 {
                self.filter.predict(gap / steps);
                self.filter.update(&between(
                    &self.observed,
                    &detection.rect,
                    step as f32 / steps,
                ));
            }
            self.filter.predict(gap / steps);
        }
        self.filter.update(&detection.rect);
        self.filter_when_seen = self.filter;
        self.observed = detection.rect;
        self.rect = self.filter.rect();
        self.last_seen = at;
        self.class = detection.class;
        self.seen = true;
        self.hits += 1;
    }

    /// How much more a prediction made `at` must overlap than one for a person who was seen just now.
    fn doubt(&self, at: Duration) -> f32 {
        DOUBT * ((at - self.last_seen).as_secs_f32() - DOUBT_AFTER).max(0.0)
    }

    /// How far somebody at `rect` would have turned off this track's way: 0 straight on, 1 straight back.
    fn turn_to(&self, rect: &Rect) -> f32 {
        let (vx, vy) = self.filter.velocity();
        let speed = vx.hypot(vy);
        let centre = |rect: &Rect| ((rect.x0 + rect.x1) / 2.0, (rect.y0 + rect.y1) / 2.0);
        let ((x, y), (to_x, to_y)) = (centre(&self.observed), centre(rect));
        let (dx, dy) = (to_x - x, to_y - y);
        let way = dx.hypot(dy);
        if speed < STANDING * self.observed.height() || way < 1.0 {
            return 0.0;
        }
        (1.0 - (dx * vx + dy * vy) / (speed * way)) / 2.0
    }

    /// Where the person steadily walks or stands: the estimate to hold against lines. [`Track::rect`] follows every
    /// jump of the detector's box, so that the next frame's box is found.
    #[must_use]
    pub fn calm_rect(&self) -> Rect {
        self.filter.calm_rect()
    }

    /// The latest detection that was tied to this track, as the detector gave it.
    #[must_use]
    pub const fn observed(&self) -> &Rect {
        &self.observed
    }

    /// Estimated velocity, pixels per second.
    #[must_use]
    pub fn velocity(&self) -> (f32, f32) {
        self.filter.velocity()
    }
}

/// Widened by a share of its size on every side, so that a person who walked further than their own width between two
/// frames still overlaps (Yang et al., "C-BIoU", WACV 2023).
fn widen(rect: &Rect) -> Rect {
    const SHARE: f32 = 0.15;
    let (dx, dy) = (rect.width() * SHARE, rect.height() * SHARE * 0.5);
    Rect {
        x0: rect.x0 - dx,
        y0: rect.y0 - dy,
        x1: rect.x1 + dx,
        y1: rect.y1 + dy,
    }
}

fn similar_height(a: &Rect, b: &Rect) -> bool {
    let ratio = a.height() / b.height().max(1.0);
    (1.0 / MAX_HEIGHT_RATIO..=MAX_HEIGHT_RATIO).contains(&ratio)
}

fn between(a: &Rect, b: &Rect, share: f32) -> Rect {
    let mix = |a: f32, b: f32| a + (b - a) * share;
    Rect {
        x0: mix(a.x0, b.x0),
        y0: mix(a.y0, b.y0),
        x1: mix(a.x1, b.x1),
        y1: mix(a.y1, b.y1),
    }
}

fn is_sane(rect: &Rect) -> bool {
    let limit = |v: f32| v.is_finite() && v.abs() < 1e6;
    [rect.x0, rect.y0, rect.x1, rect.y1].into_iter().all(limit)
        && rect.width() > 0.0
        && rect.height() > 0.0
}

#[cfg(test)]
mod tests;
