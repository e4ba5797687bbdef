//! Sets of sequence numbers, kept as ranges. Pure.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use crate::event::Stream;

/// A set of numbers as disjoint ranges that never touch; memory grows with the holes, not the numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RangeSet {
    /// First number of a range → its last.
    ranges: BTreeMap<u64, u64>,
    /// How many numbers are in the set.
    total: u64,
}

impl RangeSet {
    /// Adds every number of `range`; an empty range changes nothing.
    pub fn insert(&mut self, range: RangeInclusive<u64>) {
        let (mut first, mut last) = range.into_inner();
        if first > last {
            return;
        }
        // Everything that overlaps or touches becomes one range.
        while let Some((&low, &high)) = self.ranges.range(..=last.saturating_add(1)).next_back() {
            if high.saturating_add(1) < first {
                break;
            }
            self.ranges.remove(&low);
            self.total -= high - low + 1;
            first = first.min(low);
            last = last.max(high);
        }
        self.ranges.insert(first, last);
        self.total += last - first + 1;
    }

    /// Adds every range of another set.
    pub fn extend(&mut self, other: &Self) {
        for range in other.iter() {
            self.insert(range);
        }
    }

    /// Whether the number is in the set.
    #[must_use]
    pub fn contains(&self, number: u64) -> bool {
        self.covers(number..=number)
    }

    /// Whether all of `range` is in the set; true for an empty range.
    #[must_use]
    pub fn covers(&self, range: RangeInclusive<u64>) -> bool {
        let (first, last) = range.into_inner();
        if first > last {
            return true;
        }
        self.ranges
            .range(..=first)
            .next_back()
            .is_some_and(|(_, &high)| high >= last)
    }

    /// The parts of `range` that are not in the set, in order.
    #[must_use]
    pub fn missing_in(&self, range: RangeInclusive<u64>) -> Vec<RangeInclusive<u64>> {
        let (first, last) = range.into_inner();
        let mut missing = Vec::new();
        if first > last {
            return missing;
        }
        let mut next = first;
        let begin = match self.ranges.range(..=first).next_back() {
            Some((&low, _)) => low,
            None => first,
        };
        for (&low, &high) in self.ranges.range(begin..=last) {
            if low > next {
                missing.push(next..=low - 1);
            }
            if high >= last {
                return missing;
            }
            next = next.max(high.saturating_add(1));
        }
        missing.push(next..=last);
        missing
    }

    /// What is in this set and not in the other.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        self.iter()
            .flat_map(|range| other.missing_in(range))
            .collect()
    }

    /// The last number of the unbroken run that starts at 1; 0 when 1 is missing.
    #[must_use]
    pub fn prefix(&self) -> u64 {
        self.ranges.get(&1).copied().unwrap_or(0)
    }

    /// The lowest number; `None` when empty.
    #[must_use]
    pub fn first(&self) -> Option<u64> {
        self.ranges.keys().next().copied()
    }

    /// The lowest number from `number` on.
    #[must_use]
    pub fn next_from(&self, number: u64) -> Option<u64> {
        match self.ranges.range(..=number).next_back() {
            Some((_, &high)) if high >= number => Some(number),
            _ => self.ranges.range(number..).next().map(|(&low, _)| low),
        }
    }

    /// How far one gets from `number`, which is in the set, on numbers that are in it or may be `skipped`: the last one
    /// in the set.
    #[must_use]
    pub fn reach(&self, number: u64, skipped: &Self) -> u64 {
        let mut reach = number;
        for (&low, &high) in self.ranges.iter().skip_while(|(_, high)| **high < number) {
            if low > reach && !skipped.covers(reach + 1..=low - 1) {
                break;
            }
            reach = high;
        }
        reach
    }

    /// The highest number; `None` when empty.
    #[must_use]
    pub fn last(&self) -> Option<u64> {
        self.ranges.values().next_back().copied()
    }

    /// How many numbers are in the set.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// The ranges, ascending.
    pub fn iter(&self) -> impl Iterator<Item = RangeInclusive<u64>> + '_ {
        self.ranges.iter().map(|(&first, &last)| first..=last)
    }
}

impl FromIterator<RangeInclusive<u64>> for RangeSet {
    fn from_iter<I: IntoIterator<Item = RangeInclusive<u64>>>(ranges: I) -> Self {
        let mut set = Self::default();
        for range in ranges {
            set.insert(range);
        }
        set
    }
}

/// One value for each stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerStream<T>(pub [T; 4]);

impl PerStream<RangeSet> {
    /// The first of the `expected` numbers that are not there, in plain words.
    #[must_use]
    pub fn lacks(&self, expected: &Self) -> Option<String> {
        expected.iter().find_map(|(stream, expected)| {
            let missing = expected.difference(&self[stream]);
            let (first, last) = missing.iter().next()?.into_inner();
            Some(format!("events {stream}/{first} to {last} are missing"))
        })
    }
}

impl<T> PerStream<T> {
    /// Builds one value per stream.
    pub fn new(make: impl FnMut(Stream) -> T) -> Self {
        Self(Stream::ALL.map(make))
    }

    /// Every stream with its value, highest priority first.
    pub fn iter(&self) -> impl Iterator<Item = (Stream, &T)> {
        Stream::ALL.into_iter().zip(&self.0)
    }
}

impl<T> std::ops::Index<Stream> for PerStream<T> {
    type Output = T;

    fn index(&self, stream: Stream) -> &T {
        &self.0[stream.index()]
    }
}

impl<T> std::ops::IndexMut<Stream> for PerStream<T> {
    fn index_mut(&mut self, stream: Stream) -> &mut T {
        &mut self.0[stream.index()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn touching_ranges_become_one_and_the_prefix_grows() {
        let mut set = RangeSet::default();
        set.insert(4..=6);
        assert_eq!(set.prefix(), 0);
        set.insert(1..=3);
        assert_eq!(set.prefix(), 6);
        assert_eq!(set.iter().collect::<Vec<_>>(), [1..=6]);
        set.insert(u64::MAX..=u64::MAX);
        assert_eq!(set.last(), Some(u64::MAX));
    }

    proptest! {
        #[test]
        fn a_range_set_behaves_as_a_set_of_numbers(
            inserts in prop::collection::vec((1u64..60, 0u64..8), 0..20),
            probe in (1u64..70, 0u64..20),
        ) {
            let mut set = RangeSet::default();
            let mut model = BTreeSet::new();
            for (first, len) in inserts {
                set.insert(first..=first + len);
                model.extend(first..=first + len);
            }
            prop_assert_eq!(set.total(), model.len() as u64);
            prop_assert_eq!(set.first(), model.first().copied());
            prop_assert_eq!(set.last(), model.last().copied());
            prop_assert_eq!(set.iter().flatten().collect::<BTreeSet<_>>(), model.clone());
            let prefix = (1..).take_while(|n| model.contains(n)).last().unwrap_or(0);
            prop_assert_eq!(set.prefix(), prefix);
            let probed = RangeSet::from_iter([probe.0..=probe.0 + probe.1]);
            prop_assert_eq!(
                probed.difference(&set).total() + probed.total() + set.total(),
                {
                    let mut both = set.clone();
                    both.extend(&probed);
                    both.total() + probed.total()
                }
            );
            let range = probe.0..=probe.0 + probe.1;
            let missing: Vec<u64> = range.clone().filter(|n| !model.contains(n)).collect();
            prop_assert_eq!(set.covers(range.clone()), missing.is_empty());
            prop_assert_eq!(set.missing_in(range).into_iter().flatten().collect::<Vec<_>>(), missing);
        }
    }
}
