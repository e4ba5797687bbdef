//! One TOML file; what it may say, and clear errors when it says something else.

pub mod schema;

pub use schema::Config;
