//! A diagnostics bundle: what somebody far away needs to see what is the matter with a box, in one file that may be sent.
//!
//! - [`redact`]: takes out secrets and personal data; pure
//! - [`bundle`]: one file from several texts, with a README; pure
//! - [`shelf`]: keeps the newest ones in the data directory

pub mod bundle;
pub mod redact;
pub mod shelf;
