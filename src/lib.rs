//! footfall: the daemon on a shop's edge box.
//!
//! ```text
//!  sensor/camera ─ sensor/vision ─┐
//!  sensor/wifi ───────────────────┤            ┌─► uplink ─► MQTT broker ─► cloud
//!  sensor/scanner ────────────────┼─► outbox ──┤     ▲
//!  sensor/gpio ───────────────────┤   (sled)   │  command ◄── signed commands
//!  system (health) ───────────────┘            └─► status (HTTP page, API, metrics)
//! ```
//!
//! The rooms, in the order in which an event passes through them:
//!
//! - [`clock`]: wall time, time since boot and the boot id, with a fake for tests
//! - [`event`]: the vocabulary; every event type and its CloudEvents envelope
//! - [`hours`]: when the shop is open
//! - [`config`]: one TOML file; what it may say, and clear errors when it says something else
//! - [`sensor`]: what sees the shop: cameras and the vision that turns frames into crossings, Wi-Fi, scanners, GPIO
//! - [`occupancy`]: how many people are inside places, from the crossings of their lines
//! - [`outbox`]: the durable queue; an event is kept until the cloud has acknowledged it
//! - [`uplink`]: MQTT; a pure ledger decides, a link carries
//! - [`command`]: signed commands from the cloud, obeyed once and answered
//! - [`status`]: the technician's page, the API and the health checks
//! - [`system`]: facts about the host and about this process
//! - [`diagnostics`]: what somebody far away needs to see, in one file without secrets
//! - [`supervise`]: restarts what panics, drains in order
//! - [`app`]: wires all of it; the only place that knows every room
//! - [`cli`]: one file per subcommand
//! - [`evaluate`]: how wrong the counts are, held against hand labels
//! - [`demo`]: a synthetic shop whose truth is known, through all of it
//! - [`stop`], [`words`], [`metric`]: the wish to stop, sentences in two languages, numbers for the page
//! - [`logging`]: the log and its level
//! - [`durable`]: the one way a small file is written so that it survives a power cut

pub mod app;
pub mod cli;
pub mod clock;
pub mod command;
pub mod config;
pub mod demo;
pub mod diagnostics;
pub mod durable;
pub mod evaluate;
pub mod event;
pub mod hours;
pub mod logging;
pub mod metric;
pub mod occupancy;
pub mod outbox;
pub mod sensor;
pub mod status;
pub mod stop;
pub mod supervise;
pub mod system;
pub mod uplink;
pub mod words;
