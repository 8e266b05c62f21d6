//! Every pass of a training step by itself, in its fast and its naive kernels: `cargo bench --bench ops -- conv2d/forward`.
//!
//! An entry is `<op>/<pass>/<preset>.<layer>/<form>`; elements a second are multiplications and additions a second.

mod common;

use common::{Bench, compile, gpu, settings};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use shadegrad::gpu::Recording;
use shadegrad::ops::{self, Form, OperandSource, Settings};
use std::time::Duration;

const BATCH: usize = 100;

fn passes(criterion: &mut Criterion) {
    let gpu = gpu();
    let fast = settings(&gpu);
    let naive = Settings { form: Form::Naive, operands: OperandSource::Buffer, ..fast };
    for model in ["case1", "case2"] {
        let compiled = compile(model, BATCH);
        for pass in &compiled.train {
            let layer = pass.label.split('.').next().unwrap_or_default();
            let mut group = criterion.benchmark_group(pass.op.name().replace('.', "/"));
            group.sample_size(10).measurement_time(Duration::from_secs(1)).warm_up_time(Duration::from_millis(200));
            if pass.op.flops() > 0 {
                group.throughput(Throughput::Elements(pass.op.flops()));
            }
            for (form, settings) in [("fast", &fast), ("naive", &naive)] {
                let mut bench = None;
                group.bench_function(format!("{model}.{layer}/{form}"), |bencher| {
                    let bench = bench.get_or_insert_with(|| {
                        let mut recording = Recording::new();
                        ops::record(&compiled.plan, pass, settings, &mut recording).expect("recording");
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
criterion_main!(benches);
