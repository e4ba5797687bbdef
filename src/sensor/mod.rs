//! What sees the shop. Sensors know [`crate::event`] and [`crate::clock`], nothing else of the house.

pub mod camera;
pub mod vision;
