//! The timing of `bench kernels` and `train --profile`, and the kernels that measure a device's ceilings.

mod common;

use common::gpu;
use common::inspect::Inspector;
use shadegrad::data::{DataPair, Dataset};
use shadegrad::gpu::{Clock, Command, Memory, Program, Recording};
use shadegrad::machine::{Device, recording};
use shadegrad::network::{CompileOptions, Compiled, Network};
use shadegrad::ops::{KernelConfig, Step};
use shadegrad::profile::{Ceiling, Ceilings, Profile, Row, TimedBy, copy, multiply_add};
use shadegrad::train::{Event, StepOptions, TrainOptions, Trainer};
use std::ops::ControlFlow;
use std::time::Instant;

/// Fills the output of a ceiling kernel with NaN, runs it once, and reads it back.
fn run(ceiling: &Ceiling, values: &[f32]) -> Vec<f32> {
    Inspector::default().inspect(&ceiling.recording).unwrap();
    let (memory, program) = ceiling.prepare(gpu(), values).unwrap();
    memory.write(gpu(), ceiling.output, bytemuck::cast_slice(&vec![f32::NAN; ceiling.output.len]));
    program.submit(gpu(), &memory, &[Step::default()]).unwrap();
    bytemuck::pod_collect_to_vec(&pollster::block_on(memory.read(gpu(), ceiling.output)).unwrap())
}

/// Sums of whole numbers below 2^24 are exact, so every bit is known: 12 chains that start at `i + q`, one link longer
/// each time.
#[test]
fn multiply_add_does_all_that_is_counted() {
    for (invocations, turns) in [(1, 1), (63, 3), (200, 64)] {
        let ceiling = multiply_add(invocations, turns);
        let links = 16 * turns;
        let flops = ceiling.recording.dispatches().next().unwrap().cost.flops;
        assert_eq!(flops, (2 * 12 * links * invocations) as u64);
        for (m, c) in [(1.0, 1.0), (1.0, 3.0), (-1.0, 5.0), (0.0, 7.0)] {
            let last = |start: f32| (0..links).fold(start, |v, _| m * v + c);
            let expected: Vec<f32> =
                (0..invocations).map(|i| (0..12).map(|chain| last((i + chain) as f32)).sum()).collect();
            assert_eq!(run(&ceiling, &[m, c]), expected, "{invocations} invocations, {turns} turns, m {m}, c {c}");
        }
    }
}

#[test]
fn copy_copies_every_element() {
    for invocations in [1, 64, 65, 5000, 70_000 * 64] {
        let ceiling = copy(invocations);
        let bytes = ceiling.recording.dispatches().next().unwrap().cost.bytes;
        assert_eq!(bytes, 2 * 16 * invocations as u64);
        let values: Vec<f32> = (0..4 * invocations).map(|i| (i % (1 << 24)) as f32 + 0.5).collect();
        assert!(run(&ceiling, &values) == values, "{invocations} invocations leave something out");
    }
}

#[test]
fn ceilings_are_numbers() {
    let Ceilings { flops_per_second, bytes_per_second } = pollster::block_on(Ceilings::measure(gpu())).unwrap();
    println!("{flops_per_second:e} flop/s, {bytes_per_second:e} B/s");
    for rate in [flops_per_second, bytes_per_second] {
        assert!(rate.is_finite() && rate > 0.0);
    }
}

const NETWORK: &str = "input = [12, 12, 1]\n[[layers]]\ntype = 'conv2d'\nfilters = 8\nkernel = 3\nactivation = 'relu'\n\
                       [[layers]]\ntype = 'conv2d'\nfilters = 8\nkernel = 3\n[[layers]]\ntype = 'flatten'\n\
                       [[layers]]\ntype = 'dense'\nunits = 16\nactivation = 'tanh'\n\
                       [[layers]]\ntype = 'dense'\nunits = 4\n";
const BATCH: usize = 20;

fn network() -> Network {
    Network::from_toml("small", NETWORK).unwrap()
}

fn compiled() -> Compiled {
    let options =
        CompileOptions { batch: BATCH, train_images: 60, step: StepOptions::default(), ..CompileOptions::default() };
    network().compile(&options).unwrap()
}

fn recorded() -> Recording {
    let compiled = compiled();
    recording(&compiled, &compiled.train, &KernelConfig::software()).unwrap()
}

