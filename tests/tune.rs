//! The tuner: only correct candidates are chosen, results are stored, and choices are reproducible.

mod common;

use common::{gpu, mirrored, plain};
use sha2::{Digest, Sha256};
use shadegrad::fast::{Instructions, Team};
use shadegrad::gpu::{Command, Recording};
use shadegrad::machine::{Device, DeviceChoice, Machine, Section};
use shadegrad::network::{CompileOptions, Compiled, Network};
use shadegrad::ops::{self, ChooseKernel, KernelConfig, KernelForm, Step, Tile};
use shadegrad::train::StepOptions;
use shadegrad::tune::{
    Cache, Effort, KernelChoices, MOST_STAGED, Measured, Outputs, Trial, Tuned, Tuner, Verdict, candidates, table,
};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Three passes that are worth tuning, and a dense layer that is not.
const NETWORK: &str = r#"
input = [14, 14, 8]
layers = [
    { type = "conv2d", filters = 16, kernel = 3, activation = "relu" },
    { type = "conv2d", filters = 16, kernel = 3 },
    { type = "flatten" },
    { type = "dense", units = 4 },
]
"#;

fn compiled() -> Compiled {
    let options = CompileOptions {
        batch: 32,
        train_images: 64,
        step: StepOptions::default(),
        slots: 2,
        ..CompileOptions::default()
    };
    Network::from_toml("small", NETWORK).unwrap().compile(&options).unwrap()
}

fn run(cache: &mut Cache, effort: Effort) -> (KernelChoices, Vec<Tuned>, usize) {
    run_on(&compiled(), cache, effort)
}

fn run_on(compiled: &Compiled, cache: &mut Cache, effort: Effort) -> (KernelChoices, Vec<Tuned>, usize) {
    let mut tuner = Tuner::new(gpu(), compiled, cache).unwrap();
    let mut tried = 0;
    let refused = pollster::block_on(tuner.go_on(gpu(), effort, &mut |_| tried += 1)).expect("tuning");
    assert!(refused.is_empty(), "{refused:?}");
    tuner.remember(cache);
    (tuner.choices().unwrap(), tuner.tuned(), tried)
}

const FOREVER: Effort = Effort::Within(Duration::from_secs(600));

/// The kernels of a pass with a configuration, as text.
fn kernels(compiled: &Compiled, label: &str, config: &KernelConfig) -> String {
    let pass = compiled.train.iter().find(|pass| pass.label == label).unwrap();
    let mut recording = Recording::new();
    ops::record(&compiled.plan, pass, config, &mut recording).unwrap();
    recording.dispatches().map(|d| format!("{} {:?}", d.kernel.text().unwrap(), d.groups)).collect()
}

/// Number of candidates that lead to different kernels, as far as they are tried: on a GPU only the most promising.
fn different(compiled: &Compiled, label: &str) -> usize {
    let mut all: Vec<_> = candidates(gpu()).iter().map(|config| kernels(compiled, label, config)).collect();
    all.sort();
    all.dedup();
    if KernelConfig::of(gpu()).form == KernelForm::Staged { all.len().min(MOST_STAGED) } else { all.len() }
}

fn cache(folder: &Path) -> Cache {
    Cache::open(Some(folder), gpu())
}

