//! From tracks to numbers: who crossed which line, who stayed in which zone, and how much of the time we were looking.
//!
//! ```text
//!  tracker ─► walker ─┬─► line ◄── polyline          all of it together: scene
//!                     ├─► zone ◄── polygon ─► stays, queue, flow
//!                     └─► heatmap
//! ```

pub mod flow;
pub mod geometry;
pub mod heatmap;
pub mod interval;
pub mod level;
pub mod line;
mod polygon;
mod polyline;
pub mod queue;
pub mod scene;
pub mod stays;
pub mod walker;
pub mod zone;

pub use polygon::flaw as zone_flaw;
pub use polyline::flaw as line_flaw;