/// The work of all operations is counted exactly once, and every dispatch has bytes.
#[test]
fn the_work_of_a_pass_is_that_of_its_dispatches() {
    let compiled = compiled();
    let recording = recorded();
    for pass in &compiled.train {
        let own = |label: &str| label == pass.label || label.strip_prefix(&pass.label) == Some(".reduce");
        let dispatches: Vec<_> = recording.dispatches().filter(|dispatch| own(&dispatch.label)).collect();
        let flops: u64 = dispatches.iter().map(|dispatch| dispatch.cost.flops).sum();
        assert_eq!(flops, pass.op.flops(), "{}", pass.label);
        assert_eq!(dispatches[0].cost.flops, pass.op.flops(), "{}: not the first", pass.label);
        assert!(dispatches.iter().all(|dispatch| dispatch.cost.bytes > 0), "{}", pass.label);
    }
    let bytes = |label: &str| recording.dispatches().find(|dispatch| dispatch.label == label).unwrap().cost.bytes;
    // Of the data set only the batch counts: its bytes, labels and indices. What is written is four times as large.
    let pixels = (BATCH * 12 * 12) as u64;
    assert_eq!(bytes("batch.gather"), pixels + 4 * pixels + 3 * 4 * BATCH as u64);
    // Gradients are read; weights and velocity are read and written.
    let weights = compiled.plan.get(compiled.tensors.weights).region.len as u64;
    assert_eq!(bytes("sgd.update"), 5 * 4 * weights);
    // A product is counted from its operands, including the bias.
    let (x, w, b, y) = (BATCH * 10 * 10 * 8, 3 * 3 * 8 * 8, 8, BATCH * 8 * 8 * 8);
    assert_eq!(bytes("conv2.forward"), 4 * (x + w + b + y) as u64);
}

/// Both timing methods, on every command of a step with texture copies: a value for each replay, positive, with a sum
/// not above the time measured by the host.
#[test]
fn every_command_is_timed() {
    let compiled = compiled();
    let recording = recorded();
    assert!(recording.commands.iter().any(|command| matches!(command, Command::Mirror { .. })), "no mirror to time");
    let storages: Vec<_> = compiled.plan.storages.iter().map(|s| (s.name.clone(), s.len)).collect();
    let memory = Memory::new(gpu(), &storages, &[&recording], size_of::<Step>()).unwrap();
    let program = Program::new(gpu(), &memory, &recording).unwrap();
    let step = Step { count: BATCH as u32, ..Step::default() };
    let mut clocks = vec![Clock::Repetition];
    match gpu().clock() {
        Clock::Timestamps => clocks.push(Clock::Timestamps),
        Clock::Repetition => println!("this device has no timestamps"),
    }
    for clock in clocks {
        let start = Instant::now();
        let seconds = pollster::block_on(program.time(gpu(), &memory, &step, clock, 3)).unwrap();
        let wall = start.elapsed().as_secs_f64();
        assert_eq!(seconds.len(), recording.commands.len());
        for values in &seconds {
            assert!(values.len() == 3 && values.iter().all(|seconds| *seconds >= 0.0), "{clock:?}: {values:?}");
        }
        let sum: f64 = seconds.iter().flatten().sum();
        println!("{clock:?}: {:.3} ms of {:.3} ms", sum * 1e3, wall * 1e3);
        assert!(sum > 0.0 && sum <= wall, "{clock:?}: {sum} s in {wall} s");
    }
}

fn pair() -> DataPair {
    let set = |name: &str, images: usize| {
        let pixels = (0..images * 144).map(|i| (i * 7 % 251) as u8).collect();
        let labels = (0..images).map(|i| (i * 3 % 4) as u8).collect();
        Dataset::new(pixels, labels, [12, 12, 1], 4).unwrap().named(name)
    };
    DataPair { train: set("train", 60), test: set("test", 20), source: "made up".into() }
}

