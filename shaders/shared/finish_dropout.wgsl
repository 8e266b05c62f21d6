// shared / finish_dropout
//   Epilogue of a backward pass behind a dropout: elements that it dropped are dropped.
// with: dropout/draw

fn column_term(column4: u32) -> vec4<f32> {
    return vec4<f32>(0.0);
}

fn finish(at: u32, column: vec4<f32>, sum: vec4<f32>) -> vec4<f32> {
    return drop_out(sum, at);
}
