//! GS1: what the Application Identifiers in a code say, and whether it is right.
//!
//! [`parse`] takes an element string apart (FNC1 as 0x1D, or the bracketed form people write), [`link`] does the same
//! for a GS1 Digital Link and builds one, [`partners`] checks which elements need or exclude each other. The table of
//! all Application Identifiers is generated from the GS1 Barcode Syntax Dictionary, whose terms are used here.

mod checksum;
mod coupon;
mod dates;
mod entry;
pub mod link;
mod lint;
mod lists;
mod parse;
mod partners;
#[rustfmt::skip]
mod table;

#[cfg(test)]
mod dictionary_tests;
#[cfg(test)]
mod every_ai_tests;
#[cfg(test)]
mod link_tests;

pub use checksum::{alpha_pair, check_digit, has_check_digit};
pub use dates::full_date;
pub use entry::{Entry, Set, find};
pub use lint::Linter;
pub use parse::{Element, Parsed, SEPARATOR, bracketed, element_string};
pub use partners::check as check_partners;

/// What is wrong with an element string. Names Application Identifiers and positions, never a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("at character {at}: no Application Identifier of GS1 begins here")]
    UnknownAi { at: usize },
    #[error("({ai}): the value is shorter than the Application Identifier allows")]
    TooShort { ai: String },
    #[error("({ai}): the value is longer than the Application Identifier allows")]
    TooLong { ai: String },
    #[error("({ai}): a character that is not {set}")]
    Character { ai: String, set: Set },
    #[error("({ai}): {}", .linter.complaint())]
    Content { ai: String, linter: Linter },
    #[error("({ai}): stands there twice with different values")]
    Repeated { ai: String },
    #[error("({ai}): must come together with {one_of}")]
    Alone { ai: String, one_of: String },
    #[error("({ai}): must not come together with ({with})")]
    Excluded { ai: String, with: String },
    #[error("more than {} elements; the rest was not read", parse::MOST_ELEMENTS)]
    TooMany,
    #[error("({ai}): not allowed at this place of a Digital Link")]
    Place { ai: String },
}
