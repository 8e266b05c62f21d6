//! Properties that every parser must have for any bytes: no panic, bounded time and memory, and consistent results.
//!
//! Each function takes the bytes of a file. `fuzz/fuzz_targets/` passes them from libFuzzer, and `tests/hostile.rs`
//! from a corpus of files and from damaged files.

use shadegrad::data::form::Form;
use shadegrad::data::{idx, prepare};
use shadegrad::evaluate::confusion;
use shadegrad::known_bad;
use shadegrad::network::{CompileOptions, Network, Weights};
use shadegrad::run::metrics;
use shadegrad::train::Checkpoint;
use shadegrad::train::Progress;
use shadegrad::tune::{Cache, KernelChoices};
use std::io::{Cursor, Write};
use std::path::Path;

/// Name of a target, which is that of its folder in the corpus, and the function that takes the bytes.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const ALL: [Target; 10] = [
    ("idx", idx),
    ("gzip", gzip),
    ("network", network),
    ("weights", weights),
    ("checkpoint", checkpoint),
    ("image", image),
    ("choices", choices),
    ("metrics", metrics),
    ("confusion", confusion),
    ("known_bad", known_bad),
];

fn origin() -> &'static Path {
    Path::new("fuzzed")
}

/// Images and labels of a data set.
pub fn idx(bytes: &[u8]) {
    if let Ok(images) = idx::images_from(bytes, origin()) {
        assert!(images.count() > 0);
        assert_eq!(images.pixels.len(), images.count() * images.shape.iter().product::<usize>());
    }
    if let Ok(labels) = idx::labels_from(bytes, origin()) {
        assert!(!labels.is_empty());
    }
}

/// The same with gzip: a complete stream that holds these bytes, and these bytes as a stream.
pub fn gzip(bytes: &[u8]) {
    idx(&[&[0x1f, 0x8b], bytes].concat());
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(bytes).unwrap();
    let packed = packer.finish().unwrap();
    let plain = idx::images_from(bytes, origin()).ok();
    // Bytes that are a gzip stream themselves are unpacked once, not twice.
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        assert_eq!(idx::images_from(&packed[..], origin()).ok(), plain);
    }
}

/// A network's TOML file, with everything that is made from a network without a device.
pub fn network(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(network) = Network::from_toml("fuzzed", text) else { return };
    let written = network.to_toml();
    let again = Network::from_toml("fuzzed", &written).unwrap_or_else(|error| panic!("{error}\n{written}"));
    assert_eq!(again.to_toml(), written);
    let _ = network.summary(&CompileOptions { batch: 3, ..CompileOptions::default() });
    let _ = network.compile(&CompileOptions { batch: 2, train_images: 4, ..CompileOptions::default() });
}

/// A weights file: these bytes, and a file that has these bytes as its JSON header, up to a line feed, and as its data.
pub fn weights(bytes: &[u8]) {
    for bytes in [bytes, &framed(bytes)] {
        if let Ok((network, weights)) = Weights::open_bytes(bytes, origin()) {
            assert_eq!(weights.values.len(), network.parameters().len());
            let written = weights.to_bytes(&network);
            assert_eq!(Weights::open_bytes(&written, origin()).unwrap().1, weights);
        }
    }
}

/// A checkpoint, in both ways too.
pub fn checkpoint(bytes: &[u8]) {
    for bytes in [bytes, &framed(bytes)] {
        if let Ok(checkpoint) = Checkpoint::from_bytes(bytes, origin()) {
            let written = checkpoint.to_bytes();
            assert_eq!(Checkpoint::from_bytes(&written, origin()).unwrap().to_bytes(), written);
        }
    }
}

fn framed(bytes: &[u8]) -> Vec<u8> {
    let header = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let mut file = (header as u64).to_le_bytes().to_vec();
    file.extend(&bytes[..header]);
    file.extend(bytes.get(header + 1..).unwrap_or_default());
    file
}

/// A picture of a digit, for grey and for colour networks.
pub fn image(bytes: &[u8]) {
    for shape in [[28, 28, 1], [5, 9, 3]] {
        for form in [Form::mnist(shape), Form::mnist(shape).as_is()] {
            if let Ok(pixels) = prepare::prepare_from(Cursor::new(bytes), origin(), shape, &form) {
                assert_eq!(pixels.len(), shape.iter().product::<usize>());
            }
        }
    }
}

/// The tuner's cache, and the `tune.toml` of a run.
pub fn choices(bytes: &[u8]) {
    for entry in Cache::entries_of(bytes).into_iter().flatten() {
        let _ = (entry.1.best(), entry.1.knows(&entry.1.config));
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(choices) = KernelChoices::from_toml(text) {
        assert!(choices.all().all(|(_, settings)| settings.validate().is_ok()));
    }
}

/// `metrics.jsonl`: the part that is kept consists of whole lines, is kept completely again, and without damage is the
/// start of the file. Epochs that are read are numbered from 1, and have valid numbers.
pub fn metrics(bytes: &[u8]) {
    let progress = Progress { epochs: 2, step: 1000, ..Progress::default() };
    let kept = metrics::until(bytes, &progress);
    assert!(kept.len() <= bytes.len() && (kept.is_empty() || kept.ends_with(b"\n")));
    assert_eq!(metrics::until(&kept, &progress), kept);
    if metrics::damage(bytes, &progress).is_none() {
        assert!(bytes.starts_with(&kept));
    }
    for (index, epoch) in metrics::epochs(bytes).into_iter().flatten().enumerate() {
        assert_eq!(epoch.epoch, index + 1);
        assert!((0.0..=1.0).contains(&epoch.val_accuracy) && epoch.val_loss.is_finite());
    }
}

/// `confusion.csv`: a square of counts, which can be written and read back.
pub fn confusion(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(counts) = confusion::from_csv(text) else { return };
    assert!(!counts.is_empty() && counts.iter().all(|row| row.len() == counts.len()));
    assert!(counts.iter().flatten().sum::<u64>() > 0);
    assert_eq!(confusion::from_csv(&confusion::to_csv(&counts)), Ok(counts));
}

/// The list of kernels known to be wrong.
pub fn known_bad(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    for entry in known_bad::entries_of(text, origin()).unwrap_or_default() {
        assert!(!entry.adapter.is_empty() && !entry.kernel.is_empty() && !entry.reason.is_empty());
    }
}
