// shared / finish_producer, naive
//   Epilogue of a backward pass: the sum times f'(z), where x = f(z) is the output of the preceding layer. If dropout
//   followed f, then x = f(z) / KEPT for the elements that it kept, and the others are dropped.
// with: activation/relu | sigmoid | tanh, dropout/none | draw

@group(0) @binding(3) var<storage, read> x: array<f32>;

fn finish(at: u32, sum: f32) -> f32 {
    let dropped = drop_out(vec4<f32>(sum), at / 4u)[at % 4u];
    return through_activation(vec4<f32>(dropped), vec4<f32>(KEPT * x[at])).x;
}
