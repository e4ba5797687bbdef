//! The synthetic shop's own time: each frame moves the demo's clock, so that the shop may run faster than life while
//! every event carries the time at which it happened in the shop.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::SyntheticShop;
use super::devices::Devices;
use crate::clock::FakeClock;
use crate::sensor::camera::{CameraError, Frame, FrameSource, Next};

/// A synthetic shop that drives a clock.
pub struct DrivingShop {
    shop: SyntheticShop,
    clock: Arc<FakeClock>,
    shown: Duration,
    /// What else is in the shop.
    devices: Arc<Mutex<Devices>>,
}

impl DrivingShop {
    #[must_use]
    pub const fn new(
        shop: SyntheticShop,
        clock: Arc<FakeClock>,
        devices: Arc<Mutex<Devices>>,
    ) -> Self {
        Self {
            shop,
            clock,
            shown: Duration::ZERO,
            devices,
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
        let mut devices = self.devices.lock().unwrap_or_else(PoisonError::into_inner);
        let happened = match next {
            Next::Frame => {
                self.clock.advance(frame.at.saturating_sub(self.shown));
                let before = std::mem::replace(&mut self.shown, frame.at);
                devices.advance(before, frame.at)
            }
            Next::End => devices.settle_door(),
        };
        happened.map_err(|why| CameraError::Unavailable {
            what: "the synthetic shop".to_owned(),
            why: why.to_string(),
            fix: "run the demo again".to_owned(),
        })?;
        Ok(next)
    }
}
