use super::*;
use crate::ops::KernelConfig;
use crate::train::{Best, EpochSums, Lowest};
use std::fs;
use std::path::PathBuf;

/// A checkpoint after `step` steps, with every field set.
fn made(step: usize) -> Checkpoint {
    let text = "name = 'small'\ninput = [2, 2, 1]\n[[layers]]\ntype = 'conv2d'\nfilters = 2\nkernel = 1\n\
                [[layers]]\ntype = 'flatten'\n[[layers]]\ntype = 'dense'\nunits = 2\n";
    let network = Network::from_toml("test", text).unwrap();
    let mut velocity = network.initialize(2);
    velocity.values[0][0] = -0.0;
    velocity.values[1][1] = f32::from_bits(1);
    let best = Some(Best { step: 4, val_accuracy: 1.0 / 3.0, val_loss: 0.1 + 0.2 });
    let lowest = Some(Lowest { epoch: 1, val_loss: 0.1 + 0.2 });
    // A sum whose last bit is lost by a careless number parser.
    let epoch = EpochSums { steps: step % 4, images: 7, loss: 1.0 / 49.0 * 49.0, correct: 5, seconds: 0.3 };
    Checkpoint {
        program: "0.1.0".into(),
        options: TrainOptions { learning_rate: 0.1 + 0.2, seed: u64::MAX, ..TrainOptions::default() },
        data: "a checksum".into(),
        device: "a device".into(),
        choices: Some(KernelConfig::software().into()),
        ranks: 3,
        state: State {
            weights: network.initialize(1),
            optimizer_states: vec![(OptimizerState::Velocity, velocity)],
            progress: Progress { epochs: step / 4, step, epoch, evaluated: 4, best, lowest },
        },
        network,
    }
}

fn refusal(bytes: &[u8]) -> String {
    Checkpoint::from_bytes(bytes, Path::new("some/file")).unwrap_err().to_string()
}

#[test]
fn what_is_saved_is_what_is_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.safetensors");
    let saved = made(6);
    saved.save(&path).unwrap();
    let loaded = Checkpoint::load(&path).unwrap();
    assert_eq!(loaded.state, saved.state);
    assert_eq!((loaded.options, loaded.choices), (saved.options.clone(), saved.choices.clone()));
    assert_eq!(
        (loaded.data, loaded.device, loaded.program),
        (saved.data.clone(), saved.device.clone(), "0.1.0".into())
    );
    // Comparing bytes is stricter: -0 equals 0, and tiny numbers may be flushed to zero.
    let again = Checkpoint::load(&path).unwrap().to_bytes();
    assert!(again == saved.to_bytes() && again == fs::read(&path).unwrap());
}

#[test]
fn a_checkpoint_is_a_file_of_weights_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.safetensors");
    let saved = made(6);
    saved.save(&path).unwrap();
    let (network, weights) = crate::network::Weights::open(&path).unwrap();
    assert_eq!((network.to_toml(), weights), (saved.network.to_toml(), saved.state.weights.clone()));
    // Weights alone are not a checkpoint.
    let plain = saved.state.weights.to_bytes(&network);
    assert!(refusal(&plain).starts_with("some/file: not a checkpoint: weights alone"), "{}", refusal(&plain));
}

#[test]
fn a_file_that_is_cut_is_refused() {
    let whole = made(6).to_bytes();
    for len in 0..whole.len() {
        let message = refusal(&whole[..len]);
        assert!(message.starts_with("some/file: not a complete safetensors file"), "{len} bytes: {message}");
    }
    refusal(&[&whole[..], &[0]].concat());
}

#[test]
fn every_flipped_bit_is_found() {
    let mut bytes = made(6).to_bytes();
    Checkpoint::from_bytes(&bytes, Path::new("whole")).unwrap();
    let mut by_checksum = 0;
    for at in 0..bytes.len() {
        for bit in 0..8 {
            bytes[at] ^= 1 << bit;
            by_checksum += usize::from(refusal(&bytes).contains("checksum"));
            bytes[at] ^= 1 << bit;
        }
    }
    // All other bits make the header unreadable.
    assert!(by_checksum > bytes.len() * 4, "{by_checksum} of {}", bytes.len() * 8);
}

/// The same file with a text in its header replaced and the checksum corrected.
fn forged(from: &str, to: &str) -> Vec<u8> {
    let bytes = made(6).to_bytes();
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let text = String::from_utf8(bytes[8..8 + header].to_vec()).unwrap();
    assert!(text.contains(from), "{from} in {text}");
    let seal = text.split("\"shadegrad.sha256\":\"").nth(1).unwrap()[..64].to_string();
    let mut text = text.replace(from, to).replace(&seal, tensors::UNSEALED);
    text.extend(std::iter::repeat_n(' ', text.len().next_multiple_of(8) - text.len()));
    let unsealed = [&(text.len() as u64).to_le_bytes(), text.as_bytes(), &bytes[8 + header..]].concat();
    tensors::seal(unsealed)
}

