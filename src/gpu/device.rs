//! Listing adapters, choosing one, opening it; kernels are created and shared here.

use super::fault::{self, Faults};
use super::instance::instance;
use super::named;
use super::shader::{Binding, BindingKind, Field, KernelSpec};
use crate::error::{Error, Result};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What `--device` asks for, the CPU aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdapterChoice {
    /// Discrete before integrated before virtual before software.
    Auto,
    /// By its number in [`adapters`].
    Index(usize),
    /// By a part of its name, upper or lower case; it must be that of one device alone.
    Name(String),
}

/// An adapter as [`adapters`] found it.
pub struct AdapterRecord {
    /// Its number, as `--device INDEX` takes it.
    pub index: usize,
    /// Name, driver, backend, type.
    pub info: wgpu::AdapterInfo,
    /// What it allows at most.
    pub limits: wgpu::Limits,
    /// What it can do.
    pub features: wgpu::Features,
    adapter: wgpu::Adapter,
    instance: wgpu::Instance,
}

impl AdapterRecord {
    /// Whether it is a driver that computes on the CPU.
    pub fn is_software(&self) -> bool {
        self.info.device_type == wgpu::DeviceType::Cpu
    }

    /// "llvmpipe (LLVM 15) (software, Vulkan, Mesa 22.3.6)"
    pub fn describe(&self) -> String {
        describe(&self.info)
    }

    /// "discrete GPU", "software", …
    pub fn type_name(&self) -> &'static str {
        type_name(self.info.device_type)
    }

    /// Driver and its version.
    pub fn driver(&self) -> String {
        driver(&self.info)
    }
}

pub(super) fn describe(info: &wgpu::AdapterInfo) -> String {
    format!("{} ({}, {}, {})", info.name, type_name(info.device_type), info.backend, driver(info))
}

fn driver(info: &wgpu::AdapterInfo) -> String {
    match (info.driver.is_empty(), info.driver_info.is_empty()) {
        (true, true) => "unnamed driver".to_string(),
        (_, true) => info.driver.clone(),
        (true, _) => info.driver_info.clone(),
        _ => format!("{} {}", info.driver, info.driver_info),
    }
}

fn type_name(kind: wgpu::DeviceType) -> &'static str {
    match kind {
        wgpu::DeviceType::DiscreteGpu => "discrete GPU",
        wgpu::DeviceType::IntegratedGpu => "integrated GPU",
        wgpu::DeviceType::VirtualGpu => "virtual GPU",
        wgpu::DeviceType::Cpu => "software",
        wgpu::DeviceType::Other => "other",
    }
}

/// Smaller is better.
fn rank(kind: wgpu::DeviceType) -> u8 {
    match kind {
        wgpu::DeviceType::DiscreteGpu => 0,
        wgpu::DeviceType::IntegratedGpu => 1,
        wgpu::DeviceType::VirtualGpu => 2,
        wgpu::DeviceType::Other => 3,
        wgpu::DeviceType::Cpu => 4,
    }
}

/// All adapters that can run compute shaders here, in the driver's order.
pub async fn adapters() -> Vec<AdapterRecord> {
    let instance = instance();
    let found = instance.enumerate_adapters(wgpu::Backends::all()).await;
    let can_compute = |adapter: &wgpu::Adapter| {
        adapter.get_downlevel_capabilities().flags.contains(wgpu::DownlevelFlags::COMPUTE_SHADERS)
    };
    found
        .into_iter()
        .filter(can_compute)
        .enumerate()
        .map(|(index, adapter)| AdapterRecord {
            index,
            info: adapter.get_info(),
            limits: adapter.limits(),
            features: adapter.features(),
            adapter,
            instance: instance.clone(),
        })
        .collect()
}

