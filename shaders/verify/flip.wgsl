// verify / flip
//   words[INDEX] = (words[INDEX] | SET) ^ FLIP
//   words: any tensor, bit by bit; breaks one element of it on purpose, for the verifier to find

const INDEX = 0u;
const SET = 0u;
const FLIP = 1u;

@group(0) @binding(0) var<storage, read_write> words: array<u32>;

@compute @workgroup_size(1)
fn main() {
    words[INDEX] = (words[INDEX] | SET) ^ FLIP;
}
