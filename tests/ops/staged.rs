//! The staged form of the matrix engine with the tiles that the tuner tries on GPUs, which the test device is usually
//! not: every candidate on shapes that leave a remainder in every direction of its tile.

use crate::common::gpu;
use shadegrad::ops::{Activation, KernelConfig, Op, Tile, conv2d, dense, edge_cases};
use shadegrad::shape::{Padding, Window2d};
use shadegrad::tune::candidates_from;
use shadegrad::verify::{Finding, mirrored};

fn conv() -> conv2d::Geometry {
    let window = Window2d::new(2, [13, 17, 12], [3, 3], [1, 1], Padding::Same).unwrap();
    conv2d::Geometry { window, filters: 20 }
}

/// Passes whose operands lie in all ways: the left one along k or m, the right one along k or n; with a bias gradient
/// and without, and with pooling. Most are split.
fn passes() -> Vec<Box<dyn Op>> {
    let geometry = dense::Geometry { batch: 101, inputs: 260, outputs: 68 };
    let dropout = None;
    let own: Vec<Box<dyn Op>> = vec![
        Box::new(conv2d::Forward { geometry: conv(), activation: Activation::Identity, dropout }),
        Box::new(conv2d::BackwardInput { geometry: conv(), producer: Activation::Identity, dropout }),
        Box::new(conv2d::BackwardWeight { geometry: conv() }),
        Box::new(dense::Forward { geometry, activation: Activation::Relu, dropout }),
        Box::new(dense::BackwardInput { geometry, producer: Activation::Relu, dropout }),
        Box::new(dense::BackwardWeight { geometry }),
        Box::new(dense::BackwardWeight { geometry: dense::Geometry { batch: 3000, ..geometry } }),
    ];
    let pooled = edge_cases().into_iter().filter(|op| op.name() == "conv2d.forward_pooled");
    own.into_iter().chain(pooled).collect()
}

fn configs() -> Vec<KernelConfig> {
    let hardware = KernelConfig::hardware();
    let deep = |memory| KernelConfig { memory, ..hardware };
    let own = [
        // Without a split: the bias gradient goes to its tensor directly.
        KernelConfig { busy_groups: 1, ..hardware },
        KernelConfig { operands: mirrored().operands, max_groups: 3, ..hardware },
        deep(32 << 10),
        KernelConfig { tile: Tile { across: 16, ..hardware.tile }, ..deep(48 << 10) },
    ];
    candidates_from(hardware).into_iter().chain(own).collect()
}

#[test]
fn every_candidate_for_gpus_is_right() {
    let memory = gpu().limits.max_compute_workgroup_storage_size as usize;
    let mut seen = std::collections::BTreeSet::new();
    for op in passes() {
        for check in op.checks() {
            for config in configs().into_iter().filter(|config| config.memory <= memory) {
                let recording = check.case.recording(&config).unwrap();
                let text: String =
                    recording.dispatches().map(|d| format!("{} {:?}", d.kernel.text().unwrap(), d.groups)).collect();
                if !seen.insert((check.what, text)) {
                    continue;
                }
                let judged: Result<f64, Finding> =
                    pollster::block_on(check.case.on_gpu(gpu(), recording)).and_then(|got| check.expected.judge(&got));
                judged.unwrap_or_else(|finding| panic!("{}, {}, {config}: {finding}", op.name(), check.what));
            }
        }
    }
    println!("{} kernels", seen.len());
    assert!(seen.len() > 100, "only {} kernels", seen.len());
}