#[test]
fn tuned_kernels_are_correct_and_stored() {
    let folder = tempfile::tempdir().unwrap();
    let (choices, tuned, tried) = run(&mut cache(folder.path()), FOREVER);
    let labels: Vec<&str> = tuned.iter().map(|tuned| tuned.label.as_str()).collect();
    for label in ["conv1.forward", "conv2.forward", "conv2.backward_input", "conv2.backward_weight"] {
        assert!(labels.contains(&label), "no {label} in {labels:?}");
    }
    assert!(!labels.iter().any(|label| label.contains("dense")), "{labels:?}");
    assert_eq!(tried, labels.iter().map(|label| different(&compiled(), label)).sum::<usize>());
    for Tuned { label, entry, cached, .. } in &tuned {
        assert!(!cached && entry.refused.is_empty(), "{label}: {:?}", entry.refused);
        assert_eq!(entry.tried.len(), different(&compiled(), label), "{label}");
        let best = entry.tried.iter().map(|(_, seconds)| *seconds).fold(f64::INFINITY, f64::min);
        let chosen = entry.tried.iter().find(|(config, _)| *config == entry.config).unwrap().1;
        assert!(chosen <= best / 0.97 && entry.seconds == Some(chosen), "{label}: {entry:?}");
        assert_eq!(choices.config(label), &entry.config);
    }
    assert_eq!(choices.config("dense1.forward"), &KernelConfig::of(gpu()));
    let printed = table(&tuned).render();
    assert_eq!(printed.matches("chosen").count(), tuned.len(), "{printed}");

    let saved = {
        let mut cache = cache(folder.path());
        // Saving is left to the caller.
        let again = run(&mut cache, FOREVER);
        assert_eq!(again.2, tried);
        cache.save().unwrap();
        again
    };
    let (known, tuned, tried) = run(&mut cache(folder.path()), Effort::Within(Duration::ZERO));
    assert_eq!((known, tried), (saved.0, 0));
    assert!(tuned.iter().all(|tuned| tuned.cached));
    // Another shape is another pass.
    let options = CompileOptions { batch: 33, train_images: 64, slots: 2, ..CompileOptions::default() };
    let other = Network::from_toml("small", NETWORK).unwrap().compile(&options).unwrap();
    let (_, found, _) = run_on(&other, &mut cache(folder.path()), Effort::Within(Duration::ZERO));
    assert!(found.is_empty());
}

#[test]
fn without_time_the_best_guess_is_used() {
    let folder = tempfile::tempdir().unwrap();
    let (choices, tuned, tried) = run(&mut cache(folder.path()), Effort::Within(Duration::ZERO));
    assert_eq!((choices, tuned.len(), tried), (KernelConfig::of(gpu()).into(), 0, 0));
}

#[test]
fn tuning_goes_on_where_it_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let (mut sum, mut turns) = (0, 0);
    let tuned = loop {
        let mut cache = cache(folder.path());
        let (_, tuned, tried) = run(&mut cache, Effort::Within(Duration::from_millis(300)));
        cache.save().unwrap();
        sum += tried;
        turns += 1;
        if tried == 0 {
            break tuned;
        }
        assert!(turns < 1000);
    };
    // Each candidate is tried once.
    assert!(tuned.len() >= 4 && tuned.iter().all(|tuned| tuned.cached));
    assert_eq!(sum, tuned.iter().map(|tuned| different(&compiled(), &tuned.label)).sum::<usize>());
    assert!(turns > 2, "all in {turns} turns");
}

/// A sum of ten products is never split, however many workgroups are allowed.
#[test]
fn equal_kernels_are_tried_once() {
    let wide = "input = [32, 32, 4]\nlayers = [{ type = \"conv2d\", filters = 32, kernel = 3 }, { type = \"flatten\" },\n\
                { type = \"dense\", units = 4 }]";
    let options = CompileOptions { batch: 64, train_images: 64, slots: 1, ..CompileOptions::default() };
    let compiled = Network::from_toml("wide", wide).unwrap().compile(&options).unwrap();
    let (_, tuned, tried) = run_on(&compiled, &mut Cache::open(None, gpu()), FOREVER);
    assert_eq!(tried, tuned.iter().map(|tuned| different(&compiled, &tuned.label)).sum::<usize>());
    // Some devices have no two candidates that differ only in how far they split.
    let all = candidates(gpu());
    let split_apart =
        |a: &KernelConfig, b: &KernelConfig| a != b && *a == KernelConfig { busy_groups: a.busy_groups, ..*b };
    if all.iter().any(|a| all.iter().any(|b| split_apart(a, b))) {
        assert!(tried < tuned.len() * all.len(), "{tuned:?}");
    }
}

