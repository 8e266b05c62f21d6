//! What drivers read from the environment, and are told by programs that know better.

/// Variables to set before a device is opened, as `shadegrad` itself does first of all. What the user has set stays.
///
/// Mesa's device-selection layer looks for a Wayland session and prints an error where there is none, as in a container
/// or over ssh. Nothing depends on the layer here, so it is switched off there, by its own variable.
///
/// Not among them: `LP_NATIVE_VECTOR_WIDTH=512`, by which lavapipe uses AVX-512. On a Zen 4 the three products of conv2 in
/// case1 take 71 ms instead of 81, but everything that loads from buffers takes longer, and Mesa's own cache of compiled
/// kernels does not tell the widths apart. Case2 was slower as a whole.
pub fn driver_environment() -> Vec<(&'static str, &'static str)> {
    let is_set = |name: &str| std::env::var_os(name).is_some();
    let headless = cfg!(target_os = "linux") && !is_set("XDG_RUNTIME_DIR") && !is_set("NODEVICE_SELECT");
    if headless { vec![("NODEVICE_SELECT", "1")] } else { Vec::new() }
}
