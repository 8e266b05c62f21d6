//! Networks: files, presets, errors, weights, and plans.

use shadegrad::fast::{self, Instructions, Team};
use shadegrad::network::{CompileOptions, MOST_LAYERS, Network, PRESETS};
use shadegrad::ops::{KernelConfig, Step};
use shadegrad::plan::{Element, Pass, Plan, Region};
use shadegrad::reference;
use shadegrad::train::{Recipe, StepOptions};
use std::collections::HashSet;
use std::sync::Arc;

/// A network file with these layers.
fn file(layers: &str) -> String {
    format!("name = 'small'\ninput = [8, 8, 2]\n{layers}")
}

fn error(layers: &str) -> String {
    Network::from_toml("net.toml", &file(layers)).expect_err(layers).to_string()
}

/// A `[[layers]]` table with this type and these settings.
fn layer(kind: &str, config: &str) -> String {
    format!("[[layers]]\ntype = '{kind}'\n{config}\n")
}

#[test]
fn presets_have_the_parameters_computed_by_hand() {
    let expected = [
        ("case1", 1_199_882),
        ("case2", 225_034),
        ("case3", 1_199_882),
        ("case4", 225_034),
        ("case5", 1_199_882),
        ("case6", 225_034),
        ("lenet5", 61_706),
        ("mlp", 575_050),
        ("starter", 39_082),
        ("fast", 26_890),
        ("best", 290_058),
    ];
    assert_eq!(PRESETS.len(), expected.len());
    for (name, parameters) in expected {
        let network = Network::open(name).unwrap();
        assert_eq!((network.name.as_str(), network.classes()), (name, 10));
        assert_eq!(network.parameter_count(), parameters, "{name}");
        let stated = PRESETS.iter().find(|preset| preset.name == name).unwrap();
        let digits: String = stated.text.chars().filter(|letter| *letter != ',').collect();
        assert!(digits.contains(&format!("{parameters} parameters")), "{name}: its comment has another number");
    }
}