/// As between epochs: on another device, without affecting the run.
#[test]
fn another_device_continues_within_its_time_limit() {
    let compiled = compiled();
    let mut tuner = Tuner::new(gpu(), &compiled, &Cache::open(None, gpu())).unwrap();
    let go_on = |tuner: &mut Tuner<'_>, limit: Duration| {
        let mut tried = 0;
        pollster::block_on(async {
            let other = gpu().open_again().await.unwrap();
            tuner.go_on(&other, Effort::Within(limit), &mut |_| tried += 1).await.unwrap();
        });
        tried
    };
    let all = tuner.left();
    let begun_with = tuner.choices().unwrap();
    // The duration of a candidate is not known yet, so one has to be tried.
    assert!(tuner.can_go_on(Duration::from_millis(1)) && !tuner.can_go_on(Duration::ZERO));
    assert_eq!(go_on(&mut tuner, Duration::from_millis(1)), 1);
    assert_eq!(tuner.left(), all - 1);
    // Now it is known, and there is no time for another.
    assert!(!tuner.can_go_on(Duration::from_millis(1)));
    assert_eq!(go_on(&mut tuner, Duration::from_millis(1)), 0);
    assert_eq!(tuner.gain_over(&begun_with), None, "most was never measured");
    assert!(tuner.can_go_on(Duration::from_secs(600)));
    assert_eq!(go_on(&mut tuner, Duration::from_secs(600)), all - 1);
    assert_eq!((tuner.left(), tuner.can_go_on(Duration::from_secs(600))), (0, false));
    assert_eq!(tuner.gain_over(&tuner.choices().unwrap()), Some(0.0));
    let gain = tuner.gain_over(&begun_with).unwrap();
    let sum = |seconds: &dyn Fn(&Tuned) -> f64| tuner.tuned().iter().map(seconds).sum::<f64>();
    let first = sum(&|tuned| tuned.entry.seconds_of(begun_with.config(&tuned.label)).unwrap());
    let best = sum(&|tuned| tuned.entry.seconds.unwrap());
    assert!((gain - (1.0 - best / first)).abs() < 1e-9 && gain >= 0.0, "{gain}, from {first} to {best} s");
}

#[test]
fn a_fault_of_another_device_is_its_own() {
    let compiled = compiled();
    let team = Arc::new(Team::new(None, Instructions::best()).unwrap());
    let pass = compiled.train.iter().find(|pass| pass.label == "conv2.forward").unwrap();
    pollster::block_on(async {
        let other = gpu().open_again().await.unwrap();
        let too_many_groups = |recording: &mut Recording| {
            for command in &mut recording.commands {
                if let Command::Dispatch(dispatch) = command {
                    dispatch.groups[0] = u32::MAX;
                }
            }
        };
        let trial = Trial::new(&other, &team, &compiled, pass).unwrap();
        trial.run_tampered(&plain(), too_many_groups).await.unwrap_err();
        assert!(other.check("now").is_err());
        gpu().check("now").unwrap();
        let verdict = Trial::new(gpu(), &team, &compiled, pass).unwrap().run(&plain()).await.unwrap();
        assert!(matches!(verdict, Verdict::Right(_)), "{verdict:?}");
    });
}

