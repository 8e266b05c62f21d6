//! The peak arithmetic rate and bandwidth of a device, measured by two kernels in `shaders/ceiling/`.

use crate::clock::Instant;
use crate::error::Result;
use crate::gpu::{Dispatch, Gpu, KernelSpec, MAX_GROUPS, Memory, Operand, Program, Recording, Variant, Work, fold};
use crate::machine::Device;
use crate::ops::Step;
use crate::storage::{Region, StorageId};
use crate::wgsl;
use serde::Serialize;
use std::time::Duration;

/// Peak rates of a device.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Ceilings {
    /// Multiplications and additions per second, in registers.
    pub flops_per_second: f64,
    /// Bytes read and written per second, when copying from one large buffer to another.
    pub bytes_per_second: f64,
}

/// A kernel that measures a ceiling, with its storages.
pub struct Ceiling {
    /// The dispatch that is timed.
    pub recording: Recording,
    /// Names and lengths in elements of the storages: first the input, then the output.
    pub storages: Vec<(String, usize)>,
    /// Region that the kernel reads.
    pub input: Region,
    /// Region that the kernel writes.
    pub output: Region,
}

/// Number of dependent chains per invocation, in `shaders/ceiling/multiply_add.wgsl`.
const CHAINS: u64 = 12;
/// Number of multiply-adds per chain and loop iteration.
const LINKS_PER_TURN: u64 = 16;

/// Duration of each measurement: a GPU needs some time to reach its full clock rate.
const AT_LEAST: Duration = Duration::from_millis(300);

/// A kernel that runs twelve chains of `16 * turns` multiply-adds in each invocation.
pub fn multiply_add(invocations: usize, turns: usize) -> Ceiling {
    let kernel = KernelSpec::new([wgsl!("ceiling/multiply_add.wgsl")]).set("TURNS", turns);
    let flops = 2 * CHAINS * LINKS_PER_TURN * (invocations * turns) as u64;
    ceiling(kernel, invocations, [("factors", 2), ("y", invocations)], flops)
}

/// A kernel that copies four elements per invocation.
pub fn copy(invocations: usize) -> Ceiling {
    let len = 4 * invocations;
    ceiling(KernelSpec::new([wgsl!("ceiling/copy.wgsl")]), invocations, [("x", len), ("y", len)], 0)
}

fn ceiling(kernel: KernelSpec, invocations: usize, operands: [(&'static str, usize); 2], flops: u64) -> Ceiling {
    const WORKGROUP: usize = 64;
    let groups = fold(invocations.div_ceil(WORKGROUP), MAX_GROUPS);
    let label = kernel.name().replace('/', ".");
    let kernel = kernel.with([wgsl!("shared/linear.wgsl")]).set("COUNT", invocations).set("GROUPS_X", groups[0]);
    let region = |index: usize| Region { storage: StorageId(index), offset: 0, len: operands[index].1 };
    let operand = |index: usize| vec![(operands[index].0, Operand::Buffer(region(index)))];
    let cost = Work { flops, bytes: 4 * (operands[0].1 + operands[1].1) as u64 };
    let mut recording = Recording::new();
    recording.dispatch(Dispatch {
        label,
        kernel,
        reads: operand(0),
        writes: operand(1),
        groups,
        cost,
        variant: Variant::default(),
    });
    let storages = operands.iter().map(|(name, len)| (name.to_string(), *len)).collect();
    Ceiling { recording, storages, input: region(0), output: region(1) }
}

impl Ceiling {
    /// Allocates the buffers on the device and compiles the kernel. The input starts with `values` and is zero after
    /// them.
    ///
    /// # Errors
    ///
    /// Errors of the device.
    pub fn prepare(&self, gpu: &Gpu, values: &[f32]) -> Result<(Memory, Program)> {
        let memory = Memory::new(gpu, &self.storages, &[&self.recording], size_of::<Step>())?;
        memory.write(gpu, self.input, bytemuck::cast_slice(values));
        let program = Program::new(gpu, &memory, &self.recording)?;
        Ok((memory, program))
    }

    /// Seconds of the fastest of many repetitions.
    async fn best(&self, gpu: &Gpu, values: &[f32]) -> Result<f64> {
        let (memory, program) = self.prepare(gpu, values)?;
        let start = Instant::now();
        let mut best = f64::INFINITY;
        while start.elapsed() < AT_LEAST {
            let seconds = program.time(gpu, &memory, &Step::default(), gpu.clock(), 4).await?;
            best = seconds.into_iter().flatten().filter(|seconds| *seconds > 0.0).fold(best, f64::min);
        }
        Ok(best)
    }

    fn cost(&self) -> Work {
        self.recording.dispatches().map(|dispatch| dispatch.cost).next().unwrap_or_default()
    }
}

impl Ceilings {
    /// Measures the ceilings of a device; `None` for the CPU.
    ///
    /// # Errors
    ///
    /// Errors of the device.
    pub async fn of(device: &Device) -> Result<Option<Ceilings>> {
        match device.gpu() {
            Some(gpu) => Ceilings::measure(gpu).await.map(Some),
            None => Ok(None),
        }
    }

    /// Measures both ceilings of a GPU, in about a second.
    ///
    /// # Errors
    ///
    /// Errors of the device.
    pub async fn measure(gpu: &Gpu) -> Result<Ceilings> {
        // Enough invocations to fill the largest GPUs, or few enough to be quick on a CPU.
        let (invocations, turns) = if gpu.is_software() { (1 << 13, 64) } else { (1 << 20, 64) };
        let arithmetic = multiply_add(invocations, turns);
        // 128 MiB in and 128 MiB out, if the device allows buffer bindings of that size.
        let binding = usize::try_from(gpu.limits.max_storage_buffer_binding_size).unwrap_or(usize::MAX);
        let copy = copy((128 << 20).min(binding) / 16);
        let seconds = arithmetic.best(gpu, &[1.0, 1.0]).await?;
        let flops_per_second = arithmetic.cost().flops as f64 / seconds;
        let bytes_per_second = copy.cost().bytes as f64 / copy.best(gpu, &[]).await?;
        Ok(Ceilings { flops_per_second, bytes_per_second })
    }
}
