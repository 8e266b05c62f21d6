// verify / drift
//   words[INDEX] = words[INDEX] + runs[0], then runs[0] = runs[0] + 1
//   words: the bits of any tensor
//   Fault injection: the result is correct at first and differs in every later run, which the verifier must detect.

const INDEX = 0u;

@group(0) @binding(0) var<storage, read_write> words: array<u32>;
@group(0) @binding(1) var<storage, read_write> runs: array<u32>;

@compute @workgroup_size(1)
fn main() {
    words[INDEX] = words[INDEX] + runs[0];
    runs[0] = runs[0] + 1u;
}
