//! Facts about the host and about this process.
