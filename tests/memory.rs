//! Memory: tensors that share a storage do not disturb each other, a step creates nothing on the device, and a long run
//! uses no more memory than a short one.

mod common;

use shadegrad::data::{DataPair, Dataset};
use shadegrad::fast::Instructions;
use shadegrad::machine::{Device, DeviceChoice, Machine, Section};
use shadegrad::network::{CompileOptions, Compiled, Network, OptimizerState};
use shadegrad::ops::Step;
use shadegrad::plan::{Element, Region, Storage, StorageId, TensorId};
use shadegrad::train::{Event, StepOptions, TrainOptions, Trainer};
use std::ops::ControlFlow;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Every kind of pass, with numbers of channels divisible by four, so that matrix passes with texture copies are
/// included.
const MODEL: &str = r#"
input = [10, 9, 2]
[[layers]]
type = "conv2d"
filters = 8
kernel = 3
padding = "same"
activation = "relu"
[[layers]]
type = "max_pool2d"
size = 2
[[layers]]
type = "conv2d"
filters = 8
kernel = 2
activation = "tanh"
[[layers]]
type = "average_pool2d"
size = 2
stride = 1
[[layers]]
type = "relu"
[[layers]]
type = "dropout"
rate = 0.1
[[layers]]
type = "flatten"
[[layers]]
type = "dense"
units = 16
activation = "sigmoid"
[[layers]]
type = "dropout"
rate = 0.2
[[layers]]
type = "dense"
units = 4
"#;

const BATCH: usize = 12;
const IMAGES: usize = 60;

/// Measurements apply to the whole process or driver, so one test runs at a time.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn model() -> Network {
    Network::from_toml("small", MODEL).unwrap()
}

fn open(choice: DeviceChoice) -> Device {
    pollster::block_on(Device::open(&choice)).unwrap()
}

/// The test GPU, opened again.
fn gpu() -> Device {
    let device = open(DeviceChoice::Adapter(common::adapter()));
    assert!(device.gpu().is_some(), "no GPU driver: {}", shadegrad::gpu::missing_driver_remedy());
    device
}

fn devices() -> [Device; 3] {
    [gpu(), Device::cpu(Some(2), Instructions::best(), None).unwrap(), open(DeviceChoice::Reference)]
}

/// Noise images with unrelated labels.
fn set(name: &str) -> Dataset {
    let [height, width, channels] = model().input;
    let noise = common::random(IMAGES * height * width * channels, 3);
    let images = noise.iter().map(|value| (value * 127.0 + 128.0) as u8).collect();
    let labels = (0..IMAGES).map(|image| (image * 7 % 4) as u8).collect();
    Dataset::new(images, labels, [height, width, channels], 4).unwrap().named(name)
}

fn compiled() -> Compiled {
    let options = CompileOptions {
        batch: BATCH,
        train_images: IMAGES,
        test_images: IMAGES,
        predict: true,
        slots: IMAGES / BATCH,
        ranks: 1,
        parts: 1,
        step: StepOptions { clip_norm: Some(0.5), ema: Some(0.9), ..StepOptions::default() },
    };
    model().compile(&options).unwrap()
}

/// The same plan with a separate storage for each tensor.
fn apart(mut compiled: Compiled) -> Compiled {
    let plan = &mut compiled.plan;
    for tensor in &mut plan.tensors {
        let storage = &plan.storages[tensor.region.storage.0];
        if storage.in_turns {
            let (name, len, element) = (tensor.name.clone(), tensor.region.len, storage.element);
            tensor.region = Region { storage: StorageId(plan.storages.len()), offset: 0, len };
            plan.storages.push(Storage { name, len, element, in_turns: false });
        }
    }
    compiled
}

/// A machine with weights and both data sets.
fn machine(device: &Device, compiled: Compiled) -> Machine {
    let mut machine = Machine::new(device, compiled).unwrap();
    let weights = model().initialize(1);
    machine.write_weights(&weights);
    machine.write_optimizer_states(&weights, &[]).unwrap();
    let tensors = machine.compiled.tensors.clone();
    machine.load_set(&tensors.train.unwrap(), &set("train"));
    machine.load_set(&tensors.test.unwrap(), &set("test"));
    machine
}

/// The steps of an epoch, with a partial last one.
fn steps() -> Vec<Step> {
    let mut steps = Step::epoch(IMAGES, BATCH, 0, 5, 0.1);
    if let Some(last) = steps.last_mut() {
        last.count -= 5;
    }
    steps
}

/// All results of a machine after training, evaluation and prediction, as bits.
fn results(machine: &mut Machine) -> Vec<u32> {
    let tensors = machine.compiled.tensors.clone();
    let scores = tensors.scores.unwrap();
    let whole = |machine: &Machine, id: TensorId| 0..machine.compiled.plan.get(id).region.len;
    let mut bits = Vec::new();
    let [velocity, average] = [OptimizerState::Velocity, OptimizerState::Average]
        .map(|optimizer_state| tensors.optimizer_state(optimizer_state).unwrap());
    for id in [tensors.weights, velocity, average, scores.losses, tensors.probabilities.unwrap()] {
        let part = whole(machine, id);
        bits.extend(pollster::block_on(machine.read(id, part)).unwrap().iter().map(|value| value.to_bits()));
    }
    let part = whole(machine, scores.predictions);
    bits.extend(pollster::block_on(machine.read_int(scores.predictions, part)).unwrap());
    bits
}

