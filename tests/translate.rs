//! Every kernel in the languages of every family of GPUs, and what the languages' own validators say of it.
//!
//! The validators are `spirv-val` and `glslangValidator`; for HLSL and MSL there are none but the vendors' compilers. Where
//! they are not installed, kernels are only translated; with `SHADEGRAD_VALIDATORS=required` in the environment, their
//! absence is a failure.

mod common;

use common::kernels::for_each_recording;
use rayon::prelude::*;
use shadegrad::gpu::{KernelSpec, Language};
use shadegrad::wgsl;
use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

/// All that differ.
fn kernels() -> Vec<KernelSpec> {
    let mut kernels = BTreeMap::new();
    for_each_recording(|_, recording| {
        let specs = recording.dispatches().map(|dispatch| &dispatch.kernel);
        for spec in specs {
            kernels.entry(format!("{spec:?}")).or_insert_with(|| spec.clone());
        }
    });
    kernels.into_values().collect()
}

/// Runs a validator on files. Nothing is said if it is not installed, and need not be.
fn validate(tool: &str, arguments: &[&str], files: &[PathBuf]) -> Result<(), String> {
    match Command::new(tool).args(arguments).args(files).output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()),
        Err(error) if error.kind() == ErrorKind::NotFound && !is_required() => Ok(()),
        Err(error) => Err(format!("{tool}: {error}; `scripts/setup checks` installs it")),
    }
}

fn is_required() -> bool {
    std::env::var("SHADEGRAD_VALIDATORS").is_ok_and(|value| value == "required")
}

fn is_installed(tool: &str) -> bool {
    Command::new(tool).arg("--version").output().is_ok()
}

const SPIRV: (&str, &[&str]) = ("spirv-val", &["--target-env", "vulkan1.1"]);
const GLSL: (&str, &[&str]) = ("glslangValidator", &[]);

/// Writes kernels to a folder, each under its number.
fn write(kernels: &[KernelSpec], language: Language, folder: &Path) -> Vec<PathBuf> {
    let files = kernels.par_iter().enumerate().map(|(number, spec)| {
        let text = spec.translate(language).unwrap_or_else(|error| panic!("{error}"));
        assert!(text.len() > 100, "{spec:?} as {language:?}: hardly anything");
        let path = folder.join(format!("{number}.{}", language.extension()));
        fs::write(&path, text).unwrap();
        path
    });
    files.collect()
}

#[test]
fn every_kernel_reaches_every_backend() {
    let folder = tempfile::tempdir().unwrap();
    let all = kernels();
    // What no OpenGL ES has: 64-bit integers. Nothing chooses these kernels there.
    let (wide, usual): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|spec| spec.sources.contains(&wgsl!("shared/pack_wide.wgsl")));
    for spec in &wide {
        let error = spec.translate(Language::Glsl).expect_err("64-bit integers").to_string();
        assert!(error.contains("cannot become Glsl"), "{error}");
    }
    let all = [usual.clone(), wide].concat();
    println!("{} kernels, {} of them for OpenGL ES", all.len(), usual.len());
    assert!(usual.len() > 1000, "only {} kernels", usual.len());

    write(&all, Language::Hlsl, folder.path());
    write(&all, Language::Msl, folder.path());
    let files = write(&all, Language::SpirV, folder.path());
    files.par_iter().enumerate().for_each(|(number, file)| {
        let said = validate(SPIRV.0, SPIRV.1, std::slice::from_ref(file));
        said.unwrap_or_else(|problem| panic!("{:?}: {problem}", all[number]));
    });
    let files = write(&usual, Language::Glsl, folder.path());
    files.par_chunks(100).for_each(|files| {
        validate(GLSL.0, GLSL.1, files).unwrap_or_else(|problem| panic!("{problem}"));
    });
}

#[test]
fn the_validators_see_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let ceiling = shadegrad::profile::multiply_add(1000, 64);
    let spec = &ceiling.recording.dispatches().next().unwrap().kernel;
    let broken = |language: Language, change: &dyn Fn(&mut Vec<u8>)| {
        let mut text = spec.translate(language).unwrap();
        change(&mut text);
        let path = folder.path().join(format!("broken.{}", language.extension()));
        fs::write(&path, text).unwrap();
        path
    };
    if is_installed(SPIRV.0) {
        // Without the last instruction, OpFunctionEnd.
        let path = broken(Language::SpirV, &|words| words.truncate(words.len() - 4));
        assert!(validate(SPIRV.0, SPIRV.1, &[path]).is_err());
    }
    if is_installed(GLSL.0) {
        let path = broken(Language::Glsl, &|text| {
            *text = String::from_utf8_lossy(text).replacen("uint ", "float ", 1).into_bytes();
        });
        assert!(validate(GLSL.0, GLSL.1, &[path]).is_err());
    }
}
