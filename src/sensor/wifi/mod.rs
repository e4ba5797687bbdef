//! Devices around, from the Wi-Fi probe requests they send; counts only, off unless the config has a `[[wifi]]`.
//!
//! ```text
//!  radio (socket + filter | savefile) ─► link, frame ─► queue ─► pepper ─► presence ─► meter ─► wifi.interval
//! ```
//!
//! What must never leave this folder: a sender's address lives in the queue and in the frame it came with; what is kept
//! is a 64-bit keyed hash ([`pepper`]) whose key exists in memory only and is thrown away every day. Network names are
//! stepped over, never looked at. [`frame::Address`] has no text form on purpose.
//!
//! - [`settings`]: the `[[wifi]]` section
//! - [`link`], [`frame`]: from captured bytes to a probe request; pure
//! - [`savefile`] reads recordings (pcap and pcapng)
//! - [`radio`], [`socket`], [`filter`]: live capture from an interface in monitor mode
//! - [`presence`], [`counting`]: who is a visitor, and the sums of an interval; pure
//! - [`listener`]: the sensor

pub mod counting;
pub mod filter;
pub mod frame;
pub mod link;
pub mod listener;
pub mod meters;
pub mod pepper;
pub mod presence;
pub mod radio;
pub mod savefile;
pub mod settings;
mod socket;

use self::listener::Listener;
pub use self::settings::Settings;
use super::{Fitted, House};

/// The sensors that the config's `[[wifi]]` sections ask for.
#[must_use]
pub fn fit(settings: &[Settings], house: &House) -> Vec<Fitted> {
    let fit = |settings: &Settings| {
        let listener = Listener::new(settings, house, radio::opener(&settings.interface));
        Fitted {
            face: listener.face(),
            settings: format!("{settings:?}"),
            sensor: Box::new(listener),
        }
    };
    settings.iter().map(fit).collect()
}
