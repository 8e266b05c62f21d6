// shared / left
//   The left operand of the matrix engine, addressed by the address map; zero in the padding.
// with: shared/left_buffer | left_texture

fn left_at(row: vec3<u32>, col: vec3<u32>) -> vec4<f32> {
    let at = address_left(row, col);
    return select(vec4<f32>(0.0), load_left(at), !PADDED || at != OUTSIDE);
}
