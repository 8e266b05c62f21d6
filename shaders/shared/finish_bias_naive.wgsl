// shared / finish_bias, naive
//   Epilogue of a forward pass: f(sum + b), after dropout if there is one. f is `activate` of the activation's file.
//   There is one b for each filter or output.
// with: activation/identity | relu | sigmoid | tanh, dropout/none | draw

const BIAS_COLUMNS = 1u;

@group(0) @binding(3) var<storage, read> b: array<f32>;

fn finish(at: u32, sum: f32) -> f32 {
    return drop_out(activate(vec4<f32>(sum + b[at % BIAS_COLUMNS])), at / 4u)[at % 4u];
}
