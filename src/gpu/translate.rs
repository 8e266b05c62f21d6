//! Translation of kernels to the shading languages of Vulkan, DirectX 12, Metal and OpenGL ES.
//!
//! `wgpu` translates a kernel itself when it creates a pipeline. This module calls the same translator without a
//! device, so that every kernel can be checked for every family of GPUs on a machine that has none of them, and so that
//! the code that a driver receives can be read. Bounds checks and loop guards are those with which pipelines are
//! created. Bindings are numbered in the order of their WGSL declarations; on a device the numbers may differ.

use super::shader::{BindingKind, KernelSpec, Module};
use crate::error::{Error, Result};
use naga::ResourceBinding;
use naga::back::{glsl, hlsl, msl, spv};
use naga::proc::{BoundsCheckPolicies, BoundsCheckPolicy};

/// A language that kernels can be translated to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// The WGSL source with files joined and constants replaced, for WebGPU.
    Wgsl,
    /// Binary SPIR-V 1.3, for Vulkan 1.1.
    SpirV,
    /// HLSL of shader model 6.0, for DirectX 12.
    Hlsl,
    /// The Metal Shading Language 2.4, for Metal.
    Msl,
    /// GLSL ES 3.1, for OpenGL ES.
    Glsl,
}

impl Language {
    /// All languages.
    pub const ALL: [Language; 5] = [Language::Wgsl, Language::SpirV, Language::Hlsl, Language::Msl, Language::Glsl];

    /// File extension of the language, as tools expect it.
    pub fn extension(self) -> &'static str {
        match self {
            Language::Wgsl => "wgsl",
            Language::SpirV => "spv",
            Language::Hlsl => "hlsl",
            Language::Msl => "metal",
            Language::Glsl => "comp",
        }
    }
}

impl KernelSpec {
    /// Translates the kernel to a language.
    ///
    /// # Errors
    ///
    /// [`Error::Shader`] when the kernel is not valid or cannot be expressed in the language; the message names both.
    pub fn translate(&self, language: Language) -> Result<Vec<u8>> {
        if language == Language::Wgsl {
            return self.text().map(String::into_bytes);
        }
        let module = self.module()?;
        let translated = match language {
            Language::Wgsl | Language::SpirV => spirv(&module),
            Language::Hlsl => hlsl(&module),
            Language::Msl => msl(&module),
            Language::Glsl => glsl(&module),
        };
        let cannot = |problem| format!("cannot translate {} to {language:?}: {problem}", self.name());
        translated.map_err(|problem| Error::Shader(cannot(problem)))
    }
}

/// For Vulkan and OpenGL, whose drivers check the bounds of buffers and images themselves.
const UNCHECKED: BoundsCheckPolicies = policies(BoundsCheckPolicy::Unchecked);
/// For Metal, whose drivers do not.
const CHECKED: BoundsCheckPolicies = policies(BoundsCheckPolicy::Restrict);

const fn policies(policy: BoundsCheckPolicy) -> BoundsCheckPolicies {
    BoundsCheckPolicies {
        index: policy,
        buffer: policy,
        image_load: policy,
        binding_array: BoundsCheckPolicy::Unchecked,
    }
}

/// The name of the only entry point.
const MAIN: &str = "main";

fn spirv(module: &Module) -> Result<Vec<u8>, String> {
    let options = spv::Options {
        lang_version: (1, 3),
        bounds_check_policies: UNCHECKED,
        zero_initialize_workgroup_memory: spv::ZeroInitializeWorkgroupMemoryMode::None,
        force_loop_bounding: false,
        ..spv::Options::default()
    };
    let pipeline = spv::PipelineOptions { shader_stage: naga::ShaderStage::Compute, entry_point: MAIN.into() };
    let words = spv::write_vec(&module.naga, &module.info, &options, Some(&pipeline));
    Ok(words.map_err(|error| error.to_string())?.into_iter().flat_map(u32::to_le_bytes).collect())
}

fn hlsl(module: &Module) -> Result<Vec<u8>, String> {
    let options = hlsl::Options {
        shader_model: hlsl::ShaderModel::V6_0,
        zero_initialize_workgroup_memory: false,
        force_loop_bounding: false,
        ..hlsl::Options::default()
    };
    let pipeline = hlsl::PipelineOptions { entry_point: Some((naga::ShaderStage::Compute, MAIN.into())) };
    let mut text = String::new();
    let mut writer = hlsl::Writer::new(&mut text, &options, &pipeline);
    writer.write(&module.naga, &module.info, None).map_err(|error| error.to_string())?;
    Ok(text.into_bytes())
}

fn msl(module: &Module) -> Result<Vec<u8>, String> {
    let (mut buffers, mut textures) = (0..u8::MAX, 0..u8::MAX);
    let mut resources = msl::EntryPointResources::default();
    for binding in &module.bindings {
        let texture = binding.kind == BindingKind::Texture;
        let target = msl::BindTarget {
            buffer: if texture { None } else { buffers.next() },
            texture: if texture { textures.next() } else { None },
            mutable: binding.kind == BindingKind::ReadWrite,
            ..msl::BindTarget::default()
        };
        resources.resources.insert(ResourceBinding { group: binding.group, binding: binding.index }, target);
    }
    // The buffer with the lengths of all buffers, for bounds checks.
    resources.sizes_buffer = buffers.next();
    let options = msl::Options {
        lang_version: (2, 4),
        per_entry_point_map: [(MAIN.to_string(), resources)].into(),
        fake_missing_bindings: false,
        bounds_check_policies: CHECKED,
        zero_initialize_workgroup_memory: false,
        force_loop_bounding: false,
        ..msl::Options::default()
    };
    let pipeline = msl::PipelineOptions {
        entry_point: Some((naga::ShaderStage::Compute, MAIN.into())),
        ..msl::PipelineOptions::default()
    };
    let (text, info) =
        msl::write_string(&module.naga, &module.info, &options, &pipeline).map_err(|error| error.to_string())?;
    // Errors of single entry points are reported here.
    info.entry_point_names.into_iter().collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?;
    Ok(text.into_bytes())
}

fn glsl(module: &Module) -> Result<Vec<u8>, String> {
    let mut options = glsl::Options {
        version: glsl::Version::new_gles(310),
        zero_initialize_workgroup_memory: false,
        ..glsl::Options::default()
    };
    // Storage buffers, uniforms and images each have their own numbering.
    for kind in [&[BindingKind::Read, BindingKind::ReadWrite][..], &[BindingKind::Uniform], &[BindingKind::Texture]] {
        let of_kind = module.bindings.iter().filter(|binding| kind.contains(&binding.kind));
        for (slot, binding) in (0..).zip(of_kind) {
            options.binding_map.insert(ResourceBinding { group: binding.group, binding: binding.index }, slot);
        }
    }
    let pipeline =
        glsl::PipelineOptions { shader_stage: naga::ShaderStage::Compute, entry_point: MAIN.into(), multiview: None };
    let mut text = String::new();
    let mut writer = glsl::Writer::new(&mut text, &module.naga, &module.info, &options, &pipeline, UNCHECKED)
        .map_err(|error| error.to_string())?;
    writer.write().map_err(|error| error.to_string())?;
    Ok(text.into_bytes())
}
