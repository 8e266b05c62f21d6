//! Tests of the checks themselves: each one breaks something on purpose and expects a failure.

mod common;

use common::inspect::{Inspector, mirrors_are_fresh, operands_are_of_their_pass, tensors_survive};
use common::joined::differences;
use common::{Asserts, Case, Output, U, compare, dot_bound, gpu, integers, random, variants};
use shadegrad::gpu::{Command, Constant, Dispatch, Memory, Mirrors, Operand, Program, Recording, ShaderFile};
use shadegrad::machine::recording;
use shadegrad::network::{CompileOptions, Compiled, Network};
use shadegrad::ops::{Activation, KernelConfig, Step, activation, dense, pool2d, sgd};
use shadegrad::plan::{Element, Plan, Region};
use shadegrad::reference::ReferenceBackend;
use shadegrad::shape::{Padding, Window2d};
use shadegrad::train::StepOptions;
use shadegrad::verify::Expected;
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The failure message of a check; fails if the check passes.
fn red(what: &str, check: impl FnOnce()) -> String {
    match catch_unwind(AssertUnwindSafe(check)) {
        Ok(()) => panic!("{what}: the check passed"),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            text.or(panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default()
        }
    }
}

fn expect_red(what: &str, says: &str, check: impl FnOnce()) {
    let message = red(what, check);
    assert!(message.contains(says), "{what}: expected `{says}` in `{message}`");
}

/// y = x w + b, large enough for several tiles.
fn dense_case() -> Case {
    let geometry = dense::Geometry { batch: 40, inputs: 36, outputs: 24 };
    let given = vec![
        ("x", integers(40 * 36, 3, 1).into()),
        ("w", integers(36 * 24, 3, 2).into()),
        ("b", integers(24, 3, 3).into()),
    ];
    Case::new(dense::Forward { geometry, activation: Activation::Relu, dropout: None }, given)
}

/// Compares with the f32 reference, element by element.
fn judge_exact(case: &Case, what: &str, got: &[Output]) {
    case.judge(what, got, &Expected::exact(case));
}

fn dispatches(recording: &mut Recording) -> Vec<&mut Dispatch> {
    let commands = recording.commands.iter_mut();
    commands
        .filter_map(|command| match command {
            Command::Dispatch(dispatch) => Some(dispatch),
            Command::Mirror { .. } => None,
        })
        .collect()
}

/// A constant of the first dispatch that has it.
fn constant<'a>(recording: &'a mut Recording, name: &str) -> &'a mut Constant {
    let all = dispatches(recording).into_iter().flat_map(|dispatch| &mut dispatch.kernel.constants);
    let mut found = all.filter(|(known, _)| *known == name);
    &mut found.next().unwrap_or_else(|| panic!("no constant {name}")).1
}

fn add(value: &mut Constant, by: i64) {
    let Constant::U32(value) = value else { panic!("{value:?} is no u32") };
    *value = (i64::from(*value) + by) as u32;
}

#[test]
fn one_output_element_is_enough() {
    let case = dense_case();
    let expected = Expected::within(&case, |_, _| dot_bound(37, &vec![36.0 * 9.0 + 3.0; 40 * 24]));
    for config in variants() {
        let variant = &config.to_string();
        let mut got = case.run(&config);
        judge_exact(&case, variant, &got);
        case.judge(variant, &got, &expected);
        let (last, held) = (got[0].bits.len() - 1, got[0].bits.clone());
        for index in [0, 100, last] {
            let value = f32::from_bits(held[index]);
            got[0].bits[index] = (value + 0.01 * value.abs().max(1.0)).to_bits();
            expect_red(variant, &format!("y[{index}]"), || judge_exact(&case, variant, &got));
            expect_red(variant, &format!("y[{index}]"), || case.judge(variant, &got, &expected));
            got[0].bits = held.clone();
        }
        got[0].bits.pop();
        expect_red("a short output", " results, ", || case.judge(variant, &got, &expected));
        got.clear();
        expect_red("no output", "number of outputs", || case.judge(variant, &got, &expected));
    }
}

