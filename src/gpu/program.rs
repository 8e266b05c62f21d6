//! A recording with its buffers, pipelines and bind groups, which is replayed step after step.

use super::device::Gpu;
use super::kernel::Kernel;
use super::mirror::{Mirrors, ROW_BYTES, TEXEL_BYTES, WIDTH, rows};
use super::recording::{Command, Dispatch, Operand, Recording};
use super::shader::BindingKind;
use crate::error::{Error, Result};
use crate::storage::{Region, StorageId};
use std::ops::Range;
use std::sync::Arc;

struct Storage {
    name: String,
    buffer: wgpu::Buffer,
}

/// The device memory of the storages and of their mirrors.
pub struct Memory {
    storages: Vec<Storage>,
    mirrors: Mirrors,
    textures: Vec<(wgpu::Texture, wgpu::TextureView)>,
    scratch: wgpu::Buffer,
    uniform: wgpu::Buffer,
    uniform_group: wgpu::BindGroup,
    uniform_stride: u64,
    bytes: u64,
}

impl Memory {
    /// Largest number of uniforms per submit, and so of steps per submit.
    pub const UNIFORMS: usize = 256;

    /// Allocates the storages (name, length in 4-byte elements) and what else the recordings need: mirrors, scratch
    /// memory, and the uniforms of a submit (`uniform_bytes` each). All memory is initially zero.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] or [`Error::DeviceLost`] when a buffer or mirror exceeds the limits of the device or cannot be
    /// allocated.
    pub fn new(
        gpu: &Gpu,
        storages: &[(String, usize)],
        recordings: &[&Recording],
        uniform_bytes: usize,
    ) -> Result<Memory> {
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
        let mirrors = Mirrors::new(recordings);
        let mut bytes = 0;
        let mut all = Vec::new();
        for (id, (name, len)) in storages.iter().enumerate() {
            let size = mirrors.buffer_bytes(StorageId(id), *len);
            all.push(Storage { name: name.clone(), buffer: gpu.buffer(name, size, usage)? });
            bytes += size;
        }
        let mut textures = Vec::new();
        for (index, size) in mirrors.textures().enumerate() {
            let largest = mirrors.regions(index).max_by_key(|region| region.len);
            let name = largest.map_or("", |region| &all[region.storage.0].name);
            textures.push(texture(gpu, name, size)?);
            bytes += size;
        }
        let scratch_len = recordings.iter().map(|recording| recording.scratch_len()).max().unwrap_or(0);
        let scratch_bytes = (scratch_len as u64 * 4).next_multiple_of(TEXEL_BYTES);
        let scratch = gpu.buffer("scratch", scratch_bytes, usage)?;
        let uniform_stride =
            (uniform_bytes as u64).next_multiple_of(u64::from(gpu.limits.min_uniform_buffer_offset_alignment));
        let uniform = gpu.buffer(
            "per-step uniforms",
            uniform_stride * Memory::UNIFORMS as u64,
            wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
        )?;
        let binding =
            wgpu::BufferBinding { buffer: &uniform, offset: 0, size: std::num::NonZeroU64::new(uniform_bytes as u64) };
        let uniform_group = gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("per-step uniform"),
            layout: &gpu.uniform_layout,
            entries: &[wgpu::BindGroupEntry { binding: 0, resource: wgpu::BindingResource::Buffer(binding) }],
        });
        gpu.check("allocating device memory")?;
        bytes += scratch_bytes + uniform_stride * Memory::UNIFORMS as u64;
        Ok(Memory { storages: all, mirrors, textures, scratch, uniform, uniform_group, uniform_stride, bytes })
    }

    /// Number of bytes allocated on the device.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Overwrites the start of a region. `data` holds whole 4-byte elements.
    pub fn write(&self, gpu: &Gpu, region: Region, data: &[u8]) {
        debug_assert!(data.len() <= region.len * 4);
        gpu.queue.write_buffer(&self.storages[region.storage.0].buffer, region.offset as u64 * 4, data);
    }

    /// Reads a region back.
    pub async fn read(&self, gpu: &Gpu, region: Region) -> Result<Vec<u8>> {
        let storage = &self.storages[region.storage.0];
        gpu.read(&storage.name, &storage.buffer, region.offset as u64 * 4, region.len as u64 * 4).await
    }

    /// Copies a region to another buffer, at its element `at`.
    pub(super) fn copy_to(&self, encoder: &mut wgpu::CommandEncoder, region: Region, target: &wgpu::Buffer, at: usize) {
        let buffer = &self.storages[region.storage.0].buffer;
        encoder.copy_buffer_to_buffer(buffer, region.offset as u64 * 4, target, at as u64 * 4, region.len as u64 * 4);
    }

    /// Reads back the first `len` elements of the scratch memory.
    pub(crate) async fn read_scratch(&self, gpu: &Gpu, len: usize) -> Result<Vec<u8>> {
        gpu.read("scratch", &self.scratch, 0, len as u64 * 4).await
    }

    fn resource(&self, operand: &Operand) -> Result<wgpu::BindingResource<'_>> {
        let part = |buffer, offset: usize, len: usize| {
            // Kernels that use vec4 may access the rest of the last vec4.
            let size = std::num::NonZeroU64::new((len as u64 * 4).next_multiple_of(TEXEL_BYTES));
            wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer, offset: offset as u64 * 4, size })
        };
        match operand {
            Operand::Buffer(region) => Ok(part(&self.storages[region.storage.0].buffer, region.offset, region.len)),
            Operand::Scratch(len) => Ok(part(&self.scratch, 0, *len)),
            Operand::Mirror(region) => {
                let name = &self.storages[region.storage.0].name;
                let texture = self.mirrors.texture(region);
                let texture = texture.ok_or_else(|| Error::Device(format!("storage `{name}` has no mirror")))?;
                Ok(wgpu::BindingResource::TextureView(&self.textures[texture].1))
            }
        }
    }

    pub(super) fn write_uniforms<U: bytemuck::Pod>(&self, gpu: &Gpu, uniforms: &[U]) {
        debug_assert!(uniforms.len() <= Memory::UNIFORMS);
        let mut bytes = vec![0; self.uniform_stride as usize * uniforms.len()];
        for (slot, uniform) in bytes.chunks_mut(self.uniform_stride as usize).zip(uniforms) {
            slot[..size_of::<U>()].copy_from_slice(bytemuck::bytes_of(uniform));
        }
        gpu.queue.write_buffer(&self.uniform, 0, &bytes);
    }

    pub(super) fn dispatch(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        kernel: &Kernel,
        group: &wgpu::BindGroup,
        groups: [u32; 2],
        uniform_offset: u32,
    ) {
        pass.set_pipeline(&kernel.pipeline);
        pass.set_bind_group(0, group, &[]);
        if kernel.uses_uniform {
            pass.set_bind_group(1, &self.uniform_group, &[uniform_offset]);
        }
        pass.dispatch_workgroups(groups[0], groups[1], 1);
    }

    pub(super) fn copy_to_mirror(&self, encoder: &mut wgpu::CommandEncoder, region: &Region) {
        let Some(texture) = self.mirrors.texture(region) else { return };
        let source = wgpu::TexelCopyBufferInfo {
            buffer: &self.storages[region.storage.0].buffer,
            layout: wgpu::TexelCopyBufferLayout {
                offset: region.offset as u64 * 4,
                bytes_per_row: Some(ROW_BYTES as u32),
                rows_per_image: None,
            },
        };
        let target = self.textures[texture].0.as_image_copy();
        let size = wgpu::Extent3d { width: WIDTH, height: rows(region) as u32, depth_or_array_layers: 1 };
        encoder.copy_buffer_to_texture(source, target, size);
    }
}

