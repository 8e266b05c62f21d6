use super::*;
use crate::network::{PRESETS, Recipe};
use crate::ops::OPS;
use std::collections::BTreeSet;

/// The paper's networks: two convolutions, each with or without a pool, and optional dropouts.
fn case(name: &str, pools: [bool; 2], dropouts: [Option<f64>; 2]) -> NetworkBuilder<Dense> {
    let pooled = |layers: NetworkBuilder<ActivationLayer>, pool: bool| {
        if pool { layers.max_pool2d(2).erased() } else { layers.erased() }
    };
    let layers = Network::builder(name, [28, 28, 1]).conv2d(32, 3).relu();
    let layers = pooled(pooled(layers, pools[0]).conv2d(64, 3).relu(), pools[1]);
    let layers = match dropouts[0] {
        Some(rate) => layers.dropout(rate).erased(),
        None => layers,
    };
    let layers = layers.flatten().dense(128).relu();
    match dropouts[1] {
        Some(rate) => layers.dropout(rate).dense(10),
        None => layers.dense(10),
    }
}

impl<Last> NetworkBuilder<Last> {
    /// Erases the kind of the last layer, so that branches have one type.
    fn erased(self) -> NetworkBuilder {
        let NetworkBuilder { name, input, loss, initializer, layers, .. } = self;
        NetworkBuilder { name, input, loss, initializer, layers, last: PhantomData }
    }
}

fn preset(name: &str) -> Result<Network> {
    let start = || Network::builder(name, [28, 28, 1]);
    match name {
        "case1" => case(name, [false, true], [Some(0.25), Some(0.5)]),
        "case2" => case(name, [true, true], [Some(0.25), Some(0.5)]),
        "case3" => case(name, [false, true], [None, None]),
        "case4" => case(name, [true, true], [None, None]),
        "case5" => case(name, [false, true], [None, Some(0.5)]),
        "case6" => case(name, [true, true], [None, Some(0.5)]),
        "lenet5" => {
            let layers = start().conv2d(6, 5).padding(Padding::Same).relu().max_pool2d(2);
            layers.conv2d(16, 5).relu().max_pool2d(2).flatten().dense(120).relu().dense(84).relu().dense(10)
        }
        "mlp" => {
            let layers = start().flatten().dense(512).relu().dense(256).relu();
            layers.dense(128).relu().dense(64).relu().dense(10)
        }
        "starter" => {
            let layers = start().initializer(Initializer::HeNormal).conv2d(8, 3).batch_norm().relu().max_pool2d(2);
            let layers = layers.conv2d(32, 3).batch_norm().relu().max_pool2d(2);
            layers.conv2d(96, 3).batch_norm().relu().flatten().dropout(0.3).dense(10)
        }
        "fast" => {
            let layers = start().initializer(Initializer::HeNormal).conv2d(8, 3).batch_norm().relu().max_pool2d(2);
            let layers = layers.conv2d(32, 3).batch_norm().relu().max_pool2d(2);
            layers.conv2d(64, 3).batch_norm().relu().flatten().dense(10)
        }
        "best" => {
            let layers = start().initializer(Initializer::HeNormal).conv2d(32, 5).batch_norm().relu().max_pool2d(2);
            let layers = layers.conv2d(64, 3).padding(Padding::Same).batch_norm().relu();
            let layers = layers.conv2d(64, 3).padding(Padding::Same).batch_norm().relu().max_pool2d(2).dropout(0.25);
            let layers = layers.conv2d(128, 3).padding(Padding::Same).batch_norm().relu();
            let layers = layers.conv2d(128, 3).padding(Padding::Same).batch_norm().relu().max_pool2d(2);
            layers.flatten().dropout(0.5).dense(10)
        }
        other => panic!("a preset that is not built here: {other}"),
    }
    .build()
}

/// Compares the networks without their training options.
fn assert_equal(built: &Network, read: Network) {
    let read = Network { recipe: Recipe::default(), ..read };
    assert_eq!(built.to_toml(), read.to_toml());
    // Debug output covers every setting, shape and position.
    assert_eq!(format!("{built:?}"), format!("{read:?}"));
    assert_eq!(built.parameters(), read.parameters());
    assert_eq!(built.initialize(5), read.initialize(5));
}

#[test]
fn every_preset_can_be_built() {
    for known in PRESETS {
        assert_equal(&preset(known.name).unwrap(), Network::open(known.name).unwrap());
    }
}

