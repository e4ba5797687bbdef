//! What measured numbers mean for whoever sets up a box, in plain sentences.

use serde::{Deserialize, Serialize};

/// Of the processor, what counting may have; the rest is for the uplink, the page, a hot day.
const SHARE: f64 = 0.7;
/// Pictures a second below which people are missed between two of them.
const ENOUGH: f64 = 5.0;
/// Pixels of the model's input over which a person should reach: smaller ones are missed, larger ones only cost time.
const SMALL: f32 = 30.0;
const LARGE: f32 = 100.0;

/// What one picture costs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Cost {
    /// Wall time of finding people on a picture, ms.
    pub(super) median_ms: f64,
    pub(super) p95_ms: f64,
    /// CPU time of the same, all threads together, ms a picture.
    pub(super) cpu_ms: f64,
    /// CPU time of decoding the recording, ms a picture; none without a recording.
    pub(super) decode_cpu_ms: Option<f64>,
}

/// How long people are on the model's input, in its pixels: the longer side of their boxes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Sizes {
    /// People found, on all pictures together.
    pub(super) people: usize,
    pub(super) p10: f32,
    pub(super) median: f32,
    pub(super) p90: f32,
}

/// The pictures a second that each of some cameras can have.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Holds {
    pub(super) cameras: u32,
    pub(super) fps: f64,
}

impl Cost {
    /// For 1, 2, 4 and 8 cameras, each of them analysed by one session of its own.
    pub(super) fn holds(&self, cores: usize) -> Vec<Holds> {
        let one = 1000.0 / self.p95_ms.max(1e-3);
        let all = self.all(cores);
        let each = |cameras| Holds {
            cameras,
            fps: one.min(all / f64::from(cameras)),
        };
        [1, 2, 4, 8].map(each).to_vec()
    }

    /// Pictures a second of all cameras together.
    fn all(&self, cores: usize) -> f64 {
        let cpu_ms = self.cpu_ms + self.decode_cpu_ms.unwrap_or(0.0);
        SHARE * cores as f64 * 1000.0 / cpu_ms.max(1e-3)
    }

    /// What the box can hold, in a sentence or two.
    pub(super) fn sentence(&self, cores: usize) -> String {
        let holds = self.holds(cores);
        let cores = match cores {
            1 => "1 core".to_owned(),
            cores => format!("{cores} cores"),
        };
        let good: Vec<&Holds> = holds.iter().filter(|holds| holds.fps >= ENOUGH).collect();
        let [first, more @ ..] = good.as_slice() else {
            let fps = holds.first().map_or(0.0, |one| one.fps);
            return format!(
                "Too slow for this box ({cores}): {fps:.1} pictures a second of one camera, and people are missed below \
                 5. Choose a model with a smaller input."
            );
        };
        let more: String = more
            .iter()
            .map(|holds| format!(", {} at {:.0}", holds.cameras, holds.fps.floor()))
            .collect();
        let decoding = match self.decode_cpu_ms {
            Some(_) => "",
            None => ", video not decoded",
        };
        let mut text = format!(
            "This box ({cores}) can hold 1 camera at {:.0} pictures a second{more}, with a third of it left for other \
             work{decoding}.",
            first.fps.floor()
        );
        if good.len() < holds.len() {
            let most = holds.iter().find(|holds| holds.fps < ENOUGH);
            let most = most.map_or(0, |holds| holds.cameras);
            text += &format!(
                " {most} cameras are too many: people are missed below 5 pictures a second."
            );
        }
        text
    }
}

impl Sizes {
    /// From the lengths of everybody found; none if nobody was.
    pub(super) fn of(mut lengths: Vec<f32>) -> Option<Self> {
        lengths.sort_unstable_by(f32::total_cmp);
        let at = |share: usize| lengths.get((lengths.len().saturating_sub(1)) * share / 100);
        Some(Self {
            people: lengths.len(),
            p10: *at(10)?,
            median: *at(50)?,
            p90: *at(90)?,
        })
    }

    /// Whether the model sees people at a size that suits it.
    pub(super) fn good(&self) -> bool {
        self.p10 >= SMALL && self.median <= LARGE
    }

    /// What that means for the camera and the model.
    pub(super) fn sentence(&self) -> String {
        let Self {
            people,
            p10,
            median,
            p90,
        } = self;
        let sizes = format!(
            "{p10:.0} to {p90:.0} pixels long on the model's input, {median:.0} in the middle ({people} boxes)"
        );
        if self.good() {
            return format!("Good: people are {sizes}; 30 to 100 is right.");
        }
        let advice = if *median < SMALL {
            "Below 30 many are missed, and those are not in this number. Hang the camera nearer, zoom in, or choose a \
             model with a larger input."
        } else if *median > LARGE {
            "30 to 100 is enough: a model with a smaller input would be faster and find them as well."
        } else {
            "The smallest are below 30, where many are missed, and those are not in this number. Count where people are \
             near, or choose a model with a larger input."
        };
        format!("WARNING: people are {sizes}. {advice}")
    }
}

/// The same where nobody was found.
pub(super) fn nobody() -> String {
    "WARNING: nobody was found in the recording. Give one with people in it, or try another model: people may be too \
     small for this one."
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(ms: f64) -> Cost {
        Cost {
            median_ms: ms,
            p95_ms: ms,
            cpu_ms: ms,
            decode_cpu_ms: None,
        }
    }

    #[test]
    fn what_a_box_holds_is_shared_by_its_cameras_and_one_camera_has_one_core() {
        // 10 ms on 4 cores: 280 pictures a second for all, 100 for one.
        let fps: Vec<f64> = cost(10.0)
            .holds(4)
            .iter()
            .map(|holds| holds.fps.round())
            .collect();
        assert_eq!(fps, [100.0, 100.0, 70.0, 35.0]);
        let decoded = Cost {
            decode_cpu_ms: Some(10.0),
            ..cost(10.0)
        };
        assert_eq!(decoded.holds(4)[3].fps.round(), 18.0);
        let text = cost(10.0).sentence(4);
        assert!(
            text.contains(
                "(4 cores) can hold 1 camera at 100 pictures a second, 2 at 100, 4 at 70, 8 at 35"
            ),
            "{text}"
        );
        assert!(text.contains("video not decoded") && !decoded.sentence(4).contains("not decoded"));
    }

    #[test]
    fn too_many_cameras_and_a_model_that_is_too_slow_are_said() {
        let text = cost(50.0).sentence(1);
        assert!(
            text.contains("1 camera at 14 pictures a second, 2 at 7,"),
            "{text}"
        );
        assert!(text.contains("4 cameras are too many"), "{text}");
        let text = cost(500.0).sentence(2);
        assert!(
            text.contains("Too slow for this box (2 cores): 2.0 pictures"),
            "{text}"
        );
    }

    #[test]
    fn people_who_are_too_small_too_large_or_partly_too_small_are_warned_of() {
        let said = |lengths: &[f32]| Sizes::of(lengths.to_vec()).unwrap().sentence();
        assert!(said(&[40.0, 60.0, 90.0]).starts_with("Good: people are 40 to 60 pixels"));
        assert!(said(&[10.0, 20.0, 90.0]).contains("choose a model with a larger input"));
        assert!(said(&[20.0, 60.0, 90.0]).contains("The smallest are below 30"));
        assert!(said(&[100.0, 160.0, 290.0]).contains("a smaller input would be faster"));
        assert_eq!(Sizes::of(Vec::new()), None);
    }
}
