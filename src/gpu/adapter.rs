//! Listing adapters and choosing one.

use super::instance::instance;
use super::limits::LimitProfile;
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
    /// Limits that the adapter supports, within those of the profile.
    pub limits: wgpu::Limits,
    /// Features that the adapter supports, within those of the profile.
    pub features: wgpu::Features,
    /// The profile that the environment asks for.
    pub profile: Option<&'static LimitProfile>,
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

/// All adapters on this machine that can run compute shaders, in the driver's order, each within the limits of the profile
/// that the environment asks for ([`LimitProfile::asked`]). A profile that does not exist is left to [`adapter`] to refuse.
pub async fn adapters() -> Vec<AdapterRecord> {
    let profile = LimitProfile::asked().ok().flatten();
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
            info: info(&adapter, profile),
            limits: profile.map_or_else(|| adapter.limits(), |profile| profile.restrict(adapter.limits())),
            features: profile.map_or_else(|| adapter.features(), |profile| profile.keep(adapter.features())),
            profile,
            adapter,
            instance: instance.clone(),
        })
        .collect()
}

/// Describes an adapter. Within a profile it has another name, so that nothing takes it for the device itself: neither who
/// reads a report or a run folder, nor the cache of tuned kernels.
fn info(adapter: &wgpu::Adapter, profile: Option<&LimitProfile>) -> wgpu::AdapterInfo {
    let mut info = adapter.get_info();
    if let Some(profile) = profile {
        info.name = format!("{} as {}", info.name, profile.name);
    }
    info
}

/// What decides which adapters are taken in turns.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Kind {
    /// The [`rank`] of its type.
    rank: u8,
    backend: u8,
    /// Where it is plugged in, if that is known: several drivers may offer the same GPU.
    place: String,
}

/// The position of the adapter with this number among the GPUs of the best type. Each counts once, with the backend of
/// the best adapter.
fn in_turn(kinds: &[Kind], number: usize) -> Option<usize> {
    let best = kinds.iter().min_by_key(|kind| kind.rank)?;
    let mut positions: Vec<usize> = Vec::new();
    for (position, kind) in kinds.iter().enumerate() {
        let is_like_best = kind.rank == best.rank && kind.backend == best.backend;
        let is_known = |other: &usize| !kind.place.is_empty() && kinds[*other].place == kind.place;
        if is_like_best && !positions.iter().any(is_known) {
            positions.push(position);
        }
    }
    positions.get(number % positions.len()).copied()
}

/// Finds the adapter of a choice without opening it. `Ok(None)` means that `choice` is [`AdapterChoice::Auto`] or
/// [`AdapterChoice::InTurn`] and there are no adapters.
///
/// # Errors
///
/// [`Error::Device`] when there is no such adapter, [`Error::Usage`] when a name matches several, or when the environment
/// asks for a profile that does not exist.
pub async fn adapter(choice: &AdapterChoice) -> Result<Option<AdapterRecord>> {
    LimitProfile::asked()?;
    let mut found = adapters().await;
    let position = match choice {
        AdapterChoice::Auto => {
            match found.iter().enumerate().min_by_key(|(_, a)| (rank(a.info.device_type), a.index)) {
                Some((position, _)) => position,
                None => return Ok(None),
            }
        }
        AdapterChoice::InTurn { number, .. } => {
            let kind = |record: &AdapterRecord| Kind {
                rank: rank(record.info.device_type),
                backend: record.info.backend as u8,
                place: record.info.device_pci_bus_id.clone(),
            };
            match in_turn(&found.iter().map(kind).collect::<Vec<_>>(), *number) {
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
        let kind = |rank: u8, backend: u8, place: &str| Kind { rank, backend, place: place.into() };
        // Two discrete GPUs beside an integrated one and a software driver.
        let kinds = [kind(4, 1, ""), kind(0, 1, "1"), kind(1, 1, "2"), kind(0, 1, "3")];
        let got: Vec<_> = (0..5).map(|number| in_turn(&kinds, number)).collect();
        assert_eq!(got, [1, 3, 1, 3, 1].map(Some));
        // A GPU with two drivers, and with two backends.
        let kinds = [kind(0, 1, "1"), kind(0, 1, "1"), kind(0, 2, "1"), kind(0, 1, "3")];
        let got: Vec<_> = (0..3).map(|number| in_turn(&kinds, number)).collect();
        assert_eq!(got, [0, 3, 0].map(Some));
        // Places may be unknown.
        assert_eq!(in_turn(&[kind(0, 1, ""), kind(0, 1, "")], 1), Some(1));
        assert_eq!(in_turn(&[kind(4, 1, "")], 3), Some(0));
        assert_eq!(in_turn(&[], 0), None);
    }
}
