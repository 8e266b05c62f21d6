//! `shadegrad shaders`: writes the kernels of a training step to files.

use super::{BatchOption, DeviceOption, RequiredModel};
use crate::cli::output::{counted, errln, outln};
use clap::{Args, ValueEnum};
use shadegrad::files::replace_file;
use shadegrad::gpu::Language;
use shadegrad::machine::recording;
use shadegrad::network::CompileOptions;
use shadegrad::{Error, Result};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Args)]
pub struct Options {
    #[command(flatten)]
    model: RequiredModel,
    /// Languages to write, separated by commas
    #[arg(long, value_enum, value_delimiter = ',', default_value = "wgsl")]
    to: Vec<To>,
    /// Folder to write to, created if necessary; files of the same names are replaced
    #[arg(short, long, value_name = "DIR", default_value = "shaders-of-step")]
    out: PathBuf,
    #[command(flatten)]
    batch: BatchOption,
    #[command(flatten)]
    device: DeviceOption,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum To {
    /// The source, with its files joined and its constants set
    Wgsl,
    /// For Vulkan, binary (spirv-dis prints it)
    Spirv,
    /// For DirectX 12
    Hlsl,
    /// For Metal
    Msl,
    /// For OpenGL ES
    Glsl,
}

impl From<To> for Language {
    fn from(to: To) -> Language {
        match to {
            To::Wgsl => Language::Wgsl,
            To::Spirv => Language::SpirV,
            To::Hlsl => Language::Hlsl,
            To::Msl => Language::Msl,
            To::Glsl => Language::Glsl,
        }
    }
}

pub fn run(options: &Options) -> Result<ExitCode> {
    let mut wanted: Vec<To> = Vec::new();
    for to in &options.to {
        if wanted.contains(to) {
            return Err(Error::Usage("--to: a language is given twice".into()));
        }
        wanted.push(*to);
    }
    let network = options.model.open()?;
    let device = options.device.open(true)?;
    if device.gpu().is_none() {
        let why = device.notice.as_deref().unwrap_or("the CPU runs no shaders");
        errln!("note: {why}; these are the kernels for a software driver");
    }
    let step = options.batch.compile_options(&network)?;
    let compiled = network.compile(&CompileOptions { train_images: 60_000, ..step })?;
    let recording = recording(&compiled, &compiled.train, device.choices())?;
    let folder = &options.out;
    std::fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    let mut kernels = 0;
    for dispatch in recording.dispatches() {
        kernels += 1;
        for language in wanted.iter().map(|to| Language::from(*to)) {
            let text = dispatch.kernel.translate(language)?;
            let path = folder.join(format!("{}.{}", dispatch.label, language.extension()));
            replace_file(&path, |file| file.write_all(&text))?;
        }
    }
    let languages = counted(wanted.len(), "language");
    let kernels = counted(kernels, "kernel");
    outln!("{kernels} of a training step of {}, in {languages}, are in {}", network.name, folder.display())?;
    Ok(ExitCode::SUCCESS)
}
