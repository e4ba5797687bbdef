//! Scanners: what a reader at a shelf or a till read, and what of it may leave the box.
//!
//! The pure half turns one scan's bytes into an event: [`aim`] says which symbology it was, [`code`] decides what the
//! code is and what of it may be kept, [`rules`] is what the owner says about codes of their own, [`window`] suppresses
//! a scanner that reads the same code again and again.

pub mod aim;
pub mod code;
pub mod rules;
pub mod window;
