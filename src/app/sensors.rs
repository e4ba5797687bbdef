//! From the config to sensors: one line for each kind.

use crate::config::Config;
use crate::sensor::gpio::{self, MoodCell};
use crate::sensor::{Fitted, House, scanner, wifi};

use super::cameras::CameraShop;

/// Every sensor the config asks for, ready to start.
pub(super) fn fit(
    config: &Config,
    house: &House,
    cameras: &CameraShop,
    mood: &MoodCell,
) -> Vec<Fitted> {
    let mut fitted = Vec::new();
    fitted.extend(cameras.fit(config, house));
    fitted.extend(gpio::fit(&config.gpio, house, mood));
    fitted.extend(scanner::fit(&config.scanner, house));
    fitted.extend(wifi::fit(&config.wifi, house));
    fitted
}
