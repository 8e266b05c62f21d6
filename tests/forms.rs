//! Data that does not look like MNIST: the warnings and record of a run, and the preparation of pictures by `predict`.

#![cfg(feature = "cli")]

#[path = "common/place.rs"]
mod place;

use image::GrayImage;
use place::{Place, lines, number};
use shadegrad::data::{Dataset, builtin, idx};
use std::fs;

const SMALL: &str = "name = 'small'\ninput = [14, 14, 1]\n[[layers]]\ntype = 'flatten'\n[[layers]]\ntype = 'dense'\n\
                     units = 64\nactivation = 'relu'\n[[layers]]\ntype = 'dense'\nunits = 10\n";

/// Built-in digits, each stretched to fill an image of 14 x 14. Without ones, which would become a filled square.
fn filling(count: usize, seed: u64) -> Dataset {
    let (images, labels) = builtin::digits(2 * count, seed);
    let others: Vec<usize> = (0..labels.len()).filter(|index| labels[*index] != 1).take(count).collect();
    let stretched = |image: &[u8]| {
        let image = GrayImage::from_raw(28, 28, image.to_vec()).unwrap();
        let inked: Vec<_> = image.enumerate_pixels().filter(|(.., ink)| ink.0[0] > 63).collect();
        let (left, right) = (inked.iter().map(|p| p.0).min().unwrap(), inked.iter().map(|p| p.0).max().unwrap());
        let (top, bottom) = (inked.iter().map(|p| p.1).min().unwrap(), inked.iter().map(|p| p.1).max().unwrap());
        let cut = image::imageops::crop_imm(&image, left, top, right - left + 1, bottom - top + 1).to_image();
        let small = image::imageops::resize(&cut, 14, 14, image::imageops::FilterType::Triangle).into_raw();
        let brightest = small.iter().copied().max().map_or(1.0, f32::from);
        small.iter().map(|byte| (f32::from(*byte) / brightest * 255.0).round() as u8).collect::<Vec<_>>()
    };
    let images = others.iter().flat_map(|index| stretched(&images[index * 784..][..784])).collect();
    let labels = others.iter().map(|index| labels[*index]).collect();
    Dataset::new(images, labels, [14, 14, 1], 10).unwrap()
}

fn write(place: &Place, folder: &str, train: &Dataset, test: &Dataset) {
    idx::write_folder(&place.path(folder), train, test).unwrap();
}

/// A place with `small.toml` and the folder `filling`.
fn prepared() -> (Place, Dataset) {
    let place = Place::new();
    fs::write(place.path("small.toml"), SMALL).unwrap();
    let test = filling(100, 2);
    write(&place, "filling", &filling(4000, 1), &test);
    (place, test)
}

const TRAIN: &str = "train --model small.toml --epochs 10 --batch-size 20 --learning-rate 0.01 --device cpu";

/// The answers of `predict` for the images of a set, as PNG files; see [`draw`].
fn answers(place: &Place, args: &str, set: &Dataset, times: u32) -> Vec<u64> {
    let names = draw(place, set, times).join(" ");
    let printed = place.stdout(&format!("predict {args} {names} --json --device cpu"));
    lines(&printed).iter().map(|line| line["prediction"].as_u64().unwrap()).collect()
}

/// Writes the images of a set as PNG files, and returns their names. With `times` above 1, pixels are enlarged by that
/// factor and a margin with the most frequent value is added.
fn draw(place: &Place, set: &Dataset, times: u32) -> Vec<String> {
    let [height, width, _] = set.shape().map(|size| size as u32);
    let names: Vec<String> = (0..set.len()).map(|index| format!("{times}-{index}.png")).collect();
    for (index, name) in names.iter().enumerate() {
        let image = GrayImage::from_raw(width, height, set.image(index).to_vec()).unwrap();
        let dark = image.pixels().filter(|pixel| pixel.0[0] < 128).count();
        let paper = if 2 * dark > image.len() {
            image.pixels().min_by_key(|p| p.0[0])
        } else {
            image.pixels().max_by_key(|p| p.0[0])
        };
        let (margin, paper) = (if times > 1 { 6 } else { 0 }, *paper.unwrap());
        let large = GrayImage::from_fn(times * (width + 2 * margin), times * (height + 2 * margin), |x, y| {
            let (x, y) = ((x / times).wrapping_sub(margin), (y / times).wrapping_sub(margin));
            if x < width && y < height { *image.get_pixel(x, y) } else { paper }
        });
        large.save(place.path(name)).unwrap();
    }
    names
}

fn right(answers: &[u64], set: &Dataset) -> usize {
    answers.iter().zip(set.labels()).filter(|(answer, label)| **answer == u64::from(**label)).count()
}

