//! A board without hardware: levels that tests and the demo set by hand, with edges like a real one's.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::time::Duration;

use super::{Chip, DigitalIn, DigitalOut, Edge, LineSpec, PinError, Pull};
use crate::clock::SharedClock;

/// As many edges are kept for a reader as the kernel keeps; later ones are lost.
const KEPT_EDGES: usize = 64;

/// A handle to the board; copies are the same board.
#[derive(Clone)]
pub struct Board(Arc<Shared>);

struct Shared {
    clock: SharedClock,
    state: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Default)]
struct Inner {
    gone: bool,
    levels: BTreeMap<u32, bool>,
    /// Pins in use, with what reads them.
    readers: Vec<Weak<Mutex<Queue>>>,
}

struct Queue {
    pins: Vec<u32>,
    edges: VecDeque<Edge>,
}

impl Board {
    /// A board that is there; its edges carry this clock's times.
    #[must_use]
    pub fn new(clock: SharedClock) -> Self {
        Self(Arc::new(Shared {
            clock,
            state: Mutex::default(),
            changed: Condvar::new(),
        }))
    }

    /// Puts a line to a level, from outside.
    pub fn set(&self, pin: u32, high: bool) {
        let at = self.0.clock.now().boot;
        let mut inner = self.inner();
        if inner.levels.insert(pin, high) == Some(high) {
            return;
        }
        inner.readers.retain(|reader| reader.strong_count() > 0);
        for reader in inner.readers.iter().filter_map(Weak::upgrade) {
            let mut queue = reader.lock().unwrap_or_else(PoisonError::into_inner);
            let line = queue.pins.iter().position(|own| *own == pin);
            if let (Some(line), true) = (line, queue.edges.len() < KEPT_EDGES) {
                queue.edges.push_back(Edge { line, high, at });
            }
        }
        self.0.changed.notify_all();
    }

    /// A line's level, such as what an output was set to; `None`: nobody has set it yet.
    #[must_use]
    pub fn level(&self, pin: u32) -> Option<bool> {
        self.inner().levels.get(&pin).copied()
    }

    /// The board goes away, or comes back.
    pub fn plug(&self, there: bool) {
        self.inner().gone = !there;
        self.0.changed.notify_all();
    }

    /// How many are watching lines at the moment.
    #[must_use]
    pub fn readers(&self) -> usize {
        let inner = self.inner();
        inner
            .readers
            .iter()
            .filter(|reader| reader.strong_count() > 0)
            .count()
    }

    fn inner(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn there(inner: &Inner) -> Result<(), PinError> {
        if inner.gone {
            let chip = "fake".to_owned();
            return Err(PinError::NoChip { chip });
        }
        Ok(())
    }
}

impl Chip for Board {
    fn inputs(&self, lines: &[LineSpec]) -> Result<Box<dyn DigitalIn>, PinError> {
        let mut inner = self.inner();
        Self::there(&inner)?;
        inner.readers.retain(|reader| reader.strong_count() > 0);
        for line in lines {
            let taken = |reader: Arc<Mutex<Queue>>| {
                let queue = reader.lock().unwrap_or_else(PoisonError::into_inner);
                queue.pins.contains(&line.pin)
            };
            if inner.readers.iter().filter_map(Weak::upgrade).any(taken) {
                return Err(PinError::InUse { pin: line.pin });
            }
            inner
                .levels
                .entry(line.pin)
                .or_insert(line.pull == Pull::Up);
        }
        let queue = Arc::new(Mutex::new(Queue {
            pins: lines.iter().map(|line| line.pin).collect(),
            edges: VecDeque::new(),
        }));
        inner.readers.push(Arc::downgrade(&queue));
        Ok(Box::new(Input {
            board: self.clone(),
            queue,
        }))
    }

    fn output(&self, pin: u32) -> Result<Box<dyn DigitalOut>, PinError> {
        Self::there(&self.inner())?;
        let mut output = Output {
            board: self.clone(),
            pin,
        };
        output.set(false)?;
        Ok(Box::new(output))
    }
}

struct Input {
    board: Board,
    queue: Arc<Mutex<Queue>>,
}

impl Input {
    fn queue(&self) -> std::sync::MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DigitalIn for Input {
    fn levels(&mut self) -> Result<Vec<bool>, PinError> {
        let inner = self.board.inner();
        Board::there(&inner)?;
        let pins = self.queue().pins.clone();
        let level = |pin: &u32| inner.levels.get(pin).copied().unwrap_or(false);
        Ok(pins.iter().map(level).collect())
    }

    fn next_edge(&mut self, timeout: Duration) -> Result<Option<Edge>, PinError> {
        let inner = self.board.inner();
        let nothing = |inner: &mut Inner| !inner.gone && self.queue().edges.is_empty();
        let (inner, _) = self
            .board
            .0
            .changed
            .wait_timeout_while(inner, timeout, nothing)
            .unwrap_or_else(PoisonError::into_inner);
        Board::there(&inner)?;
        Ok(self.queue().edges.pop_front())
    }
}

struct Output {
    board: Board,
    pin: u32,
}

impl DigitalOut for Output {
    fn set(&mut self, high: bool) -> Result<(), PinError> {
        Board::there(&self.board.inner())?;
        self.board.set(self.pin, high);
        Ok(())
    }
}
