//! Measurement of the speed of `--device cpu`: made once, and stored with everything it depends on. No test depends on
//! how fast the machine is.

use shadegrad::cpu_speed::{CpuSpeed, cpu_speed};
use shadegrad::data::{DataPair, Dataset, builtin};
use shadegrad::network::Network;
use shadegrad::train::TrainOptions;
use std::fs;
use std::path::Path;

const NETWORK: &str = "input = [28, 28, 1]\nlayers = [{ type = \"flatten\" }, { type = \"dense\", units = 10 }]";

fn data() -> DataPair {
    let set = |count: usize| {
        let (images, labels) = builtin::digits(count, 1);
        Dataset::new(images, labels, [28, 28, 1], 10).unwrap()
    };
    DataPair { train: set(30), test: set(5), source: "digits".into() }
}

fn speed(folder: Option<&Path>, network: &str, batch_size: usize) -> CpuSpeed {
    let network = Network::from_toml("small", network).unwrap();
    let options = TrainOptions { batch_size, ..TrainOptions::default() };
    let speed = cpu_speed(folder, &network, &options, &data()).unwrap().expect("a step takes half a second or more");
    assert!(speed.images_per_second.is_finite() && speed.images_per_second > 0.0, "{speed:?}");
    speed
}

#[test]
fn it_is_measured_once() {
    let folder = tempfile::tempdir().unwrap();
    let at = Some(folder.path());
    let first = speed(at, NETWORK, 10);
    assert!(!first.remembered);
    // A number read from JSON may differ in its last bits.
    let same = |a: CpuSpeed, b: CpuSpeed| (a.images_per_second / b.images_per_second - 1.0).abs() < 1e-12;
    let again = speed(at, NETWORK, 10);
    assert!(again.remembered && same(again, first), "{again:?}, {first:?}");
    // Another batch size, or another network with the same name, has a speed of its own.
    assert!(!speed(at, NETWORK, 20).remembered);
    assert!(!speed(at, &NETWORK.replace("flatten\" }", "flatten\" }, { type = \"dense\", units = 7 }"), 10).remembered);
    // If there are fewer images than the batch size, the batch holds all of them.
    let all = speed(at, NETWORK, 30);
    let more = speed(at, NETWORK, 1000);
    assert!(more.remembered && same(more, all), "{more:?}, {all:?}");
    assert!(speed(at, NETWORK, 10).remembered && speed(at, NETWORK, 20).remembered);
}

#[test]
fn a_damaged_file_is_measured_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cpu-speed.json");
    speed(Some(folder.path()), NETWORK, 10);
    let text = fs::read_to_string(&path).unwrap();
    let negative = text.replace("\"images_per_second\": ", "\"images_per_second\": -");
    assert!(negative != text);
    for damage in [&text[..text.len() - 9], "", "null", &negative] {
        fs::write(&path, damage).unwrap();
        assert!(!speed(Some(folder.path()), NETWORK, 10).remembered, "{damage}");
        assert!(speed(Some(folder.path()), NETWORK, 10).remembered);
    }
    // A figure in the file is used.
    let mut entries: serde_json::Value = serde_json::from_str(&text).unwrap();
    for entry in entries.as_object_mut().unwrap().values_mut() {
        entry["images_per_second"] = 123_456.0.into();
    }
    fs::write(&path, entries.to_string()).unwrap();
    assert_eq!(speed(Some(folder.path()), NETWORK, 10).images_per_second, 123_456.0);
}

#[test]
fn nothing_is_stored_without_a_writable_folder() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "in the way").unwrap();
    for at in [None, Some(file.as_path())] {
        assert!(!speed(at, NETWORK, 10).remembered && !speed(at, NETWORK, 10).remembered);
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "in the way");
}