#[test]
fn the_cases_differ_as_in_the_paper() {
    let kinds = |name: &str| {
        let network = Network::open(name).unwrap();
        network.layers.iter().map(|at| at.name.clone()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(kinds("case1"), "conv1 relu1 conv2 relu2 pool1 dropout1 flatten1 dense1 relu3 dropout2 dense2");
    assert_eq!(kinds("case2"), "conv1 relu1 pool1 conv2 relu2 pool2 dropout1 flatten1 dense1 relu3 dropout2 dense2");
    assert_eq!(kinds("case3"), "conv1 relu1 conv2 relu2 pool1 flatten1 dense1 relu3 dense2");
    assert_eq!(kinds("case4"), "conv1 relu1 pool1 conv2 relu2 pool2 flatten1 dense1 relu3 dense2");
    assert_eq!(kinds("case5"), "conv1 relu1 conv2 relu2 pool1 flatten1 dense1 relu3 dropout1 dense2");
    assert_eq!(kinds("case6"), "conv1 relu1 pool1 conv2 relu2 pool2 flatten1 dense1 relu3 dropout1 dense2");
    let rates = |name: &str| {
        let layers = Network::open(name).unwrap().layers;
        layers.iter().filter(|at| at.layer.kind() == "dropout").map(|at| at.layer.describe()).collect::<Vec<_>>()
    };
    assert_eq!(rates("case2"), ["rate 0.25", "rate 0.5"]);
    assert_eq!(rates("case6"), ["rate 0.5"]);
}

#[test]
fn parameters_are_named_as_in_the_equivalent_sequential() {
    let keys: Vec<_> = Network::open("case2").unwrap().parameters().into_iter().map(|of| (of.key, of.tensor)).collect();
    let expected = [
        ("0.weight", "conv1.w"),
        ("0.bias", "conv1.b"),
        ("3.weight", "conv2.w"),
        ("3.bias", "conv2.b"),
        ("8.weight", "dense1.w"),
        ("8.bias", "dense1.b"),
        ("11.weight", "dense2.w"),
        ("11.bias", "dense2.b"),
    ];
    assert_eq!(keys, expected.map(|(key, tensor)| (key.to_string(), tensor.to_string())));
}

#[test]
fn written_networks_read_back_the_same() {
    let mut texts: Vec<String> = PRESETS.iter().map(|preset| preset.text.to_string()).collect();
    texts.push(
        file(
            "loss = 'quadratic'\ninitializer = 'he-normal'\n[[layers]]\nname = 'eye'\ntype = 'conv2d'\nfilters = 3\n\
             kernel = [3, 2]\nstride = [1, 2]\npadding = [1, 0]\nactivation = 'tanh'\n",
        ) + &layer("l2_pool2d", "size = [2, 1]\nstride = 1")
            + &layer("min_pool2d", "size = 2")
            + &layer("average_pool2d", "size = 1\nstride = [1, 2]")
            + &layer("flatten", "")
            + &layer("dropout", "rate = 0.1")
            + &layer("sigmoid", "")
            + &layer("dense", "units = 2"),
    );
    for text in texts {
        let mut network = Network::from_toml("first.toml", &text).unwrap();
        // The training options are not part of the network itself.
        network.recipe = Recipe::default();
        let written = network.to_toml();
        let again = Network::from_toml("second.toml", &written).unwrap();
        assert_eq!(format!("{network:?}"), format!("{again:?}"), "\n{written}");
        assert_eq!(again.to_toml(), written);
    }
}

#[test]
fn errors_name_the_layer_and_say_expected_and_got() {
    let conv = layer("conv2d", "filters = 4\nkernel = 3\nactivation = 'relu'");
    let dense = layer("dense", "units = 10");
    let cases: Vec<(String, &[&str])> = vec![
        (
            layer("conv3d", "name = 'c'"),
            &["net.toml: layer 1 (conv3d `c`)", "unknown type `conv3d`", "conv2d, max_pool2d"],
        ),
        ("[[layers]]\nfilters = 3".into(), &["layer 1: missing key `type`", "dropout, flatten"]),
        (
            layer("conv2d", "filter = 4\nkernel = 3"),
            &["layer 1 (conv2d): unknown key `filter`", "type, name, filters, kernel, stride, padding, activation"],
        ),
        (layer("relu", "rate = 1"), &["layer 1 (relu): unknown key `rate`; known keys: type, name"]),
        (
            layer("max_pool2d", "size = 2\nactivation = 'relu'"),
            &["unknown key `activation`", "type, name, size, stride"],
        ),
        (layer("conv2d", "kernel = 3"), &["layer 1 (conv2d)", "missing key `filters`"]),
        (layer("conv2d", "filters = 0\nkernel = 3"), &["(conv2d)", "`filters`", "from 1 to 65535, got 0"]),
        (layer("conv2d", "filters = 4\nkernel = [3, 3, 3]"), &["`kernel`", "[rows, columns], got [3, 3, 3]"]),
        (layer("conv2d", "filters = 4\nkernel = 3\nstride = 0"), &["`stride`", "from 1", "got 0"]),
        (
            layer("conv2d", "filters = 4\nkernel = 3\npadding = 'full'"),
            &["`padding`", "\"valid\", \"same\"", "got \"full\""],
        ),
        (
            layer("conv2d", "filters = 4\nkernel = 3\nactivation = 'flatten'"),
            &["activation", "\"tanh\", got \"flatten\""],
        ),
        (layer("max_pool2d", "size = 2\nstride = 'x'"), &["`stride`", "got \"x\""]),
        (layer("dense", "units = -1"), &["`units`", "from 1 to 65535, got -1"]),
        (layer("dropout", "rate = 1.0"), &["layer 1 (dropout): `rate`", "at least 0 and below 1, got 1.0"]),
        (layer("dropout", "rate = nan"), &["`rate`", "got nan"]),
        (
            format!("{conv}{dense}"),
            &["layer 2 (dense `dense1`)", "got an image of 6x6x4", "put a `flatten` layer before"],
        ),
        (
            format!("{}{}", layer("flatten", ""), layer("conv2d", "filters = 4\nkernel = 3")),
            &["layer 2 (conv2d `conv1`)", "expected an image", "got 128 features"],
        ),
        (layer("max_pool2d", "size = 9"), &["layer 1 (max_pool2d `pool1`)", "expected at least 9 rows", "got 8"]),
        (
            layer("conv2d", "filters = 4\nkernel = 3\npadding = [3, 0]"),
            &["padding 3 must be smaller than the kernel's 3"],
        ),
        (conv.clone(), &["last layer (relu `relu1`)", "one score for each class", "image of 6x6x4", "`flatten`"]),
        (String::new(), &["net.toml: expected at least one layer ([[layers]] in a file), got none"]),
        (layer("flatten", ""), &["expected at least one layer with weights"]),
        (format!("{}{}", layer("flatten", ""), layer("dense", "units = 1")), &["at least 2 classes", "got 1"]),
        (
            format!("{}{}", layer("flatten", "name = 'a'"), layer("dense", "name = 'a'\nunits = 2")),
            &["layer 2 (dense `a`): expected a unique name, got that of layer 1"],
        ),
        (layer("flatten", "name = 'a.b'"), &["expected a name of 1 to 32 letters", "got \"a.b\""]),
        (format!("{conv}{}{}", layer("dense", "units = 2"), ""), &["layer 2 (dense `dense1`)"]),
        (
            format!(
                "{}{}",
                layer("conv2d", "filters = 65535\nkernel = 1"),
                layer("conv2d", "filters = 65535\nkernel = 8")
            ),
            &["layer 2 (conv2d `conv2`): expected at most 268435456 values in its weight"],
        ),
        ("[[layers]\n".into(), &["net.toml: ", "line 3"]),
        ("los = 'quadratic'".into(), &["net.toml: ", "unknown key `los`", "`initializer`", "line 3"]),
        ("loss = 'hinge'".into(), &["net.toml: ", "`hinge`", "`cross-entropy`"]),
        (
            format!("{}{}{}", layer("flatten", ""), layer("dense", "units = 10"), layer("softmax", "")),
            &["net.toml: layer 3 (softmax): softmax is part of the loss", "remove this [[layers]] table"],
        ),
        (
            format!("{}{}", layer("LogSoftmax", "name = 's'\ndim = 1"), layer("flatten", "")),
            &["layer 1 (LogSoftmax `s`): softmax is part of the loss", "remove this [[layers]] table"],
        ),
        (layer("log_softmax", ""), &["layer 1 (log_softmax): softmax is part of the loss"]),
        (
            format!("{}{}", layer("flatten", ""), layer("dense", "units = 10\nactivation = 'softmax'")),
            &["layer 2 (dense): activation: softmax is part of", "remove the line `activation = \"softmax\"`"],
        ),
        (
            layer("conv2d", "filters = 4\nkernel = 3\nactivation = 'Log-Softmax'"),
            &["layer 1 (conv2d): activation: softmax is part of the loss"],
        ),
        (
            format!("{}{}", layer("batch_norm", ""), layer("flatten", "")),
            &[
                "last layer (flatten `flatten1`)",
                "several positions and channels",
                "an image of 8x8x2",
                "`dense` layer",
            ],
        ),
        (
            format!("{conv}{}{}{}", layer("flatten", ""), layer("dropout", "rate = 0.5"), layer("tanh", "")),
            &["last layer (tanh `tanh1`)", "an image of 6x6x4", "a pool of 6x6"],
        ),
    ];
    for (layers, parts) in cases {
        let message = error(&layers);
        for part in parts {
            assert!(message.contains(part), "expected `{part}` in:\n{message}\n");
        }
    }
    let message = Network::from_toml("net.toml", "layers = []").unwrap_err().to_string();
    assert!(message.contains("net.toml: ") && message.contains("missing key `input`"), "{message}");
    let message = Network::from_toml("net.toml", "input = [28, 0, 1]").unwrap_err().to_string();
    assert!(message.contains("net.toml: input: expected") && message.contains("got 28x0x1"), "{message}");
}

/// The order of the classes is then that of the channels or of the positions, as in PyTorch.
#[test]
fn a_network_may_end_in_one_position_or_one_channel() {
    let ends = [
        layer("conv2d", "filters = 10\nkernel = 8"),
        layer("conv2d", "filters = 10\nkernel = 3") + &layer("average_pool2d", "size = 6"),
        layer("conv2d", "filters = 1\nkernel = 3"),
    ];
    for (end, classes) in ends.into_iter().zip([10, 10, 36]) {
        let text = file(&(end + &layer("flatten", "")));
        assert_eq!(Network::from_toml("net.toml", &text).unwrap().classes(), classes, "{text}");
    }
}

/// A chain of dense layers with two features each.
fn long(layers: usize) -> String {
    format!("input = [1, 1, 2]\n{}{}", layer("flatten", ""), layer("dense", "units = 2").repeat(layers))
}

/// Every layer has 6 parameters and 4 products of 2 FLOPs each.
#[test]
fn ten_thousand_layers_are_summed_up() {
    let network = Network::from_toml("long", &long(10_000)).unwrap();
    let summary = network.summary(&CompileOptions { batch: 3, ..CompileOptions::default() }).unwrap().to_string();
    let rows: Vec<Vec<&str>> = summary.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[13], ["10", "dense10", "dense", "2", "units", "2", "6", "8"]);
    assert_eq!(rows[10_004], ["total", "60,000", "80,000"]);
    let first = summary.split_once("A training step of 3 images\n").unwrap().1.lines().next().unwrap();
    assert!(first.contains("computes 719,976 FLOPs: 240,000 forward, 479,976 backward"), "{first}");
}

#[test]
fn the_number_of_layers_has_a_limit() {
    let message = |text: &str| Network::from_toml("net.toml", text).unwrap_err().to_string();
    let said = |got| format!("net.toml: expected at most 65535 layers, including activations, got {got}");
    assert_eq!(message(&long(MOST_LAYERS)), said(65_536));
    let inline = "{ type = 'relu' }, ".repeat(65_536);
    assert_eq!(message(&format!("input = [1, 1, 2]\nlayers = [{inline}]\n")), said(65_536));
    // Fewer tables, but more layers.
    let active = layer("dense", "units = 2\nactivation = 'relu'").repeat(40_000);
    assert_eq!(message(&format!("{}{active}", long(0))), said(80_001));
    let longest = Network::from_toml("net.toml", &long(MOST_LAYERS - 1)).unwrap();
    assert_eq!(Network::from_toml("net.toml", &longest.to_toml()).unwrap().layers.len(), MOST_LAYERS);
}

#[test]
fn networks_are_found_by_preset_or_path() {
    let message = Network::open("case7").unwrap_err().to_string();
    assert!(
        message.contains("`case7`") && message.contains("case6, lenet5, mlp, fast, best") && message.contains(".toml"),
        "{message}"
    );
    let message = Network::open("missing/net.toml").unwrap_err().to_string();
    assert!(message.contains("cannot read missing/net.toml"), "{message}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.toml");
    let text = format!("input = [2, 2, 1]\n{}{}", layer("flatten", ""), layer("dense", "units = 3"));
    std::fs::write(&path, text).unwrap();
    let network = Network::open(path.to_str().unwrap()).unwrap();
    assert_eq!((network.name.as_str(), network.parameter_count()), ("mine", 15), "named after its file");
}

fn every_section(batch: usize) -> CompileOptions {
    CompileOptions {
        batch,
        train_images: 20,
        test_images: 12,
        predict: true,
        step: StepOptions::default(),
        slots: 4,
        ..CompileOptions::default()
    }
}

/// The rule of WebGPU, which the CPU machine follows too: outputs are in distinct storages that the pass does not read.
fn check_storages(plan: &Plan, pass: &Pass) {
    let lens = |ids: &[shadegrad::plan::TensorId]| ids.iter().map(|id| plan.get(*id).region.len).collect::<Vec<_>>();
    let said = |operands: Vec<(&str, usize)>| operands.into_iter().map(|(_, len)| len).collect::<Vec<_>>();
    assert_eq!(said(pass.op.inputs()), lens(&pass.inputs), "{}: inputs", pass.label);
    assert_eq!(said(pass.op.outputs()), lens(&pass.outputs), "{}: outputs", pass.label);
    let read: HashSet<_> = pass.inputs.iter().map(|id| plan.get(*id).region.storage).collect();
    let mut written: Vec<Region> = Vec::new();
    for id in &pass.outputs {
        let tensor = plan.get(*id);
        assert!(
            !read.contains(&tensor.region.storage),
            "{}: reads and writes the storage of {}",
            pass.label,
            tensor.name
        );
        let apart = written.iter().all(|other| !other.overlaps(&tensor.region));
        assert!(apart, "{}: writes a part of {} twice", pass.label, tensor.name);
        written.push(tensor.region);
    }
}

#[test]
fn plans_obey_the_rule_of_storages() {
    for preset in PRESETS {
        let compiled = Network::open(preset.name).unwrap().compile(&every_section(7)).unwrap();
        for pass in compiled.train.iter().chain(&compiled.evaluate).chain(&compiled.predict) {
            check_storages(&compiled.plan, pass);
        }
        for region in compiled.plan.tensors.iter().map(|tensor| tensor.region) {
            assert_eq!(region.offset % 64, 0);
            assert!(region.offset + region.len <= compiled.plan.storages[region.storage.0].len);
        }
        let names: HashSet<_> = compiled.plan.tensors.iter().map(|tensor| &tensor.name).collect();
        assert_eq!(names.len(), compiled.plan.tensors.len(), "{}: two tensors of one name", preset.name);
    }
}

#[test]
fn the_sections_of_case2_are_as_expected() {
    let compiled = Network::open("case2").unwrap().compile(&every_section(5)).unwrap();
    let lines = |passes: &[Pass]| {
        let names = |ids: &[shadegrad::plan::TensorId]| {
            ids.iter().map(|id| compiled.plan.get(*id).name.as_str()).collect::<Vec<_>>().join(" ")
        };
        let line = |pass: &Pass| format!("{}: {} -> {}", pass.label, names(&pass.inputs), names(&pass.outputs));
        passes.iter().map(line).collect::<Vec<_>>()
    };
    let train = [
        "batch.gather: train.images train.labels train.order -> batch.x batch.targets",
        "conv1.forward: batch.x conv1.w conv1.b -> conv1.y",
        "pool1.forward: conv1.y -> pool1.y pool1.m",
        "conv2.forward: pool1.y conv2.w conv2.b -> conv2.y",
        "pool2.forward: conv2.y -> pool2.y pool2.m",
        "dense1.forward: pool2.y dense1.w dense1.b -> dense1.y",
        "dense2.forward: dense1.y dense2.w dense2.b -> dense2.y",
        "loss.cross_entropy: dense2.y batch.targets -> loss.dx loss.loss loss.prediction",
        "dense2.backward_input: loss.dx dense2.w dense1.y -> dense2.dx",
        "dense2.backward_weight: dense1.y loss.dx -> dense2.dw dense2.db",
        "dense1.backward_input: dense2.dx dense1.w -> dense1.dx",
        "dense1.backward_weight: pool2.y dense2.dx -> dense1.dw dense1.db",
        "pool2.backward: pool2.y pool2.m dense1.dx -> pool2.dx",
        "conv2.backward_weight: pool1.y pool2.dx -> conv2.dw conv2.db",
        "conv2.backward_input: pool2.dx conv2.w -> conv2.dx",
        "pool1.backward: pool1.y pool1.m conv2.dx -> pool1.dx",
        "conv1.backward_weight: batch.x pool1.dx -> conv1.dw conv1.db",
        "score: loss.loss loss.prediction batch.targets -> score.losses score.correct score.predictions",
        "sgd.update: gradients -> weights velocity",
    ];
    assert_eq!(lines(&compiled.train), train);
    let evaluate = [
        "batch.gather: test.images test.labels test.order -> batch.x batch.targets",
        "conv1.forward: batch.x conv1.w conv1.b -> conv1.y",
        "pool1.forward: conv1.y -> pool1.y",
        "conv2.forward: pool1.y conv2.w conv2.b -> conv2.y",
        "pool2.forward: conv2.y -> pool2.y",
        "dense1.forward: pool2.y dense1.w dense1.b -> dense1.y",
        "dense2.forward: dense1.y dense2.w dense2.b -> dense2.y",
        "loss.cross_entropy: dense2.y batch.targets -> loss.dx loss.loss loss.prediction",
        "score: loss.loss loss.prediction batch.targets -> score.losses score.correct score.predictions",
    ];
    assert_eq!(lines(&compiled.evaluate), evaluate);
    assert_eq!(lines(&compiled.predict)[..6], evaluate[1..7]);
    assert_eq!(lines(&compiled.predict)[6..], ["softmax.forward: dense2.y -> probabilities"]);
}

#[test]
fn activations_and_gradients_of_case2_share_storages() {
    let compiled = Network::open("case2").unwrap().compile(&every_section(5)).unwrap();
    let holds = |index: usize| {
        let inside = compiled.plan.tensors.iter().filter(|tensor| tensor.region.storage.0 == index);
        inside.map(|tensor| tensor.name.as_str()).collect::<Vec<_>>().join(" ")
    };
    let storages = compiled.plan.storages.iter().enumerate().filter(|(_, storage)| storage.in_turns);
    let storages: Vec<_> =
        storages.map(|(index, storage)| (storage.name.as_str(), storage.len, holds(index))).collect();
    // conv1.y is not needed after pooling. A tensor that is read while two others share a storage, as pool1.y, is in
    // another storage.
    let expected = [
        ("conv1.y", 5 * 26 * 26 * 32, "conv1.y conv2.y dense2.dx pool2.dx pool1.dx"),
        ("conv2.dx", 5 * 13 * 13 * 32, "pool2.y conv2.dx"),
        ("dense1.dx", 5 * 5 * 5 * 64, "dense1.y dense1.dx"),
    ];
    assert_eq!(storages, expected.map(|(name, len, holds)| (name, len, holds.to_string())));
}

#[test]
fn omitted_sections_take_no_memory() {
    let options = CompileOptions { batch: 4, predict: true, ..Default::default() };
    let compiled = Network::open("lenet5").unwrap().compile(&options).unwrap();
    assert!(compiled.train.is_empty() && compiled.evaluate.is_empty());
    let names: Vec<_> = compiled.plan.storages.iter().map(|storage| storage.name.as_str()).collect();
    assert_eq!(names, ["weights", "batch.x", "conv1.y", "pool1.y", "dense3.y", "probabilities"]);
}

#[test]
fn batches_that_do_not_fit_are_refused() {
    let message = |batch| {
        let options = CompileOptions { batch, train_images: 9, ..Default::default() };
        Network::open("case1").unwrap().compile(&options).unwrap_err().to_string()
    };
    assert_eq!(message(0), "batch size: expected 1 to 65536 images, got 0");
    assert!(message(60_000).contains("`conv1.y` would have 1297920000 elements in batches of 60000"));
}

#[test]
fn the_summary_matches_hand_computed_counts() {
    let summary = Network::open("lenet5")
        .unwrap()
        .summary(&CompileOptions { batch: 10, step: StepOptions::default(), ..Default::default() })
        .unwrap()
        .to_string();
    println!("{summary}");
    let line = |name: &str| {
        let line = summary.lines().find(|line| line.contains(name)).unwrap_or_else(|| panic!("no {name}"));
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    // Two FLOPs for each of 28 * 28 * 6 * 25 products.
    assert_eq!(line("conv1"), "0 conv1 conv2d 6 filters 5x5, stride 1, same 28x28x6 156 235,200");
    // Two FLOPs for each of 10 * 10 * 16 * 25 * 6 products.
    assert_eq!(line("conv2 "), "3 conv2 conv2d 16 filters 5x5, stride 1, valid 10x10x16 2,416 480,000");
    assert_eq!(line("relu3"), "8 relu3 relu 120");
    // Dense layers: 2 * (400 * 120 + 120 * 84 + 84 * 10).
    let forward = 235_200 + 480_000 + 2 * (48_000 + 10_080 + 840);
    assert_eq!(line("total"), "total 61,706 833,040");
    assert_eq!(forward, 833_040);
    // The backward pass takes twice as many as the forward pass, without the first layer's input gradient.
    let cost = "computes 22,639,200 FLOPs: 8,330,400 forward, 14,308,800 backward";
    assert_eq!(10 * (3 * forward - 235_200), 22_639_200);
    assert!(summary.contains(cost), "{summary}");
}

#[test]
fn the_listing_shows_every_pass_and_storage() {
    let compiled = Network::open("case2").unwrap().compile(&every_section(100)).unwrap();
    // On a GPU, joined passes write neither conv1.y nor pool1.dx.
    let expected = [(KernelConfig::software(), (5, (2, 3))), (KernelConfig::hardware(), (2, (6, 9)))];
    for (config, expected) in expected {
        let listing = compiled.listing(&compiled.train, &config).unwrap().to_string();
        println!("{listing}");
        for pass in &compiled.train {
            assert!(listing.contains(&pass.label), "no {} in\n{listing}", pass.label);
        }
        for name in ["weights", "gradients", "velocity", "conv1.y", "score.predictions"] {
            assert!(listing.lines().any(|line| line.trim_start().starts_with(name)), "no {name} in\n{listing}");
        }
        assert!(!listing.contains("probabilities"), "another section's storage in\n{listing}");
        // Tensors share a storage one after the other; pooling is between these two.
        let line = listing.lines().find(|line| line.trim_start().starts_with("conv1.y  ")).unwrap();
        let turns: Vec<(usize, usize)> = line
            .split(" #")
            .skip(1)
            .map(|turn| {
                let number = |text: &str| text.trim_end_matches(|c: char| !c.is_ascii_digit()).parse().unwrap();
                let alive = turn.split_once(',').map_or(turn, |(alive, _)| alive);
                alive.split_once('-').map(|(first, last)| (number(first), number(last))).unwrap()
            })
            .collect();
        assert_eq!((turns.len(), turns[0]), expected, "{line}");
        assert!(turns.is_sorted_by(|a, b| a.1 < b.0), "{line}");
    }
}

/// A step of each preset on the CPU and on the f64 reference, from the same weights and images, with two rows of
/// padding. There is no simple bound for the growth of errors in the backward pass. Sums have up to 9,216 terms, whose
/// errors grow with the root of their number: 100 u, or 1e-5 of the largest gradient of a tensor. A wrong term shows up
/// at 1e-2.
#[test]
fn a_step_of_every_preset_on_the_cpu_matches_the_reference() {
    let team = Arc::new(Team::new(Some(3), Instructions::best()).unwrap());
    for preset in PRESETS {
        let network = Network::open(preset.name).unwrap();
        let compiled = network.compile(&every_section(7)).unwrap();
        let (plan, tensors) = (&compiled.plan, &compiled.tensors);
        let mut cpu = fast::CpuBackend::new(team.clone(), plan).unwrap();
        let mut expected = reference::ReferenceBackend::<f64>::new(plan);
        for (id, values) in tensors.parameters.iter().zip(network.initialize(1).values) {
            let region = plan.get(*id).region;
            let wide: Vec<f64> = values.iter().map(|value| f64::from(*value)).collect();
            cpu.real(region).copy_from_slice(&values);
            expected.real(region).copy_from_slice(&wide);
        }
        let set = tensors.train.unwrap();
        for (id, most) in [(set.images, u32::MAX), (set.labels, 9), (set.order, 19)] {
            let region = plan.get(id).region;
            let words: Vec<u32> = (0..region.len as u32).map(|i| i.wrapping_mul(2_654_435_761) % most).collect();
            cpu.int(region).copy_from_slice(&words);
            expected.int(region).copy_from_slice(&words);
        }
        let step = Step { seed_low: 5, step: 1, first: 2, count: 5, slot: 3, learning_rate: 0.1, ..Step::default() };
        cpu.run(plan, &compiled.train, &[step]).unwrap();
        for pass in &compiled.train {
            expected.run(plan, pass, step);
        }
        let scores = tensors.scores.unwrap();
        assert_eq!(cpu.int(plan.get(scores.correct).region), expected.int(plan.get(scores.correct).region));
        let parameters = network.parameters();
        let gradients = tensors.parameter_gradients.iter().zip(&parameters);
        let learned = gradients.filter(|(_, of)| of.parameter.is_learned).map(|(id, _)| id);
        let mut of_weights = 0.0;
        for id in learned.chain(&tensors.parameters).chain([&scores.losses]) {
            let tensor = plan.get(*id);
            assert_eq!(plan.storages[tensor.region.storage.0].element, Element::Real);
            let (got, expected) = (cpu.real(tensor.region), expected.real(tensor.region));
            let mut largest = expected.iter().fold(0.0, |most: f64, value| most.max(value.abs()));
            if tensor.name.ends_with('w') {
                of_weights = largest;
            } else if tensor.name.ends_with('b') {
                // The gradient of a bias before a batch_norm is 0 except for rounding, in sums like those of the
                // weights.
                largest = largest.max(of_weights);
            }
            let errors = got.iter().zip(&*expected).map(|(got, expected)| (f64::from(*got) - expected).abs());
            // Written so that a NaN is kept.
            let worst =
                errors.fold(0.0, |worst: f64, error: f64| if worst.is_nan() || error <= worst { worst } else { error });
            println!(
                "{} {}: up to {largest:.1e}, worst error {:.1e} of that",
                preset.name,
                tensor.name,
                worst / largest
            );
            assert!(largest > 0.0, "{} {}: nothing to compare", preset.name, tensor.name);
            assert!(worst <= 1e-5 * largest, "{} {}: off by {worst:e}", preset.name, tensor.name);
        }
    }
}
