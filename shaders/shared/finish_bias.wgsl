// shared / finish_bias
//   Epilogue of a forward pass: f(sum + b), with f from the activation's file.

@group(0) @binding(3) var<storage, read> b: array<vec4<f32>>;

fn finish(at: u32, column4: u32, sum: vec4<f32>) -> vec4<f32> {
    return activate(sum + b[column4]);
}