#[test]
fn a_wrong_candidate_is_refused() {
    let compiled = compiled();
    let pass = compiled.train.iter().find(|pass| pass.label == "conv2.backward_weight").unwrap();
    pollster::block_on(async {
        let team = Arc::new(Team::new(None, Instructions::best()).unwrap());
        let trial = Trial::new(gpu(), &team, &compiled, pass).unwrap();
        for config in [plain(), mirrored()] {
            let verdict = trial.run(&config).await.unwrap();
            assert!(matches!(verdict, Verdict::Right(seconds) if seconds > 0.0), "{verdict:?}");
        }
        // Each is a mistake that a driver or a kernel could make.
        let without_copies = |recording: &mut Recording| {
            let copy = recording.commands.iter().position(|c| matches!(c, Command::Mirror { .. })).unwrap();
            let copy = recording.commands.remove(copy);
            recording.commands.push(copy);
        };
        let too_few_groups = |recording: &mut Recording| {
            for command in &mut recording.commands {
                if let Command::Dispatch(dispatch) = command {
                    dispatch.groups[0] = 1;
                }
            }
        };
        let verdict = trial.run_tampered(&mirrored(), without_copies).await.unwrap();
        assert!(matches!(&verdict, Verdict::Wrong(why) if why.contains("element")), "{verdict:?}");
        let verdict = trial.run_tampered(&plain(), too_few_groups).await.unwrap();
        assert!(matches!(&verdict, Verdict::Wrong(why) if why.contains("element")), "{verdict:?}");
    });
}

/// Changes one element of the CPU engine's output.
fn break_cpu(outputs: &mut Outputs) {
    outputs[0][3] += 1.0;
}

/// The CPU engine is compared first because it is fast, but it is not trusted blindly: if it is wrong, no kernel is
/// refused because of it.
#[test]
fn a_wrong_cpu_engine_is_reported() {
    let compiled = compiled();
    let pass = compiled.train.iter().find(|pass| pass.label == "conv2.backward_weight").unwrap();
    pollster::block_on(async {
        let team = Arc::new(Team::new(None, Instructions::best()).unwrap());
        let mut trial = Trial::new(gpu(), &team, &compiled, pass).unwrap();
        assert_eq!((trial.run(&plain()).await.unwrap().is_right(), trial.cpu_fault()), (true, None));
        trial.tamper_with_cpu(break_cpu);
        assert!(trial.run(&plain()).await.unwrap().is_right());
        let fault = trial.cpu_fault().unwrap();
        assert!(fault.contains("element 3") && fault.contains("the reference gives"), "{fault}");
    });
    // In a complete tuning, every pass reports it once, nothing is refused, and all candidates are measured.
    let folder = tempfile::tempdir().unwrap();
    let mut tuner = Tuner::new(gpu(), &compiled, &cache(folder.path())).unwrap();
    tuner.tamper_with_cpu(break_cpu);
    let wrong = pollster::block_on(tuner.go_on(gpu(), FOREVER, &mut |_| ())).unwrap();
    let said: Vec<String> = wrong.iter().map(ToString::to_string).collect();
    assert_eq!(wrong.len(), tuner.passes(), "{said:?}");
    assert!(said.iter().all(|said| said.contains("the CPU engine is wrong: element 3")), "{said:?}");
    for Tuned { label, entry, .. } in tuner.tuned() {
        assert!(entry.refused.is_empty() && entry.tried.len() == different(&compiled, &label), "{label}: {entry:?}");
    }
}

/// Candidates that an earlier version of the check has refused, in a file with the name used then, are tried again.
#[test]
fn old_refusals_are_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let (choices, tuned, tried) = run(&mut cache(folder.path()), FOREVER);
    let mut entries = std::collections::BTreeMap::new();
    {
        let mut cache = cache(folder.path());
        run(&mut cache, FOREVER);
        cache.save().unwrap();
        let kept = std::fs::read(cache.path().unwrap()).unwrap();
        for (key, entry) in Cache::entries_of(&kept).unwrap() {
            let refused = entry.tried.iter().map(|(config, _)| (*config, "the CPU says 1".to_string())).collect();
            entries.insert(key, Measured { refused, tried: Vec::new(), seconds: None, ..entry });
        }
        std::fs::remove_file(cache.path().unwrap()).unwrap();
    }
    let info = &gpu().info;
    let device = (&info.name, info.vendor, info.device, gpu().driver(), info.backend, gpu().lanes());
    let hash = Sha256::digest(format!("{device:?}"));
    let name: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    std::fs::write(folder.path().join(format!("tune-{name}.json")), serde_json::to_vec(&entries).unwrap()).unwrap();
    let (again, tuned_again, tried_again) = run(&mut cache(folder.path()), FOREVER);
    assert_eq!((tried_again, tuned_again.len()), (tried, tuned.len()));
    assert!(tuned_again.iter().all(|tuned| !tuned.cached && tuned.entry.refused.is_empty()));
    assert_eq!(again.passes.keys().collect::<Vec<_>>(), choices.passes.keys().collect::<Vec<_>>());
}

