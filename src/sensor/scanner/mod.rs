//! Scanners: what a reader at a shelf or a till read, and what of it may leave the box.
//!
//! The pure half turns one scan's bytes into an event: [`text`] decodes them, [`aim`] says which symbology it was,
//! [`code`] decides what the code is, [`gs1`] and [`gtin`] take it apart and check it, [`redact`] and [`rules`] decide
//! what may be kept, [`window`] suppresses a scanner that reads the same code again and again. [`image`] finds codes on
//! pictures.

pub mod aim;
pub mod code;
pub mod gs1;
pub mod gtin;
pub mod image;
pub mod redact;
pub mod rules;
pub mod text;
pub mod window;

#[cfg(test)]
mod code_tests;
#[cfg(test)]
mod leak_tests;
