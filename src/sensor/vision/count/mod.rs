//! From tracks to numbers: who crossed which line, and how much of the time we were looking.

pub mod interval;
pub mod line;
