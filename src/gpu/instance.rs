//! The wgpu instance, through which adapters are found.
//!
//! Rejected: setting environment variables for drivers. With `LP_NATIVE_VECTOR_WIDTH=512`, lavapipe uses AVX-512. On a
//! Zen 4 CPU the three matrix products of conv2 in case1 then take 71 ms instead of 81 ms, but all kernels that load
//! from buffers take longer, and case2 was slower overall. Moreover, Mesa's cache of compiled kernels does not
//! distinguish vector widths.

/// An instance for compute only, without a connection to a display.
pub(super) fn instance() -> wgpu::Instance {
    #[cfg(target_os = "linux")]
    if std::env::var_os("XDG_RUNTIME_DIR").is_none()
        && let Some(instance) = without_wayland()
    {
        return instance;
    }
    wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle())
}

/// A Vulkan instance without the Wayland extension; `None` if there is no Vulkan.
///
/// If an instance has that extension, Mesa's device-selection layer asks the compositor of the session which GPU to
/// list first. In a container or over ssh there is no session, and libwayland prints `error: XDG_RUNTIME_DIR is invalid
/// or not set in the environment` on stderr. The layer can be turned off by an environment variable, but a library
/// cannot set one safely: other threads may read the environment at the same time.
#[cfg(target_os = "linux")]
fn without_wayland() -> Option<wgpu::Instance> {
    use wgpu::hal;

    let wgpu::InstanceDescriptor { flags, memory_budget_thresholds, backend_options, .. } =
        wgpu::InstanceDescriptor::new_without_display_handle();
    let descriptor = hal::InstanceDescriptor {
        name: "wgpu",
        flags,
        memory_budget_thresholds,
        backend_options,
        telemetry: None,
        display: None,
    };
    let wayland = |extension: &&std::ffi::CStr| *extension == c"VK_KHR_wayland_surface";
    // SAFETY: the callback must not remove extensions, because wgpu uses those that it requested. It uses this one only
    // to create a surface for a Wayland window, which no code here does.
    #[expect(unsafe_code, reason = "wgpu offers no other way to leave out an extension")]
    let instance = unsafe {
        hal::vulkan::Instance::init_with_callback(
            &descriptor,
            Some(Box::new(move |arguments| arguments.extensions.retain(|extension| !wayland(extension)))),
        )
    };
    // SAFETY: the instance was created above, and nothing else holds it.
    #[expect(unsafe_code, reason = "the only way to turn a wgpu-hal instance into a wgpu instance")]
    instance.ok().map(|instance| unsafe { wgpu::Instance::from_hal::<hal::api::Vulkan>(instance) })
}
