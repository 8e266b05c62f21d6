// shared / finish_bias
//   Epilogue of a forward pass: f(sum + b), after dropout if there is one. f is `activate` of the activation's file.
// with: activation/identity | relu | sigmoid | tanh, dropout/none | draw

@group(0) @binding(3) var<storage, read> b: array<vec4<f32>>;

fn column_term(column4: u32) -> vec4<f32> {
    return b[column4];
}

fn finish(at: u32, column: vec4<f32>, sum: vec4<f32>) -> vec4<f32> {
    return drop_out(activate(sum + column), at);
}
