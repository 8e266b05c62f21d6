// shared / left
//   The engine's left operand by its address map: zero in the padding and behind the last of the K terms.

fn left_at(row: vec3<u32>, col: vec3<u32>) -> vec4<f32> {
    let at = address_left(row, col);
    return select(vec4<f32>(0.0), load_left(at), !PADDED || at != OUTSIDE);
}

// For an operand whose four run along the rows.
fn left_term(row: vec3<u32>, k: u32) -> vec4<f32> {
    return select(vec4<f32>(0.0), left_at(row, col_left(min(k, K - 1u))), k < K);
}