/// A network with every kind of layer and every setting, in both forms.
#[test]
fn every_kind_of_layer_and_every_setting_is_there() {
    let built = Network::builder("all", [24, 20, 2])
        .loss(Cost::Quadratic)
        .initializer(Initializer::HeUniform)
        .conv2d(3, [3, 2])
        .named("eye")
        .stride([1, 2])
        .padding([1, 0])
        .tanh()
        .conv2d(4, 3)
        .padding(2)
        .stride(1)
        .batch_norm()
        .momentum(0.2)
        .epsilon(0.001)
        .sigmoid()
        .l2_pool2d([2, 1])
        .stride(1)
        .min_pool2d(2)
        .named("least")
        .average_pool2d(1)
        .stride([1, 2])
        .max_pool2d([2, 1])
        .relu()
        .flatten()
        .dropout(0.1)
        .dense(2)
        .named("scores")
        .build()
        .unwrap();
    let text = "name = 'all'\ninput = [24, 20, 2]\nloss = 'quadratic'\ninitializer = 'he-uniform'\nlayers = [\n\
                { type = 'conv2d', name = 'eye', filters = 3, kernel = [3, 2], stride = [1, 2], padding = [1, 0] },\n\
                { type = 'tanh' },\n\
                { type = 'conv2d', filters = 4, kernel = 3, padding = 2 },\n\
                { type = 'batch_norm', momentum = 0.2, epsilon = 0.001 },\n\
                { type = 'sigmoid' },\n\
                { type = 'l2_pool2d', size = [2, 1], stride = 1 },\n\
                { type = 'min_pool2d', name = 'least', size = 2 },\n\
                { type = 'average_pool2d', size = 1, stride = [1, 2] },\n\
                { type = 'max_pool2d', size = [2, 1] },\n\
                { type = 'relu' },\n\
                { type = 'flatten' },\n\
                { type = 'dropout', rate = 0.1 },\n\
                { type = 'dense', name = 'scores', units = 2 },\n]\n";
    let read = Network::from_toml("all.toml", text).unwrap();
    assert_equal(&built, read);
    let kinds: BTreeSet<&str> = built.layers.iter().map(|at| at.layer.kind()).collect();
    let known: BTreeSet<&str> = OPS.iter().map(|kind| kind.name).collect();
    assert_eq!(kinds, known, "a layer of network files that cannot be built");
}

/// The errors are those of files, with the name of the network in place of the file.
#[test]
fn errors_are_those_of_files() {
    let start = || Network::builder("small", [8, 8, 2]);
    let said = |network: Result<Network>| network.expect_err("built").to_string();
    for (built, layers) in [
        (start().build(), ""),
        (start().conv2d(0, 3).build(), "{ type = 'conv2d', filters = 0, kernel = 3 }"),
        (
            start().conv2d(4, [3, 0]).named("eye").build(),
            "{ type = 'conv2d', name = 'eye', filters = 4, kernel = [3, 0] }",
        ),
        (start().conv2d(70_000, 3).build(), "{ type = 'conv2d', filters = 70000, kernel = 3 }"),
        (start().conv2d(4, 3).stride(0).build(), "{ type = 'conv2d', filters = 4, kernel = 3, stride = [0, 0] }"),
        (start().conv2d(4, 9).build(), "{ type = 'conv2d', filters = 4, kernel = 9 }"),
        (start().conv2d(4, 3).padding(3).build(), "{ type = 'conv2d', filters = 4, kernel = 3, padding = 3 }"),
        (start().dense(10).build(), "{ type = 'dense', units = 10 }"),
        (start().flatten().dropout(1.0).build(), "{ type = 'flatten' }, { type = 'dropout', rate = 1.0 }"),
        (start().batch_norm().epsilon(f64::NAN).build(), "{ type = 'batch_norm', epsilon = nan }"),
        (
            start().flatten().dense(3).named("a b").build(),
            "{ type = 'flatten' }, { type = 'dense', name = 'a b', units = 3 }",
        ),
        (start().flatten().dense(1).build(), "{ type = 'flatten' }, { type = 'dense', units = 1 }"),
    ] {
        let read = Network::from_toml("small.toml", &format!("name = 'small'\ninput = [8, 8, 2]\nlayers = [{layers}]"));
        let (built, read) = (said(built), said(read));
        let problem = read.strip_prefix("small.toml: ").unwrap_or_else(|| panic!("{read}"));
        // A builder always gives the kernel as a pair.
        assert_eq!(built, format!("network `small`: {problem}"), "{layers}");
    }
    let said = said(Network::builder("a b", [8, 8, 2]).flatten().dense(3).build());
    assert!(said.starts_with("network `a b`: name: expected a name of 1 to 32 letters"), "{said}");
}
