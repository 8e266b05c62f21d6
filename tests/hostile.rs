//! Damaged and malicious files: a corpus of them, and valid files with random damage.
//!
//! The requirements for each parser are in `fuzz/targets.rs`, which fuzzing shares.

#![cfg(feature = "cli")]

#[path = "common/place.rs"]
mod place;
#[path = "../fuzz/targets.rs"]
mod targets;

use peak_alloc::PeakAlloc;
use place::Place;
use proptest::prelude::*;
use shadegrad::data::idx;
use shadegrad::evaluate::confusion;
use shadegrad::network::{Network, Weights};
use shadegrad::run::metrics;
use shadegrad::train::Checkpoint;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

/// Most memory that parsers may use for a file of the corpus, most of which are below a kilobyte. Pictures may have 64
/// megapixels of 8 bytes, of which a grey copy is made.
const MOST_MIB: f32 = 160.0;
const MOST_MIB_OF_IMAGES: f32 = 700.0;

/// Tests run one at a time, so that each measures its own memory.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn files(target: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile").join(target);
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

#[test]
fn parsers_survive_the_corpus() {
    let _turn = alone();
    let mut tried = 0;
    for (target, parse) in targets::ALL {
        let corpus = if target == "checkpoint" { "weights" } else { target };
        for path in files(corpus) {
            let bytes = fs::read(&path).unwrap();
            let before = ALLOCATED.current_usage_as_mb();
            ALLOCATED.reset_peak_usage();
            parse(&bytes);
            let took = ALLOCATED.peak_usage_as_mb() - before;
            let most = if target == "image" { MOST_MIB_OF_IMAGES } else { MOST_MIB };
            assert!(took < most, "{}: {took} MiB", path.display());
            tried += 1;
        }
    }
    assert!(tried > 120, "only {tried} files: where is the corpus?");
}

#[test]
fn the_program_refuses_bad_networks() {
    let _turn = alone();
    let place = Place::new();
    for path in files("network") {
        fs::copy(&path, place.path(name(&path))).unwrap();
        place.refuses(1, &format!("summary {}", name(&path)), &[name(&path)]);
    }
}

#[test]
fn the_program_refuses_bad_data() {
    let _turn = alone();
    let place = Place::new();
    let kept = ["images-idx3", "labels-idx1"].map(|kind| {
        let path = place.path(&format!("data/train-{kind}-ubyte"));
        (fs::read(&path).unwrap(), path)
    });
    for path in files("idx").into_iter().chain(files("gzip")) {
        let (whole, place_of_it) = &kept[usize::from(name(&path).starts_with("labels"))];
        fs::copy(&path, place_of_it).unwrap();
        place.refuses(1, "train --model tiny.toml --data data --device cpu --epochs 1 --out run", &[name(place_of_it)]);
        fs::write(place_of_it, whole).unwrap();
    }
}

#[test]
fn the_program_refuses_bad_weights_and_pictures() {
    let _turn = alone();
    let place = Place::new();
    let network = Network::open(place.path("tiny.toml").to_str().unwrap()).unwrap();
    network.initialize(1).save(&network, &place.path("good.safetensors")).unwrap();
    let seven = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/digits/seven.png");
    fs::copy(seven, place.path("seven.png")).unwrap();
    assert!(place.stdout("predict good.safetensors seven.png --device cpu").starts_with("seven.png: "));
    for path in files("weights") {
        fs::copy(&path, place.path(name(&path))).unwrap();
        place.refuses(1, &format!("predict {} seven.png --device cpu", name(&path)), &[name(&path)]);
    }
    for path in files("image") {
        fs::copy(&path, place.path(name(&path))).unwrap();
        place.refuses(1, &format!("predict good.safetensors {} --device cpu", name(&path)), &[name(&path)]);
    }
}

#[test]
fn the_program_refuses_bad_choices() {
    let _turn = alone();
    let place = Place::new();
    for path in files("choices") {
        fs::copy(&path, place.path(name(&path))).unwrap();
        let args = format!("train --model tiny.toml --data data --epochs 1 --out run --tune {}", name(&path));
        place.refuses(1, &args, &[name(&path)]);
    }
}

