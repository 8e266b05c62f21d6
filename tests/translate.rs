//! Translates every kernel to the languages of all graphics APIs, and validates the result with their own validators.
//!
//! The validators are `spirv-val`, `glslangValidator`, and for WGSL itself Tint, the compiler of Chromium: `naga`,
//! which translates the kernels, accepts more than the grammar of WGSL. For HLSL and MSL there are only the vendors'
//! compilers. If a validator is not installed, kernels are only translated; with `SHADEGRAD_VALIDATORS=required` in the
//! environment, a missing validator is a failure.

mod common;
#[path = "translate/tint.rs"]
mod tint;

use common::kernels::for_each_recording;
use rayon::prelude::*;
use shadegrad::gpu::{KernelSpec, Language};
use shadegrad::wgsl;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

/// All distinct kernels.
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

/// Whether a kernel has 64-bit words.
fn is_wide(spec: &KernelSpec) -> bool {
    spec.sources.contains(&wgsl!("shared/pack_wide.wgsl"))
}

/// Runs a validator on files. Succeeds if it is not installed, unless it is required.
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

/// Writes kernels to a folder, each named by its number.
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
    // 64-bit integers do not exist in OpenGL ES, and no kernel with them is chosen there.
    let (wide, usual): (Vec<_>, Vec<_>) = all.into_iter().partition(is_wide);
    for spec in &wide {
        let error = spec.translate(Language::Glsl).expect_err("64-bit integers").to_string();
        assert!(error.contains("cannot translate") && error.contains(" to Glsl: "), "{error}");
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

/// The WGSL of a kernel for browsers; `None` with 64-bit words, which no browser supports. Subgroups are an extension
/// there, which has to be enabled with a line that `naga` rejects.
fn for_browsers(spec: &KernelSpec) -> Option<String> {
    if is_wide(spec) {
        return None;
    }
    let module = spec.module().unwrap_or_else(|error| panic!("{error}"));
    let text = spec.text().unwrap_or_else(|error| panic!("{error}"));
    let is_plain = plain_validator().validate(&module.naga).is_ok();
    Some(if is_plain { text } else { format!("enable subgroups; {text}") })
}

/// For kernels without extensions.
fn plain_validator() -> naga::valid::Validator {
    naga::valid::Validator::new(naga::valid::ValidationFlags::all(), naga::valid::Capabilities::empty())
}

/// The error of Tint for each kernel, if any; `None`, with a message, if it is not installed and not required.
fn tint(kernels: &[tint::Kernel]) -> Option<Vec<Option<String>>> {
    let problems = tint::problems(kernels).unwrap_or_else(|problem| panic!("{problem}"));
    if problems.is_none() {
        assert!(!is_required(), "there is no Chromium; `scripts/setup checks` installs it");
        println!(
            "skipped: there is no Chromium, whose Tint is to judge the kernels; `scripts/setup checks` installs it"
        );
    }
    problems
}

#[test]
fn every_kernel_is_wgsl_to_browsers() {
    let all = kernels();
    let texts = all.par_iter().filter_map(|spec| Some((for_browsers(spec)?, spec)));
    let texts: BTreeMap<String, &KernelSpec> = texts.collect();
    let with_subgroups = texts.keys().filter(|text| text.starts_with("enable")).count();
    println!("{} of {} kernels for browsers, {with_subgroups} of them with subgroups", texts.len(), all.len());
    assert!(texts.len() - with_subgroups > 1000, "only {} kernels", texts.len());
    let names = |specs: &mut dyn Iterator<Item = &KernelSpec>| specs.map(KernelSpec::name).collect::<BTreeSet<_>>();
    let passes = names(&mut all.iter());
    assert_eq!(names(&mut texts.values().copied()), passes, "some passes have no kernel for browsers");

    // One pipeline for each pass, of its shortest kernel, because drivers take longest for the longest.
    let mut shortest: BTreeMap<&str, &String> = BTreeMap::new();
    for (text, spec) in &texts {
        let least = shortest.entry(spec.name()).or_insert(text);
        *least = if text.len() < least.len() { text } else { least };
    }
    let kernel = |(text, spec): (&String, &&KernelSpec)| {
        let pipeline = shortest.get(spec.name()).is_some_and(|least| *least == text);
        tint::Kernel { code: text.clone(), pipeline }
    };
    let kernels: Vec<_> = texts.iter().map(kernel).collect();
    let Some(problems) = tint(&kernels) else { return };
    let wrong: Vec<_> =
        problems.into_iter().zip(texts.values()).filter_map(|(problem, of)| Some((problem?, of))).collect();
    let said: BTreeSet<_> = wrong.iter().map(|(problem, spec)| format!("{}: {problem}\n", spec.name())).collect();
    let said: String = said.into_iter().collect();
    assert!(wrong.is_empty(), "Tint refuses {} of {} kernels:\n{said}", wrong.len(), texts.len());
    println!("Tint takes all {}, and {} pipelines", texts.len(), passes.len());
}

/// Kernels that `naga` accepts: the first one is valid WGSL, the others are not.
#[test]
fn tint_rejects_what_naga_wrongly_accepts() {
    let kernel = |body: &str| {
        format!(
            "@group(0) @binding(0) var<storage, read_write> y: array<u32>;\n\
             @compute @workgroup_size(64)\n\
             fn main(@builtin(local_invocation_index) i: u32) {{\n    let a = y[i];\n    {body}\n}}\n"
        )
    };
    let cases = [
        ("y[i] = (a >> (i % 4u * 8u)) & 0xffu;", None),
        ("y[i] = a >> (i % 4u * 8u) & 0xffu;", Some("parenthes")),
        ("y[i] = a | a << 8u;", Some("parenthes")),
        ("if a > 7u { workgroupBarrier(); }", Some("uniform control flow")),
    ];
    let kernels = cases.map(|(body, _)| tint::Kernel { code: kernel(body), pipeline: true });
    for tint::Kernel { code: text, .. } in &kernels {
        let module =
            naga::front::wgsl::parse_str(text).unwrap_or_else(|error| panic!("{}", error.emit_to_string(text)));
        plain_validator().validate(&module).unwrap_or_else(|error| panic!("{}", error.emit_to_string(text)));
    }
    let Some(problems) = tint(&kernels) else { return };
    for ((body, expected), problem) in cases.iter().zip(problems) {
        match (expected, problem) {
            (None, None) => {}
            (Some(part), Some(problem)) => assert!(problem.contains(part), "{body}: {problem}"),
            (expected, problem) => panic!("{body}: expected {expected:?}, got {problem:?}"),
        }
    }
}