#[test]
fn pictures_get_the_form_of_the_training_images() {
    let (place, test) = prepared();
    place.stdout(&format!("{TRAIN} --data filling --out run --quiet"));
    let evaluated = &lines(&place.stdout("evaluate run --data filling --json --device cpu"))[0];
    let expected = (number(evaluated, "accuracy") * 100.0).round() as usize;
    assert!(expected >= 55, "{expected} of 100 by evaluate");
    for args in ["run", "run/model.safetensors", "run/checkpoints/best.safetensors", "run --as-is"] {
        let right = right(&answers(&place, args, &test, 1), &test);
        assert!(right + 3 >= expected, "{args}: {right}, and {expected} by evaluate");
    }
    // Larger pictures, and dark on light: scaling blurs them, and this network is not very accurate.
    let paper = test.clone().with_images(test.images().iter().map(|byte| 255 - byte / 2).collect()).unwrap();
    // One by one, because some of these blots are not recognised as characters: a picture that is rejected counts as
    // wrong.
    const FEW: usize = 40;
    for (set, times) in [(&test, 7), (&paper, 5)] {
        let names = draw(&place, set, times);
        let is_right = |index: usize| {
            let output = place.run(&format!("predict run {} --json --device cpu", names[index]));
            let printed = String::from_utf8(output.stdout).unwrap();
            output.status.success() && lines(&printed)[0]["prediction"] == u64::from(set.labels()[index])
        };
        let right = (0..FEW).filter(|index| is_right(*index)).count();
        assert!(4 * right * 100 >= 3 * expected * FEW, "{right} of {FEW}, and {expected} of 100 by evaluate");
    }
    // The form is printed, and kept in the record.
    let output = place.run("predict run 1-0.png --device cpu");
    let said = String::from_utf8(output.stderr).unwrap();
    let form = "ink 255 on 0, stretched to 14 x 14 of 14 x 14 pixels, centred by its box";
    assert!(said.contains(&format!("pictures: {form}, like the training images\n")), "{said}");
    let record: toml::Table = fs::read_to_string(place.path("run/run.toml")).unwrap().parse().unwrap();
    let character = &record["form"]["character"];
    assert_eq!((character["ink"].as_integer(), character["background"].as_integer()), (Some(255), Some(0)));
    assert_eq!(character["least"], character["most"]);
    let json = &lines(&place.stdout("predict run 1-0.png --json --device cpu"))[0];
    assert_eq!(json["form"], form);
}

/// Files from PyTorch, and from older runs, do not describe their images.
#[test]
fn without_a_form_it_is_that_of_mnist() {
    let place = Place::trained();
    let (network, weights) = shadegrad::network::Weights::open(&place.path("run/model.safetensors")).unwrap();
    assert!(network.form.is_some());
    let plain = shadegrad::network::Network { form: None, ..network };
    weights.save(&plain, &place.path("old.safetensors")).unwrap();
    let (images, labels) = builtin::digits(1, 9);
    let set = Dataset::new(images, labels, [28, 28, 1], 10).unwrap();
    assert_eq!(answers(&place, "run", &set, 3), answers(&place, "old.safetensors", &set, 3));
    let said = String::from_utf8(place.run("predict old.safetensors 3-0.png").stderr).unwrap();
    let mnist = "ink 255 on 0, fitted to 20 x 20 of 28 x 28 pixels, centred by mass";
    assert!(said.contains(&format!("pictures: {mnist}, like MNIST: the file does not say how")), "{said}");
}

