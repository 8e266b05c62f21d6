//! Each pass of a training step by itself, with its fast and its naive kernels: `cargo bench --bench ops --
//! conv2d/forward`.
//!
//! An entry is named `<op>/<pass>/<preset>.<layer>/<form>`; its elements per second are multiplications and additions
//! per second.

mod common;

use common::{Bench, compile, config, gpu};
use criterion::{Criterion, Throughput, criterion_group};
use shadegrad::gpu::Recording;
use shadegrad::network::Network;
use shadegrad::ops::{self, KernelConfig, KernelForm, OperandSource};
use std::time::Duration;

const BATCH: usize = 100;

/// Passes that no preset has: other pools, and activations that the layer before them cannot compute.
const THE_REST: &str = r#"
name = "rest"
input = [28, 28, 1]
loss = "quadratic"
layers = [
    { type = "conv2d", filters = 32, kernel = 3, stride = 1 },
    { type = "average_pool2d", size = 2, stride = 1 },
    { type = "tanh" },
    { type = "min_pool2d", size = 3, stride = 2 },
    { type = "sigmoid" },
    { type = "l2_pool2d", size = 2 },
    { type = "relu" },
    { type = "flatten" },
    { type = "dense", units = 10 },
]
"#;

fn passes(criterion: &mut Criterion) {
    let gpu = gpu();
    let fast = config(&gpu);
    let naive = KernelConfig { form: KernelForm::Naive, operands: OperandSource::Buffer, ..fast };
    let rest = Network::from_toml("the rest", THE_REST);
    for network in [Network::open("case1"), Network::open("case2"), rest] {
        let network = network.expect("a network");
        let model = &network.name;
        let compiled = compile(&network, BATCH);
        for pass in &compiled.train {
            let layer = pass.label.split('.').next().unwrap_or_default();
            let mut group = criterion.benchmark_group(pass.op.name().replace('.', "/"));
            group.sample_size(10).measurement_time(Duration::from_secs(1)).warm_up_time(Duration::from_millis(200));
            if pass.op.flops() > 0 {
                group.throughput(Throughput::Elements(pass.op.flops()));
            }
            for (form, config) in [("fast", &fast), ("naive", &naive)] {
                let mut bench = None;
                group.bench_function(format!("{model}.{layer}/{form}"), |bencher| {
                    let bench = bench.get_or_insert_with(|| {
                        let mut recording = Recording::new();
                        ops::record(&compiled.plan, pass, config, &mut recording).expect("recording");
                        Bench::new(&gpu, &compiled, &recording, BATCH)
                    });
                    bencher.iter_custom(|count| bench.time(count));
                });
            }
            group.finish();
        }
    }
}

criterion_group!(benches, passes);
fn main() {
    benches();
    Criterion::default().configure_from_args().final_summary();
}
