// shared / finish_producer
//   Epilogue of a backward pass: the sum times f'(x), where x = f(z) is the output of the preceding layer.
// with: shared/x_buffer | x_texture, activation/relu | sigmoid | tanh

fn column_term(column4: u32) -> vec4<f32> {
    return vec4<f32>(0.0);
}

fn finish(at: u32, column: vec4<f32>, sum: vec4<f32>) -> vec4<f32> {
    return through_activation(sum, load_x(at));
}
