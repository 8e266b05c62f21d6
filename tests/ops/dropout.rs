use crate::common::{Asserts, Case, agrees, gpu, random};
use shadegrad::gpu::{Dispatch, KernelSpec, Memory, Operand, Program, Recording, ShaderFile, Variant, Work};
use shadegrad::ops::dropout::{Backward, Forward, Mask};
use shadegrad::ops::{Activation, KernelConfig, Step};
use shadegrad::plan::{Element, Plan, TensorId};
use shadegrad::wgsl;

fn step(seed_low: u32, seed_high: u32, step: u32) -> Step {
    Step { seed_low, seed_high, step, ..Step::default() }
}

/// Which elements the GPU keeps.
fn kept(len: usize, rate: f64, layer: u32, step: Step) -> Vec<bool> {
    let mask = Mask { rate, layer, width: len };
    let case = Case::new(Forward { len, mask }, vec![("x", vec![1.0f32; len].into())]).with_step(step);
    case.run(&KernelConfig::software())[0].real().iter().map(|y| *y != 0.0).collect()
}

/// The same elements are dropped, and the others are the product of the same two f32 numbers.
#[test]
fn forward_gives_the_numbers_of_the_reference() {
    agrees("dropout.forward");
}

#[test]
fn backward_agrees_with_the_reference() {
    agrees("dropout.backward");
}

/// The backward pass keeps the elements that the forward pass kept, with the same factor: for x = dy = 1 the results
/// are equal.
#[test]
fn backward_draws_what_forward_drew() {
    let (len, mask) = (1009, Mask { rate: 0.5, layer: 4, width: 1009 });
    let backward = Backward { len, mask, producer: Activation::Identity };
    let backward = Case::new(backward, vec![("dy", vec![1.0f32; len].into())]).with_step(step(1, 1, 2));
    let forward = Case::new(Forward { len, mask }, vec![("x", vec![1.0f32; len].into())]).with_step(step(1, 1, 2));
    let config = KernelConfig::software();
    assert_eq!(forward.run(&config)[0].bits, backward.run(&config)[0].bits);
}

/// A slice of a batch drops the elements that the whole batch drops there, for slices that begin at a multiple of 4
/// elements.
#[test]
fn a_slice_drops_what_the_whole_batch_drops_there() {
    let images = 16;
    for (width, row) in [(12, 5), (6, 10), (7, 8)] {
        let of = |images: usize, row: u32| {
            let (len, step) = (images * width, Step { row, ..step(9, 0, 3) });
            let case = Case::new(
                Forward { len, mask: Mask { rate: 0.5, layer: 1, width } },
                vec![("x", vec![1.0f32; len].into())],
            );
            case.with_step(step).run(&KernelConfig::software())[0].real()
        };
        let (whole, slice) = (of(images, 0), of(images - row as usize, row));
        assert_eq!(slice, whole[row as usize * width..]);
        assert_ne!(slice, of(images - row as usize, 0), "another slice drops others");
    }
}

#[test]
fn rate_zero_keeps_everything() {
    let x = random(257, 1);
    let case =
        Case::new(Forward { len: 257, mask: Mask { rate: 0.0, layer: 0, width: 257 } }, vec![("x", x.clone().into())]);
    for (variant, got) in case.run_everywhere() {
        assert_eq!(got[0].real(), x, "{variant}");
    }
}

/// The number of elements kept is binomial: within six standard deviations of the mean, which chance exceeds once in
/// 500 million times.
#[test]
fn the_kept_share_is_one_minus_the_rate() {
    let len = 100_003;
    for rate in [0.1, 0.5, 0.8] {
        for layer in 0..2 {
            let kept = kept(len, rate, layer, step(17, 0, 5)).iter().filter(|kept| **kept).count() as f64;
            let (mean, deviation) = (len as f64 * (1.0 - rate), (len as f64 * rate * (1.0 - rate)).sqrt());
            assert!((kept - mean).abs() <= 6.0 * deviation, "rate {rate}: kept {kept}, expected {mean} +- {deviation}");
        }
    }
}