/// A texture for mirrors of up to `bytes` bytes; the storage `name` has the largest.
fn texture(gpu: &Gpu, name: &str, bytes: u64) -> Result<(wgpu::Texture, wgpu::TextureView)> {
    let height = bytes.div_ceil(ROW_BYTES) as u32;
    if height > gpu.limits.max_texture_dimension_2d {
        return Err(Error::Device(format!("storage `{name}` is too large for a mirror; use a smaller batch size")));
    }
    let texture = gpu.device.create_texture(&wgpu::TextureDescriptor {
        label: Some(name),
        size: wgpu::Extent3d { width: WIDTH, height, depth_or_array_layers: 1 },
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format: wgpu::TextureFormat::Rgba32Float,
        usage: wgpu::TextureUsages::STORAGE_BINDING | wgpu::TextureUsages::COPY_DST,
        view_formats: &[],
    });
    let view = texture.create_view(&Default::default());
    gpu.check(&format!("allocating the mirror of `{name}`"))?;
    Ok((texture, view))
}

pub(super) enum Prepared {
    Dispatch { kernel: Arc<Kernel>, group: wgpu::BindGroup, groups: [u32; 2] },
    Mirror(Region),
}

/// A recording that is ready to be replayed.
pub struct Program {
    /// The recorded commands, each with its prepared form.
    pub(super) commands: Vec<(Command, Prepared)>,
    marks: Vec<usize>,
}

