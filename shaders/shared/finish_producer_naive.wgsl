// shared / finish_producer, naive
//   Epilogue of a backward pass: the sum times f'(x), where x = f(z) is the output of the preceding layer.
// with: activation/relu | sigmoid | tanh

@group(0) @binding(3) var<storage, read> x: array<f32>;

fn finish(at: u32, sum: f32) -> f32 {
    return through_activation(vec4<f32>(sum), vec4<f32>(x[at])).x;
}
