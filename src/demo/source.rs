//! The synthetic shop's own time: each frame moves the demo's clock, so that the shop may run faster than life while
//! every event carries the time at which it happened in the shop.

use std::sync::Arc;
use std::time::Duration;

use super::SyntheticShop;
use crate::clock::FakeClock;
use crate::sensor::camera::{CameraError, Frame, FrameSource, Next};

/// A synthetic shop that drives a clock.
pub struct DrivingShop {
    shop: SyntheticShop,
    clock: Arc<FakeClock>,
    shown: Duration,
}

impl DrivingShop {
    #[must_use]
    pub const fn new(shop: SyntheticShop, clock: Arc<FakeClock>) -> Self {
        Self {
            shop,
            clock,
            shown: Duration::ZERO,
        }
    }
}

impl FrameSource for DrivingShop {
    fn next_kept(
        &mut self,
        frame: &mut Frame,
        keep: &mut dyn FnMut(Duration) -> bool,
    ) -> Result<Next, CameraError> {
        let next = self.shop.next_kept(frame, keep)?;
        if next == Next::Frame {
            self.clock.advance(frame.at.saturating_sub(self.shown));
            self.shown = frame.at;
        }
        Ok(next)
    }
}