impl Program {
    /// Compiles the kernels and creates the bind groups.
    ///
    /// # Errors
    ///
    /// [`Error::Shader`] when a kernel is not valid or its bindings differ from the operands, [`Error::Device`] when
    /// the device does not accept it.
    pub fn new(gpu: &Gpu, memory: &Memory, recording: &Recording) -> Result<Program> {
        let prepare = |command: &Command| match command {
            Command::Mirror { region, .. } => Ok((command.clone(), Prepared::Mirror(*region))),
            Command::Dispatch(dispatch) => Ok((command.clone(), prepare(gpu, memory, dispatch)?)),
        };
        let commands: Vec<_> = recording.commands.iter().map(prepare).collect::<Result<_>>()?;
        tracing::debug!(commands = commands.len(), "pipelines and bind groups created");
        Ok(Program { commands, marks: recording.marks.clone() })
    }

    /// The recorded commands, in order.
    pub fn commands(&self) -> impl Iterator<Item = &Command> {
        self.commands.iter().map(|(command, _)| command)
    }

    /// The commands of a range of passes: see [`Recording::mark`].
    pub(crate) fn commands_of(&self, passes: Range<usize>) -> Range<usize> {
        let at = |pass: usize| self.marks.get(pass).copied().unwrap_or(self.commands.len());
        at(passes.start)..at(passes.end)
    }

    /// Submits one replay for each uniform, in order; at most [`Memory::UNIFORMS`].
    ///
    /// # Errors
    ///
    /// Errors that the device has reported.
    pub fn submit<U: bytemuck::Pod>(&self, gpu: &Gpu, memory: &Memory, uniforms: &[U]) -> Result<()> {
        self.submit_ranges(gpu, memory, uniforms, |_| 0..self.commands.len())
    }

    /// Like [`Program::submit`], but replays only a range of the commands for each uniform.
    ///
    /// # Errors
    ///
    /// Errors that the device has reported.
    pub(crate) fn submit_ranges<U: bytemuck::Pod>(
        &self,
        gpu: &Gpu,
        memory: &Memory,
        uniforms: &[U],
        range: impl Fn(usize) -> Range<usize>,
    ) -> Result<()> {
        memory.write_uniforms(gpu, uniforms);
        for slots in growing(uniforms.len()) {
            let mut encoder = gpu.device.create_command_encoder(&Default::default());
            for slot in slots {
                let offset = (slot as u64 * memory.uniform_stride) as u32;
                encode(&self.commands[range(slot)], memory, &mut encoder, offset);
            }
            gpu.queue.submit([encoder.finish()]);
        }
        gpu.check("submitting work")
    }