#[test]
fn nan_is_never_within_a_bound() {
    compare("fine", &[1.0, 2.0], &[1.0, 2.0], &[0.0, 0.0]);
    let nan = f64::NAN;
    expect_red("NaN came out", "[1]", || compare("NaN", &[1.0, nan], &[1.0, 2.0], &[1.0, 1.0]));
    expect_red("NaN was expected", "[0]", || compare("NaN", &[1.0, 2.0], &[nan, 2.0], &[1.0, 1.0]));
    expect_red("NaN is the bound", "[1]", || compare("NaN", &[1.0, 2.0], &[1.0, 2.0], &[1.0, nan]));
    expect_red("both are NaN", "[0]", || compare("NaN", &[nan], &[nan], &[1.0]));
    expect_red("infinity came out", "[0]", || compare("inf", &[f64::INFINITY], &[1.0], &[1e30]));
    expect_red("too few", "1 results, 2 expected values", || compare("len", &[1.0], &[1.0, 2.0], &[0.0, 0.0]));
    let case = dense_case();
    let mut got = case.run(&common::plain());
    got[0].bits[7] = f32::NAN.to_bits();
    expect_red("NaN in an output", "y[7]", || judge_exact(&case, "hardware", &got));
}

/// Elements that a kernel leaves out keep the NaN that outputs are filled with.
#[test]
fn an_element_left_out_is_poison() {
    let case = dense_case();
    for config in variants() {
        let variant = &config.to_string();
        let half = |recording: &mut Recording| {
            let last = dispatches(recording).pop().unwrap();
            assert!(last.groups[0] > 1, "{variant}: one workgroup, nothing to leave out");
            last.groups = [1, 1];
        };
        let got = case.run_tampered(&config, half);
        expect_red(variant, "NaN", || judge_exact(&case, variant, &got));
    }
}

/// One invocation too many writes a vec4 past the end of the tensor; without the guard, the driver would clamp the
/// index.
#[test]
fn a_write_behind_the_end_hits_the_guard() {
    let given = vec![("x", random(256, 1).into())];
    let case = Case::new(activation::Forward { activation: Activation::Relu, len: 256 }, given);
    let config = common::plain();
    judge_exact(&case, "untouched", &case.run(&config));
    let beyond = |recording: &mut Recording| {
        add(constant(recording, "COUNT"), 1);
        dispatches(recording)[0].groups = [2, 1];
        *constant(recording, "GROUPS_X") = Constant::U32(2);
    };
    expect_red("COUNT + 1", "y was written past its end", || {
        case.run_tampered(&config, beyond);
    });
    // The same for an input, which a kernel must not write.
    let update = || {
        let given = vec![("gradient", random(64, 1).into()), ("weights", random(64, 2).into())];
        Case::new(sgd::Update { len: 64, momentum: 0.0, nesterov: false, weight_decay: 0.0, clipped: false }, given)
    };
    let exchange = |recording: &mut Recording| {
        let dispatch = &mut dispatches(recording)[0];
        std::mem::swap(&mut dispatch.reads[0].1, &mut dispatch.writes[0].1);
    };
    expect_red("an input is written", "input gradient was overwritten", || {
        update().run_tampered(&config, exchange);
    });
}

#[test]
fn a_constant_off_by_one_is_noticed() {
    let case = dense_case();
    let config = KernelConfig { busy_groups: 1, ..common::plain() };
    for (name, by) in [("K", -4), ("INPUTS4", 1), ("INPUTS4", -1), ("OUTPUTS4", 1), ("M", -1), ("N4", -1)] {
        let got = case.run_tampered(&config, |recording| add(constant(recording, name), by));
        expect_red(name, "y[", || judge_exact(&case, name, &got));
    }
    let window = Window2d::new(2, [6, 7, 4], [2, 2], [2, 2], Padding::Valid).unwrap();
    let given = vec![("x", random(window.input_len(), 5).into())];
    let pool = Case::new(pool2d::Forward { window, kind: pool2d::Kind::Max, keeps_m: false, dropout: None }, given);
    judge_exact(&pool, "untouched", &pool.run(&config));
    for name in ["KERNEL_H", "STRIDE_W", "WIDTH"] {
        let got = pool.run_tampered(&config, |recording| add(constant(recording, name), -1));
        expect_red(name, "y[", || judge_exact(&pool, name, &got));
    }
}

