//! Scanners: what a reader at a shelf or a till read, and what of it may leave the box.
//!
//! The pure half turns one scan's bytes into an event: [`text`] decodes them, [`aim`] says which symbology it was,
//! [`code`] decides what the code is, [`gs1`] and [`gtin`] take it apart and check it, [`redact`] and [`rules`] decide
//! what may be kept, [`window`] suppresses a scanner that reads the same code again and again. [`image`] finds codes on
//! pictures.
//!
//! The other half reads devices: `serial` and `hid` (with `layout`) deliver characters, `assemble` makes scans of them,
//! `touchpoint` knows where a code hangs, `reader` is the sensor and `settings` its section of the config. A payload is
//! nowhere else, and never in a log.

pub mod aim;
mod assemble;
pub mod code;
pub mod gs1;
pub mod gtin;
mod hid;
pub mod image;
mod layout;
mod reader;
pub mod redact;
pub mod rules;
mod serial;
mod settings;
pub mod text;
mod touchpoint;
pub mod window;

pub use self::layout::Layout;
pub use self::reader::fit;
pub use self::settings::{Parity, Settings};
pub use self::touchpoint::Place;

#[cfg(test)]
mod code_tests;
#[cfg(test)]
mod leak_tests;