    /// Submits a single command: the `index`-th of [`Program::commands`].
    pub(crate) fn submit_command<U: bytemuck::Pod>(
        &self,
        gpu: &Gpu,
        memory: &Memory,
        uniform: &U,
        index: usize,
    ) -> Result<()> {
        memory.write_uniforms(gpu, std::slice::from_ref(uniform));
        let mut encoder = gpu.device.create_command_encoder(&Default::default());
        encode(&self.commands[index..=index], memory, &mut encoder, 0);
        gpu.queue.submit([encoder.finish()]);
        gpu.check("submitting a command")
    }
}

/// Divides `count` replays into ranges, each for a submit of its own. The device starts on the first replays while the
/// host encodes the next ones. The ranges grow, so that the device has work for longer than the next one takes to encode,
/// and few submits are needed.
fn growing(count: usize) -> impl Iterator<Item = Range<usize>> {
    const FIRST: usize = 4;
    const MOST: usize = 32;
    let mut next = 0;
    let mut size = FIRST;
    std::iter::from_fn(move || {
        let range = next..count.min(next + size);
        (next, size) = (range.end, (2 * size).min(MOST));
        (!range.is_empty()).then_some(range)
    })
}

// ANCHOR: encode
/// Encodes one replay. Consecutive dispatches share a compute pass; a mirror copy ends it.
fn encode(commands: &[(Command, Prepared)], memory: &Memory, encoder: &mut wgpu::CommandEncoder, uniform_offset: u32) {
    let mut pass: Option<wgpu::ComputePass<'static>> = None;
    for (_, command) in commands {
        match command {
            Prepared::Mirror(region) => {
                pass = None;
                memory.copy_to_mirror(encoder, region);
            }
            Prepared::Dispatch { kernel, group, groups } => {
                let pass =
                    pass.get_or_insert_with(|| encoder.begin_compute_pass(&Default::default()).forget_lifetime());
                memory.dispatch(pass, kernel, group, *groups, uniform_offset);
            }
        }
    }
}
// ANCHOR_END: encode

fn prepare(gpu: &Gpu, memory: &Memory, dispatch: &Dispatch) -> Result<Prepared> {
    let label = &dispatch.label;
    let kernel = gpu.kernel(&dispatch.kernel)?;
    let given = dispatch.reads.len() + dispatch.writes.len();
    if given != kernel.bindings.len() {
        let names: Vec<_> = kernel.bindings.iter().map(|binding| binding.name.as_str()).collect();
        return Err(Error::Shader(format!("{label}: {given} operands for the bindings {}", names.join(", "))));
    }
    let mut entries = Vec::new();
    for binding in &kernel.bindings {
        let list = if binding.kind == BindingKind::ReadWrite { &dispatch.writes } else { &dispatch.reads };
        let operand = list.iter().find(|(name, _)| *name == binding.name).map(|(_, operand)| operand);
        let operand = operand.ok_or_else(|| {
            Error::Shader(format!("{label}: nothing bound to `{}` ({:?})", binding.name, binding.kind))
        })?;
        entries.push(wgpu::BindGroupEntry { binding: binding.index, resource: memory.resource(operand)? });
    }
    let descriptor = wgpu::BindGroupDescriptor { label: Some(label), layout: &kernel.layout, entries: &entries };
    let group = gpu.device.create_bind_group(&descriptor);
    gpu.check(&format!("binding {label}"))?;
    Ok(Prepared::Dispatch { kernel, group, groups: dispatch.groups })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_replay_is_submitted_once_and_in_order() {
        for count in [0, 1, 4, 5, 100, 256] {
            let ranges: Vec<_> = growing(count).collect();
            assert!(ranges.iter().flat_map(Clone::clone).eq(0..count), "{count}: {ranges:?}");
        }
        assert_eq!(growing(100).map(|range| range.len()).collect::<Vec<_>>(), [4, 8, 16, 32, 32, 8]);
    }
}
