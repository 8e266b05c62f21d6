//! A compiled training step on the device, with inputs that are not all zero.

use shadegrad::gpu::{AdapterChoice, Gpu, Memory, Program, Recording};
use shadegrad::network::{CompileOptions, Compiled, Network};
use shadegrad::ops::{KernelConfig, Step};
use shadegrad::plan::Element;
use shadegrad::train::StepOptions;
use std::time::{Duration, Instant};

/// The device chosen by `auto`, or by `$SHADEGRAD_TEST_DEVICE`, a part of its name.
pub fn gpu() -> Gpu {
    let choice = std::env::var("SHADEGRAD_TEST_DEVICE").map_or(AdapterChoice::Auto, AdapterChoice::Name);
    match pollster::block_on(Gpu::open(&choice, Step::FIELDS)) {
        Ok(Some(opened)) => {
            println!("device: {}", opened.description);
            opened.gpu
        }
        Ok(None) => panic!("no GPU driver: {}", shadegrad::gpu::missing_driver_remedy()),
        Err(error) => panic!("{error}"),
    }
}

/// The default kernel configuration of the device.
pub fn config(gpu: &Gpu) -> KernelConfig {
    KernelConfig::of(gpu)
}

/// A training step with momentum, on a data set of 1,000 images.
pub fn compile(network: &Network, batch: usize) -> Compiled {
    let options = CompileOptions {
        batch,
        train_images: 1000.max(batch),
        step: StepOptions::default(),
        ..CompileOptions::default()
    };
    network.compile(&options).expect("the network compiles")
}

/// A recording on the device, ready to be timed.
pub struct Bench<'a> {
    gpu: &'a Gpu,
    memory: Memory,
    program: Program,
    step: Step,
}

impl<'a> Bench<'a> {
    /// Fills every floating-point storage with values in [-1, 1).
    pub fn new(gpu: &'a Gpu, compiled: &Compiled, recording: &Recording, batch: usize) -> Bench<'a> {
        let storages: Vec<_> = compiled.plan.storages.iter().map(|s| (s.name.clone(), s.len)).collect();
        let memory = Memory::new(gpu, &storages, &[recording], size_of::<Step>()).expect("memory");
        for tensor in &compiled.plan.tensors {
            if compiled.plan.storages[tensor.region.storage.0].element == Element::Real {
                memory.write(gpu, tensor.region, bytemuck::cast_slice(&noise(tensor.region.len)));
            }
        }
        let program = Program::new(gpu, &memory, recording).expect("program");
        let step = Step { count: batch as u32, learning_rate: 1e-6, ..Step::default() };
        Bench { gpu, memory, program, step }
    }

    /// Time of `count` replays in seconds, including the wait for the device.
    pub fn time(&self, count: u64) -> Duration {
        let start = Instant::now();
        for first in (0..count).step_by(16) {
            let steps = vec![self.step; 16.min(count - first) as usize];
            self.program.submit(self.gpu, &self.memory, &steps).expect("submit");
        }
        pollster::block_on(self.gpu.finish("timing")).expect("finish");
        start.elapsed()
    }
}

fn noise(len: usize) -> Vec<f32> {
    let mut state = 12345u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..len).map(|_| next()).collect()
}
