//! The instance of the graphics library, through which adapters are found.
//!
//! Nothing is set in the environment for drivers. `LP_NATIVE_VECTOR_WIDTH=512`, by which lavapipe uses AVX-512, was tried: on a
//! Zen 4 the three products of conv2 in case1 take 71 ms instead of 81, but everything that loads from buffers takes longer,
//! and Mesa's own cache of compiled kernels does not tell the widths apart. Case2 was slower as a whole.

/// An instance that will not draw on a screen.
pub(super) fn instance() -> wgpu::Instance {
    #[cfg(target_os = "linux")]
    if std::env::var_os("XDG_RUNTIME_DIR").is_none()
        && let Some(instance) = without_wayland()
    {
        return instance;
    }
    wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle())
}

/// An instance of Vulkan without Wayland's extension; nothing if there is no Vulkan.
///
/// Where an instance has that extension, Mesa's device-selection layer asks the session's compositor which GPU to list first.
/// In a container or over ssh there is no session, and libwayland prints `error: XDG_RUNTIME_DIR is invalid or not set in the
/// environment` on stderr. The layer's own switch is a variable of the environment, which a library cannot set: other threads
/// may read the environment meanwhile.
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
    // SAFETY: the callback is not to remove extensions, because wgpu uses those that it asked for. It uses this one for one
    // thing only, to make a surface of a Wayland window, which no code here does.
    #[expect(unsafe_code, reason = "wgpu offers no other way to leave out an extension")]
    let instance = unsafe {
        hal::vulkan::Instance::init_with_callback(
            &descriptor,
            Some(Box::new(move |arguments| arguments.extensions.retain(|extension| !wayland(extension)))),
        )
    };
    // SAFETY: the instance was made above, and nobody else has it.
    #[expect(unsafe_code, reason = "the only way from an instance of wgpu-hal to one of wgpu")]
    instance.ok().map(|instance| unsafe { wgpu::Instance::from_hal::<hal::api::Vulkan>(instance) })
}
