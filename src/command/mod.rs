//! Signed commands from the cloud.
//!
//! ```text
//!  uplink ─► envelope ─► judge ─► journal "accepted" ─► PUBACK ─► handler ─► journal result ─► tray ─► uplink
//! ```

pub mod envelope;
pub mod id;
pub mod judge;
pub mod key;
