use crate::cli::output::outln;
use shadegrad::Result;
use shadegrad::gpu::{adapters, missing_driver_remedy};
use shadegrad::machine::{Device, DeviceChoice};
use std::process::ExitCode;

pub fn run() -> Result<ExitCode> {
    let found = pollster::block_on(adapters());
    for adapter in &found {
        let limits = &adapter.limits;
        let has = |feature, name: &str| {
            let mark = if adapter.features.contains(feature) { "yes" } else { "no" };
            format!("{name} {mark}")
        };
        outln!("{}: {}", adapter.index, adapter.info.name)?;
        outln!("   type        {}", adapter.type_name())?;
        outln!("   backend     {}", adapter.info.backend)?;
        outln!("   driver      {}", adapter.driver())?;
        outln!(
            "   memory      buffer at most {} MiB, binding at most {} MiB",
            limits.max_buffer_size >> 20,
            limits.max_storage_buffer_binding_size >> 20
        )?;
        outln!(
            "   workgroup   {} invocations, {} KiB shared memory, {} groups a dimension, {} storage buffers",
            limits.max_compute_invocations_per_workgroup,
            limits.max_compute_workgroup_storage_size >> 10,
            limits.max_compute_workgroups_per_dimension,
            limits.max_storage_buffers_per_shader_stage
        )?;
        outln!(
            "   features    {}, {}, {}",
            has(wgpu::Features::TIMESTAMP_QUERY, "timestamps"),
            has(wgpu::Features::SUBGROUP, "subgroups"),
            has(wgpu::Features::SHADER_F16, "f16")
        )?;
    }
    if found.is_empty() {
        outln!("no GPU driver found; {}", missing_driver_remedy())?;
    }
    let cpu = pollster::block_on(Device::open(&DeviceChoice::Cpu(None)))?;
    outln!("cpu: native code, always there: {}", cpu.description)?;
    outln!("reference: the readable reference, always there: CPU, 1 thread")?;
    Ok(ExitCode::SUCCESS)
}
