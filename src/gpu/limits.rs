//! Limits of other devices, to plan and run a network as on one of them without having it.
//!
//! A profile takes away what the device does not have: limits above its own, and optional features. What remains is
//! enforced by `wgpu`, which refuses a kernel or a dispatch beyond the limits that a device was opened with.

use crate::error::{Error, Result};
use wgpu::{Features, Limits};

/// Variable of the environment that names a [`LimitProfile`], within whose limits every adapter is used.
pub const LIMITS_VARIABLE: &str = "SHADEGRAD_LIMITS";

/// Limits of a family of devices.
#[derive(Debug)]
pub struct LimitProfile {
    /// Name of the profile, as [`LIMITS_VARIABLE`] takes it.
    pub name: &'static str,
    /// The devices that it describes.
    pub about: &'static str,
    /// Optional features that the devices lack.
    without: Features,
    /// The limits of the devices, given those of the adapter, which stand where the profile has none.
    limits: fn(Limits) -> Limits,
}

/// What Mesa's drivers for Intel and AMD have in common.
fn desktop(adapter: Limits) -> Limits {
    Limits {
        max_texture_dimension_2d: 1 << 14,
        max_compute_workgroups_per_dimension: 65535,
        max_compute_invocations_per_workgroup: 1024,
        max_compute_workgroup_storage_size: 64 << 10,
        ..adapter
    }
}

/// All profiles.
///
/// None has subgroups. The kernels that use them are for subgroups of 8 or 16 invocations, and no device of these families
/// has such a size and no other; those of the adapter at hand would not be theirs.
pub static LIMIT_PROFILES: [LimitProfile; 5] = [
    LimitProfile {
        name: "webgpu",
        about: "what every WebGPU device has, and none of the optional features",
        without: Features::all(),
        // The defaults of the section "Limits" of the WebGPU specification.
        limits: |_| Limits::default(),
    },
    LimitProfile {
        name: "intel",
        about: "integrated Intel GPUs from generation 9 on",
        without: Features::SUBGROUP,
        // Mesa, src/intel/vulkan/anv_physical_device.c: maxImageDimension2D, maxComputeWorkGroupCount,
        // maxComputeWorkGroupInvocations; src/gallium/drivers/iris/iris_screen.c: max_local_size.
        limits: desktop,
    },
    LimitProfile {
        name: "amd",
        about: "AMD GPUs from GCN 2 on",
        without: Features::SUBGROUP,
        // Mesa, src/amd/vulkan/radv_physical_device.c: maxImageDimension2D, maxComputeWorkGroupCount,
        // maxComputeWorkGroupInvocations, max_shared_size.
        limits: desktop,
    },
    LimitProfile {
        name: "apple",
        about: "Apple GPUs through Metal",
        without: Features::SUBGROUP,
        // What wgpu-hal 30 asks of Metal, src/metal/adapter.rs, where it quotes the Metal Feature Set Tables: 31 buffers, of
        // which wgpu keeps two; 1,024 threads and 32 KiB per threadgroup.
        limits: |adapter| Limits {
            max_texture_dimension_2d: 1 << 14,
            max_storage_buffers_per_shader_stage: 29,
            max_compute_workgroups_per_dimension: 65535,
            max_compute_invocations_per_workgroup: 1024,
            max_compute_workgroup_storage_size: 32 << 10,
            min_storage_buffer_offset_alignment: 32,
            ..adapter
        },
    },
    LimitProfile {
        name: "adreno",
        about: "Qualcomm Adreno GPUs from series 6 on",
        without: Features::SUBGROUP.union(Features::SHADER_INT64),
        // Mesa, src/freedreno/vulkan/tu_device.cc: maxImageDimension2D, maxComputeWorkGroupCount, maxComputeWorkGroupSize,
        // minUniformBufferOffsetAlignment, and shaderInt64, which only newer versions set; tu_common.h:
        // MAX_STORAGE_BUFFER_RANGE, which is that of Qualcomm's own driver, too; src/freedreno/common/freedreno_devices.py:
        // cs_shared_mem_size.
        limits: |adapter| Limits {
            max_texture_dimension_2d: 1 << 14,
            max_storage_buffer_binding_size: 1 << 27,
            max_compute_workgroups_per_dimension: 65535,
            max_compute_invocations_per_workgroup: 1024,
            max_compute_workgroup_storage_size: 32 << 10,
            min_uniform_buffer_offset_alignment: 64,
            ..adapter
        },
    },
];

impl LimitProfile {
    /// The profile with this name.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] when there is none.
    pub fn named(name: &str) -> Result<&'static LimitProfile> {
        LIMIT_PROFILES.iter().find(|profile| profile.name == name).ok_or_else(|| {
            let names: Vec<&str> = LIMIT_PROFILES.iter().map(|profile| profile.name).collect();
            Error::Usage(format!("{LIMITS_VARIABLE}: expected one of {}, got `{name}`", names.join(", ")))
        })
    }

    /// The profile that the environment asks for, if any.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] when there is no profile of that name.
    pub fn asked() -> Result<Option<&'static LimitProfile>> {
        match std::env::var(LIMITS_VARIABLE) {
            Ok(name) if !name.is_empty() => LimitProfile::named(&name).map(Some),
            _ => Ok(None),
        }
    }

    /// The worse of the adapter's limits and the profile's.
    pub(super) fn restrict(&self, adapter: Limits) -> Limits {
        let own = (self.limits)(adapter.clone());
        adapter.or_worse_values_from(&own)
    }

    /// The features of the adapter that the profile has, too.
    pub(super) fn keep(&self, adapter: Features) -> Features {
        adapter - self.without
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_makes_no_limit_better() {
        for profile in &LIMIT_PROFILES {
            let small = Limits::downlevel_webgl2_defaults();
            let restricted = profile.restrict(small.clone());
            assert!(restricted.check_limits(&small), "{}", profile.name);
        }
    }

    #[test]
    fn webgpu_takes_away_all_that_a_browser_need_not_have() {
        let large = Limits {
            max_storage_buffers_per_shader_stage: 48,
            max_compute_workgroup_storage_size: 64 << 10,
            max_compute_invocations_per_workgroup: 1024,
            min_uniform_buffer_offset_alignment: 16,
            ..Limits::default()
        };
        let profile = LimitProfile::named("webgpu").unwrap();
        let limits = profile.restrict(large);
        assert_eq!(limits.max_storage_buffers_per_shader_stage, 8);
        assert_eq!(limits.max_compute_workgroup_storage_size, 16 << 10);
        assert_eq!(limits.max_compute_invocations_per_workgroup, 256);
        assert_eq!(limits.min_uniform_buffer_offset_alignment, 256);
        assert!(profile.keep(Features::SUBGROUP | Features::SHADER_INT64 | Features::TIMESTAMP_QUERY).is_empty());
    }

    #[test]
    fn an_unknown_profile_is_an_error_that_lists_the_others() {
        let error = LimitProfile::named("WebGPU").unwrap_err().to_string();
        assert!(error.contains("expected one of webgpu, intel, amd, apple, adreno, got `WebGPU`"), "{error}");
    }
}
