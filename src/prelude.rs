//! The items that most programs use: `use shadegrad::prelude::*;`

pub use crate::data::{DataPair, Dataset, Source, quantized};
#[cfg(not(target_arch = "wasm32"))]
pub use crate::evaluate::evaluate_blocking;
pub use crate::evaluate::{Evaluation, Predictor, evaluate};
pub use crate::machine::{Device, DeviceChoice};
pub use crate::network::{Initializer, Network, NetworkBuilder, Weights};
pub use crate::ops::softmax::Cost;
#[cfg(not(target_arch = "wasm32"))]
pub use crate::run::{Run, RunChanges, RunEnd, RunEvent, RunOptions};
pub use crate::shape::Padding;
pub use crate::train::{Event, Optimizer, Recipe, Schedule, StepOptions, TrainOptions, Trainer};
pub use crate::verify::own::OwnKernel;
pub use crate::{Error, Result};