#[test]
fn a_swapped_binding_is_noticed() {
    // Two inputs of equal length differ only in their values.
    let given = vec![("y", random(100, 1).into()), ("dy", random(100, 2).into())];
    let case = Case::new(activation::Backward { activation: Activation::Tanh, len: 100 }, given);
    let config = common::plain();
    let expected = Expected::within(&case, |_, dx| vec![4.0 * U; dx.len()]);
    case.judge("untouched", &case.run(&config), &expected);
    let swap = |recording: &mut Recording| {
        let reads = &mut dispatches(recording)[0].reads;
        (reads[0].0, reads[1].0) = (reads[1].0, reads[0].0);
    };
    let got = case.run_tampered(&config, swap);
    expect_red("y and dy swapped", "dx[", || case.judge("swapped", &got, &expected));
    // Names without a binding, or too many operands.
    expect_red("a name that no binding has", "nothing bound to `y`", || {
        case.run_tampered(&config, |recording| dispatches(recording)[0].reads[0].0 = "z");
    });
    expect_red("an operand too many", "4 operands", || {
        case.run_tampered(&config, |recording| {
            let reads = &mut dispatches(recording)[0].reads;
            reads.push(("more", reads[0].1));
        });
    });
}

const NETWORK: &str = "input = [6, 6, 4]\n[[layers]]\ntype = 'conv2d'\nfilters = 8\nkernel = 3\nactivation = 'relu'\n\
                       [[layers]]\ntype = 'flatten'\n[[layers]]\ntype = 'dense'\nunits = 8\nactivation = 'tanh'\n\
                       [[layers]]\ntype = 'dense'\nunits = 4\n";

fn compiled() -> Compiled {
    let options = CompileOptions {
        batch: 4,
        train_images: 8,
        step: StepOptions::default(),
        slots: 2,
        ..CompileOptions::default()
    };
    Network::from_toml("small", NETWORK).unwrap().compile(&options).unwrap()
}

fn inspect(recording: &Recording) -> Result<(), String> {
    Inspector::default().inspect(recording)
}

#[test]
fn the_inspection_of_recordings_fails() {
    let compiled = compiled();
    let fresh = || recording(&compiled, &compiled.train, &common::mirrored()).unwrap();
    inspect(&fresh()).unwrap();
    let expect = |says: &str, tamper: &dyn Fn(&mut Recording)| {
        let mut recording = fresh();
        tamper(&mut recording);
        let inspected = inspect(&recording).and_then(|()| {
            operands_are_of_their_pass(&compiled, &compiled.train.iter().collect::<Vec<_>>(), &recording)
        });
        let problem = inspected.expect_err(says);
        assert!(problem.contains(says), "expected `{says}` in `{problem}`");
    };
    let update = |recording: &mut Recording, change: &dyn Fn(&mut Dispatch)| {
        change(dispatches(recording).into_iter().find(|dispatch| dispatch.label == "sgd.update").unwrap());
    };
    expect("a grid of 65536 x 1", &|r| update(r, &|d| d.groups[0] = 65_536));
    expect("a grid of 1 x 0", &|r| update(r, &|d| d.groups = [1, 0]));
    expect("invocations for", &|r| update(r, &|d| d.groups[0] -= 1));
    expect("GROUPS_X is", &|r| add(constant(r, "GROUPS_X"), 1));
    expect("too many for", &|r| update(r, &|d| d.groups[1] = 20));
    expect("`gradient` (Read) has 0 operands", &|r| update(r, &|d| d.reads[0].0 = "gradients"));
    expect("`weights` (ReadWrite) has 0 operands", &|r| update(r, &|d| d.reads.extend(d.writes.drain(..1))));
    expect("4 operands for 3 bindings", &|r| update(r, &|d| d.reads.push(("more", d.reads[0].1))));
    expect("reads and writes", &|r| update(r, &|d| d.reads[0].1 = d.writes[0].1));
    expect("twice", &|r| update(r, &|d| d.writes[1].1 = d.writes[0].1));
    expect("its operand Mirror", &|r| {
        update(r, &|d| {
            let Operand::Buffer(region) = d.reads[0].1 else { panic!("a buffer") };
            d.reads[0].1 = Operand::Mirror(region);
        });
    });
    expect("starts at element 3", &|r| {
        update(r, &|d| {
            if let Operand::Buffer(region) = &mut d.reads[0].1 {
                region.offset = 3;
            }
        });
    });
    expect("`WEIGHT_DECAYS`", &|r| update(r, &|d| d.kernel = d.kernel.clone().set("WEIGHT_DECAYS", 1.0f32)));
    expect("the uniform is", &|r| update(r, &|d| d.kernel.sources = changed_step(&d.kernel.sources)));

    expect("`gradient` is no tensor", &|r| {
        // A part of the bank, but not all of it.
        update(r, &|d| {
            if let Operand::Buffer(region) = &mut d.reads[0].1 {
                region.len -= 1;
            }
        });
    });

    static LARGE: ShaderFile = ShaderFile {
        path: "shaders/broken/large.wgsl",
        text: "var<workgroup> tile: array<vec4<f32>, 1025>;\n@compute @workgroup_size(257)\n\
               fn main() {\n    tile[0] = vec4<f32>();\n}\n",
    };
    static LARGE_TILE: ShaderFile = ShaderFile {
        path: "shaders/broken/large_tile.wgsl",
        text: "var<workgroup> tile: array<vec4<f32>, 1025>;\n@compute @workgroup_size(64)\n\
               fn main() {\n    tile[0] = vec4<f32>();\n}\n",
    };
    let replace = |source: &'static ShaderFile| {
        move |r: &mut Recording| {
            dispatches(r)[0].kernel = shadegrad::gpu::KernelSpec::new([source]);
        }
    };
    expect("257 invocations", &replace(&LARGE));
    expect("16400 bytes of workgroup memory", &replace(&LARGE_TILE));
}