/// Trains for two epochs, with or without a profile in between.
fn two_runs(device: &Device, profiled: bool) -> (Vec<Vec<f32>>, Option<Profile>) {
    let options = TrainOptions { batch_size: BATCH, epochs: 2, ..TrainOptions::default() };
    let data = pair();
    let mut trainer = Trainer::new(device, &network(), &data, options, None).unwrap();
    let pause = pollster::block_on(trainer.run(&mut |event| {
        Ok(if matches!(event, Event::Epoch(..)) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }));
    assert!(pause.unwrap().interrupted);
    let profile = profiled.then(|| pollster::block_on(trainer.profile()).unwrap());
    let outcome = pollster::block_on(trainer.run(&mut |_| Ok(ControlFlow::Continue(())))).unwrap();
    assert_eq!(outcome.epochs.len(), 1);
    (pollster::block_on(trainer.weights()).unwrap().values, profile)
}

#[test]
fn a_profile_changes_nothing_and_adds_up() {
    let choice = std::env::var("SHADEGRAD_TEST_DEVICE").unwrap_or("auto".into());
    for choice in ["cpu", choice.as_str()] {
        let device = pollster::block_on(Device::open(&choice.parse().unwrap())).unwrap();
        let (plain, _) = two_runs(&device, false);
        let start = Instant::now();
        let (weights, profile) = two_runs(&device, true);
        let wall = start.elapsed().as_secs_f64();
        assert!(weights == plain, "{choice}: training differs after a profile");
        let profile = profile.unwrap();
        let commands = if device.gpu().is_some() {
            let compiled = compiled();
            recording(&compiled, &compiled.train, device.choices()).unwrap().commands.len()
        } else {
            assert_eq!(profile.timed_by, TimedBy::Host);
            compiled().train.len()
        };
        assert_eq!(profile.rows.len(), commands, "{choice}");
        // A median is at most twice the mean, and there are at least three replays: the sum cannot reach the wall time.
        assert!(profile.sum() > 0.0 && profile.sum() < wall, "{choice}: {} s of {wall} s", profile.sum());
        assert!(profile.step_seconds > 0.0 && profile.step_seconds < wall, "{choice}");
        // The same order of magnitude: a wrong unit would give a factor of a thousand.
        let ratio = profile.sum() / profile.step_seconds;
        assert!((0.002..500.0).contains(&ratio), "{choice}: the rows are {ratio} of a step");
    }
}

fn row(label: &str, flops: u64, bytes: u64, seconds: f64) -> Row {
    Row { label: label.into(), kernel: "a/kernel".into(), seconds, flops, bytes }
}

/// A step of 10 ms on a device with 100 GFLOP/s and 10 GB/s.
fn made_up() -> (Profile, Ceilings) {
    let rows = vec![
        row("conv1.forward", 200_000_000, 1_000_000, 0.004),
        row("conv1.forward.reduce", 0, 5_000_000, 0.001),
        row("conv1.backward_weight", 50_000_000, 40_000_000, 0.005),
    ];
    let profile =
        Profile { timed_by: TimedBy::Timestamps, replays: 3, step_seconds: 0.011, host_seconds: Some(0.001), rows };
    (profile, Ceilings { flops_per_second: 1e11, bytes_per_second: 1e10 })
}

#[test]
fn the_table_says_what_was_measured() {
    let (profile, ceilings) = made_up();
    let table = profile.table(Some(&ceilings)).to_string();
    let cells = |line: usize| table.lines().nth(line).unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(cells(1), "conv1.forward a/kernel 4.000 40.0 % 50.0 50.0 % 0.250 2.5 %");
    assert_eq!(cells(2), "conv1.forward.reduce a/kernel 1.000 10.0 % - - 5.00 50.0 %");
    assert_eq!(cells(3), "conv1.backward_weight a/kernel 5.000 50.0 % 10.0 10.0 % 8.00 80.0 %");
    let whole = "10.000 ms in 3 rows; a step as a whole takes 11.000 ms, the host 1.000 ms to encode it";
    assert!(table.contains(whole), "{table}");
    let json = profile.json(Some(&ceilings));
    assert_eq!(json["rows"][0]["flops_share"], 0.5);
    assert_eq!(json["host_seconds"], 0.001);
    assert_eq!(json["rows"][1]["flops_per_second"], serde_json::Value::Null);
    assert_eq!(json["rows"][2]["bytes_per_second"], 8e9);
    assert!(profile.table(None).to_string().lines().nth(1).unwrap().contains("50.0  "), "a rate needs no ceiling");
    assert_eq!(profile.json(None)["rows"][0]["flops_share"], serde_json::Value::Null);
}

#[cfg(feature = "report")]
#[test]
fn a_roofline_is_drawn() {
    use shadegrad::profile::roofline;

    let (profile, ceilings) = made_up();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("roof.svg"), "what was there").unwrap();
    roofline::save(&path("roof.svg"), "a <small> step", &profile, &ceilings).unwrap();
    let svg = std::fs::read_to_string(path("roof.svg")).unwrap();
    assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"), "{svg}");
    for text in ["a &lt;small&gt; step", "conv1.forward ", "conv1.backward_weight", "100 GFLOP/s, 10.0 GB/s", "50.0"] {
        assert!(svg.contains(text), "no `{text}` in {svg}");
    }
    assert!(!svg.contains("reduce"), "a dispatch without arithmetic has no place");
    assert_eq!(svg.matches("<circle").count(), 2);
    let names = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(names, 1, "other files are left next to the picture");
    let other = roofline::save(&path("roof.png"), "", &profile, &ceilings).unwrap_err().to_string();
    assert!(other.contains("roof.png: expected a file name that ends in .svg"), "{other}");
    let missing = roofline::save(&path("nosuch/roof.svg"), "", &profile, &ceilings).unwrap_err().to_string();
    assert!(missing.contains("cannot write"), "{missing}");
    let empty = Profile { rows: vec![row("pool1.forward", 0, 100, 1.0)], ..profile };
    let error = roofline::save(&path("roof.svg"), "", &empty, &ceilings).unwrap_err().to_string();
    assert!(error.contains("nothing to draw"), "{error}");
    assert_eq!(
        std::fs::read_to_string(path("roof.svg")).unwrap(),
        svg,
        "a picture that could not be drawn replaced another"
    );
}
