use crate::common::agrees;
use shadegrad::network::{CompileOptions, Network};
use shadegrad::ops::{Joined, KernelConfig};

/// One kernel against the three passes that it stands for.
#[test]
fn loss_agrees_with_the_reference() {
    agrees("classifier.loss");
}

/// The labels of the passes of a training step, as a device with this configuration records them.
fn recorded(network: &str, config: &KernelConfig) -> Vec<String> {
    let options = CompileOptions { batch: 4, train_images: 9, test_images: 9, ..Default::default() };
    let compiled = Network::open(network).unwrap().compile(&options).unwrap();
    let joined: Vec<Joined<'_>> = compiled.joined(&compiled.train, config);
    assert_eq!(joined.iter().map(|joined| joined.passes.len()).sum::<usize>(), compiled.train.len());
    joined.iter().map(|joined| joined.pass().label.clone()).collect()
}

#[test]
fn the_loss_is_joined_on_gpus_only() {
    for network in ["case1", "case2", "best", "fast", "mlp"] {
        let gpu = recorded(network, &KernelConfig::hardware());
        let joined: Vec<_> = gpu.iter().filter(|label| label.contains(" + loss.cross_entropy + ")).collect();
        assert_eq!(joined.len(), 1, "{network}: {gpu:?}");
        let software = recorded(network, &KernelConfig::software());
        assert!(software.iter().all(|label| !label.contains(" + ")), "{network}: {software:?}");
    }
}