/// The same sources with another name in the per-step uniform.
fn changed_step(sources: &[&'static ShaderFile]) -> Vec<&'static ShaderFile> {
    static RENAMED: std::sync::OnceLock<ShaderFile> = std::sync::OnceLock::new();
    let change = |source: &&'static ShaderFile| -> &'static ShaderFile {
        if source.path != "shaders/shared/step.wgsl" {
            return source;
        }
        RENAMED.get_or_init(|| {
            let text = source.text.replace("reserved:", "reserve:").leak();
            ShaderFile { path: "shaders/broken/step.wgsl", text }
        })
    };
    sources.iter().map(change).collect()
}

#[test]
fn a_changed_uniform_is_noticed_before_anything_runs() {
    let given = vec![("gradient", random(64, 1).into()), ("weights", random(64, 2).into())];
    let case =
        Case::new(sgd::Update { len: 64, momentum: 0.0, nesterov: false, weight_decay: 0.0, clipped: false }, given);
    expect_red("a renamed field", "the uniform struct differs between WGSL and Rust", || {
        case.run_tampered(&common::plain(), |recording| {
            let dispatch = &mut dispatches(recording)[0];
            dispatch.kernel.sources = changed_step(&dispatch.kernel.sources);
        });
    });
}

/// A header that lists too few, too many or other files than those that are joined.
#[test]
fn a_header_that_differs_from_the_kernels_is_noticed() {
    let kernel = |files: &[&str]| files.iter().map(ToString::to_string).collect::<Vec<_>>();
    let kernels = [
        kernel(&["op/pass", "shared/linear", "shared/pack"]),
        kernel(&["op/pass", "shared/linear", "shared/pack_wide", "shared/words"]),
    ];
    let found = |pass: &str, wide: &str| {
        let texts = [("op/pass", pass), ("shared/pack_wide", wide), ("shared/pack", "// shared / pack\n")];
        let texts = texts.map(|(name, text)| (name.to_string(), text.to_string())).into();
        differences(&texts, &kernels.clone().into()).into_iter().collect::<Vec<_>>().join("\n")
    };
    let (pass, wide) = ("// op / pass\n// with: shared/linear, shared/pack | pack_wide\n", "// with: shared/words\n");
    assert_eq!(found(pass, wide), "");
    for (pass, wide, says) in [
        ("// op / pass\n// with: shared/pack | pack_wide\n", wide, "shared/linear is joined to op/pass"),
        ("// op / pass\n\n// with: shared/linear, shared/pack | pack_wide\n", wide, "shared/pack is joined to op/pass"),
        (pass, "", "shared/words is joined to op/pass"),
        (
            &pass.replace("linear,", "linear, shared/step,"),
            wide,
            "op/pass says `shared/step`, and a kernel of op/pass has []",
        ),
        (&pass.replace("linear,", "linear | step,"), wide, "op/pass says shared/step, and no kernel joins it"),
        (&pass.replace(" |", ", shared/"), wide, "op/pass says `shared/pack`, and a kernel of op/pass has []"),
        (&pass.replace(", shared/pack", " | pack"), wide, "op/pass has [\"shared/linear\", \"shared/pack\"]"),
    ] {
        let found = found(pass, wide);
        assert!(found.contains(says), "expected `{says}` in\n{found}");
    }
}

/// A kernel that reads a texture copy before it is filled computes with zeros.
#[test]
fn a_stale_mirror_is_noticed() {
    let case = dense_case();
    let config = common::mirrored();
    for index in [0, 1] {
        let late = |recording: &mut Recording| {
            let is_mirror = |command: &Command| matches!(command, Command::Mirror { .. });
            let mirrors = recording.commands.iter().enumerate().filter(|(_, command)| is_mirror(command));
            let at = mirrors.map(|(at, _)| at).nth(index).unwrap();
            let copy = recording.commands.remove(at);
            recording.commands.push(copy);
            inspect(recording).expect_err("the inspection must see it too");
        };
        // The first run reads zeros or another texture's values, the second run those that the first has copied.
        expect_red("a late copy", "", || {
            let got = case.run_tampered(&config, late);
            judge_exact(&case, "a late copy", &got);
        });
    }
    expect_red("no copy at all", "has no mirror", || {
        case.run_tampered(&config, |recording| {
            recording.commands.retain(|command| matches!(command, Command::Dispatch(_)));
        });
    });
}

/// A tensor placed where another is alive, or where one is known to the host, is noticed; so is a texture shared by two
/// copies at the same time.
#[test]
fn two_tensors_in_one_place_at_once_are_noticed() {
    let notices = |from: &str, to: &str, says: &str| {
        let mut compiled = compiled();
        let plan = &mut compiled.plan;
        let place = |name: &str| plan.tensors.iter().position(|tensor| tensor.name == name).unwrap();
        let (from, to) = (place(from), place(to));
        plan.tensors[from].region.storage = plan.tensors[to].region.storage;
        let problem = tensors_survive(&compiled, &compiled.train.iter().collect::<Vec<_>>()).expect_err(says);
        assert!(problem.contains(says), "expected `{says}` in `{problem}`");
    };
    tensors_survive(&compiled(), &compiled().train.iter().collect::<Vec<_>>()).unwrap();
    // conv1.y is needed in the backward pass.
    notices("dense2.dx", "conv1.y", "dense1.backward_input: `conv1.y` is not there any more, or not yet");
    notices("conv1.y", "batch.x", "conv1.forward: reads and writes the storage of `batch.x`");
    notices("dense2.dx", "dense2.y", "`dense2.y` is overwritten, though it is known");
    notices("dense1.dx", "weights", "dense1.backward_input: reads and writes the storage of `dense1.w`");

    let compiled = compiled();
    let right = recording(&compiled, &compiled.train, &common::mirrored()).unwrap();
    mirrors_are_fresh(&right, &Mirrors::new(&[&right])).unwrap();
    // As if a copy were read only once: its texture is reused too early.
    let mut hasty = right.clone();
    let mut read: Vec<Operand> = Vec::new();
    for dispatch in dispatches(&mut hasty) {
        dispatch.reads.retain(|(_, operand)| !read.contains(operand));
        read.extend(dispatch.reads.iter().map(|(_, operand)| *operand));
    }
    let problem = mirrors_are_fresh(&right, &Mirrors::new(&[&hasty])).expect_err("a texture used twice");
    assert!(problem.contains("is stale"), "{problem}");
    // As if there were no texture copies at all.
    let problem = mirrors_are_fresh(&right, &Mirrors::default()).expect_err("no texture");
    assert!(problem.contains("a texture of 0 bytes is too small"), "{problem}");
}

/// Without any single copy the inspection fails; without all copies of a region the weights differ.
#[test]
fn the_copies_of_a_training_step_are_needed() {
    let compiled = compiled();
    let whole = recording(&compiled, &compiled.train, &common::mirrored()).unwrap();
    let copied = |command: &Command| match command {
        Command::Mirror { region, .. } => Some(*region),
        Command::Dispatch(_) => None,
    };
    let without = |unwanted: &dyn Fn(usize, &Command) -> bool| {
        let mut recording = whole.clone();
        let mut at = 0;
        recording.commands.retain(|command| {
            at += 1;
            !unwanted(at - 1, command)
        });
        let problem = inspect(&recording).expect_err("a copy is missing");
        assert!(problem.contains("is stale"), "{problem}");
        recording
    };
    let copies = whole.commands.iter().enumerate().filter(|(_, command)| copied(command).is_some());
    let copies: Vec<usize> = copies.map(|(at, _)| at).collect();
    assert!(copies.len() > 6, "only {} copies", copies.len());
    for copy in copies {
        without(&|at, _| at == copy);
    }
    let right = two_steps(&compiled, &whole, &whole);
    assert!(right.iter().all(|weight| weight.is_finite()) && right == two_steps(&compiled, &whole, &whole));
    let regions: HashSet<Region> = whole.commands.iter().filter_map(copied).collect();
    for region in regions {
        let stale = without(&|_, command| copied(command) == Some(region));
        let name = &compiled.plan.storages[region.storage.0].name;
        assert!(
            two_steps(&compiled, &stale, &whole) != right,
            "the texture copy of {region:?} in `{name}` is not needed"
        );
    }
}

/// The weights after two steps. `whole` determines which regions have texture copies.
fn two_steps(compiled: &Compiled, recording: &Recording, whole: &Recording) -> Vec<f32> {
    let gpu = gpu();
    let storages: Vec<_> = compiled.plan.storages.iter().map(|s| (s.name.clone(), s.len)).collect();
    let memory = Memory::new(gpu, &storages, &[recording, whole], size_of::<Step>()).unwrap();
    let program = Program::new(gpu, &memory, recording).unwrap();
    let region = |id| compiled.plan.get(id).region;
    let network = Network::from_toml("small", NETWORK).unwrap();
    for (id, values) in compiled.tensors.parameters.iter().zip(network.initialize(1).values) {
        memory.write(gpu, region(*id), bytemuck::cast_slice(&values));
    }
    let train = compiled.tensors.train.unwrap();
    let pixels = random(region(train.images).len, 4).iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    memory.write(gpu, region(train.images), bytemuck::cast_slice(&pixels));
    memory.write(gpu, region(train.labels), bytemuck::cast_slice(&[0u32, 1, 2, 3, 3, 2, 1, 0]));
    memory.write(gpu, region(train.order), bytemuck::cast_slice(&[3u32, 1, 4, 7, 5, 2, 6, 0]));
    let step = |step| Step { step, first: 4 * step, count: 4, slot: step, learning_rate: 0.1, ..Step::default() };
    program.submit(gpu, &memory, &[step(0), step(1)]).unwrap();
    let bytes = pollster::block_on(memory.read(gpu, region(compiled.tensors.weights))).unwrap();
    bytemuck::pod_collect_to_vec(&bytes)
}

/// Compares d sum(weights * tanh(x)) / dx by central differences with the backward pass, multiplied by `factor`.
fn difference_check(factor: f64, step: f64) {
    let len = 12;
    let forward = activation::Forward { activation: Activation::Tanh, len };
    let backward = activation::Backward { activation: Activation::Tanh, len };
    let numbers = |seed| random(len, seed).into_iter().map(f64::from).collect::<Vec<f64>>();
    let (x, weights) = (numbers(1), numbers(2));
    let mut plan = Plan::default();
    let [ids_x, ids_y, ids_dy, ids_dx] = ["x", "y", "dy", "dx"].map(|name| plan.tensor(name, &[len], Element::Real));
    let there = plan.pass("forward", forward, &[ids_x], &[ids_y]);
    let back = plan.pass("backward", backward, &[ids_y, ids_dy], &[ids_dx]);
    let mut machine = ReferenceBackend::<f64>::new(&plan);
    let mut loss = |x: &[f64]| {
        machine.real(plan.get(ids_x).region).copy_from_slice(x);
        machine.run(&plan, &there, Step::default());
        machine.real(plan.get(ids_y).region).iter().zip(&weights).map(|(y, weight)| y * weight).sum::<f64>()
    };
    let differences: Vec<f64> = (0..len)
        .map(|i| {
            let mut at = |by: f64| {
                let mut x = x.clone();
                x[i] += by;
                loss(&x)
            };
            (at(step) - at(-step)) / (2.0 * step)
        })
        .collect();
    loss(&x);
    machine.real(plan.get(ids_dy).region).copy_from_slice(&weights);
    machine.run(&plan, &back, Step::default());
    let got: Vec<f64> = machine.real(plan.get(ids_dx).region).iter().map(|dx| dx * factor).collect();
    let bound: Vec<f64> = differences.iter().map(|d| 1e-7 * (1.0 + d.abs())).collect();
    compare("dx", &got, &differences, &bound);
}

#[test]
fn a_gradient_off_by_a_factor_is_noticed() {
    difference_check(1.0, 1e-5);
    for factor in [1.0 + 1e-4, 0.5, 2.0, 0.0, -1.0, f64::NAN] {
        expect_red(&format!("factor {factor}"), "dx[", || difference_check(factor, 1e-5));
    }
    expect_red("steps too coarse", "dx[", || difference_check(1.0, 0.1));
}
