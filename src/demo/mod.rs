//! A synthetic shop whose truth is known, to be watched by the whole real pipeline.
//!
//! [`scene`] is the room and its camera, [`script`] and [`path`] the people and the truth, [`backdrop`] and [`figure`]
//! what they look like, [`render`] the frames; [`SyntheticShop`] plays it all as a camera. `run` sends it through every
//! part, `broker` starts the other end, `outcome` compares.

pub mod around;
pub mod backdrop;
mod broker;
mod detector;
mod devices;
pub mod figure;
mod outcome;
pub mod path;
mod received;
pub mod render;
mod run;
pub mod scene;
pub mod script;
mod shop;
mod source;

pub use detector::pipeline;
pub use outcome::{Moment, Outcome, match_crossings};
pub use run::{Options, run};
pub use scene::{Light, Place};
pub use shop::{DEFAULT_FPS, DEFAULT_SECONDS, DEFAULT_SEED, SyntheticShop, Truth};

#[cfg(test)]
mod tests;
