//! Ways between the zones of one camera: who went from which to which next.

use std::collections::BTreeMap;

use super::walker::Gone;
use super::zone::{Visit, VisitChange};

/// Follows walkers from zone to zone. Zones are numbers, in the order of the settings.
#[derive(Debug, Default)]
pub struct Flows {
    /// The latest zone of each walker.
    latest: BTreeMap<u64, usize>,
    /// From, to: how many. At most one entry for each pair of zones.
    counts: BTreeMap<(usize, usize), u64>,
}

impl Flows {
    /// A visit of zone number `zone`. Coming back to the same zone is no way.
    pub fn visit(&mut self, zone: usize, visit: &Visit) {
        if visit.what != VisitChange::Entered {
            return;
        }
        if let Some(from) = self.latest.insert(visit.walker, zone)
            && from != zone
        {
            *self.counts.entry((from, zone)).or_default() += 1;
        }
    }

    /// These walkers go nowhere any more.
    pub fn forget(&mut self, gone: &[Gone]) {
        for gone in gone {
            self.latest.remove(&gone.walker);
        }
    }

    /// The counts since the last call.
    pub fn take(&mut self) -> BTreeMap<(usize, usize), u64> {
        std::mem::take(&mut self.counts)
    }

    /// How many walkers are remembered.
    #[must_use]
    pub fn remembered(&self) -> usize {
        self.latest.len()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn ways_are_counted_from_zone_to_next_zone() {
        let mut flows = Flows::default();
        let enter = |walker| Visit {
            walker,
            track: walker,
            at: Duration::ZERO,
            what: VisitChange::Entered,
        };
        for (walker, zone) in [(1, 0), (2, 0), (1, 1), (1, 0), (1, 0), (2, 1), (3, 1)] {
            flows.visit(zone, &enter(walker));
        }
        assert_eq!(flows.take(), BTreeMap::from([((0, 1), 2), ((1, 0), 1)]));
        assert!(flows.take().is_empty());
        let gone = [1, 2, 3].map(|walker| Gone {
            walker,
            track: walker,
            class: 0,
            last_seen: Duration::ZERO,
        });
        flows.forget(&gone);
        assert_eq!(flows.remembered(), 0);
    }
}