/// The adapter of a choice, not opened. `Ok(None)`: there is none at all, and `choice` was [`AdapterChoice::Auto`].
pub async fn adapter(choice: &AdapterChoice) -> Result<Option<AdapterRecord>> {
    let mut found = adapters().await;
    let position = match choice {
        AdapterChoice::Auto => {
            match found.iter().enumerate().min_by_key(|(_, a)| (rank(a.info.device_type), a.index)) {
                Some((position, _)) => position,
                None => return Ok(None),
            }
        }
        AdapterChoice::Index(index) if *index < found.len() => *index,
        AdapterChoice::Index(index) => return Err(no_such_device(&index.to_string(), &found)),
        AdapterChoice::Name(part) => {
            let infos: Vec<&wgpu::AdapterInfo> = found.iter().map(|record| &record.info).collect();
            named::position(part, &infos)?.ok_or_else(|| no_such_device(part, &found))?
        }
    };
    Ok(Some(found.swap_remove(position)))
}

/// How to get a driver on this platform.
pub fn missing_driver_remedy() -> &'static str {
    if cfg!(target_os = "linux") {
        "run scripts/setup, or install a Vulkan driver (Debian, Ubuntu: apt-get install mesa-vulkan-drivers)"
    } else if cfg!(target_os = "macos") {
        "Metal needs macOS 10.13 or later and a session that may use the GPU"
    } else {
        "install the GPU maker's driver with Vulkan or DirectX 12 support"
    }
}

/// The adapter that was opened, and how the choice was made.
pub struct OpenedGpu {
    /// Ready for work.
    pub gpu: Gpu,
    /// What was taken.
    pub description: String,
    /// Whether it computes on the CPU.
    pub software: bool,
}

impl OpenedGpu {
    async fn open(record: AdapterRecord, uniform_fields: &'static [Field]) -> Result<OpenedGpu> {
        let (description, software) = (record.describe(), record.is_software());
        let gpu = Gpu::from_adapter(record, uniform_fields).await?;
        Ok(OpenedGpu { gpu, description, software })
    }
}

/// A compiled kernel with its layout.
pub(crate) struct Kernel {
    pub pipeline: wgpu::ComputePipeline,
    pub layout: wgpu::BindGroupLayout,
    /// Of group 0.
    pub bindings: Vec<Binding>,
    /// Whether it reads the per-step uniform in group 1.
    pub uses_uniform: bool,
}

/// An open device with its queue and its kernels.
pub struct Gpu {
    /// What was opened.
    pub info: wgpu::AdapterInfo,
    /// What it allows.
    pub limits: wgpu::Limits,
    pub(crate) device: wgpu::Device,
    pub(crate) queue: wgpu::Queue,
    #[cfg_attr(target_arch = "wasm32", expect(dead_code, reason = "only `objects` asks it, which browsers have not"))]
    pub(super) instance: wgpu::Instance,
    pub(crate) uniform_layout: wgpu::BindGroupLayout,
    /// Number of the adapter.
    index: usize,
    uniform_fields: &'static [Field],
    kernels: Mutex<HashMap<String, Arc<Kernel>>>,
    faults: Faults,
    /// Whether kernels are not those of `shaders/`, so that nothing is known of their loops.
    pub(crate) has_foreign_kernels: bool,
}

impl Gpu {
    /// Opens an adapter. `Ok(None)`: there is none at all, and `choice` was [`AdapterChoice::Auto`].
    ///
    /// `uniform_fields` are the members of the uniform struct that kernels may declare in group 1; every kernel's
    /// declaration is compared with it.
    pub async fn open(choice: &AdapterChoice, uniform_fields: &'static [Field]) -> Result<Option<OpenedGpu>> {
        match adapter(choice).await? {
            Some(record) => Ok(Some(OpenedGpu::open(record, uniform_fields).await?)),
            None => Ok(None),
        }
    }

    /// The same adapter, opened once more. What fails there is no fault of this device, and what it holds is freed with
    /// it.
    pub async fn open_again(&self) -> Result<Gpu> {
        match adapter(&AdapterChoice::Index(self.index)).await? {
            Some(record) if record.info.name == self.info.name => Gpu::from_adapter(record, self.uniform_fields).await,
            _ => Err(Error::Device(format!("{} is not there any more", self.info.name))),
        }
    }

