//! Several ranks train the network of one: within rounding from step to step, and with equal bits from run to run. The
//! ranks are threads here; `tests/mpi.rs` runs them as processes.

#[path = "common/spots.rs"]
mod spots;
#[path = "common/threads.rs"]
mod threads;

use shadegrad::data::{DataPair, Dataset};
use shadegrad::fast::Instructions;
use shadegrad::machine::{Device, DeviceChoice, Machine, sections};
use shadegrad::network::Network;
use shadegrad::ops::Step;
use shadegrad::ops::augment::Augment;
use shadegrad::plan::Combine;
use shadegrad::ranks::{Alone, Collective};
use shadegrad::train::{Checkpoint, Division, Event, Moments, Optimizer, StepOptions, TrainOptions, Trainer};
use shadegrad::verify::training::WITH_NORMS;
use spots::{data, model, options};
use std::ops::ControlFlow;

/// Largest difference of losses and weights from those of one rank over twenty steps. Sums are added in another order,
/// so each gradient, which is below 1, may be off by some units of 2^-24, and twenty steps add that up. A wrong slice of
/// the batch shows up at 1e-3.
const ROUNDING: f64 = 1e-6;

/// What a run leaves behind.
#[derive(Clone, Debug, PartialEq)]
struct Trained {
    losses: Vec<f64>,
    correct: Vec<u64>,
    val_losses: Vec<f64>,
    weights: Vec<f32>,
    /// The checkpoint, without the time that the run took.
    end: Bytes,
}

/// The bytes of a checkpoint.
#[derive(Clone, PartialEq)]
struct Bytes(Vec<u8>);

impl std::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

fn cpu() -> Device {
    Device::cpu(Some(1), Instructions::best(), None).unwrap()
}

fn driver() -> Device {
    let name = std::env::var("SHADEGRAD_TEST_DEVICE").unwrap_or("auto".into());
    pollster::block_on(Device::open(&name.parse().unwrap())).unwrap()
}

/// Trains to the end as one of several ranks.
fn train_on(
    ranks: &dyn Collective,
    device: &Device,
    network: &Network,
    data: &DataPair,
    options: &TrainOptions,
) -> Trained {
    let mut trainer = Trainer::new_on(ranks, device, network, data, options.clone(), None).unwrap();
    finish(&mut trainer, usize::MAX)
}

