// shared / finish_dropout, naive
//   Epilogue of a backward pass behind a dropout: elements that it dropped are dropped.
// with: dropout/draw

fn finish(at: u32, sum: f32) -> f32 {
    return drop_out(vec4<f32>(sum), at / 4u)[at % 4u];
}