    async fn from_adapter(record: AdapterRecord, uniform_fields: &'static [Field]) -> Result<Gpu> {
        let wanted = wgpu::Features::TIMESTAMP_QUERY | wgpu::Features::SUBGROUP | wgpu::Features::SHADER_INT64;
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("shadegrad"),
            required_features: record.features & wanted,
            required_limits: record.limits.clone(),
            ..Default::default()
        };
        let (device, queue) = record.adapter.request_device(&descriptor).await.map_err(|error| {
            Error::Device(format!("cannot open {}: {error}; try another device", record.describe()))
        })?;
        let faults = Faults::default();
        let uncaptured = faults.clone();
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| uncaptured.report(&error)));
        let lost = faults.clone();
        device.set_device_lost_callback(move |reason, message| lost.report_loss(reason, &message));
        let uniform_layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: Some("per-step uniform"),
            entries: &[layout_entry(0, BindingKind::Uniform)],
        });
        let gpu = Gpu {
            info: record.info,
            limits: record.limits,
            device,
            queue,
            instance: record.instance,
            uniform_layout,
            index: record.index,
            uniform_fields,
            kernels: Mutex::default(),
            faults,
            has_foreign_kernels: false,
        };
        gpu.check("opening the device")?;
        Ok(gpu)
    }

    /// Whether the driver computes on the CPU.
    pub fn is_software(&self) -> bool {
        self.info.device_type == wgpu::DeviceType::Cpu
    }

    /// Invocations of a subgroup, where kernels may use subgroups and all have the same size.
    pub fn lanes(&self) -> Option<usize> {
        let fixed = self.info.subgroup_min_size == self.info.subgroup_max_size;
        let usable = fixed && self.device.features().contains(wgpu::Features::SUBGROUP);
        usable.then_some(self.info.subgroup_min_size as usize)
    }

    /// Whether kernels may use 64-bit integers.
    pub fn has_64_bit(&self) -> bool {
        self.device.features().contains(wgpu::Features::SHADER_INT64)
    }

    /// "software", "discrete GPU", …
    pub fn type_name(&self) -> &'static str {
        type_name(self.info.device_type)
    }

    /// Driver and version.
    pub fn driver(&self) -> String {
        driver(&self.info)
    }

    /// Fails with what the device has reported since it was opened. `during` says at what.
    pub fn check(&self, during: &str) -> Result<()> {
        if self.faults.any() && cfg!(not(target_arch = "wasm32")) {
            // Of a loss, only the errors that follow from it may have been heard yet.
            fault::look(&self.device, during)?;
        }
        self.faults.check(during)
    }

    /// The same adapter opened anew, after this device was lost. Its driver may be another by now.
    pub async fn reopen(&self) -> Result<Option<OpenedGpu>> {
        let place = |info: &wgpu::AdapterInfo| {
            (info.name.clone(), info.vendor, info.device, info.device_pci_bus_id.clone(), info.backend)
        };
        let found = adapters().await.into_iter().find(|record| place(&record.info) == place(&self.info));
        match found {
            Some(record) => Ok(Some(OpenedGpu::open(record, self.uniform_fields).await?)),
            None => Ok(None),
        }
    }

    /// Ends the device, as a reset would: all that uses it fails from now on. For tests of what follows then.
    pub fn destroy(&self) {
        self.device.destroy();
    }

    /// The kernel of a specification; compiled once.
    pub(crate) fn kernel(&self, spec: &KernelSpec) -> Result<Arc<Kernel>> {
        let key = spec.key();
        let mut kernels = self.kernels.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kernel) = kernels.get(&key) {
            return Ok(kernel.clone());
        }
        let kernel = Arc::new(self.compile(spec)?);
        kernels.insert(key, kernel.clone());
        Ok(kernel)
    }

    fn compile(&self, spec: &KernelSpec) -> Result<Kernel> {
        let name = spec.name();
        let module = spec.module()?;
        if module.workgroup_size > self.limits.max_compute_invocations_per_workgroup {
            let most = self.limits.max_compute_invocations_per_workgroup;
            let size = module.workgroup_size;
            return Err(Error::Device(format!("{name}: {size} invocations a workgroup, this device allows {most}")));
        }
        let uses_uniform = module.bindings.iter().any(|binding| binding.kind == BindingKind::Uniform);
        if uses_uniform {
            check_fields(name, &module.uniform, self.uniform_fields)?;
        }
        let bindings: Vec<Binding> = module.bindings.into_iter().filter(|binding| binding.group == 0).collect();
        let entries: Vec<_> = bindings.iter().map(|binding| layout_entry(binding.index, binding.kind)).collect();
        let layout = self
            .device
            .create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: Some(name), entries: &entries });
        let mut groups = vec![Some(&layout)];
        if uses_uniform {
            groups.push(Some(&self.uniform_layout));
        }
        let pipeline_layout = self.device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some(name),
            bind_group_layouts: &groups,
            immediate_size: 0,
        });
        let source = source(spec, module.naga)?;
        let descriptor = wgpu::ShaderModuleDescriptor { label: Some(name), source };
        let checks = wgpu::ShaderRuntimeChecks {
            force_loop_bounding: self.has_foreign_kernels,
            bounds_checks: self.has_foreign_kernels || self.info.backend != wgpu::Backend::Vulkan,
            ..wgpu::ShaderRuntimeChecks::checked()
        };
        // SAFETY: every loop in `shaders/` has a bound that does not depend on data, so none is endless; guarding loops
        // costs real GPUs dearly. Vulkan drivers check the bounds of buffers and images themselves (wgpu always asks for
        // `robustBufferAccess`), and an index into a local array comes from a loop over that array: clamping it as well
        // keeps Mesa from unrolling the loop, which made the matrix engine five times as slow on lavapipe. Foreign
        // kernels are given all checks.
        #[expect(unsafe_code, reason = "shaders without the checks that the comment above shows to be needless")]
        let shader = unsafe { self.device.create_shader_module_trusted(descriptor, checks) };
        let pipeline = self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(name),
            layout: Some(&pipeline_layout),
            module: &shader,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions {
                zero_initialize_workgroup_memory: self.has_foreign_kernels,
                ..Default::default()
            },
            cache: None,
        });
        self.check(&format!("compiling kernel {name}"))?;
        Ok(Kernel { pipeline, layout, bindings, uses_uniform })
    }

    /// A buffer of at least one element; `label` names it in errors.
    pub(crate) fn buffer(&self, label: &str, bytes: u64, usage: wgpu::BufferUsages) -> Result<wgpu::Buffer> {
        let binding_limit = self.limits.max_storage_buffer_binding_size;
        if usage.contains(wgpu::BufferUsages::STORAGE) && bytes > binding_limit {
            return Err(Error::Device(format!(
                "buffer `{label}` needs {} MiB, this device binds at most {} MiB; use a smaller batch size or fewer images",
                bytes.div_ceil(1 << 20),
                binding_limit >> 20
            )));
        }
        let size = bytes.max(4).next_multiple_of(4);
        let descriptor = wgpu::BufferDescriptor { label: Some(label), size, usage, mapped_at_creation: false };
        let buffer = self.device.create_buffer(&descriptor);
        self.check(&format!("allocating buffer `{label}` ({} KiB)", size.div_ceil(1024)))?;
        Ok(buffer)
    }

    /// Waits until everything submitted so far is done.
    pub async fn finish(&self, during: &str) -> Result<()> {
        let (sender, receiver) = futures_channel::oneshot::channel();
        self.queue.on_submitted_work_done(move || {
            let _ = sender.send(());
        });
        self.drive(during)?;
        // A lost device calls nobody back.
        self.check(during)?;
        let _ = receiver.await;
        self.check(during)
    }

    /// Copies bytes of a buffer back to the host.
    pub(crate) async fn read(&self, label: &str, buffer: &wgpu::Buffer, offset: u64, bytes: u64) -> Result<Vec<u8>> {
        let during = format!("reading back `{label}`");
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        let staging = self.buffer("readback", bytes, usage)?;
        let mut encoder = self.device.create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(buffer, offset, &staging, 0, bytes);
        self.queue.submit([encoder.finish()]);
        self.check(&during)?;
        let (sender, receiver) = futures_channel::oneshot::channel();
        staging.map_async(wgpu::MapMode::Read, .., move |mapped| {
            let _ = sender.send(mapped);
        });
        self.drive(&during)?;
        self.check(&during)?;
        let mapped = receiver.await;
        self.check(&during)?;
        match mapped {
            Ok(Ok(())) => {}
            _ => return Err(Error::Device(format!("{during}: the buffer could not be mapped"))),
        }
        let view = staging.get_mapped_range(..).map_err(|error| Error::Device(format!("{during}: {error}")))?;
        Ok(view[..bytes as usize].to_vec())
    }

    /// Callbacks run only while somebody polls. A browser does that by itself; elsewhere we do, and block.
    fn drive(&self, during: &str) -> Result<()> {
        if cfg!(target_arch = "wasm32") { Ok(()) } else { fault::wait(&self.device, during) }
    }
}