/// Trains to the end, or until step `until`.
fn finish(trainer: &mut Trainer<'_>, until: usize) -> Trained {
    let (mut losses, mut correct, mut val_losses) = (Vec::new(), Vec::new(), Vec::new());
    pollster::block_on(trainer.run(&mut |event| {
        let mut ends = false;
        match event {
            Event::Steps(report) => {
                losses.extend(report.losses);
                ends = report.first_step + report.losses.len() > until;
            }
            Event::Epoch(report, _) => {
                correct.push((report.train_accuracy * 1e6).round() as u64);
                val_losses.push(report.val_loss);
            }
            _ => {}
        }
        Ok(if ends { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }))
    .unwrap();
    let mut checkpoint = pollster::block_on(trainer.checkpoint()).unwrap();
    checkpoint.state.progress.epoch.seconds = 0.0;
    let weights = checkpoint.state.model().values.concat();
    Trained { losses, correct, val_losses, weights, end: Bytes(checkpoint.to_bytes()) }
}

/// The largest difference between two runs, of losses relative to their size, and of weights.
fn difference(one: &Trained, other: &Trained) -> f64 {
    assert_eq!((one.losses.len(), one.weights.len()), (other.losses.len(), other.weights.len()));
    let of_losses = |one: &[f64], other: &[f64]| {
        one.iter().zip(other).map(|(one, other)| (one - other).abs() / other.abs().max(1.0)).fold(0.0, f64::max)
    };
    let of_weights = one.weights.iter().zip(&other.weights);
    let of_weights = of_weights.map(|(one, other)| f64::from((one - other).abs())).fold(0.0, f64::max);
    let all = [of_losses(&one.losses, &other.losses), of_losses(&one.val_losses, &other.val_losses), of_weights];
    assert!(all.iter().all(|difference| !difference.is_nan()));
    all.into_iter().fold(0.0, f64::max)
}

/// Twenty steps: 95 images in batches of 20, the last of them 15, for four epochs.
fn twenty_steps() -> TrainOptions {
    TrainOptions { epochs: 4, every_step: true, ..options() }
}

/// Every optimizer, and everything else that a step can do.
fn variations() -> Vec<(&'static str, TrainOptions)> {
    let plain = twenty_steps();
    let with = |step: StepOptions| TrainOptions { step, ..plain.clone() };
    let step = plain.step;
    let moments = Moments { epsilon: 5e-2, ..Moments::default() };
    let adam = |optimizer| TrainOptions { learning_rate: 0.02, ..with(StepOptions { optimizer, ..step }) };
    vec![
        ("momentum", plain.clone()),
        ("no momentum", with(StepOptions { optimizer: Optimizer::sgd(0.0), ..step })),
        ("Nesterov", with(StepOptions { optimizer: Optimizer::Sgd { momentum: 0.9, nesterov: true }, ..step })),
        ("Adam", adam(Optimizer::Adam(moments))),
        ("AdamW", adam(Optimizer::AdamW(moments))),
        ("weight decay", with(StepOptions { weight_decay: 1e-2, ..step })),
        ("clipping", with(StepOptions { clip_norm: Some(0.5), ..step })),
        ("EMA", with(StepOptions { ema: Some(0.8), ..step })),
        ("label smoothing", with(StepOptions { label_smoothing: 0.1, ..step })),
        ("augmentation", with(StepOptions { augment: Some(Augment::DIGITS), ..step })),
        ("several steps at once", TrainOptions { every_step: false, ..plain.clone() }),
    ]
}

#[test]
fn several_ranks_train_the_network_of_one() {
    let data = data(95, 33);
    for (name, options) in variations() {
        let alone = train_on(&Alone, &cpu(), &model(), &data, &options);
        assert_eq!(alone.losses.len(), 20);
        for ranks in [2, 3, 4, 13] {
            let all = threads::run(ranks, |thread| train_on(thread, &cpu(), &model(), &data, &options));
            assert!(all.iter().all(|trained| *trained == all[0]), "{name}: {ranks} ranks differ");
            let got = difference(&all[0], &alone);
            println!("{name}, {ranks} ranks: {got:.1e}");
            assert!(got <= ROUNDING, "{name}, {ranks} ranks: {got:e} from one rank");
            assert_eq!(all[0].correct, alone.correct, "{name}, {ranks} ranks");
        }
    }
}

#[test]
fn the_same_ranks_give_the_same_bits() {
    let data = data(95, 33);
    let (_, options) = variations().swap_remove(3);
    let run = || threads::run(3, |thread| train_on(thread, &cpu(), &model(), &data, &options)).swap_remove(0);
    assert_eq!(run(), run());
}

#[test]
fn ranks_on_a_driver_and_on_different_devices() {
    let data = data(95, 33);
    for (name, options) in variations().into_iter().filter(|(name, _)| ["Adam", "EMA", "clipping"].contains(name)) {
        let alone = train_on(&Alone, &driver(), &model(), &data, &options);
        let on_driver = threads::run(2, |thread| train_on(thread, &driver(), &model(), &data, &options));
        assert_eq!(on_driver[0], on_driver[1]);
        let got = difference(&on_driver[0], &alone);
        assert!(got <= ROUNDING, "{name}: {got:e} from one rank on the driver");
        let mixed = threads::run(3, |thread| {
            let device = if thread.rank() == 1 { cpu() } else { driver() };
            train_on(thread, &device, &model(), &data, &options)
        });
        assert!(mixed.iter().all(|trained| trained.weights == mixed[0].weights), "{name}: ranks differ");
        let got = difference(&mixed[0], &alone);
        assert!(got <= ROUNDING, "{name}: {got:e} from one rank, on different devices");
    }
}

#[test]
fn parts_of_a_batch_add_up() {
    let data = data(95, 33);
    for (name, options) in variations() {
        // The kernels of the driver are slow, and need not be run with every optimizer.
        let on_driver = ["momentum", "Adam", "augmentation", "several steps at once"].contains(&name);
        for device in [Some(cpu()), on_driver.then(driver)].into_iter().flatten() {
            let alone = train_on(&Alone, &device, &model(), &data, &options);
            for accumulate in [2, 3, 20] {
                let options = TrainOptions { accumulate, ..options.clone() };
                let got = difference(&train_on(&Alone, &device, &model(), &data, &options), &alone);
                assert!(got <= ROUNDING, "{name}, {accumulate} parts: {got:e} from the batch at once");
            }
        }
        // Ranks and parts together.
        let options = TrainOptions { accumulate: 2, ..options };
        let alone = train_on(&Alone, &cpu(), &model(), &data, &options);
        let all = threads::run(3, |thread| train_on(thread, &cpu(), &model(), &data, &options));
        let got = difference(&all[2], &alone);
        assert!(got <= ROUNDING, "{name}, 3 ranks with 2 parts: {got:e}");
    }
}

fn with_norms() -> Network {
    Network::from_toml("norms", WITH_NORMS).unwrap()
}

#[test]
fn shared_statistics_are_those_of_one_rank() {
    let data = data(95, 33);
    let plain = twenty_steps();
    let step = StepOptions { sync_batch_norm: true, ..plain.step };
    for (name, step) in
        [("momentum", step), ("EMA and clipping", StepOptions { ema: Some(0.8), clip_norm: Some(1.0), ..step })]
    {
        let options = TrainOptions { learning_rate: 0.02, step, ..plain.clone() };
        let alone = train_on(&Alone, &cpu(), &with_norms(), &data, &options);
        for ranks in [2, 4] {
            let all = threads::run(ranks, |thread| train_on(thread, &cpu(), &with_norms(), &data, &options));
            assert!(all.iter().all(|trained| *trained == all[0]), "{name}: {ranks} ranks differ");
            let got = difference(&all[0], &alone);
            println!("{name}, {ranks} ranks: {got:.1e}");
            assert!(got <= 5.0 * ROUNDING, "{name}, {ranks} ranks: {got:e} from one rank");
        }
        let on_driver = threads::run(2, |thread| train_on(thread, &driver(), &with_norms(), &data, &options));
        let got = difference(&on_driver[0], &alone);
        assert!(got <= 5.0 * ROUNDING, "{name}, on the driver: {got:e} from one rank");
        let mixed = threads::run(3, |thread| {
            let device = if thread.rank() == 1 { driver() } else { cpu() };
            let options = TrainOptions { accumulate: 1, ..options.clone() };
            train_on(thread, &device, &with_norms(), &data, &options)
        });
        let got = difference(&mixed[0], &alone);
        assert!(got <= 5.0 * ROUNDING, "{name}, on different devices: {got:e} from one rank");
        // Statistics of its own make another network of each rank's slice.
        let own = TrainOptions { step: StepOptions { sync_batch_norm: false, ..step }, ..options };
        let all = threads::run(2, |thread| train_on(thread, &cpu(), &with_norms(), &data, &own));
        assert!(difference(&all[0], &alone) > 1e-3, "{name}: statistics of slices are not those of the batch");
    }
}

/// Two ranks with statistics of their own are one rank with two parts, which have the same images: all but the running
/// statistics is equal, and so is everything with shared statistics over the ranks for each part.
#[test]
fn statistics_of_a_slice_are_those_of_a_part() {
    let data = data(96, 33);
    let options = TrainOptions { batch_size: 24, learning_rate: 0.02, ..twenty_steps() };
    let parts = TrainOptions { accumulate: 2, ..options.clone() };
    for device in [cpu, driver] {
        let alone = train_on(&Alone, &device(), &with_norms(), &data, &parts);
        let all = threads::run(2, |thread| train_on(thread, &device(), &with_norms(), &data, &options));
        let learned: Vec<bool> =
            with_norms().parameters().iter().flat_map(|of| vec![of.parameter.is_learned; of.parameter.len()]).collect();
        let of = |trained: &Trained| Trained {
            weights: trained.weights.iter().zip(&learned).filter(|(_, is)| **is).map(|(weight, _)| *weight).collect(),
            val_losses: Vec::new(),
            ..trained.clone()
        };
        let got = difference(&of(&all[0]), &of(&alone));
        assert!(got <= 5.0 * ROUNDING, "{got:e} from the parts of one rank");
    }
    // Part 0 of two ranks with two parts each holds images 0 to 5 and 12 to 17; the batch is in that order for one rank.
    let syncs = TrainOptions { step: StepOptions { sync_batch_norm: true, ..parts.step }, ..parts };
    let all = threads::run(2, |thread| train_on(thread, &cpu(), &with_norms(), &data, &syncs));
    assert!(all[0] == all[1] && all[0].losses.iter().all(|loss| loss.is_finite()));
}

/// The running statistics of all ranks are the mean of those that each would have alone, weighted by its images.
#[test]
fn running_statistics_are_weighted_by_images() {
    let whole = data(20, 33);
    let options = TrainOptions { batch_size: 20, epochs: 1, shuffle: false, learning_rate: 1e-6, ..options() };
    let kept: Vec<bool> = with_norms()
        .parameters()
        .iter()
        // The third norm comes after a dropout, which drops other elements in a slice alone.
        .flat_map(|of| vec![!of.parameter.is_learned && !of.tensor.starts_with("norm3"); of.parameter.len()])
        .collect();
    let running = |trained: &Trained| -> Vec<f64> {
        trained.weights.iter().zip(&kept).filter(|(_, is)| **is).map(|(weight, _)| f64::from(*weight)).collect()
    };
    let got = threads::run(3, |thread| train_on(thread, &cpu(), &with_norms(), &whole, &options)).swap_remove(0);
    let mut expected = vec![0.0; running(&got).len()];
    for rows in [0..7, 7..14, 14..20] {
        let pixels: usize = whole.train.shape().iter().product();
        let images = whole.train.images()[rows.start * pixels..rows.end * pixels].to_vec();
        let labels = whole.train.labels()[rows.clone()].to_vec();
        let slice = Dataset::new(images, labels, whole.train.shape(), whole.train.classes()).unwrap();
        let slice = DataPair { train: slice.named("train"), test: whole.test.clone(), source: "slice".into() };
        let alone = running(&train_on(&Alone, &cpu(), &with_norms(), &slice, &options));
        expected.iter_mut().zip(&alone).for_each(|(sum, value)| *sum += value * rows.len() as f64 / 20.0);
    }
    for (got, expected) in running(&got).iter().zip(&expected) {
        assert!((got - expected).abs() <= 5.0 * ROUNDING * expected.abs().max(1.0), "{got}, expected {expected}");
    }
}

/// Each rank has statistics of its own images, and all keep the same running statistics, also when a rank has no
/// images in the last batch: 95 images in batches of 32 leave 31, and in batches of 30 leave 5.
#[test]
fn running_statistics_are_the_same_everywhere() {
    let data = data(95, 33);
    for batch_size in [32, 30] {
        let options = TrainOptions { batch_size, ..twenty_steps() };
        for device in [cpu, driver] {
            let all = threads::run(4, |thread| train_on(thread, &device(), &with_norms(), &data, &options));
            assert!(all.iter().all(|trained| *trained == all[0]));
            assert!(all[0].weights.iter().all(|weight| weight.is_finite()));
        }
        let all = threads::run(4, |thread| train_on(thread, &cpu(), &with_norms(), &data, &options));
        assert!(all[0].weights.iter().all(|weight| weight.is_finite()));
    }
}

/// Ranks without images to train on, and without images to evaluate, take part all the same.
#[test]
fn ranks_may_have_nothing_to_do() {
    let data = data(22, 3);
    let options = TrainOptions { batch_size: 3, epochs: 1, every_step: true, ..options() };
    let alone = train_on(&Alone, &driver(), &model(), &data, &options);
    for device in [cpu, driver] {
        let all = threads::run(5, |thread| train_on(thread, &device(), &model(), &data, &options));
        assert!(all.iter().all(|trained| *trained == all[0]));
        let got = difference(&all[4], &alone);
        assert!(got <= ROUNDING, "{got:e}");
    }
}

/// Trains as one of two ranks without a trainer, where `tamper` changes the steps.
fn by_hand(ranks: &dyn Collective, data: &DataPair, options: &TrainOptions, tamper: fn(&mut Step)) -> Vec<f32> {
    let network = model();
    let division = Division::new(&network, options.batch_size, ranks.ranks(), 1);
    let compiled = options.compile_for(&network, data, ranks.ranks()).unwrap();
    let mut machine = Machine::new(&cpu(), compiled).unwrap();
    let weights = network.initialize(1);
    machine.write_weights(&weights);
    machine.write_optimizer_states(&weights, &[]).unwrap();
    let set = machine.compiled.tensors.train.unwrap();
    machine.load_set(&set, &data.train);
    for step in Step::epoch(data.train.len(), options.batch_size, 0, 1, options.learning_rate) {
        for (mut part, section) in sections(&division.parts_of(&step, ranks.rank(), false)) {
            tamper(&mut part);
            let mut combine = |how, values: &mut [f32]| {
                assert_eq!(how, Combine::Sum);
                ranks.sum(values)
            };
            pollster::block_on(machine.run_exchanging(section, part, &mut combine)).unwrap();
        }
    }
    pollster::block_on(machine.read_weights()).unwrap().values.concat()
}

/// Leaving out one of the numbers that place a slice in its batch is noticed.
#[test]
fn every_offset_matters() {
    let data = data(95, 33);
    let (_, options) = variations().into_iter().find(|(name, _)| *name == "augmentation").unwrap();
    let alone = by_hand(&Alone, &data, &options, |_| ());
    let farthest = |tamper: fn(&mut Step)| {
        let got = threads::run(2, |thread| by_hand(thread, &data, &options, tamper)).swap_remove(0);
        got.iter().zip(&alone).map(|(got, alone)| f64::from((got - alone).abs())).fold(0.0, f64::max)
    };
    assert!(farthest(|_| ()) <= ROUNDING);
    assert!(farthest(|step| step.row = 0) > 1e-3, "the same elements are dropped and images distorted on all ranks");
    assert!(farthest(|step| step.total = 0) > 1e-3, "the loss is divided by the images of the slice");
    assert!(farthest(|step| step.first -= step.row) > 1e-3, "all ranks take the same images");
}

#[test]
fn a_run_is_resumed_with_the_same_bits() {
    let data = data(95, 33);
    for (network, options) in [
        (model(), variations().swap_remove(4).1),
        (with_norms(), TrainOptions { learning_rate: 0.02, batch_size: 30, ..twenty_steps() }),
    ] {
        let undisturbed = threads::run(3, |thread| train_on(thread, &cpu(), &network, &data, &options));
        for until in [1, 7, 10] {
            let resumed = threads::run(3, |thread| {
                let mut first = Trainer::new_on(thread, &cpu(), &network, &data, options.clone(), None).unwrap();
                finish(&mut first, until);
                let checkpoint = pollster::block_on(first.checkpoint()).unwrap();
                assert_eq!((checkpoint.ranks, checkpoint.state.progress.step), (3, until));
                // All ranks continue from the checkpoint of rank 0.
                let bytes = (thread as &dyn Collective).from_first(&checkpoint.to_bytes()).unwrap();
                let checkpoint = Checkpoint::from_bytes(&bytes, "checkpoint".as_ref()).unwrap();
                let mut second = Trainer::resume_on(thread, &cpu(), checkpoint, &data).unwrap();
                finish(&mut second, usize::MAX)
            });
            assert!(resumed.iter().all(|trained| trained.end == undisturbed[0].end), "resumed after step {until}");
        }
    }
}

/// If the observer of one rank ends the run, it ends for all, after the same step.
#[test]
fn one_rank_ends_the_run_of_all() {
    let data = data(95, 33);
    let ended = threads::run(3, |thread| {
        let mut trainer = Trainer::new_on(thread, &cpu(), &model(), &data, twenty_steps(), None).unwrap();
        finish(&mut trainer, if thread.rank() == 1 { 7 } else { usize::MAX });
        trainer.progress().step
    });
    assert_eq!(ended, [7; 3]);
}

#[test]
fn what_differs_between_ranks_is_named() {
    let (right, other) = (data(95, 33), data(94, 33));
    let start = |ranks: usize,
                 network: &(dyn Fn(usize) -> Network + Sync),
                 change: &(dyn Fn(usize, &mut TrainOptions) + Sync)| {
        threads::run(ranks, |thread| {
            let rank = thread.rank();
            let mut options = options();
            change(rank, &mut options);
            let data = if options.seed == 99 && rank == 1 { &other } else { &right };
            let started = Trainer::new_on(thread, &cpu(), &network(rank), data, options, None);
            started.map(|_| ()).unwrap_err().to_string()
        })
    };
    let same = |_: usize| model();
    let different = |rank: usize| if rank == 2 { with_norms() } else { model() };
    for (errors, says) in [
        (start(3, &different, &|_, _| ()), "rank 2 has another network than rank 0: expected `name = "),
        (start(2, &same, &|_, options| options.seed = 99), "rank 1 has another data set than rank 0"),
        (start(2, &same, &|rank, options| options.epochs += rank), "rank 1 has another set of training options"),
        (start(2, &same, &|_, options| options.find_nan = true), "find_nan needs the whole batch on one device"),
    ] {
        assert!(errors.iter().all(|error| *error == errors[0]), "{errors:?}");
        assert!(errors[0].contains(says), "{}", errors[0]);
    }
}

/// A rank whose weights get other bits ends the run.
#[test]
fn weights_that_differ_end_the_run() {
    /// A rank whose third sum is wrong.
    struct WrongSum<'t>(&'t threads::Thread, std::cell::Cell<usize>);
    impl Collective for WrongSum<'_> {
        fn rank(&self) -> usize {
            self.0.rank()
        }
        fn ranks(&self) -> usize {
            self.0.ranks()
        }
        fn on_node(&self) -> shadegrad::ranks::OnNode {
            self.0.on_node()
        }
        fn gather(&self, own: &[u8]) -> shadegrad::Result<Vec<Vec<u8>>> {
            self.0.gather(own)
        }
        fn sum(&self, values: &mut [f32]) -> shadegrad::Result<()> {
            self.0.sum(values)?;
            self.1.set(self.1.get() + 1);
            if self.rank() == 1 && self.1.get() == 3 {
                values[0] += 0.5;
            }
            Ok(())
        }
    }
    let data = data(95, 33);
    let errors = threads::run(2, |thread| {
        let wrong = WrongSum(thread, std::cell::Cell::new(0));
        let mut trainer = Trainer::new_on(&wrong, &cpu(), &model(), &data, twenty_steps(), None).unwrap();
        let ended = pollster::block_on(trainer.run(&mut |_| Ok(ControlFlow::Continue(()))));
        ended.unwrap_err().to_string()
    });
    for error in errors {
        assert!(error.starts_with("rank 1 has another checksum of the weights after step 5 than rank 0"), "{error}");
    }
}

