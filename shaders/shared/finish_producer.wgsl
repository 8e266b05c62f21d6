// shared / finish_producer
//   Epilogue of a backward pass: the sum times f'(z), where x = f(z) is the output of the preceding layer. If dropout
//   followed f, then x = f(z) / KEPT for the elements that it kept, and the others are dropped.
// with: shared/x_buffer | x_texture, activation/relu | sigmoid | tanh, dropout/none | draw

fn column_term(column4: u32) -> vec4<f32> {
    return vec4<f32>(0.0);
}

fn finish(at: u32, column: vec4<f32>, sum: vec4<f32>) -> vec4<f32> {
    return through_activation(drop_out(sum, at), KEPT * load_x(at));
}
