//! Finding an adapter by part of its name.

use super::adapter::describe;
use crate::error::{Error, Result};
use crate::text::brief;

/// The position of the adapter whose name contains `part`, ignoring case; `None` if there is none. A name that equals
/// `part` takes precedence over names that contain it. A device that several backends offer counts as one device; the
/// first backend is taken.
///
/// # Errors
///
/// [`Error::Usage`] when the names of several devices contain `part`; the message lists them.
pub(super) fn position(part: &str, found: &[&wgpu::AdapterInfo]) -> Result<Option<usize>> {
    let part_lower = part.to_lowercase();
    let matching = |is_match: &dyn Fn(&str) -> bool| -> Vec<usize> {
        let is_match = |position: &usize| is_match(&found[*position].name.to_lowercase());
        (0..found.len()).filter(is_match).collect()
    };
    let mut matches = matching(&|name| name == part_lower);
    if matches.is_empty() {
        matches = matching(&|name| name.contains(&part_lower));
    }
    let infos: Vec<&wgpu::AdapterInfo> = matches.iter().map(|position| found[*position]).collect();
    if is_one_device(&infos) {
        return Ok(matches.first().copied());
    }
    let line = |(position, info): (&usize, &&wgpu::AdapterInfo)| format!("\n  {position}: {}", describe(info));
    let list: String = matches.iter().zip(&infos).map(line).collect();
    Err(Error::Usage(format!(
        "device {}: the names of {} devices contain that; give an index, or more of the name:{list}",
        brief(part),
        matches.len()
    )))
}

/// Whether all of these are the same device, each through a different backend.
fn is_one_device(infos: &[&wgpu::AdapterInfo]) -> bool {
    let device = |info: &wgpu::AdapterInfo| (info.name.clone(), info.vendor, info.device);
    let pairs =
        infos.iter().enumerate().flat_map(|(index, first)| infos[..index].iter().map(move |other| (first, other)));
    pairs.into_iter().all(|(first, other)| device(first) == device(other) && first.backend != other.backend)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wgpu::{AdapterInfo, Backend, DeviceType};

    fn info(name: &str, device: u32, backend: Backend) -> AdapterInfo {
        AdapterInfo { name: name.into(), device, ..AdapterInfo::new(DeviceType::DiscreteGpu, backend) }
    }

    #[test]
    fn part_of_a_name_selects_one_device_or_is_an_error() {
        let infos = [
            info("llvmpipe (LLVM 15.0.6, 256 bits)", 0, Backend::Vulkan),
            info("SwiftShader Device (LLVM 10.0.0)", 1, Backend::Vulkan),
            info("Acme 3000", 2, Backend::Vulkan),
            info("Acme 3000 Ti", 3, Backend::Vulkan),
            info("Acme 3000", 2, Backend::Dx12),
            info("Twin", 4, Backend::Vulkan),
            info("Twin", 4, Backend::Vulkan),
        ];
        let infos: Vec<&AdapterInfo> = infos.iter().collect();
        let found = |part: &str| position(part, &infos).map_err(|error| error.to_string());
        assert_eq!(found("swift"), Ok(Some(1)));
        assert_eq!(found("llvmpipe"), Ok(Some(0)));
        assert_eq!(found("voodoo"), Ok(None));
        // One device with two backends, whose name is also part of another device's name.
        assert_eq!(found("acme 3000"), Ok(Some(2)));
        assert_eq!(found("TI"), Ok(Some(3)));
        let problem = found("LLVM").unwrap_err();
        assert!(problem.starts_with("device LLVM: the names of 2 devices contain that; give an index"), "{problem}");
        assert!(problem.contains("\n  0: llvmpipe (LLVM 15.0.6, 256 bits) (discrete GPU, vulkan, "), "{problem}");
        assert!(problem.contains("\n  1: SwiftShader Device (LLVM 10.0.0) ("), "{problem}");
        assert!(found("acme").unwrap_err().contains("3 devices"));
        assert!(
            found("twin").unwrap_err().contains("\n  5: Twin") && found("twin").unwrap_err().contains("\n  6: Twin")
        );
    }
}
