//! All kernels: those of all presets, and of networks with what the presets lack, in every form that a device may
//! choose; those that measure ceilings, and those of `verify`.

use shadegrad::gpu::Recording;
use shadegrad::machine::recording;
use shadegrad::network::{CompileOptions, Compiled, Network, PRESETS};
use shadegrad::ops::augment::Augment;
use shadegrad::ops::softmax::Cost;
use shadegrad::ops::{Joined, KernelConfig, KernelForm, OperandSource};
use shadegrad::plan::Pass;
use shadegrad::profile::{copy, multiply_add};
use shadegrad::train::{Optimizer, StepOptions};
use shadegrad::tune::candidates_from;
use shadegrad::verify::{self, functions::functions};

/// Features that the presets lack: every activation and pool, normalisation, padding, strides, odd channels.
const RARE: &str = r#"
input = [16, 15, 3]
[[layers]]
type = "conv2d"
filters = 8
kernel = [3, 2]
padding = "same"
[[layers]]
type = "min_pool2d"
size = [2, 1]
stride = 1
[[layers]]
type = "relu"
[[layers]]
type = "conv2d"
filters = 12
kernel = 3
stride = 2
activation = "sigmoid"
[[layers]]
type = "average_pool2d"
size = [1, 2]
[[layers]]
type = "conv2d"
filters = 3
kernel = 3
padding = [1, 1]
activation = "tanh"
[[layers]]
type = "batch_norm"
activation = "relu"
[[layers]]
type = "average_pool2d"
size = 2
stride = 1
[[layers]]
type = "l2_pool2d"
size = 2
stride = 1
[[layers]]
type = "dropout"
rate = 0.2
[[layers]]
type = "tanh"
[[layers]]
type = "sigmoid"
[[layers]]
type = "flatten"
[[layers]]
type = "dense"
units = 7
[[layers]]
type = "dense"
units = 12
[[layers]]
type = "batch_norm"
activation = "sigmoid"
[[layers]]
type = "dense"
units = 4
activation = "tanh"
"#;

/// Layers of equal width, whose tensors share regions, so that texture copies become stale within a step.
fn deep() -> String {
    let layer = "[[layers]]\ntype = 'dense'\nunits = 16\nactivation = 'tanh'\n";
    format!("input = [4, 4, 1]\n[[layers]]\ntype = 'flatten'\n{}", layer.repeat(6))
}

/// Kernel configurations of all devices, with names.
pub fn configs() -> Vec<(String, KernelConfig)> {
    let software = KernelConfig::software();
    let named = [
        ("software", software),
        ("hardware", KernelConfig::hardware()),
        ("software, wide", KernelConfig { wide: true, ..software }),
        ("software, buffers", KernelConfig { operands: OperandSource::Buffer, ..software }),
        ("hardware, textures", KernelConfig { operands: OperandSource::Texture, ..KernelConfig::hardware() }),
        ("subgroups of 8", KernelConfig::subgroup(8)),
        ("subgroups of 16", KernelConfig::subgroup(16)),
        ("sliding, subgroups of 8", KernelConfig::sliding(8)),
        ("sliding, subgroups of 16", KernelConfig::sliding(16)),
        ("naive", KernelConfig { form: KernelForm::Naive, operands: OperandSource::Buffer, ..software }),
    ];
    // Configurations that a tuner may choose on every kind of device.
    let guesses = [software, KernelConfig::hardware(), KernelConfig::sliding(8), KernelConfig::sliding(16)];
    let tuned = guesses.into_iter().flat_map(candidates_from).map(|config| (config.to_string(), config));
    let mut all: Vec<_> = named.map(|(name, config)| (name.to_string(), config)).into_iter().collect();
    for (name, config) in tuned {
        if !all.iter().any(|(_, known)| *known == config) {
            all.push((name, config));
        }
    }
    all
}

/// Calls `visit` for every preset, [`RARE`] and [`deep`], compiled with three sections for small and usual batches,
/// with the passes of the sections as they are recorded and their recordings, for all configurations.
pub fn for_each_network(mut visit: impl FnMut(&str, &Compiled, &[Vec<&Pass>; 3], &[Recording; 3])) {
    let mut networks: Vec<Network> = PRESETS.iter().map(|preset| Network::open(preset.name).unwrap()).collect();
    networks.push(Network::from_toml("rare", RARE).unwrap());
    networks.push(Network::from_toml("deep", &deep()).unwrap());
    for network in &networks {
        let (sgd, adam, adamw) = (Optimizer::sgd(0.0), Optimizer::adam(), Optimizer::adamw());
        let mut variants = vec![(100, Optimizer::sgd(0.9), Cost::CrossEntropy), (3, sgd, Cost::Quadratic)];
        if network.name == "deep" {
            variants.extend([(5, adam, Cost::CrossEntropy), (5, adamw, Cost::CrossEntropy)]);
        }
        for (batch, optimizer, cost) in variants {
            let syncs = network.name == "rare" && batch == 3;
            let options = CompileOptions {
                batch,
                train_images: 60_000,
                test_images: 10_000,
                predict: true,
                slots: 600,
                ranks: if syncs { 2 } else { 1 },
                parts: if optimizer == adamw { 2 } else { 1 },
                step: StepOptions {
                    optimizer,
                    weight_decay: 0.0,
                    sync_batch_norm: syncs,
                    loss: Some(cost),
                    augment: (cost == Cost::Quadratic).then_some(Augment::DIGITS),
                    ema: (optimizer == adam || batch > 5 && network.name == "deep").then_some(0.99),
                    clip_norm: (batch > 5 && network.name == "deep" || optimizer == adamw).then_some(1.0),
                    label_smoothing: if cost == Cost::CrossEntropy && batch == 5 { 0.1 } else { 0.0 },
                },
            };
            let compiled = network.compile(&options).unwrap();
            for (how, config) in configs() {
                let sections = [&compiled.train, &compiled.evaluate, &compiled.predict];
                let recordings = sections.map(|passes| recording(&compiled, passes, &config).unwrap());
                let joined = sections.map(|passes| compiled.joined(passes, &config));
                let recorded = joined.each_ref().map(|joined| joined.iter().map(Joined::pass).collect());
                visit(&format!("{} {how}", network.name), &compiled, &recorded, &recordings);
            }
        }
    }
}

/// Calls `visit` for all recordings of [`for_each_network`], then for those that measure ceilings and those of
/// `verify`.
pub fn for_each_recording(mut visit: impl FnMut(&str, &Recording)) {
    for_each_network(|what, _, _, recordings| {
        for (section, recording) in ["train", "evaluate", "predict"].iter().zip(recordings) {
            assert!(recording.dispatches().count() >= 2, "{section} {what}: hardly anything");
            visit(&format!("{section} {what}"), recording);
        }
    });
    visit("ceiling of arithmetic", &multiply_add(1000, 64).recording);
    visit("ceiling of memory", &copy(1000).recording);
    functions().iter().for_each(|function| visit(function.name, &function.recording(1024).2));
    verify::recordings().iter().for_each(|recording| visit("breaks", recording));
}
