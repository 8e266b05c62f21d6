//! Kernels, which are compiled once per device and shared.

use super::device::Gpu;
use super::shader::{Binding, BindingKind, Field, KernelSpec};
use crate::error::{Error, Result};
use std::sync::{Arc, PoisonError};

/// A compiled kernel with its layout.
pub(crate) struct Kernel {
    pub pipeline: wgpu::ComputePipeline,
    pub layout: wgpu::BindGroupLayout,
    /// The bindings of group 0.
    pub bindings: Vec<Binding>,
    /// Whether it reads the per-step uniform in group 1.
    pub uses_uniform: bool,
}

impl Gpu {
    /// The kernel of a specification; compiled on first use.
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
            return Err(Error::Device(format!("{name}: {size} invocations per workgroup, this device allows {most}")));
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
        // SAFETY: every loop in `shaders/` has a bound that does not depend on data, so none is endless; guards in
        // loops are expensive on GPUs. Vulkan drivers check the bounds of buffers and images themselves (wgpu always
        // requests `robustBufferAccess`), and every index into a local array comes from a loop over that array:
        // clamping it as well prevents Mesa from unrolling the loop, which made the matrix engine five times as slow on
        // lavapipe. Kernels from outside `shaders/` are compiled with all checks.
        #[expect(unsafe_code, reason = "shaders without checks that the comment above shows to be unnecessary")]
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
}

/// The source to compile: the module that `naga` has parsed.
#[cfg(not(target_arch = "wasm32"))]
fn source(_: &KernelSpec, module: naga::Module) -> Result<wgpu::ShaderSource<'static>> {
    Ok(wgpu::ShaderSource::Naga(std::borrow::Cow::Owned(module)))
}

/// The source to compile: WGSL text, which browsers compile themselves.
#[cfg(target_arch = "wasm32")]
fn source(spec: &KernelSpec, _: naga::Module) -> Result<wgpu::ShaderSource<'static>> {
    Ok(wgpu::ShaderSource::Wgsl(spec.text()?.into()))
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

pub(super) fn layout_entry(binding: u32, kind: BindingKind) -> wgpu::BindGroupLayoutEntry {
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
