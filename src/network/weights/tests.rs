use super::super::NetworkParameter;
use super::*;
use crate::shape::Shape;
use safetensors::SafeTensors;

/// One conv2d of 2 channels, a flattened 2x1 image of 2 channels, 2 scores: covers every permutation.
fn small() -> Network {
    let text = "name = 'small'\ninput = [2, 2, 1]\n[[layers]]\ntype = 'conv2d'\nfilters = 2\nkernel = [1, 2]\n\
                [[layers]]\ntype = 'flatten'\n[[layers]]\ntype = 'dropout'\nrate = 0.5\n\
                [[layers]]\ntype = 'dense'\nunits = 2\n";
    let network = Network::from_toml("test", text).unwrap();
    assert_eq!(network.layers[0].output, Shape::Image([2, 1, 2]));
    network
}

fn numbered(network: &Network) -> Weights {
    let of = |(i, of): (usize, &NetworkParameter)| (0..of.parameter.len()).map(|j| (100 * i + j) as f32).collect();
    Weights { values: network.parameters().iter().enumerate().map(of).collect() }
}

/// A tensor as another safetensors reader sees it.
fn tensor(bytes: &[u8], key: &str) -> (Vec<usize>, Vec<f32>) {
    let file = SafeTensors::deserialize(bytes).unwrap();
    let tensor = file.tensor(key).unwrap();
    let values = tensor.data().chunks(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    (tensor.shape().to_vec(), values)
}

#[test]
fn files_are_in_pytorch_s_layout() {
    let network = small();
    let bytes = numbered(&network).to_bytes(&network);
    // [R,S,C,K] = [1,2,1,2] holds (s,k) = 00 01 10 11 as 0 1 2 3; [K,C,R,S] needs 00 10 01 11.
    assert_eq!(tensor(&bytes, "0.weight"), (vec![2, 1, 1, 2], vec![0.0, 2.0, 1.0, 3.0]));
    assert_eq!(tensor(&bytes, "0.bias"), (vec![2], vec![100.0, 101.0]));
    // [I,O] with I = (h,c) = 00 01 10 11 holds 200 to 207; [O,I] with I = (c,h) needs for o = 0: 00 10 01 11.
    let expected = vec![200.0, 204.0, 202.0, 206.0, 201.0, 205.0, 203.0, 207.0];
    assert_eq!(tensor(&bytes, "3.weight"), (vec![2, 4], expected));
}

#[test]
fn what_is_saved_is_what_is_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    for network in [small(), Network::open("lenet5").unwrap()] {
        let weights = network.initialize(3);
        weights.save(&network, &path).unwrap();
        assert_eq!(Weights::load(&path, &network).unwrap(), weights);
        let (found, same) = Weights::open(&path).unwrap();
        assert_eq!((found.to_toml(), same), (network.to_toml(), weights));
    }
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "no temporary file is left: {left:?}");
}

#[test]
fn the_same_weights_are_the_same_bytes() {
    let network = small();
    let bytes = numbered(&network).to_bytes(&network);
    assert_eq!(bytes, numbered(&small()).to_bytes(&network));
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let metadata = header.metadata().clone().unwrap();
    assert_eq!((metadata["format"].as_str(), metadata["shadegrad.name"].as_str()), ("pt", "small"));
}