/// Trains, evaluates and predicts; `between` may overwrite storages between two sections.
fn run(mut machine: Machine, between: impl Fn(&mut Machine)) -> Vec<u32> {
    let image = common::random(BATCH * 10 * 9 * 2, 8);
    for step in steps() {
        between(&mut machine);
        machine.run(Section::Train, &[step]).unwrap();
        between(&mut machine);
        machine.run(Section::Evaluate, &[step]).unwrap();
    }
    between(&mut machine);
    machine.write(machine.compiled.tensors.x, &image);
    machine.run(Section::Predict, &[Step { count: BATCH as u32, ..Step::default() }]).unwrap();
    let bits = results(&mut machine);
    let finite = bits.iter().filter(|bits| f32::from_bits(**bits).is_finite()).count();
    assert!(finite == bits.len() && bits.iter().any(|bits| *bits != 0), "something is not finite");
    bits
}

#[test]
fn sharing_storages_does_not_change_results() {
    let _alone = alone();
    let bytes = |compiled: &Compiled| compiled.plan.storages.iter().map(|storage| 4 * storage.len).sum::<usize>();
    assert!(bytes(&compiled()) < bytes(&apart(compiled())), "no storage is shared");
    for device in devices() {
        let in_turns = run(machine(&device, compiled()), |_| ());
        let apart = run(machine(&device, apart(compiled())), |_| ());
        assert!(in_turns == apart, "{}: other results", device.description);
    }
}

/// A section reads only what it has written itself: NaN would spread to the weights.
#[test]
fn no_section_depends_on_leftovers_in_shared_storages() {
    let _alone = alone();
    let poison = |machine: &mut Machine| {
        let plan = &machine.compiled.plan;
        let storage = |id: &TensorId| plan.get(*id).region.storage;
        let known: Vec<StorageId> = common::inspect::known(&machine.compiled).iter().map(storage).collect();
        let ids = (0..plan.tensors.len()).map(TensorId).filter(|id| !known.contains(&storage(id)));
        let all: Vec<_> = ids.map(|id| (id, plan.get(id).region.len, plan.storages[storage(&id).0].element)).collect();
        assert!(all.len() > 10, "hardly anything to poison");
        for (id, len, element) in all {
            match element {
                Element::Real => machine.write(id, &vec![f32::NAN; len]),
                Element::Int => machine.write_int(id, &vec![u32::MAX; len]),
            }
        }
    };
    for device in devices() {
        let clean = run(machine(&device, compiled()), |_| ());
        assert!(clean == run(machine(&device, compiled()), poison), "{}: other results", device.description);
    }
}

#[test]
fn steps_create_nothing_on_the_device() {
    let _alone = alone();
    let device = gpu();
    let mut machine = machine(&device, compiled());
    let objects = || device.gpu().unwrap().objects().unwrap();
    let before = objects();
    for (kind, count) in before.all() {
        // Only software drivers get operands in textures.
        let none = kind == "textures" && !device.gpu().unwrap().is_software();
        assert!(count.alive > 0 || none, "no {kind}: what is counted?");
        // Then any new object, however short-lived, would raise the maximum.
        assert_eq!(count.alive, count.most, "some {kind} have already been freed");
    }
    let many: Vec<Step> = steps().into_iter().cycle().take(300).collect();
    machine.run(Section::Train, &many).unwrap();
    machine.run(Section::Evaluate, &many[..20]).unwrap();
    pollster::block_on(machine.finish()).unwrap();
    assert_eq!(objects(), before);

    // Reading back creates a temporary buffer.
    let losses = machine.compiled.tensors.scores.unwrap().losses;
    for step in &many {
        machine.run(Section::Train, &[*step]).unwrap();
        pollster::block_on(machine.read(losses, 0..1)).unwrap();
    }
    let after = objects();
    for ((kind, before), (_, after)) in before.all().into_iter().zip(after.all()) {
        assert_eq!(after.alive, before.alive, "{kind}");
        assert!(after.most <= before.most + 1, "{kind}: {} at once", after.most);
    }
}

/// Resident memory of this process, in KiB.
#[cfg(target_os = "linux")]
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// 10,000 steps with everything that training involves: orders, scores read back, evaluations, weights. A leak of a
/// tenth of a KiB per step would show.
#[cfg(target_os = "linux")]
#[test]
fn memory_is_flat_over_a_long_run() {
    const SLACK: usize = 1024;
    const WARM_UP: usize = 100;
    const EPOCHS: usize = WARM_UP + 10_000 / (IMAGES / BATCH);
    let _alone = alone();
    let data = DataPair { train: set("train"), test: set("test"), source: "noise".into() };
    for device in &devices()[..2] {
        let options = TrainOptions { epochs: EPOCHS, batch_size: BATCH, ..TrainOptions::default() };
        let mut trainer = Trainer::new(device, &model(), &data, options, None).unwrap();
        let mut held = Vec::new();
        let outcome = pollster::block_on(trainer.run(&mut |event| {
            if let Event::Epoch(..) = event {
                held.push(resident());
            }
            Ok(ControlFlow::Continue(()))
        }));
        assert_eq!(outcome.unwrap().epochs.last().unwrap().step, EPOCHS * IMAGES / BATCH);
        let (warm, last) = (held[WARM_UP], held[EPOCHS - 1]);
        println!("{}: {} KiB, {warm} KiB, {last} KiB", device.description, held[0]);
        assert!(last <= warm + SLACK, "{}: from {warm} to {last} KiB", device.description);
    }
}
