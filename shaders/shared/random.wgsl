// shared / random
//   Threefry-4x32 with 20 rounds: four random words for each key and counter, in any order and without a state.
//   Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011. The rotations and the
//   constant are those of their library Random123; the results match its known answers.

// Words 4 * counter to 4 * counter + 3 of the sequence of `key`.
fn random4(key: vec4<u32>, counter: u32) -> vec4<u32> {
    return threefry(key, vec4<u32>(counter, 0u, 0u, 0u));
}

// Five times four rounds. The key is added before, between and after them, each time shifted by one more word.
fn threefry(key: vec4<u32>, counter: vec4<u32>) -> vec4<u32> {
    let fifth = 0x1bd11bdau ^ key.x ^ key.y ^ key.z ^ key.w;
    var x = counter + key;
    x = four_rounds_even(x) + vec4<u32>(key.y, key.z, key.w, fifth + 1u);
    x = four_rounds_odd(x) + vec4<u32>(key.z, key.w, fifth, key.x + 2u);
    x = four_rounds_even(x) + vec4<u32>(key.w, fifth, key.x, key.y + 3u);
    x = four_rounds_odd(x) + vec4<u32>(fifth, key.x, key.y, key.z + 4u);
    return four_rounds_even(x) + vec4<u32>(key.x, key.y, key.z, key.w + 5u);
}

fn four_rounds_even(x: vec4<u32>) -> vec4<u32> {
    return mix_pairs(mix_pairs(mix_pairs(mix_pairs(x, 10u, 26u), 11u, 21u), 13u, 27u), 23u, 5u);
}

fn four_rounds_odd(x: vec4<u32>) -> vec4<u32> {
    return mix_pairs(mix_pairs(mix_pairs(mix_pairs(x, 6u, 20u), 17u, 11u), 25u, 10u), 18u, 20u);
}

// One round: mixes words 0 and 1, and words 2 and 3, as pairs; then swaps words 1 and 3.
fn mix_pairs(x: vec4<u32>, left: u32, right: u32) -> vec4<u32> {
    let a = x.x + x.y;
    let b = x.z + x.w;
    return vec4<u32>(a, rotate(x.w, right) ^ b, b, rotate(x.y, left) ^ a);
}

fn rotate(x: u32, by: u32) -> u32 {
    return (x << by) | (x >> (32u - by));
}