#[test]
fn failing_writes_name_the_path_and_leave_the_old_file() {
    let folder = tempfile::tempdir().unwrap();
    let network = small();
    let missing = folder.path().join("missing").join("w.safetensors");
    let message = numbered(&network).save(&network, &missing).unwrap_err().to_string();
    assert!(message.contains("cannot write") && message.contains("missing"), "{message}");
    // The target is a folder: the rename fails, after everything was written.
    let taken = folder.path().join("taken");
    std::fs::create_dir(&taken).unwrap();
    let message = numbered(&network).save(&network, &taken).unwrap_err().to_string();
    assert!(message.contains("taken"), "{message}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "the temporary file is gone");
}

fn message(bytes: &[u8], network: &Network) -> String {
    Weights::from_bytes(bytes, network).unwrap_err()
}

/// The bytes with a text in their header replaced; the length must stay the same.
fn edited(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let at = bytes.windows(from.len()).position(|window| window == from.as_bytes()).unwrap();
    let mut bytes = bytes.to_vec();
    bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    bytes
}

#[test]
fn damaged_files_are_refused_with_a_reason() {
    let network = small();
    let good = numbered(&network).to_bytes(&network);
    for len in [0, 7, 8, 100, good.len() - 1] {
        assert!(message(&good[..len], &network).contains("not a complete safetensors file"), "{len} bytes");
    }
    let longer = [&good[..], &[0]].concat();
    assert!(message(&longer, &network).contains("not a complete safetensors file"));

    let shape = message(&edited(&good, "[2,4]", "[4,2]"), &network);
    assert!(shape.contains("`3.weight` (dense1.w): expected shape [2, 4], got [4, 2]"), "{shape}");

    let dtype = message(&edited(&good, "F32", "I32"), &network);
    assert!(dtype.contains("expected dtype F32, got I32"), "{dtype}");

    let renamed = message(&edited(&good, "3.weight", "4.weight"), &network);
    assert!(renamed.contains("missing `3.weight`; surplus `4.weight`"), "{renamed}");

    let mut weights = numbered(&network);
    weights.values[1][1] = f32::NAN;
    let nan = message(&weights.to_bytes(&network), &network);
    assert!(nan.contains("`0.bias` (conv1.b): expected finite weights, got NaN at index 1"), "{nan}");

    let other = message(&good, &Network::open("lenet5").unwrap());
    assert!(
        other.contains("not weights of `lenet5`: expected 10 tensors, got 4") && other.contains("missing `11.bias`"),
        "{other}"
    );
}

#[test]
fn a_file_without_a_network_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("foreign.safetensors");
    let network = small();
    let bytes = edited(&numbered(&network).to_bytes(&network), NETWORK, "shadegrad.nothing");
    std::fs::write(&path, bytes).unwrap();
    let message = Weights::open(&path).unwrap_err().to_string();
    assert!(message.contains("foreign.safetensors: the file does not say which network"), "{message}");
    let message = Weights::open(&folder.path().join("none.safetensors")).unwrap_err().to_string();
    assert!(message.contains("cannot read") && message.contains("none.safetensors"), "{message}");
}

/// After a flatten, the values of a batch_norm follow the features, which PyTorch orders by channel first; the dense
/// layer after it still knows the shape of the image. PyTorch's counter is ignored.
#[test]
fn a_batch_norm_is_in_pytorch_s_layout() {
    let text = "name = 'small'\ninput = [2, 1, 2]\n[[layers]]\ntype = 'batch_norm'\n[[layers]]\ntype = 'flatten'\n\
                [[layers]]\ntype = 'batch_norm'\n[[layers]]\ntype = 'dense'\nunits = 2\n";
    let network = Network::from_toml("test", text).unwrap();
    assert_eq!(network.parameter_count(), 2 * 2 + 2 * 4 + 4 * 2 + 2);
    let weights = numbered(&network);
    let bytes = weights.to_bytes(&network);
    assert_eq!(tensor(&bytes, "0.running_var"), (vec![2], vec![300.0, 301.0]));
    // (h,c) = 00 01 10 11 becomes (c,h) = 00 10 01 11.
    assert_eq!(tensor(&bytes, "2.weight"), (vec![4], vec![400.0, 402.0, 401.0, 403.0]));
    assert_eq!(tensor(&bytes, "2.running_mean"), (vec![4], vec![600.0, 602.0, 601.0, 603.0]));
    assert_eq!(tensor(&bytes, "3.weight").1, [800.0, 804.0, 802.0, 806.0, 801.0, 805.0, 803.0, 807.0]);

    let file = SafeTensors::deserialize(&bytes).unwrap();
    let count = 7i64.to_le_bytes();
    let count = safetensors::tensor::TensorView::new(safetensors::Dtype::I64, Vec::new(), &count).unwrap();
    let mut tensors: Vec<_> = file.tensors();
    tensors.push(("0.num_batches_tracked".into(), count));
    let theirs = safetensors::serialize(tensors, None).unwrap();
    assert_eq!(super::super::tensors::parse(&theirs).unwrap().weights(&network).unwrap(), weights);
}

/// Names were unrestricted in older versions; weights saved then can still be used.
#[test]
fn a_name_of_an_older_file_is_changed_and_not_refused() {
    let text = "name = 'small'\ninput = [2, 2, 1]\nlayers = [{ type = 'flatten' }, { type = 'dense', units = 2 }]";
    let mut network = Network::from_toml("test", text).unwrap();
    network.name = "my net/../v1.5".into();
    let weights = network.initialize(1);
    let (read, same) = Weights::open_bytes(&weights.to_bytes(&network), Path::new("old.safetensors")).unwrap();
    assert_eq!((read.name.as_str(), same), ("my-net-v1-5", weights));
}
