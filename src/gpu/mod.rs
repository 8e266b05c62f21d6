//! The layer over `wgpu`, which knows nothing of neural networks.
//!
//! [`adapters`] lists the adapters, one of which is opened as a [`Gpu`]. A [`Recording`] is a plain list of dispatches
//! over regions of storages, made without a device so that it can be printed and tested. A [`Memory`] holds the buffers
//! of the storages and the textures of their [`Mirrors`], and a [`Program`] is a recording with its pipelines and bind
//! groups, ready to be replayed.

mod adapter;
mod device;
mod fault;
mod instance;
mod kernel;
mod limits;
mod mirror;
mod named;
#[cfg(not(target_arch = "wasm32"))]
mod objects;
mod program;
mod readback;
mod recording;
mod shader;
mod timing;
mod translate;

pub use adapter::{AdapterChoice, AdapterRecord, adapter, adapters, missing_driver_remedy};
pub use device::{Gpu, OpenedGpu};
pub use fault::is_polling;
pub use limits::{LIMIT_PROFILES, LIMITS_VARIABLE, LimitProfile};
pub use mirror::Mirrors;
#[cfg(not(target_arch = "wasm32"))]
pub use objects::{Count, Objects};
pub use program::{Memory, Program};
pub use readback::Readback;
pub use recording::{Command, Dispatch, MAX_GROUPS, Operand, Recording, Variant, Work, fold};
pub use shader::{Binding, BindingKind, Constant, Field, KernelSpec, Module, ShaderFile};
pub use timing::Clock;
pub use translate::Language;
