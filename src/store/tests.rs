//! The promises of each kind of store.