/// What the driver is given: here the module that `naga` has read.
#[cfg(not(target_arch = "wasm32"))]
fn source(_: &KernelSpec, module: naga::Module) -> Result<wgpu::ShaderSource<'static>> {
    Ok(wgpu::ShaderSource::Naga(std::borrow::Cow::Owned(module)))
}

/// What the driver is given: a browser compiles the WGSL itself.
#[cfg(target_arch = "wasm32")]
fn source(spec: &KernelSpec, _: naga::Module) -> Result<wgpu::ShaderSource<'static>> {
    Ok(wgpu::ShaderSource::Wgsl(spec.text()?.into()))
}

fn no_such_device(asked: &str, found: &[AdapterRecord]) -> Error {
    if found.is_empty() {
        return Error::Device(format!(
            "no device `{asked}`: there is no GPU driver at all; {}",
            missing_driver_remedy()
        ));
    }
    let list: Vec<String> = found.iter().map(|record| format!("{}: {}", record.index, record.info.name)).collect();
    Error::Device(format!("no device `{asked}`; expected auto, cpu, reference, or one of: {}", list.join(", ")))
}

fn check_fields(kernel: &str, declared: &[(String, usize, String)], expected: &[Field]) -> Result<()> {
    let same = declared.len() == expected.len()
        && declared.iter().zip(expected).all(|(d, e)| (d.0.as_str(), d.1, d.2.as_str()) == *e);
    if same {
        return Ok(());
    }
    Err(Error::Shader(format!(
        "{kernel}: the uniform struct differs between WGSL and Rust\n  WGSL {declared:?}\n  Rust {expected:?}"
    )))
}

fn layout_entry(binding: u32, kind: BindingKind) -> wgpu::BindGroupLayoutEntry {
    let buffer = |ty, has_dynamic_offset| wgpu::BindingType::Buffer { ty, has_dynamic_offset, min_binding_size: None };
    let ty = match kind {
        BindingKind::Read => buffer(wgpu::BufferBindingType::Storage { read_only: true }, false),
        BindingKind::ReadWrite => buffer(wgpu::BufferBindingType::Storage { read_only: false }, false),
        BindingKind::Uniform => buffer(wgpu::BufferBindingType::Uniform, true),
        BindingKind::Texture => wgpu::BindingType::StorageTexture {
            access: wgpu::StorageTextureAccess::ReadOnly,
            format: wgpu::TextureFormat::Rgba32Float,
            view_dimension: wgpu::TextureViewDimension::D2,
        },
    };
    wgpu::BindGroupLayoutEntry { binding, visibility: wgpu::ShaderStages::COMPUTE, ty, count: None }
}
