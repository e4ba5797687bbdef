//! Restarts what panics, drains in order.