/// An invalid form is an error of the file, wherever it is read.
#[test]
fn an_invalid_form_is_named() {
    let (place, test) = prepared();
    place.stdout(&format!("{TRAIN} --data filling --out run --quiet --max-steps 1"));
    answers(&place, "run", &test.take(1), 1);
    let whole = fs::read(place.path("run/model.safetensors")).unwrap();
    let text = br#"\"ink\":255"#;
    let at = whole.windows(text.len()).position(|window| window == text).unwrap();
    let mut wrong = whole.clone();
    wrong[at..at + text.len()].copy_from_slice(br#"\"ink\":  0"#);
    fs::write(place.path("wrong.safetensors"), wrong).unwrap();
    for command in ["predict wrong.safetensors 1-0.png", "evaluate wrong.safetensors --data filling"] {
        let says =
            "wrong.safetensors: the header's `shadegrad.form`: ink: expected a value different from the background";
        place.refuses(1, command, &[says]);
    }
}

/// The value range of scikit-learn's digits.
#[test]
fn a_small_range_is_remarked_on_and_can_be_scaled() {
    let (place, test) = prepared();
    let weak = |set: &Dataset| {
        let images = set.images().iter().map(|byte| byte / 16).collect();
        set.clone().with_images(images).unwrap()
    };
    write(&place, "weak", &weak(&filling(4000, 1)), &weak(&test));
    let notes = |args: &str| -> Vec<String> {
        let output = place.run(args);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{args}: {said}");
        said.lines().filter(|line| line.contains("brightest pixel")).map(str::to_string).collect()
    };
    let [note] = &notes(&format!("{TRAIN} --data weak --out plain --max-steps 1"))[..] else { panic!("one note") };
    assert!(note.starts_with("note: the brightest pixel is 15 of 255; the scale `max` makes it 255"), "{note}");
    assert_eq!(notes(&format!("{TRAIN} --data filling --out other --max-steps 1")), [""; 0]);
    assert_eq!(notes(&format!("{TRAIN} --data weak --scale max --out whole")), [""; 0]);
    let record: toml::Table = fs::read_to_string(place.path("whole/run.toml")).unwrap().parse().unwrap();
    assert_eq!(record["command"]["scale"].as_str(), Some("max"));
    assert_eq!(record["form"]["full_scale"].as_integer(), Some(15));

    // Training and evaluation use the same data, also in a resumed run.
    place.stdout(&format!("{TRAIN} --data weak --scale max --out cut --max-steps 40 --quiet"));
    place.stdout("train --resume cut --max-steps 10000 --quiet");
    let read = |run: &str| fs::read(place.path(run).join("model.safetensors")).unwrap();
    assert!(read("whole") == read("cut"));
    let metrics = lines(&fs::read_to_string(place.path("whole/metrics.jsonl")).unwrap());
    let trained = number(metrics.last().unwrap(), "val_accuracy");
    let evaluate = |data: &str| {
        let line = &lines(&place.stdout(&format!("evaluate whole --data {data} --json --device cpu")))[0];
        number(line, "accuracy")
    };
    assert!(trained >= 0.55 && evaluate("weak") == trained, "{trained}, {}", evaluate("weak"));
    // Pictures may have any range if a character is looked for, but must have the range of the files if they are taken
    // as they are.
    let expected = (trained * 100.0).round() as usize;
    for (args, set) in [("whole", &test), ("whole --as-is", &weak(&test))] {
        let right = right(&answers(&place, args, set, 1), set);
        assert!(right + 3 >= expected, "{args}: {right}, and {expected} in training");
    }
    let output = place.run("evaluate plain --data filling --device cpu");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("note: the test images are ink 255 on 0, but the network was trained on ink 15 on 0"),
        "{said}"
    );
    place.refuses(2, "train --resume cut --scale max", &["cannot be used with", "--scale"]);
    place.refuses(2, "train --scale 0", &["expected a byte from 1 to 255, or `max`"]);
}

#[test]
fn odd_data_is_remarked_on_or_refused() {
    let (place, test) = prepared();
    let train = filling(100, 3);
    let said = |train: &Dataset, options: &str| {
        write(&place, "odd", train, &test);
        let output = place.run(&format!("{TRAIN} --data odd --max-steps 1 {options}"));
        String::from_utf8(output.stderr).unwrap()
    };
    let black = train.clone().with_images(vec![0; train.images().len()]).unwrap();
    write(&place, "black", &black, &test);
    let says = ["every pixel of the 100 training images is 0", "multiply by 255 before rounding them"];
    place.refuses(1, &format!("{TRAIN} --data black"), &says);
    let one = said(&train.clone().with_labels(vec![9; 100]).unwrap(), "");
    assert!(one.contains("note: all 100 training images have the label 9: there is nothing to distinguish"), "{one}");
    let labels = train.labels().iter().map(|label| label + 1).collect();
    let from_one = Dataset::new(train.images().to_vec(), labels, train.shape(), 11).unwrap();
    let from_one = said(&from_one, "");
    let expected =
        "note: labels start at 1: class 0 has no image, and the network needs 11 outputs for 10 classes; subtract";
    assert!(from_one.contains(expected), "{from_one}");
    assert!(from_one.contains("error: network `small` has 10 classes, but the train set has 11"), "{from_one}");
    let labels = train.labels().iter().map(|label| if *label < 8 { label / 2 * 2 } else { *label }).collect();
    let without = train.clone().with_labels(labels).unwrap();
    assert!(said(&without, "").contains("note: no training image has the label 1, 3, 5, 7: the network cannot learn"));
    assert!(!said(&train, "--quiet").contains("note: "));
}