/// A few training steps with every candidate: all results are close, and the same choice gives the same bits.
#[test]
fn a_network_trains_alike_under_every_candidate() {
    let device = pollster::block_on(Device::open(&DeviceChoice::Adapter(common::adapter()))).unwrap();
    let network = Network::from_toml("small", NETWORK).unwrap();
    let weights = |config: &KernelConfig| {
        let mut machine = Machine::with_config(&device, compiled(), config).unwrap();
        machine.write_weights(&network.initialize(1));
        let train = machine.compiled.tensors.train.unwrap();
        machine.write_bytes(train.images, &(0..64 * 14 * 14 * 8).map(|i| (i * 7 % 251) as u8).collect::<Vec<_>>());
        machine.write_int(train.labels, &(0..64).map(|i| i % 4).collect::<Vec<_>>());
        machine.write_int(train.order, &(0..64).collect::<Vec<_>>());
        machine.run(Section::Train, &Step::epoch(64, 32, 0, 1, 0.01)).unwrap();
        pollster::block_on(machine.read_weights()).unwrap().values.concat()
    };
    let expected = weights(&KernelConfig { form: KernelForm::Naive, ..plain() });
    for config in candidates(gpu()) {
        let got = weights(&config);
        let far = expected.iter().zip(&got).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        // Two steps on weights of size 1 differ only by rounding.
        assert!(far <= 1e-5 && got.iter().all(|w| w.is_finite()), "{config}: {far}");
        assert_eq!(got, weights(&config), "{config}: another run");
    }
}

#[test]
fn choices_are_saved_and_invalid_ones_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tune.toml");
    let mut choices = KernelChoices::from(KernelConfig::hardware());
    choices.passes.insert("conv2.forward".into(), KernelConfig::subgroup(16));
    choices.save(&path).unwrap();
    assert_eq!(KernelChoices::read(&path).unwrap(), choices);
    let text = std::fs::read_to_string(&path).unwrap();
    for (from, to, says) in [
        ("rows = 8", "rows = 7", "rows must be"),
        ("\"staged\"", "\"magic\"", "unknown variant"),
        ("[passes", "[pases", "pases"),
        ("down = 16", "down = 0", "from 1 to 256"),
        ("columns4 = 8", "columns4 = 4", "subgroup tile"),
    ] {
        std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
        let message = KernelChoices::read(&path).unwrap_err().to_string();
        assert!(message.contains(says) && message.contains("tune.toml"), "{from} -> {to}: {message}");
    }
    let message = KernelChoices::read(&folder.path().join("none.toml")).unwrap_err().to_string();
    assert!(message.contains("none.toml"), "{message}");
}

#[test]
fn choices_of_another_device_are_refused() {
    let device = pollster::block_on(Device::open(&DeviceChoice::Adapter(common::adapter()))).unwrap();
    let lanes = if gpu().lanes() == Some(8) { 16 } else { 8 };
    let config = KernelConfig { tile: Tile::subgroup(lanes, 4, 1), ..KernelConfig::subgroup(lanes) };
    let Err(error) = device.with_choices(config.into()) else { panic!("taken") };
    let message = error.to_string();
    assert!(message.contains(&format!("subgroups of {lanes} lanes")) && message.contains("tune again"), "{message}");
}
