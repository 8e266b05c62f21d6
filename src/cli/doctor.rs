//! `shadegrad doctor`: describes a machine for a bug report, and checks whether training works on it.

use super::output::{BAD, GOOD, errln, outln, print_page};
use super::{cache, devices, program};
use clap::Args;
use shadegrad::Result;
use shadegrad::data::Source;
use shadegrad::gpu::{AdapterRecord, adapters, missing_driver_remedy};
use shadegrad::machine::{Device, DeviceChoice};
use shadegrad::table::Page;
use shadegrad::verify::{self, Extent, VerifyOptions};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::ExitCode;

/// Environment variables that change what the program or the Vulkan loader does.
const VARIABLES: [&str; 13] = [
    "SHADEGRAD_DATA",
    "SHADEGRAD_CACHE",
    "SHADEGRAD_TUNE",
    "SHADEGRAD_LIMITS",
    "RUST_LOG",
    "NO_COLOR",
    "VK_DRIVER_FILES",
    "VK_ICD_FILENAMES",
    "VK_LOADER_LAYERS_ENABLE",
    "VK_INSTANCE_LAYERS",
    "LP_NATIVE_VECTOR_WIDTH",
    "LP_NUM_THREADS",
    "XDG_RUNTIME_DIR",
];

/// Folders in which the Vulkan loader looks for driver manifests.
#[cfg(target_os = "linux")]
const DRIVER_FOLDERS: [&str; 3] = ["/usr/share/vulkan/icd.d", "/usr/local/share/vulkan/icd.d", "/etc/vulkan/icd.d"];

#[derive(Args)]
pub struct Options {
    /// Only describe the machine; check no kernels
    #[arg(long)]
    no_verify: bool,
}

pub fn run(options: &Options) -> Result<ExitCode> {
    outln!("shadegrad {}", program::LONG_VERSION.as_str())?;
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    outln!("system: {} {}, {processors} processors", std::env::consts::OS, std::env::consts::ARCH)?;
    drivers()?;
    environment()?;
    folders()?;

    let found = pollster::block_on(adapters());
    outln!("\ndevices:")?;
    for adapter in &found {
        devices::describe(adapter)?;
    }
    if found.is_empty() {
        outln!("no GPU driver found; {}", missing_driver_remedy())?;
    }
    let cpu = pollster::block_on(Device::open(&DeviceChoice::Cpu(None)))?;
    outln!("cpu: {}", cpu.description)?;
    if options.no_verify {
        return Ok(ExitCode::SUCCESS);
    }
    outln!("\na few kernels against the reference:")?;
    let mut all_pass = true;
    for (choice, name) in checked(&found) {
        all_pass &= check(&choice, &name)?;
    }
    Ok(if all_pass { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints the Vulkan loader, and the driver manifests that it finds.
#[cfg(target_os = "linux")]
fn drivers() -> Result<()> {
    let arch = std::env::consts::ARCH;
    let folders = [&format!("/usr/lib/{arch}-linux-gnu"), "/usr/lib64", "/usr/lib", "/usr/local/lib"];
    // The link leads to the file whose name has the version.
    let loader = folders.iter().find_map(|folder| Path::new(folder).join("libvulkan.so.1").canonicalize().ok());
    let loader = loader.map_or_else(|| "not found in the usual folders".to_string(), |path| path.display().to_string());
    outln!("Vulkan loader: {loader}")?;
    let files = DRIVER_FOLDERS.iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten().flatten();
    let mut files: Vec<_> =
        files.map(|file| file.path()).filter(|path| path.extension().is_some_and(|e| e == "json")).collect();
    files.sort();
    outln!("Vulkan drivers: {}", if files.is_empty() { "none" } else { "" })?;
    files.iter().try_for_each(|path| outln!("   {}", path.display()))
}

/// On other systems, drivers are part of the system.
#[cfg(not(target_os = "linux"))]
fn drivers() -> Result<()> {
    Ok(())
}

fn environment() -> Result<()> {
    let set: Vec<_> = VARIABLES.iter().filter_map(|name| Some((name, std::env::var_os(name)?))).collect();
    outln!("environment: {}", if set.is_empty() { "nothing that matters is set" } else { "" })?;
    set.iter().try_for_each(|(name, value)| outln!("   {name}={}", value.to_string_lossy()))
}

/// Prints where data, cached measurements and runs are, and whether they are usable.
fn folders() -> Result<()> {
    let (source, _) = Source::resolve(None, std::env::var_os("SHADEGRAD_DATA").as_deref());
    let state = if source.is_there() { "" } else { " (no training images there)" };
    outln!("data: {source}{state}")?;
    match cache::folder() {
        Some(folder) => outln!("cache: {} ({})", folder.display(), writable(&folder))?,
        None => outln!("cache: none; the system names no folder for caches")?,
    }
    let here = std::env::current_dir().unwrap_or_default();
    outln!("current folder: {} ({})", here.display(), writable(&here))
}

/// Says whether files can be created in a folder. A missing folder is not created.
fn writable(folder: &Path) -> String {
    if !folder.exists() {
        return "does not exist yet".to_string();
    }
    match tempfile_in(folder) {
        Ok(()) => "writable".to_string(),
        Err(error) => format!("not writable: {error}"),
    }
}

/// Creates a file and removes it.
fn tempfile_in(folder: &Path) -> std::io::Result<()> {
    let path = folder.join(format!(".shadegrad-doctor-{}", std::process::id()));
    std::fs::File::create_new(&path)?;
    std::fs::remove_file(&path)
}

/// The devices to check: every adapter, and the CPU.
fn checked(found: &[AdapterRecord]) -> Vec<(DeviceChoice, String)> {
    let adapter = |adapter: &AdapterRecord| {
        let choice = adapter.index.to_string().parse().ok()?;
        Some((choice, format!("{}, {}", adapter.info.name, adapter.info.backend)))
    };
    let cpu = (DeviceChoice::Cpu(None), "cpu".to_string());
    found.iter().filter_map(adapter).chain([cpu]).collect()
}

/// Runs a quick verification on a device. A device that cannot be opened fails, and the others are still checked.
fn check(choice: &DeviceChoice, name: &str) -> Result<bool> {
    let options = VerifyOptions {
        device: choice.clone(),
        extent: Extent::Quick,
        model: None,
        only: None,
        random_shapes: Some(0),
        seed: 1,
        command: "shadegrad doctor".into(),
        repeat: format!("{} verify --device {choice}", program::name()),
        cache: None,
        tamper: None,
    };
    match pollster::block_on(verify::verify(&options, &mut |_| ControlFlow::Continue(()))) {
        Ok(report) => {
            let mut page = Page::default();
            page.text(format!("   {name}: {}\n", report.verdict()));
            print_page(&page, &[("FAIL", BAD), ("pass", GOOD)])?;
            Ok(!report.failed())
        }
        Err(error) => {
            errln!("error: {name}: {error}");
            Ok(false)
        }
    }
}
