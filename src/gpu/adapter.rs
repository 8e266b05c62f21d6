//! Listing adapters and choosing one.

use super::instance::instance;
use super::named;
use crate::error::{Error, Result};

/// The adapter requested by `--device`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdapterChoice {
    /// The best one: discrete GPUs before integrated GPUs, virtual GPUs and software drivers.
    Auto,
    /// The adapter with this number among those of the best type; numbers beyond the last start again with the first.
    InTurn {
        /// The number of the adapter, from 0.
        number: usize,
        /// Number of processes that take turns.
        processes: usize,
    },
    /// The adapter with this index in [`adapters`].
    Index(usize),
    /// The only adapter whose name contains this, ignoring case.
    Name(String),
}

/// An adapter found by [`adapters`].
pub struct AdapterRecord {
    /// Index of the adapter, as `--device INDEX` takes it.
    pub index: usize,
    /// Name, driver, backend and type of the adapter.
    pub info: wgpu::AdapterInfo,
    /// Limits that the adapter supports.
    pub limits: wgpu::Limits,
    /// Features that the adapter supports.
    pub features: wgpu::Features,
    pub(super) adapter: wgpu::Adapter,
    pub(super) instance: wgpu::Instance,
}

impl AdapterRecord {
    /// Whether its driver runs shaders on the CPU.
    pub fn is_software(&self) -> bool {
        self.info.device_type == wgpu::DeviceType::Cpu
    }

    /// Name, type, backend and driver in one line: `llvmpipe (LLVM 15) (software, Vulkan, Mesa 22.3.6)`.
    pub fn describe(&self) -> String {
        describe(&self.info)
    }

    /// The type in words: `discrete GPU`, `software`, …
    pub fn type_name(&self) -> &'static str {
        type_name(self.info.device_type)
    }

    /// Name and version of the driver.
    pub fn driver(&self) -> String {
        driver(&self.info)
    }
}

pub(super) fn describe(info: &wgpu::AdapterInfo) -> String {
    format!("{} ({}, {}, {})", info.name, type_name(info.device_type), info.backend, driver(info))
}

pub(super) fn driver(info: &wgpu::AdapterInfo) -> String {
    match (info.driver.is_empty(), info.driver_info.is_empty()) {
        (true, true) => "unnamed driver".to_string(),
        (_, true) => info.driver.clone(),
        (true, _) => info.driver_info.clone(),
        _ => format!("{} {}", info.driver, info.driver_info),
    }
}

pub(super) fn type_name(kind: wgpu::DeviceType) -> &'static str {
    match kind {
        wgpu::DeviceType::DiscreteGpu => "discrete GPU",
        wgpu::DeviceType::IntegratedGpu => "integrated GPU",
        wgpu::DeviceType::VirtualGpu => "virtual GPU",
        wgpu::DeviceType::Cpu => "software",
        wgpu::DeviceType::Other => "other",
    }
}

/// Rank of a type of adapter for [`AdapterChoice::Auto`]; 0 is the best.
fn rank(kind: wgpu::DeviceType) -> u8 {
    match kind {
        wgpu::DeviceType::DiscreteGpu => 0,
        wgpu::DeviceType::IntegratedGpu => 1,
        wgpu::DeviceType::VirtualGpu => 2,
        wgpu::DeviceType::Other => 3,
        wgpu::DeviceType::Cpu => 4,
    }
}

/// All adapters on this machine that can run compute shaders, in the driver's order.
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

/// The position of the adapter with this number among those of the best type, given the [`rank`] of each.
fn in_turn(types: &[u8], number: usize) -> Option<usize> {
    let best = types.iter().min()?;
    let positions: Vec<usize> = (0..types.len()).filter(|position| types[*position] == *best).collect();
    positions.get(number % positions.len()).copied()
}

/// Finds the adapter of a choice without opening it. `Ok(None)` means that `choice` is [`AdapterChoice::Auto`] or
/// [`AdapterChoice::InTurn`] and there are no adapters.
///
/// # Errors
///
/// [`Error::Device`] when there is no such adapter, [`Error::Usage`] when a name matches several.
pub async fn adapter(choice: &AdapterChoice) -> Result<Option<AdapterRecord>> {
    let mut found = adapters().await;
    let position = match choice {
        AdapterChoice::Auto => {
            match found.iter().enumerate().min_by_key(|(_, a)| (rank(a.info.device_type), a.index)) {
                Some((position, _)) => position,
                None => return Ok(None),
            }
        }
        AdapterChoice::InTurn { number, .. } => {
            let types: Vec<u8> = found.iter().map(|record| rank(record.info.device_type)).collect();
            match in_turn(&types, *number) {
                Some(position) => position,
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

/// Tells the user how to get a driver on this platform.
pub fn missing_driver_remedy() -> &'static str {
    if cfg!(target_os = "linux") {
        "run scripts/setup, or install a Vulkan driver (Debian, Ubuntu: apt-get install mesa-vulkan-drivers)"
    } else if cfg!(target_os = "macos") {
        "Metal needs macOS 10.13 or later and a session that may use the GPU"
    } else {
        "install the GPU vendor's driver with Vulkan or DirectX 12 support"
    }
}

fn no_such_device(asked: &str, found: &[AdapterRecord]) -> Error {
    if found.is_empty() {
        return Error::Device(format!("no device `{asked}`: no GPU driver found; {}", missing_driver_remedy()));
    }
    let list: Vec<String> = found.iter().map(|record| format!("{}: {}", record.index, record.info.name)).collect();
    Error::Device(format!("no device `{asked}`; expected auto, cpu, reference, or one of: {}", list.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adapters_of_the_best_type_take_turns() {
        // Two discrete GPUs beside an integrated one and a software driver.
        let types = [4, 0, 1, 0];
        let got: Vec<_> = (0..5).map(|number| in_turn(&types, number)).collect();
        assert_eq!(got, [1, 3, 1, 3, 1].map(Some));
        assert_eq!(in_turn(&[4], 3), Some(0));
        assert_eq!(in_turn(&[], 0), None);
    }
}
