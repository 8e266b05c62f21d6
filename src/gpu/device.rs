//! An open device: its limits, the errors it reports, and reading buffers back.

use super::adapter::{AdapterChoice, AdapterRecord, adapter, adapters, driver, type_name};
use super::fault::{self, Faults};
use super::kernel::{Kernel, layout_entry};
use super::limits::LimitProfile;
use super::shader::{BindingKind, Field};
use crate::error::{Error, Result};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

/// A device that was opened, with a description.
pub struct OpenedGpu {
    /// The open device.
    pub gpu: Gpu,
    /// Name, type, backend and driver of the adapter in one line.
    pub description: String,
}

impl OpenedGpu {
    async fn open(record: AdapterRecord, uniform_fields: &'static [Field]) -> Result<OpenedGpu> {
        let description = record.describe();
        let gpu = Gpu::from_adapter(record, uniform_fields).await?;
        Ok(OpenedGpu { gpu, description })
    }
}

/// An open device with its queue and its kernels.
pub struct Gpu {
    /// The adapter that was opened.
    pub info: wgpu::AdapterInfo,
    /// Limits of the device.
    pub limits: wgpu::Limits,
    /// The profile that takes limits and features away from it.
    pub profile: Option<&'static LimitProfile>,
    pub(crate) device: wgpu::Device,
    pub(crate) queue: wgpu::Queue,
    #[cfg_attr(target_arch = "wasm32", expect(dead_code, reason = "used only by `objects`, which browsers lack"))]
    pub(super) instance: wgpu::Instance,
    pub(crate) uniform_layout: wgpu::BindGroupLayout,
    /// Index of the adapter in [`adapters`].
    index: usize,
    pub(super) uniform_fields: &'static [Field],
    pub(super) kernels: Mutex<HashMap<String, Arc<Kernel>>>,
    faults: Faults,
    /// Whether kernels may come from outside `shaders/`, in which case nothing is known about their loops and indices.
    pub(crate) has_foreign_kernels: bool,
}

impl Gpu {
    /// Opens an adapter. `Ok(None)` means that `choice` is [`AdapterChoice::Auto`] and there are no adapters.
    ///
    /// `uniform_fields` are the members of the uniform struct that kernels may declare in group 1; the declaration of
    /// every kernel is compared with them.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] when there is no such adapter or it cannot be opened, [`Error::Usage`] when a name matches
    /// several.
    pub async fn open(choice: &AdapterChoice, uniform_fields: &'static [Field]) -> Result<Option<OpenedGpu>> {
        match adapter(choice).await? {
            Some(record) => Ok(Some(OpenedGpu::open(record, uniform_fields).await?)),
            None => Ok(None),
        }
    }