/// Two masks with probability 1/2 agree in half of the elements: again within six standard deviations.
#[test]
fn seeds_steps_layers_and_places_draw_independently() {
    let len = 4096;
    let mut masks = vec![("the first", kept(len, 0.5, 1, step(1, 1, 1)))];
    masks.push(("another low seed", kept(len, 0.5, 1, step(2, 1, 1))));
    masks.push(("another high seed", kept(len, 0.5, 1, step(1, 2, 1))));
    masks.push(("another step", kept(len, 0.5, 1, step(1, 1, 2))));
    masks.push(("another layer", kept(len, 0.5, 2, step(1, 1, 1))));
    for by in [1, 2, 3, 4, 256] {
        let mut shifted = masks[0].1.clone();
        shifted.rotate_left(by);
        masks.push(("other places", shifted));
    }
    let deviation = (len as f64).sqrt() / 2.0;
    for i in 0..masks.len() {
        for j in 0..i {
            let equal = masks[i].1.iter().zip(&masks[j].1).filter(|(a, b)| a == b).count() as f64;
            let off = (equal - len as f64 / 2.0).abs();
            assert!(off <= 6.0 * deviation, "{} and {}: {equal} of {len} are equal", masks[i].0, masks[j].0);
        }
    }
}

/// The random number generator itself, word by word; the answers are from the library Random123, for counter and key of
/// all zeros, all ones, and the first digits of pi.
#[test]
fn the_shader_gives_the_known_answers() {
    static WORDS: ShaderFile = ShaderFile {
        path: "tests/ops/dropout.rs",
        text: "
            @group(0) @binding(0) var<storage, read> keys: array<vec4<u32>>;
            @group(0) @binding(1) var<storage, read> counters: array<vec4<u32>>;
            @group(0) @binding(2) var<storage, read_write> words: array<vec4<u32>>;

            @compute @workgroup_size(4)
            fn main(@builtin(local_invocation_index) i: u32) {
                if i < 3u {
                    words[i] = threefry(keys[i], counters[i]);
                } else {
                    words[i] = random4(vec4<u32>(0u), 0u);
                }
            }
        ",
    };
    #[rustfmt::skip]
    let keys = [0, 0, 0, 0, !0, !0, !0, !0, 0xa409_3822, 0x299f_31d0, 0x082e_fa98, 0xec4e_6c89, 0, 0, 0, 0];
    let counters = [0, 0, 0, 0, !0, !0, !0, !0, 0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344, 0, 0, 0, 0];
    #[rustfmt::skip]
    let answers: [u32; 16] = [
        0x9c6c_a96a, 0xe17e_ae66, 0xfc10_ecd4, 0x5256_a7d8,
        0x2a88_1696, 0x5701_2287, 0xf6c7_446e, 0xa16a_6732,
        0x59cd_1dbb, 0xb887_9579, 0x86b5_d00c, 0xac8b_6d84,
        0x9c6c_a96a, 0xe17e_ae66, 0xfc10_ecd4, 0x5256_a7d8,
    ];
    let mut plan = Plan::default();
    let [keys_id, counters_id, words_id] =
        ["keys", "counters", "words"].map(|name| plan.tensor(name, &[16], Element::Int));
    let region = |id: TensorId| plan.get(id).region;
    let operand = |id: TensorId| Operand::Buffer(region(id));
    let mut recording = Recording::new();
    recording.dispatch(Dispatch {
        label: "words".to_string(),
        kernel: KernelSpec::new([&WORDS, wgsl!("shared/random.wgsl")]),
        reads: vec![("keys", operand(keys_id)), ("counters", operand(counters_id))],
        writes: vec![("words", operand(words_id))],
        groups: [1, 1],
        cost: Work::default(),
        variant: Variant::default(),
    });
    let storages: Vec<(String, usize)> = plan.storages.iter().map(|s| (s.name.clone(), s.len)).collect();
    let memory = Memory::new(gpu(), &storages, &[&recording], size_of::<Step>()).unwrap();
    memory.write(gpu(), region(keys_id), bytemuck::cast_slice::<u32, u8>(&keys));
    memory.write(gpu(), region(counters_id), bytemuck::cast_slice::<u32, u8>(&counters));
    let program = Program::new(gpu(), &memory, &recording).unwrap();
    program.submit(gpu(), &memory, &[Step::default()]).unwrap();
    let bytes = pollster::block_on(memory.read(gpu(), region(words_id))).unwrap();
    assert_eq!(bytemuck::cast_slice::<u8, u32>(&bytes), answers);
}
