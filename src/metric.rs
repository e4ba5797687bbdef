//! Numbers that parts count while they work, for the page, the API and `/metrics`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only grows while the daemon runs.
#[derive(Clone, Debug, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    /// `more` of it.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that goes up and down.
#[derive(Clone, Debug, Default)]
pub struct Gauge(Arc<AtomicU64>);

impl Gauge {
    pub fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }

    #[must_use]
    pub fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }
}

/// Where a metric's number comes from.
#[derive(Clone, Debug)]
pub enum Reading {
    Counter(Counter),
    Gauge(Gauge),
}

/// One number of one part.
#[derive(Clone, Debug)]
pub struct Metric {
    /// `[a-z0-9_]+`, with its unit where it has one: `frames`, `open_s`.
    pub name: &'static str,
    /// What it is, in a few plain words.
    pub en: &'static str,
    pub zh: &'static str,
    pub reading: Reading,
}

impl Metric {
    /// A number that only grows.
    #[must_use]
    pub fn counter(name: &'static str, en: &'static str, zh: &'static str, of: &Counter) -> Self {
        let reading = Reading::Counter(of.clone());
        Self {
            name,
            en,
            zh,
            reading,
        }
    }

    /// A number that goes up and down.
    #[must_use]
    pub fn gauge(name: &'static str, en: &'static str, zh: &'static str, of: &Gauge) -> Self {
        let reading = Reading::Gauge(of.clone());
        Self {
            name,
            en,
            zh,
            reading,
        }
    }

    /// The number now; whole where it counts something.
    #[must_use]
    pub fn value(&self) -> serde_json::Number {
        match &self.reading {
            Reading::Counter(counter) => counter.get().into(),
            Reading::Gauge(gauge) => {
                serde_json::Number::from_f64(gauge.get()).unwrap_or_else(|| 0.into())
            }
        }
    }
}
