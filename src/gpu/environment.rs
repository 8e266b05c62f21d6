//! What drivers read from the environment, and are told by programs that know better.

/// Variables to set before a device is opened, as `shadegrad` itself does first of all. What the user has set stays.
///
/// - Mesa's device-selection layer looks for a Wayland session and prints an error where there is none, as in a container
///   or over ssh. Nothing depends on the layer here, so it is switched off there, by its own variable.
/// - lavapipe computes with vectors of 256 bits even where the processor has AVX-512. With 512 its subgroups have 16
///   lanes, and the products of case1 took 11 to 18 % less time on a Zen 4.
pub fn driver_environment() -> Vec<(&'static str, &'static str)> {
    let mut variables = Vec::new();
    if cfg!(target_os = "linux") && std::env::var_os("XDG_RUNTIME_DIR").is_none() {
        variables.push(("NODEVICE_SELECT", "1"));
    }
    if has_avx512() {
        variables.push(("LP_NATIVE_VECTOR_WIDTH", "512"));
    }
    variables.retain(|(name, _)| std::env::var_os(name).is_none());
    variables
}

#[cfg(target_arch = "x86_64")]
fn has_avx512() -> bool {
    // What LLVM needs to keep such vectors whole in all the instructions that kernels are made of.
    is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("avx512vl")
}

#[cfg(not(target_arch = "x86_64"))]
fn has_avx512() -> bool {
    false
}
