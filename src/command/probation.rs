//! Whether a changed config may stay: what worked before it must work again. Pure; the app looks and this judges.

use std::collections::BTreeMap;
use std::time::Duration;

/// What worked at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sight {
    /// By `kind/id`: nothing when it works, otherwise what is the matter.
    pub sensors: BTreeMap<String, Option<String>>,
    /// Whether the broker is connected.
    pub connected: bool,
}

/// A probation under way.
#[derive(Clone, Debug)]
pub struct Probation {
    before: Sight,
    began: Duration,
    length: Duration,
}

/// What a look says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Undecided,
    Passed,
    /// Why not.
    Failed(String),
}

impl Probation {
    /// `before`: how things were before the change; `began`: since boot.
    #[must_use]
    pub const fn new(before: Sight, began: Duration, length: Duration) -> Self {
        Self {
            before,
            began,
            length,
        }
    }

    /// Judges how things are at `now` (since boot). Three quarters of the time are for sensors to start; in the last one
    /// each that worked before must work at every look. The connection must be there at the end: a short loss within
    /// the probation is the network's own.
    #[must_use]
    pub fn judge(&self, now: Duration, sight: &Sight) -> Verdict {
        let elapsed = now.saturating_sub(self.began);
        if elapsed < self.length * 3 / 4 {
            return Verdict::Undecided;
        }
        let worked = self.before.sensors.iter();
        for (name, _) in worked.filter(|(_, trouble)| trouble.is_none()) {
            let why = match sight.sensors.get(name) {
                Some(None) => continue,
                Some(Some(trouble)) => trouble.as_str(),
                None => "it is not there",
            };
            return Verdict::Failed(format!("{name} worked before and does not now: {why}"));
        }
        if elapsed < self.length {
            return Verdict::Undecided;
        }
        if self.before.connected && !sight.connected {
            let why = "the broker was connected before and is not now";
            return Verdict::Failed(why.to_owned());
        }
        Verdict::Passed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sight(sensors: &[(&str, Option<&str>)], connected: bool) -> Sight {
        let one = |(name, trouble): &(&str, Option<&str>)| {
            ((*name).to_owned(), trouble.map(str::to_owned))
        };
        Sight {
            sensors: sensors.iter().map(one).collect(),
            connected,
        }
    }

    #[test]
    fn what_worked_before_must_work_in_the_last_quarter() {
        let before = sight(&[("camera/a", None), ("wifi/b", Some("no antenna"))], true);
        let probation = Probation::new(before, Duration::from_secs(1000), Duration::from_secs(100));
        let at = |s: u64, sight: &Sight| probation.judge(Duration::from_secs(1000 + s), sight);
        let dead = ("camera/a", Some("no such device"));
        let well = sight(&[("camera/a", None)], true);
        for (second, now, expected) in [
            (0, sight(&[], false), None),
            (74, sight(&[dead], true), None),
            (75, sight(&[dead], true), Some("no such device")),
            (80, sight(&[], true), Some("not there")),
            (99, well.clone(), None),
            (99, sight(&[("camera/a", None)], false), None),
            (100, sight(&[("camera/a", None)], false), Some("broker")),
            (100, sight(&[dead], true), Some("camera/a worked before")),
        ] {
            match (at(second, &now), expected) {
                (Verdict::Failed(why), Some(words)) => assert!(why.contains(words), "{why}"),
                (verdict, None) => assert_eq!(verdict, Verdict::Undecided, "{second}"),
                (verdict, words) => panic!("{second}: {verdict:?}, not {words:?}"),
            }
        }
        assert_eq!(at(100, &well), Verdict::Passed);
    }

    #[test]
    fn what_did_not_work_before_is_nobodys_fault() {
        let before = sight(&[("camera/a", Some("unplugged"))], false);
        let probation = Probation::new(before.clone(), Duration::ZERO, Duration::from_secs(5));
        let verdict = probation.judge(Duration::from_secs(5), &before);
        assert_eq!(verdict, Verdict::Passed);
    }
}
