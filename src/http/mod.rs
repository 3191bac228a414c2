//! Message helpers.

pub mod body;