/// A part of a batch that batch_norm cannot take a variance of is refused.
#[test]
fn a_part_with_one_image_is_refused() {
    let network = Network::from_toml(
        "flat",
        "input = [10, 9, 2]\nlayers = [{ type = 'flatten' }, { type = 'batch_norm' }, { type = 'dense', units = 4 }]",
    );
    let (network, data) = (network.unwrap(), data(60, 33));
    let compile = |options: TrainOptions, ranks: usize| options.compile_for(&network, &data, ranks).map(|_| ());
    let options = TrainOptions { batch_size: 20, ..options() };
    assert!(compile(options.clone(), 4).is_ok() && compile(options.clone(), 1).is_ok());
    let error = compile(options.clone(), 20).unwrap_err().to_string();
    assert!(error.contains("leaves one image for a part") && error.contains("sync_batch_norm"), "{error}");
    let syncs = TrainOptions { step: StepOptions { sync_batch_norm: true, ..options.step }, ..options.clone() };
    assert!(compile(syncs, 20).is_ok());
    let error = compile(TrainOptions { accumulate: 20, ..options }, 1).unwrap_err().to_string();
    assert!(error.contains("leaves one image for a part") && !error.contains("sync_batch_norm"), "{error}");
}

#[test]
fn the_reference_exchanges_too() {
    let data = data(40, 10);
    let options = TrainOptions { epochs: 1, batch_size: 8, accumulate: 2, every_step: true, ..options() };
    let reference = || pollster::block_on(Device::open(&DeviceChoice::Reference)).unwrap();
    let alone = train_on(&Alone, &reference(), &model(), &data, &options);
    let all = threads::run(2, |thread| train_on(thread, &reference(), &model(), &data, &options));
    let got = difference(&all[1], &alone);
    assert!(got <= ROUNDING, "{got:e}");
}
