#![allow(missing_docs)]
pub mod data;
pub mod error;
pub mod evaluate;
pub mod gpu;
pub mod machine;
pub mod network;
pub mod ops;
pub mod plan;
pub mod reference;
pub mod shape;
pub mod storage;
pub mod train;
pub use error::{Error, Result};
