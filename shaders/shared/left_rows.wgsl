// shared / left_rows
//   The left operand in the register and the subgroup form: an invocation reads TILE_ROWS rows, four terms at a time.

fn rows_from(m0: u32) -> array<vec3<u32>, TILE_ROWS> {
    var rows: array<vec3<u32>, TILE_ROWS>;
    for (var i = 0u; i < TILE_ROWS; i++) {
        if LEFT_ALONG_M {
            rows[i] = row_left(min(m0 / 4u + i, M / 4u - 1u));
        } else {
            rows[i] = row_left(min(m0 + i, M - 1u));
        }
    }
    return rows;
}

// One term of four rows; zero from K on. For operands that are read four rows at a time.
fn left_term(row: vec3<u32>, k: u32) -> vec4<f32> {
    return select(vec4<f32>(0.0), left_at(row, col_left(min(k, K - 1u))), k < K);
}

// The terms k to k + 3 of each row.
fn left_terms(rows: ptr<function, array<vec3<u32>, TILE_ROWS>>, k: u32) -> array<vec4<f32>, TILE_ROWS> {
    var a: array<vec4<f32>, TILE_ROWS>;
    if LEFT_ALONG_M {
        for (var i = 0u; i < TILE_ROWS / 4u; i++) {
            let t = transpose(mat4x4<f32>(
                left_term((*rows)[i], k),
                left_term((*rows)[i], k + 1u),
                left_term((*rows)[i], k + 2u),
                left_term((*rows)[i], k + 3u),
            ));
            a[4u * i] = t[0];
            a[4u * i + 1u] = t[1];
            a[4u * i + 2u] = t[2];
            a[4u * i + 3u] = t[3];
        }
    } else {
        let col = col_left(k / 4u);
        for (var i = 0u; i < TILE_ROWS; i++) {
            a[i] = left_at((*rows)[i], col);
        }
    }
    return a;
}