#[test]
fn other_versions_and_nonsense_are_named() {
    Checkpoint::from_bytes(&forged("\\\"version\\\":2", "\\\"version\\\":2"), Path::new("same")).unwrap();
    let newer = refusal(&forged("\\\"version\\\":2", "\\\"version\\\":3,\\\"news\\\":0"));
    assert_eq!(newer, "some/file: a checkpoint of shadegrad 0.1.0 in format 3; this version reads format 2");
    for (from, to, says) in [
        ("\\\"version\\\":2", "\\\"version\\\":2,\\\"news\\\":0", "unknown field `news`"),
        ("\\\"momentum\\\":0.9", "\\\"momentum\\\":9.0", "momentum must be at least 0 and below 1, got 9"),
        ("\\\"correct\\\":5", "\\\"correct\\\":-5", "not a readable checkpoint"),
        ("velocity.0.bias", "velocity.0.base", "velocity.0.bias"),
        ("units = 2", "units = 3", "`2.weight`"),
    ] {
        let message = refusal(&forged(from, to));
        assert!(message.contains("some/file") && message.contains(says), "{from}: {message}");
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = entries.collect();
    names.sort();
    names
}

fn step(restored: Result<Restored>) -> usize {
    restored.unwrap().checkpoint.state.progress.step
}

#[test]
fn the_last_two_and_the_best_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("checkpoints");
    let mut checkpoints = Checkpoints::new(place.clone());
    for last in 3..9 {
        checkpoints.save(&made(last)).unwrap();
    }
    assert_eq!(names(&place), ["best.safetensors", "step-00000007.safetensors", "step-00000008.safetensors"]);
    assert_eq!(Checkpoint::load(&place.join("best.safetensors")).unwrap().state.progress.step, 4);
    assert_eq!(step(checkpoints.last()), 8);

    // After going back to an older checkpoint, those that followed it stay until a new one is saved.
    let mut checkpoints = Checkpoints::new(place.clone());
    assert_eq!(step(checkpoints.load(&place.join("step-00000007.safetensors"))), 7);
    assert_eq!(names(&place).len(), 3);
    checkpoints.save(&made(9)).unwrap();
    assert_eq!(names(&place), ["best.safetensors", "step-00000007.safetensors", "step-00000009.safetensors"]);
    let mut checkpoints = Checkpoints::new(place.clone());
    checkpoints.load(&place.join("best.safetensors")).unwrap();
    checkpoints.save(&made(5)).unwrap();
    assert_eq!(names(&place), ["best.safetensors", "step-00000005.safetensors"]);
}

#[test]
fn a_damaged_one_is_named_and_so_is_an_older_one() {
    let folder = tempfile::tempdir().unwrap();
    let place: PathBuf = folder.path().join("checkpoints");
    let mut checkpoints = Checkpoints::new(place.clone());
    let nothing = checkpoints.last().unwrap_err().to_string();
    assert!(nothing.contains("cannot read") && nothing.contains("checkpoints"), "{nothing}");
    for last in [4, 5, 6] {
        checkpoints.save(&made(last)).unwrap();
    }
    let damage = |name: &str| {
        let path = place.join(name);
        let whole = fs::read(&path).unwrap();
        fs::write(path, &whole[..whole.len() - 1]).unwrap();
    };
    for (name, older) in [
        ("step-00000006.safetensors", Some("checkpoints/step-00000005.safetensors")),
        ("step-00000005.safetensors", Some("checkpoints/best.safetensors")),
        ("best.safetensors", None),
    ] {
        damage(name);
        let message = Checkpoints::new(place.clone()).last().unwrap_err().to_string();
        assert!(message.contains("step-00000006.safetensors: not a complete"), "{message}");
        match older {
            Some(older) => {
                assert!(message.contains("--resume") && message.ends_with(older), "{message}");
                Checkpoint::load(Path::new(message.split("--resume ").nth(1).unwrap())).unwrap();
            }
            None => assert!(message.ends_with("there is no older one that is intact"), "{message}"),
        }
    }
}

/// A failed write leaves the existing files unchanged.
#[test]
fn a_failed_write_removes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("checkpoints");
    let mut checkpoints = Checkpoints::new(place.clone());
    checkpoints.save(&made(1)).unwrap();
    checkpoints.save(&made(2)).unwrap();
    fs::create_dir(place.join("step-00000003.safetensors")).unwrap();
    let message = checkpoints.save(&made(3)).unwrap_err().to_string();
    assert!(
        message.contains("step-00000003") && message.contains("expected a regular file, got a folder"),
        "{message}"
    );
    assert_eq!(names(&place).len(), 3, "{:?}", names(&place));
    fs::remove_dir(place.join("step-00000003.safetensors")).unwrap();
    assert_eq!(step(checkpoints.last()), 2);

    let taken = folder.path().join("file");
    fs::write(&taken, "no folder").unwrap();
    let message = Checkpoints::new(taken).save(&made(1)).unwrap_err().to_string();
    assert!(message.contains("file"), "{message}");
}
