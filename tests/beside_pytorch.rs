//! Compatibility with PyTorch: files saved by PyTorch, and steps that PyTorch rejects too.

#![cfg(feature = "cli")]

#[path = "common/place.rs"]
mod place;
#[path = "common/spots.rs"]
mod spots;

use place::Place;
use safetensors::SafeTensors;
use shadegrad::fast::Instructions;
use shadegrad::machine::Device;
use shadegrad::network::Network;
use shadegrad::train::{TrainOptions, Trainer};
use std::fs;
use std::path::Path;

/// Removes the metadata of a file, so that it looks like one from PyTorch's `save_file`.
fn strip(from: &Path, to: &Path) {
    let bytes = fs::read(from).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    fs::write(to, safetensors::serialize(file.tensors(), None).unwrap()).unwrap();
}

#[test]
fn a_file_of_pytorch_is_evaluated_with_its_network_named() {
    let place = Place::trained();
    strip(&place.path("run/model.safetensors"), &place.path("torch.safetensors"));
    let evaluate = |of: &str| place.stdout(&format!("evaluate {of} --data data"));
    let expected = evaluate("run");
    assert!(expected.contains("network tiny"), "{expected}");
    assert_eq!(evaluate("torch.safetensors --model tiny.toml"), expected);
    // The network may also be named for a file that contains it.
    assert_eq!(evaluate("run --model tiny.toml"), expected);

    let picture = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/digits/seven.png");
    // Only the run's header has the form of the training images, so both only scale the picture.
    let predict = |of: &str| place.stdout(&format!("predict {of} --as-is {}", picture.display()));
    assert_eq!(predict("torch.safetensors --model tiny.toml"), predict("run"));
}

#[test]
fn a_network_that_is_not_named_or_named_wrongly_is_refused() {
    let place = Place::trained();
    strip(&place.path("run/model.safetensors"), &place.path("torch.safetensors"));
    let sigmoid = place::MODEL.replace("relu", "sigmoid");
    fs::write(place.path("other.toml"), sigmoid).unwrap();
    let refuses = |of: &str, says: &[&str]| {
        place.refuses(1, &format!("evaluate {of} --data data"), says);
        place.refuses(1, &format!("predict {of} missing.png"), says);
    };
    refuses("torch.safetensors", &["torch.safetensors: the file does not say which network", "; name the network"]);
    refuses("torch.safetensors --model mlp", &["torch.safetensors: not weights of `mlp`"]);
    refuses("torch.safetensors --model none", &["no network `none`: expected a preset"]);
    // The same shapes with another meaning.
    refuses(
        "run --model other.toml",
        &["model.safetensors: the file holds a network, `tiny`, that differs", "use the network in the file"],
    );
}

/// Batch norms of images, of a single position, and of features.
fn network(last: &str) -> Network {
    let text = format!(
        "input = [10, 9, 2]\n[[layers]]\ntype = 'batch_norm'\n[[layers]]\ntype = 'conv2d'\nfilters = 4\n\
         kernel = [10, 9]\n{last}[[layers]]\ntype = 'flatten'\n"
    );
    Network::from_toml("test", &text).unwrap()
}

/// The error of a trainer with this many images; `None` if there is none.
fn refusal(network: &Network, images: usize, options: TrainOptions) -> Option<String> {
    let device = Device::cpu(Some(1), Instructions::best(), None).unwrap();
    let data = spots::data(images, 5);
    Trainer::new(&device, network, &data, options, None).err().map(|error| error.to_string())
}

#[test]
fn a_step_of_one_value_a_channel_is_refused() {
    let single = network("[[layers]]\ntype = 'batch_norm'\nname = 'single'\n");
    let flat = Network::from_toml(
        "test",
        "input = [10, 9, 2]\n[[layers]]\ntype = 'flatten'\n[[layers]]\ntype = 'dense'\nunits = 4\n\
         [[layers]]\ntype = 'batch_norm'\nname = 'single'\n",
    );
    let batches = |batch_size| TrainOptions { batch_size, ..spots::options() };
    for network in [&single, &flat.unwrap()] {
        let says = |images, options| refusal(network, images, options).unwrap();
        assert_eq!(
            says(21, batches(5)),
            "batch_norm `single` needs at least 2 images per step for the variance of each channel, but the last step of \
             an epoch has 1 (21 training images in batches of 5); use a batch size of 6"
        );
        // A batch size of 6 would again leave a single image.
        assert!(says(31, batches(5)).ends_with("use a batch size of 7"));
        assert!(
            says(21, batches(1))
                .contains("but each step has 1 (21 training images in batches of 1); use a batch size of 3")
        );
        assert!(says(1, batches(5)).ends_with("(1 training images in batches of 1); more training images are needed"));
        for (images, options) in [
            (20, batches(5)),
            (22, batches(5)),
            (21, batches(6)),
            (21, batches(100)),
            // The epoch ends before its last step.
            (21, TrainOptions { max_steps: Some(4), ..batches(5) }),
        ] {
            assert_eq!(refusal(network, images, options), None, "{images}");
        }
        let reached = TrainOptions { max_steps: Some(5), ..batches(5) };
        assert!(says(21, reached).contains("the last step of an epoch has 1"));
    }
    // An image has several values in each channel.
    let spread = network("");
    assert_eq!(refusal(&spread, 21, batches(5)), None);
    assert_eq!(refusal(&spread, 21, batches(1)), None);
}

#[test]
fn training_says_which_batch_size_leaves_no_image_alone() {
    let place = Place::new();
    let norm = place::MODEL.to_string() + "[[layers]]\ntype = 'batch_norm'\n";
    fs::write(place.path("norm.toml"), norm).unwrap();
    let says = ["batch_norm `norm1`", "299 training images in batches of 149", "use a batch size of 150"];
    place.refuses(1, "train --model norm.toml --data data --validation 1 --batch-size 149 --out run", &says);
    assert!(!place.path("run").exists());
}
