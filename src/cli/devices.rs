//! `shadegrad devices`: lists the devices that networks can be trained on.

use crate::cli::output::outln;
use clap::Args;
use shadegrad::Result;
use shadegrad::gpu::{AdapterRecord, adapters, missing_driver_remedy};
use shadegrad::machine::{Device, DeviceChoice};
use std::process::ExitCode;

#[derive(Args)]
pub struct Options {
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

pub fn run(options: &Options) -> Result<ExitCode> {
    let found = pollster::block_on(adapters());
    let cpu = pollster::block_on(Device::open(&DeviceChoice::Cpu(None)))?;
    if options.json {
        let found: Vec<_> = found.iter().map(json).collect();
        outln!("{}", serde_json::json!({"adapters": found, "cpu": cpu.description}))?;
        return Ok(ExitCode::SUCCESS);
    }
    for adapter in &found {
        describe(adapter)?;
    }
    if found.is_empty() {
        outln!("no GPU driver found; {}", missing_driver_remedy())?;
    }
    outln!("cpu: native code, on every machine: {}", cpu.description)?;
    outln!("reference: the readable reference, on every machine: CPU, 1 thread")?;
    Ok(ExitCode::SUCCESS)
}

/// The optional features that kernels can use.
fn features(adapter: &AdapterRecord) -> [(&'static str, bool); 3] {
    let has = |feature| adapter.features.contains(feature);
    [
        ("timestamps", has(wgpu::Features::TIMESTAMP_QUERY)),
        ("subgroups", has(wgpu::Features::SUBGROUP)),
        ("f16", has(wgpu::Features::SHADER_F16)),
    ]
}

/// Prints an adapter with its limits and features.
pub fn describe(adapter: &AdapterRecord) -> Result<()> {
    let limits = &adapter.limits;
    let yes = |(name, has): (&str, bool)| format!("{name} {}", if has { "yes" } else { "no" });
    outln!("{}: {}", adapter.index, adapter.info.name)?;
    outln!("   type        {}", adapter.type_name())?;
    outln!("   backend     {}", adapter.info.backend)?;
    outln!("   driver      {}", adapter.driver())?;
    outln!(
        "   memory      buffers up to {} MiB, bindings up to {} MiB",
        limits.max_buffer_size >> 20,
        limits.max_storage_buffer_binding_size >> 20
    )?;
    outln!(
        "   workgroup   {} invocations, {} KiB shared memory",
        limits.max_compute_invocations_per_workgroup,
        limits.max_compute_workgroup_storage_size >> 10
    )?;
    outln!(
        "   dispatch    {} workgroups per dimension, {} storage buffers",
        limits.max_compute_workgroups_per_dimension,
        limits.max_storage_buffers_per_shader_stage
    )?;
    outln!("   features    {}", features(adapter).map(yes).join(", "))
}

fn json(adapter: &AdapterRecord) -> serde_json::Value {
    let limits = &adapter.limits;
    let features: Vec<_> = features(adapter).into_iter().filter(|(_, has)| *has).map(|(name, _)| name).collect();
    serde_json::json!({
        "index": adapter.index, "name": adapter.info.name, "type": adapter.type_name(),
        "backend": adapter.info.backend.to_string(), "driver": adapter.driver(), "features": features,
        "limits": {
            "buffer_bytes": limits.max_buffer_size,
            "binding_bytes": limits.max_storage_buffer_binding_size,
            "workgroup_invocations": limits.max_compute_invocations_per_workgroup,
            "workgroup_bytes": limits.max_compute_workgroup_storage_size,
            "workgroups_per_dimension": limits.max_compute_workgroups_per_dimension,
            "storage_buffers": limits.max_storage_buffers_per_shader_stage,
        },
    })
}
