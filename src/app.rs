//! Wires all of it.
