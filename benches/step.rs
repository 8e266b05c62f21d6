//! A whole training step of each preset, batch 100; elements per second are images per second: `cargo bench --bench
//! step`.

mod common;

use common::{Bench, compile, config, gpu};
use criterion::{Criterion, Throughput, criterion_group};
use shadegrad::machine::recording;
use shadegrad::network::{Network, PRESETS};
use std::time::Duration;

const BATCH: usize = 100;

fn steps(criterion: &mut Criterion) {
    let gpu = gpu();
    let config = config(&gpu);
    let mut group = criterion.benchmark_group("step");
    group.sample_size(10).measurement_time(Duration::from_secs(5)).throughput(Throughput::Elements(BATCH as u64));
    for preset in PRESETS {
        let mut bench = None;
        group.bench_function(preset.name, |bencher| {
            let bench = bench.get_or_insert_with(|| {
                let network = Network::open(preset.name).expect("a preset");
                let compiled = compile(&network, BATCH);
                let recording = recording(&compiled, &compiled.train, &config).expect("recording");
                Bench::new(&gpu, &compiled, &recording, BATCH)
            });
            bencher.iter_custom(|count| bench.time(count));
        });
    }
    group.finish();
}

criterion_group!(benches, steps);
fn main() {
    benches();
    Criterion::default().configure_from_args().final_summary();
}