/// A valid file of each kind.
fn good() -> Vec<(&'static str, Vec<u8>)> {
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name);
    let pixels: Vec<u8> = (0..3 * 4 * 4).map(|at| at as u8 * 5).collect();
    for name in ["plain", "packed.gz"] {
        idx::write_images(&path(name), &pixels, [4, 4, 1]).unwrap();
    }
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/networks/lenet5.toml")).unwrap();
    let small = "input = [4, 4, 1]\n[[layers]]\ntype = 'conv2d'\nfilters = 2\nkernel = 3\n[[layers]]\ntype = 'flatten'\n\
                 [[layers]]\ntype = 'dense'\nunits = 2\n";
    let network = Network::from_toml("small", small).unwrap();
    let weights = network.initialize(3);
    let device = shadegrad::machine::Device::cpu(Some(1), shadegrad::fast::Instructions::best(), None).unwrap();
    let labels = vec![0, 1, 0, 1, 0, 1, 0, 1];
    let set = shadegrad::data::Dataset::new(vec![7; 8 * 16], labels, [4, 4, 1], 2).unwrap().named("train");
    let data = shadegrad::data::DataPair { train: set.clone(), test: set, source: "grey".into() };
    let options = shadegrad::train::TrainOptions { epochs: 1, batch_size: 4, ..Default::default() };
    let mut trainer = shadegrad::train::Trainer::new(&device, &network, &data, options, None).unwrap();
    let checkpoint: Checkpoint = pollster::block_on(trainer.checkpoint()).unwrap();
    let choices = "[others]\nform = \"register\"\noperands = \"buffer\"\nwide = false\nbusy_groups = 64\n\
                   [others.tile]\nrows = 8\ncolumns4 = 2\nacross = 8\ndown = 1\n";
    shadegrad::tune::KernelChoices::from_toml(choices).unwrap();
    let seven = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/digits/seven.png");
    let lines = "{\"kind\":\"step\",\"step\":1,\"epoch\":1,\"loss\":2.3}\n{\"kind\":\"epoch\",\"epoch\":1,\"step\":2,\
                 \"train_loss\":1.5,\"train_accuracy\":0.5,\"val_loss\":1.25,\"val_accuracy\":0.75,\"seconds\":2.0,\
                 \"images_per_second\":10.0}\n";
    let bad = "[[bad]]\nadapter = \"llvmpipe\"\nkernel = \"conv2d/forward\"\nreason = \"wrong\"\n";
    vec![
        ("idx", fs::read(path("plain")).unwrap()),
        ("gzip", fs::read(path("packed.gz")).unwrap()),
        ("network", text.into_bytes()),
        ("weights", weights.to_bytes(&network)),
        ("checkpoint", checkpoint.to_bytes()),
        ("image", fs::read(seven).unwrap()),
        ("choices", choices.into()),
        ("metrics", lines.into()),
        ("confusion", "label\\predicted,0,1\n0,5,1\n1,0,4\n".into()),
        ("known_bad", bad.into()),
    ]
}

/// A kind of damage to a file.
#[derive(Clone, Debug)]
enum Damage {
    Flip(usize, u8),
    Cut(usize),
    Insert(usize, Vec<u8>),
    Repeat(usize, usize),
    Remove(usize, usize),
}

impl Damage {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let at = |place: usize, bytes: &[u8]| if bytes.is_empty() { 0 } else { place % bytes.len() };
        match self {
            Damage::Flip(place, mask) => {
                let at = at(*place, bytes);
                bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= mask);
            }
            Damage::Cut(place) => bytes.truncate(at(*place, bytes)),
            Damage::Insert(place, what) => {
                let at = at(*place, bytes);
                bytes.splice(at..at, what.iter().copied());
            }
            Damage::Repeat(place, len) => {
                let at = at(*place, bytes);
                let part: Vec<u8> = bytes.iter().skip(at).take(*len).copied().collect();
                bytes.splice(at..at, part);
            }
            Damage::Remove(place, len) => {
                let at = at(*place, bytes);
                bytes.drain(at..bytes.len().min(at + len));
            }
        }
    }
}

fn damage() -> impl Strategy<Value = Damage> {
    // Words that mean something in one format or another.
    const WORDS: [&str; 9] = ["9223372036854775807", "-1", "nan", "[[", "\"", "{", "\n", "\0\0\0\0", "\u{ff}\u{ff}"];
    let word = prop::sample::select(&WORDS[..]).prop_map(|word| word.as_bytes().to_vec());
    prop_oneof![
        (any::<usize>(), 1..=255u8).prop_map(|(place, mask)| Damage::Flip(place, mask)),
        any::<usize>().prop_map(Damage::Cut),
        (any::<usize>(), word).prop_map(|(place, what)| Damage::Insert(place, what)),
        (any::<usize>(), 1..40usize).prop_map(|(place, len)| Damage::Repeat(place, len)),
        (any::<usize>(), 1..40usize).prop_map(|(place, len)| Damage::Remove(place, len)),
    ]
}

#[test]
fn parsers_survive_damaged_files() {
    let _turn = alone();
    for ((target, whole), (name, parse)) in good().into_iter().zip(targets::ALL) {
        assert_eq!(target, name);
        parse(&whole);
        // Without files of failing cases in the source tree: findings go into the corpus.
        let config = ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() };
        proptest!(config, |(damages in prop::collection::vec(damage(), 1..4))| {
            let mut bytes = whole.clone();
            damages.iter().for_each(|damage| damage.apply(&mut bytes));
            parse(&bytes);
        });
    }
}

/// Makes sure that damaged files are not rejected for another reason. If the environment has `SHADEGRAD_SEEDS=FOLDER`,
/// the valid files are written there, as seeds for fuzzing.
#[test]
fn valid_files_are_accepted() {
    let _turn = alone();
    for (target, bytes) in good() {
        if let Some(seeds) = std::env::var_os("SHADEGRAD_SEEDS") {
            let folder = Path::new(&seeds).join(target);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("good"), &bytes).unwrap();
        }
        let taken = match target {
            "idx" | "gzip" => idx::images_from(&bytes[..], Path::new(target)).is_ok(),
            "network" => Network::from_toml(target, std::str::from_utf8(&bytes).unwrap()).is_ok(),
            "weights" => Weights::open_bytes(&bytes, Path::new(target)).is_ok(),
            "confusion" => confusion::from_csv(std::str::from_utf8(&bytes).unwrap()).is_ok(),
            "metrics" => metrics::epochs(&bytes).is_ok_and(|epochs| epochs.len() == 1),
            "checkpoint" => Checkpoint::from_bytes(&bytes, Path::new(target)).is_ok(),
            _ => true,
        };
        assert!(taken, "{target}");
    }
}
