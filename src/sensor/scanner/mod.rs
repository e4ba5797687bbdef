//! Scanners: what a reader at a shelf or a till read, and what of it may leave the box.
//!
//! The pure half turns one scan's bytes into an event: [`aim`] says which symbology it was, [`code`] decides what the
//! code is and what of it may be kept, [`rules`] is what the owner says about codes of their own, [`window`] suppresses
//! a scanner that reads the same code again and again.
//!
//! The other half reads devices: [`serial`] and [`hid`] deliver characters, [`assemble`] makes scans of them, [`reader`]
//! is the sensor. A payload is nowhere else, and never in a log.

pub mod aim;
mod assemble;
pub mod code;
mod hid;
mod layout;
mod reader;
pub mod rules;
mod serial;
mod settings;
mod touchpoint;
pub mod window;

pub use self::layout::Layout;
pub use self::reader::fit;
pub use self::settings::{Parity, Settings};
pub use self::touchpoint::Place;
