//! Everything that speaks to `wgpu`; knows no neural network.
//!
//! [`adapters`] are listed and one is opened as a [`Gpu`]. A [`Recording`] is a plain list of dispatches over regions
//! of storages, made without a device, so that it can be printed and tested. A [`Memory`] gives the storages their
//! buffers and its [`Mirrors`] their textures, and a [`Program`] is a recording with its pipelines and bind groups, ready to be replayed.

mod device;
mod fault;
mod instance;
mod mirror;
mod named;
#[cfg(not(target_arch = "wasm32"))]
mod objects;
mod program;
mod recording;
mod shader;
mod timing;
mod translate;

pub use device::{AdapterChoice, AdapterRecord, Gpu, OpenedGpu, adapter, adapters, missing_driver_remedy};
pub use fault::is_polling;
pub use mirror::Mirrors;
#[cfg(not(target_arch = "wasm32"))]
pub use objects::{Count, Objects};
pub use program::{Memory, Program};
pub use recording::{Command, Cost, Dispatch, MAX_GROUPS, Operand, Recording, Variant, fold};
pub use shader::{Binding, BindingKind, Constant, Field, KernelSpec, Module, Source};
pub use timing::Clock;
pub use translate::Language;
