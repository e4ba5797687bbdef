//! Counting rules.
