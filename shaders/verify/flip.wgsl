// verify / flip
//   words[INDEX] = (words[INDEX] | SET) ^ FLIP
//   words: the bits of any tensor
//   Fault injection: corrupts one element, which the verifier must detect.

const INDEX = 0u;
const SET = 0u;
const FLIP = 1u;

@group(0) @binding(0) var<storage, read_write> words: array<u32>;

@compute @workgroup_size(1)
fn main() {
    words[INDEX] = (words[INDEX] | SET) ^ FLIP;
}