    /// Opens the same adapter as a second device. Its errors do not affect this device, and its memory is freed when it
    /// is dropped.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] when the adapter is no longer available or cannot be opened.
    pub async fn open_again(&self) -> Result<Gpu> {
        match adapter(&AdapterChoice::Index(self.index)).await? {
            Some(record) if record.info.name == self.info.name => Gpu::from_adapter(record, self.uniform_fields).await,
            _ => Err(Error::Device(format!("{} is no longer available", self.info.name))),
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
            profile: record.profile,
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

    /// Whether the driver runs shaders on the CPU.
    pub fn is_software(&self) -> bool {
        self.info.device_type == wgpu::DeviceType::Cpu
    }

    /// Number of invocations per subgroup, if kernels may use subgroups and all subgroups have the same size.
    pub fn lanes(&self) -> Option<usize> {
        let fixed = self.info.subgroup_min_size == self.info.subgroup_max_size;
        let usable = fixed && self.device.features().contains(wgpu::Features::SUBGROUP);
        usable.then_some(self.info.subgroup_min_size as usize)
    }

    /// Whether kernels may use 64-bit integers.
    pub fn has_64_bit(&self) -> bool {
        self.device.features().contains(wgpu::Features::SHADER_INT64)
    }

    /// The type in words: `software`, `discrete GPU`, …
    pub fn type_name(&self) -> &'static str {
        type_name(self.info.device_type)
    }

    /// Name and version of the driver.
    pub fn driver(&self) -> String {
        driver(&self.info)
    }

    /// Checks that the device has reported no error since it was opened. `during` names the activity in error messages.
    ///
    /// # Errors
    ///
    /// [`Error::DeviceLost`] when the device can no longer be used, [`Error::Device`] for other errors.
    pub fn check(&self, during: &str) -> Result<()> {
        if self.faults.any() && cfg!(not(target_arch = "wasm32")) {
            // After a loss, errors that follow from it may arrive before the report of the loss itself.
            fault::run_callbacks(&self.device, during)?;
        }
        self.faults.check(during)
    }

    /// Opens the same adapter again, after this device was lost. Its driver may have changed since.
    pub(crate) async fn reopen(&self) -> Result<Option<OpenedGpu>> {
        let place = |info: &wgpu::AdapterInfo| {
            (info.name.clone(), info.vendor, info.device, info.device_pci_bus_id.clone(), info.backend)
        };
        let found = adapters().await.into_iter().find(|record| place(&record.info) == place(&self.info));
        match found {
            Some(record) => Ok(Some(OpenedGpu::open(record, self.uniform_fields).await?)),
            None => Ok(None),
        }
    }

    /// Destroys the device: everything that uses it fails from now on, as after a reset. Closes devices, and simulates
    /// losses in tests.
    pub fn destroy(&self) {
        self.device.destroy();
    }

    /// A buffer of at least one element; `label` names it in errors.
    pub(crate) fn buffer(&self, label: &str, bytes: u64, usage: wgpu::BufferUsages) -> Result<wgpu::Buffer> {
        let binding_limit = self.limits.max_storage_buffer_binding_size;
        if usage.contains(wgpu::BufferUsages::STORAGE) && bytes > binding_limit {
            return Err(Error::Device(format!(
                "buffer `{label}` needs {} MiB, but this device binds at most {} MiB; use a smaller batch size \
                 or fewer images",
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

    /// Waits until all work submitted so far is done. `during` names the activity in error messages.
    ///
    /// # Errors
    ///
    /// [`Error::DeviceLost`] when the device is lost or does not answer, [`Error::Device`] for other errors that it
    /// reports.
    pub async fn finish(&self, during: &str) -> Result<()> {
        let (sender, receiver) = futures_channel::oneshot::channel();
        self.queue.on_submitted_work_done(move || {
            let _ = sender.send(());
        });
        self.drive(during)?;
        // A lost device never runs the callback.
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
        let mut read: Vec<u8> = self.mapped(&staging, receiver, &during).await?;
        read.truncate(bytes as usize);
        Ok(read)
    }

    /// Waits until a staging buffer is mapped, as its callback says, and copies its content.
    pub(super) async fn mapped<T: bytemuck::Pod>(
        &self,
        staging: &wgpu::Buffer,
        said: futures_channel::oneshot::Receiver<Result<(), wgpu::BufferAsyncError>>,
        during: &str,
    ) -> Result<Vec<T>> {
        self.check(during)?;
        let mapped = said.await;
        self.check(during)?;
        match mapped {
            Ok(Ok(())) => {}
            _ => return Err(Error::Device(format!("{during}: the buffer could not be mapped"))),
        }
        let view = staging.get_mapped_range(..).map_err(|error| Error::Device(format!("{during}: {error}")))?;
        Ok(bytemuck::pod_collect_to_vec(&view))
    }

    /// Blocks until all submitted work is done, so that callbacks run: they run only while the device is polled. A
    /// browser polls by itself.
    fn drive(&self, during: &str) -> Result<()> {
        if cfg!(target_arch = "wasm32") { Ok(()) } else { fault::wait(&self.device, during) }
    }
}
