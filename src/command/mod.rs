//! Signed commands from the cloud: each is obeyed once and answered, whatever is cut off.
//!
//! ```text
//!  uplink ─► envelope ─► judge ─► journal ─► PUBACK ─► handler ─► journal ─► tray ─► uplink
//!  (desk)    signature   box,     accepted,                       result,            response
//!                        expiry   durable                         durable
//! ```
//!
//! - [`envelope`], [`key`], [`id`]: JWS, Ed25519 keys, UUIDs; [`judge`], [`limiter`]: pure
//! - [`journal`]: what survives; [`tray`]: answers on their way; [`response`]: what they say
//! - [`desired`]: the config the cloud wants, and what became of it
//! - [`dispatch`]: takes, begins, ends; [`handlers`]: one file for each command
//!
//! `docs/reference/commands.md` is the contract.

mod bench;
pub mod configure;
pub mod counters;
pub mod desired;
pub mod dispatch;
pub mod envelope;
pub mod handlers;
pub mod id;
pub mod journal;
pub mod judge;
pub mod key;
pub mod limiter;
pub mod probation;
pub mod response;
pub mod tray;
