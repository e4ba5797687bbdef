//! A synthetic shop through the whole real pipeline.