#[test]
fn a_network_that_answers_one_class_is_remarked_on() {
    let (place, _) = prepared();
    let said = |rate: &str| {
        let train = TRAIN.replace("--learning-rate 0.01", &format!("--learning-rate {rate}"));
        let output = place.run(&format!("{train} --data filling"));
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(!said("0.01").contains("for every validation image"));
    // Nothing is learned: the answers are those of the initial weights, unless all images are the same.
    let dead = "name = 'dead'\ninput = [14, 14, 1]\n[[layers]]\ntype = 'average_pool2d'\nsize = 14\n[[layers]]\ntype = \
                'flatten'\n[[layers]]\ntype = 'dense'\nunits = 10\n";
    fs::write(place.path("small.toml"), dead).unwrap();
    let said = said("1e-9");
    assert!(said.contains("note: the network answers ") && said.contains(" for every validation image"), "{said}");
}

/// Several sets in one folder, as in EMNIST.
#[test]
fn names_may_begin_with_that_of_the_set() {
    let (place, test) = prepared();
    let train = filling(300, 4);
    write(&place, "plain", &train, &test);
    fs::create_dir(place.path("sets")).unwrap();
    let copy = |prefix: &str, dotted: bool| {
        for (name, new) in [
            ("train-images-idx3-ubyte.gz", "train-images-idx3-ubyte.gz"),
            ("train-labels-idx1-ubyte.gz", "train-labels-idx1-ubyte.gz"),
            ("t10k-images-idx3-ubyte.gz", "test-images-idx3-ubyte.gz"),
            ("t10k-labels-idx1-ubyte.gz", "test-labels-idx1-ubyte.gz"),
        ] {
            let new = if dotted { new.replace("-idx", ".idx") } else { new.to_string() };
            fs::copy(place.path("plain").join(name), place.path("sets").join(format!("{prefix}-{new}"))).unwrap();
        }
    };
    copy("emnist-letters", false);
    place.stdout(&format!("{TRAIN} --data sets --out one --max-steps 1 --quiet"));
    copy("emnist-digits", true);
    let says = ["sets: holds emnist-digits, emnist-letters; choose one: sets/emnist-digits"];
    place.refuses(1, &format!("{TRAIN} --data sets"), &says);
    let one = format!("{TRAIN} --data sets/emnist-digits --out two --max-steps 20 --quiet");
    place.stdout(&one);
    place.stdout("train --resume two --max-steps 10000 --quiet");
    place.stdout(&format!("{TRAIN} --data plain --out three --quiet"));
    let read = |run: &str| fs::read(place.path(run).join("model.safetensors")).unwrap();
    assert!(read("two") == read("three"), "it is the same data");
    place.refuses(1, "evaluate two --data sets/emnist", &["sets/emnist: no file train-images-idx3-ubyte"]);
    fs::remove_file(place.path("sets/emnist-letters-test-labels-idx1-ubyte.gz")).unwrap();
    place.refuses(1, "evaluate two --data sets/emnist-letters", &["no file emnist-letters-t10k-labels-idx1-ubyte"]);
}

#[test]
fn a_run_whose_data_has_moved_says_so_and_goes_on() {
    let place = Place::new();
    let train = "train --model tiny.toml --data data --epochs 2 --device cpu --quiet";
    place.stdout(&format!("{train} --out whole"));
    place.stdout(&format!("{train} --out cut --max-steps 4"));
    fs::rename(place.path("data"), place.path("elsewhere")).unwrap();
    let data = place.path("data").canonicalize().unwrap_or_else(|_| place.path("data"));
    let name = data.file_name().unwrap().to_str().unwrap();
    let says = ["--data DIR must say where the data of the run is now: ", name, "is not there any more"];
    place.refuses(1, "train --resume cut --max-steps 100", &says);
    let output = place.run("train --resume cut --max-steps 100");
    assert!(!String::from_utf8(output.stderr).unwrap().contains("fetch"));
    // Compressed again and under other names, it is still the same data.
    for entry in fs::read_dir(place.path("elsewhere")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().replace("-idx", ".idx");
        let bytes = fs::read(&path).unwrap();
        let members = [&bytes[..20], &bytes[20..]].map(|part| {
            let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            std::io::Write::write_all(&mut packer, part).unwrap();
            packer.finish().unwrap()
        });
        fs::write(place.path("elsewhere").join(format!("{name}.gz")), members.concat()).unwrap();
        fs::remove_file(path).unwrap();
    }
    place.stdout("train --resume cut --max-steps 100 --data elsewhere --quiet");
    let read = |run: &str| fs::read(place.path(run).join("model.safetensors")).unwrap();
    assert!(read("whole") == read("cut"));
}
