//! A synthetic shop whose truth is known, to be watched by the whole real pipeline.
//!
//! [`scene`] is the room and its camera, [`script`] and [`path`] the people and the truth, [`backdrop`] and [`figure`] what they
//! look like, [`render`] the frames; [`SyntheticShop`] plays it all as a camera.

pub mod backdrop;
pub mod figure;
pub mod path;
pub mod render;
pub mod scene;
pub mod script;
mod shop;

pub use shop::{DEFAULT_FPS, DEFAULT_SECONDS, DEFAULT_SEED, SyntheticShop, Truth};

#[cfg(test)]
mod tests;
