//! One TOML file; what it may say, and clear errors when it says something else.

mod fault;
mod kept;
mod load;
pub mod overlay;
pub mod schema;
mod validate;

pub use fault::{Fault, Faults, nearest};
pub use kept::{Kept, KeptError};
pub use load::{Loaded, load, parse};
pub use overlay::Overlay;
pub use schema::Config;
pub use validate::advice;
